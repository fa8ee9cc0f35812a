use super::*;
use crate::net::reactor::{Handler, Ready};
use crate::net::signals::Signals;
use crate::net::soon::soon;
use Step::{Call, Go, Idle, Overdue, Written};
use nix::sys::signal::Signal;
use std::collections::VecDeque;
use std::fs;
use std::path::Path;

/// What is done with a hook, one after the other: each as soon as it can be,
/// however long the machine takes for the one before.
enum Step {
    /// Tells the hook a role.
    Call(&'static str),
    /// Waits until the script has written these words to $LOG.
    Written(&'static str),
    /// Lets the script go on where it waits for $GO.
    Go,
    /// Waits until nothing runs and nothing waits.
    Idle,
    /// The time of the present run is over now.
    Overdue,
}

/// Drives a hook through the steps.
struct Bench {
    hook: Hook,
    signals: (Key, Signals),
    steps: VecDeque<Step>,
    log: PathBuf,
    go: PathBuf,
    lines: Vec<String>,
}

fn call(role: &'static str) -> super::Call {
    super::Call {
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
            .steps
            .front()
            .is_some_and(|step| self.is_possible(step))
        {
            let step = self.steps.pop_front().unwrap();
            self.take(reactor, &step);
        }
        self.lines.extend(self.hook.take_lines());
    }

    fn deadline(&self) -> Option<Instant> {
        // SIGCHLD goes to any thread of the test program: look now and then.
        let soon = crate::net::clock::now() + Duration::from_millis(5);
        Some(soon)
    }

    fn is_finished(&self) -> bool {
        self.steps.is_empty() && self.hook.is_idle() && self.hook.pipes.is_empty()
    }
}

impl Bench {
    fn is_possible(&self, step: &Step) -> bool {
        match step {
            Step::Written(words) => fs::read_to_string(&self.log)
                .unwrap_or_default()
                .contains(words),
            Step::Idle => self.hook.is_idle(),
            Step::Call(_) | Step::Go | Step::Overdue => true,
        }
    }

    fn take(&mut self, reactor: &mut Reactor, step: &Step) {
        match step {
            Step::Call(role) => self.hook.call(reactor, call(role)),
            Step::Go => fs::write(&self.go, "").unwrap(),
            Step::Overdue => {
                let run = self.hook.running.as_mut().unwrap();
                run.kill_at = Some(reactor.now());
            }
            Step::Written(_) | Step::Idle => {}
        }
    }
}

/// Runs `script` through the steps; gives the hook, its lines and what the
/// script has written to $LOG.
fn run(
    name: &str,
    script: &str,
    limit: Duration,
    steps: impl IntoIterator<Item = Step>,
) -> (Hook, Vec<String>, String) {
    let folder = std::env::temp_dir().join(format!("br-net-hook-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let [program, log, go] = ["hook", "log", "go"].map(|name| folder.join(name));
    write_program(
        &program,
        &format!(
            "#!/bin/sh\nLOG={}\nGO={}\n{script}\n",
            log.display(),
            go.display()
        ),
    );
    let mut reactor = Reactor::new(64);
    let signals = Signals::take(&[Signal::SIGCHLD]).unwrap();
    let mut bench = Bench {
        hook: Hook::new(program, limit),
        signals: (reactor.watch(&signals, Interest::READ), signals),
        steps: steps.into_iter().collect(),
        log,
        go,
        lines: Vec::new(),
    };
    reactor.run(&mut bench).unwrap();
    let written = fs::read_to_string(&bench.log).unwrap_or_default();
    fs::remove_dir_all(&folder).unwrap();
    (bench.hook, bench.lines, written)
}

/// Written by a process of its own: a child that another test starts meanwhile
/// would hold a file that is open for writing here, and such a file cannot be
/// run ("text file busy").
fn write_program(path: &Path, text: &str) {
    let mut writer = std::process::Command::new("sh")
        .args(["-c", "cat >\"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = writer.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, text.as_bytes()).unwrap();
    drop(input);
    assert!(writer.wait().unwrap().success());
}

/// Part of a script: waits for [`Step::Go`].
const WAIT: &str = "until [ -e $GO ]; do sleep 0.01; done";

const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_program_is_told_by_arguments_and_environment_and_its_words_are_logged() {
    let script = r#"echo "$@" $BOARDROOM_ROLE $BOARDROOM_ADDRESS $BOARDROOM_VOTE $BOARDROOM_EPOCH $BOARDROOM_PORT
        [ "$BOARDROOM_PID" = $PPID ] || echo "not by $BOARDROOM_PID"
        printf 'bad\033[2J' >&2"#;
    let (hook, lines, _) = run("told", script, LONG, [Call("master")]);
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
    let script = format!(r#"echo "begin $1" >>$LOG; {WAIT}; echo "end $1" >>$LOG"#);
    let steps = [
        Call("slave"),
        Call("slave"),
        Written("begin slave"),
        Call("master"),
        Call("won"),
        Call("slave"),
        Call("master"),
        Go,
        Idle,
        Call("master"),
    ];
    let (hook, _, written) = run("newest", &script, LONG, steps);
    assert_eq!(
        written,
        "begin slave\nend slave\nbegin master\nend master\n"
    );
    assert_eq!((hook.counts.succeeded, hook.counts.failed), (2, 0));
    assert_eq!(hook.counts.skipped, 2);
}

#[test]
fn a_change_that_was_taken_back_is_not_told() {
    let script = format!(r#"echo "$1" >>$LOG; {WAIT}"#);
    let steps = [Call("master"), Call("slave"), Call("master"), Go];
    let (_, _, written) = run("back", &script, LONG, steps);
    assert_eq!(written, "master\n");
}

#[test]
fn won_is_told_each_time() {
    let script = r#"echo "$1" >>$LOG"#;
    let steps = [Call("master"), Idle, Call("won"), Idle, Call("won")];
    let (_, _, written) = run("won", script, LONG, steps);
    assert_eq!(written, "master\nwon\nwon\n");
}

#[test]
fn won_takes_the_place_of_no_master_that_waits() {
    let script = format!(r#"echo "$1" >>$LOG; {WAIT}"#);
    let steps = [Call("slave"), Call("master"), Call("won"), Go];
    let (hook, _, written) = run("place", &script, LONG, steps);
    assert_eq!(written, "slave\nmaster\n", "who is not told starts nothing");
    assert_eq!(hook.counts.skipped, 1);
}

#[test]
fn a_program_that_hangs_is_killed_with_its_children() {
    let script = r#"[ $1 = slave ] || sleep 60 & echo "$1" >>$LOG; [ $1 = slave ] || sleep 60"#;
    let began = crate::net::clock::now();
    let steps = [Call("master"), Call("slave"), Written("master"), Overdue];
    // The pipe ends only when the grandchild is dead as well.
    let (hook, lines, written) = run("hang", script, LONG, steps);
    let took = crate::net::clock::now() - began;
    assert!(took < Duration::from_secs(30), "else it takes 60 s: {took}");
    assert_eq!(written, "master\nslave\n");
    assert_eq!((hook.counts.killed, hook.counts.succeeded), (1, 1));
    assert_eq!(lines, ["the hook for master took 20s: killed"]);
}

#[test]
fn a_run_has_its_time_and_no_more() {
    let mut reactor = Reactor::new(64);
    let mut hook = Hook::new("/bin/true".into(), LONG);
    hook.call(&mut reactor, call("slave"));
    assert_eq!(hook.deadline(), Some(reactor.now() + LONG));
    let ended = soon(|| {
        hook.handle_child(&mut reactor);
        hook.is_idle().then_some(())
    });
    assert!(ended.is_some());
    assert_eq!((hook.deadline(), hook.counts.succeeded), (None, 1));
}

#[test]
fn failures_are_told_and_counted() {
    let (hook, lines, _) = run("fails", "exit 3", LONG, [Call("master")]);
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
    let (_, lines, _) = run("talk", script, LONG, [Call("master")]);
    assert_eq!(lines.len(), LINES_MAX as usize);
    assert!(lines.last().unwrap().ends_with("(no more is told)"));
}
