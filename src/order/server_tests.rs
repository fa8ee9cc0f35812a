//! The server against scripted contestants.

use super::*;
use crate::rng::{Entropy, Seeded};
use crate::script::Script;

const READY: &str = "The server is ready to receive";

fn options() -> Options {
    Options {
        contestants: 2,
        rounds: None,
        timeout: Duration::from_secs(60),
        verbose: false,
        quiet: false,
        tell_port: false,
    }
}

fn server() -> Script<Server> {
    let mut script = Script::start(Server::new(options()));
    assert_eq!(script.printed(), [READY]);
    script
}

fn verdict(first: &str, second: &str, peers: [u32; 2]) -> Vec<String> {
    let verdict = format!("{first} received before {second}");
    peers
        .into_iter()
        .flat_map(|peer| [format!("{peer} < {verdict}"), format!("{peer} closed")])
        .collect()
}

#[test]
fn the_second_connection_wins_by_its_message() {
    let mut script = server();
    script.open(1).open(2);
    script.bytes(2, b"Client Y: Bob").pass_millis(10);
    script.bytes(1, b"Client X: Ann").pass_millis(49);
    assert_eq!(script.printed(), ["Message Received: Client Y: Bob"]);
    script.pass_millis(1);
    assert_eq!(
        script.take(),
        [
            Action::Print("Message Received: Client X: Ann".into()),
            Action::Write {
                peer: Peer(2),
                bytes: b"Y: Bob received before X: Ann".to_vec()
            },
            Action::Close { peer: Peer(2) },
            Action::Write {
                peer: Peer(1),
                bytes: b"Y: Bob received before X: Ann".to_vec()
            },
            Action::Close { peer: Peer(1) },
            Action::Print("Sent acknowledgment to both X and Y".into()),
            Action::Print(READY.into()),
        ]
    );
    assert!(script.service.room.is_empty());
}

#[test]
fn newlines_and_nuls_end_a_message_at_once() {
    for end in ["\n", "\r\n", "\0\0\0\0"] {
        let mut script = server();
        script.open(1).open(2);
        script.bytes(2, format!("Client Y: Bob{end}").as_bytes());
        script.pass_millis(1);
        script.bytes(1, format!("Client X: Ann{end}").as_bytes());
        assert_eq!(
            script.sent(),
            verdict("Y: Bob", "X: Ann", [2, 1]),
            "{end:?}"
        );
    }
}

/// Any cut, any names, any order: the verdict is that of the eleventh bytes.
#[test]
fn any_segmentation_is_judged_by_arrival() {
    for seed in 0..300 {
        let mut random = Seeded::new(seed);
        let texts = ["Client X: Añn Of All", "Client Y: B"].map(str::as_bytes);
        let mut script = server();
        script.open(1).open(2);
        let mut sent = [0, 0];
        let mut arrived = Vec::new();
        while sent != [texts[0].len(), texts[1].len()] {
            let who = random.below(2) as usize;
            let end = (sent[who] + 1 + random.below(7) as usize).min(texts[who].len());
            if end > sent[who] {
                script.pass_millis(1 + u64::from(random.below(9)));
                script.bytes(who as u32 + 1, &texts[who][sent[who]..end]);
                sent[who] = end;
                if end >= 11 && !arrived.contains(&who) {
                    arrived.push(who);
                }
            }
            // No pause of 50 ms within a message, or it ends there.
            if sent[who] == texts[who].len() {
                let other = 1 - who;
                script.half_close(who as u32 + 1).pass_millis(1);
                script.bytes(other as u32 + 1, &texts[other][sent[other]..]);
                sent[other] = texts[other].len();
                if !arrived.contains(&other) {
                    arrived.push(other);
                }
            }
        }
        script.pass_millis(60);
        let names = ["X: Añn Of All", "Y: B"];
        let (first, second) = (names[arrived[0]], names[arrived[1]]);
        let peers = [arrived[0] as u32 + 1, arrived[1] as u32 + 1];
        let mut sent = script.sent();
        sent.retain(|line| !line.starts_with("exit"));
        assert_eq!(sent, verdict(first, second, peers), "seed {seed}");
    }
}

