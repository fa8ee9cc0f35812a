//! The master's claims, two masters that meet, and leave in good order
//! (F1, F3, F4).

use super::board::{Board, is};
use super::config::Role;
use super::counters::Count;
use super::notice::{Cause, Notice};
use super::rank::{Epoch, Rank};
use super::timers::Timer;
use super::wire::{Text, Trailer, flag};
use crate::time::{Duration, Instant};
use core::net::Ipv4Addr;

/// A master looks for another one by WHOIS every so many claims (F6)…
const CLAIMS_PER_PROBE: u32 = 10;
/// …but not more often than this,
const PROBE_EVERY_MIN: Duration = Duration::from_secs(1);
/// or this, once it knows of an old program.
const PROBE_OLD_EVERY_MIN: Duration = Duration::from_millis(100);
/// A rival that keeps claiming is told of once in this time.
const WON_APART: Duration = Duration::from_secs(1);

impl Board {
    /// In office: the first claim goes at once, the next by the interval (F1).
    pub(super) fn begin_claims(&mut self, now: Instant) {
        if let Some(failover) = self.config.failover {
            self.send_claim();
            self.timers.set(Timer::Claim, now + failover.interval);
            self.office.claims_to_probe = self.claims_per_probe();
        }
    }

    /// A claim is due. It keeps its beat; beats slept over are left out.
    pub(super) fn on_claim_due(&mut self, now: Instant, due: Instant) {
        let Some(failover) = self.config.failover.filter(|_| self.in_office()) else {
            return;
        };
        self.send_claim();
        let next = if now - due < failover.interval {
            due
        } else {
            now
        } + failover.interval;
        self.timers.set(Timer::Claim, next);
        self.office.claims_to_probe = self.office.claims_to_probe.saturating_sub(1);
        if self.office.claims_to_probe == 0 {
            self.office.claims_to_probe = self.claims_per_probe();
            self.probe(now);
        }
    }

    /// A claim that the interval did not ask for: a rival or a suspicion did.
    pub(super) fn claim_out_of_turn(&mut self, now: Instant) {
        if self.limits.claims.take(now) {
            self.send_claim();
        } else {
            self.counters.add(Count::NotSent);
        }
    }

    /// Tells one board who is master, and in which round.
    pub(super) fn claim_to(&mut self, now: Instant, to: Ipv4Addr) {
        match self.own_rank() {
            Some(own) if self.limits.unicasts.take(now) => {
                let claim = self.seal(Text::Claim(own), 0, None);
                self.unicast(to, claim);
            }
            _ => self.counters.add(Count::NotSent),
        }
    }

    /// A board was heard for the first time: an old one makes the probes come
    /// more often (F6).
    pub(super) fn note_newcomer(&mut self, old: bool) {
        if old && self.config.failover.is_some() {
            self.office.claims_to_probe = self.office.claims_to_probe.min(self.claims_per_probe());
        }
    }

    /// `! IP N`: another board holds itself for master.
    pub(super) fn on_claim(&mut self, now: Instant, rank: Rank, trailer: Option<Trailer>) {
        let (Some(_), Some(trailer)) = (self.config.failover, trailer) else {
            return self.counters.add(Count::OtherMode);
        };
        self.counters.add(Count::Claim);
        self.peers.heard(now, rank.address, false, self.rounds);
        let epoch = trailer.epoch;
        let newer = epoch.is_after(self.epoch);
        if self.in_office() {
            let above = self.own_rank().is_none_or(|own| rank > own);
            if newer || (epoch == self.epoch && above) {
                self.follow(now, rank, epoch, Cause::Claim(rank.address));
            } else {
                self.stay(now, rank.address);
            }
        } else if self.round.open || self.pause.active {
            if newer || epoch == self.epoch {
                self.follow(now, rank, epoch, Cause::Claim(rank.address));
            } else {
                self.counters.add(Count::ClaimBeaten);
            }
        } else {
            self.on_claim_as_slave(now, rank, epoch);
        }
    }

