//! The sequence server: prints who sent what, answers, and counts for each
//! client what got lost (docs/sequence.md).

use super::tally::Tally;
use super::wire;
use crate::service::{Action, Event, Service, Turn};
use crate::table::Table;
use crate::text::visible;
use crate::time::{Duration, Instant};
use core::net::SocketAddrV4;

/// Clients that are counted. A newcomer to a full table takes the place of the
/// one that has been silent the longest, if for [`SILENT`] at least; else its
/// messages are printed and answered, but not counted.
pub const CLIENTS_MAX: usize = 2_048;
/// A client that may lose its place, or its name, to a newcomer.
pub const SILENT: Duration = Duration::from_secs(10);
/// What is printed of a message that is no number.
pub const TEXT_MAX: usize = 64;

/// What the command line decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether each number is answered.
    pub answer: bool,
    /// Whether each message is printed; the summary always is.
    pub quiet: bool,
    /// How often the summary is printed.
    pub summary: Option<Duration>,
}

/// The server's state.
pub struct Server {
    options: Options,
    clients: Table<SocketAddrV4, Client>,
    next_summary: Option<Instant>,
    /// No place becomes free before this moment.
    full_until: Instant,
    /// Messages that were no number, and numbers beyond the table.
    strange: u64,
    uncounted: u64,
}

struct Client {
    tally: Tally,
    heard: Instant,
    /// `c1` or `c2`, if it is the one that sends from that port.
    name: Option<&'static str>,
}

impl Server {
    /// A server that has not started.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            clients: Table::new(),
            next_summary: None,
            full_until: Instant::ZERO,
            strange: 0,
            uncounted: 0,
        }
    }

    fn datagram(&mut self, from: SocketAddrV4, bytes: &[u8], turn: &mut Turn<'_>) {
        let number = wire::parse(bytes);
        match number {
            Some(number) => self.count(from, number, turn.now),
            None => self.strange += 1,
        }
        if !self.options.quiet {
            let who = self.name(from);
            turn.print(match number {
                Some(number) => format!("{who}: {number}"),
                None => format!("{who}: {}", shortened(bytes)),
            });
        }
        if number.is_some() && self.options.answer {
            let bytes = wire::ANSWER.as_bytes().to_vec();
            turn.push(Action::Send { to: from, bytes });
        }
    }

    fn count(&mut self, from: SocketAddrV4, number: u8, now: Instant) {
        if let Some(client) = self.clients.get_mut(from) {
            client.heard = now;
            client.tally.take(number, now);
            return;
        }
        if !self.has_room(now) {
            self.uncounted += 1;
            return;
        }
        let client = Client {
            tally: Tally::new(number, now),
            heard: now,
            name: self.free_name(from.port(), now),
        };
        self.clients.insert(from, client);
    }

    fn has_room(&mut self, now: Instant) -> bool {
        if self.clients.len() < CLIENTS_MAX {
            return true;
        }
        if now < self.full_until {
            return false;
        }
        let silent = self.clients.iter().min_by_key(|(_, client)| client.heard);
        let Some((address, client)) = silent else {
            return false;
        };
        if now - client.heard < SILENT {
            self.full_until = client.heard + SILENT;
            return false;
        }
        self.clients.remove(address);
        true
    }

    /// The exercise's name for this port, unless another computer's client
    /// bears it; a silent bearer loses it.
    fn free_name(&mut self, port: u16, now: Instant) -> Option<&'static str> {
        let &(name, _) = wire::CLIENTS.iter().find(|client| client.1 == port)?;
        let mut bearers = self.clients.iter_mut().map(|(_, client)| client);
        match bearers.find(|client| client.name == Some(name)) {
            Some(bearer) if now - bearer.heard < SILENT => None,
            Some(bearer) => bearer.name.take(),
            None => Some(name),
        }
    }

    fn name(&self, address: SocketAddrV4) -> String {
        match self.clients.get(address).and_then(|client| client.name) {
            Some(name) => name.into(),
            None => address.to_string(),
        }
    }

    fn summary(&self, turn: &mut Turn<'_>) {
        for (address, client) in self.clients.iter() {
            turn.print(format!("{}: {}", self.name(address), client.tally.counts()));
        }
        if self.clients.is_empty() {
            turn.print("no client has sent a number yet");
        }
        if self.strange > 0 {
            turn.print(format!("messages that were no number: {}", self.strange));
        }
        if self.uncounted > 0 {
            turn.print(format!(
                "numbers not counted, from more than {CLIENTS_MAX} clients at once: {}",
                self.uncounted
            ));
        }
    }

    fn timer(&mut self, turn: &mut Turn<'_>) {
        let (Some(due), Some(every)) = (self.next_summary, self.options.summary) else {
            return;
        };
        if due <= turn.now {
            self.summary(turn);
            let next = due + every;
            self.next_summary = Some(if next > turn.now {
                next
            } else {
                turn.now + every
            });
        }
    }
}

/// A message that is no number, as it is printed.
fn shortened(bytes: &[u8]) -> String {
    match bytes.get(..TEXT_MAX) {
        Some(start) if bytes.len() > TEXT_MAX => format!("{}…", visible(start)),
        _ => visible(bytes),
    }
}

impl Service for Server {
    fn handle(&mut self, event: Event<'_>, turn: &mut Turn<'_>) {
        match event {
            Event::Start { port } => {
                self.next_summary = self.options.summary.map(|every| turn.now + every);
                turn.print(format!("listening on UDP port {port}"));
            }
            Event::Datagram { from, bytes } => self.datagram(from, bytes, turn),
            Event::Timer => self.timer(turn),
            Event::Report => self.summary(turn),
            Event::Stop => {
                self.summary(turn);
                turn.push(Action::Exit(0));
            }
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.next_summary
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
