//! The examiner before our own board, and before boards that do one thing wrong.

use super::*;
use crate::election::{Board, Config, Network};
use crate::rng::Seeded;
use core::net::SocketAddrV4;

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 3, 52, 9);
const JUDGE: Ipv4Addr = Ipv4Addr::new(10, 3, 52, 1);
const ALL: Ipv4Addr = Ipv4Addr::new(10, 3, 52, 255);

/// What a board does with what it sends, and with what it hears.
struct Fault {
    hears: fn(&[u8]) -> bool,
    says: fn(&mut Vec<u8>),
}

const NO_FAULT: Fault = Fault {
    hears: |_| true,
    says: |_| {},
};

/// Examines our core behind a fault; the titles of what was wrong.
fn examine(fault: &Fault) -> Vec<&'static str> {
    let mut now = Instant::from_micros(1);
    let mut board = Board::new(Config {
        name: "Peter".into(),
        ..Config::default()
    });
    board.handle_network(
        now,
        Some(Network {
            address: ADDRESS,
            broadcast: ALL,
        }),
    );
    let (mut entropy, mut wrong) = (Seeded::new(5), Vec::new());
    let mut examiner = Examiner::new(now, ADDRESS);
    while let Some(until) = examiner.poll_timeout() {
        while let Some(saying) = examiner.poll_saying() {
            let port = if saying.mouth == Mouth::Port {
                2000
            } else {
                5000
            };
            if (fault.hears)(&saying.bytes) {
                board.handle_datagram(
                    now,
                    SocketAddrV4::new(JUDGE, port),
                    &saying.bytes,
                    &mut entropy,
                );
            }
        }
        now = board
            .poll_timeout()
            .map_or(until, |due| due.min(until))
            .max(now);
        if board.poll_timeout().is_some_and(|due| due <= now) {
            board.handle_timeout(now, &mut entropy);
        }
        while let Some(transmit) = board.poll_transmit() {
            let mut bytes = transmit.bytes.to_vec();
            (fault.says)(&mut bytes);
            examiner.handle_datagram(ADDRESS, transmit.to.port() == 2000, &bytes);
        }
        examiner.handle_timeout(now);
        while let Some(finding) = examiner.poll_finding() {
            if finding.grade != Grade::Right {
                assert!(!finding.why.is_empty());
                wrong.push(finding.title);
            }
        }
    }
    wrong
}

#[test]
fn our_own_board_is_right_throughout() {
    assert_eq!(examine(&NO_FAULT), Vec::<&str>::new());
}

#[test]
fn a_board_that_needs_the_newline_is_told_so() {
    let wrong = examine(&Fault {
        hears: |bytes| bytes != b"VOTE" && bytes != b"WHOIS",
        ..NO_FAULT
    });
    assert_eq!(
        wrong,
        [
            "VOTE bare, 4 bytes: one vote",
            "WHOIS bare, 5 bytes: answered"
        ]
    );
}

#[test]
fn a_board_deaf_to_votes_is_never_beaten() {
    let wrong = examine(&Fault {
        hears: |bytes| !bytes.starts_with(b"#"),
        ..NO_FAULT
    });
    assert!(
        wrong.contains(&"a higher vote after its own: it is slave and silent"),
        "{wrong:?}"
    );
    assert!(wrong.contains(&"the same number from a higher address: it is slave (10 is above 9)"));
    assert!(!wrong.contains(&"a lower vote after its own: it is master"));
}

#[test]
fn a_short_vote_is_advised_against() {
    let wrong = examine(&Fault {
        says: |bytes| bytes.truncate(14),
        ..NO_FAULT
    });
    assert!(wrong.contains(&"the vote fills 40 bytes, so that nobody reads an old buffer's rest"));
}

