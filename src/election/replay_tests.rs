//! Introductions, windows and limits, and an adversary with a recorder.

use super::*;
use crate::election::rank::{Epoch, Rank};
use crate::election::wire::Datagram;
use crate::rng::Seeded;

const PORT: u16 = 2000;

fn keys() -> Keyring {
    Keyring::parse(&"5a".repeat(32)).unwrap()
}

fn ip(last: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0000 + last)
}

/// A board as far as its sessions go.
struct Board {
    address: Ipv4Addr,
    sessions: Sessions,
    entropy: Seeded,
    keys: Keyring,
}

impl Board {
    fn new(last: u32, seed: u64) -> Self {
        Self {
            address: ip(last),
            sessions: Sessions::default(),
            entropy: Seeded::new(seed),
            keys: keys(),
        }
    }

    fn sign(&self, text: Text<'_>, trailer: Trailer, bound: Option<u32>) -> Datagram {
        wire::build_with_trailer(text, trailer, |signed| self.keys.tag(signed, bound))
    }

    fn vote(&mut self) -> Datagram {
        let (session, word) = self.sessions.next(&mut self.entropy);
        let rank = Rank {
            vote: 7,
            address: self.address,
        };
        let trailer = Trailer {
            epoch: Epoch(3),
            word,
            ..Trailer::default()
        };
        self.sign(Text::Vote(rank), trailer, Some(session))
    }

    fn ask(&mut self, now: Instant, to: Option<Ipv4Addr>) -> Datagram {
        let nonce = self.sessions.question(now, to, true, &mut self.entropy);
        self.question(nonce)
    }

    fn question(&self, nonce: u32) -> Datagram {
        let trailer = Trailer {
            flags: flag::INTRODUCE,
            word: nonce,
            ..Trailer::default()
        };
        self.sign(Text::Whois, trailer, None)
    }

    fn introduction(&mut self, nonce: u32) -> Datagram {
        let (session, word) = self.sessions.present(&mut self.entropy);
        let trailer = Trailer {
            flags: flag::INTRODUCE | flag::BOUND,
            word,
            about: Some(Ipv4Addr::from(session)),
            ..Trailer::default()
        };
        self.sign(Text::Whois, trailer, Some(nonce))
    }

    fn answer(&mut self, nonce: u32) -> Datagram {
        let rank = Rank {
            vote: 7,
            address: self.address,
        };
        let (_, word) = self.sessions.next(&mut self.entropy);
        let trailer = Trailer {
            flags: flag::BOUND,
            word,
            ..Trailer::default()
        };
        self.sign(Text::Claim(rank), trailer, Some(nonce))
    }

    fn judge(&mut self, now: Instant, from: Ipv4Addr, bytes: &[u8]) -> Verdict {
        let incoming = Incoming {
            from: SocketAddrV4::new(from, PORT),
            bytes,
            text: wire::parse(bytes).unwrap(),
        };
        self.sessions
            .judge(now, &self.keys, PORT, &incoming, &mut self.entropy)
    }

    /// Asks `other`, and hears its introduction.
    fn meet(&mut self, now: Instant, other: &mut Board) {
        let question = self.ask(now, Some(other.address));
        let nonce = match other.judge(now, self.address, &question).worth {
            Worth::Question {
                nonce,
                introduce: true,
            } => nonce,
            worth => panic!("{worth:?}"),
        };
        let introduction = other.introduction(nonce);
        let verdict = self.judge(now, other.address, &introduction);
        assert_eq!(verdict.worth, Worth::Introduced);
    }
}

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

const BELIEVED: Worth = Worth::Believed { bound: false };
const UNVERIFIED: Worth = Worth::Refused(Refusal::Unverified);
const REPLAYED: Worth = Worth::Refused(Refusal::Replayed);

