//! Mending what was lost by asking the one who is missing (R9), by telling a
//! latecomer (R3), and by repeating to old programs (R4, R9).

use super::board::Board;
use super::round::{ASK_EVERY, QUIET};
use super::timers::Timer;
use super::wire::flag;
use crate::time::{Duration, Instant};
use core::net::Ipv4Addr;

/// Votes owed to others; of more, the newest are not owed.
pub(super) const REPLIES_MAX: usize = 32;
/// So many of the missing are asked at once (R9).
const ASKED_AT_ONCE: usize = 16;
/// How often the missing are asked in a round (R9).
const ASKS: u8 = 4;
/// Whoever speaks of an earlier round is answered after this (R3), and an old
/// program hears a vote again after this (R4): its next word may be on its way.
const REPLY_AFTER: Duration = Duration::from_millis(20);
/// An old program that is missing is asked WHOIS this long after the repeated
/// vote (R9).
const PROBE_AFTER: Duration = Duration::from_millis(50);
/// An answer that comes later than this after a probe is not one to it.
pub(super) const PROBE_LASTS: Duration = Duration::from_secs(1);

/// A vote owed to a board.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reply {
    to: Ipv4Addr,
    due: Instant,
    /// Owed whatever is heard of it until then.
    always: bool,
}

impl Board {
    /// Sends the vote, asking, to known boards that have not voted (R9). As long
    /// as votes come, the others' are on their way: of 250 boards each would else
    /// ask most of the others, with an ARP broadcast for every pair. Of many the
    /// next ones are asked the next time, each board beginning with others.
    pub(super) fn ask_the_missing(&mut self, now: Instant) {
        let rest = self.round.last_vote + QUIET;
        if self.round.open && now < rest {
            return self.timers.set(Timer::Ask, rest);
        }
        let own = self.network.map(|network| network.address);
        let missing: Vec<Ipv4Addr> = self
            .others()
            .filter(|(peer, voted)| !peer.old && !voted)
            .map(|(peer, _)| peer.address)
            .collect();
        let begin = missing.partition_point(|address| own.is_some_and(|own| *address < own))
            + usize::from(self.round.asked) * ASKED_AT_ONCE;
        let count = missing.len();
        for step in 0..count.min(ASKED_AT_ONCE) {
            if let Some(&address) = missing.get((begin + step) % count) {
                self.unicast_vote(now, address, flag::ASKING);
            }
        }
        self.round.asked += 1;
        if let Some(begun) = self.round.begun.filter(|_| self.round.asked < ASKS) {
            let next = begun + ASK_EVERY * u64::from(self.round.asked + 1);
            self.timers
                .set(Timer::Ask, next.max(now + Duration::from_millis(1)));
        }
    }

    /// Owes a board of an earlier round, or one that has just restarted, the
    /// own vote, in 20 ms.
    pub(super) fn owe_reply(&mut self, now: Instant, to: Ipv4Addr, always: bool) {
        let known = self.replies.iter().any(|reply| reply.to == to);
        let speaks = self.own.is_some() && !self.pause.active;
        if speaks && !known && self.replies.len() < REPLIES_MAX {
            self.replies.push(Reply {
                to,
                due: now + REPLY_AFTER,
                always,
            });
            self.timers.set_earlier(Timer::Reply, now + REPLY_AFTER);
        }
    }

    /// Sends the votes owed, except to boards whose vote has come meanwhile.
    pub(super) fn send_replies(&mut self, now: Instant) {
        let mut replies = core::mem::take(&mut self.replies);
        replies.retain(|reply| {
            if reply.due > now {
                return true;
            }
            if reply.always || self.votes.of(reply.to).is_none() {
                // Asking: whoever joins this round by the answer tells its vote.
                self.unicast_vote(now, reply.to, flag::ASKING);
            }
            false
        });
        self.replies = replies;
        if let Some(due) = self.replies.iter().map(|reply| reply.due).min() {
            self.timers.set(Timer::Reply, due);
        }
    }

    /// An old program's vote came out of turn and is below ours: a master says
    /// its own again (R4).
    pub(super) fn repeat_for_old_program(&mut self, now: Instant) {
        if self.round.open {
            self.round.repeat = true;
        } else if self.in_office() {
            self.timers.set_earlier(Timer::Repeat, now + REPLY_AFTER);
        }
    }

    /// On taking office: repeats the vote for old programs that redrew (R4),
    /// and asks after known ones that are missing (R9).
    pub(super) fn mend_old_programs(&mut self, now: Instant) {
        let missing = self.others().any(|(peer, voted)| peer.old && !voted);
        if missing || self.round.repeat {
            self.broadcast_vote(now);
        }
        if missing {
            self.timers.set(Timer::Probe, now + PROBE_AFTER);
        }
    }

    /// Broadcasts WHOIS: an old program that holds itself for master answers.
    /// `about` is this board: that it holds itself for master is a sign of life
    /// to its slaves, which a slave's question to its master is not.
    pub(super) fn probe(&mut self, now: Instant) {
        self.office.probed_until = Some(now + PROBE_LASTS);
        let own = self.network.map(|network| network.address);
        self.ask_whois(now, None, 0, own);
    }

    /// Somebody answered as master to a question of ours.
    pub(super) fn on_answer(&mut self, now: Instant, from: Ipv4Addr) {
        if self.on_answer_to_question(now, from) || !self.in_office() {
            return;
        }
        if self.office.probed_until.is_none_or(|until| until < now) {
            return;
        }
        if self.peers.of(from).is_some_and(|peer| !peer.old) {
            // One of ours, in another round: whoever is behind will join.
            return self.unicast_vote(now, from, flag::ASKING);
        }
        let again = self.office.old_rival.replace(from) == Some(from);
        if self.config.failover.is_some() && !again {
            self.broadcast_vote(now);
        } else {
            self.yield_to_old(now, from);
        }
    }
}
