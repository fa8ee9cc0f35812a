//! What services ask for, done.

use super::{Finder, Host, Interest, Owner, Pending, Reactor};
use crate::net::sys::{self, PollFd};
use crate::service::{Action, Event};
use crate::text::without_number;
use std::io;
use std::os::fd::AsRawFd;

impl Host {
    /// Performs what a service asked for. What goes to its journal is on disk
    /// before anything else is done, all of it in one go; if it cannot be, the
    /// rest is not done: it may promise what could not be kept. The service
    /// hears of it before anything else, which would build on that.
    pub(super) fn perform_all(
        &mut self,
        reactor: &mut Reactor,
        index: usize,
        actions: &mut Vec<Action>,
    ) {
        if self.store(index, actions).is_err() {
            actions.clear();
            self.ask(reactor, index, Event::JournalFailed, actions);
            if self.store(index, actions).is_err() {
                actions.clear();
            }
        }
        for action in actions.drain(..) {
            self.perform(reactor, index, action);
        }
    }

    fn perform(&mut self, reactor: &mut Reactor, index: usize, action: Action) {
        match action {
            Action::Send { to, bytes } => {
                let sent = self.udp(index).map(|udp| udp.send(to, &bytes));
                if !matches!(sent, Some(Ok(()))) {
                    self.sends_failed += 1;
                }
            }
            Action::Connect { to } => self.connect(reactor, index, to),
            Action::Write { peer, bytes } => self.write(reactor, peer, &bytes),
            Action::Close { peer } => self.close(reactor, peer),
            Action::FindMaster => self.find_master(reactor, index),
            // Stored before.
            Action::Append(_) | Action::Rewrite(_) => {}
            Action::Print(line) => self.print(index, &line),
            Action::Complain(line) => self.stderr.line(&line),
            Action::Prompt(text) => {
                // On a terminal a complaint stands above the next prompt.
                self.stderr.flush();
                self.stdout.prompt(text);
            }
            Action::Exit(code) => self.finish(reactor, index, code),
        }
    }

    fn print(&mut self, index: usize, line: &str) {
        let Some(setup) = self.services.get(index).map(|one| &one.setup) else {
            return;
        };
        if setup.quiet {
            return;
        }
        if setup.lossless {
            self.wait_for_room();
        }
        self.stdout.line(line);
    }

    /// Waits until the output has been read, but not longer than a signal.
    fn wait_for_room(&mut self) {
        while self.stdout.is_half_full() && self.stdout.flush() && self.stdout.is_half_full() {
            let watched = |fd, events| PollFd {
                fd,
                events,
                revents: 0,
            };
            let mut set = [
                watched(self.stdout.as_raw_fd(), libc::POLLOUT),
                watched(self.signals.as_raw_fd(), libc::POLLIN),
            ];
            let has_come = |one: &PollFd| one.events == libc::POLLIN && one.revents != 0;
            if sys::poll(&mut set, None).is_err() || set.iter().any(has_come) {
                return;
            }
        }
    }

    /// A service is done: its connections close once what was written to them
    /// has gone out.
    pub(super) fn finish(&mut self, reactor: &mut Reactor, index: usize, code: u8) {
        let Some(hosted) = self.services.get_mut(index).filter(|one| !one.is_done) else {
            return;
        };
        hosted.is_done = true;
        if self.code == 0 {
            self.code = code;
        }
        let keys = [
            hosted.listener.take().map(|(key, _)| key),
            hosted.input.take().and_then(|(key, _)| key),
            hosted.finder.take().map(|(key, _)| key),
        ];
        for key in keys.into_iter().flatten() {
            self.disown(reactor, key);
        }
        let peers = self.links.iter().filter(|(_, link)| link.service == index);
        let peers: Vec<_> = peers.map(|(peer, _)| peer).collect();
        for peer in peers {
            self.close(reactor, peer);
        }
    }

    fn find_master(&mut self, reactor: &mut Reactor, index: usize) {
        let Some(hosted) = self.services.get_mut(index) else {
            return;
        };
        if hosted.finder.is_some() {
            return;
        }
        match Finder::ask(&mut hosted.setup.master, reactor.now()) {
            Some(finder) => {
                let key = reactor.watch(&finder, Interest::READ);
                hosted.finder = Some((key, finder));
                self.own(key, Owner::Finder(index));
            }
            None => {
                let nobody = Pending::Master { address: None };
                self.pending.push_back((index, nobody));
            }
        }
    }

    /// Writes to the journal what is for it among `actions`: appends that
    /// follow each other in one write.
    fn store(&mut self, index: usize, actions: &[Action]) -> io::Result<()> {
        let hosted = self.services.get_mut(index);
        let Some(journal) = hosted.and_then(|one| one.journal.as_mut()) else {
            return Ok(());
        };
        let mut appended = Vec::new();
        let mut stored = Ok(());
        for action in actions {
            match action {
                Action::Append(bytes) => appended.extend_from_slice(bytes),
                Action::Rewrite(bytes) => {
                    // What was appended before is in the whole.
                    appended.clear();
                    stored = journal.rewrite(bytes);
                }
                _ => continue,
            }
            if stored.is_err() {
                break;
            }
        }
        if stored.is_ok() && !appended.is_empty() {
            stored = journal.append(&appended);
        }
        if let Err(error) = &stored {
            let text = format!("boardroom: journal: {error}");
            self.stderr.line(&without_number(text));
        }
        stored
    }
}
