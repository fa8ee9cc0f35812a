//! A server before trackers of both kinds, and without one.

use super::*;
use crate::matching::link::{CONNECT_TIME, WAIT_MAX};
use crate::rng::Seeded;
use core::net::{Ipv4Addr, SocketAddrV4};

const PLACE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8080);

struct Script {
    server: Server,
    now: Instant,
    random: Seeded,
}

impl Script {
    fn new(number: Option<u8>, place: Place, zeal: Zeal) -> Self {
        Self {
            server: Server::new(Options {
                name: "S1".into(),
                number: number.and_then(Number::new),
                place,
                zeal,
                quiet: true,
            }),
            now: Instant::ZERO,
            random: Seeded::new(5),
        }
    }

    fn started(number: u8) -> Self {
        let mut script = Self::new(Some(number), Place::At(PLACE), Zeal::Return);
        assert_eq!(
            script.tell(Event::Start { port: 0 }),
            ["connect 127.0.0.1:8080"]
        );
        script.up(1);
        script
    }

    fn tell(&mut self, event: Event<'_>) -> Vec<String> {
        let mut actions = Vec::new();
        self.server.handle(
            event,
            &mut Turn {
                now: self.now,
                entropy: &mut self.random,
                actions: &mut actions,
            },
        );
        actions.into_iter().map(line).collect()
    }

    fn up(&mut self, peer: u32) {
        let peer = Peer(peer);
        let address = PLACE;
        assert_eq!(self.tell(Event::Opened { peer, address }), ["HELLO S1|"]);
    }

    fn hear(&mut self, frames: &str) -> Vec<String> {
        self.tell(Event::Bytes {
            peer: Peer(1),
            bytes: frames.replace('|', "\0").as_bytes(),
        })
    }

    /// Lets its next timer fire; the milliseconds waited, and what it does.
    fn wait(&mut self) -> (u64, Vec<String>) {
        let due = self.server.deadline().unwrap();
        assert!(due > self.now, "no busy loop");
        let waited = due - self.now;
        self.now = due;
        (waited.micros() / 1_000, self.tell(Event::Timer))
    }
}

