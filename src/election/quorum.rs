//! The lease in the board: who has won an election is master only while a
//! majority grants it (Q1–Q5; the argument is in [`super::lease`]).

use super::board::Board;
use super::config::Role;
use super::counters::Count;
use super::lease::{Lease, Quorum};
use super::notice::{Cause, Notice};
use super::rank::Rank;
use super::timers::Timer;
use super::wire::{self, Datagram, Text, Trailer, flag};
use crate::time::{Duration, Instant};
use core::net::Ipv4Addr;

/// A slave may read its master's claims so late.
const LATE_CLAIMS: Duration = Duration::from_millis(500);
/// A board that has heard nobody for so many lengths is cut off.
const CUT_OFF_AFTER: u64 = 2;

/// The quorum's part of a board.
#[derive(Clone, Debug)]
pub(super) struct Candidacy {
    pub(super) lease: Lease,
    /// This board has won and waits for the lease: why it won.
    waiting: Option<Cause>,
    /// That there is no majority was told.
    told: bool,
    /// When anything was heard of another host.
    heard: Instant,
    /// A program still lets go of the office that this board has left.
    letting_go: bool,
    /// The others are to be told that they may grant to somebody else.
    owes_release: bool,
}

/// How the lease stands, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseStatus {
    /// The number of all boards.
    pub boards: u16,
    /// How many of them grant it to this board now.
    pub granted: usize,
    /// This board has won the election and waits for the lease.
    pub waits: bool,
}

impl Candidacy {
    fn new(now: Instant, quorum: Quorum, has_hook: bool) -> Self {
        let lease = Lease::new(now, quorum);
        Self {
            lease: if has_hook { lease.with_notice() } else { lease },
            waiting: None,
            told: false,
            heard: now,
            letting_go: false,
            owes_release: false,
        }
    }

    /// Nothing was heard for two lengths: this board is cut off. It asks on,
    /// but seldom, so that nobody takes it for a living master.
    fn is_cut_off(&self, now: Instant) -> bool {
        now - self.heard > self.lease.quorum().length * CUT_OFF_AFTER
    }
}

impl Board {
    /// There is an address: with a quorum, the time begins in which nothing is
    /// granted, at the start or under another address than before (Q2).
    pub(super) fn begin_candidacy(&mut self, now: Instant) {
        let (Some(boards), Some(failover)) = (self.config.quorum, self.config.failover) else {
            return;
        };
        let quorum = Quorum::new(boards, failover.interval);
        match &mut self.candidacy {
            Some(candidacy) => {
                candidacy.lease.handle_address(now);
                candidacy.owes_release = false;
            }
            none => *none = Some(Candidacy::new(now, quorum, self.config.has_hook)),
        }
    }

    /// The round is won: office at once, or, with a quorum, with the lease.
    pub(super) fn win(&mut self, now: Instant, own: Rank, cause: Cause) {
        let Some(candidacy) = &mut self.candidacy else {
            return self.take_office(now, own, cause);
        };
        candidacy.lease.bid(now, own.address);
        candidacy.owes_release = false;
        self.master = None;
        self.await_lease(cause);
        self.end_watch();
        self.on_lease_due(now);
    }

    /// Whether this board has won and waits for the lease.
    pub(super) fn is_candidate(&self) -> bool {
        self.candidacy
            .as_ref()
            .is_some_and(|candidacy| candidacy.waiting.is_some())
    }

    /// How long after an ask for the lease the next one is missed: as long as
    /// two take that come slowly. Nothing without a quorum.
    pub(super) fn candidate_grace(&self) -> Duration {
        let length = |candidacy: &Candidacy| candidacy.lease.quorum().length;
        self.candidacy.as_ref().map_or(Duration::ZERO, length) / 2
    }

    /// Steps down if the lease is over (Q4). Comes before anything else that a
    /// turn brings.
    pub(super) fn check_lease(&mut self, now: Instant) {
        let Some(candidacy) = &self.candidacy else {
            return;
        };
        if self.role != Role::Master || candidacy.lease.is_held(now) {
            return;
        }
        // The winner of its round may get the lease again.
        let wins = !self.pause.active && !self.own_rank().is_none_or(|own| self.outranks(own));
        let stays = wins && !self.round.open;
        for timer in [Timer::Claim, Timer::Repeat, Timer::Probe] {
            self.timers.stop(timer);
        }
        self.drop_kept();
        self.become_role(now, Role::Slave, None, Cause::Lease);
        if stays {
            self.await_lease(Cause::Lease);
        } else if !wins {
            self.give_up_lease(now);
            if !self.pause.active {
                self.look_for_a_master(now);
            }
        }
    }

