//! Whom to believe: a signature alone says that somebody with the key once
//! made a message, not that it was made for now (docs/protocol.md, K1–K6).
//!
//! Each board draws a *session*, 32 random bits, at its start, and counts what
//! it signs. The session is part of what is signed and never part of what is
//! sent. A receiver learns it, with the present count, from the sender's
//! *introduction*: the answer to a question with the receiver's own fresh
//! nonce. From then on each count of that session is believed once. So a
//! recording is worth nothing: to a receiver that heard it, since its count is
//! spent; to one that did not, since the introduction tells a higher count; to
//! anybody after the sender's restart or a power cut of all boards, since its
//! session is no more.
//!
//! Who is not (or no longer) believed is asked for an introduction, at most
//! four times a second, and its message is dropped; the introduction is followed by
//! the sender's vote or claim of the moment.

use super::key::Keyring;
use super::wire::{self, Text, Trailer, flag};
use crate::rng::Entropy;
use crate::time::{Duration, Instant};
use core::net::{Ipv4Addr, SocketAddrV4};

/// Senders believed. When it is full, the one heard longest ago goes first: it
/// has to introduce itself again.
pub const SENDERS_MAX: usize = 1_024;
/// Own questions that may still be answered; the oldest goes first.
pub const QUESTIONS_MAX: usize = 128;

/// The counts from here on are kept for a session's last words.
const LAST_WORDS: u32 = u32::MAX - 1;
/// How long a question may be answered.
const QUESTION_LIFE: Duration = Duration::from_secs(2);
/// Between two questions to the same address on account of its messages.
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// Over what the two limits below are counted.
const SECOND: Duration = Duration::from_secs(1);
/// Questions a second to senders of messages that cannot be verified: anybody
/// can send such.
const STRANGERS_PER_SECOND: usize = 16;
/// Questions a second to boards that ask with a right signature: only recorded
/// ones can be sent by anybody.
const SIGNED_PER_SECOND: usize = 64;

/// A datagram to be judged.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// Who sent it.
    pub from: SocketAddrV4,
    /// All of it.
    pub bytes: &'a [u8],
    /// What it says.
    pub text: Text<'a>,
}

/// What a datagram is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// Signed by a key holder, and new: it counts. `bound` when it answers a
    /// question of ours, or calls an election in our own session.
    Believed {
        /// See there.
        bound: bool,
    },
    /// A WHOIS without a right signature: answered by the text alone.
    Open,
    /// A signed WHOIS: answers are bound to its nonce.
    Question {
        /// What the answer is bound to.
        nonce: u32,
        /// The asker wants this board's introduction.
        introduce: bool,
    },
    /// An introduction: its sender is believed from now on.
    Introduced,
    /// It counts for nothing.
    Refused(Refusal),
}

/// Why a datagram counts for nothing. Each has its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No trailer.
    Unsigned,
    /// A signature that nothing known fits: forged, or from a session that has
    /// not been introduced, or an answer to no question of ours.
    Unverified,
    /// Well signed, but heard before.
    Replayed,
}

/// The worth of a datagram, and whether its sender is to be asked for an
/// introduction, with which nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What it is worth.
    pub worth: Worth,
    /// The nonce of the question to send to its sender.
    pub ask: Option<u32>,
}

/// The sessions: the own one, those of the senders believed, and the questions
/// that are open.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    own: Option<Own>,
    /// In the order of their addresses.
    senders: Vec<Sender>,
    /// In the order of their asking.
    questions: Vec<Question>,
    /// Questions asked so far.
    asked: u64,
}

#[derive(Clone, Copy, Debug)]
struct Own {
    session: u32,
    counter: u32,
}

