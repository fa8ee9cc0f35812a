//! What a tracker counts.

use core::fmt;

/// What has happened so far; none of it is ever set back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Searches whose `SRCH` went out.
    pub searches: u32,
    /// Requests that shared another's search.
    pub shared: u32,
    /// Requests for something else than 1 to 10.
    pub no_number: u32,
    /// `MTCH` and `NONE` that came too late, or to another number.
    pub stale: u32,
    /// Frames out of turn, and such that are no message.
    pub wrong: u32,
    /// Peers refused with a `FAIL`.
    pub refused: u32,
    /// Connections that did not greet in time.
    pub silent: u32,
}

/// One more; a full counter stays full.
pub(super) fn bump(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}

impl fmt::Display for Counters {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            to,
            "searches {}, shared {}, for no number {}; answers out of time {}; wrong frames {}; \
             peers refused {}, too long without a greeting {}",
            self.searches,
            self.shared,
            self.no_number,
            self.stale,
            self.wrong,
            self.refused,
            self.silent
        )
    }
}
