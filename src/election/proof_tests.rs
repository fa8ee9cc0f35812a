//! Boards that prove what they say, and others that try.

use super::*;
use crate::election::client::{SECOND, TIMEOUT, Verdict};
use crate::election::key::Keyring;
use crate::election::rank::Rank;
use crate::time::Duration;

const FROM: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 2000);
const SESSION: u32 = 77;

fn keys(byte: &str) -> Keys {
    Keys {
        ring: Keyring::parse(&byte.repeat(32)).unwrap(),
        seed: 5,
    }
}

fn now(millis: u64) -> Instant {
    Instant::from_micros(1) + Duration::from_millis(millis)
}

fn text(name: &[u8]) -> Datagram {
    let address = *FROM.ip();
    wire::build(Text::Answer { name, address }, false)
}

fn signed(by: &Keys, text: Text<'_>, trailer: Trailer, bound: u32) -> Datagram {
    wire::build_with_trailer(text, trailer, |signed| by.ring.tag(signed, Some(bound)))
}

fn claim(by: &Keys, nonce: u32) -> Datagram {
    let trailer = Trailer {
        flags: flag::BOUND,
        ..Trailer::default()
    };
    let rank = Rank {
        vote: 7,
        address: *FROM.ip(),
    };
    signed(by, Text::Claim(rank), trailer, nonce)
}

fn nonce_of(sent: &Datagram, by: &Keys) -> u32 {
    let (trailer, tag) = wire::trailer(sent).unwrap();
    assert!(by.ring.verify(wire::signed_part(sent).unwrap(), None, tag));
    trailer.word
}

fn asked() -> (Question, u32) {
    let mut question = Question::whois(now(0), TIMEOUT, true).with_key(now(0), &keys("ab"));
    let sent = question.poll_transmit().unwrap();
    assert_eq!(wire::parse(&sent.bytes), Ok(Text::Whois));
    let nonce = nonce_of(&sent.bytes, &keys("ab"));
    (question, nonce)
}

fn master(standing: Standing) -> Option<Heard> {
    Some(Heard::Master {
        name: "Peter".into(),
        address: *FROM.ip(),
        standing: Some(standing),
    })
}

fn end(question: &mut Question) -> Option<Heard> {
    while let Some(due) = question.poll_timeout() {
        question.handle_timeout(due);
    }
    question.poll_heard()
}

#[test]
fn a_claim_bound_to_the_nonce_verifies_the_text_in_either_order() {
    for text_first in [true, false] {
        let (mut question, nonce) = asked();
        let (one, two) = (text(b"Peter"), claim(&keys("ab"), nonce));
        let order = if text_first { [one, two] } else { [two, one] };
        assert_eq!(question.handle_datagram(now(1), FROM, &order[0]), None);
        let heard = question.handle_datagram(now(1), FROM, &order[1]);
        assert_eq!(heard, master(Standing::Verified));
        assert_eq!(question.handle_datagram(now(2), FROM, &order[0]), None);
        assert_eq!(question.handle_datagram(now(2), FROM, &order[1]), None);
        assert_eq!(end(&mut question), None);
        assert_eq!(question.verdict(), Verdict::One(*FROM.ip()));
    }
}

#[test]
fn a_standing_is_told_in_a_word() {
    let all = [Standing::Verified, Standing::Unsigned, Standing::Forged];
    assert_eq!(all.map(Standing::name), ["verified", "unsigned", "forged"]);
}

#[test]
fn a_text_alone_is_unsigned_and_does_not_count() {
    let (mut question, _) = asked();
    assert_eq!(
        question.handle_datagram(now(1), FROM, &text(b"Peter")),
        None
    );
    assert_eq!(end(&mut question), master(Standing::Unsigned));
    assert_eq!(question.verdict(), Verdict::Nobody);
}

#[test]
fn two_that_prove_nothing_are_both_told_and_each_once() {
    let (mut question, _) = asked();
    let other = Text::Answer {
        name: b"Paul",
        address: Ipv4Addr::new(10, 0, 0, 3),
    };
    let other = wire::build(other, true);
    for answer in [text(b"Peter"), other, text(b"Peter")] {
        question.handle_datagram(now(1), FROM, &answer);
    }
    assert_eq!(end(&mut question), master(Standing::Unsigned));
    let second = question.poll_heard();
    assert!(matches!(second, Some(Heard::Master { name, .. }) if name == "Paul"));
    assert_eq!(question.poll_heard(), None);
}