#[test]
fn bare_names_get_the_letters_of_the_order_of_connection() {
    let mut script = server();
    script.open(1).open(2);
    script.bytes(2, b"Bob\n").pass_millis(1).bytes(1, b"Ann\n");
    assert_eq!(script.sent(), verdict("Y: Bob", "X: Ann", [2, 1]));
    // The letter of its place is taken: the other one.
    script.open(3).open(4);
    script
        .bytes(4, b"Client X: Bob\n")
        .pass_millis(1)
        .bytes(3, b"Ann\n");
    assert_eq!(script.sent(), verdict("X: Bob", "Y: Ann", [4, 3]));
}

#[test]
fn a_tie_goes_by_the_order_of_connection_and_is_told() {
    let mut script = server();
    script.open(1).open(2);
    script
        .bytes(2, b"Client Y: Bob\n")
        .bytes(1, b"Client X: Ann\n");
    let actions = script.take();
    let tie = Action::Print("It was a tie, decided by the order of connection".into());
    assert!(actions.contains(&tie), "{actions:?}");
    assert!(actions.contains(&Action::Write {
        peer: Peer(2),
        bytes: b"X: Ann received before Y: Bob".to_vec()
    }));
}

#[test]
fn a_silent_first_client_blocks_nobody_and_is_let_go() {
    let mut script = server();
    script.open(1).open(2).open(3);
    script.bytes(3, b"Client X: Cy\n").pass_millis(1);
    script.bytes(2, b"Client Y: Bob\n");
    assert_eq!(script.sent(), verdict("X: Cy", "Y: Bob", [3, 2]));
    script.pass(Duration::from_secs(60));
    assert_eq!(
        script.sent(),
        [
            "1 < Error: no message came within 1m0s".replace("1m0s", "60s"),
            "1 closed".into()
        ]
    );
}

#[test]
fn who_waits_alone_is_told_when_its_time_is_over() {
    let mut script = server();
    script.open(1).bytes(1, b"Client X: Ann\n");
    script.pass(Duration::from_secs(59)).take();
    script.pass(Duration::from_secs(1));
    assert_eq!(
        script.sent(),
        ["1 < Error: no other message came within 60s", "1 closed"]
    );
    assert_eq!(script.service.deadline(), None);
}

#[test]
fn only_the_silent_are_greeted_a_second_after_both_are_there() {
    let mut script = server();
    script.open(1).pass_millis(5_000).open(2).pass_millis(999);
    assert_eq!(script.sent(), [""; 0]);
    script.pass_millis(1);
    assert_eq!(
        script.sent(),
        ["1 < Client X connected", "2 < Client Y connected"]
    );
    script.bytes(2, b"Client Y: Bob").pass_millis(9);
    script.bytes(1, b"Client X: Ann").pass_millis(60);
    assert_eq!(script.sent(), verdict("Y: Bob", "X: Ann", [2, 1]));

    script.open(3).open(4).bytes(3, b"Cl").pass_millis(500);
    script.bytes(3, b"ient X: Ann\n").pass_millis(499);
    assert_eq!(script.sent(), [""; 0]);
    script.pass_millis(1);
    assert_eq!(script.sent(), ["4 < Client Y connected"]);
}

#[test]
fn a_mute_client_does_not_keep_the_others_from_being_greeted() {
    let mut script = server();
    script.open(1).open(2).open(3).pass_millis(1_000);
    assert_eq!(
        script.sent(),
        ["1 < Client X connected", "2 < Client Y connected"]
    );
    script.bytes(2, b"Client Y: Bob\n").pass_millis(2_000);
    assert_eq!(script.sent(), ["3 < Client X connected"]);
    script.bytes(3, b"Client X: Cy\n");
    assert_eq!(script.sent(), verdict("Y: Bob", "X: Cy", [2, 3]));
}