#[test]
fn a_board_that_always_votes_the_same_is_found() {
    let seven: fn(&mut Vec<u8>) = |bytes| {
        if bytes.starts_with(b"# ") {
            *bytes = b"# 10.3.52.9 7".to_vec();
            bytes.resize(40, 0);
        }
    };
    assert!(
        examine(&Fault {
            says: seven,
            ..NO_FAULT
        })
        .contains(&"the numbers are drawn by chance")
    );
}

#[test]
fn the_higher_neighbour_is_lower_as_text_where_there_is_one() {
    for (board, expected) in [
        ("10.0.0.9", "10.0.0.10"),
        ("10.0.0.2", "10.0.0.10"),
        ("10.0.0.254", "10.0.1.0"),
    ] {
        assert_eq!(
            above(board.parse().unwrap()),
            expected.parse::<Ipv4Addr>().unwrap()
        );
    }
    assert_eq!(below(ADDRESS), Ipv4Addr::new(10, 3, 52, 8));
}

/// What was heard is told as it reads, with its length where zeros follow.
#[test]
fn what_was_heard_is_shown_with_its_length() {
    for (bytes, expected) in [
        (&b"# 10.0.0.1 7"[..], "\"# 10.0.0.1 7\""),
        (b"VOTE\0\0\0", "\"VOTE\", 7 bytes in all"),
        (b"", "\"\""),
    ] {
        assert_eq!(shown(bytes), expected);
    }
    assert_eq!(last(&[]), "");
}

const VOTE: &[u8] = b"# 10.3.52.9 7";
const ANSWER: &[u8] = b"Peter on board 10.3.52.9 is the master";

/// What an expectation finds in what was heard: at the election's port or not.
fn finds(expect: Expect, asked_from: Mouth, heard: &[(bool, &[u8])]) -> Result<(), String> {
    let mut examiner = Examiner::new(Instant::ZERO, ADDRESS);
    examiner.asked_from = asked_from;
    for &(at_port, bytes) in heard {
        examiner.handle_datagram(ADDRESS, at_port, bytes);
    }
    examiner.hold_against(expect)
}

/// Each fault of a vote has its own words, which name what came.
#[test]
fn a_vote_goes_to_the_port_and_names_its_board() {
    for (heard, expected) in [
        (&[(true, VOTE)][..], ""),
        (&[(true, VOTE), (true, VOTE), (true, ANSWER)], ""),
        (&[], "no vote came"),
        (&[(true, ANSWER)], "no vote came"),
        (
            &[(true, VOTE), (true, b"# 10.3.52.9 8")],
            "two votes came, \"# 10.3.52.9 7\" and \"# 10.3.52.9 8\"",
        ),
        (
            &[(false, VOTE)],
            "the vote went to the asker's port, where no other board hears it: \
             \"# 10.3.52.9 7\"",
        ),
        (
            &[(true, b"# 10.3.52.8 7")],
            "the vote names another address than 10.3.52.9: \"# 10.3.52.8 7\"",
        ),
        (
            &[(false, b"# 10.3.52.8 7")],
            "the vote names another address than 10.3.52.9: \"# 10.3.52.8 7\"",
        ),
        (
            &[(true, b"# 10.3.52.9 11")],
            "no vote from 1 to 10 in the form `# IP N`: \"# 10.3.52.9 11\"",
        ),
    ] {
        let found = finds(Expect::OneVote, Mouth::Port, heard);
        assert_eq!(found.err().unwrap_or_default(), expected);
    }
}

