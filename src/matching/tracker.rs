//! The tracker, "Central": servers and clients come, and each search goes to
//! all servers that are there.
//!
//! A peer is admitted when it opens a connection, greets within ten seconds as
//! a server or a client, and leaves by closing. What it does in between can
//! harm nobody else: its frames and its searches are bounded, what it sends
//! out of turn is counted, and [`WRONG_MAX`] such frames end it.

use super::ANSWER_TIME;
use super::counters::{Counters, bump};
use super::holder::{Holder, Meaning, Numbers};
use super::search::{Search, Searches};
use super::wire::{self, FRAME_MAX, Message, Number, Splitter};
use crate::service::{Action, Event, Peer, Service, Turn};
use crate::table::Table;
use crate::text::visible;
use crate::time::{Duration, Instant};
use std::collections::VecDeque;

/// How many servers a tracker takes; the next one is refused.
pub const SERVERS_MAX: usize = 1_024;
/// How many clients a tracker takes; the next one is refused.
pub const CLIENTS_MAX: usize = 1_024;
/// How many connections may stand without a greeting; the next one ends the
/// oldest, so that whoever greets at once comes in, however many are silent.
/// All servers and clients may connect before the first of them greets.
pub const UNGREETED_MAX: usize = SERVERS_MAX + CLIENTS_MAX;
/// How long a connection may stand without a greeting.
pub const GREETING_TIME: Duration = Duration::from_secs(10);
/// How many searches a client may send ahead of their results.
pub const AHEAD_MAX: usize = 16;
/// How many frames out of turn end a peer.
pub const WRONG_MAX: u8 = 100;

/// The tracker.
#[derive(Debug, Default)]
pub struct Tracker {
    options: Options,
    streams: Table<Peer, Stream>,
    /// When each must have greeted.
    ungreeted: Table<Peer, Instant>,
    servers: Table<Peer, Holder>,
    clients: Table<Peer, Seeker>,
    searches: Searches,
    /// How many servers have ever come.
    arrivals: u32,
    /// How many clients have ever left.
    departures: usize,
    /// How many servers no second search may be sent to now.
    blocking: usize,
    counters: Counters,
}

/// What a tracker can be told.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Print no messages.
    pub quiet: bool,
    /// An exercise of so many servers and as many clients: searches wait for
    /// the last server, and the last client's leaving is the end.
    pub exercise: Option<usize>,
}

#[derive(Debug)]
struct Stream {
    splitter: Splitter,
    wrong: u8,
}

#[derive(Debug)]
struct Seeker {
    name: String,
    /// A search for it waits or runs.
    busy: bool,
    /// It will send no more.
    half_closed: bool,
    /// What it asked for meanwhile, in order.
    ahead: VecDeque<Option<Number>>,
}

impl Seeker {
    fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            busy: false,
            half_closed: false,
            ahead: VecDeque::new(),
        }
    }
}

impl Service for Tracker {
    fn handle(&mut self, event: Event<'_>, turn: &mut Turn<'_>) {
        match event {
            Event::Start { port } => self.tell_port(port, turn),
            Event::Opened { peer, .. } => self.admit(peer, turn),
            Event::Bytes { peer, bytes } => self.receive(peer, bytes, turn),
            Event::HalfClosed { peer } => self.half_closed(peer, turn),
            Event::Closed { peer } => self.leave(peer, turn),
            Event::Timer => self.overdue(turn),
            Event::Report => self.report(turn),
            Event::Stop => turn.push(Action::Exit(0)),
            _ => {}
        }
        self.advance(turn);
    }

    fn deadline(&self) -> Option<Instant> {
        let greeting = self.ungreeted.first().map(|(_, &due)| due);
        greeting.into_iter().chain(self.searches.deadline()).min()
    }
}

