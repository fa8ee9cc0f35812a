//! The lease that keeps two masters from ever being one too many (docs/protocol.md,
//! section 5): diskless majority leases, as in PaxosLease (Trencseni, Gazso,
//! Reinhardt, 2012).
//!
//! Every board can grant, and whoever wins an election has to be granted:
//!
//! - **Q1** A board has one grant to give. While it runs, nobody else gets one;
//!   a later ask of the same board renews it. It runs for one *length* from the moment
//!   that the board handles the ask.
//! - **Q2** A board that starts (or comes back under another address) grants
//!   nothing for one length: what it granted before is over by then, and need
//!   not be remembered on a disk.
//! - **Q3** A winner counts a grant from before it sent the ask which the
//!   grant names, and for one sixteenth less than the length. While grants of
//!   a majority of the N boards count so, it may be master.
//! - **Q4** Who gives up says so: grants to it are void, and whatever was on
//!   its way to it counts no more. Who has a program that must first let go of
//!   the office says so only then.
//!
//! Two majorities of N share a board. That board's grant to the first ends, by
//! true time, after the first has stopped counting it (15/16 by a clock up to
//! 1 % slow is less than the whole by one up to 1 % fast), and only then is
//! there one for the second.
//!
//! Paxos' first phase, which keeps rivals from blocking each other, is the
//! election itself: there is seldom more than one winner, the board grants to
//! none whose rank or round is behind what it has seen, and rivals that give
//! up free what they were granted.

use super::wire::flag;
use crate::time::{Duration, Instant};
use core::net::Ipv4Addr;
use std::collections::VecDeque;

/// The most boards that a quorum may have.
pub const BOARDS_MAX: u16 = 1_000;

/// Own asks that a grant may name; with one each sixteenth of the length, the
/// older ones are worth nothing any more.
const ASKS_MAX: usize = 16;
/// An own ask is repeated after this part of the length, …
const RETRY: u64 = 16;
/// … after so many tries in vain, and for renewal, after this one, …
const RETRIES: u64 = 16;
const RENEWAL: u64 = 4;
/// … and by a board that hears nobody after so many lengths.
const CUT_OFF: u64 = 4;
/// The part of the length that a winner leaves unused: 1/50 for two clocks
/// that err by 1 % in opposite directions, the rest for stopping in time.
const MARGIN: u64 = 16;
/// The part that it leaves unused to give its program time to let go.
const NOTICE: u64 = 4;
/// How far an ask or a release may be ahead of the ask last granted.
const SPAN: u32 = 256;

/// How many boards there are, and how long a grant runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// All boards, this one and those switched off included.
    pub boards: u16,
    /// One grant's length.
    pub length: Duration,
}

impl Quorum {
    /// The quorum of `boards` boards that claim each `interval`: 1.5 intervals
    /// and 200 ms, about what it takes to miss a silent master and to elect
    /// another.
    pub fn new(boards: u16, interval: Duration) -> Self {
        Self {
            boards: boards.clamp(1, BOARDS_MAX),
            length: interval + interval / 2 + Duration::from_millis(200),
        }
    }

    /// A byte that goes with each grant: boards that differ in their number or
    /// in the length must not count each other's grants, and in 127 of 128
    /// cases differ in it too. The bit that says how a message is signed stays
    /// free.
    pub fn digest(&self) -> u8 {
        let mut mixed = self.length.micros() ^ u64::from(self.boards).rotate_right(16);
        // splitmix64's mixing: any changed bit changes half of the byte.
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 56) as u8 & !flag::BOUND
    }

    /// The least number of boards that is more than half of them.
    pub const fn majority(&self) -> usize {
        self.boards as usize / 2 + 1
    }
}

/// One board's part in the lease, as one who grants and as one who asks.
#[derive(Clone, Debug)]
pub struct Lease {
    quorum: Quorum,
    margin: Duration,
    /// The latest moment heard of: time handed in never takes the board back.
    clock: Instant,
    /// Q2: before this moment it grants nothing.
    grants_from: Instant,
    given: Option<Given>,
    released: Option<(Ipv4Addr, u32)>,
    bid: Option<Bid>,
}

/// The one grant of this board.
#[derive(Clone, Copy, Debug)]
struct Given {
    to: Ipv4Addr,
    word: u32,
    until: Instant,
}

