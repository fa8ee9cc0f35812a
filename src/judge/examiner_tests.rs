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
