//! A client's two questions as one state machine: who is the master
//! (`whois`), and who becomes master in the election that I call (`vote`).
//!
//! With a key the two also ask for proof, and `vote` first has a board make
//! itself known ([`super::proof`]).
//!
//! ```text
//! vote ──► Collecting ──votes are quiet──► Asking ──answer──► Listening ──► over
//! whois ─────────────────────────────────────┘ └──── time-out ─────────────────┘
//! ```

use super::proof::{Proof, Standing};
use super::rank::{Epoch, Rank};
use super::seal::checked_trailer;
use super::wire::{self, Datagram, Text};
use crate::time::{Duration, Instant};
use core::net::{Ipv4Addr, SocketAddrV4};
use std::collections::VecDeque;

/// How long a client waits for the first answer, unless told.
pub const TIMEOUT: Duration = Duration::from_millis(1_200);
/// How long it listens behind the first answer for a second master.
pub const SECOND: Duration = Duration::from_millis(200);
/// Votes are over when none has come for this long: boards settle 100 ms after
/// a round's begin and 20 ms after the last vote (R5).
pub const QUIET: Duration = Duration::from_millis(150);
/// How long a call waits for its first vote: one may be slow, or all of them
/// may go where this client cannot hear them.
pub const FIRST_VOTE: Duration = Duration::from_millis(400);
/// When to ask for the master though votes still come: boards settle after
/// 1 s at most (R5).
pub const VOTES_MOST: Duration = Duration::from_millis(1_000);
/// Of how many boards votes are kept; those beyond are shown, not remembered.
pub const VOTES_KEPT: usize = 1_024;
/// Of how many masters answers are kept; those beyond are not shown.
pub const MASTERS_KEPT: usize = 64;

/// WHOIS is sent this often in all when nothing is heard: it may be lost, and
/// asking twice changes nothing. A call is never repeated: a second one would
/// be a second election.
const ASKED_MOST: u64 = 3;

/// Something that was heard for the first time, to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A board's vote in the election that was called.
    Vote(Rank),
    /// A board says that it is the master.
    Master {
        /// Its name, fit for a terminal.
        name: String,
        /// Its address, as the answer tells it.
        address: Ipv4Addr,
        /// What its signature is worth; none without a key.
        standing: Option<Standing>,
    },
}

/// A datagram to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// To this board only; none means wherever the question goes.
    pub to: Option<SocketAddrV4>,
    /// All of its bytes.
    pub bytes: Datagram,
}

/// What the question came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No answer came.
    Nobody,
    /// One board says that it is the master.
    One(Ipv4Addr),
    /// More than one says so.
    Several,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A greeting is out, for the `asked`th time: a board has to introduce
    /// itself before a call can be signed for it.
    Meeting {
        since: Instant,
        asked: u64,
    },
    /// The call is out; votes come in.
    Collecting {
        since: Instant,
        last_vote: Option<Instant>,
    },
    /// WHOIS is out, for the `asked`th time.
    Asking {
        since: Instant,
        asked: u64,
    },
    /// One answered; a second may.
    Listening {
        until: Instant,
    },
    Over,
}

/// A question on its way.
pub struct Question {
    pub(super) step: Step,
    timeout: Duration,
    newline: bool,
    outgoing: Option<Outgoing>,
    pub(super) masters: Vec<Ipv4Addr>,
    votes: Vec<Rank>,
    /// The latest round that a vote was of.
    voted: Epoch,
    pub(super) proof: Option<Proof>,
    /// What is told at the end.
    pub(super) heard: VecDeque<Heard>,
}

impl Question {
    /// Asks who is the master; `newline` puts one behind the words.
    pub fn whois(now: Instant, timeout: Duration, newline: bool) -> Self {
        let mut question = Self::new(timeout, newline);
        question.ask(now, now);
        question
    }

    /// Calls an election, gathers the votes, then asks who is the master and
    /// waits `timeout` for that.
    pub fn vote(now: Instant, timeout: Duration, newline: bool) -> Self {
        let mut question = Self::new(timeout, newline);
        question.send(None, wire::build(Text::Call, newline));
        question.step = Step::Collecting {
            since: now,
            last_vote: None,
        };
        question
    }

    fn new(timeout: Duration, newline: bool) -> Self {
        Self {
            step: Step::Over,
            timeout: timeout.max(Duration::from_millis(1)),
            newline,
            outgoing: None,
            masters: Vec::new(),
            votes: Vec::new(),
            voted: Epoch::NONE,
            proof: None,
            heard: VecDeque::new(),
        }
    }