/// How peers come, and how they go.
impl Tracker {
    /// A tracker without peers.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            ..Self::default()
        }
    }

    /// What has happened so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// A tracker's port is told even if it is quiet: it may have been drawn.
    fn tell_port(&self, port: u16, turn: &mut Turn<'_>) {
        if !self.options.quiet || self.options.exercise.is_none() {
            turn.print(format!("Central: listening on port {port}."));
        }
    }

    fn admit(&mut self, peer: Peer, turn: &mut Turn<'_>) {
        if self.ungreeted.len() >= UNGREETED_MAX
            && let Some((oldest, _)) = self.ungreeted.first()
        {
            bump(&mut self.counters.silent);
            self.close(oldest, turn);
        }
        self.ungreeted.insert(peer, turn.now + GREETING_TIME);
        self.streams.insert(
            peer,
            Stream {
                splitter: Splitter::new(FRAME_MAX),
                wrong: 0,
            },
        );
    }

    fn greet(&mut self, peer: Peer, name: &str, is_server: bool, turn: &mut Turn<'_>) {
        let (taken, full) = if is_server {
            let taken = self.servers.values().any(|server| server.name == name);
            (taken, self.servers.len() >= SERVERS_MAX)
        } else {
            let taken = self.clients.values().any(|client| client.name == name);
            (taken, self.clients.len() >= CLIENTS_MAX)
        };
        if !wire::is_name(name) {
            self.refuse(peer, name, "bad name", turn);
        } else if taken {
            self.refuse(peer, name, "name taken", turn);
        } else if full {
            self.refuse(peer, name, "tracker full", turn);
        } else if is_server {
            self.welcome_server(peer, name, turn);
        } else {
            self.ungreeted.remove(peer);
            self.trace(turn, || {
                format!("Central: received \"Hi\" from Client {name}.")
            });
            self.clients.insert(peer, Seeker::new(name));
        }
    }

    fn welcome_server(&mut self, peer: Peer, name: &str, turn: &mut Turn<'_>) {
        write(turn, peer, Message::Track);
        if !self.options.quiet {
            turn.print(format!("Central: received \"Hello\" from Server {name}."));
            turn.print(format!("Central: sending \"Track\" to Server {name}."));
        }
        self.ungreeted.remove(peer);
        self.servers.insert(peer, Holder::new(name.into()));
        self.arrivals = self.arrivals.wrapping_add(1);
    }

    fn refuse(&mut self, peer: Peer, who: &str, why: &str, turn: &mut Turn<'_>) {
        bump(&mut self.counters.refused);
        self.trace(turn, || {
            format!("Central: refused \"{}\": {why}.", visible(who.as_bytes()))
        });
        write(turn, peer, Message::Fail(why));
        self.close(peer, turn);
    }

    fn close(&mut self, peer: Peer, turn: &mut Turn<'_>) {
        turn.push(Action::Close { peer });
        self.leave(peer, turn);
    }

    fn leave(&mut self, peer: Peer, turn: &mut Turn<'_>) {
        self.streams.remove(peer);
        self.ungreeted.remove(peer);
        if let Some(server) = self.servers.remove(peer) {
            self.settle(server.blocks(), server.awaited());
            let name = server.name;
            self.trace(turn, || format!("Central: Server {name} has left."));
        }
        if let Some(Seeker { name, .. }) = self.clients.remove(peer) {
            self.searches.forget(peer);
            self.departures += 1;
            self.trace(turn, || format!("Central: Client {name} has left."));
            if self.options.exercise == Some(self.departures) {
                turn.push(Action::Exit(0));
            }
        }
    }

    /// A server that sends no more answers no more; a client may still want
    /// its results.
    fn half_closed(&mut self, peer: Peer, turn: &mut Turn<'_>) {
        match self.clients.get_mut(peer) {
            Some(client) if client.busy => client.half_closed = true,
            _ => self.close(peer, turn),
        }
    }

    fn overdue(&mut self, turn: &mut Turn<'_>) {
        while let Some((peer, _)) = self.ungreeted.first().filter(|&(_, &due)| due <= turn.now) {
            bump(&mut self.counters.silent);
            self.close(peer, turn);
        }
        while let Some(number) = self.searches.overdue(turn.now) {
            let mut unblocked = 0;
            for (_, server) in self.servers.iter_mut() {
                let blocked = server.blocks();
                server.give_up(number);
                unblocked += usize::from(blocked && !server.blocks());
            }
            self.blocking -= unblocked;
            if let Some(search) = self.searches.running(number) {
                search.pending = 0;
            }
        }
    }

    fn report(&self, turn: &mut Turn<'_>) {
        let (running, waiting) = self.searches.counts();
        turn.print(format!(
            "Central: {} servers, {} clients, {} yet to greet; {running} searches running, \
             {waiting} waiting; {}",
            self.servers.len(),
            self.clients.len(),
            self.ungreeted.len(),
            self.counters
        ));
    }

    fn trace(&self, turn: &mut Turn<'_>, line: impl FnOnce() -> String) {
        if !self.options.quiet {
            turn.print(line());
        }
    }
}

