//! Is the master alive? A missed claim is a question, not a verdict (F2); old
//! programs send no claims and are asked instead (F6).

use super::board::Board;
use super::config::{Failover, Role};
use super::counters::Count;
use super::notice::Cause;
use super::rank::Rank;
use super::round::ROUND;
use super::timers::Timer;
use super::wire::{Text, Trailer, flag};
use crate::rng::Entropy;
use crate::time::{Duration, Instant};
use core::net::Ipv4Addr;

/// Questions to a silent master before the verdict; five at least (F2).
const QUESTIONS: u32 = 8;
/// Every slave but the runner-up leaves it this time to act (F2). In return
/// it need not wake for every claim.
const SKEW: Duration = Duration::from_millis(500);
/// The further places act one after the other.
const SKEW_PER_PLACE: Duration = Duration::from_millis(20);
/// The last place for which that makes a difference.
const SKEW_PLACES_MAX: usize = 10;
/// An old master is asked no more often than this (F6).
const OLD_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// The claim of a master of ours follows its answer within this.
const CLAIM_FOLLOWS: Duration = Duration::from_millis(20);
/// A claim's lateness is remembered for between one and two times as many.
const LATENESS_CLAIMS: u8 = 32;
/// Lateness beyond this is an outage, not the network's ways.
const LATENESS_MAX: Duration = Duration::from_secs(2);
/// Boards that start together spread their calls over half an interval, and
/// at most this.
const BOOT_SKEW_MAX: Duration = Duration::from_millis(500);

/// What a slave knows of its master's life.
#[derive(Clone, Debug, Default)]
pub(super) struct Lookout {
    /// Who is watched; none while no master is known.
    subject: Option<Ipv4Addr>,
    /// When it last gave a sign of life.
    heard: Instant,
    /// When its last claim was heard: what a witness may tell.
    claimed: Option<Instant>,
    /// The questions asked since; none while all is well.
    question: Option<Question>,
    /// How late claims and answers have been.
    lateness: Lateness,
    /// A resignation was heard: the verdict without questions is due.
    resigned: bool,
    /// Who answered WHOIS while no master was known. One of ours sends a claim
    /// too; who does not is an old program.
    answered: Option<Ipv4Addr>,
}

#[derive(Clone, Copy, Debug)]
struct Question {
    begun: Instant,
    spacing: Duration,
    asked: u32,
}

/// The largest of the last 32 to 64 delays.
#[derive(Clone, Copy, Debug, Default)]
struct Lateness {
    present: Duration,
    before: Duration,
    count: u8,
}

impl Lateness {
    fn note(&mut self, late: Duration) {
        self.present = self.present.max(late.min(LATENESS_MAX));
        self.count += 1;
        if self.count >= LATENESS_CLAIMS {
            *self = Self {
                present: Duration::ZERO,
                before: self.present,
                count: 0,
            };
        }
    }

    fn largest(&self) -> Duration {
        self.present.max(self.before)
    }
}

impl Board {
    /// Watches `master` from now on.
    pub(super) fn watch(&mut self, now: Instant, master: Ipv4Addr) {
        let lateness = if self.lookout.subject == Some(master) {
            self.lookout.lateness
        } else {
            Lateness::default()
        };
        self.lookout = Lookout {
            subject: Some(master),
            heard: now,
            lateness,
            ..Lookout::default()
        };
        self.await_life(now);
    }

    /// No master is known: listens, asks, and calls an election if there is
    /// none (F2, the start).
    pub(super) fn look_for_a_master(&mut self, now: Instant) {
        self.lookout = Lookout {
            heard: now,
            ..Lookout::default()
        };
        self.await_life(now);
    }

    /// Watches nobody: a round has begun, or this board is master.
    pub(super) fn end_watch(&mut self) {
        self.lookout = Lookout {
            lateness: self.lookout.lateness,
            ..Lookout::default()
        };
        self.timers.stop(Timer::Watch);
    }

    /// Goes on as slave after a pause: the master is granted its time anew.
    pub(super) fn look_on(&mut self, now: Instant) {
        self.lookout.question = None;
        self.lookout.heard = now;
        self.await_life(now);
    }

