//! After a pause (F5): a process that was stopped, or whose loop came back far
//! too late, may have been replaced meanwhile. It listens before it speaks.

use super::board::Board;
use super::config::Role;
use super::counters::Count;
use super::notice::{Cause, Notice};
use super::rank::Epoch;
use super::timers::Timer;
use crate::time::{Duration, Instant};

/// WHOIS broadcast before a master takes office again (F5).
const QUESTIONS: u8 = 5;

/// Whether, and how far, the board is on its way back from a pause.
#[derive(Clone, Debug, Default)]
pub(super) struct Pause {
    /// The board listens, and claims and answers nothing.
    pub(super) active: bool,
    /// What is queued from the pause is being read: only epochs and claims
    /// count of it.
    pub(super) draining: bool,
    /// WHOIS broadcast so far.
    asked: u8,
    /// How long it was.
    slept: Duration,
    /// The last turn of the loop.
    last_turn: Option<Instant>,
}

impl Pause {
    /// The pause is over; the loop's clock goes on.
    pub(super) fn end(&mut self) {
        *self = Self {
            last_turn: self.last_turn,
            ..Self::default()
        };
    }
}

impl Board {
    /// A turn of the loop begins. To be called right after poll(2), before any
    /// input is handed in.
    pub fn handle_wakeup(&mut self, now: Instant) {
        let slept = self
            .pause
            .last_turn
            .replace(now)
            .map_or(Duration::ZERO, |last| now - last);
        let Some(failover) = self.config.failover else {
            return;
        };
        let late = self.timers.next().map_or(Duration::ZERO, |due| now - due);
        // Nobody's verdict can have come before the grace and the patience.
        if slept > failover.grace() && late > failover.patience / 2 && self.network.is_some() {
            self.begin_listening(now, slept);
        }
        self.check_lease(now);
    }

    /// Somebody speaks of a later round: it is noted without taking part.
    pub(super) fn note_epoch(&mut self, epoch: Epoch) {
        if epoch.is_after(self.epoch) {
            self.epoch = epoch;
            self.own = None;
            self.votes.clear();
        }
    }

    /// The input that waited is read, or a question had its time.
    pub(super) fn on_listen(&mut self, now: Instant) {
        let Some(failover) = self.config.failover.filter(|_| self.pause.active) else {
            return;
        };
        let drained = core::mem::take(&mut self.pause.draining);
        if self.role == Role::Slave {
            self.pause.end();
            self.arm_lease();
            return self.look_on(now);
        }
        // Without a vote of the latest round it has no office to return to.
        if drained && self.own.is_none() {
            let cause = Cause::Paused(self.pause.slept);
            self.pause.end();
            self.drop_kept();
            self.become_role(now, Role::Slave, None, cause);
            return self.look_for_a_master(now);
        }
        if self.pause.asked < QUESTIONS {
            self.pause.asked += 1;
            self.probe(now);
            return self.timers.set(
                Timer::Listen,
                now + failover.patience / u64::from(QUESTIONS),
            );
        }
        self.pause.end();
        self.arm_lease();
        self.begin_claims(now);
        self.answer_kept(now);
    }

    fn begin_listening(&mut self, now: Instant, slept: Duration) {
        self.counters.add(Count::Paused);
        self.outbox.tell(Notice::StoodStill(slept));
        if self.round.open {
            // The round went on without this board: it has no say in it.
            self.round.open = false;
            self.own = None;
        }
        self.pause = Pause {
            active: true,
            draining: true,
            slept,
            last_turn: Some(now),
            ..Pause::default()
        };
        self.replies.clear();
        self.timers.stop_all();
        self.timers.set(Timer::Listen, now);
    }
}
