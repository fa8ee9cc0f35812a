//! The sequence client: sends its numbers, neither waits for an answer nor
//! fails by one.

use super::wire;
use crate::service::{Action, Event, Server, Service, Turn};
use crate::time::{Duration, Instant};
use core::net::SocketAddrV4;

/// What the command line decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// What it calls itself in its own output: `c1` or `c2`.
    pub name: &'static str,
    /// Where the server is.
    pub server: Server,
    /// The time between two numbers; not zero.
    pub delay: Duration,
    /// After so many numbers it ends.
    pub count: Option<u64>,
    /// Whether each number is printed.
    pub quiet: bool,
}

/// The client's state.
pub struct Client {
    options: Options,
    to: Option<SocketAddrV4>,
    number: u8,
    sent: u64,
    due: Option<Instant>,
    /// That nobody listens is told once, until somebody does.
    refused: bool,
}

impl Client {
    /// A client that has not started.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            to: None,
            number: 1,
            sent: 0,
            due: None,
            refused: false,
        }
    }

    fn server_known(&mut self, to: SocketAddrV4, turn: &mut Turn<'_>) {
        self.to = Some(to);
        if !self.options.quiet {
            turn.print(format!("{}: sending to {to}", self.options.name));
        }
        self.due = Some(turn.now);
        self.timer(turn);
    }

    fn timer(&mut self, turn: &mut Turn<'_>) {
        let (Some(to), Some(due)) = (self.to, self.due) else {
            return;
        };
        if turn.now < due {
            return;
        }
        let bytes = self.number.to_string().into_bytes();
        turn.push(Action::Send { to, bytes });
        if !self.options.quiet {
            turn.print(format!("{}: {}", self.options.name, self.number));
        }
        self.number = wire::next(self.number);
        self.sent += 1;
        // A client that was held up does not send a burst to catch up.
        let next = due + self.options.delay;
        self.due = Some(if next > turn.now {
            next
        } else {
            turn.now + self.options.delay
        });
        if self.options.count == Some(self.sent) {
            turn.push(Action::Exit(0));
            self.due = None;
        }
    }

    fn refused(&mut self, to: SocketAddrV4, turn: &mut Turn<'_>) {
        if Some(to) == self.to && !self.refused {
            self.refused = true;
            turn.complain(format!(
                "nobody listens at {to}; `boardroom sequence server` starts a server; still sending"
            ));
        }
    }
}

impl Service for Client {
    fn handle(&mut self, event: Event<'_>, turn: &mut Turn<'_>) {
        match event {
            Event::Start { .. } => {
                if let Some(to) = self.options.server.look_up(turn) {
                    self.server_known(to, turn);
                }
            }
            Event::Master { address } => {
                if let Some(to) = self.options.server.found(address, turn) {
                    self.server_known(to, turn);
                }
            }
            Event::Refused { to } => self.refused(to, turn),
            Event::Datagram { from, .. } if Some(from) == self.to => self.refused = false,
            Event::Timer => self.timer(turn),
            Event::Report => turn.print(format!("{}: sent {}", self.options.name, self.sent)),
            Event::Stop => turn.push(Action::Exit(0)),
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.due
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
