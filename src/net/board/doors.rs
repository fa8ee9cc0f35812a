//! A board's doors to its machine: signals, the control socket, the hook, the
//! log.

use super::Driver;
use super::status::Status;
use crate::election::{Notice, Role};
use crate::net::control::{self, Closed, Control, Request};
use crate::net::hook::{Call, Hook};
use crate::net::log::Level;
use crate::net::reactor::{Interest, Key, Reactor, Ready};
use crate::text::without_number;
use crate::time::Instant;
use core::fmt::Write;
use nix::sys::signal::Signal;
use std::path::Path;

impl Driver {
    /// Without a control socket the board does its work all the same.
    pub(super) fn open_control(&mut self, reactor: &mut Reactor, wanted: Option<&Path>) {
        let usual = control::default_path(self.board.config().port);
        if wanted.is_none() {
            control::make_default_directory();
        }
        let path = wanted.unwrap_or(&usual);
        let (level, why) = match Control::open(reactor, path) {
            Ok(control) => {
                self.control = Some(control);
                return;
            }
            Err(Closed::Another) => (Level::Info, "another board answers there".into()),
            // The usual place is not for everybody's boards.
            Err(Closed::Cannot(error)) if wanted.is_none() => (Level::Detail, error.to_string()),
            Err(Closed::Cannot(error)) => (Level::Warning, error.to_string()),
        };
        let text = without_number(format!("no control socket at {}: {why}", path.display()));
        self.log.line(reactor.now(), level, "control", text);
    }

    pub(super) fn handle_control(&mut self, reactor: &mut Reactor, key: Key, ready: Ready) {
        let Some(mut control) = self.control.take() else {
            return;
        };
        if let Some(request) = control.handle(reactor, key, ready) {
            let text = match request {
                Request::Status => self.status(reactor.now()).text(),
                Request::StatusJson => self.status(reactor.now()).json(),
                Request::Resign => self.resign(reactor).into(),
                Request::Watch => String::new(),
            };
            control.answer(reactor, key, &text, request == Request::Watch);
        }
        self.control = Some(control);
    }