#[test]
fn two_with_the_same_letter_are_both_told() {
    let mut script = server();
    script.open(1).open(2);
    script.bytes(1, b"Client X: Ann\n").pass_millis(1);
    script.bytes(2, b"Client X: Bob\n");
    let why = "Error: two clients are Client X; each needs its own letter";
    assert_eq!(
        script.sent(),
        [
            format!("1 < {why}"),
            "1 closed".into(),
            format!("2 < {why}"),
            "2 closed".into()
        ]
    );
    // An X that has hung up, ^C, gives way to the next one.
    script.open(3).bytes(3, b"Client X: Tpyo\n").half_close(3);
    script.open(4).bytes(4, b"Client X: Typo\n");
    assert_eq!(
        script.sent(),
        [
            "3 < Error: another Client X has come in your place",
            "3 closed"
        ]
    );
    script.pass_millis(1).open(5).bytes(5, b"Client Y: Bob\n");
    assert_eq!(script.sent(), verdict("X: Typo", "Y: Bob", [4, 5]));
}

#[test]
fn who_vanishes_after_its_message_has_still_come_first() {
    let mut script = server();
    script.open(1).bytes(1, b"Client X: Ann");
    script.event(Event::Closed { peer: Peer(1) }).pass_millis(5);
    script.open(2).bytes(2, b"Client Y: Bob\n");
    assert_eq!(
        script.take()[1..],
        [
            Action::Print("Message Received: Client Y: Bob".into()),
            Action::Write {
                peer: Peer(2),
                bytes: b"X: Ann received before Y: Bob".to_vec()
            },
            Action::Close { peer: Peer(2) },
            Action::Print("Sent acknowledgment to Y".into()),
            Action::Print(READY.into()),
        ]
    );
    // Who vanishes before it has said anything was never there.
    script.open(3).event(Event::Closed { peer: Peer(3) });
    script.open(4).half_close(4);
    assert_eq!(script.sent(), ["4 closed"]);
    assert!(script.service.room.is_empty());
    assert_eq!(script.service.deadline(), None);
}

#[test]
fn messages_are_bytes_and_a_log_is_text() {
    let mut script = server();
    script.open(1).open(2);
    script.bytes(1, b"Client X: \xff\x1b[2J\n").pass_millis(1);
    script.bytes(2, b"Client Y: \n");
    let actions = script.take();
    let line = "Message Received: Client X: \\xff\\x1b[2J";
    assert_eq!(actions[0], Action::Print(line.into()));
    assert!(actions.contains(&Action::Write {
        peer: Peer(2),
        bytes: b"X: \xff\x1b[2J received before Y: ".to_vec()
    }));
}

#[test]
fn a_full_ranking_of_many_and_rounds_that_end() {
    let mut script = Script::start(Server::new(Options {
        contestants: 4,
        rounds: Some(1),
        verbose: true,
        ..options()
    }));
    script.take();
    script.open(1).open(2).open(3).open(4);
    for (peer, text) in [
        (4, "Client Z: D\n"),
        (2, "B\n"),
        (1, "Client A: A\n"),
        (3, "C\n"),
    ] {
        script.bytes(peer, text.as_bytes()).pass_millis(2);
    }
    let actions = script.take();
    for line in [
        "Arrived: Z +0s, Y +2ms, A +4ms, X +6ms",
        "Sent acknowledgment to X, Y, Z and A",
    ] {
        assert!(actions.contains(&Action::Print(line.into())), "{actions:?}");
    }
    assert!(actions.contains(&Action::Write {
        peer: Peer(3),
        bytes: b"Z: D received before Y: B received before A: A received before X: C".to_vec()
    }));
    assert_eq!(actions.last(), Some(&Action::Exit(0)));
}

#[test]
fn a_full_room_takes_a_newcomer_for_the_longest_silent() {
    let mut script = server();
    for peer in 0..ROOM_MAX as u32 {
        script.open(peer);
    }
    script.bytes(0, b"Client X: Ann\n").take();
    script.open(5_000).bytes(5_000, b"Client Y: Bob\n");
    let sent = script.sent();
    assert_eq!(sent[..2], ["1 < Error: the server is full", "1 closed"]);
    // Ann and Bob came in the same instant, so the connection decides.
    assert_eq!(sent[2..], verdict("X: Ann", "Y: Bob", [0, 5_000]));
}

