//! Limits on what a board sends (R8): hard ones, over any second.

use crate::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(1);

/// At most `N` in any one second.
#[derive(Clone, Debug)]
pub struct Limiter<const N: usize> {
    /// When the last `N` were allowed, as a ring; `next` is the oldest.
    allowed: [Option<Instant>; N],
    next: usize,
}

impl<const N: usize> Default for Limiter<N> {
    fn default() -> Self {
        Self {
            allowed: [None; N],
            next: 0,
        }
    }
}

impl<const N: usize> Limiter<N> {
    /// When one more is allowed; a moment not after `now` means at once.
    pub fn allowed_at(&self, now: Instant) -> Instant {
        match self.allowed.get(self.next) {
            Some(Some(oldest)) => *oldest + WINDOW,
            _ => now,
        }
    }

    /// Takes one, if allowed.
    pub fn take(&mut self, now: Instant) -> bool {
        if self.allowed_at(now) > now {
            return false;
        }
        if let Some(slot) = self.allowed.get_mut(self.next) {
            *slot = Some(now);
        }
        self.next = (self.next + 1) % N;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_holds_more_than_the_limit() {
        let mut limiter = Limiter::<20>::default();
        let mut taken = Vec::new();
        for millis in 0..5_000 {
            let now = Instant::ZERO + Duration::from_millis(millis);
            if limiter.take(now) {
                taken.push(now);
            }
        }
        assert_eq!(taken.len(), 100);
        for window in taken.windows(21) {
            assert!(window[20] - window[0] >= WINDOW);
        }
    }

    #[test]
    fn a_refused_one_is_told_when() {
        let mut limiter = Limiter::<1>::default();
        let start = Instant::from_micros(5);
        assert!(limiter.take(start));
        assert!(!limiter.take(start + Duration::from_millis(999)));
        assert_eq!(limiter.allowed_at(start), start + WINDOW);
        assert!(limiter.take(start + WINDOW));
    }
}
