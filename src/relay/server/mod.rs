//! A server of the line as a service: datagrams in, datagrams out.
//!
//! [`from_clients`] and [`from_servers`] take the frames, [`delivery`] moves
//! the mail, [`report`] counts and tells. A frame is believed as a server's
//! only from an address and port of the table.

mod delivery;
mod from_clients;
mod from_servers;
mod report;

use super::clients::Clients;
use super::post::{Limits, Post, Sort};
use super::seen::Sources;
use super::spool::{self, Spool};
use super::table::{Kind, SILENCE, Table};
use super::wire::{self, Id, Message};
use crate::service::{Action, Event, Service, Turn};
use crate::text::visible;
use crate::time::Instant;
use core::net::{Ipv4Addr, SocketAddrV4};
use report::{Count, Counters};

/// What a server is told at its start.
#[derive(Debug)]
pub struct Config {
    /// The line of servers, and which one this is.
    pub table: Table,
    /// What the mailboxes may hold.
    pub limits: Limits,
    /// The journal as it was found, if there is to be one.
    pub spool: Option<Vec<u8>>,
    /// Frames are not printed.
    pub quiet: bool,
}

/// A server of the line.
#[derive(Debug)]
pub struct Server {
    table: Table,
    clients: Clients,
    post: Post,
    sources: Sources,
    spool: Spool,
    counters: Counters,
    quiet: bool,
    /// There was no room for a message since the last tick.
    is_cramped: bool,
    /// The spool could not be written: until it can be, nothing is confirmed.
    spool_failed: bool,
    /// Addressee, source and number of the messages whose records are not known
    /// to be written yet.
    unsure: Vec<(Id, Id, u32)>,
    /// The journal's bytes that were no record, to be told at the start.
    damaged: usize,
    /// The last number 0–99 given.
    short: u8,
    start: Instant,
    /// When the next `alive` and the next lists are due; none before the start.
    tick: Option<Instant>,
}

impl Server {
    /// A server that has not started yet, with the mail of its spool.
    pub fn new(config: Config) -> Self {
        let journal = config.spool.as_deref();
        let recovered = spool::recover(journal.unwrap_or_default(), config.limits);
        Self {
            table: config.table,
            clients: Clients::default(),
            post: recovered.post,
            sources: recovered.sources,
            spool: match journal {
                Some(journal) => Spool::on(journal.len()),
                None => Spool::off(),
            },
            counters: Counters::default(),
            quiet: config.quiet,
            is_cramped: false,
            spool_failed: false,
            unsure: Vec::new(),
            damaged: recovered.damaged,
            short: 0,
            start: Instant::ZERO,
            tick: None,
        }
    }

    fn begin(&mut self, turn: &mut Turn<'_>) {
        self.start = turn.now;
        self.table.start(turn.now);
        self.tick = Some(turn.now + self.table.pause(turn.now));
        if self.damaged > 0 {
            turn.complain(format!(
                "the spool had {} damaged bytes, as a crash may leave them; all whole records \
                 were kept",
                self.damaged
            ));
        }
        // A new file is only sure to be there after a crash once its folder was
        // written, which writing it anew does.
        if self.damaged > 0 || self.spool.written() == 0 || self.spool.is_too_long() {
            self.rewrite_spool(turn);
        }
        let own = self.table.own_address();
        let (mails, _, _, _) = self.post.count();
        turn.print(format!(
            "relay server {} of {} is ready at {own}, {mails} messages kept",
            self.table.own() + 1,
            self.table.len(),
        ));
        self.greet_servers(turn);
    }

    /// Every few seconds: tells that it lives and whom it has, lets go of
    /// what is out of date, and looks at all mail once more.
    fn tick(&mut self, turn: &mut Turn<'_>) {
        self.tick = Some(turn.now + self.table.pause(turn.now));
        let (table, now) = (&self.table, turn.now);
        self.clients.expire(|client| {
            table.was_new(client.server)
                && table.kind(client.server, now) != Kind::Old
                && now.since(client.told) >= SILENCE
        });
        self.greet_servers(turn);
        if core::mem::take(&mut self.is_cramped) {
            self.drop_old_mail(turn);
        }
        for id in self.post.addressees() {
            self.attend(id, turn);
        }
        if self.spool.is_too_long() || self.spool_failed {
            self.spool_failed = false;
            self.rewrite_spool(turn);
        }
    }

    /// `alive` to every server, this server's clients to every new one, and
    /// all clients known to the neighbours, as existing ones expect it.
    fn greet_servers(&mut self, turn: &mut Turn<'_>) {
        let own = wire::lists(self.own_entries());
        let all = wire::lists(self.own_entries().chain(self.entries_to_pass_on(turn.now)));
        for index in self.table.others() {
            let asks = self.table.kind(index, turn.now) == Kind::Absent;
            let alive = wire::alive(*self.table.own_address().ip(), asks);
            self.send_to_server(index, alive, turn);
            let lists = if self.table.is_neighbour(index) {
                &all
            } else if self.table.kind(index, turn.now) == Kind::New {
                &own
            } else {
                continue;
            };
            for list in lists {
                self.send_to_server(index, list.clone(), turn);
            }
        }
    }

