//! Which numbers of a source have been seen: exact, and small as long as the
//! numbers run.

use super::wire::{IDENTITY_MAX, IDENTITY_MIN, Id};
use crate::rng::Entropy;
use crate::table::Table;

/// Runs of numbers kept per set; the one that grew least lately is forgotten.
const RUNS_MAX: usize = 64;
/// Messages handed over that are remembered per source; the oldest goes first.
const PASSED_MAX: usize = 64;
/// Sources remembered; the one unused for longest is forgotten.
const SOURCES_MAX: usize = 2_048;

/// A set of numbers as runs `first..=last`, oldest run first. Forgetting a run
/// can let a very late copy through, never lose a message: nothing is ever
/// added that was not seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs(Vec<(u32, u32)>);

impl Runs {
    /// Whether `number` is in the set.
    pub fn contains(&self, number: u32) -> bool {
        // Newest first: that is where the next number belongs.
        self.0
            .iter()
            .rev()
            .any(|&(first, last)| first <= number && number <= last)
    }

    /// Puts `first..=last` into the set.
    pub fn add(&mut self, first: u32, last: u32) {
        if first == last && self.contains(first) {
            return;
        }
        let (mut first, mut last) = (first, last);
        self.0.retain(|&(low, high)| {
            let apart = high.saturating_add(1) < first || last.saturating_add(1) < low;
            if !apart {
                first = first.min(low);
                last = last.max(high);
            }
            apart
        });
        if self.0.len() >= RUNS_MAX {
            self.0.remove(0);
        }
        self.0.push((first, last));
    }

    /// Takes `number` out of the set.
    pub fn remove(&mut self, number: u32) {
        let Some(at) = self
            .0
            .iter()
            .position(|&(first, last)| first <= number && number <= last)
        else {
            return;
        };
        let (first, last) = self.0.remove(at);
        if number < last {
            self.0.insert(at, (number + 1, last));
        }
        if first < number {
            self.0.insert(at, (first, number - 1));
        }
    }

    /// The runs, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.0.iter().copied()
    }
}

/// What is remembered of one source of messages.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Taken from the client itself: its repetition is no second message.
    pub taken: Runs,
    /// Waiting in a mailbox here, or acknowledged here. What was handed to
    /// another server is not in it: it may come back with its addressee.
    pub here: Runs,
    /// What was handed over, and for which hop. It is news again only on a
    /// later hop: on an earlier one it is a late copy.
    passed: Vec<(u32, u8)>,
    /// The number for the next message that comes without an identity.
    next: Option<u32>,
    /// Counts up with each use; the least is forgotten first.
    used: u64,
}

impl Source {
    /// Notes that `number` was handed over for hop `hops`.
    pub fn pass(&mut self, number: u32, hops: u8) {
        self.passed.retain(|&(passed, _)| passed != number);
        if self.passed.len() >= PASSED_MAX {
            self.passed.remove(0);
        }
        self.passed.push((number, hops));
    }

    /// Whether `number` was handed over for hop `hops` or a later one.
    pub fn has_passed(&self, number: u32, hops: u8) -> bool {
        let mut passed = self.passed.iter();
        passed.any(|&(passed, on)| passed == number && hops <= on)
    }

    /// What was handed over, and for which hops.
    pub fn passed(&self) -> impl Iterator<Item = (u32, u8)> + '_ {
        self.passed.iter().copied()
    }

    /// A number for a message without identity. The first is drawn, so that
    /// two servers, or one before and after its restart, do not give the same.
    pub fn number(&mut self, entropy: &mut dyn Entropy) -> u32 {
        let number = self.next.unwrap_or_else(|| first_number(entropy));
        self.next = Some(following(number));
        number
    }
}

/// All sources, bounded.
#[derive(Debug, Default)]
pub struct Sources {
    known: Table<Id, Source>,
    uses: u64,
}

impl Sources {
    /// What is remembered of `id`; a stranger is made room for.
    pub fn of(&mut self, id: Id) -> &mut Source {
        self.uses += 1;
        if self.known.len() >= SOURCES_MAX && !self.known.has(id) {
            let idle = self.known.iter().min_by_key(|(_, source)| source.used);
            if let Some(idle) = idle.map(|(id, _)| id) {
                self.known.remove(idle);
            }
        }
        let source = self.known.entry(id, Source::default);
        source.used = self.uses;
        source
    }

    /// All sources in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (Id, &Source)> {
        self.known.iter()
    }
}

/// The first of a run of numbers, drawn so that runs do not meet.
pub fn first_number(entropy: &mut dyn Entropy) -> u32 {
    IDENTITY_MIN + entropy.below(IDENTITY_MAX - IDENTITY_MIN)
}