/// The same of an answer, which goes to the port that asked.
#[test]
fn an_answer_goes_to_the_port_that_asked_and_names_its_board() {
    let (port, other) = (Mouth::Port, Mouth::Other);
    for (asked_from, heard, expected) in [
        (port, &[(true, ANSWER)][..], ""),
        (other, &[(false, ANSWER), (true, VOTE)], ""),
        (other, &[], "no answer came"),
        (other, &[(true, VOTE)], "no answer came"),
        (
            port,
            &[(true, b"first"), (true, b"second")],
            "2 answers came, the last: \"second\"",
        ),
        (
            port,
            &[(false, ANSWER)],
            "the answer did not go to the port that asked: \
             \"Peter on board 10.3.52.9 is the master\"",
        ),
        (
            other,
            &[(true, ANSWER)],
            "the answer did not go to the port that asked: \
             \"Peter on board 10.3.52.9 is the master\"",
        ),
        (
            port,
            &[(true, b"Peter on board 10.3.52.8 is the master")],
            "the answer names another address than 10.3.52.9: \
             \"Peter on board 10.3.52.8 is the master\"",
        ),
        (
            port,
            &[(true, b"me")],
            "no answer of the form `NAME on board IP is the master` in 40 bytes: \"me\"",
        ),
    ] {
        let found = finds(Expect::OneAnswer, asked_from, heard);
        assert_eq!(found.err().unwrap_or_default(), expected);
    }
}

#[test]
fn votes_are_no_answers() {
    let no_answer = |heard: &[(bool, &[u8])]| finds(Expect::NoAnswer, Mouth::Port, heard);
    assert_eq!(no_answer(&[(true, VOTE), (true, b"junk")]), Ok(()));
    let found = no_answer(&[(true, VOTE), (false, ANSWER)]);
    assert!(found.unwrap_err().starts_with("an answer came: \"Peter"));
    assert!(finds(Expect::Silence, Mouth::Port, &[(true, VOTE)]).is_err());
}

/// Once is no proof, and twice is told.
#[test]
fn one_number_is_chance_and_two_alike_are_none() {
    let again: [(bool, &[u8]); 2] = [(true, VOTE), (true, VOTE)];
    let chance = |heard| finds(Expect::Chance, Mouth::Port, heard);
    assert_eq!(chance(&[]), Ok(()));
    assert_eq!(chance(&again[..1]), Ok(()));
    assert_eq!(chance(&again), Err("it voted 7 in all 2 rounds".into()));
    assert_eq!(chance(&[(true, VOTE), (true, b"# 10.3.52.9 8")]), Ok(()));
}

/// Only the board is listened to, and not without end.
#[test]
fn others_are_not_heard_and_a_babbler_not_for_ever() {
    let mut examiner = Examiner::new(Instant::ZERO, ADDRESS);
    examiner.handle_datagram(JUDGE, true, b"# 10.3.52.9 3");
    assert_eq!((examiner.heard.len(), examiner.number), (0, 1));
    for _ in 0..HEARD_MAX + 1 {
        examiner.handle_datagram(ADDRESS, true, VOTE);
    }
    assert_eq!((examiner.heard.len(), examiner.number), (HEARD_MAX, 7));
}

/// A vote below the board's has a lower number, and from 1, which has none
/// below it, a lower address.
#[test]
fn what_the_judge_votes_is_above_or_below_the_board() {
    let mut examiner = Examiner::new(Instant::ZERO, ADDRESS);
    for (number, below) in [
        (1, "# 10.3.52.8 1"),
        (2, "# 10.3.52.10 1"),
        (10, "# 10.3.52.10 9"),
    ] {
        examiner.number = number;
        let mut expected = below.as_bytes().to_vec();
        expected.resize(MESSAGE_LEN, 0);
        assert_eq!(examiner.bytes_of(Words::Below), expected, "{number}");
    }
}

/// It listens for as long as the step says, and rests between two exams.
#[test]
fn listening_and_breaks_take_their_time() {
    let mut examiner = Examiner::new(Instant::ZERO, ADDRESS);
    let listens = Instant::ZERO + Duration::from_millis(super::super::exams::SETTLED_MS);
    assert_eq!(examiner.poll_timeout(), Some(listens));
    examiner.handle_datagram(ADDRESS, true, VOTE);
    examiner.handle_timeout(listens);
    assert_eq!(examiner.poll_finding().unwrap().grade, Grade::Right);
    assert_eq!(examiner.poll_timeout(), Some(listens + BREAK));
}