    /// The lease's timer: an ask is due, or the end has come.
    pub(super) fn on_lease_due(&mut self, now: Instant) {
        self.check_lease(now);
        let Some(own) = self.own_rank() else {
            // It woke up in a later round, or without one (F5).
            return self.give_up_lease(now);
        };
        let Some(candidacy) = &mut self.candidacy else {
            return;
        };
        if !candidacy.lease.wants_to_ask(now) {
            self.enter_office(now);
            return self.arm_lease();
        }
        let cut_off = candidacy.is_cut_off(now);
        let ask = self.seal(Text::LeaseAsk(own), 0, None);
        let word = wire::trailer(&ask).map_or(0, |(trailer, _)| trailer.word);
        if let Some(candidacy) = &mut self.candidacy {
            candidacy.lease.asked(now, word, cut_off);
        }
        self.broadcast(ask);
        self.counters.add(Count::LeaseAsked);
        self.tell_no_majority(now);
        self.enter_office(now);
        self.arm_lease();
    }

    /// `? IP N`: a winner asks for the lease, or gives it up.
    pub(super) fn on_lease_ask(&mut self, now: Instant, rank: Rank, trailer: Option<Trailer>) {
        let (Some(candidacy), Some(trailer)) = (&mut self.candidacy, trailer) else {
            return self.counters.add(Count::OtherMode);
        };
        let from = rank.address;
        if trailer.flags & flag::RELEASE != 0 {
            candidacy.lease.handle_release(now, from, trailer.word);
            // Grants that were refused on its account are free now.
            return self.ask_again(now);
        }
        self.peers.heard(now, from, false, self.rounds);
        if self.pause.draining {
            return self.counters.add(Count::LeaseRefused);
        }
        self.note_candidate(now, rank, trailer);
        let behind = self.epoch.is_after(trailer.epoch);
        let beaten = trailer.epoch == self.epoch && !self.watches(from) && self.outranks(rank);
        let word = trailer.word;
        let grants = |candidacy: &mut Candidacy| candidacy.lease.handle_ask(now, from, word);
        if behind {
            self.tell_later_epoch(from);
        }
        if behind || beaten || !self.candidacy.as_mut().is_some_and(grants) {
            return self.counters.add(Count::LeaseRefused);
        }
        let digest = self
            .candidacy
            .as_ref()
            .map_or(0, |candidacy| candidacy.lease.quorum().digest());
        let about = Some(Ipv4Addr::from(word));
        let grant = self.seal(Text::LeaseGrant(from), digest, about);
        self.unicast(from, grant);
        self.counters.add(Count::LeaseGiven);
    }

    /// `+ IP`: a board grants the lease to IP.
    pub(super) fn on_lease_grant(
        &mut self,
        now: Instant,
        from: Ipv4Addr,
        to: Ipv4Addr,
        trailer: Option<Trailer>,
    ) {
        let own = self.network.map(|network| network.address);
        let (Some(candidacy), Some(trailer)) = (&mut self.candidacy, trailer) else {
            return self.counters.add(Count::OtherMode);
        };
        if trailer.flags != candidacy.lease.quorum().digest() {
            self.counters.add(Count::QuorumDiffers);
            if self.limits.may_complain(now) {
                self.outbox.tell(Notice::QuorumDiffers(from));
            }
            return;
        }
        let word = trailer.about.map_or(0, u32::from);
        if Some(to) != own || !candidacy.lease.handle_grant(now, from, word) {
            return self.counters.add(Count::LeaseUseless);
        }
        let held = candidacy.lease.is_held(now);
        self.counters.add(Count::LeaseGranted);
        self.arm_lease();
        if held && self.is_candidate() {
            // Once the input is drained: a higher vote may be in it (R5).
            self.timers.set(Timer::Lease, now);
        }
    }

    /// Anything was heard of another host.
    pub(super) fn note_heard(&mut self, now: Instant) {
        if let Some(candidacy) = &mut self.candidacy {
            let cut_off = candidacy.is_cut_off(now);
            candidacy.heard = candidacy.heard.max(now);
            if cut_off {
                candidacy.lease.ask_soon(now);
                self.arm_lease();
            }
        }
    }

    /// What this board asked for was refused for a reason that is gone.
    pub(super) fn ask_again(&mut self, now: Instant) {
        if let Some(candidacy) = &mut self.candidacy {
            candidacy.lease.ask_again(now);
        }
        self.on_lease_due(now);
    }