#[test]
fn a_wrong_key_and_an_old_nonce_are_forged() {
    for key in ["cd", "ab"] {
        let (mut question, nonce) = asked();
        question.handle_datagram(now(1), FROM, &text(b"Peter"));
        let nonce = nonce ^ u32::from(key == "ab");
        question.handle_datagram(now(1), FROM, &claim(&keys(key), nonce));
        assert_eq!(end(&mut question), master(Standing::Forged));
        assert_eq!(question.verdict(), Verdict::Nobody);
    }
}

/// What a master claims to all is signed for its session: no proof, and no
/// forgery either.
#[test]
fn a_claim_to_all_says_nothing_of_an_answer() {
    let (mut question, _) = asked();
    let asked_at = question.poll_timeout();
    question.handle_datagram(now(1), FROM, &text(b"Peter"));
    assert_eq!(question.poll_timeout(), Some(now(1) + SECOND));
    assert_ne!(question.poll_timeout(), asked_at);
    let rank = Rank {
        vote: 7,
        address: *FROM.ip(),
    };
    let to_all = signed(&keys("ab"), Text::Claim(rank), Trailer::default(), SESSION);
    question.handle_datagram(now(2), FROM, &to_all);
    assert_eq!(end(&mut question), master(Standing::Unsigned));
}

#[test]
fn a_forger_that_is_faster_does_not_hide_the_master() {
    let (mut question, nonce) = asked();
    question.handle_datagram(now(1), FROM, &text(b"Peter"));
    question.handle_datagram(now(1), FROM, &claim(&keys("cd"), nonce));
    let heard = question.handle_datagram(now(2), FROM, &claim(&keys("ab"), nonce));
    assert_eq!(heard, master(Standing::Verified));
}

#[test]
fn a_call_goes_to_a_board_that_introduces_itself() {
    let mut question = Question::vote(now(0), TIMEOUT, true).with_key(now(0), &keys("ab"));
    let greeting = question.poll_transmit().unwrap();
    assert_eq!(wire::parse(&greeting.bytes), Ok(Text::Whois));
    let nonce = nonce_of(&greeting.bytes, &keys("ab"));
    let trailer = Trailer {
        flags: flag::BOUND | flag::INTRODUCE,
        epoch: Epoch(9),
        word: 3,
        about: Some(Ipv4Addr::from(SESSION)),
    };
    let forged = signed(&keys("cd"), Text::Whois, trailer, nonce);
    let due = question.poll_timeout();
    question.handle_datagram(now(1), FROM, &forged);
    assert!(!question.met_somebody());
    assert_eq!(
        (question.poll_timeout(), question.poll_transmit()),
        (due, None)
    );
    let right = signed(&keys("ab"), Text::Whois, trailer, nonce);
    question.handle_datagram(now(1), FROM, &right);
    question.handle_timeout(question.poll_timeout().unwrap());
    let call = question.poll_transmit().unwrap();
    assert_eq!(call.to, Some(FROM));
    assert_eq!(wire::parse(&call.bytes), Ok(Text::Call));
    let (fields, tag) = wire::trailer(&call.bytes).unwrap();
    assert_eq!((fields.epoch, fields.flags), (Epoch(9), flag::BOUND));
    let part = wire::signed_part(&call.bytes).unwrap();
    assert!(keys("ab").ring.verify(part, Some(SESSION), tag));
    question.handle_datagram(now(2), FROM, &right);
    assert_eq!(question.poll_transmit(), None, "one call");
    let rank = Rank {
        vote: 4,
        address: *FROM.ip(),
    };
    let vote = Text::Vote(rank);
    let unsigned = wire::build(vote, false);
    assert_eq!(question.handle_datagram(now(3), FROM, &unsigned), None);
    let mut trailer = Trailer {
        epoch: Epoch(9),
        ..Trailer::default()
    };
    let earlier = signed(&keys("ab"), vote, trailer, SESSION);
    assert_eq!(question.handle_datagram(now(3), FROM, &earlier), None);
    trailer.epoch = Epoch(10);
    let right = signed(&keys("ab"), vote, trailer, SESSION);
    let heard = question.handle_datagram(now(3), FROM, &right);
    assert_eq!(heard, Some(Heard::Vote(rank)));
    assert!(question.met_somebody());
    assert_eq!(question.proof.as_ref().unwrap().sessions.len(), 1);
}