/// The board's own asking.
#[derive(Clone, Debug)]
struct Bid {
    address: Ipv4Addr,
    asks: VecDeque<(u32, Instant)>,
    /// Who granted and until when it counts, the longest first.
    granted: Vec<(Instant, Ipv4Addr)>,
    ask_at: Instant,
    tries: u64,
}

impl Lease {
    /// A board that starts now.
    pub fn new(now: Instant, quorum: Quorum) -> Self {
        Self {
            quorum,
            margin: quorum.length / MARGIN,
            clock: now,
            grants_from: now + quorum.length,
            given: None,
            released: None,
            bid: None,
        }
    }

    /// The same for a winner whose program needs time to let go of the office:
    /// it counts grants for three quarters of the length only.
    #[must_use]
    pub fn with_notice(mut self) -> Self {
        self.margin = self.quorum.length / NOTICE;
        self
    }

    /// The number of boards and the length.
    pub const fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    /// The address is another one or gone: who counted a grant under the old
    /// one must not count another under the new one (Q2).
    pub fn handle_address(&mut self, now: Instant) {
        self.tick(now);
        self.bid = None;
        self.grants_from = self.clock + self.quorum.length;
    }

    /// An ask numbered `word`: whether a grant for it is to be sent back.
    /// Without one, nothing is.
    pub fn handle_ask(&mut self, now: Instant, from: Ipv4Addr, word: u32) -> bool {
        self.tick(now);
        let running = self.given.filter(|given| self.clock < given.until);
        // Only a later ask renews: an old one that comes late must not open
        // the grant to an old release that comes later still.
        let taken = running.is_some_and(|given| given.to != from || !follows(word, given.word));
        let void = self
            .released
            .is_some_and(|(who, release)| who == from && follows(release, word));
        if self.clock < self.grants_from || taken || void {
            return false;
        }
        self.given = Some(Given {
            to: from,
            word,
            until: self.clock + self.quorum.length,
        });
        true
    }

    /// A board gives up all that it asked for before `word` (Q4).
    pub fn handle_release(&mut self, now: Instant, from: Ipv4Addr, word: u32) {
        self.tick(now);
        self.released = Some((from, word));
        if self
            .given
            .is_some_and(|given| given.to == from && follows(word, given.word))
        {
            self.given = None;
        }
    }

    /// A grant for the ask numbered `word`. Says whether it counts for
    /// anything.
    pub fn handle_grant(&mut self, now: Instant, from: Ipv4Addr, word: u32) -> bool {
        self.tick(now);
        let usable = self.usable();
        let Some(bid) = &mut self.bid else {
            return false;
        };
        let Some(&(_, asked)) = bid.asks.iter().find(|(number, _)| *number == word) else {
            return false;
        };
        bid.count(from, asked + usable);
        self.plan();
        true
    }

    /// Begins to ask, or goes on asking. The first ask is due at once.
    pub fn bid(&mut self, now: Instant, address: Ipv4Addr) {
        self.tick(now);
        if self.bid.as_ref().is_none_or(|bid| bid.address != address) {
            self.bid = Some(Bid {
                address,
                asks: VecDeque::with_capacity(ASKS_MAX),
                granted: Vec::new(),
                ask_at: self.clock,
                tries: 0,
            });
        }
    }

    /// Counts no grant any more; they run on until [`Lease::release`] (Q4).
    /// Says whether there may be any.
    pub fn give_up(&mut self, now: Instant) -> bool {
        self.tick(now);
        self.bid.take().is_some_and(|bid| !bid.asks.is_empty())
    }

    /// What this board granted to itself, at `own`, is free. The others have to
    /// be told.
    pub fn release(&mut self, now: Instant, own: Ipv4Addr) {
        self.tick(now);
        if self.given.is_some_and(|given| given.to == own) {
            self.given = None;
        }
    }

    /// Whether an ask has to be sent now.
    pub fn wants_to_ask(&mut self, now: Instant) -> bool {
        self.tick(now);
        let clock = self.clock;
        self.bid.as_ref().is_some_and(|bid| bid.ask_at <= clock)
    }

    /// Whether so many asks in a row were in vain that the next one comes later.
    pub fn is_in_vain(&self) -> bool {
        self.bid.as_ref().is_some_and(|bid| bid.tries > RETRIES)
    }