    /// A vote came after the round: the own place, and with it the moment to
    /// act, may have changed.
    pub(super) fn note_place(&mut self, now: Instant) {
        let lookout = &self.lookout;
        let calm = lookout.question.is_none() && !lookout.resigned && lookout.answered.is_none();
        if calm && lookout.subject.is_some() && !self.round.open {
            self.await_life(now);
        }
    }

    /// Whether `address` is the watched master, and has taken its leave.
    pub(super) fn awaits_successor_of(&self, address: Ipv4Addr) -> bool {
        self.watches(address) && self.lookout.resigned
    }

    /// Whether the watched master has claimed, so that it is known to be one.
    pub(super) fn master_has_claimed(&self) -> bool {
        self.lookout.claimed.is_some()
    }

    /// Whether claims may lie in their socket until the next timeout: a slave
    /// that watches over a living master of ours need not wake for each. They
    /// are to be handed in, with the time at which they came, before anything
    /// else.
    pub fn can_claims_wait(&self) -> bool {
        self.config.failover.is_some()
            && self.role == Role::Slave
            && !self.round.open
            && !self.pause.active
            && !self.lookout.resigned
            && self.lookout.question.is_none()
            && self.timers.due(Timer::Watch).is_some()
            && self
                .lookout
                .subject
                .is_some_and(|subject| !self.is_old(subject))
    }

    /// Whether `address` is the master that is watched.
    pub(super) fn watches(&self, address: Ipv4Addr) -> bool {
        self.lookout.subject == Some(address)
    }

    /// Whether `address` is the master that is watched, and has claimed.
    pub(super) fn follows_claims_of(&self, address: Ipv4Addr) -> bool {
        self.watches(address) && self.lookout.claimed.is_some()
    }

    /// Whether the own master is one of ours and gave a sign of life in time.
    pub(super) fn master_is_heard(&self, now: Instant) -> bool {
        let Some(failover) = self.config.failover else {
            return false;
        };
        self.lookout
            .subject
            .is_some_and(|subject| !self.is_old(subject))
            && !self.lookout.resigned
            && self.lookout.question.is_none()
            && now - self.lookout.heard <= self.grace(failover)
    }

    /// The watched master claimed.
    pub(super) fn note_claim(&mut self, now: Instant) {
        let Some(failover) = self.config.failover else {
            return;
        };
        if let Some(before) = self.lookout.claimed.replace(now) {
            self.lookout
                .lateness
                .note((now - before) - failover.interval);
        }
        self.note_alive(now);
    }

    /// Any datagram of an old master is a sign of life (F6).
    pub(super) fn note_life_of_old(&mut self, now: Instant, address: Ipv4Addr) {
        if self.watches(address) && self.is_old(address) {
            self.note_alive(now);
        }
    }

    /// Somebody answered WHOIS. If it is the master that was asked, it lives;
    /// if none is known, one is found. Whether that was the matter.
    pub(super) fn on_answer_to_question(&mut self, now: Instant, from: Ipv4Addr) -> bool {
        if self.config.failover.is_none() || self.in_office() || self.round.open {
            return false;
        }
        if self.watches(from) {
            if let Some(question) = self.lookout.question {
                self.lookout.lateness.note(now - question.begun);
                self.note_alive(now);
            }
        } else if self.lookout.question.is_some() || self.pause.active {
            self.lookout.answered = Some(from);
            self.timers.set(Timer::Watch, now + CLAIM_FOLLOWS);
        }
        true
    }

    /// The claim that should have followed an answer did not come: the master
    /// is an old program.
    fn follow_old(&mut self, now: Instant, from: Ipv4Addr) {
        if self.peers.of(from).is_none() {
            self.peers.heard(now, from, true, self.rounds);
        }
        self.yield_to_old(now, from);
    }

    /// Is slave of an old program, whose vote may not have been heard.
    pub(super) fn yield_to_old(&mut self, now: Instant, address: Ipv4Addr) {
        let vote = self.votes.of(address).map_or(0, |ballot| ballot.rank.vote);
        self.yield_to(now, Rank { vote, address }, Cause::OldMaster(address));
    }