    /// A slave hears its master, or another one (F3).
    fn on_claim_as_slave(&mut self, now: Instant, rank: Rank, epoch: Epoch) {
        let newer = epoch.is_after(self.epoch);
        let behind = self.epoch.is_after(epoch);
        if self.watches(rank.address) {
            if newer
                || !is(rank.address, self.master)
                || self.master.is_some_and(|master| master.vote != rank.vote)
            {
                self.follow(
                    now,
                    rank,
                    if newer { epoch } else { self.epoch },
                    Cause::Claim(rank.address),
                );
            }
            self.note_claim(now);
        } else if newer || (epoch == self.epoch && self.prefers(rank)) {
            self.follow(now, rank, epoch, Cause::Claim(rank.address));
        } else if !self.master_is_heard(now) {
            self.follow(now, rank, self.epoch, Cause::Claim(rank.address));
        } else {
            return self.counters.add(Count::ClaimBeaten);
        }
        if behind {
            // The claimant goes on with our epoch, so that epochs never go back.
            self.tell_later_epoch(rank.address);
        }
    }

    /// Tells a claimant, or who asks for the lease, that ours is a later epoch.
    pub(super) fn tell_later_epoch(&mut self, to: Ipv4Addr) {
        let word = self.seal(Text::Whois, flag::LATER_EPOCH, None);
        self.unicast(to, word);
    }

    /// Whether a claimant of the same round is to be followed: it ranks above
    /// the own master, or that one, chosen by its vote alone, has not claimed.
    fn prefers(&self, rank: Rank) -> bool {
        !self.master_has_claimed() || self.master.is_none_or(|master| rank > master)
    }

    /// Is slave of `master` from now on, in its round.
    pub(super) fn follow(&mut self, now: Instant, master: Rank, epoch: Epoch, cause: Cause) {
        if epoch != self.epoch {
            self.epoch = epoch;
            self.own = None;
            self.votes.clear();
        }
        self.timers.stop(Timer::Ask);
        self.yield_to(now, master, cause);
        self.note_claim(now);
    }

    /// Two masters met and this one stays: it says so at once (F3, ask 1).
    fn stay(&mut self, now: Instant, rival: Ipv4Addr) {
        self.counters.add(Count::ClaimBeaten);
        self.claim_out_of_turn(now);
        if self.office.won.is_none_or(|last| now - last >= WON_APART) {
            self.office.won = Some(now);
            let change = self.change(now, Cause::Claim(rival));
            self.outbox.tell(Notice::Won(change));
        }
    }

    /// A slave took our claim, or was asked for the lease, although its round
    /// is a later one: go on with that round's number (F3, Q1).
    pub(super) fn go_on_with(&mut self, now: Instant, epoch: Epoch) {
        if !epoch.is_after(self.epoch) {
            return;
        }
        if self.in_office() {
            self.epoch = epoch;
            self.claim_out_of_turn(now);
        } else if self.is_candidate() {
            self.epoch = epoch;
            self.ask_again(now);
        }
    }

    /// Says farewell, if it is master: nobody has to find out (F4).
    pub(super) fn resign(&mut self, now: Instant) {
        if self.config.failover.is_none() || self.role != Role::Master {
            return;
        }
        let Some(own) = self.network.map(|network| network.address) else {
            return;
        };
        let word = self.seal(Text::Resign(own), 0, None);
        self.broadcast(word);
        self.epoch = self.epoch.next();
        self.broadcast_call(now, Some(own));
    }

    /// `- IP`: the master takes its leave. Its VOTE follows; if that is lost,
    /// the runner-up calls, and after it the others.
    pub(super) fn on_resign(&mut self, now: Instant, address: Ipv4Addr, trailer: Option<Trailer>) {
        if self.config.failover.is_none() || trailer.is_none() {
            return self.counters.add(Count::OtherMode);
        }
        self.counters.add(Count::Resign);
        self.peers.mark_gone(address);
        if self.watches(address) && !self.pause.draining {
            self.expect_election(now, address);
        }
    }

    fn send_claim(&mut self) {
        if let Some(own) = self.own_rank() {
            self.counters.add(Count::ClaimSent);
            let claim = self.seal(Text::Claim(own), 0, None);
            self.broadcast(claim);
        }
    }

    fn claims_per_probe(&self) -> u32 {
        let Some(failover) = self.config.failover else {
            return 0;
        };
        let knows_old = self.peers.iter().any(|peer| peer.old && !peer.gone);
        let every = match knows_old {
            true => failover.interval.max(PROBE_OLD_EVERY_MIN),
            false => (failover.interval * u64::from(CLAIMS_PER_PROBE)).max(PROBE_EVERY_MIN),
        };
        every
            .micros()
            .div_ceil(failover.interval.micros().max(1))
            .try_into()
            .unwrap_or(u32::MAX)
    }
}
