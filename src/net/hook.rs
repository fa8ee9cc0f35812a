//! `--on-change PROGRAM`: a program of the user's, told what this board has
//! become.
//!
//! One runs at a time and never blocks the loop. While it runs, the newest
//! change waits, in place of any other that waited; one that says what the
//! program running was told already does not. A program that takes too long is
//! killed with its whole process group. What it prints goes to the log.

use super::child::{Child, End, Start};
use super::guardian::GUARDED;
use super::reactor::{Interest, Key, Reactor};
use crate::text::without_number;
use crate::time::{Duration, Instant};
use core::net::Ipv4Addr;
use std::ffi::OsStr;
use std::io::{self, ErrorKind, PipeReader, Read};
use std::os::fd::AsFd;
use std::path::PathBuf;

/// What a program is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// `master`, `slave` or `won`.
    pub role: &'static str,
    /// This board's address; none: it has none.
    pub address: Option<Ipv4Addr>,
    /// This board's vote; 0: it has not voted.
    pub vote: u8,
    /// The round.
    pub epoch: u32,
    /// The master, as far as it is known.
    pub master: Option<Ipv4Addr>,
    /// The election's port.
    pub port: u16,
}

/// What is told of the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Runs that ended with exit code 0.
    pub succeeded: u64,
    /// Runs that ended otherwise, or could not begin.
    pub failed: u64,
    /// Runs that were killed since they took too long.
    pub killed: u64,
    /// Changes never told, since a newer one came.
    pub skipped: u64,
}

/// The program and its present run.
#[derive(Debug)]
pub struct Hook {
    program: PathBuf,
    limit: Duration,
    running: Option<Run>,
    next: Option<Call>,
    /// A run that found no room to begin.
    again: Option<Again>,
    /// What the last run was told.
    told: Option<&'static str>,
    /// What runs print. Bounded: a program may leave others behind that hold
    /// its output open; the oldest is no longer read.
    pipes: Vec<Pipe>,
    /// Lines for the log.
    lines: Vec<String>,
    /// How the runs ended.
    pub counts: Counts,
}

/// Without room for a process there is some later: a change that was never
/// told would leave a service without a master, or with two.
#[derive(Debug)]
struct Again {
    call: Call,
    at: Instant,
    tries_left: u32,
}

#[derive(Debug)]
struct Run {
    child: Child,
    role: &'static str,
    kill_at: Option<Instant>,
}

#[derive(Debug)]
struct Pipe {
    key: Key,
    reader: PipeReader,
    line: Vec<u8>,
    lines_left: u32,
}

impl Hook {
    /// A hook that runs `program`, each time for `limit` at most.
    pub const fn new(program: PathBuf, limit: Duration) -> Self {
        Self {
            program,
            limit,
            running: None,
            next: None,
            again: None,
            told: None,
            pipes: Vec::new(),
            lines: Vec::new(),
            counts: Counts {
                succeeded: 0,
                failed: 0,
                killed: 0,
                skipped: 0,
            },
        }
    }

    /// Tells a change, now or when the present run has ended. A role is told
    /// once, however often it is taken; `won` is told each time.
    pub fn call(&mut self, reactor: &mut Reactor, call: Call) {
        let waits = self
            .next
            .as_ref()
            .or(self.again.as_ref().map(|again| &again.call));
        if call.role == "won" && waits.is_some_and(|waits| waits.role == "master") {
            // Who does not know yet that it is master learns that first.
            self.counts.skipped += 1;
            return;
        }
        let is_known = self.told == Some(call.role) && call.role != "won";
        if self.running.is_none() {
            if !is_known {
                self.again = None;
                self.start(reactor, call, TRIES);
            }
            return;
        }
        let waiting = if is_known { None } else { Some(call) };
        if core::mem::replace(&mut self.next, waiting).is_some() {
            self.counts.skipped += 1;
        }
    }

    /// SIGCHLD: the run may have ended.
    pub fn handle_child(&mut self, reactor: &mut Reactor) {
        let Some(run) = &mut self.running else { return };
        let Some(end) = run.child.try_wait() else {
            return;
        };
        let (role, was_killed) = (run.role, run.kill_at.is_none());
        self.running = None;
        match (was_killed, end == End::Code(0)) {
            (true, _) => {}
            (false, true) => self.counts.succeeded += 1,
            (false, false) => {
                self.counts.failed += 1;
                self.lines.push(format!("the hook for {role}: {end}"));
            }
        }
        if let Some(call) = self.next.take() {
            self.call(reactor, call);
        }
    }

