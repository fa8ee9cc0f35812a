//! What a schedule is made of: drawn from its seed before it begins (a swarm:
//! each schedule has its own selection of faults and strengths).

use crate::old::Habits;
use boardroom::rng::{Entropy, Seeded};
use core::fmt;

/// Which rules are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// R1–R9 only.
    Plain,
    /// Plain mode and F1–F6.
    Failover,
    /// Failover, and a majority grants the mastership (Q1–Q5).
    Quorum,
    /// Failover with a key, half of the time with a quorum too (K1–K5).
    Key,
}

impl Mode {
    /// Every mode that is simulated, in the driver's order.
    pub const ALL: &[Self] = &[Self::Plain, Self::Failover, Self::Quorum, Self::Key];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Failover => "failover",
            Self::Quorum => "quorum",
            Self::Key => "key",
        }
    }

    /// The mode of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|mode| mode.name() == name)
    }
}

/// How bad the network is. Shares are out of 2²⁰; times in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// Datagrams lost, each receiver for itself.
    pub loss: u32,
    /// Broadcasts lost to everybody at once (at the sender's port).
    pub loss_at_sender: u32,
    /// Datagrams that come twice.
    pub duplicate: u32,
    /// Datagrams with one bit flipped, which the checksums did not see.
    pub flip: u32,
    /// The shortest way.
    pub delay: u32,
    /// What may come on top of it, uniformly.
    pub spread: u32,
    /// Datagrams that are held up: overtaken by later ones.
    pub late: u32,
    /// By how much at most.
    pub late_by: u32,
}

/// Shares are out of this.
pub const WHOLE: u32 = 1 << 20;

/// The share that a percentage means.
pub const fn percent(percent: u32) -> u32 {
    WHOLE / 100 * percent
}

impl Weather {
    /// A switched LAN on a good day: 50–70 µs, nothing lost.
    pub const CLEAR: Self = Self {
        loss: 0,
        loss_at_sender: 0,
        duplicate: 0,
        flip: 0,
        delay: 50,
        spread: 20,
        late: 0,
        late_by: 0,
    };
}

/// What may be done to the boards while faults last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Fault {
    Vote,
    Whois,
    Crash,
    PowerOff,
    Restart,
    Pause,
    PartitionTwoWays,
    PartitionOneWay,
    CutOneLink,
    Heal,
    NewAddress,
    LoseAddress,
    Junk,
    Storm,
    Resign,
    Forge,
    Replay,
    Flood,
    MuteMaster,
    BlockedPort,
    Suspend,
}

const FAULTS: &[Fault] = &[
    Fault::Crash,
    Fault::PowerOff,
    Fault::Restart,
    Fault::Pause,
    Fault::PartitionTwoWays,
    Fault::PartitionOneWay,
    Fault::CutOneLink,
    Fault::Heal,
    Fault::NewAddress,
    Fault::LoseAddress,
    Fault::Junk,
    Fault::Storm,
    Fault::Resign,
    Fault::Forge,
    Fault::Replay,
    Fault::MuteMaster,
    Fault::BlockedPort,
    Fault::Suspend,
];

/// All that a schedule's seed decides beforehand.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which rules are on.
    pub mode: Mode,
    /// The number of boards.
    pub boards: usize,
    /// The old programs among them.
    pub olds: Vec<Habits>,
    /// The claim's interval (failover), in microseconds.
    pub interval: u64,
    /// Whether the boards drop votes whose claimed address is not the source.
    pub strict: bool,
    /// Whether answers go to the broadcast address.
    pub answer_broadcast: bool,
    /// The network while faults last.
    pub storm: Weather,
    /// The network afterwards: without loss, but perhaps slow.
    pub calm: Weather,
    /// Clock rates differ by up to so many millionths either way.
    pub clock_ppm: u32,
    /// A turn of the loop begins up to so many microseconds late.
    pub latency: u32,
    /// Whether the boards need a majority's grants.
    pub quorum: bool,
    /// Whether a program has to let go of the office first (Q6).
    pub has_hook: bool,
    /// Whether the boards have a key.
    pub keyed: bool,
    /// Whether claims wait for a slave that need not wake for them.
    pub claims_wait: bool,
    /// Whether timers fire on whole milliseconds only, as with poll(2).
    pub coarse_timers: bool,
    /// The kinds of fault, each as often as it is listed.
    pub faults: Vec<Fault>,
    /// How many of them.
    pub steps: u32,
    /// The longest time between two of them, in microseconds.
    pub gap: u64,
    /// How far apart the addresses lie.
    pub addresses: Addresses,
}

/// How the boards' addresses are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// 10.0.0.2, .3 … : text and number sort differently at 9 and 10.
    Near,
    /// Anywhere in 10.0.0.0/16.
    Far,
}

/// A number from 0 to `max`, each magnitude equally likely.
pub fn any_magnitude(rng: &mut Seeded, max: u64) -> u64 {
    let bits = 64 - max.leading_zeros();
    let magnitude = rng.below(bits + 1);
    let number = match magnitude {
        0 => 0,
        bits => (1 << (bits - 1)) | (rng.next_u64() & ((1 << (bits - 1)) - 1)),
    };
    number.min(max)
}

/// True once in `n`.
pub fn one_in(rng: &mut Seeded, n: u32) -> bool {
    rng.below(n) == 0
}

