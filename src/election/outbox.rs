//! What a board wants to say: bounded queues that its driver empties.

use super::notice::{Change, Notice};
use super::wire::Datagram;
use core::net::SocketAddrV4;
use std::collections::VecDeque;

/// Datagrams that wait for the driver.
pub const TRANSMITS_MAX: usize = 1_100;
/// Notices that wait for the driver; of more, the newest are dropped.
const NOTICES_MAX: usize = 64;
/// Changes remembered; the oldest goes first.
pub const HISTORY_MAX: usize = 256;

/// A datagram to be sent from the board's own address and port.
///
/// Aligned to words, since an ARM9 copies anything else byte by byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(4))]
pub struct Transmit {
    /// Where to.
    pub to: SocketAddrV4,
    /// All of its bytes.
    pub bytes: Datagram,
}

/// The queues. Room for what an ordinary turn brings is taken at the start, so
/// that a datagram's path allocates nothing.
#[derive(Clone, Debug)]
pub struct Outbox {
    transmits: VecDeque<Transmit>,
    notices: VecDeque<Notice>,
    history: VecDeque<Change>,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            transmits: VecDeque::with_capacity(32),
            notices: VecDeque::with_capacity(8),
            history: VecDeque::new(),
        }
    }
}

impl Outbox {
    /// Queues a datagram; whether there was room.
    pub fn send(&mut self, to: SocketAddrV4, bytes: &Datagram) -> bool {
        let room = self.transmits.len() < TRANSMITS_MAX;
        if room {
            self.transmits.push_back(Transmit { to, bytes: *bytes });
        }
        room
    }

    /// Queues a notice, and keeps a change for the history.
    pub fn tell(&mut self, notice: Notice) {
        if let Notice::Became(change)
        | Notice::Won(change)
        | Notice::Stays(change)
        | Notice::Follows(change) = notice
        {
            if self.history.len() >= HISTORY_MAX {
                self.history.pop_front();
            }
            self.history.push_back(change);
        }
        if self.notices.len() < NOTICES_MAX {
            self.notices.push_back(notice);
        }
    }

    /// The next datagram.
    pub fn next_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next notice.
    pub fn next_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// The last changes, oldest first.
    pub fn history(&self) -> impl DoubleEndedIterator<Item = &Change> + ExactSizeIterator {
        self.history.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::election::config::Role;
    use crate::election::notice::Cause;
    use crate::election::rank::Epoch;
    use crate::time::Instant;
    use core::net::Ipv4Addr;

    #[test]
    fn each_queue_has_room_for_so_many_and_the_history_keeps_the_latest() {
        let mut outbox = Outbox::default();
        let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 2000);
        for n in 0..TRANSMITS_MAX + 9 {
            assert_eq!(outbox.send(to, &[0; 40]), n < TRANSMITS_MAX);
        }
        for epoch in 0..300 {
            outbox.tell(Notice::Became(Change {
                at: Instant::ZERO,
                role: Role::Slave,
                epoch: Epoch(epoch),
                own: None,
                master: None,
                cause: Cause::Settled,
            }));
        }
        let notices = core::iter::from_fn(|| outbox.next_notice()).count();
        assert_eq!(notices, NOTICES_MAX);
        let history: Vec<u32> = outbox.history().map(|change| change.epoch.0).collect();
        assert_eq!(history, (44..300).collect::<Vec<u32>>());
        let transmits = core::iter::from_fn(|| outbox.next_transmit()).count();
        assert_eq!(transmits, TRANSMITS_MAX);
    }
}