    /// When a run has taken too long.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.running {
            Some(run) => run.kill_at,
            None => Some(self.again.as_ref()?.at),
        }
    }

    /// Kills a run that has taken too long, begins one that found no room.
    pub fn handle_timeout(&mut self, reactor: &mut Reactor) {
        let now = reactor.now();
        if let Some(again) = self.again.take_if(|again| again.at <= now) {
            self.start(reactor, again.call, again.tries_left);
        }
        let Some(run) = &mut self.running else { return };
        if run.kill_at.is_none_or(|at| at > now) {
            return;
        }
        run.kill_at = None;
        self.counts.killed += 1;
        let limit = self.limit;
        self.lines
            .push(format!("the hook for {} took {limit}: killed", run.role));
        run.child.kill_group();
    }

    /// Reads what a run prints; whether the key is one of ours.
    pub fn handle_output(&mut self, reactor: &mut Reactor, key: Key) -> bool {
        let Some(at) = self.pipes.iter().position(|pipe| pipe.key == key) else {
            return false;
        };
        let Some(pipe) = self.pipes.get_mut(at) else {
            return false;
        };
        if !pipe.read(&mut self.lines) {
            reactor.unwatch(key);
            self.pipes.remove(at);
        }
        true
    }

    /// The lines for the log since the last call.
    pub fn take_lines(&mut self) -> impl Iterator<Item = String> + '_ {
        self.lines.drain(..)
    }

    /// Whether nothing runs and nothing waits.
    pub const fn is_idle(&self) -> bool {
        self.running.is_none() && self.again.is_none()
    }

    fn start(&mut self, reactor: &mut Reactor, call: Call, tries_left: u32) {
        self.told = Some(call.role);
        match self.spawn(&call) {
            Ok((child, reader)) => {
                self.running = Some(Run {
                    child,
                    role: call.role,
                    kill_at: Some(reactor.now() + self.limit),
                });
                if self.pipes.len() >= PIPES_MAX {
                    reactor.unwatch(self.pipes.remove(0).key);
                }
                self.pipes.push(Pipe {
                    key: reactor.watch(&reader, Interest::READ),
                    reader,
                    line: Vec::new(),
                    lines_left: LINES_MAX,
                });
            }
            Err(error) => self.handle_failure(reactor.now(), call, tries_left, &error),
        }
    }

    fn handle_failure(&mut self, now: Instant, call: Call, tries_left: u32, error: &io::Error) {
        if is_for_now(error) && tries_left > 0 {
            self.again = Some(Again {
                call,
                at: now + TRIES_APART,
                tries_left: tries_left - 1,
            });
            if tries_left < TRIES {
                return;
            }
        } else {
            self.counts.failed += 1;
        }
        let program = self.program.display();
        let text = format!("the hook {program}: {error}");
        self.lines.push(without_number(text));
    }

    fn spawn(&self, call: &Call) -> io::Result<(Child, PipeReader)> {
        let (reader, writer) = io::pipe()?;
        let text = |address: Option<Ipv4Addr>| address.map_or("-".into(), |it| it.to_string());
        let address = text(call.address);
        let (vote, epoch) = (call.vote.to_string(), call.epoch.to_string());
        let (master, port) = (text(call.master), call.port.to_string());
        let pid = std::process::id().to_string();
        let program = self.program.as_os_str();
        let [role, at, of, round] = [call.role, &address, &vote, &epoch].map(OsStr::new);
        let child = Child::start(&Start {
            program,
            arguments: &[program, role, at, of, round],
            variables: &[
                (GUARDED, None),
                ("BOARDROOM_ROLE", Some(call.role)),
                ("BOARDROOM_ADDRESS", Some(&address)),
                ("BOARDROOM_VOTE", Some(&vote)),
                ("BOARDROOM_EPOCH", Some(&epoch)),
                ("BOARDROOM_MASTER", Some(&master)),
                ("BOARDROOM_PORT", Some(&port)),
                ("BOARDROOM_PID", Some(&pid)),
            ],
            input: None,
            output: Some(writer.as_fd()),
        })?;
        Ok((child, reader))
    }
}

impl Pipe {
    /// Reads once, which poll has said will not block. False at the end.
    fn read(&mut self, lines: &mut Vec<String>) -> bool {
        let mut buffer = [0; 1_024];
        match self.reader.read(&mut buffer) {
            Ok(0) => {
                self.end_line(lines);
                false
            }
            Ok(len) => {
                for &byte in buffer.get(..len).unwrap_or_default() {
                    if byte == b'\n' {
                        self.end_line(lines);
                    } else if self.line.len() < LINE_MAX {
                        self.line.push(byte);
                    }
                }
                true
            }
            Err(error) => error.kind() == ErrorKind::Interrupted,
        }
    }

    fn end_line(&mut self, lines: &mut Vec<String>) {
        if self.line.is_empty() || self.lines_left == 0 {
            return self.line.clear();
        }
        self.lines_left -= 1;
        let text = crate::text::visible(&self.line);
        self.line.clear();
        let rest = if self.lines_left == 0 {
            " (no more is told)"
        } else {
            ""
        };
        lines.push(format!("the hook says: {text}{rest}"));
    }
}

/// Whether there is no room for a process or its pipe at the moment.
fn is_for_now(error: &io::Error) -> bool {
    let no_room = [libc::EAGAIN, libc::ENOMEM, libc::EMFILE, libc::ENFILE];
    error.raw_os_error().is_some_and(|it| no_room.contains(&it))
}

/// So often a run that finds no room is tried again,
const TRIES: u32 = 30;
/// and this far apart.
const TRIES_APART: Duration = Duration::from_secs(1);
const PIPES_MAX: usize = 4;
/// Lines of one run that go to the log.
const LINES_MAX: u32 = 100;
/// What is kept of a line.
const LINE_MAX: usize = 200;

#[cfg(test)]
#[path = "hook_tests.rs"]
mod tests;
