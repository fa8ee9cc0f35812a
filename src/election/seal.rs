//! How messages are sealed and believed: by a checksum, or, with a key, by
//! whom the sender has proved to be (K1–K6).

use super::board::Board;
use super::counters::Count;
use super::key::Keyring;
use super::limits::Limiter;
use super::notice::Notice;
use super::rank::Epoch;
use super::replay::{Incoming, Refusal, Sessions, Worth};
use super::timers::Timer;
use super::wire::{self, Datagram, Text, Trailer, flag};
use crate::rng::Seeded;
use crate::time::{Duration, Instant};
use core::fmt;
use core::net::{Ipv4Addr, SocketAddrV4};

/// Introductions in any second.
const INTRODUCTIONS_MAX: usize = 256;
/// A board that found its address asks all for their introductions, and again
/// after this, three times this, and so on, as long as none has come.
const GREET_AGAIN: Duration = Duration::from_millis(100);
/// Clients' VOTEs that one epoch takes: each begins the next one, but for
/// those that come right behind its begin (R2).
const CALLS_MAX: usize = 32;
/// How often in all.
const GREETINGS: u32 = 4;

/// What a board with a key is given.
#[derive(Clone)]
pub struct Keys {
    /// The keys of its file.
    pub ring: Keyring,
    /// 64 random bits, other ones at each start: session and nonces grow out
    /// of them. They need not be secret, but never come again.
    pub seed: u64,
}

/// Says nothing of the keys.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ring.fmt(f)
    }
}

/// The key's part of a board.
#[derive(Clone, Debug)]
pub(super) struct Keyed {
    ring: Keyring,
    sessions: Sessions,
    random: Seeded,
    introductions: Limiter<INTRODUCTIONS_MAX>,
    greetings: u32,
    /// The words of the clients' VOTEs heard in the epoch.
    calls: (Epoch, Vec<u32>),
    /// That a board has no key was told.
    told_unkeyed: bool,
}

impl Keyed {
    pub(super) fn new(keys: &Keys) -> Self {
        Self {
            ring: keys.ring.clone(),
            sessions: Sessions::default(),
            random: Seeded::new(keys.seed),
            introductions: Limiter::default(),
            greetings: 0,
            calls: (Epoch::NONE, Vec::new()),
            told_unkeyed: false,
        }
    }

    /// A client's VOTE counts once, and only for the epoch that the client was
    /// told; a board that has `begun` no round may have found its epoch since.
    fn take_call(&mut self, epoch: Epoch, begun: bool, call: Trailer) -> bool {
        // Before the first round those for epoch 0 count in a later one too.
        if begun && self.calls.0 != epoch {
            self.calls = (epoch, Vec::new());
        }
        let calls = &mut self.calls.1;
        let told = call.epoch == epoch || (!begun && call.epoch == Epoch::NONE);
        let fresh = told && !calls.contains(&call.word) && calls.len() < CALLS_MAX;
        if fresh {
            calls.push(call.word);
        }
        fresh
    }

    fn build(&self, text: Text<'_>, trailer: Trailer, bound: Option<u32>) -> Datagram {
        wire::build_with_trailer(text, trailer, |signed| self.ring.tag(signed, bound))
    }
}

impl Board {
    /// Builds a message that says something, with this board's trailer.
    pub(super) fn seal(&mut self, text: Text<'_>, flags: u8, about: Option<Ipv4Addr>) -> Datagram {
        let mut trailer = Trailer {
            flags,
            epoch: self.epoch,
            word: 0,
            about,
        };
        if let Some(keyed) = &mut self.keyed {
            let (session, count) = keyed.sessions.next(&mut keyed.random);
            trailer.word = count;
            return keyed.build(text, trailer, Some(session));
        }
        self.limits.counter = self.limits.counter.wrapping_add(1);
        trailer.word = self.limits.counter;
        wire::build_with_trailer(text, trailer, wire::checksum)
    }

    /// Builds what a guardian sends when this process is dead: with a key, by
    /// the very last counts of its session, so that it is never too old.
    pub(super) fn seal_last(&mut self, text: Text<'_>, flags: u8, about: Ipv4Addr) -> Datagram {
        let Some(keyed) = &mut self.keyed else {
            return self.seal(text, flags, Some(about));
        };
        let (session, word) = keyed.sessions.last(text == Text::Call, &mut keyed.random);
        let trailer = Trailer {
            flags,
            epoch: self.epoch,
            word,
            about: Some(about),
        };
        keyed.build(text, trailer, Some(session))
    }

