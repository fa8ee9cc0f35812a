//! A host on the simulated LAN: its clock, its socket buffers, and the process
//! that runs on it or does not.

use crate::program::Program;
use crate::queue::Micros;
use boardroom::rng::{Entropy, Seeded};
use boardroom::time::Instant;
use core::net::Ipv4Addr;
use std::collections::VecDeque;

/// What a socket buffer holds of these small datagrams: Linux counts about
/// 768 bytes for each, and has 212,992 by default.
pub const BUFFER_MAX: usize = 277;

/// A clock that counts from the host's own boot, a little fast or slow.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    boot: Micros,
    ppm: i64,
}

impl Clock {
    /// A clock that has run for `uptime` when the simulation begins, `ppm`
    /// millionths fast (or slow, when negative).
    pub const fn new(uptime: Micros, ppm: i64) -> Self {
        Self { boot: uptime, ppm }
    }

    /// What this clock shows at `at`.
    pub const fn shows(self, at: Micros) -> Instant {
        let drift = at as i64 * self.ppm / 1_000_000;
        Instant::from_micros((self.boot + at).saturating_add_signed(drift))
    }

    /// The first moment at which this clock shows `shown` or later.
    pub fn when(self, shown: Instant) -> Micros {
        let elapsed = shown.micros().saturating_sub(self.boot);
        if self.ppm == 0 {
            return elapsed;
        }
        let rate = 1_000_000i64 + self.ppm;
        let mut at = match elapsed.checked_mul(1_000_000) {
            Some(elapsed) => elapsed / rate as u64,
            None => (i128::from(elapsed) * 1_000_000 / i128::from(rate)) as Micros,
        };
        at = at.saturating_sub(3);
        while self.shows(at) < shown {
            at += 1;
        }
        at
    }
}

/// What the process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Running,
    /// It is stopped (SIGSTOP), its kernel goes on filling the buffers.
    Stopped,
    /// It is dead, its kernel refuses datagrams.
    Dead,
    /// The whole machine is off.
    Off,
}

/// Random numbers of one process; a transcript may say the next ones.
pub struct Draws {
    /// What is drawn next, whatever the seed says.
    pub told: VecDeque<u32>,
    seeded: Seeded,
}

impl Draws {
    /// Draws that follow from `seed`.
    pub const fn new(seed: u64) -> Self {
        Self {
            told: VecDeque::new(),
            seeded: Seeded::new(seed),
        }
    }
}

impl Entropy for Draws {
    fn next_u32(&mut self) -> u32 {
        match self.told.pop_front() {
            Some(told) => told,
            None => self.seeded.next_u32(),
        }
    }
}

/// A set of datagrams, a bit for each.
#[derive(Default)]
pub struct Given(Vec<u64>);

impl Given {
    /// Whether `id` is in it.
    pub fn has(&self, id: u32) -> bool {
        let word = self.0.get(id as usize / 64);
        word.is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    /// Puts `id` in.
    pub fn put(&mut self, id: u32) {
        let at = id as usize / 64;
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        self.0[at] |= 1 << (id % 64);
    }
}

/// One host.
pub struct Host {
    /// Its address, while it has one.
    pub address: Option<Ipv4Addr>,
    /// The process.
    pub program: Program,
    /// What the process is doing.
    pub state: State,
    /// Counts the starts of the process.
    pub life: u16,
    /// Its clock.
    pub clock: Clock,
    /// Its random numbers.
    pub draws: Draws,
    /// Datagrams that wait on the own, the broadcast and the claims' socket:
    /// when they came and which they are.
    pub buffers: [VecDeque<(Micros, u32)>; 3],
    /// Whether the claims' socket is not polled.
    pub claims_wait: bool,
    /// The local time of the last turn.
    pub last_turn: Instant,
    /// When the process started.
    pub started_at: Micros,
    /// Which datagrams this process has been given.
    pub given: Given,
    /// Refusals that wait.
    pub refusals: VecDeque<u32>,
    /// The process's deadline.
    pub deadline: Option<Instant>,
    /// A deadline, and when it comes by true time.
    pub comes: (Instant, Micros),
    /// Turns in a row that brought input.
    pub busy_turns: u32,
    /// When the process was stopped.
    pub stopped_at: Micros,
    /// Until when a program lets go of the office that was left in time.
    pub letting_go: Option<Micros>,
    /// When a stopped process last went on.
    pub resumed_at: Option<Micros>,
    /// The whole machine is suspended: what comes is lost.
    pub suspended: bool,
    /// The address has changed while the process was stopped.
    pub moved: bool,
    /// Begins to matter when this host is an old program's.
    pub is_old: bool,
}

impl Host {
    /// A host whose process does not run yet.
    pub fn new(address: Ipv4Addr, program: Program, clock: Clock, seed: u64) -> Self {
        Self {
            address: Some(address),
            is_old: matches!(program, Program::Old(_)),
            program,
            state: State::Running,
            life: 0,
            clock,
            draws: Draws::new(seed),
            buffers: [VecDeque::new(), VecDeque::new(), VecDeque::new()],
            claims_wait: false,
            last_turn: Instant::ZERO,
            started_at: 0,
            given: Given::default(),
            refusals: VecDeque::new(),
            deadline: None,
            comes: (Instant::ZERO, clock.when(Instant::ZERO)),
            busy_turns: 0,
            stopped_at: 0,
            suspended: false,
            letting_go: None,
            resumed_at: None,
            moved: false,
        }
    }

    /// Whether the process runs and has an address.
    pub fn is_up(&self) -> bool {
        self.state == State::Running && self.address.is_some()
    }

    /// Whether input waits.
    pub fn has_input(&self) -> bool {
        let [own, all, claims] = &self.buffers;
        let polled_claims = !self.claims_wait && !claims.is_empty();
        !own.is_empty() || !all.is_empty() || polled_claims || !self.refusals.is_empty()
    }

    /// The sockets are closed: what waited in them is lost.
    pub fn close_sockets(&mut self) {
        self.buffers.iter_mut().for_each(VecDeque::clear);
        self.refusals.clear();
        self.busy_turns = 0;
        self.claims_wait = false;
    }
}
