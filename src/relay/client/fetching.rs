//! Messages that come: pushed by a new server, or asked for.

use super::{Client, KNOCK_EVERY, Link, Task, Timer, shown};
use crate::relay::wire::{self, IDENTITY_MIN, Id};
use crate::service::Turn;
use crate::time::Duration;

/// How often a listener asks an existing server.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// Messages with numbers that come again are the same as one of so many
/// before, if all of it is equal: fewer than there are numbers.
const LATEST_MAX: usize = 32;

impl Client {
    /// Asks for the oldest message.
    pub(super) fn fetch(&mut self, turn: &mut Turn<'_>) {
        self.send(wire::get(1, self.config.id), turn);
        let pause = match self.config.task {
            Task::Listen { .. } => POLL_EVERY,
            Task::Get => KNOCK_EVERY,
            _ => return,
        };
        self.set(Timer::Fetch, Some(turn.now + pause));
    }

    /// A message for this client.
    pub(super) fn arrived(&mut self, number: u32, source: Id, text: &str, turn: &mut Turn<'_>) {
        if number >= IDENTITY_MIN {
            self.is_new_server(turn);
        }
        match self.link {
            Link::Unknown { .. } => return self.answered_unknown(turn),
            Link::Nowhere => return,
            // An answer from before the handshake: it will come with its number.
            Link::New if number < IDENTITY_MIN => return,
            Link::New | Link::Old => {}
        }
        if matches!(self.config.task, Task::Send { .. }) {
            // Not asked for: it stays at the server, for another time.
            return self.old_server_lives_if_old(turn);
        }
        if self.is_enough() && !self.was_seen(number, source, text) {
            return self.settled(turn);
        }
        if !self.was_seen(number, source, text) {
            self.note(number, source, text);
            self.received += 1;
            turn.print(format!("{source}: {}", shown(text)));
        }
        self.send(wire::ack(number, self.config.id, source, text), turn);
        if self.leaving.is_some() {
            return self.settle_again(turn);
        }
        self.leave_if_done(turn);
        if self.link == Link::Old && self.leaving.is_none() {
            self.progress(turn);
            self.menu_has_some();
            self.fetch(turn);
        } else if self.config.task == Task::Menu {
            self.menu_has_some();
            self.menu_has_all(turn);
        }
    }

    /// Nothing is stored.
    pub(super) fn nothing(&mut self, number: u32, turn: &mut Turn<'_>) {
        if matches!(self.link, Link::Unknown { .. }) {
            return self.answered_unknown(turn);
        }
        if self.leaving.is_some() {
            if number == self.number {
                self.settled(turn);
            }
            return;
        }
        self.progress(turn);
        match self.config.task {
            // Asked again by the timer.
            Task::Get if self.has_arrived.is_some_and(|at| turn.now < at) => {}
            Task::Get => {
                if self.received == 0 {
                    turn.complain("no messages");
                }
                let code = u8::from(self.received == 0);
                self.leave_now(code, turn);
            }
            Task::Menu => self.menu_has_all(turn),
            _ => {}
        }
        self.old_server_lives_if_old(turn);
    }

    fn old_server_lives_if_old(&mut self, turn: &mut Turn<'_>) {
        if self.link == Link::Old {
            self.old_server_lives(turn);
        }
    }

    /// The server answers: patience begins anew.
    fn progress(&mut self, turn: &Turn<'_>) {
        self.complained = false;
        if self.config.task == Task::Get {
            self.set(Timer::GiveUp, Some(turn.now + self.config.timeout));
        }
    }

    /// Whether no further message is wanted: what comes stays at the server.
    fn is_enough(&self) -> bool {
        self.leaving.is_some()
    }

    /// The server has all acknowledgements: something else is its oldest.
    fn settled(&mut self, turn: &mut Turn<'_>) {
        if let Some(code) = self.leaving {
            self.leave_now(code, turn);
        }
    }

    fn settle_again(&mut self, turn: &Turn<'_>) {
        self.set(Timer::Settle, Some(turn.now + KNOCK_EVERY / 4));
    }

    fn was_seen(&mut self, number: u32, source: Id, text: &str) -> bool {
        if number >= IDENTITY_MIN {
            self.seen.of(source).here.contains(number)
        } else {
            let latest = self.latest.iter();
            latest
                .rev()
                .any(|(n, id, words)| *n == number && *id == source && words == text)
        }
    }

    fn note(&mut self, number: u32, source: Id, text: &str) {
        if number >= IDENTITY_MIN {
            return self.seen.of(source).here.add(number, number);
        }
        if self.latest.len() >= LATEST_MAX {
            self.latest.pop_front();
        }
        self.latest.push_back((number, source, text.into()));
    }
}