/// Five hundred pairs at once, every second one split: each gets a verdict.
#[test]
fn five_hundred_at_once_all_get_a_verdict() {
    let mut script = server();
    for peer in 0..500 {
        script.open(peer);
    }
    for peer in 0..500 {
        let letter = if peer % 2 == 0 { 'X' } else { 'Y' };
        script.pass_millis(1);
        script.bytes(peer, format!("Client {letter}: {peer}\n").as_bytes());
    }
    let sent = script.sent();
    assert_eq!(sent.len(), 1_000);
    for pair in 0..250u32 {
        let (x, y) = (2 * pair, 2 * pair + 1);
        let expected = verdict(&format!("X: {x}"), &format!("Y: {y}"), [x, y]);
        let at = pair as usize * 4;
        assert_eq!(sent[at..at + 4], expected);
    }
}

/// The order in which a turn's sockets are read is nobody's merit.
#[test]
fn messages_of_one_instant_are_judged_together() {
    let mut script = server();
    script.open(1).open(2).open(3).open(4);
    script.bytes(3, b"Client X: C\n").bytes(1, b"Client X: A\n");
    script.bytes(4, b"Client Y: D\n").bytes(2, b"Client Y: B\n");
    let mut expected = verdict("X: A", "Y: B", [1, 2]);
    expected.extend(verdict("X: C", "Y: D", [3, 4]));
    assert_eq!(script.sent(), expected);
}

#[test]
fn patience_begins_anew_with_company_and_with_a_message() {
    let mut script = server();
    let nearly = Duration::from_millis(59_900);
    script.open(1).pass(nearly).open(2).pass(nearly);
    assert_eq!(
        script.sent(),
        ["1 < Client X connected", "2 < Client Y connected"]
    );
    script.pass_millis(100);
    assert_eq!(script.sent().len(), 4, "both are told and let go");
    script.open(3).pass(nearly);
    script.bytes(3, b"Client X: Ann\n").pass(nearly);
    assert_eq!(script.sent(), [""; 0]);
    script.pass_millis(100);
    assert_eq!(script.sent().len(), 2);
}

#[test]
fn no_letter_is_given_twice_by_greetings() {
    let mut script = server();
    script.open(1).open(2).pass_millis(1_000).take();
    // 2 is Y by its greeting; 1 leaves, and 3 comes in its place.
    script.bytes(2, b"Bob\n");
    script.event(Event::Closed { peer: Peer(1) });
    script.open(3).pass_millis(1_000);
    assert_eq!(script.sent(), ["3 < Client X connected"]);
    script.bytes(3, b"Client X: Cy\n");
    assert_eq!(script.sent(), verdict("Y: Bob", "X: Cy", [2, 3]));
}

#[test]
fn where_descriptors_are_few_the_room_is_smaller() {
    let mut script = server();
    script.service.set_room(16);
    for peer in 0..15 {
        script.open(peer).pass_millis(1);
    }
    let sent = script.sent();
    assert_eq!(sent, ["0 < Error: the server is full", "0 closed"]);
}

/// A greeting names the letter of the place, if no other's text claims it.
#[test]
fn a_greeting_leaves_the_letter_that_another_names() {
    for (text, from, greeted) in [
        ("Client X: Bob\n", 2, "1 < Client Y connected"),
        ("Client Y: Bob\n", 1, "2 < Client X connected"),
        ("Ann\n", 1, "2 < Client Y connected"),
        ("Ann\n", 2, "1 < Client X connected"),
    ] {
        let mut script = server();
        script.open(1).open(2).bytes(from, text.as_bytes());
        script.pass_millis(1_000);
        assert_eq!(script.sent(), [greeted], "{text:?} from {from}");
    }
}

/// Only the first byte of a message renews the patience.
#[test]
fn who_drips_is_let_go_in_time() {
    let mut script = server();
    script.open(1).pass(Duration::from_secs(30));
    script.bytes(1, b"Cl").pass(Duration::from_secs(30));
    script.bytes(1, b"i").pass_millis(29_999);
    assert_eq!(script.service.room.len(), 1);
    script.pass_millis(1);
    assert_eq!(script.service.room.len(), 0);
}

#[test]
fn it_tells_its_rounds_and_ends_when_told_to() {
    let mut script = server();
    script.open(1);
    assert_eq!(
        script.event(Event::Report).printed(),
        ["rounds 0, connections 1"]
    );
    script.event(Event::Stop);
    assert_eq!(script.sent(), ["exit 0"]);
}
