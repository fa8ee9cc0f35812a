//! For tests: what comes at once on an idle machine, and later on a busy one.

use std::thread::sleep;
use std::time::Duration;

/// Looks until there is something, for ten seconds or longer.
pub(super) fn soon<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    for _ in 0..5_000 {
        if let Some(found) = look() {
            return Some(found);
        }
        sleep(Duration::from_millis(2));
    }
    None
}
