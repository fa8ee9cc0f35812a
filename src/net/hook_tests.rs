use super::*;
use crate::net::reactor::{Handler, Ready};
use crate::net::signals::Signals;
use nix::sys::signal::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Drives a hook: calls what is on the list as time comes.
struct Bench {
    hook: Hook,
    signals: (Key, Signals),
    calls: Vec<(Instant, &'static str)>,
    lines: Vec<String>,
}

fn call(role: &'static str) -> Call {
    Call {
        role,
        address: Some(Ipv4Addr::new(10, 3, 52, 2)),
        vote: 7,
        epoch: 3,
        master: None,
        port: 2000,
    }
}

impl Handler for Bench {
    fn ready(&mut self, reactor: &mut Reactor, key: Key, _: Ready) {
        if key == self.signals.0 {
            while self.signals.1.take_next().is_some() {}
            self.hook.handle_child(reactor);
        } else {
            assert!(self.hook.handle_output(reactor, key));
        }
    }

    fn end_turn(&mut self, reactor: &mut Reactor, _: bool) {
        self.hook.handle_timeout(reactor);
        // Another test's SIGCHLD may have come to this thread's place.
        self.hook.handle_child(reactor);
        while self
            .calls
            .first()
            .is_some_and(|(at, _)| *at <= reactor.now())
        {
            let (_, role) = self.calls.remove(0);
            self.hook.call(reactor, call(role));
        }
        self.lines.extend(self.hook.take_lines());
    }

    fn deadline(&self) -> Option<Instant> {
        // SIGCHLD goes to any thread of the test program: look now and then.
        let soon = crate::net::clock::now() + Duration::from_millis(5);
        Some(soon)
    }

    fn is_finished(&self) -> bool {
        self.calls.is_empty() && self.hook.is_idle() && self.hook.pipes.is_empty()
    }
}

/// Runs `script` for each of `calls` (milliseconds, role); gives the hook, its
/// lines and what the script has written to $LOG.
fn run(
    name: &str,
    script: &str,
    limit: Duration,
    calls: &[(u64, &'static str)],
) -> (Hook, Vec<String>, String) {
    let folder = std::env::temp_dir().join(format!("br-net-hook-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (program, log) = (folder.join("hook"), folder.join("log"));
    fs::write(
        &program,
        format!("#!/bin/sh\nLOG={}\n{script}\n", log.display()),
    )
    .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut reactor = Reactor::new(64);
    let signals = Signals::take(&[Signal::SIGCHLD]).unwrap();
    let start = reactor.now();
    let mut bench = Bench {
        hook: Hook::new(program, limit),
        signals: (reactor.watch(&signals, Interest::READ), signals),
        calls: calls
            .iter()
            .map(|&(ms, role)| (start + Duration::from_millis(ms), role))
            .collect(),
        lines: Vec::new(),
    };
    reactor.run(&mut bench).unwrap();
    let written = fs::read_to_string(&log).unwrap_or_default();
    fs::remove_dir_all(&folder).unwrap();
    (bench.hook, bench.lines, written)
}

const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_program_is_told_by_arguments_and_environment_and_its_words_are_logged() {
    let script = r#"echo "$@" $BOARDROOM_ROLE $BOARDROOM_ADDRESS $BOARDROOM_VOTE $BOARDROOM_EPOCH $BOARDROOM_PORT
        [ "$BOARDROOM_PID" = $PPID ] || echo "not by $BOARDROOM_PID"
        printf 'bad\033[2J' >&2"#;
    let (hook, lines, _) = run("told", script, LONG, &[(0, "master")]);
    assert_eq!(hook.counts.succeeded, 1);
    assert_eq!(
        lines,
        [
            "the hook says: master 10.3.52.2 7 3 master 10.3.52.2 7 3 2000",
            "the hook says: bad\\x1b[2J"
        ]
    );
}

#[test]
fn one_at_a_time_the_newest_wins_and_each_role_is_told_once() {
    let script = r#"echo "begin $1" >>$LOG; sleep 0.3; echo "end $1" >>$LOG"#;
    let calls = [
        (0, "slave"),
        (1, "slave"),
        (50, "master"),
        (60, "won"),
        (70, "slave"),
        (80, "master"),
        (500, "master"),
    ];
    let (hook, _, written) = run("newest", script, LONG, &calls);
    assert_eq!(
        written,
        "begin slave\nend slave\nbegin master\nend master\n"
    );
    assert_eq!((hook.counts.succeeded, hook.counts.failed), (2, 0));
    assert_eq!(hook.counts.skipped, 2);
}

#[test]
fn a_change_that_was_taken_back_is_not_told() {
    let script = r#"echo "$1" >>$LOG; sleep 0.2"#;
    let calls = [(0, "master"), (20, "slave"), (40, "master")];
    let (_, _, written) = run("back", script, LONG, &calls);
    assert_eq!(written, "master\n");
}

#[test]
fn won_is_told_each_time() {
    let script = r#"echo "$1" >>$LOG"#;
    let calls = [(0, "master"), (100, "won"), (300, "won")];
    let (_, _, written) = run("won", script, LONG, &calls);
    assert_eq!(written, "master\nwon\nwon\n");
}

#[test]
fn won_takes_the_place_of_no_master_that_waits() {
    let script = r#"echo "$1" >>$LOG; sleep 0.2"#;
    let calls = [(0, "slave"), (20, "master"), (40, "won")];
    let (hook, _, written) = run("place", script, LONG, &calls);
    assert_eq!(written, "slave\nmaster\n", "who is not told starts nothing");
    assert_eq!(hook.counts.skipped, 1);
}

#[test]
fn a_program_that_hangs_is_killed_with_its_children() {
    let script = r#"echo "$1" >>$LOG; [ $1 = slave ] || { sleep 60 & sleep 60; }"#;
    let limit = Duration::from_millis(300);
    let began = crate::net::clock::now();
    // The pipe ends only when the grandchild is dead as well.
    let (hook, lines, written) = run("hang", script, limit, &[(0, "master"), (10, "slave")]);
    assert!(crate::net::clock::now() - began < Duration::from_secs(30));
    assert_eq!(written, "master\nslave\n");
    assert_eq!((hook.counts.killed, hook.counts.succeeded), (1, 1));
    assert_eq!(lines, ["the hook for master took 300ms: killed"]);
}

#[test]
fn failures_are_told_and_counted() {
    let (hook, lines, _) = run("fails", "exit 3", LONG, &[(0, "master")]);
    assert_eq!(hook.counts.failed, 1);
    assert_eq!(lines, ["the hook for master: exit status: 3"]);
    let mut reactor = Reactor::new(64);
    let mut hook = Hook::new("/br-no-such/hook".into(), LONG);
    hook.call(&mut reactor, call("slave"));
    assert!(hook.is_idle());
    assert_eq!(hook.counts.failed, 1);
    assert!(
        hook.take_lines()
            .next()
            .unwrap()
            .starts_with("the hook /br-no-such/hook:")
    );
}

#[test]
fn a_talkative_program_is_bounded() {
    let script = "i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i+1)); done";
    let (_, lines, _) = run("talk", script, LONG, &[(0, "master")]);
    assert_eq!(lines.len(), LINES_MAX as usize);
    assert!(lines.last().unwrap().ends_with("(no more is told)"));
}
