//! A server: it holds a number from 1 to 10 and tells the tracker, when asked,
//! whether it is that one.

use super::link::{Link, News, Zeal};
use super::wire::{self, FRAME_MAX, Message, Number, Splitter};
use crate::service::{Action, Event, Peer, Server as Place, Service, Turn};
use crate::text::visible;
use crate::time::{Duration, Instant};
use std::collections::VecDeque;

/// How long an answer to an existing tracker is held back: what comes within
/// 50 ms it loses.
pub const HOLD_BACK: Duration = Duration::from_millis(100);

/// How many answers may be held back at once. An existing tracker asks one
/// question at a time; what is beyond is dropped.
pub const HELD_BACK_MAX: usize = 64;

/// A server.
#[derive(Debug)]
pub struct Server {
    options: Options,
    link: Link,
    splitter: Splitter,
    /// Drawn once, and kept when the tracker moves.
    number: Option<Number>,
    has_announced: bool,
    /// The tracker of this connection said `TRCK`: it loses no answer.
    is_prompt: bool,
    /// When each answer held back is due.
    held_back: VecDeque<Instant>,
}

/// What a server can be told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name.
    pub name: String,
    /// Its number; none: it is drawn.
    pub number: Option<Number>,
    /// Where the tracker is.
    pub place: Place,
    /// How hard it tries to reach it.
    pub zeal: Zeal,
    /// Print no messages.
    pub quiet: bool,
}

impl Service for Server {
    fn handle(&mut self, event: Event<'_>, turn: &mut Turn<'_>) {
        match self.link.handle(&event, turn) {
            News::Nothing | News::Lost => {}
            News::Up(peer) => self.greet(peer, turn),
            News::Bytes(peer, bytes) => self.receive(peer, bytes, turn),
        }
        match event {
            Event::Timer => self.send_held_back(turn),
            Event::Stop => turn.push(Action::Exit(0)),
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let held_back = self.held_back.front().copied();
        self.link.deadline().into_iter().chain(held_back).min()
    }
}

impl Server {
    /// A server that has not started.
    pub fn new(options: Options) -> Self {
        let link = Link::new(options.name.clone(), options.place, options.zeal);
        Self {
            number: options.number,
            has_announced: false,
            options,
            link,
            splitter: Splitter::new(FRAME_MAX),
            is_prompt: false,
            held_back: VecDeque::new(),
        }
    }

    fn greet(&mut self, peer: Peer, turn: &mut Turn<'_>) {
        self.splitter = Splitter::new(FRAME_MAX);
        self.is_prompt = false;
        self.held_back.clear();
        let name = &self.options.name;
        write(turn, peer, Message::Hello(name));
        self.trace("sending \"Hello\" to Central.", turn);
        if !self.has_announced {
            self.has_announced = true;
            let number = self
                .number
                .or_else(|| Number::new(turn.entropy.one_to_ten()));
            self.number = number;
            if let Some(number) = number {
                let value = number.value();
                self.trace(&format!("selected random number is {value}."), turn);
            }
        }
    }

    fn receive(&mut self, peer: Peer, bytes: &[u8], turn: &mut Turn<'_>) {
        let mut rest = bytes;
        loop {
            match self.splitter.next(&mut rest) {
                None => return,
                Some(Ok(frame)) => {
                    if !self.take(peer, &frame, turn) {
                        return;
                    }
                }
                // No tracker sends this; the next one may be one.
                Some(Err(_)) => return self.link.abandon(turn),
            }
        }
    }

    /// Takes a frame; false when it was the connection's last.
    fn take(&mut self, peer: Peer, frame: &[u8], turn: &mut Turn<'_>) -> bool {
        match wire::parse(frame) {
            Ok(Message::Track) => {
                self.is_prompt = true;
                self.link.praise();
                self.trace("received \"Track\" from Central.", turn);
            }
            Ok(Message::Search(Some(number))) => {
                self.link.praise();
                let value = number.value();
                self.trace(&format!("received search of {value} from Central."), turn);
                self.answer(peer, Some(number) == self.number, turn);
            }
            Ok(Message::Fail(why)) => {
                self.link.refused(&visible(why.as_bytes()), turn);
                return false;
            }
            _ => {}
        }
        true
    }

    fn answer(&mut self, peer: Peer, holds: bool, turn: &mut Turn<'_>) {
        if self.is_prompt {
            self.send(peer, holds, turn);
        } else if holds && self.held_back.len() < HELD_BACK_MAX {
            self.held_back.push_back(turn.now + HOLD_BACK);
        }
    }

    fn send_held_back(&mut self, turn: &mut Turn<'_>) {
        while self.held_back.front().is_some_and(|&due| due <= turn.now) {
            self.held_back.pop_front();
            if let Some(peer) = self.link.peer() {
                self.send(peer, true, turn);
            }
        }
    }

    fn send(&self, peer: Peer, holds: bool, turn: &mut Turn<'_>) {
        if holds {
            write(turn, peer, Message::Match);
            self.trace("sending \"Match\" to Central.", turn);
        } else {
            write(turn, peer, Message::None);
            self.trace("sending \"None\" to Central.", turn);
        }
    }

    fn trace(&self, what: &str, turn: &mut Turn<'_>) {
        if !self.options.quiet {
            turn.print(format!("{}: {what}", self.options.name));
        }
    }
}

fn write(turn: &mut Turn<'_>, peer: Peer, message: Message<'_>) {
    let bytes = wire::build(message);
    turn.push(Action::Write { peer, bytes });
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
