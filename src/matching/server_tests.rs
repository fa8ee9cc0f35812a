//! A server before trackers of both kinds, and without one.

use super::*;
use crate::matching::lab::CENTRAL;
use crate::matching::link::{CONNECT_TIME, WAIT_MAX};
use crate::matching::script::{NOTHING, Script};
use core::net::Ipv4Addr;

fn server(number: Option<u8>, place: Place, zeal: Zeal) -> Script<Server> {
    Script::new(Server::new(Options {
        name: "S1".into(),
        number: number.and_then(Number::new),
        place,
        zeal,
        quiet: true,
    }))
}

/// A server with a number, connected as peer 1.
fn started(number: u8) -> Script<Server> {
    let mut script = server(Some(number), Place::At(CENTRAL), Zeal::Return);
    assert_eq!(script.start(), ["connect 127.0.0.1:8080"]);
    assert_eq!(script.up(1), ["1 < HELLO S1|"]);
    script
}

#[test]
fn before_an_own_tracker_it_answers_everything_at_once() {
    let mut script = started(3);
    assert_eq!(script.hear(1, "TRCK 1|"), NOTHING);
    assert_eq!(
        script.hear(1, "SRCH 3|SRCH 4|SRCH 10|SRCH 3|"),
        ["1 < MTCH |", "1 < NONE |", "1 < NONE |", "1 < MTCH |"]
    );
    assert_eq!(script.hear(1, "SRCH 11|SRCH |XYZ|"), NOTHING);
    assert_eq!(script.role.deadline(), None, "at rest");
}

/// An existing tracker loses what comes within 50 ms, and knows no `NONE`.
#[test]
fn before_an_existing_tracker_it_waits_and_never_says_none() {
    let mut script = started(3);
    assert_eq!(script.hear(1, "SRCH 4|SRCH 3|"), NOTHING);
    assert_eq!(script.wait(), (100, vec!["1 < MTCH |".into()]));
    assert_eq!(script.role.deadline(), None);
    for _ in 0..HELD_BACK_MAX + 10 {
        assert_eq!(script.hear(1, "SRCH 3|"), NOTHING);
    }
    assert_eq!(script.wait().1.len(), HELD_BACK_MAX);
}

#[test]
fn an_answer_held_back_dies_with_its_connection() {
    let mut script = started(3);
    script.hear(1, "SRCH 3|");
    script.lose(1);
    let mut told = Vec::new();
    while told.is_empty() {
        told = script.wait().1;
    }
    assert_eq!(told, ["connect 127.0.0.1:8080"]);
    script.up(2);
    assert_eq!(script.role.deadline(), None);
}

#[test]
fn a_lost_tracker_is_looked_for_with_longer_and_longer_waits() {
    let mut script = started(3);
    script.hear(1, "TRCK 1|");
    let told = script.lose(1);
    assert_eq!(
        told,
        ["S1: the connection to Central is lost; trying again"]
    );
    let mut waits = Vec::new();
    for _ in 0..10 {
        let (waited, told) = script.wait();
        assert_eq!(told, ["connect 127.0.0.1:8080"]);
        waits.push(waited);
        assert_eq!(script.refuse(), NOTHING, "said once");
    }
    let mut longest = 200;
    for (i, waited) in waits.iter().enumerate() {
        assert!(
            (longest / 2..=longest).contains(waited),
            "wait {i}: {waits:?}"
        );
        longest = (longest * 2).min(WAIT_MAX.micros() / 1_000);
    }
    assert_ne!(waits[8], waits[9], "a part is drawn");
}

#[test]
fn the_number_is_drawn_once_whatever_becomes_of_the_tracker() {
    let mut script = server(None, Place::At(CENTRAL), Zeal::Return);
    script.start();
    script.up(1);
    let number = script.role.number;
    assert!(number.is_some());
    for peer in 2..20 {
        script.half_close(peer - 1);
        script.wait();
        script.up(peer);
        assert_eq!(script.role.number, number);
    }
}

