//! The server against scripted peers.

use super::*;
use crate::rng::{Entropy, Seeded};
use crate::script::Script;

fn server(mode: Mode) -> Script<Server> {
    let mut script = Script::start(Server::new(mode, false));
    assert_eq!(script.printed(), ["listening on UDP and TCP port 12000"]);
    script
}

#[test]
fn eight_texts_get_their_eight_answers() {
    let mut script = server(Mode::Judge);
    for (text, udp, tcp) in [
        ("Hello123", "Alphanumeric.", "Alphanumeric"),
        ("Grüße42", "Alphanumeric.", "Alphanumeric"),
        ("two words", "Not alphanumeric.", "Not alphanumeric."),
        ("line\n", "Not alphanumeric.", "Not alphanumeric."),
    ] {
        script.datagram("10.0.0.9:4000", text.as_bytes());
        assert_eq!(script.sent(), [format!("10.0.0.9:4000 < {udp}")]);
        script.open(1).bytes(1, text.as_bytes());
        assert_eq!(script.sent(), [format!("1 < {tcp}")]);
    }
}

#[test]
fn what_comes_and_goes_is_printed_and_cannot_forge_a_line() {
    let mut script = server(Mode::Judge);
    script.datagram("10.0.0.9:4000", b"a\nb");
    assert_eq!(
        script.printed(),
        [
            "UDP 10.0.0.9:4000: received \"a\\nb\"",
            "UDP 10.0.0.9:4000: sent \"Not alphanumeric.\""
        ]
    );
    let mut script = Script::start(Server::new(Mode::Judge, true));
    script.datagram("10.0.0.9:4000", b"ab");
    assert_eq!(script.printed(), ["listening on UDP and TCP port 12000"]);
}

#[test]
fn display_prints_the_text_and_sends_the_same_bytes() {
    let mut script = server(Mode::Display);
    script.datagram("10.0.0.9:4000", b"caf\xe9\0!");
    assert_eq!(
        script.take(),
        [
            Action::Print("caf\\xe9\\0!".into()),
            Action::Send {
                to: "10.0.0.9:4000".parse().unwrap(),
                bytes: b"caf\xe9\0!".to_vec()
            }
        ]
    );
    script.open(1).bytes(1, b"ab c");
    assert_eq!(script.sent(), ["1 < ab c"]);
}

#[test]
fn hostile_texts_are_not_alphanumeric_and_never_the_end() {
    let mut script = server(Mode::Judge);
    for bytes in [&b""[..], b"\xff\xfe", b"\0", b"a\r\n", &[0x80; 65_000]] {
        script.datagram("10.0.0.9:4000", bytes);
        assert_eq!(script.sent(), ["10.0.0.9:4000 < Not alphanumeric."]);
    }
    script.datagram("10.0.0.9:4000", &[b'a'; 3_000]);
    assert_eq!(script.sent(), ["10.0.0.9:4000 < Alphanumeric."]);
    assert_eq!(script.service.counters.cut, 2);
}

#[test]
fn a_character_split_over_two_reads_is_one_text_with_one_answer() {
    let mut script = server(Mode::Judge);
    script.open(1).bytes(1, b"Gr\xc3").pass_millis(60);
    assert_eq!(script.sent(), [""; 0]);
    script.bytes(1, b"\xbc");
    assert_eq!(script.sent(), ["1 < Alphanumeric"]);
    // The rest never comes, or the peer is done: what has come is answered.
    script.bytes(1, b"Gr\xc3").pass_millis(99);
    assert_eq!(script.sent(), [""; 0]);
    script.pass_millis(1);
    assert_eq!(script.sent(), ["1 < Not alphanumeric."]);
    script.bytes(1, b"Gr\xc3").half_close(1);
    assert_eq!(script.sent(), ["1 < Not alphanumeric.", "1 closed"]);
    script.pass_millis(200);
    assert_eq!(script.service.deadline(), None);
}

