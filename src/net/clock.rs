//! The clock, read once a turn of the loop, right after poll.

use crate::time::{Duration, Instant};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::time::{ClockId, clock_gettime};

/// The present by CLOCK_BOOTTIME: it counts through suspension and never sees
/// the wall clock's steps. Kernels before 2.6.39 lack it: CLOCK_MONOTONIC.
pub fn now() -> Instant {
    clock_gettime(ClockId::CLOCK_BOOTTIME)
        .or_else(|_| clock_gettime(ClockId::CLOCK_MONOTONIC))
        .map_or(Instant::ZERO, |time| {
            let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
            let nanos = u32::try_from(time.tv_nsec()).unwrap_or(0);
            Instant::from_micros(seconds.saturating_mul(1_000_000) + thousandth(nanos))
        })
}

/// `nanos / 1_000`, exact for any: an ARM9 cannot divide, and took 250
/// instructions for it, each turn.
const fn thousandth(nanos: u32) -> u64 {
    (nanos as u64 * 274_877_907) >> 38
}

/// The wall clock, by which the kernel stamps datagrams. It may step, so it is
/// good for nothing but [`age`].
pub fn wall() -> Option<TimeVal> {
    let time = clock_gettime(ClockId::CLOCK_REALTIME).ok()?;
    Some(TimeVal::microseconds(time.num_microseconds()))
}

/// How long before `wall` a stamp was; nothing if the clock stepped back.
pub fn age(wall: TimeVal, stamp: TimeVal) -> Duration {
    let ago = wall.num_microseconds() - stamp.num_microseconds();
    Duration::from_micros(u64::try_from(ago).unwrap_or(0))
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
        assert!(passed < Duration::from_secs(1_000), "{passed}");
    }

    #[test]
    fn a_thousandth_is_exact() {
        let edges = (0..=u32::MAX / 1_000).flat_map(|k| [k * 1_000, (k * 1_000).wrapping_sub(1)]);
        for nanos in edges
            .step_by(7)
            .chain([0, 999, 1_000, 999_999_999, u32::MAX])
        {
            assert_eq!(thousandth(nanos), u64::from(nanos / 1_000), "{nanos}");
        }
    }

    #[test]
    fn a_stamp_has_an_age_unless_the_clock_stepped_back() {
        let at = |seconds, micros| TimeVal::new(seconds, micros);
        let age = |wall, stamp| age(wall, stamp).micros();
        assert_eq!(age(at(5, 1), at(4, 999_999)), 2);
        assert_eq!(age(at(5, 0), at(5, 0)), 0);
        assert_eq!(age(at(5, 0), at(6, 0)), 0);
    }
}