fn line(action: Action) -> String {
    match action {
        Action::Write { bytes, .. } => String::from_utf8_lossy(&bytes).replace('\0', "|"),
        Action::Connect { to } => format!("connect {to}"),
        Action::Close { peer } => format!("close {}", peer.0),
        Action::Print(line) | Action::Complain(line) => line,
        Action::Exit(code) => format!("exit {code}"),
        other => format!("{other:?}"),
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn before_an_own_tracker_it_answers_everything_at_once() {
    let mut script = Script::started(3);
    assert_eq!(script.hear("TRCK 1|"), NOTHING);
    assert_eq!(
        script.hear("SRCH 3|SRCH 4|SRCH 10|SRCH 3|"),
        ["MTCH |", "NONE |", "NONE |", "MTCH |"]
    );
    assert_eq!(script.hear("SRCH 11|SRCH |XYZ|"), NOTHING);
    assert_eq!(script.server.deadline(), None, "at rest");
}

/// An existing tracker loses what comes within 50 ms, and knows no `NONE`.
#[test]
fn before_an_existing_tracker_it_waits_and_never_says_none() {
    let mut script = Script::started(3);
    assert_eq!(script.hear("SRCH 4|SRCH 3|"), NOTHING);
    assert_eq!(script.wait(), (100, vec!["MTCH |".into()]));
    assert_eq!(script.server.deadline(), None);
    for _ in 0..HELD_BACK_MAX + 10 {
        assert_eq!(script.hear("SRCH 3|"), NOTHING);
    }
    assert_eq!(script.wait().1.len(), HELD_BACK_MAX);
}

#[test]
fn an_answer_held_back_dies_with_its_connection() {
    let mut script = Script::started(3);
    script.hear("SRCH 3|");
    script.tell(Event::Closed { peer: Peer(1) });
    let mut told = Vec::new();
    while told.is_empty() {
        told = script.wait().1;
    }
    assert_eq!(told, ["connect 127.0.0.1:8080"]);
    script.up(2);
    assert_eq!(script.server.deadline(), None);
}

#[test]
fn a_lost_tracker_is_looked_for_with_longer_and_longer_waits() {
    let mut script = Script::started(3);
    script.hear("TRCK 1|");
    let told = script.tell(Event::Closed { peer: Peer(1) });
    assert_eq!(
        told,
        ["S1: the connection to Central is lost; trying again"]
    );
    let mut waits = Vec::new();
    for _ in 0..10 {
        let (waited, told) = script.wait();
        assert_eq!(told, ["connect 127.0.0.1:8080"]);
        waits.push(waited);
        let (to, why) = (PLACE, "connection refused");
        assert_eq!(
            script.tell(Event::ConnectFailed { to, why }),
            NOTHING,
            "said once"
        );
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
    let mut script = Script::new(None, Place::At(PLACE), Zeal::Return);
    script.tell(Event::Start { port: 0 });
    script.up(1);
    let number = script.server.number;
    assert!(number.is_some());
    for peer in 2..20 {
        script.tell(Event::HalfClosed {
            peer: Peer(peer - 1),
        });
        script.wait();
        script.up(peer);
        assert_eq!(script.server.number, number);
    }
}

#[test]
fn a_moved_tracker_is_found_at_the_new_master() {
    let mut script = Script::new(Some(3), Place::Master { port: 8080 }, Zeal::Return);
    assert_eq!(script.tell(Event::Start { port: 0 }), ["FindMaster"]);
    let first = Some(Ipv4Addr::new(10, 0, 0, 1));
    assert_eq!(
        script.tell(Event::Master { address: first }),
        ["connect 10.0.0.1:8080"]
    );
    script.up(1);
    script.hear("TRCK 1|");
    script.tell(Event::Closed { peer: Peer(1) });
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
    let failed = Event::ConnectFailed {
        to: PLACE,
        why: "connection refused",
    };
    let mut script = Script::new(Some(3), Place::At(PLACE), Zeal::Return);
    script.tell(Event::Start { port: 0 });
    assert_eq!(
        script.tell(failed),
        [
            "S1: no tracker at 127.0.0.1:8080: connection refused; start \
             `boardroom match tracker` there, or give --server, or --wait",
            "exit 4"
        ]
    );
    let mut script = Script::new(Some(3), Place::At(PLACE), Zeal::Wait);
    script.tell(Event::Start { port: 0 });
    assert_eq!(
        script.tell(failed),
        ["S1: no tracker at 127.0.0.1:8080: connection refused; trying again"]
    );
    assert_eq!(script.wait().1, ["connect 127.0.0.1:8080"]);
    let mut script = Script::new(Some(3), Place::Master { port: 1 }, Zeal::Return);
    script.tell(Event::Start { port: 0 });
    let told = script.tell(Event::Master { address: None });
    assert!(told[0].starts_with("no master answered"), "{told:?}");
}

/// A host that is switched off answers nothing, not even a refusal.
#[test]
fn a_connection_that_does_not_come_is_given_up() {
    let mut script = Script::new(Some(3), Place::At(PLACE), Zeal::Wait);
    script.tell(Event::Start { port: 0 });
    let (waited, told) = script.wait();
    assert_eq!(waited, CONNECT_TIME.micros() / 1_000);
    assert_eq!(
        told,
        ["S1: no tracker at 127.0.0.1:8080: no answer; trying again"]
    );
    let late = Event::Opened {
        peer: Peer(7),
        address: PLACE,
    };
    assert_eq!(script.tell(late), ["close 7"], "it comes too late");
}

#[test]
fn a_refusal_is_the_end_at_first_and_tried_again_later() {
    let mut script = Script::started(3);
    assert_eq!(
        script.hear("FAIL name taken|"),
        ["close 1", "S1: Central refuses: name taken", "exit 4"]
    );
    let mut script = Script::started(3);
    assert_eq!(
        script.hear("TRCK 1|FAIL x\x1b[2J|SRCH 3|"),
        ["close 1", "S1: x\\x1b[2J; trying again"],
        "the tracker may not have noticed that the old connection is gone"
    );
    assert_eq!(script.wait().1, ["connect 127.0.0.1:8080"]);
}

#[test]
fn a_tracker_that_talks_nonsense_is_left() {
    let mut script = Script::started(3);
    assert_eq!(script.hear("\u{ff}|XYZ|MTCH |"), NOTHING);
    assert_eq!(script.hear(&"x".repeat(FRAME_MAX + 1))[0], "close 1");
}

#[test]
fn it_ends_when_told_to() {
    let mut script = Script::started(3);
    assert_eq!(script.tell(Event::Stop), ["exit 0"]);
    let mut script = Script::new(Some(3), Place::At(PLACE), Zeal::Once);
    script.tell(Event::Start { port: 0 });
    script.up(1);
    assert_eq!(
        script.tell(Event::HalfClosed { peer: Peer(1) }),
        ["close 1", "exit 0"]
    );
}
