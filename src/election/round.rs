//! A round: from VOTE to its decision (R2–R5).

use super::board::{Board, is};
use super::config::Role;
use super::counters::Count;
use super::notice::Cause;
use super::peers::Peer;
use super::rank::{Epoch, Rank};
use super::timers::Timer;
use super::votes::{Ballot, Counted};
use super::wire::{Trailer, flag};
use crate::rng::Entropy;
use crate::time::{Duration, Instant};
use core::net::Ipv4Addr;

/// A VOTE this soon after a round's begin belongs to it (R2); a round settles
/// no earlier, unless all known boards have voted (R5).
pub(super) const ROUND: Duration = Duration::from_millis(100);
/// A round settles when no vote has come for this long (R5).
pub(super) const QUIET: Duration = Duration::from_millis(20);
/// A round settles after this at most (R5).
pub(super) const ROUND_MAX: Duration = Duration::from_secs(1);
/// An old program that votes later than this after a round's begin may have
/// heard our votes before its VOTE, and forgotten them at it (R4).
pub(super) const PROMPT: Duration = Duration::from_millis(2);
/// Votes kept for a VOTE that is still on its way; the oldest goes first.
pub(super) const EARLY_MAX: usize = 256;

/// The own vote of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OwnVote {
    /// From 1 to 10.
    pub(super) number: u8,
    /// Drawn in the first round since the start.
    pub(super) fresh: bool,
}

/// How far a round is.
#[derive(Clone, Debug)]
pub(super) struct Round {
    /// Not decided yet.
    pub(super) open: bool,
    /// When it began here; none before the first.
    pub(super) begun: Option<Instant>,
    /// When the last vote was heard.
    pub(super) last_vote: Instant,
    /// How often the missing were asked (R9).
    pub(super) asked: u8,
    /// An old program has to hear the own vote again, if it wins (R4).
    pub(super) repeat: bool,
    /// VOTE came again, for which an old program draws anew (R4).
    copied: bool,
    /// How often WHOIS mended what was lost, and when last (R6).
    pub(super) heals: u8,
    pub(super) healed: Option<Instant>,
    /// Why the round began, as its end will tell.
    pub(super) cause: Cause,
}

impl Default for Round {
    fn default() -> Self {
        Self {
            open: false,
            begun: None,
            last_vote: Instant::ZERO,
            asked: 0,
            repeat: false,
            copied: false,
            heals: 0,
            healed: None,
            cause: Cause::Settled,
        }
    }
}

impl Round {
    /// Whether the round began within the last 100 ms.
    pub(super) fn is_young(&self, now: Instant) -> bool {
        self.begun.is_some_and(|begun| now - begun < ROUND)
    }
}

impl Board {
    /// VOTE (R2). One with a verdict carries the epoch that it begins (F2).
    pub(super) fn on_call(
        &mut self,
        now: Instant,
        trailer: Option<Trailer>,
        entropy: &mut dyn Entropy,
    ) {
        self.counters.add(Count::Call);
        let verdict = trailer.filter(|trailer| trailer.flags & flag::VERDICT != 0);
        if self.pause.draining {
            self.counters.add(Count::Stale);
            return verdict
                .into_iter()
                .for_each(|verdict| self.note_epoch(verdict.epoch));
        }
        let epoch = match verdict {
            Some(verdict) if !verdict.epoch.is_after(self.epoch) => {
                return self.on_stale_verdict(now);
            }
            Some(verdict) => verdict.epoch,
            // With a key a client calls one board, in an epoch that it was
            // told: nothing overtakes it, and no copy of it is taken (K5).
            None if self.round.is_young(now) && self.keyed.is_none() => {
                self.note_copy(now);
                return self.counters.add(Count::CallCopy);
            }
            None => self.epoch.next(),
        };
        let dead = verdict.and_then(|verdict| verdict.about);
        if let Some(dead) = dead {
            self.peers.mark_gone(dead);
        }
        let cause = match dead {
            Some(dead) if self.awaits_successor_of(dead) => Cause::Resigned(dead),
            Some(dead) if is(dead, self.master) => Cause::Silent(dead),
            _ => Cause::Settled,
        };
        self.begin_round(now, epoch, cause, entropy);
    }

    /// A copy of VOTE: for an old program it may be none, and its next number is
    /// on its way (R4).
    fn note_copy(&mut self, now: Instant) {
        self.round.copied = true;
        if self.peers.known(self.rounds).any(|peer| peer.old) {
            self.round.repeat = true;
            self.round.last_vote = now;
            if self.round.open {
                self.timers.set(Timer::Settle, self.settles_at(now));
            }
        }
    }

