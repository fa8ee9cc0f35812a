//! What became of one client's numbers: lost, duplicated, reordered, begun
//! anew.
//!
//! The numbers come round every 100, so one number can be read in several
//! ways. The rules, in this order; *last* is the number farthest ahead so far:
//!
//! 1. The number after the last is in order.
//! 2. A number up to 49 behind the last is **late** if it is at most 4 behind
//!    or less than a second old, by the client's pace: **reordered** if it was
//!    missing (it is no longer lost then), else **duplicated**.
//! 3. Duplicates that follow one another as 1, 2, or four from any number up,
//!    were none: the client has **restarted** (or, above 10, a part was lost).
//! 4. A 1 is a **restart**, except after a gap of less than 10 numbers that
//!    took no longer than such a gap may. (A longer gap ends before a 1 once in
//!    a hundred times, a restart always does.)
//! 5. A number up to 10 that is behind and too old to be late is a restart,
//!    whose first numbers were lost.
//! 6. Anything else is a gap: the numbers between are **lost**. A gap of 100
//!    or more cannot be told from a smaller one.

use super::wire::{LAST, next};
use crate::time::{Duration, Instant};
use core::fmt;

/// Rule 2: so far behind, a number may be late.
const BEHIND_MAX: u8 = 49;
/// Rule 2: so far behind, it is late however old it is.
const BEHIND_ALWAYS: u8 = 4;
/// Rule 2: no datagram lives longer in a LAN.
const AGE_MAX: Duration = Duration::from_secs(1);
/// Rule 3: duplicates in sequence that are none, from 1 and from elsewhere.
const DUPLICATES_FROM_1: u8 = 2;
const DUPLICATES: u8 = 4;
/// Rules 3 and 5: a restarted client is heard again by this number at the latest.
const RESTART_MAX: u8 = 10;
/// Rule 4: so far ahead, a 1 comes after a gap.
const GAP_LIKELY: u8 = 10;
/// Rule 4: a faster pace proves nothing, nor one over fewer numbers.
const PACE_MIN: Duration = Duration::from_millis(10);
const PACE_KNOWN: u8 = 8;

/// The counts of one client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages with a number.
    pub received: u64,
    /// Numbers that never came.
    pub lost: u64,
    /// Numbers that came again.
    pub duplicated: u64,
    /// Numbers that came after a later one.
    pub reordered: u64,
    /// How often the client began anew.
    pub restarts: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            received,
            lost,
            duplicated,
            reordered,
            restarts,
        } = self;
        write!(
            f,
            "received {received}, lost {lost}, duplicated {duplicated}, reordered {reordered}, \
             restarts {restarts}"
        )
    }
}

/// What is kept of one client's numbers.
#[derive(Clone, Copy, Debug)]
pub struct Tally {
    counts: Counts,
    /// The number farthest ahead, and when it came.
    last: u8,
    last_at: Instant,
    /// Bit i: the number i before the last has come.
    seen: u64,
    /// How many numbers back the client has been followed, to 64: what is
    /// missing there has been counted as lost.
    followed: u8,
    /// The usual time between two numbers.
    pace: Duration,
    suspicion: Option<Suspicion>,
}

/// Rule 3: numbers in sequence that were all counted as duplicated, or as
/// reordered from before the client was followed.
#[derive(Clone, Copy, Debug)]
struct Suspicion {
    first: u8,
    newest: u8,
    length: u8,
    reordered: u8,
    /// How far ahead of the last the first one is, if it is not behind.
    ahead: u8,
}

impl Tally {
    /// A client whose first number has come.
    pub fn new(number: u8, now: Instant) -> Self {
        Self {
            counts: Counts {
                received: 1,
                ..Counts::default()
            },
            last: number,
            last_at: now,
            seen: 1,
            followed: 1,
            pace: Duration::ZERO,
            suspicion: None,
        }
    }

