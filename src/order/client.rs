//! The order client: sends its name, waits for the verdict of any server.

use super::wire::{self, Reply};
use crate::service::{Action, Event, Peer, Server, Service, Turn};
use crate::text::visible;
use crate::time::{Duration, Instant};
use core::net::SocketAddrV4;

/// A server that keeps the connection open after its verdict is not waited
/// for longer than this.
pub const SILENCE: Duration = Duration::from_secs(1);
/// The most that is read of a server.
pub const REPLY_MAX: usize = 65_536;
/// What is shown of a reply that is no verdict.
const SHOWN_MAX: usize = 200;

/// What the command line decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `X`, `Y` or another letter.
    pub letter: u8,
    /// The contestant's name.
    pub name: String,
    /// Where the server is.
    pub server: Server,
    /// How long the verdict may take.
    pub timeout: Duration,
}

/// The client's state.
pub struct Client {
    options: Options,
    to: Option<SocketAddrV4>,
    heard: Vec<u8>,
    /// When the client gives up.
    until: Option<Instant>,
    /// When what has been heard is taken for all.
    silence: Option<Instant>,
}

impl Client {
    /// A client that has not started.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            to: None,
            heard: Vec::new(),
            until: None,
            silence: None,
        }
    }

    fn connect(&mut self, to: SocketAddrV4, turn: &mut Turn<'_>) {
        self.to = Some(to);
        self.until = Some(turn.now + self.options.timeout);
        turn.push(Action::Connect { to });
    }

    fn opened(&mut self, peer: Peer, turn: &mut Turn<'_>) {
        let message = wire::message(self.options.letter, &self.options.name);
        turn.print(visible(message.as_bytes()));
        let bytes = message.into_bytes();
        turn.push(Action::Write { peer, bytes });
    }

    fn bytes(&mut self, bytes: &[u8], turn: &mut Turn<'_>) {
        let room = REPLY_MAX.saturating_sub(self.heard.len());
        self.heard
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        if self.heard.len() >= REPLY_MAX {
            return self.conclude(turn);
        }
        match wire::reply(&self.heard) {
            Reply::Nothing | Reply::Other(_) => self.silence = None,
            Reply::Verdict(_) | Reply::Error(_) => self.silence = Some(turn.now + SILENCE),
        }
    }

    /// The connection or the verdict has ended.
    fn conclude(&mut self, turn: &mut Turn<'_>) {
        if self.until.is_none() {
            return;
        }
        let place = self.to.map(|to| to.to_string()).unwrap_or_default();
        let code = match wire::reply(&self.heard) {
            Reply::Verdict(text) => {
                turn.print(visible(&text));
                0
            }
            Reply::Error(why) => {
                turn.complain(format!("{place} gives no verdict: {}", visible(&why)));
                1
            }
            Reply::Other(text) => {
                let start = visible(text.get(..SHOWN_MAX).unwrap_or(&text));
                turn.complain(format!("{place} gives no verdict: \"{start}\""));
                1
            }
            Reply::Nothing => {
                turn.complain(format!("{place} closed the connection without a verdict"));
                1
            }
        };
        self.leave(code, turn);
    }

    fn leave(&mut self, code: u8, turn: &mut Turn<'_>) {
        self.until = None;
        self.silence = None;
        turn.push(Action::Exit(code));
    }

    fn timer(&mut self, turn: &mut Turn<'_>) {
        if self.deadline().is_none_or(|due| due > turn.now) {
            return;
        }
        let timeout = self.options.timeout;
        let why = match wire::reply(&self.heard) {
            Reply::Verdict(_) | Reply::Error(_) => return self.conclude(turn),
            Reply::Other(text) => {
                let start = visible(text.get(..SHOWN_MAX).unwrap_or(&text));
                format!("no verdict within {timeout}, only \"{start}\"")
            }
            Reply::Nothing => {
                format!("no verdict within {timeout}: is the other contestant there?")
            }
        };
        turn.complain(why);
        self.leave(1, turn);
    }
}

impl Service for Client {
    fn handle(&mut self, event: Event<'_>, turn: &mut Turn<'_>) {
        match event {
            Event::Start { .. } => {
                if let Some(to) = self.options.server.look_up(turn) {
                    self.connect(to, turn);
                }
            }
            Event::Master { address } => {
                if let Some(to) = self.options.server.found(address, turn) {
                    self.connect(to, turn);
                }
            }
            Event::Opened { peer, .. } => self.opened(peer, turn),
            Event::ConnectFailed { to, why } => {
                turn.complain(format!(
                    "cannot reach {to}: {why}; `boardroom order server` starts a server"
                ));
                self.leave(4, turn);
            }
            Event::Bytes { bytes, .. } => self.bytes(bytes, turn),
            Event::HalfClosed { .. } | Event::Closed { .. } => self.conclude(turn),
            Event::Timer => self.timer(turn),
            Event::Stop => self.leave(1, turn),
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.silence.into_iter().chain(self.until).min()
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
