//! What can be known of an election by listening only: the boards, their
//! votes, and who says that it is the master. `watch` shows it.

use super::rank::{Epoch, Rank};
use super::wire::{self, Text, Trailer, flag};
use crate::table::Table;
use crate::time::{Duration, Instant};
use core::net::{Ipv4Addr, SocketAddrV4};

/// Boards that are kept; when the table is full, the one that was silent for
/// longest goes.
pub const BOARDS_MAX: usize = 1_024;
/// A vote heard so long before a VOTE belongs to its round all the same (R2).
const OVERTAKEN: Duration = Duration::from_millis(100);
/// After this time a board that no longer says that it is master is believed
/// to have yielded, if another one says so.
const YIELDED: Duration = Duration::from_secs(3);

/// What is known of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its name, which only its own answers tell; not yet fit for a terminal.
    pub name: Option<Vec<u8>>,
    /// Its vote in the present round.
    pub vote: Option<u8>,
    /// Its epoch, which old programs do not tell.
    pub epoch: Option<Epoch>,
    /// When anything of it was heard.
    pub heard: Instant,
    /// When its vote or role changed last.
    pub changed: Instant,
    voted: Instant,
    said_master: Option<Instant>,
    left: bool,
}

/// What a board seems to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It says that it is the master.
    Master,
    /// Its vote is the highest, but it has not said that it is the master.
    Leading,
    /// Neither.
    Slave,
    /// It has resigned, or was found dead.
    Left,
}

impl Standing {
    /// One word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Leading => "leading",
            Self::Slave => "slave",
            Self::Left => "left",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody called an election.
    Call(Ipv4Addr),
    /// A board called one because another is dead.
    Verdict {
        /// Who says so.
        from: Ipv4Addr,
        /// Who is dead.
        dead: Ipv4Addr,
    },
    /// A board voted.
    Vote(Rank, Option<Epoch>),
    /// A board says that it is the master, and did not before.
    Master {
        /// Its address.
        address: Ipv4Addr,
        /// Its name, if it is known.
        name: Option<Vec<u8>>,
    },
    /// The master resigned.
    Resigned(Ipv4Addr),
    /// A board misses the master's claims.
    Suspicion {
        /// Who says so.
        from: Ipv4Addr,
        /// Whose claims are missed.
        about: Ipv4Addr,
    },
}

/// The table of all boards heard.
#[derive(Default)]
pub struct Onlooker {
    rows: Table<Ipv4Addr, Row>,
    epoch: Epoch,
    called: Option<Instant>,
}

