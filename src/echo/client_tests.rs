//! The client against scripted servers and standard inputs.

use super::*;
use crate::script::Script;

const SERVER: &str = "10.0.0.9:12000";

fn options(transport: Transport) -> Options {
    Options {
        server: Server::At(SERVER.parse().unwrap()),
        transport,
        timeout: Duration::from_secs(2),
        prompt: false,
    }
}

fn line(script: &mut Script<Client>, text: &[u8]) {
    assert!(script.service.wants_line(), "before {text:?}");
    script.event(Event::Line { text });
}

fn complaints(script: &mut Script<Client>) -> Vec<String> {
    let complaint = |action| match action {
        Action::Complain(why) => Some(why),
        _ => None,
    };
    script.take().into_iter().filter_map(complaint).collect()
}

#[test]
fn one_datagram_a_line_one_answer_each() {
    let mut script = Script::start(Client::new(options(Transport::Udp)));
    line(&mut script, b"hello\r");
    assert_eq!(script.sent(), ["10.0.0.9:12000 < hello"]);
    assert!(!script.service.wants_line(), "one at a time");
    script.datagram("10.0.0.8:12000", b"a stranger");
    script.datagram(SERVER, b"Alphanumeric.");
    assert_eq!(script.printed(), ["Alphanumeric."]);
    line(&mut script, b"");
    assert_eq!(script.sent(), ["10.0.0.9:12000 < "]);
    script.event(Event::InputEnded);
    assert_eq!(script.sent(), [""; 0]);
    script.datagram(SERVER, b"Not alphanumeric.");
    assert_eq!(
        script.take(),
        [Action::Print("Not alphanumeric.".into()), Action::Exit(0)]
    );
}

#[test]
fn silence_and_refusal_are_told_and_remembered() {
    let mut script = Script::start(Client::new(options(Transport::Udp)));
    line(&mut script, b"hello");
    script.pass_millis(1_999).take();
    script.pass_millis(1);
    assert_eq!(
        complaints(&mut script),
        ["no answer within 2s from 10.0.0.9:12000"]
    );
    script.datagram(SERVER, b"Alphanumeric.");
    assert_eq!(complaints(&mut script), ["too late: \"Alphanumeric.\""]);
    line(&mut script, b"again");
    let to = SERVER.parse().unwrap();
    script.event(Event::Refused { to });
    assert_eq!(
        complaints(&mut script),
        [
            "cannot reach 10.0.0.9:12000: nobody listens there; `boardroom echo server` starts a \
          server"
        ]
    );
    script.event(Event::InputEnded);
    assert_eq!(script.sent(), ["exit 1"]);
}

#[test]
fn an_answer_over_tcp_may_come_in_pieces() {
    for pieces in [
        &["Alphanumeric"][..],
        &["Alpha", "numeric"],
        &["N", "ot alphanumeric", "."],
        &["h", "el", "lo"],
    ] {
        let mut script = Script::start(Client::new(options(Transport::Tcp)));
        assert_eq!(script.sent(), ["connect 10.0.0.9:12000"]);
        assert!(!script.service.wants_line());
        script.open(7);
        line(&mut script, b"hello");
        assert_eq!(script.sent(), ["7 < hello"]);
        for piece in pieces {
            assert_eq!(script.printed(), [""; 0]);
            script.bytes(7, piece.as_bytes()).pass_millis(200);
        }
        assert_eq!(script.printed(), [pieces.concat()]);
    }
}

#[test]
fn an_unknown_answer_ends_with_silence() {
    let mut script = Script::start(Client::new(options(Transport::Tcp)));
    script.open(7);
    line(&mut script, b"hello");
    script.take();
    script.bytes(7, b"You said ").pass_millis(40);
    script.bytes(7, b"hello");
    assert_eq!(script.printed(), [""; 0]);
    script.pass_millis(50);
    assert_eq!(script.printed(), ["You said hello"]);
}

#[test]
fn a_server_that_closes_after_each_answer_is_asked_anew() {
    let mut script = Script::start(Client::new(options(Transport::Tcp)));
    script.open(7);
    line(&mut script, b"one");
    script.bytes(7, b"Alphanumeric").half_close(7).take();
    line(&mut script, b"two");
    assert_eq!(script.sent(), ["connect 10.0.0.9:12000"]);
    script.open(8);
    assert_eq!(script.sent(), ["8 < two"]);
    script.half_close(8);
    assert_eq!(
        complaints(&mut script),
        ["10.0.0.9:12000 closed the connection without an answer"]
    );
    script.event(Event::InputEnded);
    assert_eq!(script.sent(), ["exit 1"]);
}

/// The next text and the close may cross.
#[test]
fn a_text_that_met_the_close_is_sent_again_once() {
    let mut script = Script::start(Client::new(options(Transport::Tcp)));
    script.open(7);
    line(&mut script, b"one");
    script.bytes(7, b"Alphanumeric");
    line(&mut script, b"two");
    script.take();
    script.event(Event::Closed { peer: Peer(7) });
    assert_eq!(script.sent(), ["7 closed", "connect 10.0.0.9:12000"]);
    script.open(8);
    assert_eq!(script.sent(), ["8 < two"]);
    script.event(Event::Closed { peer: Peer(8) });
    assert_eq!(complaints(&mut script).len(), 1);
}