impl Options {
    /// What `seed` stands for.
    pub fn draw(mode: Mode, rng: &mut Seeded) -> Self {
        let big = one_in(rng, 50);
        let boards = match rng.below(20) {
            _ if big => 8 + any_magnitude(rng, 56) as usize,
            0 => 1,
            _ => 2 + rng.below(6) as usize,
        };
        let olds = match rng.below(4) {
            _ if !matches!(mode, Mode::Plain | Mode::Failover) => 0,
            0 => 1,
            1 => rng.below(4),
            _ => 0,
        };
        let keyed = mode == Mode::Key || mode == Mode::Plain && olds == 0 && one_in(rng, 8);
        let quorum = mode == Mode::Quorum || mode == Mode::Key && one_in(rng, 2);
        Self {
            mode,
            boards,
            olds: (0..olds).map(|_| Habits::draw(rng)).collect(),
            interval: *pick(rng, &[10_000, 20_000, 50_000, 100_000, 1_000_000]),
            strict: one_in(rng, 6),
            answer_broadcast: one_in(rng, 8),
            storm: storm(mode, rng),
            calm: calm(rng, olds == 1),
            clock_ppm: *pick(rng, &[0, 0, 100, 10_000]),
            latency: *pick(rng, &[0, 0, 0, 50, 1_000, 5_000]),
            quorum,
            has_hook: quorum && one_in(rng, 3),
            keyed,
            claims_wait: mode != Mode::Plain && one_in(rng, 2),
            coarse_timers: one_in(rng, 3),
            faults: if one_in(rng, 400) {
                vec![Fault::Flood, Fault::Vote]
            } else {
                faults(mode, keyed, rng)
            },
            steps: if big { 3 } else { 2 + rng.below(14) },
            gap: *pick(rng, &[2_000, 50_000, 150_000, 400_000]),
            addresses: *pick(rng, &[Addresses::Near, Addresses::Far]),
        }
    }
}

/// One of `choices`.
pub fn pick<'a, T>(rng: &mut Seeded, choices: &'a [T]) -> &'a T {
    &choices[rng.below(choices.len() as u32) as usize]
}

fn storm(mode: Mode, rng: &mut Seeded) -> Weather {
    // What a lease has to fear most: its grants come, but very late.
    let sluggish = mode == Mode::Quorum && one_in(rng, 3);
    let mut share = |most: u32| {
        if one_in(rng, 2) {
            0
        } else {
            any_magnitude(rng, u64::from(percent(most))) as u32
        }
    };
    let (loss, loss_at_sender) = (share(60), share(30));
    let (duplicate, flip, late) = (share(30), share(10), share(30));
    let late = if sluggish { percent(40) } else { late };
    Weather {
        loss,
        loss_at_sender,
        duplicate,
        flip,
        delay: 50,
        spread: 20 + any_magnitude(rng, 50_000) as u32,
        late,
        late_by: if sluggish {
            100_000 + rng.below(400_000)
        } else {
            1_000 + any_magnitude(rng, 500_000) as u32
        },
    }
}

/// Where a vote can overtake the VOTE that it answers, an old program that
/// takes office at VOTE never hears it: no rule of ours can mend that before
/// somebody asks, so an old program gets a switched LAN. Several of them go
/// wrong by themselves: there only what must hold at every moment is asked.
fn calm(rng: &mut Seeded, with_old: bool) -> Weather {
    let spread = *pick(rng, &[20, 20, 20, 500, 3_000]);
    let spread = if with_old { 20 } else { spread };
    Weather {
        spread,
        ..Weather::CLEAR
    }
}

fn faults(mode: Mode, keyed: bool, rng: &mut Seeded) -> Vec<Fault> {
    let mut faults = vec![Fault::Vote, Fault::Vote, Fault::Whois];
    for &fault in FAULTS {
        let fits = match fault {
            Fault::Resign => mode != Mode::Plain,
            Fault::Replay => keyed,
            // Without a key anybody may claim and grant in anybody's name.
            Fault::Forge => mode != Mode::Quorum,
            _ => true,
        };
        if fits && one_in(rng, 2) {
            faults.push(fault);
        }
    }
    faults
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { storm, calm, .. } = self;
        let share = |share: u32| f64::from(share) * 100.0 / f64::from(WHOLE);
        writeln!(
            f,
            "  {} boards, {} old programs, mode {}, interval {} us, strict {}, broadcast answers {}",
            self.boards,
            self.olds.len(),
            self.mode.name(),
            self.interval,
            self.strict,
            self.answer_broadcast
        )?;
        for old in &self.olds {
            writeln!(f, "  old program: {old:?}")?;
        }
        writeln!(
            f,
            "  storm: loss {:.2} %, at the sender {:.2} %, twice {:.2} %, flipped {:.2} %, {}+{} us, {:.2} % late by up to {} us",
            share(storm.loss),
            share(storm.loss_at_sender),
            share(storm.duplicate),
            share(storm.flip),
            storm.delay,
            storm.spread,
            share(storm.late),
            storm.late_by
        )?;
        writeln!(
            f,
            "  calm: {}+{} us; clocks off by {} ppm, turns late by up to {} us, timers on whole ms: {}",
            calm.delay, calm.spread, self.clock_ppm, self.latency, self.coarse_timers
        )?;
        writeln!(
            f,
            "  quorum {}, with a hook {}, key {}, claims wait {}",
            self.quorum, self.has_hook, self.keyed, self.claims_wait
        )?;
        writeln!(
            f,
            "  {} steps at most {} us apart, of {:?}",
            self.steps, self.gap, self.faults
        )
    }
}