impl Onlooker {
    /// Nothing heard yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a datagram that somebody broadcast, or an answer to one's own
    /// WHOIS; gives what is new in it.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        bytes: &[u8],
    ) -> Option<Event> {
        if let Some((name, address)) = wire::answer_of(bytes) {
            return self.says_master(now, address, Some(name), None);
        }
        self.handle(now, from, bytes, checked_trailer(bytes))
    }

    /// Takes a datagram whose signature was verified.
    pub fn handle_verified(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        bytes: &[u8],
    ) -> Option<Event> {
        let trailer = wire::trailer(bytes).map(|(trailer, _)| trailer);
        self.handle(now, from, bytes, trailer)
    }

    /// The name of a board that is believed.
    pub fn handle_name(&mut self, now: Instant, address: Ipv4Addr, name: Vec<u8>) {
        self.row(now, address).name = Some(name);
    }

    fn handle(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        bytes: &[u8],
        trailer: Option<Trailer>,
    ) -> Option<Event> {
        match wire::parse(bytes).ok()? {
            Text::Call => self.handle_call(now, *from.ip(), trailer),
            Text::Vote(rank) => self.handle_vote(now, rank, trailer),
            Text::Claim(rank) => {
                let event = self.says_master(now, rank.address, None, trailer);
                self.row(now, rank.address).vote = Some(rank.vote);
                event
            }
            Text::Resign(address) => {
                let row = self.row(now, address);
                let news = !row.left;
                (row.left, row.said_master) = (true, None);
                if news {
                    row.changed = now;
                }
                news.then_some(Event::Resigned(address))
            }
            Text::Whois => {
                let trailer = trailer?;
                let about = trailer
                    .about
                    .filter(|_| trailer.flags & flag::SUSPICION != 0)?;
                let from = *from.ip();
                self.row(now, from);
                Some(Event::Suspicion { from, about })
            }
            Text::Answer { .. } | Text::LeaseAsk(_) | Text::LeaseGrant(_) => None,
        }
    }

    fn handle_call(
        &mut self,
        now: Instant,
        from: Ipv4Addr,
        trailer: Option<Trailer>,
    ) -> Option<Event> {
        let dead = trailer
            .filter(|trailer| trailer.flags & flag::VERDICT != 0)
            .and_then(|trailer| trailer.about);
        if let Some(dead) = dead {
            let row = self.row(now, dead);
            (row.left, row.changed) = (true, now);
        }
        if self.called.is_none_or(|at| now - at >= OVERTAKEN) {
            self.called = Some(now);
            self.begin_round(|row| now - row.voted > OVERTAKEN);
        }
        Some(match dead {
            Some(dead) => Event::Verdict { from, dead },
            None => Event::Call(from),
        })
    }

    /// A higher epoch is a new round, but for the first one heard: it may well
    /// be that of the master known by now.
    fn handle_epoch(&mut self, epoch: Option<Epoch>) {
        if let Some(epoch) = epoch
            && epoch.is_after(self.epoch)
        {
            if self.epoch != Epoch::default() {
                self.begin_round(|row| row.epoch.is_some_and(|own| epoch.is_after(own)));
            }
            self.epoch = epoch;
        }
    }

    /// Votes that `is_old` says are of the last round, and nobody is master.
    fn begin_round(&mut self, is_old: impl Fn(&Row) -> bool) {
        for row in self.rows.values_mut() {
            row.said_master = None;
            if is_old(row) {
                row.vote = None;
            }
        }
    }

    fn handle_vote(&mut self, now: Instant, rank: Rank, trailer: Option<Trailer>) -> Option<Event> {
        let epoch = trailer.map(|trailer| trailer.epoch);
        self.handle_epoch(epoch);
        let row = self.row(now, rank.address);
        row.voted = now;
        row.left = false;
        if row.vote == Some(rank.vote) && row.epoch == epoch {
            return None;
        }
        row.epoch = epoch;
        row.vote = Some(rank.vote);
        row.changed = now;
        Some(Event::Vote(rank, epoch))
    }

    fn says_master(
        &mut self,
        now: Instant,
        address: Ipv4Addr,
        name: Option<&[u8]>,
        trailer: Option<Trailer>,
    ) -> Option<Event> {
        self.handle_epoch(trailer.map(|trailer| trailer.epoch));
        for row in self.rows.values_mut() {
            if row.address != address && row.said_master.is_some_and(|at| now - at > YIELDED) {
                (row.said_master, row.changed) = (None, now);
            }
        }
        let row = self.row(now, address);
        let news = row.said_master.is_none();
        row.said_master = Some(now);
        row.left = false;
        if let Some(name) = name {
            row.name = Some(name.into());
        }
        if let Some(trailer) = trailer {
            row.epoch = Some(trailer.epoch);
        }
        if !news {
            return None;
        }
        row.changed = now;
        Some(Event::Master {
            address,
            name: row.name.clone(),
        })
    }

    /// The row of a board, just heard; made if there is none.
    fn row(&mut self, now: Instant, address: Ipv4Addr) -> &mut Row {
        if self.rows.len() >= BOARDS_MAX && !self.rows.has(address) {
            let oldest = self.rows.values().min_by_key(|row| row.heard);
            if let Some(address) = oldest.map(|row| row.address) {
                self.rows.remove(address);
            }
        }
        let row = self.rows.entry(address, || Row::new(now, address));
        row.heard = now;
        row
    }

    /// The boards by address, each with what it seems to be.
    pub fn boards(&self) -> impl Iterator<Item = (&Row, Standing)> {
        let any_master = self.rows.values().any(|row| row.said_master.is_some());
        let highest = self
            .rows
            .values()
            .filter(|row| !row.left)
            .filter_map(Row::rank)
            .max();
        self.rows.values().map(move |row| {
            let standing = if row.left {
                Standing::Left
            } else if row.said_master.is_some() {
                Standing::Master
            } else if !any_master && row.rank().is_some() && row.rank() == highest {
                Standing::Leading
            } else {
                Standing::Slave
            };
            (row, standing)
        })
    }

    /// The latest epoch heard.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }
}

impl Row {
    const fn new(now: Instant, address: Ipv4Addr) -> Self {
        Self {
            address,
            name: None,
            vote: None,
            epoch: None,
            heard: now,
            changed: now,
            voted: now,
            said_master: None,
            left: false,
        }
    }

    /// Its vote as a rank.
    pub fn rank(&self) -> Option<Rank> {
        let address = self.address;
        self.vote.map(|vote| Rank { vote, address })
    }
}

/// The trailer, if its tag fits. One that was signed with a key is not for an
/// onlooker's eyes: its epoch is not told.
fn checked_trailer(bytes: &[u8]) -> Option<Trailer> {
    let (trailer, tag) = wire::trailer(bytes)?;
    (wire::checksum(wire::signed_part(bytes)?) == tag).then_some(trailer)
}

#[cfg(test)]
#[path = "onlooker_tests.rs"]
mod tests;
