use super::*;
use crate::election::wire::build;

const FROM: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 9), 2000);

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

fn at(millis: u64) -> Instant {
    Instant::from_micros(1_000_000) + Duration::from_millis(millis)
}

fn sent(question: &mut Question) -> Option<Datagram> {
    question.poll_transmit().map(|out| out.bytes)
}

fn answer(name: &str, address: &str) -> Datagram {
    let address = ip(address);
    build(
        Text::Answer {
            name: name.as_bytes(),
            address,
        },
        false,
    )
}

fn vote(address: &str, vote: u8) -> Datagram {
    let address = ip(address);
    build(Text::Vote(Rank { vote, address }), false)
}

fn master(name: &str, address: &str) -> Option<Heard> {
    Some(Heard::Master {
        name: name.into(),
        address: ip(address),
        standing: None,
    })
}

fn heard_vote(address: &str, vote: u8) -> Option<Heard> {
    let address = ip(address);
    Some(Heard::Vote(Rank { vote, address }))
}

/// Lets time pass until the question is over; gives what was sent, and when.
fn run_out(question: &mut Question) -> Vec<(Instant, Datagram)> {
    let mut sent = Vec::new();
    let mut now = at(0);
    for _ in 0..10 {
        sent.extend(question.poll_transmit().map(|out| (now, out.bytes)));
        match question.poll_timeout() {
            None => return sent,
            Some(due) => {
                assert!(due > now, "a timer that does not move: {due:?}");
                now = due;
                question.handle_timeout(now);
            }
        }
    }
    panic!("the question never ends");
}

#[test]
fn whois_ends_200_ms_behind_the_first_answer() {
    let mut question = Question::whois(at(0), TIMEOUT, true);
    assert_eq!(sent(&mut question), Some(build(Text::Whois, true)));
    assert_eq!(question.poll_transmit(), None);
    assert_eq!(
        question.handle_datagram(at(3), FROM, &answer("Peter", "10.3.52.2")),
        master("Peter", "10.3.52.2")
    );
    assert_eq!(question.poll_timeout(), Some(at(203)));
    question.handle_timeout(at(202));
    assert!(question.poll_timeout().is_some(), "not before its time");
    question.handle_timeout(at(203));
    assert_eq!(question.poll_timeout(), None);
    assert_eq!(question.poll_transmit(), None, "one question was enough");
    assert_eq!(question.verdict(), Verdict::One(ip("10.3.52.2")));
}

#[test]
fn whois_asks_three_times_in_1200_ms_of_silence() {
    let mut question = Question::whois(at(0), TIMEOUT, false);
    let sent = run_out(&mut question);
    let whois = build(Text::Whois, false);
    assert_eq!(sent, [(at(0), whois), (at(400), whois), (at(800), whois)]);
    assert_eq!(question.verdict(), Verdict::Nobody);
}

#[test]
fn a_question_that_slept_too_long_is_over_without_a_storm() {
    let mut question = Question::whois(at(0), TIMEOUT, true);
    assert!(question.poll_transmit().is_some());
    question.handle_timeout(at(5_000));
    assert_eq!(question.poll_transmit(), None);
    assert_eq!(question.poll_timeout(), None);
}

#[test]
fn questions_missed_in_a_short_sleep_are_not_made_up_for() {
    let mut question = Question::whois(at(0), TIMEOUT, true);
    assert!(question.poll_transmit().is_some());
    question.handle_timeout(at(900));
    assert!(question.poll_transmit().is_some());
    assert_eq!(question.poll_timeout(), Some(at(1_200)));
}

#[test]
fn any_time_out_ends() {
    for micros in [1, 2, 3, 1_000, 60_000_000] {
        let mut question = Question::whois(at(0), Duration::from_micros(micros), true);
        assert!(run_out(&mut question).len() <= 3);
        assert_eq!(question.verdict(), Verdict::Nobody);
    }
}

#[test]
fn a_second_master_is_heard_but_the_same_one_is_no_second() {
    let mut question = Question::whois(at(0), TIMEOUT, true);
    let first = answer("Peter", "10.3.52.2");
    assert!(question.handle_datagram(at(1), FROM, &first).is_some());
    assert_eq!(question.handle_datagram(at(2), FROM, &first), None);
    assert_eq!(question.verdict(), Verdict::One(ip("10.3.52.2")));
    assert_eq!(
        question.handle_datagram(at(150), FROM, &answer("Paul", "10.3.52.9")),
        master("Paul", "10.3.52.9")
    );
    assert_eq!(question.verdict(), Verdict::Several);
    assert_eq!(
        question.poll_timeout(),
        Some(at(201)),
        "a second one costs no more time"
    );
}

#[test]
fn what_is_no_answer_changes_nothing() {
    let mut question = Question::whois(at(0), TIMEOUT, true);
    for bytes in [
        &b""[..],
        b"\0",
        b"WHOIS\n",
        b"VOTE",
        b"! 10.3.52.2 7",
        b"Peter is the master",
        b"Peter on board 999.1.1.1 is the master",
        b"Peter on board 10.3.52.2 is the master\0 for now\xff"
            .split_at(20)
            .0,
        &[0xff; 2_000],
    ] {
        assert_eq!(question.handle_datagram(at(1), FROM, bytes), None);
    }
    assert_eq!(question.verdict(), Verdict::Nobody);
    assert_eq!(question.poll_timeout(), Some(at(400)));
}

#[test]
fn an_old_programs_long_answer_is_read_beyond_40_bytes() {
    let mut question = Question::whois(at(0), TIMEOUT, true);
    let mut bytes = b"Old Gold the Third on board 128.206.19.123 is the master\n".to_vec();
    bytes.resize(256, 0);
    assert_eq!(
        question.handle_datagram(at(1), FROM, &bytes),
        master("Old Gold the Third", "128.206.19.123")
    );
}

