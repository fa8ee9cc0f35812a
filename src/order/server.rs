//! The order server: judges round after round whose message came first
//! (docs/order.md).
//!
//! All connections stand in one room. Whoever has not sent anything blocks
//! nobody: a round is made of the first messages, not of the first
//! connections.

use super::contestant::Contestant;
use super::round::{self, Entry};
use super::wire;
use crate::service::{Action, Event, Peer, Service, Turn};
use crate::table::{self, Table};
use crate::text::visible;
use crate::time::{Duration, Instant};
use core::net::SocketAddrV4;

/// Connections at once. When the room is full, a newcomer takes the place of
/// the one that has been silent the longest.
pub const ROOM_MAX: usize = 960;

/// What the command line decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many contestants make a round, from 2 to 26.
    pub contestants: usize,
    /// After so many rounds the server ends.
    pub rounds: Option<u64>,
    /// How long one waits for the others.
    pub timeout: Duration,
    /// Whether the arrivals are printed to the microsecond.
    pub verbose: bool,
    /// Whether messages are printed.
    pub quiet: bool,
    /// Whether the port was left to be chosen, and must be told.
    pub tell_port: bool,
}

/// The server's state.
pub struct Server {
    options: Options,
    /// By number, so in the order of connection.
    room: Table<Peer, Contestant>,
    room_max: usize,
    rounds: u64,
    /// Not after the first moment at which any contestant is due.
    next_due: Option<Instant>,
}

