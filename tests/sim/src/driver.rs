//! Many schedules: counts them, and shows the first that went wrong.

use crate::options::Mode;
use crate::schedule::{self, Schedule};
use std::panic;
use std::time::Instant;

/// The last lines of a story that a failure prints.
const STORY_LINES: usize = 60;

/// What came of many schedules.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// How many were run.
    pub schedules: u64,
    /// How many went wrong.
    pub violations: u64,
    /// Datagrams delivered.
    pub delivered: u64,
    /// How long it took, in microseconds of this machine.
    pub micros: u128,
}

impl Tally {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            schedules: self.schedules + other.schedules,
            violations: self.violations + other.violations,
            delivered: self.delivered + other.delivered,
            micros: self.micros + other.micros,
        }
    }

    /// The line that is printed for a mode.
    pub fn line(&self, name: &str) -> String {
        let seconds = (self.micros.max(1)) as f64 / 1e6;
        format!(
            "{name:<10} {} schedules, {} violations, {:.0} schedules/s, {} datagrams",
            self.schedules,
            self.violations,
            self.schedules as f64 / seconds,
            match self.delivered {
                few @ ..10_000_000 => few.to_string(),
                many => format!("{} million", many / 1_000_000),
            }
        )
    }
}

/// Runs the seeds from `first`; stops after `failures_max` that went wrong,
/// each of which is printed by `tell`.
pub fn run(
    mode: Mode,
    first: u64,
    count: u64,
    failures_max: u64,
    tell: &mut dyn FnMut(&str),
) -> Tally {
    let begin = Instant::now();
    let mut tally = Tally::default();
    for seed in first..first + count {
        tally.schedules += 1;
        match attempt(mode, seed) {
            Ok(delivered) => tally.delivered += delivered,
            Err(headline) => {
                tally.violations += 1;
                tell(&format!("seed {seed}: {headline}\n{}", retell(mode, seed)));
                if tally.violations >= failures_max {
                    break;
                }
            }
        }
    }
    tally.micros = begin.elapsed().as_micros();
    tally
}

/// Runs one seed; says in one line what went wrong. A panic of the core is a
/// violation too (S5).
pub fn attempt(mode: Mode, seed: u64) -> Result<u64, String> {
    let outcome = panic::catch_unwind(|| schedule::run(mode, seed, false));
    match outcome {
        Ok(outcome) => match outcome.violation {
            None => Ok(outcome.delivered),
            Some(violation) => Err(format!(
                "VIOLATION {} at {} us: {}",
                violation.property, violation.at, violation.what
            )),
        },
        Err(_) => Err(PANIC.into()),
    }
}

/// The property that a panic breaks.
pub const PANIC: &str = "VIOLATION S5 nothing panics";

/// The story of a seed: options, the last events, and how to see it again.
pub fn retell(mode: Mode, seed: u64) -> String {
    let options = Schedule::new(mode, seed).options;
    let story = panic::catch_unwind(|| schedule::run(mode, seed, true).story).unwrap_or_default();
    let skipped = story.len().saturating_sub(STORY_LINES);
    let mut text = format!("mode {}, seed {seed}\n{options}", mode.name());
    if skipped > 0 {
        text += &format!("  … {skipped} lines before\n");
    }
    for line in &story[skipped..] {
        text += &format!("  {line}\n");
    }
    text += &format!("again: make sim MODE={} SEED={seed}", mode.name());
    text
}
