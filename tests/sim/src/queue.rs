//! What will happen, in order: by time, then by the order it was put in.

/// Simulated time, in microseconds.
pub type Micros = u64;

/// Something that will happen.
#[derive(Clone, Copy, Debug)]
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

/// A schedule with more events does not end.
const PUT_MAX: u32 = 5_000_000;

/// Each level of the wheel has so many slots, by so many bits of the time.
const SLOTS: usize = 64;
const SLOT_BITS: u32 = 6;
/// So many levels tell the times of 50 days apart.
const LEVELS: usize = 7;
/// No entry: the end of a list.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: Micros,
    event: Event,
    /// The next one of its slot, or of those that are free.
    next: u32,
}

/// The entries of a slot, as a list in the order they were put in.
#[derive(Clone, Copy, Debug)]
struct Slot {
    first: u32,
    last: u32,
}

const EMPTY: Slot = Slot {
    first: NONE,
    last: NONE,
};

/// The events to come, as a hierarchical timing wheel: a slot of the lowest
/// level holds the events of one microsecond, one of the next level those of
/// 64, and so on; an event lies at the lowest level on which its slot is not
/// the present one's. When time reaches a slot of a higher level, its events
/// move down, in their order. So an event costs a few steps, however many wait:
/// most of those that do are a host's turns put off by an earlier one.
pub struct Queue {
    slots: [[Slot; SLOTS]; LEVELS],
    /// A bit for each slot that is not empty.
    used: [u64; LEVELS],
    entries: Vec<Entry>,
    free: u32,
    /// How far the wheel has turned.
    now: Micros,
    put: u32,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            slots: [[EMPTY; SLOTS]; LEVELS],
            used: [0; LEVELS],
            entries: Vec::new(),
            free: NONE,
            now: 0,
            put: 0,
        }
    }
}

impl Queue {
    /// Puts an event in; not before one that was taken out.
    pub fn push(&mut self, at: Micros, event: Event) {
        self.put += 1;
        assert!(self.put < PUT_MAX, "a schedule ends: {at} {event:?}");
        assert!(at >= self.now, "time goes on: {at} {event:?}");
        let entry = Entry {
            at,
            event,
            next: NONE,
        };
        let place = self.free;
        if place == NONE {
            self.entries.push(entry);
            return self.sort_in(self.entries.len() as u32 - 1, at);
        }
        self.free = core::mem::replace(&mut self.entries[place as usize], entry).next;
        self.sort_in(place, at);
    }

    /// The next event, if it happens at `until` or before.
    pub fn pop(&mut self, until: Micros) -> Option<(Micros, Event)> {
        loop {
            let level = self.used.iter().position(|&used| used != 0)?;
            let slot = self.used[level].trailing_zeros() as usize;
            let bits = SLOT_BITS * level as u32;
            let round = self.now >> bits >> SLOT_BITS << SLOT_BITS;
            let begin = (round | slot as Micros) << bits;
            if begin > until {
                return None;
            }
            self.now = begin;
            if level == 0 {
                return Some((begin, self.take_first(slot)));
            }
            self.used[level] &= !(1 << slot);
            let mut place = core::mem::replace(&mut self.slots[level][slot], EMPTY).first;
            while place != NONE {
                let entry = &mut self.entries[place as usize];
                let (at, next) = (entry.at, core::mem::replace(&mut entry.next, NONE));
                self.sort_in(place, at);
                place = next;
            }
        }
    }

    /// Appends an entry to its slot.
    fn sort_in(&mut self, place: u32, at: Micros) {
        let level = ((at ^ self.now) | 1).ilog2() / SLOT_BITS;
        let slot = (at >> (SLOT_BITS * level)) as usize % SLOTS;
        let list = &mut self.slots[level as usize][slot];
        match list.last {
            NONE => list.first = place,
            last => self.entries[last as usize].next = place,
        }
        list.last = place;
        self.used[level as usize] |= 1 << slot;
    }

    /// Takes the first entry of a slot of the lowest level.
    fn take_first(&mut self, slot: usize) -> Event {
        let list = &mut self.slots[0][slot];
        let place = list.first;
        let entry = &mut self.entries[place as usize];
        list.first = core::mem::replace(&mut entry.next, self.free);
        self.free = place;
        if list.first == NONE {
            list.last = NONE;
            self.used[0] &= !(1 << slot);
        }
        entry.event
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