    /// Builds the answer to a question whose word was `nonce`.
    pub(super) fn seal_answer(&mut self, text: Text<'_>, nonce: u32) -> Datagram {
        let Some(keyed) = &mut self.keyed else {
            return self.seal(text, 0, None);
        };
        let (_, word) = keyed.sessions.next(&mut keyed.random);
        let trailer = Trailer {
            flags: flag::BOUND,
            epoch: self.epoch,
            word,
            about: None,
        };
        keyed.build(text, trailer, Some(nonce))
    }

    /// Sends a WHOIS that asks something: to one board, or to all.
    pub(super) fn ask_whois(
        &mut self,
        now: Instant,
        to: Option<Ipv4Addr>,
        flags: u8,
        about: Option<Ipv4Addr>,
    ) {
        let question = match &mut self.keyed {
            None => self.seal(Text::Whois, flags, about),
            Some(keyed) => {
                let introduce = flags & flag::INTRODUCE != 0;
                let word = keyed
                    .sessions
                    .question(now, to, introduce, &mut keyed.random);
                let trailer = Trailer {
                    flags,
                    epoch: self.epoch,
                    word,
                    about,
                };
                keyed.build(Text::Whois, trailer, None)
            }
        };
        match to {
            Some(to) => self.unicast(to, question),
            None => self.broadcast(question),
        }
    }

    /// Asks all for their introductions, if there is a key: at first, and
    /// again while none has come.
    pub(super) fn greet(&mut self, now: Instant) {
        let Some(keyed) = &mut self.keyed else { return };
        keyed.greetings += 1;
        let again = GREET_AGAIN * u64::from(2 * keyed.greetings - 1);
        if keyed.greetings < GREETINGS {
            self.timers.set(Timer::Greet, now + again);
        }
        self.ask_whois(now, None, flag::INTRODUCE, None);
    }

    /// The address is a new one: greets as at the start.
    pub(super) fn greet_anew(&mut self, now: Instant) {
        if let Some(keyed) = &mut self.keyed {
            keyed.greetings = 0;
            self.greet(now);
        }
    }

    /// Judges a datagram. Gives its trailer if the message may be taken; a
    /// message without one is a plain one. Gives nothing if it is not to be
    /// taken, or was only between the two boards' sessions.
    #[allow(clippy::option_option)]
    pub(super) fn admit(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        bytes: &[u8],
        text: Text<'_>,
    ) -> Option<Option<Trailer>> {
        let Some(keyed) = &mut self.keyed else {
            return Some(checked_trailer(bytes));
        };
        let incoming = Incoming { from, bytes, text };
        let port = self.config.port;
        let verdict = keyed
            .sessions
            .judge(now, &keyed.ring, port, &incoming, &mut keyed.random);
        let trailer = wire::trailer(bytes).map(|(trailer, _)| trailer);
        if let Worth::Refused(refusal) = verdict.worth {
            self.note_unkeyed(*from.ip(), bytes, text, refusal);
        }
        let admitted = self.take_worth(now, from, text, trailer, verdict.worth);
        // Behind the own introduction: who knows us need not ask back.
        if let Some(nonce) = verdict.ask {
            self.ask_introduction(from, nonce);
        }
        admitted
    }

    /// A board that takes part without a key has its own idea of the master.
    fn note_unkeyed(&mut self, from: Ipv4Addr, bytes: &[u8], text: Text<'_>, refusal: Refusal) {
        let takes_part = matches!(text, Text::Vote(_) | Text::Claim(_));
        let has_no_key = refusal == Refusal::Unsigned || checked_trailer(bytes).is_some();
        let Some(keyed) = self.keyed.as_mut().filter(|keyed| !keyed.told_unkeyed) else {
            return;
        };
        if takes_part && has_no_key {
            keyed.told_unkeyed = true;
            self.outbox.tell(Notice::Unkeyed(from));
        }
    }