#[test]
fn a_stranger_is_asked_four_times_a_second_and_believed_after_its_introduction() {
    let (mut a, mut b) = (Board::new(1, 1), Board::new(2, 2));
    let vote = b.vote();
    let verdict = a.judge(at(0), b.address, &vote);
    assert_eq!(verdict.worth, UNVERIFIED);
    let nonce = verdict.ask.unwrap();
    assert_eq!(a.judge(at(249), b.address, &vote).ask, None);
    let introduction = b.introduction(nonce);
    assert_eq!(
        a.judge(at(249), b.address, &introduction).worth,
        Worth::Introduced
    );
    assert_eq!(
        a.judge(at(249), b.address, &introduction).worth,
        UNVERIFIED,
        "a nonce serves once"
    );
    assert_eq!(
        a.judge(at(1_000), b.address, &vote).worth,
        REPLAYED,
        "made before the introduction"
    );
    let vote = b.vote();
    assert_eq!(a.judge(at(1_000), b.address, &vote).worth, BELIEVED);
    assert_eq!(a.judge(at(1_000), b.address, &vote).worth, REPLAYED);
    assert_eq!(
        a.judge(at(1_000), ip(3), &vote).worth,
        UNVERIFIED,
        "from another address"
    );
}

#[test]
fn nothing_of_an_earlier_life_is_believed() {
    let (mut a, mut b) = (Board::new(1, 1), Board::new(2, 2));
    a.meet(at(0), &mut b);
    let mut recorded: Vec<Datagram> = (0..500).map(|_| b.vote()).collect();
    assert_eq!(a.judge(at(1), b.address, &recorded[3]).worth, BELIEVED);
    // The sender restarts: its old messages die with the next introduction.
    let mut b = Board::new(2, 22);
    let vote = b.vote();
    assert_eq!(a.judge(at(2_000), b.address, &vote).worth, UNVERIFIED);
    a.meet(at(2_000), &mut b);
    recorded.push(vote);
    for old in &recorded {
        assert_ne!(a.judge(at(2_001), b.address, old).worth, BELIEVED);
    }
    // Power cut of all: the receiver too has forgotten, and counts begin low.
    let mut a = Board::new(1, 11);
    let mut b = Board::new(2, 222);
    for old in &recorded {
        assert_eq!(a.judge(at(0), b.address, old).worth, UNVERIFIED);
    }
    a.meet(at(5_000), &mut b);
    for old in &recorded {
        assert_ne!(a.judge(at(5_001), b.address, old).worth, BELIEVED);
    }
    assert_eq!(a.judge(at(5_002), b.address, &b.vote()).worth, BELIEVED);
}

/// It answered a question that is still open, and its introduction was lost on
/// the way; somebody brings it when the next life has been met already.
#[test]
fn an_earlier_life_does_not_come_back_by_an_introduction_that_was_lost() {
    for late in [true, false] {
        let (mut a, mut b) = (Board::new(1, 1), Board::new(2, 2));
        a.meet(at(0), &mut b);
        let spent = b.vote();
        assert_eq!(a.judge(at(1), b.address, &spent).worth, BELIEVED);
        let nonces: [u32; 2] = [0, 1].map(|_| {
            a.sessions
                .question(at(2), Some(b.address), true, &mut a.entropy)
        });
        // One question reaches the earlier life, one the next; in either order.
        let lost = b.introduction(nonces[usize::from(late)]);
        let mut b = Board::new(2, 22);
        let introduction = b.introduction(nonces[usize::from(!late)]);
        // Where the earlier life is known, a later question is needed.
        assert_eq!(
            a.judge(at(3), b.address, &introduction).worth,
            Worth::Introduced
        );
        assert_eq!(a.judge(at(4), b.address, &lost).worth, REPLAYED);
        assert_ne!(a.judge(at(5), b.address, &spent).worth, BELIEVED);
        assert_eq!(a.judge(at(6), b.address, &b.vote()).worth, BELIEVED);
    }
}

