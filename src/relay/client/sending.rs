//! Messages on their way to the server, one at a time: so order is kept.

use super::menu::Menu;
use super::{Client, Link, Task, Timer, shown};
use crate::relay::post::repeat_after;
use crate::relay::seen::following;
use crate::relay::wire::{self, Id, Invalid};
use crate::service::Turn;
use crate::time::Instant;

/// Messages whose reading is remembered; the oldest is forgotten.
const UNREAD_MAX: usize = 1_000;

/// A message that the server has not taken yet.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    number: u32,
    destination: Id,
    text: String,
    tries: u32,
    since: Instant,
}

impl Client {
    /// Sends a message, unless its text cannot be sent.
    pub(super) fn submit(&mut self, destination: Id, text: String, turn: &mut Turn<'_>) {
        if let Err(why) = wire::check_text(&text) {
            turn.complain(why_not(why, &text));
            self.worst = 1;
            return self.next_task(turn);
        }
        self.outgoing = Some(Outgoing {
            number: self.number,
            destination,
            text,
            tries: 0,
            since: turn.now,
        });
        self.number = following(self.number);
        if self.link == Link::Old {
            self.submit_to_old(turn);
        } else {
            self.resend(turn);
        }
    }

    /// Sends what is not taken yet, again and again.
    pub(super) fn resend(&mut self, turn: &mut Turn<'_>) {
        let id = self.config.id;
        let Some(outgoing) = &mut self.outgoing else {
            return;
        };
        let (tries, since) = (outgoing.tries, outgoing.since);
        if turn.now.since(since) >= self.config.timeout {
            return self.give_up(turn);
        }
        outgoing.tries += 1;
        let bytes = if self.link == Link::Old {
            // Already sent; only the sign of life is asked for again.
            wire::get(1, id)
        } else {
            wire::send(outgoing.number, id, outgoing.destination, &outgoing.text)
        };
        if tries > 0 && self.link == Link::New {
            // A server that was restarted does not know its clients.
            self.shake_hands(turn);
        }
        self.send(bytes, turn);
        self.set(Timer::Resend, Some(turn.now + repeat_after(tries)));
    }

    /// An existing server confirms nothing: the message goes once, and a get
    /// behind it shows that the server is there.
    fn submit_to_old(&mut self, turn: &mut Turn<'_>) {
        if let Some(outgoing) = &self.outgoing {
            let (id, destination) = (self.config.id, outgoing.destination);
            self.send(wire::send(1, id, destination, &outgoing.text), turn);
        }
        self.resend(turn);
    }

    /// The existing server has answered the get behind the message.
    pub(super) fn old_server_lives(&mut self, turn: &mut Turn<'_>) {
        if let Some(outgoing) = self.outgoing.take() {
            self.set(Timer::Resend, None);
            let (destination, text) = (outgoing.destination, shown(&outgoing.text));
            self.tell(
                format!("sent to {destination}: {text} (this server does not confirm)"),
                turn,
            );
            self.next_task(turn);
        }
    }

    /// The server keeps message `number`.
    pub(super) fn taken(&mut self, number: u32, turn: &mut Turn<'_>) {
        let Some(outgoing) = self.outgoing.take_if(|outgoing| outgoing.number == number) else {
            return;
        };
        self.set(Timer::Resend, None);
        self.complained = false;
        let (destination, text) = (outgoing.destination, shown(&outgoing.text));
        self.tell(format!("sent to {destination}: {text} (taken)"), turn);
        if self.unread.len() >= UNREAD_MAX {
            self.unread.remove(0);
        }
        self.unread.push((number, destination));
        self.next_task(turn);
    }

    /// The server does not keep message `number`; or, before the first, has no
    /// place for this client.
    pub(super) fn is_refused(&mut self, number: u32, why: &str, turn: &mut Turn<'_>) {
        let server = self.server;
        let is_it = |outgoing: &Outgoing| outgoing.number == number;
        if self.is_stream()
            && let Some(outgoing) = self.outgoing.as_ref().filter(|one| is_it(one))
            && turn.now.since(outgoing.since) + repeat_after(0) < self.config.timeout
        {
            // Its mailbox may be emptied as fast as this client fills it.
            return self.set(Timer::Resend, Some(turn.now + repeat_after(0)));
        }
        if self.outgoing.take_if(|outgoing| is_it(outgoing)).is_some() {
            self.set(Timer::Resend, None);
            turn.complain(format!("{server} refused the message: {}", shown(why)));
            self.worst = 1;
            if self.is_stream() {
                turn.complain("this message and those behind it were not sent");
                return self.leave(1, turn);
            }
            self.next_task(turn);
        } else if matches!(self.link, Link::Unknown { .. }) {
            turn.complain(format!("{server} refused this client: {}", shown(why)));
            self.leave_now(1, turn);
        }
    }

    /// Whether messages come from standard input, one after another.
    const fn is_stream(&self) -> bool {
        matches!(self.config.task, Task::Send { text: None, .. })
    }

    /// The addressee has acknowledged message `number`.
    pub(super) fn read(&mut self, number: u32, reader: Id, turn: &mut Turn<'_>) {
        self.send(wire::ack_receipt(number, self.config.id, reader), turn);
        let place = self.unread.iter().position(|&(taken, _)| taken == number);
        if let Some(place) = place {
            self.unread.remove(place);
            self.tell(format!("read by {reader}"), turn);
            self.leave_if_done(turn);
        }
    }

    /// The message is dealt with: what now?
    fn next_task(&mut self, turn: &mut Turn<'_>) {
        if self.config.task == Task::Menu {
            self.show_menu(turn);
        }
        self.leave_if_done(turn);
    }

    /// Leaves when the task is done.
    pub(super) fn leave_if_done(&mut self, turn: &mut Turn<'_>) {
        if self.outgoing.is_some() || !matches!(self.link, Link::New | Link::Old) {
            return;
        }
        let done = match &self.config.task {
            Task::Send {
                text, until_read, ..
            } => {
                let all_sent = text.is_some() || self.input_ended;
                let awaits = *until_read && self.link == Link::New && !self.unread.is_empty();
                if all_sent && awaits {
                    self.set(Timer::GiveUp, Some(turn.now + self.config.timeout));
                }
                all_sent && !awaits
            }
            Task::Get => false,
            Task::Listen { count } => count.is_some_and(|count| self.received >= count),
            Task::Menu => self.input_ended && !matches!(self.menu, Menu::Getting { .. }),
        };
        if done {
            self.leave(self.worst, turn);
        }
    }
}

fn why_not(why: Invalid, text: &str) -> String {
    match why {
        Invalid::EmptyText => "an empty message cannot be sent: write something".into(),
        _ => wire::why_too_long(text),
    }
}