    #[allow(clippy::option_option)]
    fn take_worth(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        text: Text<'_>,
        trailer: Option<Trailer>,
        worth: Worth,
    ) -> Option<Option<Trailer>> {
        match worth {
            Worth::Open => Some(None),
            Worth::Question {
                nonce,
                introduce: true,
            } => {
                let epoch = trailer.map_or(Epoch::NONE, |trailer| trailer.epoch);
                self.introduce(now, from, nonce, epoch);
                None
            }
            Worth::Believed { bound: true } if text == Text::Call => {
                let (epoch, begun) = (self.epoch, self.rounds > 0);
                let fresh = trailer
                    .zip(self.keyed.as_mut())
                    .is_some_and(|(call, keyed)| keyed.take_call(epoch, begun, call));
                if !fresh {
                    self.counters.add(Count::Replayed);
                }
                fresh.then_some(None)
            }
            Worth::Believed { .. } | Worth::Question { .. } => Some(trailer),
            Worth::Introduced => {
                self.counters.add(Count::Introduced);
                self.timers.stop(Timer::Greet);
                self.find_epoch(trailer);
                None
            }
            Worth::Refused(refusal) => {
                self.counters.add(match refusal {
                    Refusal::Unsigned => Count::Unsigned,
                    Refusal::Unverified => Count::Unverified,
                    Refusal::Replayed => Count::Replayed,
                });
                None
            }
        }
    }

    fn ask_introduction(&mut self, from: SocketAddrV4, nonce: u32) {
        let Some(keyed) = &mut self.keyed else { return };
        let trailer = Trailer {
            flags: flag::INTRODUCE,
            epoch: self.epoch,
            word: nonce,
            about: None,
        };
        let question = keyed.build(Text::Whois, trailer, None);
        self.send(from, &question);
        self.counters.add(Count::IntroductionAsked);
    }

    /// A board that has started learns of its LAN's epoch, so that a VOTE that
    /// comes to it begins a round which is new to all. Without failover it
    /// waits for that one (R1).
    fn find_epoch(&mut self, introduction: Option<Trailer>) {
        let started = self.rounds == 0 && self.epoch == Epoch::NONE;
        if let Some(trailer) = introduction.filter(|_| started && self.config.failover.is_none()) {
            self.epoch = trailer.epoch;
        }
    }

    /// Tells an asker this board's session; a board also what it has to say in
    /// this round, since that was lost on it. One that has just started was not
    /// there: without failover it waits for the next round.
    fn introduce(&mut self, now: Instant, to: SocketAddrV4, nonce: u32, epoch: Epoch) {
        let Some(keyed) = &mut self.keyed else { return };
        if !keyed.introductions.take(now) {
            return self.counters.add(Count::NotSent);
        }
        let (session, word) = keyed.sessions.present(&mut keyed.random);
        let trailer = Trailer {
            flags: flag::BOUND | flag::INTRODUCE,
            epoch: self.epoch,
            word,
            about: Some(Ipv4Addr::from(session)),
        };
        let introduction = keyed.build(Text::Whois, trailer, Some(nonce));
        self.send(to, &introduction);
        let over = self.config.failover.is_none() && !self.round.open;
        if to.port() == self.config.port && !(over && epoch == Epoch::NONE) {
            if self.follows_claims_of(*to.ip()) {
                // It could not believe that before; our vote of a later round
                // would begin an election (F3).
                self.tell_later_epoch(*to.ip());
            }
            self.answer_voter(now, *to.ip());
        }
    }
}

/// The trailer, if the datagram has one whose checksum fits; else the message
/// is a plain one, as old programs send it.
pub(super) fn checked_trailer(bytes: &[u8]) -> Option<Trailer> {
    let (trailer, tag) = wire::trailer(bytes)?;
    (wire::checksum(wire::signed_part(bytes)?) == tag).then_some(trailer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_vote_counts_once_in_the_epoch_that_it_was_told() {
        let ring = Keyring::parse(&"ab".repeat(32)).unwrap();
        let mut keyed = Keyed::new(&Keys { ring, seed: 1 });
        let mut take = |epoch, begun, told, word| {
            let call = Trailer {
                epoch: Epoch(told),
                word,
                ..Trailer::default()
            };
            keyed.take_call(Epoch(epoch), begun, call)
        };
        // Before the first round, and when its epoch was found since.
        assert!(take(0, false, 0, 7) && !take(0, false, 0, 7));
        assert!(!take(5, false, 0, 7) && take(5, false, 0, 8));
        assert!(take(5, false, 5, 9) && !take(5, false, 4, 10));
        // In a round only its own epoch counts, and each begins anew.
        assert!(take(6, true, 6, 7) && !take(6, true, 6, 7));
        assert!(!take(6, true, 0, 8) && !take(6, true, 5, 8));
        assert!(take(7, true, 7, 7));
        let taken = (100..200).filter(|&word| take(7, true, 7, word)).count();
        assert_eq!(taken, CALLS_MAX - 1);
    }
}
