//! What will happen, in order: by time, then by the order it was put in.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Simulated time, in microseconds.
pub type Micros = u64;

/// Something that will happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A datagram reaches a host.
    Arrival {
        /// The receiving host.
        host: u16,
        /// Which datagram.
        packet: u32,
    },
    /// News of a closed port reaches the sender of a unicast datagram.
    Refusal {
        /// The host that had sent.
        host: u16,
        /// Which datagram.
        packet: u32,
    },
    /// A host's loop runs: its deadline has come, or it was told to.
    Turn {
        /// The host.
        host: u16,
    },
    /// The program that was told `slave` has ended.
    LetGo {
        /// The host.
        host: u16,
        /// Its how many-eth life.
        life: u16,
    },
    /// A stopped process goes on.
    Resume {
        /// The host.
        host: u16,
        /// Its how many-eth life, so that a restart voids it.
        life: u16,
    },
}

/// The events to come.
#[derive(Default)]
pub struct Queue {
    heap: BinaryHeap<Reverse<(Micros, u32, Event)>>,
    put: u32,
}

impl Queue {
    /// Puts an event in.
    pub fn push(&mut self, at: Micros, event: Event) {
        self.put += 1;
        assert!(self.put < 5_000_000, "a schedule ends: {at} {event:?}");
        self.heap.push(Reverse((at, self.put, event)));
    }

    /// The next event, if it happens at `until` or before.
    pub fn pop(&mut self, until: Micros) -> Option<(Micros, Event)> {
        if self.heap.peek()?.0.0 > until {
            return None;
        }
        self.heap.pop().map(|Reverse((at, _, event))| (at, event))
    }
}
