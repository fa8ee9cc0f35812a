//! The clock, read once a turn of the loop, right after poll.

use crate::time::Instant;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    #[test]
    fn the_clock_goes_forward_at_the_pace_of_time() {
        let before = now();
        std::thread::sleep(core::time::Duration::from_millis(20));
        let passed = now() - before;
        assert!(passed >= Duration::from_millis(20), "{passed}");
        assert!(passed < Duration::from_secs(10), "{passed}");
    }
}
