//! Time as the cores know it: whole microseconds, handed in by the caller.
//!
//! The net layer reads CLOCK_BOOTTIME once per turn of the poll loop; steps of
//! the wall clock are never seen here.

use core::fmt;
use core::ops::{Add, AddAssign, Div, Mul, Sub};

/// A moment, in microseconds since the machine (or the simulation) began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

/// A span of time in microseconds, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(u64);

impl Instant {
    /// The earliest of those that are set. A plain loop: the iterators that say
    /// the same were a tenth of all steps for a WHOIS.
    pub fn first_of(all: &[Option<Self>]) -> Option<Self> {
        let mut first = None;
        for one in all {
            if let Some(at) = *one
                && first.is_none_or(|first| at < first)
            {
                first = Some(at);
            }
        }
        first
    }

    /// The first moment.
    pub const ZERO: Self = Self(0);

    /// The moment `micros` microseconds after the first.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the first moment.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// The time since `earlier`; zero when `earlier` is in fact later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of `micros` microseconds.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// A span of `millis` milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// A span of `seconds` seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// The span in microseconds.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// The span in milliseconds, rounded up, as poll(2) wants it: a timer
    /// must never fire early and spin.
    pub const fn millis_rounded_up(self) -> u64 {
        self.0.div_ceil(1_000)
    }

    /// Reads `10ms`, `1s`, `1.5s`, `500us`, `2m`; a bare number is seconds.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit: u64 = match &text.get(digits.len()..)? {
            &"us" => 1,
            &"ms" => 1_000,
            &"s" | &"" => 1_000_000,
            &"m" | &"min" => 60_000_000,
            _ => return None,
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty()
            || fraction.len() > 6
            || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        {
            return None;
        }
        let mut micros = whole.parse::<u64>().ok()?.checked_mul(unit)?;
        if !fraction.is_empty() {
            let scale = 10u64.pow(fraction.len() as u32);
            micros =
                micros.checked_add(fraction.parse::<u64>().ok()?.checked_mul(unit)? / scale)?;
        }
        Some(Self(micros))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, span: Duration) {
        *self = *self + span;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Sub for Instant {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

impl Add for Duration {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Duration {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Mul<u64> for Duration {
    type Output = Self;
    fn mul(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

impl Div<u64> for Duration {
    type Output = Self;
    /// Division by zero yields the whole span.
    fn div(self, divisor: u64) -> Self {
        Self(self.0.checked_div(divisor).unwrap_or(self.0))
    }
}

/// The shortest exact form: `1s`, `50ms`, `1.5s`, `20us`.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = match self.0 {
            0 => return f.write_str("0s"),
            micros if micros >= 1_000_000 => (1_000_000, "s"),
            micros if micros >= 1_000 => (1_000, "ms"),
            _ => (1, "us"),
        };
        write!(f, "{}", self.0 / unit)?;
        let (mut rest, mut digit) = (self.0 % unit, unit / 10);
        if rest > 0 {
            f.write_str(".")?;
        }
        while rest > 0 {
            write!(f, "{}", rest / digit)?;
            rest %= digit;
            digit /= 10;
        }
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_reads_what_it_prints() {
        for text in [
            "1s",
            "50ms",
            "1.5s",
            "20us",
            "10.25ms",
            "0s",
            "61s",
            "1.000001s",
        ] {
            assert_eq!(Duration::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Duration::parse("2m"), Some(Duration::from_secs(120)));
        assert_eq!(Duration::parse("3"), Some(Duration::from_secs(3)));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "s",
            ".5s",
            "1h",
            "-1s",
            "1.2.3s",
            "1.s s",
            "99999999999999999999s",
            "1 s",
            "1.1234567s",
        ] {
            assert_eq!(Duration::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn poll_never_wakes_early() {
        assert_eq!(Duration::from_micros(1).millis_rounded_up(), 1);
        assert_eq!(Duration::from_micros(1_000).millis_rounded_up(), 1);
        assert_eq!(Duration::ZERO.millis_rounded_up(), 0);
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Instant::ZERO - Duration::from_secs(1), Instant::ZERO);
        assert_eq!(Instant::ZERO - Instant::from_micros(5), Duration::ZERO);
        assert_eq!(
            Duration::from_micros(u64::MAX) * 2,
            Duration::from_micros(u64::MAX)
        );
    }
}