#[test]
fn a_restarted_receiver_is_not_fed_what_it_heard_in_its_earlier_life() {
    let mut b = Board::new(2, 2);
    let recorded: Vec<Datagram> = (0..200).map(|_| b.vote()).collect();
    let mut a = Board::new(1, 11);
    a.meet(at(0), &mut b);
    for old in &recorded {
        assert_eq!(a.judge(at(1), b.address, old).worth, REPLAYED);
    }
}

#[test]
fn messages_that_overtake_each_other_are_all_believed_once() {
    let (mut a, mut b) = (Board::new(1, 1), Board::new(2, 2));
    a.meet(at(0), &mut b);
    let votes: Vec<Datagram> = (0..500).map(|_| b.vote()).collect();
    for vote in votes[500 - WINDOW as usize..].iter().rev() {
        assert_eq!(a.judge(at(1), b.address, vote).worth, BELIEVED);
    }
    for (i, vote) in votes.iter().enumerate() {
        let worth = a.judge(at(2), b.address, vote).worth;
        assert_eq!(worth, REPLAYED, "vote {i}: spent, or 256 behind");
    }
}

#[test]
fn a_window_spends_each_count_once() {
    let mut window = Window::after(1_000);
    for count in [0, 744, 745, 999, 1_000] {
        assert!(!window.accept(count), "{count} is spent");
    }
    for count in [1_002, 1_001, 1_250, 1_003, 1_002 + 256] {
        assert!(window.accept(count), "{count} is new");
        assert!(!window.accept(count), "{count} is spent");
    }
    assert!(!window.accept(1_002), "256 behind");
    assert!(window.accept(1_004));
    assert!(window.accept(u32::MAX));
    assert!(window.accept(u32::MAX - 255));
    assert!(!window.accept(u32::MAX - 256));
}

#[test]
fn an_answer_is_bound_to_its_question_and_counts_once() {
    let (mut a, mut b) = (Board::new(1, 1), Board::new(2, 2));
    let question = a.ask(at(0), Some(b.address));
    let nonce = wire::trailer(&question).unwrap().0.word;
    let wrong = b.answer(nonce ^ 1);
    let right = b.answer(nonce);
    assert_eq!(a.judge(at(1), b.address, &wrong).worth, UNVERIFIED);
    assert_eq!(
        a.judge(at(1), ip(3), &right).worth,
        UNVERIFIED,
        "asked another"
    );
    assert_eq!(
        a.judge(at(1), b.address, &right).worth,
        Worth::Believed { bound: true }
    );
    assert_eq!(a.judge(at(1), b.address, &right).worth, UNVERIFIED);
    let question = a.ask(at(10), Some(b.address));
    let late = b.answer(wire::trailer(&question).unwrap().0.word);
    assert_eq!(
        a.judge(at(2_011), b.address, &late).worth,
        UNVERIFIED,
        "too late"
    );
}

#[test]
fn a_broadcast_question_is_answered_once_by_each() {
    let mut a = Board::new(1, 1);
    let question = a.ask(at(0), None);
    let nonce = wire::trailer(&question).unwrap().0.word;
    for last in 2..40 {
        let mut b = Board::new(last, u64::from(last));
        let claim = b.answer(nonce);
        assert_eq!(
            a.judge(at(1), b.address, &claim).worth,
            UNVERIFIED,
            "not introduced"
        );
        let introduction = b.introduction(nonce);
        assert_eq!(
            a.judge(at(1), b.address, &introduction).worth,
            Worth::Introduced
        );
        assert_eq!(a.judge(at(1), b.address, &introduction).worth, REPLAYED);
        assert_eq!(a.judge(at(1), b.address, &b.vote()).worth, BELIEVED);
    }
}