#[derive(Clone, Copy, Debug)]
struct Sender {
    address: Ipv4Addr,
    session: u32,
    window: Window,
    /// The number of our last broadcast question that it answered; 0 is none.
    /// Answers to that one and to earlier ones are spent.
    answered: u64,
    /// The number of the last question asked before its session was met. An
    /// earlier life may have answered that one and those before it.
    met: u64,
    heard: Instant,
    introduced: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Question {
    /// Counted from 1.
    number: u64,
    /// None when it was broadcast: anybody may answer.
    to: Option<Ipv4Addr>,
    nonce: u32,
    asked: Instant,
    why: Why,
}

impl Question {
    /// What its sender has answered with this one, which had answered
    /// `answered` of our broadcast questions.
    fn spends(&self, answered: u64) -> u64 {
        match self.to {
            Some(_) => answered,
            None => answered.max(self.number),
        }
    }
}

/// Why a question was asked; each has its own limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// Of our own accord, for a claim or a vote.
    Own,
    /// Of our own accord, for an introduction.
    Greeting,
    /// Since its sender's message could not be verified.
    Stranger,
    /// Since its sender asked us, well signed.
    Asked,
}

impl Sessions {
    /// The session and the next count, for a message about to be signed.
    pub fn next(&mut self, entropy: &mut dyn Entropy) -> (u32, u32) {
        let own = self.own(entropy);
        own.counter += 1;
        if own.counter >= LAST_WORDS {
            // 4,294,967,293 messages signed: a new session, of which nobody
            // has heard, so everybody will ask.
            own.session = own.session.wrapping_add(1);
            own.counter = 1;
        }
        (own.session, own.counter)
    }

    /// The session and one of its two last counts, for what is said when this
    /// process is dead: of which the second is `closing`.
    pub fn last(&mut self, closing: bool, entropy: &mut dyn Entropy) -> (u32, u32) {
        (self.own(entropy).session, LAST_WORDS + u32::from(closing))
    }

    /// The session and the present count, for the introduction.
    pub fn present(&mut self, entropy: &mut dyn Entropy) -> (u32, u32) {
        let own = self.own(entropy);
        (own.session, own.counter)
    }

    /// A fresh nonce for a question to one address, or by broadcast to all;
    /// `introduce` when it asks for introductions.
    pub fn question(
        &mut self,
        now: Instant,
        to: Option<Ipv4Addr>,
        introduce: bool,
        entropy: &mut dyn Entropy,
    ) -> u32 {
        let why = if introduce { Why::Greeting } else { Why::Own };
        self.ask(now, to, why, entropy)
    }

    /// Whether messages of this address are believed.
    pub fn knows(&self, address: Ipv4Addr) -> bool {
        self.place(address).is_ok()
    }

    /// Judges a datagram. `port` is the port of boards: only a sender there is
    /// asked for an introduction.
    pub fn judge(
        &mut self,
        now: Instant,
        keys: &Keyring,
        port: u16,
        incoming: &Incoming<'_>,
        entropy: &mut dyn Entropy,
    ) -> Verdict {
        let from = incoming.from;
        let worth = self.worth(now, keys, incoming, entropy);
        let why = match worth {
            Worth::Refused(Refusal::Unverified) => Why::Stranger,
            Worth::Question {
                introduce: true, ..
            } => Why::Asked,
            _ => return Verdict { worth, ask: None },
        };
        let ask = (from.port() == port && self.may_ask(now, *from.ip(), why))
            .then(|| self.ask(now, Some(*from.ip()), why, entropy));
        Verdict { worth, ask }
    }

    fn worth(
        &mut self,
        now: Instant,
        keys: &Keyring,
        incoming: &Incoming<'_>,
        entropy: &mut dyn Entropy,
    ) -> Worth {
        let (bytes, text, from) = (incoming.bytes, incoming.text, *incoming.from.ip());
        let sealed = wire::trailer(bytes).zip(wire::signed_part(bytes));
        let Some(((trailer, tag), signed)) = sealed else {
            return match text {
                Text::Whois => Worth::Open,
                _ => Worth::Refused(Refusal::Unsigned),
            };
        };
        let fits = |bound: Option<u32>| keys.verify(signed, bound, tag);
        let bound = trailer.flags & flag::BOUND != 0;
        let introduce = trailer.flags & flag::INTRODUCE != 0;
        match text {
            // These say something instead of asking it.
            Text::Whois if trailer.flags & (flag::WITNESS | flag::LATER_EPOCH) != 0 => {
                self.hear(now, from, trailer, &fits)
            }
            Text::Whois if !bound && fits(None) => Worth::Question {
                nonce: trailer.word,
                introduce,
            },
            Text::Whois if !bound => Worth::Open,
            Text::Whois if introduce => self.meet(now, from, trailer, &fits),
            Text::Call if bound && fits(Some(self.own(entropy).session)) => {
                Worth::Believed { bound: true }
            }
            _ if bound => self.hear_answer(now, from, &fits),
            _ => self.hear(now, from, trailer, &fits),
        }
    }

