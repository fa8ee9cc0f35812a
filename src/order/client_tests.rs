//! The client against scripted servers.

use super::*;
use crate::script::Script;

fn client() -> Script<Client> {
    let mut script = Script::start(Client::new(Options {
        letter: b'X',
        name: "Ann".into(),
        server: Server::At("10.0.0.9:12000".parse().unwrap()),
        timeout: Duration::from_secs(120),
    }));
    assert_eq!(script.sent(), ["connect 10.0.0.9:12000"]);
    script
}

fn ends(script: &mut Script<Client>, line: Action, code: u8) {
    assert_eq!(script.take(), [line, Action::Exit(code)]);
    assert_eq!(script.service.deadline(), None);
}

#[test]
fn it_prints_its_own_message_then_the_verdict() {
    let mut script = client();
    script.open(1);
    assert_eq!(
        script.take(),
        [
            Action::Print("Client X: Ann".into()),
            Action::Write {
                peer: Peer(1),
                bytes: b"Client X: Ann".to_vec()
            }
        ]
    );
    script.bytes(1, b"Client X conn").pass_millis(900);
    script.bytes(1, b"ectedFrom Server: X: Ann reci");
    script.bytes(1, b"eved before Y: Bob\0\0\0");
    assert_eq!(script.take(), []);
    script.half_close(1);
    let verdict = "X: Ann received before Y: Bob";
    ends(&mut script, Action::Print(verdict.into()), 0);
}

#[test]
fn a_server_that_does_not_close_is_not_waited_for() {
    let mut script = client();
    script.open(1).take();
    script
        .bytes(1, b"Y: Bob received before X: An")
        .pass_millis(990);
    script.bytes(1, b"n").pass_millis(999);
    assert_eq!(script.take(), []);
    script.pass_millis(1);
    let verdict = "Y: Bob received before X: Ann";
    ends(&mut script, Action::Print(verdict.into()), 0);
}

#[test]
fn errors_closes_and_silence_are_told() {
    let mut script = client();
    script.open(1).take();
    script.bytes(1, b"Error: two clients are Client X");
    script.half_close(1);
    let why = "10.0.0.9:12000 gives no verdict: two clients are Client X";
    ends(&mut script, Action::Complain(why.into()), 1);

    let mut script = client();
    script.open(1).take();
    script.bytes(1, b"Client X connected\0").half_close(1);
    let why = "10.0.0.9:12000 closed the connection without a verdict";
    ends(&mut script, Action::Complain(why.into()), 1);

    let mut script = client();
    script.open(1).take();
    script.pass(Duration::from_secs(119));
    assert_eq!(script.take(), []);
    script.pass(Duration::from_secs(1));
    let why = "no verdict within 120s: is the other contestant there?";
    ends(&mut script, Action::Complain(why.into()), 1);

    let mut script = client();
    script.event(Event::ConnectFailed {
        to: "10.0.0.9:12000".parse().unwrap(),
        why: "connection refused",
    });
    let why = "cannot reach 10.0.0.9:12000: connection refused; \
               `boardroom order server` starts a server";
    ends(&mut script, Action::Complain(why.into()), 4);
}

/// One that drips for ever is left at the time-out.
#[test]
fn a_dripping_server_does_not_hold_the_client() {
    let mut script = client();
    script
        .open(1)
        .bytes(1, b"X: Ann received before Y: ")
        .take();
    for _ in 0..240 {
        script.bytes(1, b"b").pass_millis(500);
    }
    assert!(matches!(
        script.take()[..],
        [Action::Print(_), Action::Exit(0), ..]
    ));
}

/// One that never stops talking is left when it has said too much.
#[test]
fn a_babbling_server_is_left() {
    let mut script = client();
    script.open(1).take();
    for _ in 0..20 {
        script.bytes(1, &[b'x'; 4_096]);
    }
    let start = "x".repeat(200);
    let why = format!("10.0.0.9:12000 gives no verdict: \"{start}\"");
    ends(&mut script, Action::Complain(why), 1);
}

#[test]
fn the_master_is_the_server_when_it_is_asked_for() {
    let mut script = Script::start(Client::new(Options {
        letter: b'X',
        name: "Ann".into(),
        server: Server::Master { port: 12_000 },
        timeout: Duration::from_secs(120),
    }));
    assert_eq!(script.sent(), ["find master"]);
    let address = Some([10, 0, 0, 7].into());
    script.event(Event::Master { address });
    assert_eq!(script.sent(), ["connect 10.0.0.7:12000"]);
}

#[test]
fn a_timer_that_comes_early_ends_nothing_and_a_stop_does() {
    let mut script = client();
    script.open(1).take();
    assert_eq!(script.event(Event::Timer).take(), []);
    script.event(Event::Stop);
    assert_eq!(script.take(), [Action::Exit(1)]);
    assert_eq!(script.service.deadline(), None);
}