impl Server {
    /// A server that has not started.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            room: Table::new(),
            room_max: ROOM_MAX,
            rounds: 0,
            next_due: None,
        }
    }

    fn letters(&self) -> &'static [u8] {
        wire::LETTERS
            .get(..self.options.contestants)
            .unwrap_or(wire::LETTERS)
    }

    fn say(&self, line: String, turn: &mut Turn<'_>) {
        if !self.options.quiet {
            turn.print(line);
        }
    }

    fn opened(&mut self, peer: Peer, address: SocketAddrV4, turn: &mut Turn<'_>) {
        if self.room.len() >= self.room_max {
            let silent = self.room.iter().filter(|(_, other)| other.is_silent());
            let Some((oldest, _)) = silent.min_by_key(|(_, other)| other.until) else {
                turn.push(Action::Close { peer });
                return;
            };
            self.dismiss(oldest, "the server is full", turn);
        }
        let until = turn.now + self.options.timeout;
        self.room.insert(peer, Contestant::new(address, until));
    }

    fn bytes(&mut self, peer: Peer, bytes: &[u8], turn: &mut Turn<'_>) {
        let letters = self.letters();
        if let Some(contestant) = self.room.get_mut(peer) {
            let was_silent = contestant.is_silent();
            contestant.take(bytes, letters, turn.now);
            if was_silent && !contestant.is_silent() {
                contestant.until = turn.now + self.options.timeout;
            }
        }
    }

    /// A line that is half or wholly gone: what has been said counts, and who
    /// has said nothing never will.
    fn hung_up(&mut self, peer: Peer, gone: bool, turn: &mut Turn<'_>) {
        let Some(contestant) = self.room.get_mut(peer) else {
            return;
        };
        contestant.hung_up = true;
        contestant.gone |= gone;
        contestant.finish();
        if contestant.is_silent() {
            self.room.remove(peer);
            if !gone {
                turn.push(Action::Close { peer });
            }
        }
    }

    /// Tells one why there is no verdict, and lets it go.
    fn dismiss(&mut self, peer: Peer, why: &str, turn: &mut Turn<'_>) {
        let Some(contestant) = self.room.remove(peer) else {
            return;
        };
        if contestant.gone {
            return;
        }
        let text = format!("{}{why}", wire::ERROR);
        self.say(format!("Sent to {}: {text}", contestant.address), turn);
        let bytes = text.into_bytes();
        turn.push(Action::Write { peer, bytes });
        turn.push(Action::Close { peer });
    }

    /// All that follows, once what has come at this moment has all been heard:
    /// the messages of one instant are judged together.
    fn settle(&mut self, turn: &mut Turn<'_>) {
        // Each pass lets somebody go, so this ends with the room.
        for _ in 0..=ROOM_MAX {
            let ranking = self.ranking();
            self.announce(&ranking, turn);
            if !self.part_equal_letters(&ranking, turn) && !self.judge(&ranking, turn) {
                break;
            }
        }
        self.note_company(turn.now);
        self.next_due = self.first_due(turn.now);
    }

    /// Those whose message has begun, in the order of arrival, and within one
    /// instant in the order of connection.
    fn ranking(&self) -> Vec<(Instant, Peer)> {
        let mut ranking = Vec::new();
        for (peer, contestant) in self.room.iter() {
            if let Some(arrival) = contestant.arrival() {
                table::insert_sorted(&mut ranking, (arrival, peer));
            }
        }
        ranking
    }

    /// Prints the messages that are complete, in the order of arrival.
    fn announce(&mut self, ranking: &[(Instant, Peer)], turn: &mut Turn<'_>) {
        for &(_, peer) in ranking {
            let Some(contestant) = self.room.get_mut(peer) else {
                continue;
            };
            let Some(message) = contestant.message() else {
                return;
            };
            if !contestant.printed {
                let line = format!("Message Received: {}", visible(message));
                contestant.printed = true;
                self.say(line, turn);
            }
        }
    }

    /// Two who claim the same letter cannot be in one round. One that has hung
    /// up meanwhile gives way; else both are told.
    fn part_equal_letters(&mut self, ranking: &[(Instant, Peer)], turn: &mut Turn<'_>) -> bool {
        let letters = self.letters();
        let mut claims: Table<u8, Peer> = Table::new();
        for &(_, peer) in ranking.iter().take(self.options.contestants) {
            let message = self.room.get(peer).and_then(Contestant::message);
            let Some(letter) = message.and_then(|text| wire::read(text, letters).0) else {
                continue;
            };
            let Some(earlier) = claims.insert(letter, peer) else {
                continue;
            };
            let letter = char::from(letter);
            if self.room.get(earlier).is_some_and(|first| first.hung_up) {
                let why = format!("another Client {letter} has come in your place");
                self.dismiss(earlier, &why, turn);
            } else {
                let why = format!("two clients are Client {letter}; each needs its own letter");
                self.dismiss(earlier, &why, turn);
                self.dismiss(peer, &why, turn);
            }
            return true;
        }
        false
    }

    /// Gives the verdict if the round's messages are all complete.
    fn judge(&mut self, ranking: &[(Instant, Peer)], turn: &mut Turn<'_>) -> bool {
        let Some(round) = ranking.get(..self.options.contestants) else {
            return false;
        };
        let complete = |&(_, peer): &(Instant, Peer)| {
            self.room
                .get(peer)
                .is_some_and(|contestant| contestant.message().is_some())
        };
        if !round.iter().all(complete) {
            return false;
        }
        let entries = self.entries(round);
        if round::is_tied(&entries) {
            let line = "It was a tie, decided by the order of connection".into();
            self.say(line, turn);
        }
        if self.options.verbose {
            self.say(round::offsets(&entries), turn);
        }
        let verdict = wire::verdict(entries.iter().map(|entry| (entry.letter, &*entry.name)));
        let mut sent = Vec::new();
        for Entry { peer, letter, .. } in entries {
            if self.room.remove(peer).is_some_and(|who| !who.gone) {
                let bytes = verdict.clone();
                turn.push(Action::Write { peer, bytes });
                turn.push(Action::Close { peer });
                sent.push(letter);
            }
        }
        self.say(round::acknowledgment(&sent), turn);
        self.next_round(turn);
        true
    }

    /// The round's messages with their letters, in the order of arrival.
    fn entries(&self, round: &[(Instant, Peer)]) -> Vec<Entry> {
        let mut entries = Vec::new();
        for &(arrival, peer) in round {
            let message = self.room.get(peer).and_then(Contestant::message);
            let (letter, name) = wire::read(message.unwrap_or_default(), self.letters());
            entries.push(Entry {
                peer,
                letter: letter.unwrap_or(round::NO_LETTER),
                arrival,
                name: name.to_vec(),
            });
        }
        round::give_letters(&mut entries, self.letters());
        entries
    }

    fn next_round(&mut self, turn: &mut Turn<'_>) {
        self.rounds += 1;
        if self.options.rounds == Some(self.rounds) {
            turn.push(Action::Exit(0));
        } else {
            self.say("The server is ready to receive".into(), turn);
        }
    }

    /// From now on the first who stand here are enough for a round, if they
    /// are. One that stayed silent after its greeting does not count.
    fn note_company(&mut self, now: Instant) {
        let present = self
            .room
            .iter()
            .map(|(_, c)| c)
            .filter(|c| c.is_present(now))
            .count();
        let mut places = match self.options.contestants {
            needed if needed <= present => needed,
            _ => 0,
        };
        for contestant in self.room.iter_mut().map(|(_, c)| c) {
            if places > 0 && contestant.is_present(now) {
                places -= 1;
                if contestant.company_at.is_none() {
                    contestant.company_at = Some(now);
                    if contestant.is_silent() {
                        contestant.until = now + self.options.timeout;
                    }
                }
            } else {
                contestant.company_at = None;
            }
        }
    }

    /// Greets those who are silent beside enough others, lets those go whose
    /// time is over, and completes what has been silent for long enough.
    fn timer(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        let mut over = Vec::new();
        let mut greet = Vec::new();
        for (peer, contestant) in self.room.iter_mut() {
            contestant.tick(now);
            if contestant.until <= now {
                over.push((peer, contestant.is_silent()));
            } else if contestant.greeting_due().is_some_and(|due| due <= now) {
                greet.push(peer);
            }
        }
        for (peer, silent) in over {
            let what = if silent { "no" } else { "no other" };
            let why = format!("{what} message came within {}", self.options.timeout);
            self.dismiss(peer, &why, turn);
        }
        for peer in greet {
            self.greet(peer, turn);
        }
    }

    /// Greets with the letter of the place in the order of connection, unless
    /// another claims it.
    fn greet(&mut self, peer: Peer, turn: &mut Turn<'_>) {
        let (now, letters) = (turn.now, self.letters());
        let present = || self.room.iter().filter(|(_, c)| c.is_present(now));
        let place = present().filter(|&(other, _)| other < peer).count();
        let taken: Vec<u8> = present()
            .filter_map(|(_, other)| other.claim(letters))
            .collect();
        let letter = round::free_letter(letters, place % letters.len().max(1), &taken);
        let Some(contestant) = self.room.get_mut(peer) else {
            return;
        };
        contestant.greeted = Some((now, letter));
        let greeting = wire::greeting(letter);
        let line = format!("Sent to {}: {greeting}", contestant.address);
        self.say(line, turn);
        let bytes = greeting.into_bytes();
        turn.push(Action::Write { peer, bytes });
    }

    /// The first moment after `now` at which any contestant is due.
    fn first_due(&self, now: Instant) -> Option<Instant> {
        let dues = self
            .room
            .iter()
            .map(|(_, c)| c)
            .flat_map(Contestant::dues)
            .flatten();
        dues.filter(|&due| due > now).min()
    }
}