#[test]
fn a_name_cannot_play_with_the_terminal() {
    let mut question = Question::whois(at(0), TIMEOUT, true);
    assert_eq!(
        question.handle_datagram(
            at(1),
            FROM,
            b"\x1b[2J\x07\xff on board 10.0.0.1 is the master"
        ),
        master("\u{fffd}[2J\u{fffd}\u{fffd}", "10.0.0.1")
    );
}

#[test]
fn vote_shows_the_votes_then_asks_then_tells_the_master() {
    let mut question = Question::vote(at(0), TIMEOUT, true);
    assert_eq!(sent(&mut question), Some(build(Text::Call, true)));
    assert_eq!(
        question.handle_datagram(at(1), FROM, &vote("10.3.52.2", 7)),
        heard_vote("10.3.52.2", 7)
    );
    assert_eq!(
        question.handle_datagram(at(2), FROM, &vote("10.3.52.9", 9)),
        heard_vote("10.3.52.9", 9)
    );
    // The answer to somebody else's question is not ours.
    assert_eq!(
        question.handle_datagram(at(3), FROM, &answer("Last", "10.3.52.4")),
        None
    );
    assert_eq!(question.poll_timeout(), Some(at(152)));
    question.handle_timeout(at(152));
    assert_eq!(sent(&mut question), Some(build(Text::Whois, true)));
    assert_eq!(
        question.handle_datagram(at(153), FROM, &answer("Peter", "10.3.52.9")),
        master("Peter", "10.3.52.9")
    );
    question.handle_timeout(at(353));
    assert_eq!(question.poll_timeout(), None);
    assert_eq!(question.verdict(), Verdict::One(ip("10.3.52.9")));
    assert_eq!(question.highest().unwrap().address, ip("10.3.52.9"));
    assert_eq!(question.votes().len(), 2);
}

#[test]
fn a_call_is_never_repeated() {
    let mut question = Question::vote(at(0), TIMEOUT, true);
    let sent = run_out(&mut question);
    let whois = build(Text::Whois, true);
    assert_eq!(
        sent,
        [
            (at(0), build(Text::Call, true)),
            (at(400), whois),
            (at(800), whois),
            (at(1_200), whois),
        ]
    );
    assert_eq!(question.verdict(), Verdict::Nobody);
    assert_eq!(question.highest(), None);
}

#[test]
fn votes_without_end_do_not_keep_the_question_from_being_asked() {
    let mut question = Question::vote(at(0), TIMEOUT, true);
    assert!(question.poll_transmit().is_some());
    for millis in (0..1_000).step_by(100) {
        let number = (millis / 100) as u8 % 10 + 1;
        assert!(
            question
                .handle_datagram(at(millis), FROM, &vote("10.0.0.1", number))
                .is_some()
        );
        question.handle_timeout(at(millis));
    }
    assert_eq!(question.poll_timeout(), Some(at(1_000)));
    assert_eq!(question.votes().len(), 1, "the last vote of an address");
    assert_eq!(question.highest().unwrap().vote, 10);
}

#[test]
fn a_repeated_vote_is_no_news_and_a_flood_is_not_kept() {
    let mut question = Question::vote(at(0), TIMEOUT, true);
    assert!(
        question
            .handle_datagram(at(1), FROM, &vote("10.0.0.1", 3))
            .is_some()
    );
    assert_eq!(
        question.handle_datagram(at(1), FROM, &vote("10.0.0.1", 3)),
        None
    );
    for number in 0..100_000u32 {
        let address = Ipv4Addr::from(0x0b00_0001 + number).to_string();
        let _ = question.handle_datagram(at(2), FROM, &vote(&address, 5));
    }
    assert_eq!(question.votes().len(), VOTES_KEPT);
    question.handle_timeout(at(1_000));
    for number in 0..1_000u32 {
        let address = Ipv4Addr::from(0x0b00_0001 + number).to_string();
        let _ = question.handle_datagram(at(1_001), FROM, &answer("x", &address));
    }
    assert_eq!(question.masters.len(), MASTERS_KEPT);
    assert_eq!(question.verdict(), Verdict::Several);
}

fn sealed_vote(address: &str, vote: u8, epoch: u32) -> Datagram {
    let rank = Rank {
        vote,
        address: ip(address),
    };
    let trailer = wire::Trailer {
        epoch: Epoch(epoch),
        ..wire::Trailer::default()
    };
    wire::build_with_trailer(Text::Vote(rank), trailer, wire::checksum)
}

/// A master that is asked says its vote again where that may mend something.
#[test]
fn behind_the_answer_no_vote_of_an_earlier_round_is_shown() {
    let mend = sealed_vote("10.3.52.2", 7, 4);
    for voted in [false, true] {
        let mut question = Question::vote(at(0), TIMEOUT, true);
        if voted {
            let vote = sealed_vote("10.3.52.9", 3, 5);
            let heard = question.handle_datagram(at(1), FROM, &vote);
            assert_eq!(heard, heard_vote("10.3.52.9", 3));
        }
        question.handle_timeout(question.poll_timeout().unwrap());
        let answer = answer("Peter", "10.3.52.2");
        assert!(question.handle_datagram(at(401), FROM, &answer).is_some());
        assert_eq!(question.handle_datagram(at(402), FROM, &mend), None);
        assert_eq!(question.votes().len(), usize::from(voted));
        let late = sealed_vote("10.3.52.4", 8, 5);
        let heard = question.handle_datagram(at(403), FROM, &late);
        assert_eq!(heard, voted.then(|| heard_vote("10.3.52.4", 8)).flatten());
    }
}
