//! What a board sends, sealed and within its limits (R8).

use super::board::Board;
use super::counters::Count;
use super::limits::Limiter;
use super::round::OwnVote;
use super::timers::Timer;
use super::wire::{Datagram, Text, flag};
use crate::time::{Duration, Instant};
use core::net::{Ipv4Addr, SocketAddrV4};

/// Own vote and VOTE broadcasts in any second.
pub(super) const BROADCASTS_MAX: usize = 20;
/// Unicast votes in any second.
pub(super) const UNICASTS_MAX: usize = 50;
/// Claims out of their turn (a rival, a suspicion) in any second.
pub(super) const EXTRA_CLAIMS_MAX: usize = 20;
/// Complaints of one board are this far apart.
const COMPLAINTS_APART: Duration = Duration::from_secs(1);

/// How much of what may still be sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    broadcasts: Limiter<BROADCASTS_MAX>,
    pub(super) unicasts: Limiter<UNICASTS_MAX>,
    pub(super) claims: Limiter<EXTRA_CLAIMS_MAX>,
    complained: Option<Instant>,
    /// The number of the next sealed message.
    pub(super) counter: u32,
}

impl Limits {
    /// Whether something may be complained about now: once a second.
    pub(super) fn may_complain(&mut self, now: Instant) -> bool {
        let may = self
            .complained
            .is_none_or(|last| now - last >= COMPLAINTS_APART);
        if may {
            self.complained = Some(now);
        }
        may
    }
}

impl Board {
    /// Broadcasts the own vote, at once or when the limit allows it; the
    /// latest is sent then.
    pub(super) fn broadcast_vote(&mut self, now: Instant) {
        let Some(rank) = self.own_rank() else { return };
        if self.limits.broadcasts.take(now) {
            let datagram = self.seal(Text::Vote(rank), self.vote_flags(now), None);
            self.broadcast(datagram);
        } else {
            self.counters.add(Count::Held);
            self.timers
                .set_earlier(Timer::Held, self.limits.broadcasts.allowed_at(now));
        }
    }

    /// Sends the own vote to one board.
    pub(super) fn unicast_vote(&mut self, now: Instant, to: Ipv4Addr, flags: u8) {
        let Some(rank) = self.own_rank() else { return };
        if self.limits.unicasts.take(now) {
            let datagram = self.seal(Text::Vote(rank), self.vote_flags(now) | flags, None);
            self.unicast(to, datagram);
        } else {
            self.counters.add(Count::NotSent);
        }
    }

    /// Broadcasts VOTE for the present epoch; `dead` is why (F2, F4).
    pub(super) fn broadcast_call(&mut self, now: Instant, dead: Option<Ipv4Addr>) {
        if self.limits.broadcasts.take(now) {
            let datagram = self.seal(Text::Call, flag::VERDICT, dead);
            self.broadcast(datagram);
        } else {
            self.counters.add(Count::NotSent);
        }
    }

    /// Sends a datagram to every board and client on the LAN.
    pub(super) fn broadcast(&mut self, bytes: Datagram) {
        if let Some(network) = self.network {
            self.send(
                SocketAddrV4::new(network.broadcast, self.config.port),
                &bytes,
            );
        }
    }

    /// Sends a datagram to the board at `to`.
    pub(super) fn unicast(&mut self, to: Ipv4Addr, bytes: Datagram) {
        self.send(SocketAddrV4::new(to, self.config.port), &bytes);
    }

    /// Sends a datagram to an address and port.
    pub(super) fn send(&mut self, to: SocketAddrV4, bytes: &Datagram) {
        if !self.outbox.send(to, bytes) {
            self.counters.add(Count::NotSent);
        }
    }

    /// A fresh vote counts in whichever round it meets, so it is fresh only as
    /// long as its number stands whatever round begins here (R2, R3).
    fn vote_flags(&self, now: Instant) -> u8 {
        match self.own {
            Some(OwnVote { fresh: true, .. }) if self.round.is_young(now) => flag::FRESH,
            _ => 0,
        }
    }
}