impl Service for Server {
    fn handle(&mut self, event: Event<'_>, turn: &mut Turn<'_>) {
        match event {
            Event::Start { port } => {
                if self.options.tell_port {
                    turn.print(format!("listening on TCP port {port}"));
                }
                turn.print("The server is ready to receive");
                return;
            }
            Event::Opened { peer, address } => self.opened(peer, address, turn),
            Event::Bytes { peer, bytes } => self.bytes(peer, bytes, turn),
            Event::HalfClosed { peer } => self.hung_up(peer, false, turn),
            Event::Closed { peer } => self.hung_up(peer, true, turn),
            Event::Timer => {
                self.timer(turn);
                self.settle(turn);
                return;
            }
            Event::Report => {
                let (rounds, here) = (self.rounds, self.room.len());
                turn.print(format!("rounds {rounds}, connections {here}"));
                return;
            }
            Event::Stop => {
                turn.push(Action::Exit(0));
                return;
            }
            _ => return,
        }
        // A timer comes after the input of its moment.
        self.next_due = Some(turn.now);
    }

    fn deadline(&self) -> Option<Instant> {
        self.next_due
    }

    fn set_room(&mut self, connections: usize) {
        // Those that were let go take a while to leave.
        self.room_max = ROOM_MAX.min(connections - connections / 8);
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
