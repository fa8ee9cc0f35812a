//! The server against scripted clients.

use super::*;
use crate::script::Script;

const C1: &str = "10.0.0.1:11000";
const C2: &str = "10.0.0.2:13000";

fn server() -> Script<Server> {
    with(Options {
        answer: true,
        ..Options::default()
    })
}

fn with(options: Options) -> Script<Server> {
    let mut script = Script::start(Server::new(options));
    assert_eq!(script.printed(), ["listening on UDP port 12000"]);
    script
}

#[test]
fn each_message_is_printed_in_the_order_received_with_its_client() {
    let mut script = server();
    for (from, number) in [
        (C1, "1"),
        (C2, "1"),
        (C2, "2"),
        ("10.0.0.3:5", "37"),
        (C1, "2"),
    ] {
        script.datagram(from, number.as_bytes());
    }
    assert_eq!(
        script.printed(),
        ["c1: 1", "c2: 1", "c2: 2", "10.0.0.3:5: 37", "c1: 2"]
    );
}

#[test]
fn every_number_is_answered_and_nothing_else() {
    let mut script = server();
    script.datagram(C1, b"37");
    assert_eq!(script.sent(), ["10.0.0.1:11000 < Alphanumeric."]);
    for bytes in [
        &b""[..],
        b"hello",
        b"0",
        b"\xff",
        b"Alphanumeric.",
        &[b'1'; 60_000],
    ] {
        script.datagram(C1, bytes);
        assert_eq!(script.sent(), [""; 0], "{bytes:?}");
    }
    script.datagram(C1, b"two\x1b[2J\nc2: 5");
    assert_eq!(script.printed(), ["c1: two\\x1b[2J\\nc2: 5"]);
    script.datagram(C1, &[b'x'; 65_000]);
    assert_eq!(script.printed(), [format!("c1: {}…", "x".repeat(64))]);

    let mut silent = with(Options::default());
    silent.datagram(C1, b"37");
    assert_eq!(silent.sent(), [""; 0]);
}

#[test]
fn the_summary_tells_each_client_apart() {
    let mut script = server();
    for number in ["1", "2", "3", "3", "5", "6"] {
        script.datagram(C1, number.as_bytes()).pass_millis(500);
        script.datagram(C2, b"9");
    }
    script.datagram("10.0.0.3:5", b"what").take();
    script.event(Event::Stop);
    assert_eq!(
        script.take(),
        [
            Action::Print("c1: received 6, lost 1, duplicated 1, reordered 0, restarts 0".into()),
            Action::Print("c2: received 6, lost 0, duplicated 5, reordered 0, restarts 0".into()),
            Action::Print("messages that were no number: 1".into()),
            Action::Exit(0)
        ]
    );
}

#[test]
fn the_summary_comes_as_often_as_wanted_and_on_request_even_when_quiet() {
    let mut script = with(Options {
        answer: true,
        quiet: true,
        summary: Some(Duration::from_secs(5)),
    });
    script.datagram(C1, b"1").pass(Duration::from_secs(16));
    let line = "c1: received 1, lost 0, duplicated 0, reordered 0, restarts 0";
    assert_eq!(script.printed(), [line; 3]);
    script.event(Event::Report);
    assert_eq!(script.printed(), [line]);
    // A server that was held up prints once, and keeps its interval.
    script.now += Duration::from_secs(60);
    script.event(Event::Timer).pass_millis(4_999);
    assert_eq!(script.printed(), [line]);
    script.pass_millis(1);
    assert_eq!(script.printed(), [line]);
}

#[test]
fn two_computers_with_the_same_port_are_two_clients() {
    let mut script = server();
    script.datagram(C1, b"1");
    script.datagram("10.0.0.5:11000", b"1");
    assert_eq!(script.printed(), ["c1: 1", "10.0.0.5:11000: 1"]);
    // The exercise goes on from another computer: the name moves with it.
    script.pass(SILENT);
    script.datagram("10.0.0.6:11000", b"2");
    script.datagram(C1, b"2");
    assert_eq!(script.printed(), ["c1: 2", "10.0.0.1:11000: 2"]);
}

#[test]
fn a_full_table_keeps_who_is_talking() {
    let mut script = server();
    let address = |i: usize| format!("10.1.{}.{}:5000", i / 256, i % 256);
    for i in 0..CLIENTS_MAX {
        script.datagram(&address(i), b"1");
    }
    script.take();
    script.datagram("10.9.9.9:1", b"1");
    assert_eq!(
        script.sent(),
        ["10.9.9.9:1 < Alphanumeric."],
        "answered all the same"
    );
    assert_eq!(script.service.uncounted, 1);
    script.pass(SILENT);
    for i in 1..CLIENTS_MAX {
        script.datagram(&address(i), b"2");
    }
    script.datagram("10.9.9.9:1", b"2");
    assert_eq!(script.service.uncounted, 1);
    assert_eq!(script.service.clients.len(), CLIENTS_MAX);
    assert!(
        script
            .service
            .clients
            .get(address(0).parse().unwrap())
            .is_none()
    );
    script.datagram("10.9.9.8:1", b"1");
    assert_eq!(script.service.uncounted, 2);
    script.take();
    assert_eq!(
        script.event(Event::Report).printed().last().unwrap(),
        "numbers not counted, from more than 2048 clients at once: 2"
    );
}

/// A thousand clients at ten a second for an hour's worth of numbers each
/// would be long; a minute shows that none is taken for another.
#[test]
fn a_thousand_clients_are_kept_apart() {
    let mut script = with(Options {
        quiet: true,
        ..Options::default()
    });
    for round in 0..600u32 {
        for client in 0..1_000u16 {
            let from = SocketAddrV4::new([10, 0, 0, 1].into(), 20_000 + client);
            let number = (round + u32::from(client)) % 100 + 1;
            // Each client loses one number, at its own time.
            if round != u32::from(client) % 500 + 50 {
                let bytes = number.to_string();
                script.event(Event::Datagram {
                    from,
                    bytes: bytes.as_bytes(),
                });
            }
        }
        script.pass_millis(100);
    }
    assert_eq!(script.service.clients.len(), 1_000);
    for (_, client) in script.service.clients.iter() {
        assert_eq!(
            client.tally.counts().to_string(),
            "received 599, lost 1, duplicated 0, reordered 0, restarts 0"
        );
    }
}

#[test]
fn a_text_of_just_64_bytes_is_printed_whole() {
    let mut script = server();
    let text = "x".repeat(TEXT_MAX);
    script.datagram(C1, text.as_bytes());
    assert_eq!(script.printed(), [format!("10.0.0.1:11000: {text}")]);
}

/// A summary that was held up for less than its time keeps its beat.
#[test]
fn a_late_summary_keeps_its_beat() {
    let mut script = with(Options {
        summary: Some(Duration::from_secs(10)),
        ..Options::default()
    });
    let start = script.now;
    for (held, next) in [(12, 20), (30, 40), (95, 105)] {
        script.now = start + Duration::from_secs(held);
        script.event(Event::Timer);
        let next = start + Duration::from_secs(next);
        assert_eq!(script.service.deadline(), Some(next));
    }
}