/// What peers say.
impl Tracker {
    fn receive(&mut self, peer: Peer, bytes: &[u8], turn: &mut Turn<'_>) {
        let mut rest = bytes;
        while let Some(stream) = self.streams.get_mut(peer) {
            match stream.splitter.next(&mut rest) {
                None => return,
                Some(Ok(frame)) => self.take(peer, &frame, turn),
                Some(Err(_)) => {
                    bump(&mut self.counters.wrong);
                    self.reject(peer, "frame too long", turn);
                }
            }
        }
    }

    fn take(&mut self, peer: Peer, frame: &[u8], turn: &mut Turn<'_>) {
        let message = wire::parse(frame);
        if self.ungreeted.has(peer) {
            match message {
                Ok(Message::Hello(name)) => self.greet(peer, name, true, turn),
                Ok(Message::Hi(name)) => self.greet(peer, name, false, turn),
                _ => {
                    bump(&mut self.counters.wrong);
                    self.reject(peer, "bad greeting", turn);
                }
            }
            return;
        }
        let is_server = self.servers.has(peer);
        match message {
            Ok(Message::Match) if is_server => self.take_answer(peer, true, turn),
            Ok(Message::None) if is_server => self.take_answer(peer, false, turn),
            Ok(Message::Search(number)) if !is_server => self.take_search(peer, number, turn),
            _ => self.wrong(peer, turn),
        }
    }

    fn wrong(&mut self, peer: Peer, turn: &mut Turn<'_>) {
        bump(&mut self.counters.wrong);
        if let Some(stream) = self.streams.get_mut(peer) {
            stream.wrong += 1;
            if stream.wrong >= WRONG_MAX {
                self.reject(peer, "too many wrong frames", turn);
            }
        }
    }

    fn reject(&mut self, peer: Peer, why: &str, turn: &mut Turn<'_>) {
        let server = self.servers.get(peer).map(|server| &server.name);
        let client = self.clients.get(peer).map(|client| &client.name);
        let name = server.or(client).cloned().unwrap_or_default();
        self.refuse(peer, &name, why, turn);
    }

    fn take_answer(&mut self, peer: Peer, is_match: bool, turn: &mut Turn<'_>) {
        let Some(server) = self.servers.get_mut(peer) else {
            return;
        };
        let blocked = server.blocks();
        let awaited = server.awaited();
        let meaning = if is_match {
            server.take_match()
        } else {
            server.take_none()
        };
        let settled = awaited.without(server.awaited());
        let unblocked = blocked && !server.blocks();
        if !self.options.quiet {
            let word = if is_match { "Match" } else { "None" };
            turn.print(format!(
                "Central: received \"{word}\" from Server {}.",
                server.name
            ));
        }
        match meaning {
            Meaning::Holds(number) => {
                let search = self.searches.running(number);
                match search.filter(|search| !search.found.contains(&peer)) {
                    Some(search) => search.found.push(peer),
                    None => bump(&mut self.counters.stale),
                }
            }
            Meaning::HoldsNot => {}
            Meaning::Stale => bump(&mut self.counters.stale),
            Meaning::Wrong => self.wrong(peer, turn),
        }
        self.settle(unblocked, settled);
    }

    fn take_search(&mut self, peer: Peer, number: Option<Number>, turn: &mut Turn<'_>) {
        let Some(client) = self.clients.get_mut(peer) else {
            return;
        };
        if client.busy {
            if client.ahead.len() < AHEAD_MAX {
                client.ahead.push_back(number);
            } else {
                self.reject(peer, "too many searches", turn);
            }
            return;
        }
        self.process(peer, number, turn);
    }
}

