//! A client: round by round it asks the tracker who holds a number, and prints
//! what it is told.

use super::link::{Link, News, Zeal};
use super::wire::{self, Message, Number, RESULT_MAX, Splitter};
use crate::service::{Action, Event, Peer, Server as Place, Service, Turn};
use crate::text::visible;
use crate::time::{Duration, Instant};

/// How long a result may take. Ten numbers over silent servers need 22 s.
pub const RESULT_TIME: Duration = Duration::from_secs(30);

/// How long a client looks for a tracker that it has lost.
pub const LOST_TIME: Duration = Duration::from_secs(30);

/// A client.
#[derive(Debug)]
pub struct Client {
    options: Options,
    link: Link,
    splitter: Splitter,
    rounds_left: u32,
    /// The number of the round under way.
    asked: Option<Number>,
    /// When its result must have come.
    due: Option<Instant>,
    found_any: bool,
}

/// What a client can be told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name.
    pub name: String,
    /// How many times it asks.
    pub rounds: u32,
    /// What it asks for; none: a number is drawn each round.
    pub find: Option<Number>,
    /// Where the tracker is.
    pub place: Place,
    /// How hard it tries to reach it.
    pub zeal: Zeal,
    /// Print results only.
    pub quiet: bool,
}

impl Service for Client {
    fn handle(&mut self, event: Event<'_>, turn: &mut Turn<'_>) {
        match self.link.handle(&event, turn) {
            News::Nothing => {}
            News::Up(peer) => self.greet(peer, turn),
            News::Bytes(peer, bytes) => self.receive(peer, bytes, turn),
            News::Lost => self.due = None,
        }
        match event {
            Event::Timer => self.check_time(turn),
            Event::Stop => turn.push(Action::Exit(1)),
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.link.deadline().into_iter().chain(self.due).min()
    }
}

impl Client {
    /// A client that has not started.
    pub fn new(options: Options) -> Self {
        let link = Link::new(options.name.clone(), options.place, options.zeal);
        Self {
            rounds_left: options.rounds,
            options,
            link,
            splitter: Splitter::new(RESULT_MAX),
            asked: None,
            due: None,
            found_any: false,
        }
    }

    fn greet(&mut self, peer: Peer, turn: &mut Turn<'_>) {
        self.splitter = Splitter::new(RESULT_MAX);
        write(turn, peer, Message::Hi(&self.options.name));
        self.trace("sending \"Hi\" to Central.", turn);
        self.ask(peer, turn);
    }

    /// Asks for the round's number; again for the same one if the connection
    /// was lost before its result.
    fn ask(&mut self, peer: Peer, turn: &mut Turn<'_>) {
        let drawn = || Number::new(turn.entropy.one_to_ten());
        let number = self.asked.or(self.options.find).or_else(drawn);
        self.asked = number;
        self.due = Some(turn.now + RESULT_TIME);
        write(turn, peer, Message::Search(number));
        if let Some(number) = number {
            self.trace(&format!("find match of {}", number.value()), turn);
        }
    }

    fn receive(&mut self, peer: Peer, bytes: &[u8], turn: &mut Turn<'_>) {
        let mut rest = bytes;
        while self.link.peer() == Some(peer) {
            let Some(frame) = self.splitter.next(&mut rest) else {
                return;
            };
            let Ok(frame) = frame else {
                // No tracker sends this; the next one may be one.
                self.due = None;
                return self.link.abandon(turn);
            };
            match wire::parse(&frame) {
                Ok(Message::Result(names)) => self.take_result(peer, names, turn),
                Ok(Message::Fail(why)) => {
                    self.due = None;
                    self.link.refused(&visible(why.as_bytes()), turn);
                }
                _ => {}
            }
        }
    }

    fn take_result(&mut self, peer: Peer, names: &str, turn: &mut Turn<'_>) {
        if self.asked.take().is_none() {
            return;
        }
        self.due = None;
        self.link.praise();
        let names: Vec<String> = names
            .split(' ')
            .filter(|name| !name.is_empty())
            .map(|name| visible(name.as_bytes()))
            .collect();
        let name = &self.options.name;
        if names.is_empty() {
            turn.print(format!("{name}: No match has been found"));
        } else {
            self.found_any = true;
            let servers = listed(&names);
            turn.print(format!("{name}: Match found on servers {servers}"));
        }
        self.rounds_left = self.rounds_left.saturating_sub(1);
        if self.rounds_left > 0 {
            self.ask(peer, turn);
        } else {
            self.link.leave(turn);
            let negative = self.options.find.is_some() && !self.found_any;
            turn.push(Action::Exit(u8::from(negative)));
        }
    }

    fn check_time(&mut self, turn: &mut Turn<'_>) {
        let lost_at = self.link.lost_at();
        if let Some(due) = self.due {
            if due > turn.now {
                return;
            }
            self.due = None;
            if lost_at.is_some() {
                self.link.give_up("Central gives no result", turn);
            } else {
                self.link.abandon(turn);
            }
        } else if lost_at.is_some_and(|lost_at| turn.now.since(lost_at) >= LOST_TIME) {
            let seconds = LOST_TIME.micros() / 1_000_000;
            let why = format!("no tracker for {seconds} s; is one running?");
            self.link.give_up(&why, turn);
        }
    }

    fn trace(&self, what: &str, turn: &mut Turn<'_>) {
        if !self.options.quiet {
            turn.print(format!("{}: {what}", self.options.name));
        }
    }
}

/// `S1`, `S1 and S3`, `S1, S3 and S5`.
fn listed(names: &[String]) -> String {
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

fn write(turn: &mut Turn<'_>, peer: Peer, message: Message<'_>) {
    let bytes = wire::build(message);
    turn.push(Action::Write { peer, bytes });
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