/// The number after `number`.
pub const fn following(number: u32) -> u32 {
    if number >= IDENTITY_MAX {
        IDENTITY_MIN
    } else {
        number + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seeded;
    use std::collections::BTreeSet;

    /// Against a plain set, in the order a network may bring numbers.
    #[test]
    fn runs_are_a_set() {
        let mut random = Seeded::new(3);
        for _ in 0..200 {
            let (mut runs, mut plain) = (Runs::default(), BTreeSet::new());
            for _ in 0..200 {
                let number = 100 + random.below(60);
                if random.below(4) == 0 {
                    runs.remove(number);
                    plain.remove(&number);
                } else {
                    runs.add(number, number);
                    plain.insert(number);
                }
                for number in 99..162 {
                    assert_eq!(runs.contains(number), plain.contains(&number), "{number}");
                }
            }
        }
    }

    #[test]
    fn consecutive_numbers_are_one_run() {
        let mut runs = Runs::default();
        for number in 500..10_500 {
            runs.add(number, number);
        }
        assert_eq!(runs.iter().collect::<Vec<_>>(), [(500, 10_499)]);
        runs.add(IDENTITY_MAX, IDENTITY_MAX);
        runs.add(10_500, 10_600);
        assert_eq!(runs.iter().last(), Some((500, 10_600)));
    }

    #[test]
    fn a_full_set_forgets_its_oldest_run() {
        let mut runs = Runs::default();
        for i in 0..=RUNS_MAX as u32 {
            runs.add(200 + 2 * i, 200 + 2 * i);
        }
        assert!(!runs.contains(200));
        assert!(runs.contains(202) && runs.contains(200 + 2 * RUNS_MAX as u32));
        assert_eq!(runs.iter().count(), RUNS_MAX);
    }

    #[test]
    fn a_full_table_forgets_the_source_unused_for_longest() {
        let mut sources = Sources::default();
        for bits in 1..=SOURCES_MAX as u64 {
            sources.of(Id::from_bits(bits).unwrap()).here.add(500, 500);
        }
        sources.of(Id::from_bits(1).unwrap());
        sources.of(Id::from_bits(9_999).unwrap());
        assert_eq!(sources.known.len(), SOURCES_MAX);
        let kept = |sources: &mut Sources, bits| {
            sources.of(Id::from_bits(bits).unwrap()).here.contains(500)
        };
        assert!(kept(&mut sources, 1));
        assert!(!kept(&mut sources, 2));
    }

    #[test]
    fn what_was_handed_over_is_news_on_a_later_hop_only() {
        let mut source = Source::default();
        source.pass(500, 2);
        assert!(source.has_passed(500, 1) && source.has_passed(500, 2));
        assert!(!source.has_passed(500, 3) && !source.has_passed(501, 1));
        source.pass(500, 4);
        assert!(source.has_passed(500, 3));
        for number in 0..PASSED_MAX as u32 {
            source.pass(600 + number, 1);
        }
        assert!(!source.has_passed(500, 1));
        assert_eq!(source.passed().count(), PASSED_MAX);
    }

    #[test]
    fn numbers_wrap_within_their_bounds() {
        assert_eq!(following(IDENTITY_MAX), IDENTITY_MIN);
        let mut source = Source::default();
        let first = source.number(&mut Seeded::new(1));
        assert_eq!(source.number(&mut Seeded::new(1)), following(first));
        assert!((IDENTITY_MIN..=IDENTITY_MAX).contains(&first));
    }

    #[test]
    fn runs_join_and_split_exactly() {
        let runs_after = |change: &dyn Fn(&mut Runs)| {
            let mut runs = Runs::default();
            change(&mut runs);
            runs.iter().collect::<Vec<_>>()
        };
        let joined = runs_after(&|runs| {
            runs.add(505, 505);
            runs.add(504, 504);
        });
        assert_eq!(joined, [(504, 505)], "from below");
        let grown = runs_after(&|runs| {
            runs.add(505, 505);
            runs.add(505, 509);
        });
        assert_eq!(grown, [(505, 509)], "a whole run, of which one is known");
        for (gone, left) in [(500, [(501, 502)]), (502, [(500, 501)])] {
            let cut = runs_after(&|runs| {
                runs.add(500, 502);
                runs.remove(gone);
            });
            assert_eq!(cut, left, "no empty run takes a place");
        }
    }

    #[test]
    fn numbers_follow_each_other_within_their_bounds() {
        struct Most;
        impl Entropy for Most {
            fn next_u32(&mut self) -> u32 {
                IDENTITY_MAX - 1
            }
        }
        assert!(first_number(&mut Most) <= IDENTITY_MAX);
        let drawn: BTreeSet<u32> = (0..20)
            .map(|seed| first_number(&mut Seeded::new(seed)))
            .collect();
        assert_eq!(drawn.len(), 20, "runs do not meet");
        assert!(drawn.last().is_some_and(|&most| most > IDENTITY_MAX / 2));
        assert_eq!(following(150), 151);
        assert_eq!(following(IDENTITY_MAX - 1), IDENTITY_MAX);
        assert_eq!(following(IDENTITY_MAX), IDENTITY_MIN);
    }
}