    /// A verdict of a round that is over, or of this one: a master that is not
    /// dead says so.
    fn on_stale_verdict(&mut self, now: Instant) {
        self.counters.add(Count::CallCopy);
        if self.in_office() && self.config.failover.is_some() {
            self.claim_out_of_turn(now);
        }
    }

    /// A vote of another board (R3, R4).
    pub(super) fn on_vote(
        &mut self,
        now: Instant,
        rank: Rank,
        trailer: Option<Trailer>,
        entropy: &mut dyn Entropy,
    ) {
        self.counters.add(Count::Vote);
        if self.pause.draining {
            self.counters.add(Count::Stale);
            return trailer
                .into_iter()
                .for_each(|trailer| self.note_epoch(trailer.epoch));
        }
        let known = self.peers.of(rank.address).is_some();
        self.peers
            .heard(now, rank.address, trailer.is_none(), self.rounds);
        match trailer {
            Some(trailer) => {
                self.note_restart(now, rank, trailer, known);
                self.on_sealed_vote(now, rank, trailer, entropy);
            }
            None => self.on_old_vote(now, rank),
        }
        if !known {
            self.note_newcomer(trailer.is_none());
        }
    }

    /// A known board whose vote is fresh, and late in our open round, may have
    /// restarted within it: it has not heard our vote, and knows nobody whom it
    /// could miss (R3).
    fn note_restart(&mut self, now: Instant, rank: Rank, trailer: Trailer, known: bool) {
        let fresh = trailer.flags & flag::FRESH != 0;
        let late = self.round.begun.is_some_and(|begun| now - begun > PROMPT);
        let ours = !trailer.epoch.is_after(self.epoch);
        // Its answer to ours, which it says once more, is no news.
        let ballot = self.votes.of(rank.address);
        let news = ballot.is_none_or(|ballot| ballot.rank != rank);
        if known && fresh && late && news && self.round.open && ours {
            self.owe_reply(now, rank.address, true);
        }
    }

    /// A vote of our own kind: its epoch tells which round it belongs to (R3).
    fn on_sealed_vote(
        &mut self,
        now: Instant,
        rank: Rank,
        trailer: Trailer,
        entropy: &mut dyn Entropy,
    ) {
        let fresh = trailer.flags & flag::FRESH != 0;
        let asking = trailer.flags & flag::ASKING != 0;
        let ballot = Ballot {
            rank,
            old: false,
            fresh,
            heard: now,
        };
        // A board that has found its epoch, but begun no round yet (K3).
        let awaited = self.rounds == 0 && trailer.epoch == self.epoch;
        let awaited = awaited && self.config.failover.is_none();
        if trailer.epoch.is_after(self.epoch) || awaited {
            let silent = self.enter_later_round(now, trailer.epoch, entropy);
            self.count_vote(now, ballot);
            if asking && silent {
                self.unicast_vote(now, rank.address, 0);
            }
        } else if trailer.epoch == self.epoch {
            let counted = self.count_vote(now, ballot);
            // After the round only a newcomer says its vote, or who holds itself
            // for master (R6).
            let below = self.own_rank().is_some_and(|own| rank < own);
            let unaware = self.in_office() && (counted == Counted::First || below);
            if asking || unaware {
                self.answer_voter(now, rank.address);
            }
        } else {
            self.on_earlier_vote(now, ballot, asking);
        }
    }

    /// A vote of a round before ours (R3).
    fn on_earlier_vote(&mut self, now: Instant, ballot: Ballot, asking: bool) {
        let address = ballot.rank.address;
        let missing = self.votes.of(address).is_none();
        self.counters.add(Count::LateEpoch);
        if ballot.fresh && self.round.is_young(now) && missing {
            self.count_vote(now, ballot);
        } else if ballot.fresh {
            self.keep_early(ballot);
        }
        if asking || (self.in_office() && self.config.failover.is_some()) {
            self.answer_voter(now, address);
        } else if self.in_office() || self.votes.of(address).is_none() {
            let always = self.in_office() && self.votes.of(address).is_some();
            self.owe_reply(now, address, always);
        }
    }

