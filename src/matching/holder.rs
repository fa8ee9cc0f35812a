//! What the tracker knows of one server, and what each answer of it means.
//!
//! `MTCH` names neither a search nor a number, so its meaning is reasoned out:
//!
//! - A server that has said `NONE` is *prompt*: it answers every `SRCH`, in
//!   order, so its k-th answer belongs to the k-th `SRCH`.
//! - Any other is silent where it does not hold the number. Until its number is
//!   known it is never asked for a second one while an answer to the first may
//!   come, and its first `MTCH` is taken for the search that waits for it.
//! - A server never changes its number. Once it is known, no search for another
//!   number waits for this server, and every `MTCH` is taken for its number.
//! - What is known can be wrong, if the first `MTCH` came more than two seconds
//!   late. A server with number x cannot have sent more `MTCH`s than it was sent
//!   `SRCH x`: so each `MTCH` rules numbers out, and one that rules out what was
//!   believed puts it right.

use super::wire::Number;

/// A set of numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers(u16);

impl Numbers {
    /// All ten.
    pub const ALL: Self = Self((1 << Number::COUNT) - 1);

    /// None of them.
    pub const NONE: Self = Self(0);

    /// Just this one.
    pub const fn only(number: Number) -> Self {
        Self(1 << number.index())
    }

    /// Whether `number` is among them.
    pub const fn has(self, number: Number) -> bool {
        self.0 & Self::only(number).0 != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The number, if there is exactly one.
    pub fn single(self) -> Option<Number> {
        if self.0.count_ones() == 1 {
            Number::new(self.0.trailing_zeros() as u8 + 1)
        } else {
            None
        }
    }

    /// Each of them, the smallest first.
    pub fn iter(self) -> impl Iterator<Item = Number> {
        (1..=Number::COUNT as u8)
            .filter_map(Number::new)
            .filter(move |&number| self.has(number))
    }

    /// These without those of `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The server holds this number. Unless a search for it runs, the answer
    /// came too late.
    Holds(Number),
    /// The server does not hold what it was asked for.
    HoldsNot,
    /// The answer came too late to tell what it was about.
    Stale,
    /// There was nothing to answer, or a lie: no server with one number sends
    /// this.
    Wrong,
}

/// A server as the tracker knows it.
#[derive(Clone, Debug)]
pub struct Holder {
    /// Its name.
    pub name: String,
    /// Its number, as far as is known.
    number: Option<Number>,
    /// The numbers it can have, by all that it has said.
    possible: Numbers,
    /// The searches that wait for its answer.
    awaited: Numbers,
    /// It has said `NONE` once, so it answers every `SRCH`.
    prompt: bool,
    /// It is prompt, yet let a search wait in vain: no search waits for it
    /// until it says something.
    mute: bool,
    /// How often it was asked for each number.
    asked: [u32; Number::COUNT],
    sent: u32,
    answers: u32,
    matches: u32,
    /// The last numbers asked for, in a ring by `sent`.
    recent: [Option<Number>; RECENT],
}

/// More than the ten searches that can wait for a server at once.
const RECENT: usize = 16;

impl Holder {
    /// A server that has just said its name.
    pub const fn new(name: String) -> Self {
        Self {
            name,
            number: None,
            possible: Numbers::ALL,
            awaited: Numbers::NONE,
            prompt: false,
            mute: false,
            asked: [0; Number::COUNT],
            sent: 0,
            answers: 0,
            matches: 0,
            recent: [None; RECENT],
        }
    }

    /// Whether it must not be asked for two numbers at once: its `MTCH` could
    /// mean either.
    fn is_unsure(&self) -> bool {
        !self.prompt && self.number.is_none()
    }

    /// The searches that wait for its answer.
    pub const fn awaited(&self) -> Numbers {
        self.awaited
    }

    /// Whether no other search may begin until it has answered.
    pub fn blocks(&self) -> bool {
        self.is_unsure() && !self.awaited.is_empty()
    }

    /// Notes a `SRCH` sent to it; says whether the search has to wait for it.
    pub fn ask(&mut self, number: Number) -> bool {
        self.sent = self.sent.wrapping_add(1);
        if let Some(place) = self.recent.get_mut(self.sent as usize % RECENT) {
            *place = Some(number);
        }
        if let Some(times) = self.asked.get_mut(number.index()) {
            *times = times.saturating_add(1);
        }
        let can_hold = self.number.is_none_or(|own| own == number);
        let wait = can_hold && self.possible.has(number) && !self.mute;
        if wait {
            self.awaited = self.awaited.or(Numbers::only(number));
        }
        wait
    }