/// However the network cuts a text, each read is answered once, no byte is
/// lost, and nothing is held for ever.
#[test]
fn any_segmentation_is_echoed_byte_by_byte() {
    let text = "Grüße, 世界! 😀 \u{0}".repeat(40);
    for seed in 0..200 {
        let mut random = Seeded::new(seed);
        let mut script = server(Mode::Display);
        script.open(1);
        let mut rest = text.as_bytes();
        let mut echoed = Vec::new();
        while !rest.is_empty() {
            let len = (1 + random.below(30) as usize).min(rest.len());
            script.bytes(1, &rest[..len]);
            rest = &rest[len..];
            script.pass_millis(random.below(80).into());
        }
        script.pass_millis(200);
        for action in script.take() {
            match action {
                Action::Write { bytes, .. } => {
                    echoed.extend(bytes);
                }
                Action::Print(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(echoed, text.as_bytes(), "seed {seed}");
    }
}

#[test]
fn what_waits_for_its_rest_is_bounded() {
    let mut script = server(Mode::Judge);
    script.open(1).bytes(1, b"\xc3");
    for _ in 0..100 {
        // Joined with the last read's end, each one ends inside a character.
        let mut read = vec![b'\xbc'];
        read.extend("ü".repeat(1_000).as_bytes());
        read.push(b'\xc3');
        script.bytes(1, &read);
        assert!(script.service.peers.get(Peer(1)).unwrap().held.len() <= HELD_MAX);
    }
}

#[test]
fn two_servers_do_not_talk_for_ever() {
    let mut script = server(Mode::Display);
    for server in ["10.0.0.9:12000", "10.0.0.9:7", "10.0.0.9:19"] {
        script.datagram(server, b"hello");
        assert_eq!(script.sent(), [""; 0], "{server} is a server");
    }
    let mut script = server(Mode::Judge);
    for _ in 0..1_000 {
        script.datagram("10.0.0.9:12001", b"Not alphanumeric.");
    }
    assert_eq!(script.sent().len(), ANSWERS_TO_ANSWERS_MAX as usize);
    script.datagram("10.0.0.9:12001", b"a text");
    assert_eq!(script.sent().len(), 1, "texts are not meant by this");
    script.pass_millis(1_000);
    script.datagram("10.0.0.9:12001", b"Alphanumeric.");
    assert_eq!(script.sent().len(), 1, "a person may ask that too");
    assert_eq!(script.service.counters.from_servers, 990);
}

/// In display mode nothing but its haste tells a server from a client.
#[test]
fn a_text_that_bounces_between_two_displays_ends() {
    let mut script = server(Mode::Display);
    let mut bounced = 0;
    for loops in 0..100 {
        for _ in 0..1_000 {
            script.datagram("10.0.0.9:12001", format!("loop {loops}").as_bytes());
            bounced += script.sent().len();
        }
        script.datagram("10.0.0.9:12001", b"another text");
        assert_eq!(script.sent().len(), 1, "others are answered");
        script.pass_millis(1_000);
    }
    assert_eq!(bounced, 100 * SAME_TEXTS_MAX as usize);
    assert!(script.service.same_texts.1.len() <= SAME_TEXTS_KEPT);
    // More of them than are counted: those that are end, and make room.
    let mut alive: Vec<u32> = (0..100).collect();
    for _ in 0..4 {
        for _ in 0..=SAME_TEXTS_MAX {
            alive.retain(|text| {
                script.datagram("10.0.0.9:12001", text.to_string().as_bytes());
                !script.sent().is_empty()
            });
        }
        script.pass_millis(1_000);
    }
    assert_eq!(alive.len(), 0);
}

/// A client that asks again with each answer is answered, if later; the answers
/// that wait are bounded, and the last leaves no timer.
#[test]
fn a_client_that_repeats_itself_is_answered_each_time() {
    let mut script = server(Mode::Display);
    for asked in 0..1_000 {
        script.datagram("10.0.0.9:40000", b"hello");
        if asked >= SAME_TEXTS_MAX && script.service.late.len() == 1 {
            assert_eq!(script.sent(), [""; 0], "not yet");
            script.pass(LATER);
        }
        assert_eq!(script.sent(), ["10.0.0.9:40000 < hello"]);
    }
    assert_eq!(script.service.counters.from_servers, 0);
    script.pass_millis(1_000);
    for _ in 0..1_000 {
        script.datagram("10.0.0.9:40000", b"hello");
    }
    assert_eq!(script.sent().len(), SAME_TEXTS_MAX as usize);
    script.pass(LATER);
    assert_eq!(script.sent().len(), LATE_MAX);
    assert_eq!(script.service.deadline(), None);
}

#[test]
fn a_full_house_takes_a_newcomer_for_the_longest_silent() {
    let mut script = server(Mode::Judge);
    for peer in 0..PEERS_MAX as u32 {
        script.open(peer).pass_millis(1);
    }
    script.bytes(0, b"still here").take();
    script.open(99_999).bytes(99_999, b"hello");
    assert_eq!(script.sent(), ["1 closed", "99999 < Alphanumeric"]);
    script.bytes(1, b"a ghost");
    assert_eq!(script.sent(), [""; 0]);
    assert_eq!(script.service.peers.len(), PEERS_MAX);
}

#[test]
fn vanished_peers_leave_nothing_behind() {
    let mut script = server(Mode::Judge);
    script.open(1).bytes(1, b"\xc3");
    script
        .event(Event::Closed { peer: Peer(1) })
        .pass_millis(500);
    assert_eq!(script.sent(), [""; 0]);
    assert!(script.service.peers.is_empty());
    script.event(Event::Stop);
    assert_eq!(script.sent(), ["exit 0"]);
}

#[test]
fn where_descriptors_are_few_the_house_is_smaller() {
    let mut script = server(Mode::Judge);
    script.service.set_room(16);
    for peer in 0..15 {
        script.open(peer).pass_millis(1);
    }
    assert_eq!(script.sent(), ["0 closed"]);
}

#[test]
fn the_report_counts_each_kind() {
    let mut script = server(Mode::Display);
    script.service.set_room(1);
    script.datagram("10.0.0.1:40000", &[b'x'; 3_000]);
    for _ in 0..=SAME_TEXTS_MAX {
        script.datagram("10.0.0.9:12001", b"hello");
    }
    script.datagram("10.0.0.9:7", b"hello");
    script.open(1).bytes(1, b"hi").open(2).take();
    assert_eq!(
        script.event(Event::Report).printed(),
        [
            "UDP: texts 103, cut at 2048 bytes 1, from servers 2",
            "TCP: connections 2, open 1, crowded out 1, texts 1"
        ]
    );
}

/// The first port that clients have is a client's, on either side.
#[test]
fn the_first_port_of_clients_is_one() {
    let mut script = server(Mode::Display);
    for (from, answers) in [("10.0.0.9:1023", 0), ("10.0.0.9:1024", 1)] {
        script.datagram(from, b"hello");
        assert_eq!(script.sent().len(), answers, "{from}");
    }
    let hasty = SAME_TEXTS_MAX as usize + 1;
    for (from, answers) in [("10.0.0.9:32767", hasty - 1), ("10.0.0.9:32768", hasty)] {
        for _ in 0..hasty {
            script.datagram(from, b"again");
        }
        script.pass(LATER);
        assert_eq!(script.sent().len(), answers, "{from}");
    }
}

#[test]
fn so_many_texts_are_counted_in_a_second_and_no_more() {
    let mut script = server(Mode::Display);
    for text in 0..2 * SAME_TEXTS_KEPT {
        script.datagram("10.0.0.9:12001", text.to_string().as_bytes());
    }
    assert_eq!(script.service.same_texts.1.len(), SAME_TEXTS_KEPT);
}
