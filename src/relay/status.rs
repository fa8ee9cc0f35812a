//! Asks a server how it is: one question, one line.

use super::wire::{self, Message};
use crate::service::{Action, Event, Service, Turn};
use crate::text::visible;
use crate::time::{Duration, Instant};
use core::net::SocketAddrV4;

/// The question is repeated this often until it is answered.
const ASK_EVERY: Duration = Duration::from_millis(300);

/// The question, as a service of its own.
#[derive(Debug)]
pub struct Status {
    server: SocketAddrV4,
    timeout: Duration,
    give_up: Instant,
    next: Option<Instant>,
}

impl Status {
    /// Asks `server`, for `timeout` at most.
    pub const fn new(server: SocketAddrV4, timeout: Duration) -> Self {
        Self {
            server,
            timeout,
            give_up: Instant::ZERO,
            next: None,
        }
    }

    fn ask(&mut self, turn: &mut Turn<'_>) {
        turn.push(Action::Send {
            to: self.server,
            bytes: wire::status_ask(),
        });
        self.next = Some((turn.now + ASK_EVERY).min(self.give_up));
    }
}

impl Service for Status {
    fn handle(&mut self, event: Event<'_>, turn: &mut Turn<'_>) {
        match event {
            Event::Start { .. } => {
                self.give_up = turn.now + self.timeout;
                self.ask(turn);
            }
            Event::Datagram { from, bytes } if from == self.server => {
                if let Ok(Message::Status { text }) = wire::parse(bytes) {
                    turn.print(visible(text.as_bytes()));
                    turn.push(Action::Exit(0));
                }
            }
            Event::Timer if turn.now >= self.give_up => {
                self.next = None;
                turn.complain(format!(
                    "no answer from {} within {}: no relay server runs there, or an existing \
                     program, which tells nothing",
                    self.server, self.timeout
                ));
                turn.push(Action::Exit(1));
            }
            Event::Timer => self.ask(turn),
            Event::Stop => turn.push(Action::Exit(1)),
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.next
    }
}