    /// An introduction: `about` is the session, the word the present count.
    fn meet(
        &mut self,
        now: Instant,
        from: Ipv4Addr,
        trailer: Trailer,
        fits: &dyn Fn(Option<u32>) -> bool,
    ) -> Worth {
        let question = match self.answered(now, from, fits) {
            Ok(question) => question,
            Err(refusal) => return Worth::Refused(refusal),
        };
        let newcomer = Sender {
            address: from,
            session: trailer.about.map_or(0, u32::from),
            window: Window::after(trailer.word),
            answered: question.spends(0),
            met: self.asked,
            heard: now,
            introduced: now,
        };
        match self.sender(from) {
            // Still the same session: what is spent stays spent, and what its
            // introduction has overtaken is still believed.
            Some(known) if known.session == newcomer.session => {
                known.answered = question.spends(known.answered);
                known.introduced = now;
            }
            Some(known) if question.number <= known.met => {
                return Worth::Refused(Refusal::Replayed);
            }
            Some(known) => {
                *known = Sender {
                    answered: question.spends(known.answered),
                    ..newcomer
                };
            }
            None => self.remember(newcomer),
        }
        Worth::Introduced
    }

    /// Another answer to a question of ours.
    fn hear_answer(
        &mut self,
        now: Instant,
        from: Ipv4Addr,
        fits: &dyn Fn(Option<u32>) -> bool,
    ) -> Worth {
        let question = match self.answered(now, from, fits) {
            Ok(question) => question,
            Err(refusal) => return Worth::Refused(refusal),
        };
        match self.sender(from) {
            Some(sender) => {
                sender.answered = question.spends(sender.answered);
                sender.heard = now;
            }
            // A copy could not be told from it: its introduction first.
            None if question.to.is_none() => return Worth::Refused(Refusal::Unverified),
            None => {}
        }
        Worth::Believed { bound: true }
    }

    /// Every other message: signed in its sender's session.
    fn hear(
        &mut self,
        now: Instant,
        from: Ipv4Addr,
        trailer: Trailer,
        fits: &dyn Fn(Option<u32>) -> bool,
    ) -> Worth {
        match self.sender(from) {
            Some(sender) if fits(Some(sender.session)) => {
                if !sender.window.accept(trailer.word) {
                    return Worth::Refused(Refusal::Replayed);
                }
                sender.heard = now;
                Worth::Believed { bound: false }
            }
            _ => Worth::Refused(Refusal::Unverified),
        }
    }

    /// Finds the open question that a message answers. Each sender answers
    /// once: a question to one address is then closed; that a sender has
    /// answered a broadcast one is noted with the sender.
    fn answered(
        &mut self,
        now: Instant,
        from: Ipv4Addr,
        fits: &dyn Fn(Option<u32>) -> bool,
    ) -> Result<Question, Refusal> {
        let at = self.questions.iter().rposition(|question| {
            question.to.is_none_or(|to| to == from)
                && now.since(question.asked) <= QUESTION_LIFE
                && fits(Some(question.nonce))
        });
        let Some((at, question)) = at.zip(at.and_then(|at| self.questions.get(at)).copied()) else {
            return Err(Refusal::Unverified);
        };
        let spent = |sender: &mut Sender| sender.answered >= question.number;
        if question.to.is_some() {
            self.questions.remove(at);
        } else if self.sender(from).is_some_and(spent) {
            return Err(Refusal::Replayed);
        }
        Ok(question)
    }