    /// Takes a datagram; gives what is new in it.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        bytes: &[u8],
    ) -> Option<Heard> {
        if self.proof.is_some() {
            return self.handle_signed(now, from, bytes);
        }
        if let Ok(Text::Vote(rank)) = wire::parse(bytes) {
            let epoch = checked_trailer(bytes).map(|trailer| trailer.epoch);
            return self.handle_vote(now, rank, epoch);
        }
        let (name, address) = wire::answer_of(bytes)?;
        match self.step {
            // An answer to somebody else's question, perhaps of the last master.
            Step::Meeting { .. } | Step::Collecting { .. } | Step::Over => return None,
            Step::Asking { .. } => {
                self.step = Step::Listening {
                    until: now + SECOND,
                };
            }
            Step::Listening { .. } => {}
        }
        if self.masters.contains(&address) || self.masters.len() == MASTERS_KEPT {
            return None;
        }
        self.masters.push(address);
        Some(Heard::Master {
            name: fit_for_terminal(name),
            address,
            standing: None,
        })
    }

    /// Takes a vote; an old program's has no epoch.
    pub(super) fn handle_vote(
        &mut self,
        now: Instant,
        rank: Rank,
        epoch: Option<Epoch>,
    ) -> Option<Heard> {
        // Behind the answer a late board may vote yet; but where nobody did, or
        // in an earlier round, it is the master that mends an earlier one (R6).
        let earlier = epoch.is_some_and(|epoch| self.voted.is_after(epoch));
        if matches!(self.step, Step::Listening { .. }) && (self.votes.is_empty() || earlier) {
            return None;
        }
        if let Some(epoch) = epoch.filter(|epoch| epoch.is_after(self.voted)) {
            self.voted = epoch;
        }
        if let Step::Collecting { last_vote, .. } = &mut self.step {
            *last_vote = Some(now);
        }
        // The last vote of an address stands (R3); a repeated one is no news.
        if let Some(vote) = self.votes.iter_mut().find(|v| v.address == rank.address) {
            if *vote == rank {
                return None;
            }
            *vote = rank;
        } else if self.votes.len() < VOTES_KEPT {
            self.votes.push(rank);
        }
        Some(Heard::Vote(rank))
    }

    /// To be called when [`Self::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return;
        }
        match self.step {
            Step::Meeting { .. } if self.call_due().is_some() => self.call_upon_the_best(now),
            Step::Meeting { since, asked } if now < since + self.timeout => {
                self.meet(since, asked + 1);
            }
            Step::Meeting { .. } => self.end(),
            Step::Collecting { .. } => self.ask(now, now),
            Step::Asking { since, .. } if now < since + self.timeout => self.ask(since, now),
            Step::Asking { .. } | Step::Listening { .. } => self.end(),
            Step::Over => {}
        }
    }

    fn ask(&mut self, since: Instant, now: Instant) {
        // After a long sleep the questions that were missed are not made up for.
        let third = (self.timeout / ASKED_MOST).micros();
        let missed = now.since(since).micros() / third;
        self.step = Step::Asking {
            since,
            asked: missed + 1,
        };
        let bytes = match &self.proof {
            Some(proof) => proof.question(),
            None => wire::build(Text::Whois, self.newline),
        };
        self.send(None, bytes);
    }

    pub(super) const fn send(&mut self, to: Option<SocketAddrV4>, bytes: Datagram) {
        self.outgoing = Some(Outgoing { to, bytes });
    }

    /// The datagram that is to go out now.
    pub const fn poll_transmit(&mut self) -> Option<Outgoing> {
        self.outgoing.take()
    }

    /// What is left to be shown at the end.
    pub fn poll_heard(&mut self) -> Option<Heard> {
        self.heard.pop_front()
    }

    /// When [`Self::handle_timeout`] is wanted; none when the question is over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.step {
            Step::Meeting { .. } if self.call_due().is_some() => self.call_due(),
            Step::Collecting {
                since,
                last_vote: None,
            } => Some(since + FIRST_VOTE),
            Step::Collecting {
                since,
                last_vote: Some(last),
            } => Some((last + QUIET).min(since + VOTES_MOST)),
            Step::Asking { since, asked } | Step::Meeting { since, asked } => {
                Some(since + self.timeout * asked.min(ASKED_MOST) / ASKED_MOST)
            }
            Step::Listening { until } => Some(until),
            Step::Over => None,
        }
    }

    /// What it came to so far. With a key only those count who proved it.
    pub fn verdict(&self) -> Verdict {
        match self.masters.as_slice() {
            [] => Verdict::Nobody,
            [one] => Verdict::One(*one),
            _ => Verdict::Several,
        }
    }

    /// The highest of the votes heard.
    pub fn highest(&self) -> Option<Rank> {
        self.votes.iter().copied().max()
    }

    /// The boards whose votes were heard, each with its last one.
    pub fn votes(&self) -> &[Rank] {
        &self.votes
    }
}

/// A name from the network as text that moves no cursor and rings no bell.
pub fn fit_for_terminal(name: &[u8]) -> String {
    let replace = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    String::from_utf8_lossy(name).chars().map(replace).collect()
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