    /// A WHOIS that says more: a suspicion, a witness, another's epoch, or
    /// another slave that watches over an old master. Whether it is none that
    /// asks for an answer.
    pub(super) fn on_flagged_whois(
        &mut self,
        now: Instant,
        from: Ipv4Addr,
        trailer: Trailer,
    ) -> bool {
        let about = trailer.about.filter(|&about| self.watches(about));
        if self.config.failover.is_none() {
            return trailer.flags & (flag::WITNESS | flag::LATER_EPOCH) != 0;
        }
        if trailer.flags & flag::LATER_EPOCH != 0 {
            self.go_on_with(now, trailer.epoch);
            return true;
        }
        if trailer.flags & flag::WITNESS != 0 {
            if about.is_some() {
                self.note_alive(now);
            }
            return true;
        }
        if trailer.flags & flag::SUSPICION != 0 {
            if self.in_office() && trailer.about == self.network.map(|network| network.address) {
                self.claim_out_of_turn(now);
            } else if about.is_some() && self.claimed_within_grace(now) {
                let word = self.seal(Text::Whois, flag::WITNESS, about);
                self.unicast(from, word);
            }
            return !self.in_office();
        }
        if about.is_some_and(|about| self.is_old(about)) {
            self.lookout.heard = now;
        }
        // The master was held up, and asks before it takes office again (F5).
        // With a key, a recorded question must not hold its place for ever.
        let holds_itself_for_master = trailer.about == Some(from);
        if about.is_some()
            && holds_itself_for_master
            && trailer.epoch == self.epoch
            && self.config.keys.is_none()
        {
            self.note_alive(now);
        }
        false
    }

    /// The master's kernel refused: its process is dead, which is the verdict.
    pub(super) fn on_master_refused(
        &mut self,
        now: Instant,
        address: Ipv4Addr,
        entropy: &mut dyn Entropy,
    ) {
        if self.watches(address)
            && self.config.failover.is_some()
            && !self.round.open
            && !self.pause.active
        {
            self.pronounce(now, Some(address), Cause::Refused(address), entropy);
        }
    }

    /// The master took its leave: whoever is next in rank calls, unless its
    /// VOTE comes first (F4).
    pub(super) fn expect_election(&mut self, now: Instant, resigned: Ipv4Addr) {
        let place = self.place(resigned, SKEW_PLACES_MAX);
        self.lookout.resigned = true;
        self.lookout.question = None;
        self.timers.set(
            Timer::Watch,
            now + Duration::from_millis(2) + SKEW_PER_PLACE * place as u64,
        );
    }

    /// The master's sign of life is due, or the next question is.
    pub(super) fn on_watch(&mut self, now: Instant, entropy: &mut dyn Entropy) {
        let Some(failover) = self.config.failover else {
            return;
        };
        if self.network.is_none() || self.round.open || self.in_office() || self.is_candidate() {
            return;
        }
        if let Some(from) = self.lookout.answered.take() {
            return self.follow_old(now, from);
        }
        if self.role == Role::Master {
            return;
        }
        let subject = self.lookout.subject;
        if self.lookout.resigned {
            let cause = subject.map_or(Cause::Settled, Cause::Resigned);
            return self.pronounce(now, subject, cause, entropy);
        }
        let question = match self.lookout.question {
            Some(question) => question,
            None if self.life_due(failover) > now => return self.await_life(now),
            None => Question {
                begun: now,
                spacing: self.span(failover) / u64::from(QUESTIONS),
                asked: 0,
            },
        };
        if question.asked >= QUESTIONS {
            let cause = subject.map_or(Cause::Settled, Cause::Silent);
            return self.pronounce(now, subject, cause, entropy);
        }
        self.ask(now, question.asked, subject);
        let asked = question.asked + 1;
        self.lookout.question = Some(Question { asked, ..question });
        let next = question.begun + question.spacing * u64::from(asked);
        self.timers
            .set(Timer::Watch, next.max(now + Duration::from_millis(1)));
    }