/// How searches run.
impl Tracker {
    /// Begins and ends what can begin and end, until nothing can.
    fn advance(&mut self, turn: &mut Turn<'_>) {
        loop {
            while let Some(search) = self.searches.take_settled() {
                self.finish(&search, turn);
            }
            if self.blocking > 0 || !self.is_complete() || !self.begin(turn) {
                return;
            }
        }
    }

    /// An exercise begins with its last server.
    fn is_complete(&self) -> bool {
        self.options
            .exercise
            .is_none_or(|servers| self.arrivals as usize >= servers)
    }

    /// Sends the `SRCH` of the next search that may run, to all servers.
    fn begin(&mut self, turn: &mut Turn<'_>) -> bool {
        let deadline = turn.now + ANSWER_TIME;
        let Some(search) = self.searches.begin(self.arrivals, deadline) else {
            return false;
        };
        let frame = wire::build(Message::Search(Some(search.number)));
        for (peer, server) in self.servers.iter_mut() {
            write_frame(turn, peer, &frame);
            search.pending += usize::from(server.ask(search.number));
            self.blocking += usize::from(server.blocks());
        }
        bump(&mut self.counters.searches);
        let number = search.number.value();
        self.trace(turn, || {
            let (count, end) = match self.servers.len() {
                1 => (1, ""),
                count => (count, "s"),
            };
            format!("Central: sending search of {number} to {count} server{end}.")
        });
        true
    }

    fn process(&mut self, peer: Peer, number: Option<Number>, turn: &mut Turn<'_>) {
        let Some(client) = self.clients.get_mut(peer) else {
            return;
        };
        client.busy = true;
        if !self.options.quiet {
            turn.print(format!(
                "Central: process match request from {}",
                client.name
            ));
        }
        match number {
            Some(number) => {
                if self.searches.add(number, peer, self.arrivals) {
                    bump(&mut self.counters.shared);
                }
            }
            None => {
                bump(&mut self.counters.no_number);
                self.answer(peer, &wire::build(Message::Result("")), turn);
            }
        }
    }

    fn finish(&mut self, search: &Search, turn: &mut Turn<'_>) {
        let mut names: Vec<&str> = search
            .found
            .iter()
            .filter_map(|&peer| Some(self.servers.get(peer)?.name.as_str()))
            .collect();
        // S2 before S10.
        names.sort_unstable_by_key(|name| (name.len(), *name));
        let frame = wire::build(Message::Result(&names.join(" ")));
        for &client in &search.clients {
            self.answer(client, &frame, turn);
        }
    }

    /// Sends a client its result, and takes up what it asked for meanwhile.
    fn answer(&mut self, peer: Peer, frame: &[u8], turn: &mut Turn<'_>) {
        let Some(client) = self.clients.get_mut(peer) else {
            return;
        };
        write_frame(turn, peer, frame);
        if !self.options.quiet {
            turn.print(format!("Central: send match reply to {}", client.name));
        }
        client.busy = false;
        match client.ahead.pop_front() {
            Some(number) => self.process(peer, number, turn),
            None if client.half_closed => self.close(peer, turn),
            None => {}
        }
    }

    /// Notes that a server has answered the searches for `numbers`, and whether
    /// others may begin where they could not because of it.
    fn settle(&mut self, unblocked: bool, numbers: Numbers) {
        self.blocking -= usize::from(unblocked);
        for number in numbers.iter() {
            if let Some(search) = self.searches.running(number) {
                search.pending = search.pending.saturating_sub(1);
            }
        }
    }
}

fn write(turn: &mut Turn<'_>, peer: Peer, message: Message<'_>) {
    write_frame(turn, peer, &wire::build(message));
}

fn write_frame(turn: &mut Turn<'_>, peer: Peer, frame: &[u8]) {
    let bytes = frame.to_vec();
    turn.push(Action::Write { peer, bytes });
}

#[cfg(test)]
#[path = "tracker_tests.rs"]
mod tests;