/// Two questions are open at once; the answers to both are heard, and recorded.
#[test]
fn the_answers_to_two_questions_are_spent_both() {
    let (mut a, mut b) = (Board::new(1, 1), Board::new(2, 2));
    let nonce = |question: &Datagram| wire::trailer(question).unwrap().0.word;
    let first = nonce(&a.ask(at(0), None));
    let introduction = b.introduction(first);
    assert_eq!(
        a.judge(at(1), b.address, &introduction).worth,
        Worth::Introduced
    );
    let second = nonce(&a.ask(at(2), None));
    let third = nonce(&a.ask(at(3), None));
    let answers = [b.answer(second), b.answer(third)];
    for answer in &answers {
        let worth = a.judge(at(4), b.address, answer).worth;
        assert_eq!(worth, Worth::Believed { bound: true });
    }
    for answer in answers.iter().chain(&answers) {
        assert_eq!(a.judge(at(5), b.address, answer).worth, REPLAYED);
    }
}

#[test]
fn questions_to_strangers_are_few_and_do_not_stand_in_the_way_of_signed_ones() {
    let mut a = Board::new(1, 1);
    let mut forged = Board::new(9, 9).vote();
    forged[39] ^= 1;
    let asked = (100..10_100)
        .filter(|&last| a.judge(at(0), ip(last), &forged).ask.is_some())
        .count();
    assert_eq!(asked, STRANGERS_PER_SECOND);
    let mut b = Board::new(2, 2);
    let question = b.ask(at(0), Some(a.address));
    let ask = a
        .judge(at(0), b.address, &question)
        .ask
        .expect("a signed question is answered by one");
    let back = b.judge(at(0), a.address, &a.question(ask));
    assert!(matches!(back.worth, Worth::Question { .. }));
    assert_eq!(
        back.ask, None,
        "the two have a question open already: no ping-pong"
    );
    assert!(a.sessions.questions.len() <= QUESTIONS_MAX);
    let elsewhere = Incoming {
        from: SocketAddrV4::new(ip(50), 40_000),
        bytes: &forged,
        text: wire::parse(&forged).unwrap(),
    };
    let verdict = a
        .sessions
        .judge(at(5_000), &keys(), PORT, &elsewhere, &mut Seeded::new(1));
    assert_eq!(verdict.ask, None, "a client is not asked");
}

/// Each second has its own few, whatever else was asked in it.
#[test]
fn strangers_are_asked_anew_each_second() {
    let mut a = Board::new(1, 1);
    let mut forged = Board::new(9, 9).vote();
    forged[39] ^= 1;
    for second in 0..4 {
        let now = at(1_000 * second);
        let mut asked = 0;
        for last in 0..100 {
            let stranger = ip(1_000 + 100 * second as u32 + last);
            asked += usize::from(a.judge(now, stranger, &forged).ask.is_some());
            a.sessions
                .question(now, Some(stranger), false, &mut a.entropy);
        }
        assert_eq!(asked, STRANGERS_PER_SECOND, "second {second}");
    }
}

/// What an introduction of the same session has overtaken still counts.
#[test]
fn a_message_that_a_second_introduction_overtakes_is_believed() {
    let (mut a, mut b) = (Board::new(1, 1), Board::new(2, 2));
    a.meet(at(0), &mut b);
    let overtaken = b.vote();
    a.meet(at(5_000), &mut b);
    assert_eq!(a.judge(at(5_001), b.address, &overtaken).worth, BELIEVED);
    for millis in 5_002..5_006 {
        let again = a.judge(at(millis), b.address, &overtaken);
        assert_eq!(again.worth, REPLAYED, "however often");
    }
}

/// A session begins in the lower half of the counts, and its two last ones are
/// behind all others, the closing one behind the other.
#[test]
fn the_last_words_of_a_session_are_its_last() {
    struct Highest;
    impl Entropy for Highest {
        fn next_u32(&mut self) -> u32 {
            u32::MAX
        }
    }
    let mut sessions = Sessions::default();
    let (_, first) = sessions.next(&mut Highest);
    let (_, resigns) = sessions.last(false, &mut Highest);
    let (_, calls) = sessions.last(true, &mut Highest);
    assert_eq!((first, resigns, calls), (1 << 31, u32::MAX - 1, u32::MAX));
}

