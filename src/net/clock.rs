//! The clock, read once a turn of the loop, right after poll.

use crate::time::{Duration, Instant};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

/// The present by CLOCK_BOOTTIME: it counts through suspension and never sees
/// the wall clock's steps. Kernels before 2.6.39 lack it: CLOCK_MONOTONIC.
pub fn now() -> Instant {
    clock_gettime(ClockId::CLOCK_BOOTTIME)
        .or_else(|_| clock_gettime(ClockId::CLOCK_MONOTONIC))
        .map_or(Instant::ZERO, |time| {
            let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
            let nanos = u64::try_from(time.tv_nsec()).unwrap_or(0);
            Instant::from_micros(seconds.saturating_mul(1_000_000) + nanos / 1_000)
        })
}

/// The wall clock, by which the kernel stamps datagrams. It may step, so it is
/// good for nothing but [`age`].
pub fn wall() -> Option<TimeSpec> {
    clock_gettime(ClockId::CLOCK_REALTIME).ok()
}

/// How long before `wall` a stamp was; nothing if the clock stepped back.
pub fn age(wall: TimeSpec, stamp: TimeSpec) -> Duration {
    let ago = wall - stamp;
    let micros = i128::from(ago.tv_sec()) * 1_000_000 + i128::from(ago.tv_nsec()) / 1_000;
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_forward_at_the_pace_of_time() {
        let before = now();
        std::thread::sleep(core::time::Duration::from_millis(20));
        let passed = now() - before;
        assert!(passed >= Duration::from_millis(20), "{passed}");
        assert!(passed < Duration::from_secs(10), "{passed}");
    }

    #[test]
    fn a_stamp_has_an_age_unless_the_clock_stepped_back() {
        let at = |seconds, nanos| TimeSpec::new(seconds, nanos);
        let age = |wall, stamp| age(wall, stamp).micros();
        assert_eq!(age(at(5, 1_000), at(4, 999_999_000)), 2);
        assert_eq!(age(at(5, 0), at(5, 0)), 0);
        assert_eq!(age(at(5, 0), at(6, 0)), 0);
    }
}
