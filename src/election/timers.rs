//! A board's timers, as data: one place tells when the next one is due.

use crate::time::Instant;

/// What a board waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// The round is decided (R5).
    Settle,
    /// The missing are asked (R9).
    Ask,
    /// Votes owed to others by unicast (R3).
    Reply,
    /// The own vote is broadcast again (R4, R9).
    Repeat,
    /// WHOIS is broadcast for old programs that may be master (R9, F6).
    Probe,
    /// A broadcast held back by its limit (R8).
    Held,
    /// The next claim (F1).
    Claim,
    /// The master's next claim is missed, or the next question is due (F2).
    Watch,
    /// Listening after a pause, or after the start, is over (F2, F5).
    Listen,
    /// The next ask for the lease, or its end (Q3, Q4).
    Lease,
    /// Introductions are asked for again (K4).
    Greet,
}

const COUNT: usize = Timer::Greet as usize + 1;

/// When each timer is due, if it runs.
#[derive(Clone, Debug, Default)]
pub struct Timers([Option<Instant>; COUNT]);

#[allow(clippy::indexing_slicing)] // by the enum's own numbers
impl Timers {
    /// Starts `timer`, or moves it.
    pub fn set(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = Some(at);
    }

    /// Starts `timer` unless it runs and is due earlier.
    pub fn set_earlier(&mut self, timer: Timer, at: Instant) {
        let due = self.0[timer as usize].map_or(at, |due| due.min(at));
        self.set(timer, due);
    }

    /// Stops `timer`.
    pub fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    /// Stops all timers.
    pub fn stop_all(&mut self) {
        *self = Self::default();
    }

    /// When `timer` is due.
    pub fn due(&self, timer: Timer) -> Option<Instant> {
        self.0[timer as usize]
    }

    /// If `timer` is due, stops it and tells when it was.
    pub fn take(&mut self, timer: Timer, now: Instant) -> Option<Instant> {
        self.0[timer as usize].take_if(|due| *due <= now)
    }

    /// When the first of all is due.
    pub fn next(&self) -> Option<Instant> {
        Instant::first_of(&self.0)
    }
}
