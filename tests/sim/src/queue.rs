//! What will happen, in order: by time, then by the order it was put in.

use core::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

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
    /// The client that calls an election has waited long enough.
    CallerTurn,
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

/// A schedule with more events, or with later ones, does not end.
const PUT_MAX: u32 = 5_000_000;
const PUT_BITS: u32 = PUT_MAX.ilog2() + 1;
const AT_MAX: Micros = 1 << (Micros::BITS - PUT_BITS);

/// The events to come: each with its time, and in the lowest bits of the same
/// word the how many-eth that was put in.
#[derive(Default)]
pub struct Queue {
    entries: BinaryHeap<Reverse<(u64, Event)>>,
    put: u32,
    /// When the last one that was taken out happened.
    now: Micros,
}

impl Queue {
    /// Puts an event in; not before one that was taken out.
    pub fn push(&mut self, at: Micros, event: Event) {
        self.put += 1;
        assert!(
            self.put < PUT_MAX && at < AT_MAX,
            "a schedule ends: {at} {event:?}"
        );
        assert!(at >= self.now, "time goes on: {at} {event:?}");
        let key = at << PUT_BITS | u64::from(self.put);
        self.entries.push(Reverse((key, event)));
    }

    /// The next event, if it happens at `until` or before.
    pub fn pop(&mut self, until: Micros) -> Option<(Micros, Event)> {
        let first = self.entries.peek_mut()?;
        let Reverse((key, event)) = *first;
        let at = key >> PUT_BITS;
        if at > until {
            return None;
        }
        PeekMut::pop(first);
        self.now = at;
        Some((at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use boardroom::rng::{Entropy, Seeded};
    use std::collections::BTreeMap;

    /// By time, and of one moment in the order put in, as a sorted map has it.
    #[test]
    fn events_come_in_their_order() {
        let mut rng = Seeded::new(5);
        let (mut queue, mut map) = (Queue::default(), BTreeMap::new());
        let (mut now, mut came) = (0, 0);
        for packet in 0..50_000 {
            let at = now + (u64::from(rng.next_u32()) >> rng.below(32));
            let host = 0;
            queue.push(at, Event::Arrival { host, packet });
            map.insert((at, packet), ());
            while rng.below(3) == 0 {
                let until = now + (u64::from(rng.next_u32()) >> rng.below(32));
                let popped = queue.pop(until).map(|(at, event)| match event {
                    Event::Arrival { packet, .. } => (at, packet),
                    other => unreachable!("{other:?}"),
                });
                let first = map.first_key_value().map(|(&key, ())| key);
                assert_eq!(popped, first.filter(|&(at, _)| at <= until));
                map.remove(&popped.unwrap_or_default());
                came += u32::from(popped.is_some());
                now = popped.map_or(until, |(at, _)| at);
            }
        }
        assert!(came > 10_000 && map.len() > 1_000, "{came} {}", map.len());
    }
}