    /// The search's time is over; says whether it waited for this server.
    pub fn give_up(&mut self, number: Number) -> bool {
        let waited = self.awaited.has(number);
        if waited {
            self.awaited = self.awaited.without(Numbers::only(number));
            self.mute = self.prompt;
        }
        waited
    }

    /// Takes a `MTCH`. Afterwards [`Self::awaited`] lacks what is settled.
    pub fn take_match(&mut self) -> Meaning {
        let Some(asked_for) = self.take_answer() else {
            return Meaning::Wrong;
        };
        self.matches = self.matches.saturating_add(1);
        if !self.prompt {
            return self.reason();
        }
        match (self.number, asked_for) {
            (None, Some(number)) => {
                self.prove(number);
                self.holds(number)
            }
            (Some(known), Some(number)) if known != number => Meaning::Wrong,
            // Nobody waits for it at other numbers, so it can be far behind.
            (Some(known), _) => self.holds(known),
            (None, None) => Meaning::Stale,
        }
    }

    /// Takes a `NONE`. Afterwards [`Self::awaited`] lacks what is settled.
    pub fn take_none(&mut self) -> Meaning {
        let Some(asked_for) = self.take_answer() else {
            return Meaning::Wrong;
        };
        if !self.prompt {
            self.prompt = true;
            // All answers before were MTCH, and in order: the first tells.
            if self.matches > 0
                && let Some(number) = self.asked_for(1)
            {
                self.prove(number);
            }
        }
        match asked_for {
            None => Meaning::Stale,
            Some(number) => {
                self.awaited = self.awaited.without(Numbers::only(number));
                Meaning::HoldsNot
            }
        }
    }

    /// Counts an answer. None: there is no `SRCH` left to answer. Otherwise
    /// what a prompt server answers by it, if that is recent enough to know.
    fn take_answer(&mut self) -> Option<Option<Number>> {
        if self.answers == self.sent {
            return None;
        }
        self.answers = self.answers.wrapping_add(1);
        self.mute = false;
        Some(self.asked_for(self.answers))
    }

    fn asked_for(&self, answer: u32) -> Option<Number> {
        if self.sent.wrapping_sub(answer) as usize >= RECENT {
            return None;
        }
        *self.recent.get(answer as usize % RECENT)?
    }

    /// The meaning of a `MTCH` of a server that need not be prompt.
    fn reason(&mut self) -> Meaning {
        let often_enough = (1..=Number::COUNT as u8)
            .filter_map(Number::new)
            .zip(self.asked)
            .filter(|&(_, times)| times >= self.matches)
            .fold(Numbers::NONE, |set, (number, _)| {
                set.or(Numbers::only(number))
            });
        let possible = self.possible.and(often_enough);
        if possible.is_empty() {
            // One too many for any number: it is as if it never came, unless
            // it says again what is known.
            self.matches -= 1;
            return match self.number.filter(|&number| self.awaited.has(number)) {
                Some(number) => self.holds(number),
                None => Meaning::Wrong,
            };
        }
        self.possible = possible;
        let is_possible = |number: &Number| possible.has(*number);
        // Where nothing is known yet, one number at a time is asked for.
        let waiting = self.awaited.single();
        self.number = self
            .number
            .filter(is_possible)
            .or(waiting.filter(is_possible))
            .or(possible.single());
        match self.number {
            Some(number) => {
                self.awaited = self.awaited.and(Numbers::only(number));
                self.holds(number)
            }
            None => {
                self.awaited = self.awaited.and(possible);
                Meaning::Stale
            }
        }
    }

    fn prove(&mut self, number: Number) {
        self.number = Some(number);
        self.possible = Numbers::only(number);
        self.awaited = self.awaited.and(self.possible);
    }

    fn holds(&mut self, number: Number) -> Meaning {
        self.awaited = self.awaited.without(Numbers::only(number));
        Meaning::Holds(number)
    }
}

#[cfg(test)]
#[path = "holder_tests.rs"]
mod tests;