    fn may_ask(&self, now: Instant, address: Ipv4Addr, why: Why) -> bool {
        let limit = match why {
            Why::Stranger => STRANGERS_PER_SECOND,
            Why::Asked => SIGNED_PER_SECOND,
            Why::Own | Why::Greeting => return true,
        };
        let known = self.place(address).ok().and_then(|at| self.senders.get(at));
        if known.is_some_and(|sender| now.since(sender.introduced) < ASK_AGAIN) {
            return false;
        }
        let mut recent = 0;
        for question in &self.questions {
            let age = now.since(question.asked);
            if question.why != Why::Own && question.to == Some(address) && age < ASK_AGAIN {
                return false;
            }
            recent += usize::from(question.why == why && age < SECOND);
        }
        recent < limit
    }

    fn ask(
        &mut self,
        now: Instant,
        to: Option<Ipv4Addr>,
        why: Why,
        entropy: &mut dyn Entropy,
    ) -> u32 {
        self.questions
            .retain(|question| now.since(question.asked) <= QUESTION_LIFE);
        if self.questions.len() >= QUESTIONS_MAX {
            self.questions.remove(0);
        }
        let nonce = entropy.next_u32();
        self.asked += 1;
        self.questions.push(Question {
            number: self.asked,
            to,
            nonce,
            asked: now,
            why,
        });
        nonce
    }

    fn own(&mut self, entropy: &mut dyn Entropy) -> &mut Own {
        self.own.get_or_insert_with(|| Own {
            session: entropy.next_u32(),
            // Not where an earlier life began: its words are remembered where
            // it has released a lease (Q5).
            counter: entropy.next_u32() >> 1,
        })
    }

    fn place(&self, address: Ipv4Addr) -> Result<usize, usize> {
        self.senders
            .binary_search_by_key(&u32::from(address), |sender| sender.address.into())
    }

    fn sender(&mut self, address: Ipv4Addr) -> Option<&mut Sender> {
        let at = self.place(address).ok()?;
        self.senders.get_mut(at)
    }

    fn remember(&mut self, newcomer: Sender) {
        if self.senders.len() >= SENDERS_MAX {
            let silent = (0..self.senders.len())
                .min_by_key(|&at| self.senders.get(at).map(|sender| sender.heard));
            if let Some(at) = silent {
                self.senders.remove(at);
            }
        }
        if let Err(at) = self.place(newcomer.address) {
            self.senders.insert(at, newcomer);
        }
    }
}

/// How far behind the highest count a message may come. At 100 claims a second
/// a slave reads them twice a second, when later messages have long been read.
const WINDOW: u32 = 256;

/// Which counts of a session are spent: all up to `highest` − 256, and of those
/// above the ones marked. Messages that overtake each other on the way are all
/// believed; one that comes 256 messages late is not.
#[derive(Clone, Copy, Debug)]
struct Window {
    highest: u32,
    /// Bit n of all: the count that is n modulo 256 is spent.
    spent: [u64; WINDOW as usize / 64],
}

impl Window {
    /// All counts up to this one are spent.
    const fn after(highest: u32) -> Self {
        Self {
            highest,
            spent: [u64::MAX; WINDOW as usize / 64],
        }
    }

    /// Spends a count; whether it was not spent before.
    fn accept(&mut self, count: u32) -> bool {
        if count > self.highest {
            // What the window moves over is not spent yet.
            for skipped in 0..(count - self.highest).min(WINDOW) {
                self.mark(count - skipped, false);
            }
            self.highest = count;
        } else if self.highest - count >= WINDOW {
            return false;
        }
        !self.mark(count, true)
    }

    /// Sets a count's mark; gives what it was.
    fn mark(&mut self, count: u32, spent: bool) -> bool {
        let bit = 1u64 << (count % 64);
        let Some(word) = self.spent.get_mut((count % WINDOW / 64) as usize) else {
            return true;
        };
        let was = *word & bit != 0;
        *word = if spent { *word | bit } else { *word & !bit };
        was
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