    /// One question: to the master itself; an old one, or none known, is asked
    /// by broadcast. With the last but one goes the suspicion.
    fn ask(&mut self, now: Instant, asked: u32, subject: Option<Ipv4Addr>) {
        self.counters.add(Count::Question);
        match subject {
            Some(subject) if !self.is_old(subject) => {
                self.ask_whois(now, Some(subject), 0, None);
                if asked + 2 == QUESTIONS {
                    self.ask_whois(now, None, flag::SUSPICION, Some(subject));
                }
            }
            _ => {
                self.ask_whois(now, None, 0, subject);
            }
        }
    }

    /// The verdict: VOTE, with the epoch that it begins and who is dead (F2).
    fn pronounce(
        &mut self,
        now: Instant,
        dead: Option<Ipv4Addr>,
        cause: Cause,
        entropy: &mut dyn Entropy,
    ) {
        self.counters.add(Count::Verdict);
        if let Some(dead) = dead {
            self.peers.mark_gone(dead);
        }
        let epoch = self.epoch.next();
        self.epoch = epoch;
        self.broadcast_call(now, dead);
        self.begin_round(now, epoch, cause, entropy);
    }

    /// The watched master lives, but if it has not claimed for so long it is
    /// no master any more.
    pub(super) fn forget_claims(&mut self, now: Instant, lately: Duration) {
        self.lookout
            .claimed
            .take_if(|claimed| now - *claimed > lately);
    }

    /// The watched master gave a sign of life.
    pub(super) fn note_alive(&mut self, now: Instant) {
        self.lookout.heard = now;
        self.lookout.question = None;
        self.await_life(now);
    }

    fn await_life(&mut self, now: Instant) {
        if let Some(failover) = self.config.failover {
            self.timers
                .set(Timer::Watch, self.life_due(failover).max(now));
        }
    }

    fn life_due(&self, failover: Failover) -> Instant {
        self.lookout.heard + self.grace(failover) + self.skew(failover)
    }

    /// How long after a sign of life the next one is missed.
    fn grace(&self, failover: Failover) -> Duration {
        match self.lookout.subject {
            Some(subject) if self.is_old(subject) => {
                Failover::new(failover.interval.max(OLD_INTERVAL_MIN)).grace()
            }
            // A winner may wait for the vote of a board that this one does not
            // know (R5), or for the lease: then it does not claim yet.
            Some(_) if self.lookout.claimed.is_none() => {
                failover.grace().max(self.candidate_grace()).max(ROUND)
            }
            _ => failover.grace(),
        }
    }

    /// How long this board leaves it to those before it. The runner-up waits
    /// for nobody.
    fn skew(&self, failover: Failover) -> Duration {
        let Some(subject) = self.lookout.subject else {
            return self.boot_skew(failover);
        };
        match self.place(subject, SKEW_PLACES_MAX + 1) as u64 {
            0 => Duration::ZERO,
            place => SKEW + SKEW_PER_PLACE * (place - 1),
        }
    }

    /// Boards that start together do not all call at the same moment.
    fn boot_skew(&self, failover: Failover) -> Duration {
        let last = self
            .network
            .map_or(0, |network| network.address.octets()[3]);
        (failover.interval / 2).min(BOOT_SKEW_MAX) * u64::from(last) / 256
    }

    /// For how long a master that falls silent now would be asked (F2).
    pub fn asks_for(&self) -> Duration {
        let span = |failover| self.span(failover);
        self.config.failover.map_or(Duration::ZERO, span)
    }

    /// For how long the questions go on: twice what the network has been seen
    /// to delay, and the patience at least.
    fn span(&self, failover: Failover) -> Duration {
        failover.patience.max(self.lookout.lateness.largest() * 2)
    }

    fn claimed_within_grace(&self, now: Instant) -> bool {
        let grace = self
            .config
            .failover
            .map_or(Duration::ZERO, |failover| failover.grace());
        self.lookout
            .claimed
            .is_some_and(|claimed| now - claimed <= grace)
    }

    fn is_old(&self, address: Ipv4Addr) -> bool {
        self.peers.of(address).is_some_and(|peer| peer.old)
    }
}