    /// The permanent entry, and this server's clients.
    fn own_entries(&self) -> impl Iterator<Item = (Id, Ipv4Addr)> {
        let own = *self.table.own_address().ip();
        core::iter::once(Id::PERMANENT)
            .chain(self.clients.all_here())
            .map(move |id| (id, own))
    }

    /// The clients of servers that are not heard by all themselves.
    fn entries_to_pass_on(&self, now: Instant) -> impl Iterator<Item = (Id, Ipv4Addr)> {
        self.clients
            .all_elsewhere()
            .filter(move |(_, client)| self.table.kind(client.server, now) != Kind::Absent)
            .map(|(id, client)| (id, *self.table.address(client.server).ip()))
    }

    fn received(&mut self, from: SocketAddrV4, bytes: &[u8], turn: &mut Turn<'_>) {
        self.counters.add(Count::Received);
        let message = match wire::parse(bytes) {
            Ok(message) => message,
            Err(why) => return self.counters.add(Count::from(why)),
        };
        if !self.quiet {
            turn.print(format!("received {} from {from}", visible(bytes)));
        }
        match self.table.sender(from) {
            Some(index) => {
                self.table.heard(index, turn.now);
                self.server_says(index, message, turn);
            }
            None => self.client_says(from, message, turn),
        }
        if self.spool.is_too_long() {
            self.rewrite_spool(turn);
        }
    }

    fn send(&mut self, to: SocketAddrV4, bytes: Vec<u8>, turn: &mut Turn<'_>) {
        debug_assert!(!bytes.is_empty(), "an empty datagram ends existing servers");
        self.counters.add(Count::Sent);
        if !self.quiet {
            turn.print(format!("sent {} to {to}", visible(&bytes)));
        }
        turn.push(Action::Send { to, bytes });
    }

    fn send_to_server(&mut self, index: usize, bytes: Vec<u8>, turn: &mut Turn<'_>) {
        self.send(self.table.address(index), bytes, turn);
    }

    fn rewrite_spool(&mut self, turn: &mut Turn<'_>) {
        if self.spool.is_on() {
            turn.push(Action::Rewrite(
                self.spool.rewritten(&self.post, &self.sources),
            ));
        }
    }

    /// Nothing of the last turn was written, nor sent: what was taken in it is
    /// not taken after all, and its senders, who have heard nothing, try again.
    fn spool_failed(&mut self, turn: &Turn<'_>) {
        self.spool_failed = true;
        for (id, source, number) in core::mem::take(&mut self.unsure) {
            let place = self.post.find(id, Sort::Text, source, number);
            let Some(mail) = place.and_then(|place| self.post.take(id, place)) else {
                continue;
            };
            self.counters.take_back(Count::Taken);
            let memory = self.sources.of(source);
            memory.here.remove(number);
            if mail.hops == 0 {
                memory.taken.remove(number);
            }
        }
        self.not_sent(|_, at| at == turn.now);
    }

    /// Mail that was sent so was not: it is kept.
    fn not_sent(&mut self, so: impl Fn(SocketAddrV4, Instant) -> bool) {
        for id in self.post.addressees() {
            if let Some(mailbox) = self.post.of_mut(id) {
                for mail in &mut mailbox.mails {
                    mail.sent = mail.sent.filter(|&(to, at)| !so(to, at));
                }
            }
        }
    }

    fn refused(&mut self, to: SocketAddrV4, turn: &mut Turn<'_>) {
        if !self.table.refused(to, turn.now) {
            return self.clients.refused(to);
        }
        // What an existing server refused was not delivered: kept after all.
        self.not_sent(|address, _| address == to);
    }
}

impl Service for Server {
    fn handle(&mut self, event: Event<'_>, turn: &mut Turn<'_>) {
        if turn.actions.is_empty() && event != Event::JournalFailed {
            // All that was asked for is done.
            self.unsure.clear();
        }
        match event {
            Event::Start { .. } => self.begin(turn),
            Event::Timer => {
                if self.tick.is_some_and(|tick| tick <= turn.now) {
                    self.tick(turn);
                }
                while let Some(id) = self.post.next_due(turn.now) {
                    self.attend(id, turn);
                }
            }
            Event::Datagram { from, bytes } => self.received(from, bytes, turn),
            Event::Refused { to } => self.refused(to, turn),
            Event::JournalFailed => self.spool_failed(turn),
            Event::Report => self.report(turn),
            Event::Stop => turn.push(Action::Exit(0)),
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match (self.tick, self.post.deadline()) {
            (Some(tick), Some(due)) => Some(tick.min(due)),
            (tick, due) => tick.or(due),
        }
    }
}

#[cfg(test)]
#[path = "../server_tests.rs"]
mod tests;