    /// What has been counted so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes the client's next message.
    pub fn take(&mut self, number: u8, now: Instant) {
        self.counts.received += 1;
        let ahead = (number + LAST - self.last) % LAST;
        let behind = (LAST - ahead) % LAST;
        if ahead == 1 {
            self.pace = self.new_pace(now);
            self.go_on(number, ahead, now);
        } else if self.is_late(behind, now) {
            self.late(number, ahead, behind, now);
        } else if self.is_restart(number, ahead, now) {
            self.restart(number, now);
        } else {
            self.counts.lost += u64::from(ahead.saturating_sub(1));
            self.go_on(number, ahead, now);
        }
    }

    fn go_on(&mut self, number: u8, ahead: u8, now: Instant) {
        self.seen = self.seen.checked_shl(ahead.into()).unwrap_or(0) | 1;
        self.followed = self.followed.saturating_add(ahead).min(64);
        self.last = number;
        self.last_at = now;
        self.suspicion = None;
    }

    fn restart(&mut self, number: u8, now: Instant) {
        self.counts.restarts += 1;
        self.counts.lost += u64::from(number.saturating_sub(1));
        self.seen = 1;
        self.followed = number;
        self.last = number;
        self.last_at = now;
        self.suspicion = None;
    }

    fn new_pace(&self, now: Instant) -> Duration {
        let step = now - self.last_at;
        if self.pace == Duration::ZERO {
            step
        } else {
            (self.pace * 7 + step) / 8
        }
    }

    /// Rule 2.
    fn is_late(&self, behind: u8, now: Instant) -> bool {
        let age = (now - self.last_at) + self.pace * behind.into();
        behind <= BEHIND_ALWAYS || (behind <= BEHIND_MAX && age <= AGE_MAX)
    }

    fn late(&mut self, number: u8, ahead: u8, behind: u8, now: Instant) {
        let bit = 1u64 << behind;
        let missing = self.seen & bit == 0;
        self.seen |= bit;
        if missing && behind < self.followed {
            self.counts.reordered += 1;
            self.counts.lost = self.counts.lost.saturating_sub(1);
            self.suspicion = None;
            return;
        }
        if missing {
            self.counts.reordered += 1;
        } else {
            self.counts.duplicated += 1;
        }
        let mut suspicion = match self.suspicion {
            Some(suspicion) if next(suspicion.newest) == number => suspicion,
            _ => Suspicion {
                first: number,
                newest: number,
                length: 0,
                reordered: 0,
                ahead,
            },
        };
        suspicion.newest = number;
        suspicion.length += 1;
        suspicion.reordered += u8::from(missing);
        self.suspicion = Some(suspicion);
        self.judge(suspicion, now);
    }

    /// Rule 3.
    fn judge(&mut self, suspicion: Suspicion, now: Instant) {
        let Suspicion {
            first,
            newest,
            length,
            reordered,
            ahead,
        } = suspicion;
        let enough = if first == 1 {
            DUPLICATES_FROM_1
        } else {
            DUPLICATES
        };
        if length < enough {
            return;
        }
        let duplicated = length.saturating_sub(reordered);
        self.counts.reordered = self.counts.reordered.saturating_sub(reordered.into());
        self.counts.duplicated = self.counts.duplicated.saturating_sub(duplicated.into());
        if first <= RESTART_MAX {
            self.restart(first, now);
        } else {
            self.counts.lost += u64::from(ahead.saturating_sub(1));
            self.go_on(first, ahead, now);
        }
        let more = length.saturating_sub(1);
        self.seen = self.seen << more | ((1 << length) - 1);
        self.followed = self.followed.saturating_add(more).min(64);
        self.last = newest;
    }

    /// Rules 4 and 5.
    fn is_restart(&self, number: u8, ahead: u8, now: Instant) -> bool {
        if number != 1 {
            return number <= RESTART_MAX && ahead >= LAST - BEHIND_MAX;
        }
        let took = now - self.last_at;
        let takes = self.pace * ahead.into();
        let pace_is_known = self.pace >= PACE_MIN && self.followed >= PACE_KNOWN;
        ahead > GAP_LIKELY || (pace_is_known && took > takes * 2 + AGE_MAX)
    }
}

#[cfg(test)]
#[path = "tally_tests.rs"]
mod tests;
