//! What ours is measured against: the plain rule of most such daemons. The
//! master claims every interval; who misses three in a row claims itself; of
//! two claimants the higher rank stays.

use boardroom::election::Rank;
use boardroom::election::wire::{self, Datagram, Text};
use boardroom::time::{Duration, Instant};
use core::net::{Ipv4Addr, SocketAddrV4};

/// A board that follows the rule of three missed claims.
pub struct Naive {
    rank: Rank,
    everybody: SocketAddrV4,
    interval: Duration,
    master: Option<Ipv4Addr>,
    deadline: Instant,
    claim: bool,
}

impl Naive {
    /// A board at `address` with a fixed priority.
    pub fn new(rank: Rank, everybody: SocketAddrV4, interval: Duration, now: Instant) -> Self {
        let mut naive = Self {
            rank,
            everybody,
            interval,
            master: None,
            deadline: now,
            claim: false,
        };
        naive.deadline = now + naive.patience();
        naive
    }

    /// Whether it believes to be the master.
    pub fn office(&self) -> Option<Rank> {
        (self.master == Some(self.rank.address)).then_some(self.rank)
    }

    /// When its timer is due.
    pub const fn timeout(&self) -> Instant {
        self.deadline
    }

    /// Its timer is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.master = Some(self.rank.address);
        self.claim = true;
        self.deadline = now + self.interval;
    }

    /// A datagram has come.
    pub fn datagram(&mut self, now: Instant, bytes: &[u8]) {
        let Ok(Text::Claim(other)) = wire::parse(bytes) else {
            return;
        };
        if other.address == self.rank.address || (self.office().is_some() && other < self.rank) {
            return;
        }
        self.master = Some(other.address);
        self.deadline = now + self.patience();
    }

    /// What it wants to send.
    pub fn transmit(&mut self) -> Option<(SocketAddrV4, Datagram)> {
        let claim = core::mem::take(&mut self.claim);
        claim.then(|| (self.everybody, wire::build(Text::Claim(self.rank), false)))
    }

    /// Three intervals and a skew by priority, as VRRP has it.
    fn patience(&self) -> Duration {
        self.interval * 3 + self.interval * u64::from(11 - self.rank.vote) / 11
    }
}