#[test]
fn a_call_of_a_client_is_bound_to_this_boards_session() {
    let mut a = Board::new(1, 1);
    let client = Board::new(2, 2);
    let (session, _) = a.sessions.present(&mut a.entropy);
    let trailer = Trailer {
        flags: flag::BOUND,
        epoch: Epoch(3),
        ..Trailer::default()
    };
    let right = client.sign(Text::Call, trailer, Some(session));
    let wrong = client.sign(Text::Call, trailer, Some(session + 1));
    let unbound = client.sign(Text::Call, trailer, None);
    assert_eq!(
        a.judge(at(0), ip(2), &right).worth,
        Worth::Believed { bound: true }
    );
    assert_eq!(a.judge(at(0), ip(2), &wrong).worth, UNVERIFIED);
    assert_eq!(a.judge(at(0), ip(2), &unbound).worth, UNVERIFIED);
}

#[test]
fn what_is_unsigned_counts_for_nothing_but_a_question_is_open_to_all() {
    let mut a = Board::new(1, 1);
    let mut unsigned = |text: &[u8]| a.judge(at(0), ip(2), text);
    assert_eq!(unsigned(b"WHOIS").worth, Worth::Open);
    assert_eq!(
        unsigned(b"VOTE"),
        Verdict {
            worth: Worth::Refused(Refusal::Unsigned),
            ask: None
        }
    );
    assert_eq!(
        unsigned(b"# 10.0.0.2 10").worth,
        Worth::Refused(Refusal::Unsigned)
    );
    let checksummed = wire::build_with_trailer(Text::Whois, Trailer::default(), wire::checksum);
    assert_eq!(unsigned(&checksummed).worth, Worth::Open);
    let checksummed = wire::build_with_trailer(Text::Call, Trailer::default(), wire::checksum);
    assert_eq!(unsigned(&checksummed).worth, UNVERIFIED);
}

#[test]
fn of_a_full_table_the_one_silent_longest_goes() {
    let mut a = Board::new(1, 1);
    let mut first = Board::new(10, 10);
    let mut second = Board::new(11, 11);
    a.meet(at(0), &mut first);
    a.meet(at(1), &mut second);
    for last in 0..SENDERS_MAX as u32 - 2 {
        a.meet(at(2), &mut Board::new(100 + last, u64::from(last)));
    }
    assert_eq!(a.judge(at(3), first.address, &first.vote()).worth, BELIEVED);
    a.meet(at(4), &mut Board::new(9_000, 3));
    assert_eq!(a.sessions.senders.len(), SENDERS_MAX);
    assert!(a.sessions.knows(first.address) && !a.sessions.knows(second.address));
}

#[test]
fn a_session_that_has_counted_to_its_end_begins_another() {
    let mut sessions = Sessions {
        own: Some(Own {
            session: 5,
            counter: LAST_WORDS - 2,
        }),
        ..Sessions::default()
    };
    let mut entropy = Seeded::new(1);
    assert_eq!(sessions.next(&mut entropy), (5, LAST_WORDS - 1));
    assert_eq!(sessions.next(&mut entropy), (6, 1));
    assert_eq!(sessions.present(&mut entropy), (6, 1));
}

#[test]
fn a_witness_and_a_later_epoch_are_statements_not_questions() {
    let (mut a, mut b) = (Board::new(1, 1), Board::new(2, 2));
    a.meet(at(0), &mut b);
    for flags in [flag::WITNESS, flag::LATER_EPOCH] {
        let (session, word) = b.sessions.next(&mut b.entropy);
        let trailer = Trailer {
            flags,
            word,
            ..Trailer::default()
        };
        let unbound = b.sign(Text::Whois, trailer, None);
        let statement = b.sign(Text::Whois, trailer, Some(session));
        assert_eq!(a.judge(at(1), b.address, &unbound).worth, UNVERIFIED);
        assert_eq!(a.judge(at(1), b.address, &statement).worth, BELIEVED);
        assert_eq!(a.judge(at(1), b.address, &statement).worth, REPLAYED);
    }
}