    /// Tells a voter where we are: by the own vote, or by a claim if that is
    /// what this board has to say (F3: a late vote does not depose it).
    pub(super) fn answer_voter(&mut self, now: Instant, to: Ipv4Addr) {
        if self.pause.active {
            // It listens before it speaks (F5).
            return;
        }
        if self.in_office() && self.config.failover.is_some() {
            self.claim_to(now, to);
        } else {
            self.unicast_vote(now, to, 0);
        }
    }

    /// A vote of an old program: it never begins a round, and counts however
    /// late it comes (R4).
    fn on_old_vote(&mut self, now: Instant, rank: Rank) {
        self.counters.add(Count::OldVote);
        let ballot = Ballot {
            rank,
            old: true,
            fresh: false,
            heard: now,
        };
        self.keep_early(ballot);
        let Some(own) = self.own_rank() else { return };
        let counted = self.count_vote(now, ballot);
        let late = self.round.begun.is_none_or(|begun| now - begun > PROMPT);
        let out_of_turn = counted == Counted::Replaced || late || self.round.copied;
        if out_of_turn && rank < own {
            self.repeat_for_old_program(now);
        }
    }

    /// Begins a round: draws, and broadcasts the vote at once (R2).
    pub(super) fn begin_round(
        &mut self,
        now: Instant,
        epoch: Epoch,
        cause: Cause,
        entropy: &mut dyn Entropy,
    ) {
        let first = self.rounds == 0;
        if first && self.candidacy.is_some() {
            // Asks of two lives must not be taken for one another's.
            self.limits.counter = entropy.next_u32();
        }
        self.rounds = self.rounds.wrapping_add(1);
        // A fresh number counts elsewhere, in any round that begins now.
        let young = self.round.is_young(now);
        let stands = self.own.filter(|own| own.fresh && young);
        self.own = Some(stands.unwrap_or_else(|| OwnVote {
            number: entropy.one_to_ten(),
            fresh: first,
        }));
        self.votes.clear();
        for &ballot in &self.early {
            if now - ballot.heard <= ROUND {
                self.votes.insert(ballot);
            }
        }
        self.open_round(now, now, epoch, cause);
        self.broadcast_vote(now);
    }

    /// A vote tells of a later round (R3). Within 100 ms of a round's begin it
    /// is the same VOTE that began both, in boards that had lost each other:
    /// the number drawn stands, since an old program may have yielded to it,
    /// and a fresh one, which counts in every round, is not said again.
    /// Whether nothing was broadcast.
    fn enter_later_round(&mut self, now: Instant, epoch: Epoch, entropy: &mut dyn Entropy) -> bool {
        let (Some(begun), Some(own)) = (self.round.begun, self.own) else {
            self.begin_round(now, epoch, Cause::Settled, entropy);
            return false;
        };
        if !self.round.is_young(now) {
            self.begin_round(now, epoch, Cause::Settled, entropy);
            return false;
        }
        self.votes.retain(|ballot| ballot.old || ballot.fresh);
        self.open_round(now, begun, epoch, Cause::Settled);
        if !own.fresh {
            self.broadcast_vote(now);
        }
        own.fresh
    }

    fn open_round(&mut self, now: Instant, begun: Instant, epoch: Epoch, cause: Cause) {
        self.counters.add(Count::Round);
        self.epoch = epoch;
        self.round = Round {
            open: true,
            begun: Some(begun),
            last_vote: now,
            cause,
            ..Round::default()
        };
        self.end_watch();
        self.pause.end();
        for timer in [Timer::Repeat, Timer::Probe, Timer::Claim, Timer::Listen] {
            self.timers.stop(timer);
        }
        self.timers.set(Timer::Ask, now + ASK_EVERY);
        self.timers.set(Timer::Settle, self.settles_at(now));
    }

    /// Counts a vote of this round.
    fn count_vote(&mut self, now: Instant, ballot: Ballot) -> Counted {
        let counted = self.votes.insert(ballot);
        if matches!(counted, Counted::Refused | Counted::Displaced) {
            self.counters.add(Count::TableFull);
        }
        if self.round.open {
            self.round.last_vote = now;
            self.timers.set(Timer::Settle, self.settles_at(now));
        } else if (self.in_office() || self.is_candidate())
            && self.own_rank().is_some_and(|own| own < ballot.rank)
        {
            self.on_higher_vote(now, ballot);
        } else {
            self.note_place(now);
        }
        counted
    }

    /// A vote above ours after the round: a master yields at once (R5), unless
    /// it has claimed and the voter will hear of it (F3).
    fn on_higher_vote(&mut self, now: Instant, ballot: Ballot) {
        if self.config.failover.is_some() && !ballot.old && self.in_office() {
            self.claim_out_of_turn(now);
        } else {
            self.yield_to(now, ballot.rank, Cause::HigherVote(ballot.rank.address));
        }
    }