    /// No longer the winner: says so, and frees the grants (Q5), unless a
    /// program still lets go of the office.
    pub(super) fn give_up_lease(&mut self, now: Instant) {
        let Some(candidacy) = &mut self.candidacy else {
            return;
        };
        candidacy.waiting = None;
        self.timers.stop(Timer::Lease);
        if candidacy.lease.give_up(now) {
            candidacy.owes_release = true;
            self.release_lease(now);
        }
    }

    /// The office is left for another reason than that this board was asked to
    /// hand over: its program is told only now.
    pub(super) fn begin_letting_go(&mut self, cause: Cause) {
        let letting_go = self.config.has_hook && cause != Cause::HandOver;
        if let Some(candidacy) = &mut self.candidacy {
            candidacy.letting_go = letting_go;
        }
    }

    /// Whether the driver is to tell when the program has let go.
    pub fn is_letting_go(&self) -> bool {
        self.candidacy
            .as_ref()
            .is_some_and(|candidacy| candidacy.letting_go)
    }

    /// The program that was told `slave` has ended: somebody else may be master
    /// (Q5).
    pub fn handle_let_go(&mut self, now: Instant) {
        if let Some(candidacy) = &mut self.candidacy {
            candidacy.letting_go = false;
            self.release_lease(now);
        }
    }

    fn release_lease(&mut self, now: Instant) {
        let free = |candidacy: &Candidacy| candidacy.owes_release && !candidacy.letting_go;
        let Some(candidacy) = self.candidacy.as_mut().filter(|it| free(it)) else {
            return;
        };
        candidacy.owes_release = false;
        if let Some(release) = self.seal_release() {
            self.broadcast(release);
        }
        if let (Some(candidacy), Some(network)) = (&mut self.candidacy, self.network) {
            candidacy.lease.release(now, network.address);
        }
    }

    /// `? IP N` with the flag release; none without a quorum or an address.
    pub(super) fn seal_release(&mut self) -> Option<Datagram> {
        self.candidacy.as_ref()?;
        let address = self.network?.address;
        let vote = self.vote().unwrap_or(1);
        let rank = Rank { vote, address };
        Some(self.seal(Text::LeaseAsk(rank), flag::RELEASE, None))
    }

    /// Sets the lease's timer anew.
    pub(super) fn arm_lease(&mut self) {
        let due = self
            .candidacy
            .as_ref()
            .filter(|_| !self.pause.active)
            .and_then(|candidacy| candidacy.lease.poll_timeout());
        match due {
            Some(due) => self.timers.set(Timer::Lease, due),
            None => self.timers.stop(Timer::Lease),
        }
    }

    fn await_lease(&mut self, cause: Cause) {
        if let Some(candidacy) = &mut self.candidacy {
            candidacy.waiting = Some(cause);
        }
    }

    /// Takes office if it is this board's and the lease is there.
    fn enter_office(&mut self, now: Instant) {
        let own = self.own_rank();
        let free = !self.round.open && !self.pause.active;
        let Some(candidacy) = self.candidacy.as_mut().filter(|_| free) else {
            return;
        };
        let (Some(cause), Some(own)) = (candidacy.waiting, own) else {
            return;
        };
        if candidacy.lease.is_held(now) {
            candidacy.waiting = None;
            candidacy.told = false;
            self.take_office(now, own, cause);
        }
    }

    /// An ask tells that its sender has won and lives; of two winners the
    /// lower one yields.
    fn note_candidate(&mut self, now: Instant, rank: Rank, trailer: Trailer) {
        let newer = trailer.epoch.is_after(self.epoch);
        let above = trailer.epoch == self.epoch && self.own_rank().is_none_or(|own| rank > own);
        if self.is_candidate() && (newer || above) {
            let epoch = if newer { trailer.epoch } else { self.epoch };
            self.follow(now, rank, epoch, Cause::HigherVote(rank.address));
        } else if self.watches(rank.address) {
            let lately = self.candidate_grace() * 4 + LATE_CLAIMS;
            self.forget_claims(now, lately);
            self.note_alive(now);
        }
    }

    /// Whether a rank above this one is known in this round.
    fn outranks(&self, rank: Rank) -> bool {
        let highest = self.votes.highest().map(|ballot| ballot.rank);
        self.own_rank().max(highest) > Some(rank)
    }

    /// Says once that there is no majority, when asking was in vain for one
    /// length.
    fn tell_no_majority(&mut self, now: Instant) {
        let Some(candidacy) = &mut self.candidacy else {
            return;
        };
        if !candidacy.told && candidacy.waiting.is_some() && candidacy.lease.is_in_vain() {
            candidacy.told = true;
            let granted = candidacy.lease.granted(now);
            let quorum = *candidacy.lease.quorum();
            self.outbox.tell(Notice::NoMajority { granted, quorum });
        }
    }
}
