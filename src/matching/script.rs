//! One role by script: it is told events, and what it asks for is text.

use super::lab::CENTRAL;
use crate::rng::Seeded;
use crate::service::{Action, Event, Peer, Service, Turn};
use crate::time::Instant;

/// A role and its present.
pub(crate) struct Script<S: Service> {
    pub(crate) role: S,
    pub(crate) now: Instant,
    random: Seeded,
}

impl<S: Service> Script<S> {
    /// A role that has not started.
    pub(crate) fn new(role: S) -> Self {
        Self {
            role,
            now: Instant::ZERO,
            random: Seeded::new(5),
        }
    }

    /// What it asks for, a line each: `3 < SRCH 5|` is written to peer 3.
    pub(crate) fn tell(&mut self, event: Event<'_>) -> Vec<String> {
        let mut actions = Vec::new();
        let mut turn = Turn {
            now: self.now,
            entropy: &mut self.random,
            actions: &mut actions,
        };
        self.role.handle(event, &mut turn);
        let due = self.role.deadline();
        if event == Event::Timer {
            assert!(due.is_none_or(|due| due > self.now), "a busy loop");
        }
        actions.into_iter().map(line).collect()
    }

    pub(crate) fn start(&mut self) -> Vec<String> {
        self.tell(Event::Start { port: 8080 })
    }

    /// A connection stands.
    pub(crate) fn up(&mut self, peer: u32) -> Vec<String> {
        self.tell(Event::Opened {
            peer: Peer(peer),
            address: CENTRAL,
        })
    }

    /// Frames come, `|` for each NUL.
    pub(crate) fn hear(&mut self, peer: u32, frames: &str) -> Vec<String> {
        self.bytes(peer, frames.replace('|', "\0").as_bytes())
    }

    pub(crate) fn bytes(&mut self, peer: u32, bytes: &[u8]) -> Vec<String> {
        let peer = Peer(peer);
        self.tell(Event::Bytes { peer, bytes })
    }

    pub(crate) fn lose(&mut self, peer: u32) -> Vec<String> {
        self.tell(Event::Closed { peer: Peer(peer) })
    }

    pub(crate) fn half_close(&mut self, peer: u32) -> Vec<String> {
        self.tell(Event::HalfClosed { peer: Peer(peer) })
    }

    pub(crate) fn refuse(&mut self) -> Vec<String> {
        let (to, why) = (CENTRAL, "connection refused");
        self.tell(Event::ConnectFailed { to, why })
    }

    /// Lets its next timer fire; the milliseconds waited, and what it does.
    pub(crate) fn wait(&mut self) -> (u64, Vec<String>) {
        let due = self.role.deadline().unwrap();
        let waited = due.since(self.now);
        self.now = due;
        (waited.micros() / 1_000, self.tell(Event::Timer))
    }
}

fn line(action: Action) -> String {
    match action {
        Action::Write { peer, bytes } => {
            let text = String::from_utf8_lossy(&bytes).replace('\0', "|");
            format!("{} < {text}", peer.0)
        }
        Action::Connect { to } => format!("connect {to}"),
        Action::Close { peer } => format!("{} closed", peer.0),
        Action::Print(line) | Action::Complain(line) => line,
        Action::Exit(code) => format!("exit {code}"),
        other => format!("{other:?}"),
    }
}

/// For what does nothing.
pub(crate) const NOTHING: [&str; 0] = [];