    /// When the round is decided as things stand (R5).
    fn settles_at(&self, now: Instant) -> Instant {
        let begun = self.round.begun.unwrap_or(now);
        if self.all_known_have_voted() {
            return now;
        }
        (begun + ROUND)
            .max(self.round.last_vote + QUIET)
            .min(begun + ROUND_MAX)
    }

    /// Moves the decision forward if nobody is waited for any more.
    pub(super) fn hasten_settling(&mut self, now: Instant) {
        if self.round.open {
            self.timers.set_earlier(Timer::Settle, self.settles_at(now));
        }
    }

    /// Whether nobody is waited for: every known board has voted, and none of
    /// them is an old program, whose last vote is known only when time is up.
    fn all_known_have_voted(&self) -> bool {
        let before = self.round.begun.map(|begun| begun - ROUND);
        // Who follows a dead master decides alone if nobody else is known: a
        // slave that has never voted hears the claim (F2).
        let mut acquainted = self.round.cause.is_end_of_master();
        for (peer, voted) in self.others() {
            // An old program draws anew for a VOTE that we count as a copy.
            if peer.old || !voted {
                return false;
            }
            acquainted |= before.is_some_and(|before| peer.first <= before);
        }
        acquainted
    }

    /// The other known boards, and whether each has voted in this round, not only
    /// before it: one walk along both tables, which have the same order.
    pub(super) fn others(&self) -> impl Iterator<Item = (&Peer, bool)> {
        let begun = self.round.begun;
        let own = self.network.map(|network| network.address);
        let mut ballots = self.votes.iter().peekable();
        self.peers
            .known(self.rounds)
            .filter(move |peer| Some(peer.address) != own)
            .map(move |peer| {
                let before = |ballot: &&Ballot| ballot.rank.address < peer.address;
                while ballots.next_if(before).is_some() {}
                let its = |ballot: &&&Ballot| ballot.rank.address == peer.address;
                let voted = ballots.peek().filter(its);
                (peer, voted.is_some_and(|ballot| !ballot.is_early(begun)))
            })
    }

    /// Decides the round (R5).
    pub(super) fn settle(&mut self, now: Instant) {
        if !self.round.open {
            return;
        }
        self.round.open = false;
        let cause = self.round.cause;
        let highest = self.votes.highest().map(|ballot| ballot.rank);
        match (self.own_rank(), highest) {
            (Some(own), highest) if highest.is_none_or(|highest| highest < own) => {
                self.win(now, own, cause)
            }
            (_, Some(highest)) => self.yield_to(now, highest, cause),
            (_, None) => self.become_role(now, Role::Slave, None, cause),
        }
    }

    /// Is slave from now on, of `master`, until the next round (R5).
    pub(super) fn yield_to(&mut self, now: Instant, master: Rank, cause: Cause) {
        self.round.open = false;
        self.pause.end();
        self.drop_kept();
        for timer in [
            Timer::Settle,
            Timer::Repeat,
            Timer::Probe,
            Timer::Claim,
            Timer::Listen,
        ] {
            self.timers.stop(timer);
        }
        self.become_role(now, Role::Slave, Some(master), cause);
        self.watch(now, master.address);
    }

    /// Keeps a vote for a VOTE that may still be on its way (R2).
    fn keep_early(&mut self, ballot: Ballot) {
        while self
            .early
            .front()
            .is_some_and(|first| ballot.heard - first.heard > ROUND)
            || self.early.len() >= EARLY_MAX
        {
            self.early.pop_front();
        }
        self.early.push_back(ballot);
    }

    /// The place of the own vote: how many other boards, `master` aside, rank
    /// above it; beyond `last` nobody asks. A board without a vote is last.
    pub(super) fn place(&self, master: Ipv4Addr, last: usize) -> usize {
        let own = self.own_rank();
        let gone = |address| self.peers.of(address).is_some_and(|peer| peer.gone);
        self.votes
            .iter()
            .map(|ballot| ballot.rank)
            .filter(|rank| own.is_none_or(|own| *rank > own))
            .filter(|rank| rank.address != master && !gone(rank.address))
            .take(last)
            .count()
    }
}

/// The missing are asked this often in a round (R9).
pub(super) const ASK_EVERY: Duration = Duration::from_millis(50);