    /// The next ask is due at once, unless the lease is held.
    pub fn ask_again(&mut self, now: Instant) {
        let held = self.is_held(now);
        if let Some(bid) = self.bid.as_mut().filter(|_| !held) {
            bid.ask_at = bid.ask_at.min(self.clock);
        }
    }

    /// The next ask is due soon, if it was not due sooner.
    pub fn ask_soon(&mut self, now: Instant) {
        self.tick(now);
        let soon = self.clock + self.quorum.length / RENEWAL;
        if let Some(bid) = &mut self.bid {
            bid.ask_at = bid.ask_at.min(soon);
        }
    }

    /// An ask numbered `word` is about to be sent; this board is asked too.
    /// `cut_off` when nobody else has been heard for long: then the next one
    /// is due in four lengths only.
    pub fn asked(&mut self, now: Instant, word: u32, cut_off: bool) {
        self.tick(now);
        let clock = self.clock;
        let Some(bid) = &mut self.bid else {
            return;
        };
        let address = bid.address;
        if bid.asks.len() >= ASKS_MAX {
            bid.asks.pop_front();
        }
        bid.asks.push_back((word, clock));
        bid.tries += 1;
        let length = self.quorum.length;
        let pause = match bid.tries <= RETRIES {
            _ if cut_off => length * CUT_OFF,
            true => length / RETRY,
            false => length / RENEWAL,
        };
        bid.ask_at = clock + pause.max(Duration::from_micros(1));
        if self.handle_ask(now, address, word) {
            self.handle_grant(now, address, word);
        }
    }

    /// Until when this board may be master; none when no majority ever granted.
    pub fn held_until(&self) -> Option<Instant> {
        let bid = self.bid.as_ref()?;
        let weakest = bid.granted.get(self.quorum.majority() - 1)?;
        Some(weakest.0)
    }

    /// Whether this board may be master now (Q3).
    pub fn is_held(&self, now: Instant) -> bool {
        let now = now.max(self.clock);
        self.held_until().is_some_and(|until| now < until)
    }

    /// How many boards' grants count now, this board's own included.
    pub fn granted(&self, now: Instant) -> usize {
        let now = now.max(self.clock);
        let count = |bid: &Bid| bid.granted.iter().filter(|(until, _)| now < *until).count();
        self.bid.as_ref().map_or(0, count)
    }

    /// When [`Lease::wants_to_ask`] or [`Lease::is_held`] will change.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let bid = self.bid.as_ref()?;
        let end = self.held_until().filter(|&until| self.clock < until);
        Some(end.map_or(bid.ask_at, |end| end.min(bid.ask_at)))
    }

    /// After a majority's grants: the next ask is the renewal, a quarter of
    /// the length after the ask that brought them.
    fn plan(&mut self) {
        let (held, usable, length) = (self.held_until(), self.usable(), self.quorum.length);
        let (Some(held), Some(bid)) = (held, &mut self.bid) else {
            return;
        };
        let renewal = held - usable + length / RENEWAL;
        if self.clock < renewal {
            bid.ask_at = renewal;
            bid.tries = 0;
        }
    }

    fn usable(&self) -> Duration {
        self.quorum.length - self.margin
    }

    fn tick(&mut self, now: Instant) {
        self.clock = self.clock.max(now);
    }
}

impl Bid {
    fn count(&mut self, from: Ipv4Addr, until: Instant) {
        if let Some(at) = self.granted.iter().position(|&(_, who)| who == from) {
            let earlier = self.granted.remove(at).0;
            return self.insert(from, until.max(earlier));
        }
        if self.granted.len() >= usize::from(BOARDS_MAX) {
            self.granted.pop();
        }
        self.insert(from, until);
    }

    fn insert(&mut self, from: Ipv4Addr, until: Instant) {
        let at = self.granted.partition_point(|&(other, _)| other >= until);
        self.granted.insert(at, (until, from));
    }
}

/// Whether a word comes after an earlier one of the same board's life. Words
/// begin anywhere at a board's start, so that those of two lives hardly ever
/// seem to follow each other.
const fn follows(word: u32, earlier: u32) -> bool {
    let ahead = word.wrapping_sub(earlier);
    ahead > 0 && ahead <= SPAN
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