/// A board that has just started, or is behind for another reason, would begin
/// a round that the others have had: the latest one is called upon, of those who
/// come within 50 ms.
#[test]
fn of_those_who_come_the_one_in_the_latest_round_is_called_upon() {
    let other = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 3), 2000);
    for (first, second) in [(0, None), (0, Some(9)), (7, Some(9)), (9, Some(7))] {
        let mut question = Question::vote(now(0), TIMEOUT, true).with_key(now(0), &keys("ab"));
        let nonce = nonce_of(&question.poll_transmit().unwrap().bytes, &keys("ab"));
        let mut introduction = Trailer {
            flags: flag::BOUND | flag::INTRODUCE,
            epoch: Epoch(first),
            word: 0,
            about: Some(Ipv4Addr::from(SESSION)),
        };
        let introduced = signed(&keys("ab"), Text::Whois, introduction, nonce);
        question.handle_datagram(now(1), FROM, &introduced);
        assert_eq!(question.poll_transmit(), None);
        introduction.epoch = Epoch(second.unwrap_or(0));
        let introduced = signed(&keys("ab"), Text::Whois, introduction, nonce);
        if second.is_some() {
            question.handle_datagram(now(20), other, &introduced);
        }
        assert_eq!(question.poll_timeout(), Some(now(51)));
        question.handle_timeout(now(51));
        let call = question.poll_transmit().unwrap();
        let epoch = wire::trailer(&call.bytes).unwrap().0.epoch;
        let expected = match second {
            Some(second) if second > first => (Some(other), Epoch(second)),
            _ => (Some(FROM), Epoch(first)),
        };
        assert_eq!((call.to, epoch), expected);
    }
}

#[test]
fn a_vote_that_overtakes_its_introduction_counts_once_that_comes() {
    let other = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 3), 2000);
    let mut question = Question::vote(now(0), TIMEOUT, true).with_key(now(0), &keys("ab"));
    let nonce = nonce_of(&question.poll_transmit().unwrap().bytes, &keys("ab"));
    let introduction = Trailer {
        flags: flag::BOUND | flag::INTRODUCE,
        epoch: Epoch(9),
        word: 3,
        about: Some(Ipv4Addr::from(SESSION)),
    };
    let introduction = signed(&keys("ab"), Text::Whois, introduction, nonce);
    question.handle_datagram(now(1), FROM, &introduction);
    question.handle_timeout(now(51));
    let rank = Rank {
        vote: 4,
        address: *other.ip(),
    };
    let trailer = Trailer {
        epoch: Epoch(10),
        ..Trailer::default()
    };
    for session in [SESSION, SESSION + 1] {
        let vote = signed(&keys("ab"), Text::Vote(rank), trailer, session);
        assert_eq!(question.handle_datagram(now(52), other, &vote), None);
    }
    question.handle_datagram(now(53), other, &introduction);
    assert_eq!(question.poll_heard(), Some(Heard::Vote(rank)));
    assert_eq!(question.poll_heard(), None, "the forged one never counts");
}

#[test]
fn where_nobody_has_the_key_nobody_is_called() {
    let mut question = Question::vote(now(0), TIMEOUT, true).with_key(now(0), &keys("ab"));
    let mut sent = 0;
    while let Some(due) = question.poll_timeout() {
        let out = question.poll_transmit();
        sent += usize::from(out.is_some());
        assert!(out.is_none_or(|out| wire::parse(&out.bytes) == Ok(Text::Whois)));
        question.handle_timeout(due);
    }
    assert_eq!(sent, 3);
    assert!(!question.met_somebody());
}

/// A board with failover tells its vote of the moment behind its introduction:
/// that is the last round's, unless another's call came first.
#[test]
fn a_vote_from_before_the_call_counts_only_if_it_is_of_a_later_round() {
    for epoch in [8, 9, 10] {
        let mut question = Question::vote(now(0), TIMEOUT, true).with_key(now(0), &keys("ab"));
        let nonce = nonce_of(&question.poll_transmit().unwrap().bytes, &keys("ab"));
        let mut trailer = Trailer {
            flags: flag::BOUND | flag::INTRODUCE,
            epoch: Epoch(9),
            word: 3,
            about: Some(Ipv4Addr::from(SESSION)),
        };
        let introduction = signed(&keys("ab"), Text::Whois, trailer, nonce);
        let rank = Rank {
            vote: 4,
            address: *FROM.ip(),
        };
        trailer = Trailer {
            epoch: Epoch(epoch),
            ..Trailer::default()
        };
        let vote = signed(&keys("ab"), Text::Vote(rank), trailer, SESSION);
        let forged = Rank { vote: 9, ..rank };
        let forged = signed(&keys("cd"), Text::Vote(forged), trailer, SESSION);
        for bytes in [vote, introduction, vote, forged] {
            assert_eq!(question.handle_datagram(now(1), FROM, &bytes), None);
        }
        question.handle_timeout(now(51));
        let later = (epoch > 9).then_some(Heard::Vote(rank));
        assert_eq!(question.poll_heard(), later, "round {epoch}");
        assert_eq!(question.poll_heard(), None);
        assert_eq!(question.votes().len(), usize::from(epoch > 9));
    }
}