#[test]
fn a_moved_tracker_is_found_at_the_new_master() {
    let mut script = server(Some(3), Place::Master { port: 8080 }, Zeal::Return);
    assert_eq!(script.start(), ["FindMaster"]);
    let first = Some(Ipv4Addr::new(10, 0, 0, 1));
    assert_eq!(
        script.tell(Event::Master { address: first }),
        ["connect 10.0.0.1:8080"]
    );
    script.up(1);
    script.hear(1, "TRCK 1|");
    script.lose(1);
    assert_eq!(script.wait().1, ["FindMaster"]);
    assert_eq!(script.tell(Event::Master { address: None }), NOTHING);
    assert_eq!(script.wait().1, ["FindMaster"], "elections take time");
    let second = Some(Ipv4Addr::new(10, 0, 0, 2));
    assert_eq!(
        script.tell(Event::Master { address: second }),
        ["connect 10.0.0.2:8080"]
    );
    script.up(2);
}

#[test]
fn a_tracker_that_is_not_there_is_the_end_unless_told_to_wait() {
    let mut script = server(Some(3), Place::At(CENTRAL), Zeal::Return);
    script.start();
    assert_eq!(
        script.refuse(),
        [
            "S1: no tracker at 127.0.0.1:8080: connection refused; start \
             `boardroom match tracker` there, or give --server, or --wait",
            "exit 4"
        ]
    );
    let mut script = server(Some(3), Place::At(CENTRAL), Zeal::Wait);
    script.start();
    assert_eq!(
        script.refuse(),
        ["S1: no tracker at 127.0.0.1:8080: connection refused; trying again"]
    );
    assert_eq!(script.wait().1, ["connect 127.0.0.1:8080"]);
    let mut script = server(Some(3), Place::Master { port: 1 }, Zeal::Return);
    script.start();
    let told = script.tell(Event::Master { address: None });
    assert!(told[0].starts_with("no master answered"), "{told:?}");
}

/// A host that is switched off answers nothing, not even a refusal.
#[test]
fn a_connection_that_does_not_come_is_given_up() {
    let mut script = server(Some(3), Place::At(CENTRAL), Zeal::Wait);
    script.start();
    let (waited, told) = script.wait();
    assert_eq!(waited, CONNECT_TIME.micros() / 1_000);
    assert_eq!(
        told,
        ["S1: no tracker at 127.0.0.1:8080: no answer; trying again"]
    );
    assert_eq!(script.up(7), ["7 closed"], "it comes too late");
}

#[test]
fn a_refusal_is_the_end_at_first_and_tried_again_later() {
    let mut script = started(3);
    assert_eq!(
        script.hear(1, "FAIL name taken|"),
        [
            "1 closed",
            "S1: Central refuses: name taken; give another name",
            "exit 4"
        ]
    );
    let mut script = started(3);
    assert_eq!(
        script.hear(1, "TRCK 1|FAIL x\x1b[2J|SRCH 3|"),
        ["1 closed", "S1: x\\x1b[2J; trying again"],
        "the tracker may not have noticed that the old connection is gone"
    );
    assert_eq!(script.wait().1, ["connect 127.0.0.1:8080"]);
}

#[test]
fn a_tracker_that_talks_nonsense_is_left() {
    let mut script = started(3);
    assert_eq!(script.hear(1, "\u{ff}|XYZ|MTCH |"), NOTHING);
    assert_eq!(script.hear(1, &"x".repeat(FRAME_MAX + 1))[0], "1 closed");
}

#[test]
fn it_ends_when_told_to() {
    let mut script = started(3);
    assert_eq!(script.tell(Event::Stop), ["exit 0"]);
    let mut script = server(Some(3), Place::At(CENTRAL), Zeal::Once(0));
    script.start();
    script.up(1);
    assert_eq!(script.half_close(1), ["1 closed", "exit 0"]);
}

#[test]
fn only_its_own_tracker_is_answered() {
    let mut script = started(3);
    script.hear(1, "TRCK 1|");
    assert_eq!(script.hear(2, "SRCH 3|"), NOTHING);
    assert_eq!(script.hear(1, "SRCH 3|"), ["1 < MTCH |"]);
}