#[test]
fn a_late_answer_over_tcp_is_never_taken_for_the_next() {
    let mut script = Script::start(Client::new(options(Transport::Tcp)));
    script.open(7);
    line(&mut script, b"one");
    script.take();
    script.pass_millis(2_000);
    assert_eq!(script.sent(), ["7 closed"]);
    line(&mut script, b"two");
    assert_eq!(script.sent(), ["connect 10.0.0.9:12000"]);
}

#[test]
fn a_server_out_of_reach_is_exit_code_4() {
    let mut script = Script::start(Client::new(options(Transport::Tcp)));
    script.pass_millis(2_000);
    assert_eq!(
        script.take()[1..],
        [
            Action::Complain(no_server(SERVER.parse().unwrap(), "no answer within 2s")),
            Action::Exit(4)
        ]
    );
    let mut script = Script::start(Client::new(options(Transport::Tcp)));
    script.event(Event::ConnectFailed {
        to: SERVER.parse().unwrap(),
        why: "connection refused",
    });
    assert_eq!(script.sent(), ["connect 10.0.0.9:12000", "exit 4"]);
}

#[test]
fn the_master_is_the_server_when_it_is_asked_for() {
    let mut auto = options(Transport::Udp);
    auto.server = Server::Master { port: 12_000 };
    let mut script = Script::start(Client::new(auto));
    assert_eq!(script.sent(), ["find master"]);
    assert!(!script.service.wants_line());
    let address = Some([10, 0, 0, 5].into());
    script.event(Event::Master { address });
    line(&mut script, b"hello");
    assert_eq!(script.sent(), ["10.0.0.5:12000 < hello"]);

    let mut script = Script::start(Client::new(auto));
    script.event(Event::Master { address: None });
    assert_eq!(script.sent(), ["find master", "exit 1"]);
}

#[test]
fn texts_that_cannot_be_sent_are_told_and_skipped() {
    let mut script = Script::start(Client::new(options(Transport::Tcp)));
    script.open(7).take();
    line(&mut script, b"\r");
    line(&mut script, &[b'a'; 2_049]);
    assert_eq!(complaints(&mut script).len(), 2);
    script.event(Event::InputEnded);
    assert_eq!(script.sent(), ["exit 1"]);
}

#[test]
fn a_person_is_prompted_once_a_line() {
    let mut with_prompt = options(Transport::Udp);
    with_prompt.prompt = true;
    let mut script = Script::start(Client::new(with_prompt));
    let greeting = "each line goes to 10.0.0.9:12000 over UDP; Ctrl-D ends";
    assert_eq!(
        script.take(),
        [Action::Print(greeting.into()), Action::Prompt("Text: ")]
    );
    line(&mut script, b"hello");
    script.take();
    script.datagram(SERVER, b"Alphanumeric.");
    assert_eq!(
        script.take(),
        [
            Action::Print("Alphanumeric.".into()),
            Action::Prompt("Text: ")
        ]
    );
    script.event(Event::InputEnded);
    assert_eq!(script.take(), [Action::Print("".into()), Action::Exit(0)]);
}

#[test]
fn a_server_that_never_stops_talking_fills_no_screen() {
    let mut script = Script::start(Client::new(options(Transport::Tcp)));
    script.open(7);
    line(&mut script, b"one");
    script.bytes(7, b"Alphanumeric").take();
    for _ in 0..100 {
        script.bytes(7, &[b'x'; 4_096]);
    }
    let actions = script.take();
    assert_eq!(actions.len(), 2, "{actions:?}");
    assert_eq!(actions[0], Action::Close { peer: Peer(7) });
    line(&mut script, b"two");
    assert_eq!(script.sent(), ["connect 10.0.0.9:12000"]);
    // Over UDP it is told once a text.
    let mut script = Script::start(Client::new(options(Transport::Udp)));
    for _ in 0..100 {
        script.datagram(SERVER, b"noise");
    }
    assert_eq!(script.take().len(), 1);
}

#[test]
fn a_text_of_just_2048_bytes_is_sent() {
    let mut script = Script::start(Client::new(options(Transport::Udp)));
    line(&mut script, &[b'x'; 2_048]);
    assert_eq!(script.sent().len(), 1);
}

/// A timer that comes early, and a refusal while nothing was asked.
#[test]
fn what_is_no_end_of_a_question_is_none() {
    let mut script = Script::start(Client::new(options(Transport::Udp)));
    let to = SERVER.parse().unwrap();
    assert_eq!(script.event(Event::Refused { to }).take(), []);
    line(&mut script, b"hello");
    script.take();
    assert_eq!(script.event(Event::Timer).take(), []);
    let to = "10.0.0.8:12000".parse().unwrap();
    assert_eq!(script.event(Event::Refused { to }).take(), []);
    script.datagram(SERVER, b"Alphanumeric.");
    assert_eq!(script.printed(), ["Alphanumeric."]);
}

#[test]
fn what_has_come_before_the_close_is_the_answer() {
    let mut script = Script::start(Client::new(options(Transport::Tcp)));
    script.open(1);
    line(&mut script, b"hello");
    script.bytes(1, b"half an ans").take();
    script.event(Event::Closed { peer: Peer(1) });
    assert_eq!(script.printed(), ["half an ans"]);
}
