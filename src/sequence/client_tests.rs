//! The client, whatever the server does.

use super::*;
use crate::script::Script;

fn options(count: Option<u64>) -> Options {
    Options {
        name: "c1",
        server: Server::At("10.0.0.9:12000".parse().unwrap()),
        delay: Duration::from_millis(500),
        count,
        quiet: false,
    }
}

#[test]
fn a_hundred_numbers_and_again_at_its_pace() {
    let mut script = Script::start(Client::new(options(Some(205))));
    assert_eq!(script.sent(), ["10.0.0.9:12000 < 1"], "at once");
    script.pass_millis(499);
    assert_eq!(script.sent(), [""; 0]);
    script.pass_millis(1);
    assert_eq!(script.sent(), ["10.0.0.9:12000 < 2"]);
    script.pass(Duration::from_secs(200));
    let sent = script.sent();
    assert_eq!(sent.len(), 204);
    for (i, line) in sent[..203].iter().enumerate() {
        assert_eq!(*line, format!("10.0.0.9:12000 < {}", (i + 2) % 100 + 1));
    }
    assert_eq!(sent[203], "exit 0");
    assert_eq!(script.service.deadline(), None);
}

#[test]
fn answers_and_silence_and_refusals_change_nothing() {
    let mut script = Script::start(Client::new(options(None)));
    for i in 0..100 {
        script.datagram("10.0.0.9:12000", b"Alphanumeric.");
        script.datagram("10.0.0.8:1", &[0xff; 1_000]);
        script.pass_millis(500);
        assert_eq!(script.sent().len(), if i == 0 { 2 } else { 1 });
    }
    let to = "10.0.0.9:12000".parse().unwrap();
    script
        .event(Event::Refused { to })
        .event(Event::Refused { to });
    let why = "nobody listens at 10.0.0.9:12000; `boardroom sequence server` starts a server; \
               still sending";
    assert_eq!(script.take(), [Action::Complain(why.into())], "told once");
}

/// Stopped for a minute by ^Z: no burst afterwards.
#[test]
fn a_client_that_was_held_up_does_not_catch_up() {
    let mut script = Script::start(Client::new(options(None)));
    script.take();
    script.now += Duration::from_secs(60);
    script.event(Event::Timer);
    assert_eq!(script.sent(), ["10.0.0.9:12000 < 2"]);
    script.pass_millis(1_000);
    assert_eq!(script.sent().len(), 2);
}

#[test]
fn the_master_is_asked_for() {
    let mut auto = options(None);
    auto.server = Server::Master { port: 12_000 };
    let mut script = Script::start(Client::new(auto));
    script.pass(Duration::from_secs(2));
    assert_eq!(script.sent(), ["find master"]);
    let address = Some([10, 0, 0, 5].into());
    script.event(Event::Master { address });
    assert_eq!(script.sent(), ["10.0.0.5:12000 < 1"]);
}

/// Held up for less than a pace it keeps its beat; for just one, it leaves out
/// one number's time.
#[test]
fn a_client_that_is_a_little_late_keeps_its_beat() {
    let mut script = Script::start(Client::new(options(None)));
    let start = script.now;
    for (held, next) in [(600, 1_000), (1_500, 2_000)] {
        script.now = start + Duration::from_millis(held);
        script.event(Event::Timer);
        let next = start + Duration::from_millis(next);
        assert_eq!(script.service.deadline(), Some(next));
    }
    assert!(script.service.wants_line(), "as any that keeps no queue");
}

#[test]
fn a_server_that_goes_again_is_told_again() {
    let mut script = Script::start(Client::new(options(None)));
    let to: SocketAddrV4 = "10.0.0.9:12000".parse().unwrap();
    let mut refused = |answered_by: Option<&str>| {
        if let Some(who) = answered_by {
            script.datagram(who, b"Alphanumeric.");
        }
        script.take();
        script.event(Event::Refused { to });
        script.take().len()
    };
    assert_eq!(refused(None), 1);
    assert_eq!(refused(Some("10.0.0.8:12000")), 0, "another's answer");
    assert_eq!(refused(Some("10.0.0.9:12000")), 1);
}

#[test]
fn it_tells_what_it_does_unless_it_is_quiet_and_always_on_request() {
    for quiet in [false, true] {
        let mut script = Script::start(Client::new(Options {
            quiet,
            ..options(None)
        }));
        let told = ["c1: sending to 10.0.0.9:12000", "c1: 1"];
        let expected = if quiet { &[][..] } else { &told[..] };
        assert_eq!(script.printed(), expected);
        script.take();
        assert_eq!(script.event(Event::Report).printed(), ["c1: sent 1"]);
        script.take();
        assert_eq!(script.event(Event::Stop).take(), [Action::Exit(0)]);
    }
}