    pub(super) fn status(&self, now: Instant) -> Status<'_> {
        Status {
            board: &self.board,
            place: self.open.as_ref().map(|open| &open.place),
            absent: self.absent.as_ref().map(ToString::to_string),
            counts: &self.counts,
            started: self.started,
            now,
        }
    }

    pub(super) fn resign(&mut self, reactor: &mut Reactor) -> &'static str {
        if self.board.role() != Role::Master {
            return "error: this board is not the master\n";
        }
        if self.hook.is_some() && self.board.config().quorum.is_some() {
            // The office is kept until the program has let go of it: so long
            // nobody else can be master.
            self.call_hook(reactor, "slave");
            self.hands_over = true;
        } else {
            self.leave_office(reactor.now());
        }
        "ok\n"
    }

    fn leave_office(&mut self, now: Instant) {
        self.tape(|record| record.word("resign"));
        self.board.handle_resign(now);
    }

    /// Ends a hand-over that waited for the program.
    pub(super) fn end_hand_over(&mut self, now: Instant) {
        if self.hands_over && self.hook.as_ref().is_none_or(Hook::is_idle) {
            self.hands_over = false;
            self.leave_office(now);
        }
    }

    /// Once the program that was told of the office's end has ended, another
    /// board may be master.
    pub(super) fn end_letting_go(&mut self, reactor: &Reactor) {
        if self.board.is_letting_go() && self.hook.as_ref().is_none_or(Hook::is_idle) {
            self.tape(|record| record.word("let-go"));
            self.board.handle_let_go(reactor.now());
            self.transmit(reactor);
        }
    }

    pub(super) fn handle_signals(&mut self, reactor: &mut Reactor) {
        while let Some(signal) = self.signals.1.take_next() {
            let now = reactor.now();
            if signal == Signal::SIGCHLD {
                if let Some(hook) = &mut self.hook {
                    hook.handle_child(reactor);
                }
                continue;
            }
            if signal == Signal::SIGUSR1 {
                let text = self.counters();
                self.log.line(now, Level::Info, "counters", text);
                continue;
            }
            self.log
                .line(now, Level::Info, "end", format!("{signal}: the end"));
            if self.is_ending {
                self.end_sooner();
                continue;
            }
            self.resign(reactor);
            self.is_ending = true;
        }
    }

    /// Asked to end once more: the program is not waited for, unless with a
    /// quorum an office is kept for it (Q6).
    fn end_sooner(&mut self) {
        if !self.hands_over {
            self.hook = None;
        }
    }

    /// All counters that are not 0, in one line.
    pub(super) fn counters(&self) -> String {
        let mut text = format!(
            "{} in round {}; counters:",
            self.board.role(),
            self.board.epoch()
        );
        for (name, count) in self.board.counters().all().chain(self.counts.all()) {
            if count > 0 {
                let _ = write!(text, " {name}={count}");
            }
        }
        text
    }

    /// The user's program hears what this board has become.
    pub(super) fn call_hook(&mut self, reactor: &mut Reactor, role: &'static str) {
        let Some(hook) = &mut self.hook else { return };
        let board = &self.board;
        let call = Call {
            role,
            address: board.network().map(|network| network.address),
            vote: board.vote().unwrap_or(0),
            epoch: board.epoch().0,
            master: board.master().map(|master| master.address),
            port: board.config().port,
        };
        hook.call(reactor, call);
    }

    /// The program hears of an office, but not of one that is being handed over:
    /// it has been told to let go, and that is the last it is to hear of it.
    fn tell_office(&mut self, reactor: &mut Reactor, role: &'static str) {
        if !self.hands_over {
            self.call_hook(reactor, role);
        }
    }

    pub(super) fn run_hook(&mut self, reactor: &mut Reactor) {
        let Some(hook) = &mut self.hook else { return };
        hook.handle_timeout(reactor);
        self.counts.hooks = hook.counts;
        for line in hook.take_lines() {
            self.log.tell(Level::Info, &line);
        }
    }

    pub(super) fn tell_notices(&mut self, reactor: &mut Reactor) {
        let now = reactor.now();
        while let Some(notice) = self.board.poll_notice() {
            let (level, reason) = match notice {
                // Told by the driver, which knows the interface and the reason.
                Notice::AddressFound(_) | Notice::AddressLost => continue,
                Notice::Became(_) => (Level::Info, "role"),
                Notice::Won(_) => (Level::Info, "won"),
                Notice::Stays(_) => (Level::Info, "again"),
                Notice::Follows(_) => (Level::Info, "master"),
                Notice::Conflict(_) => (Level::Warning, "conflict"),
                Notice::Mismatch { .. } => (Level::Warning, "mismatch"),
                Notice::NoMajority { .. } => (Level::Warning, "majority"),
                Notice::QuorumDiffers(_) => (Level::Warning, "quorum"),
                Notice::StoodStill(_) => (Level::Info, "pause"),
                Notice::Unkeyed(_) => (Level::Warning, "key"),
            };
            match notice {
                Notice::Became(change) if change.role == Role::Master => {
                    self.tell_office(reactor, "master");
                }
                Notice::Became(_) => {
                    // What was to be handed over is gone; a later office is
                    // another one.
                    self.hands_over &= self.is_ending;
                    self.call_hook(reactor, "slave");
                }
                Notice::Won(_) => self.tell_office(reactor, "won"),
                _ => {}
            }
            let text = notice.to_string();
            if let Some(control) = &mut self.control {
                control.tell(reactor, &text);
            }
            self.log.line(now, level, reason, text);
        }
    }

    /// Writes the log, and has poll tell when there is room for what did not
    /// go.
    pub(super) fn flush_log(&mut self, reactor: &mut Reactor) {
        self.log.flush();
        match (self.log_key, self.log.waiting()) {
            (None, Some(output)) => self.log_key = Some(reactor.watch(output, Interest::WRITE)),
            (Some(key), None) => {
                reactor.unwatch(key);
                self.log_key = None;
            }
            _ => {}
        }
    }
}
