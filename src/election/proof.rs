//! A client with the key: it has the boards prove that they have it too, and
//! signs its call (K5).
//!
//! A master's answer is a text that anyone could send; the claim behind it is
//! signed and bound to this client's nonce. For a call, one board introduces
//! itself first, and the VOTE goes to that board alone, signed in its session;
//! the other boards follow that board's vote.

use super::client::{Heard, MASTERS_KEPT, Question, SECOND, Step, VOTES_KEPT, fit_for_terminal};
use super::rank::Epoch;
use super::seal::Keys;
use super::wire::{self, Datagram, Text, Trailer, flag};
use crate::rng::{Entropy, Seeded};
use crate::time::{Duration, Instant};
use core::net::{Ipv4Addr, SocketAddrV4};

/// How long another board may take that is in a later round.
const BETTER: Duration = Duration::from_millis(50);

/// What a master's signature is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has the key, and answered this very question.
    Verified,
    /// It sent no signature.
    Unsigned,
    /// It sent one that does not fit.
    Forged,
}

impl Standing {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Unsigned => "unsigned",
            Self::Forged => "forged",
        }
    }
}

/// The key's part of a question.
#[derive(Debug)]
pub(super) struct Proof {
    keys: Keys,
    nonce: u32,
    /// Who answered by text, and is not shown yet.
    answers: Vec<Answer>,
    /// Whose claim fits.
    proven: Vec<Ipv4Addr>,
    /// The sessions of the boards that introduced themselves.
    sessions: Vec<(Ipv4Addr, u32)>,
    /// Votes that overtook their board's introduction, or the call.
    early: Vec<(SocketAddrV4, Datagram)>,
    /// The round before the one that was called.
    before: Epoch,
    /// Of those who introduced themselves the one in the latest round.
    best: Option<(SocketAddrV4, Epoch)>,
    /// When it is called upon.
    call_at: Option<Instant>,
}

#[derive(Debug)]
struct Answer {
    name: String,
    address: Ipv4Addr,
    standing: Standing,
}

impl Proof {
    /// WHOIS, with a nonce.
    pub(super) fn question(&self) -> Datagram {
        self.build(Text::Whois, 0, Epoch::NONE, None)
    }

    fn build(&self, text: Text<'_>, flags: u8, epoch: Epoch, bound: Option<u32>) -> Datagram {
        let trailer = Trailer {
            flags,
            epoch,
            word: self.nonce,
            about: None,
        };
        wire::build_with_trailer(text, trailer, |signed| self.keys.ring.tag(signed, bound))
    }

    fn session_of(&self, address: Ipv4Addr) -> Option<u32> {
        let known = self.sessions.iter().find(|(board, _)| *board == address);
        known.map(|&(_, session)| session)
    }
}

impl Question {
    /// The same question, signed, and answered only by who proves it.
    #[must_use]
    pub fn with_key(mut self, now: Instant, keys: &Keys) -> Self {
        let proof = Proof {
            keys: keys.clone(),
            nonce: Seeded::new(keys.seed).next_u32(),
            answers: Vec::new(),
            proven: Vec::new(),
            sessions: Vec::new(),
            early: Vec::new(),
            before: Epoch::NONE,
            best: None,
            call_at: None,
        };
        let question = proof.question();
        self.proof = Some(proof);
        match self.step {
            Step::Collecting { .. } => self.meet(now, 1),
            _ => self.send(None, question),
        }
        self
    }

    /// Asks the boards to introduce themselves.
    pub(super) fn meet(&mut self, since: Instant, asked: u64) {
        self.step = Step::Meeting { since, asked };
        if let Some(proof) = &self.proof {
            let greeting = proof.build(Text::Whois, flag::INTRODUCE, Epoch::NONE, None);
            self.send(None, greeting);
        }
    }

    /// Takes a datagram, believing only what is signed.
    pub(super) fn handle_signed(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        bytes: &[u8],
    ) -> Option<Heard> {
        if let Some((name, address)) = wire::answer_of(bytes) {
            return self.on_text(now, name, address);
        }
        let text = wire::parse(bytes).ok()?;
        let (trailer, tag) = wire::trailer(bytes)?;
        let signed = wire::signed_part(bytes)?;
        let proof = self.proof.as_ref()?;
        let fits = |bound: u32| proof.keys.ring.verify(signed, Some(bound), tag);
        let answers = trailer.flags & flag::BOUND != 0;
        match text {
            Text::Claim(rank) if answers => {
                let standing = match fits(proof.nonce) {
                    true => Standing::Verified,
                    false => Standing::Forged,
                };
                self.on_claim(rank.address, standing)
            }
            Text::Whois if answers && fits(proof.nonce) => self.on_introduction(now, from, trailer),
            // A board also tells its vote of the present round to who asks it:
            // before the call it is not known yet which one that is.
            Text::Vote(rank) if trailer.epoch.is_after(proof.before) => {
                let session = proof.session_of(*from.ip());
                let meeting = matches!(self.step, Step::Meeting { .. });
                match session {
                    Some(session) if !fits(session) => None,
                    Some(_) if !meeting => self.handle_vote(now, rank, Some(trailer.epoch)),
                    _ => self.keep_early(from, bytes),
                }
            }
            _ => None,
        }
    }

    /// The text of an answer: its proof may follow, or be here already.
    fn on_text(&mut self, now: Instant, name: &[u8], address: Ipv4Addr) -> Option<Heard> {
        match self.step {
            Step::Asking { .. } => {
                self.step = Step::Listening {
                    until: now + SECOND,
                };
            }
            Step::Listening { .. } => {}
            _ => return None,
        }
        let proof = self.proof.as_mut()?;
        let known = proof.answers.iter().any(|one| one.address == address);
        if known || self.masters.contains(&address) || proof.answers.len() == MASTERS_KEPT {
            return None;
        }
        proof.answers.push(Answer {
            name: fit_for_terminal(name),
            address,
            standing: Standing::Unsigned,
        });
        let proven = proof.proven.contains(&address);
        proven.then(|| self.on_claim(address, Standing::Verified))?
    }

    /// The proof of an answer: a right one is shown at once, a wrong one may
    /// be somebody else's, and is shown at the end.
    fn on_claim(&mut self, address: Ipv4Addr, standing: Standing) -> Option<Heard> {
        let proof = self.proof.as_mut()?;
        let place = proof.answers.iter().position(|one| one.address == address);
        if standing != Standing::Verified {
            let answer = proof.answers.get_mut(place?)?;
            answer.standing = standing;
            return None;
        }
        let Some(place) = place else {
            if proof.proven.len() < MASTERS_KEPT {
                proof.proven.push(address);
            }
            return None;
        };
        let answer = proof.answers.remove(place);
        self.masters.push(address);
        Some(Heard::Master {
            name: answer.name,
            address,
            standing: Some(Standing::Verified),
        })
    }

    /// A board introduced itself: one of them is called upon.
    fn on_introduction(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        trailer: Trailer,
    ) -> Option<Heard> {
        let proof = self.proof.as_mut()?;
        let session = trailer.about.map_or(0, u32::from);
        if proof.session_of(*from.ip()).is_none() && proof.sessions.len() < VOTES_KEPT {
            proof.sessions.push((*from.ip(), session));
        }
        if !matches!(self.step, Step::Meeting { .. }) {
            self.hear_early(now, |voter| voter == from);
        } else {
            // One that is behind would begin a round which the others are in,
            // or have had.
            let later = |&(_, best): &(_, Epoch)| {
                best == Epoch::NONE
                    || (trailer.epoch != Epoch::NONE && trailer.epoch.is_after(best))
            };
            if proof.best.as_ref().is_none_or(later) {
                proof.best = Some((from, trailer.epoch));
            }
            proof.call_at.get_or_insert(now + BETTER);
        }
        None
    }

    /// When the VOTE is due, once a board has introduced itself.
    pub(super) fn call_due(&self) -> Option<Instant> {
        self.proof.as_ref()?.call_at
    }

    /// Sends the VOTE to the best of those who introduced themselves, in its
    /// session.
    pub(super) fn call_upon_the_best(&mut self, now: Instant) {
        let Some(proof) = &mut self.proof else { return };
        let Some((to, epoch)) = proof.best else {
            return;
        };
        proof.before = epoch;
        let session = proof.session_of(*to.ip());
        let call = proof.build(Text::Call, flag::BOUND, epoch, session);
        self.step = Step::Collecting {
            since: now,
            last_vote: None,
        };
        self.send(Some(to), call);
        // Another's call may have been faster than this one.
        self.hear_early(now, |_| true);
    }

    fn keep_early(&mut self, from: SocketAddrV4, bytes: &[u8]) -> Option<Heard> {
        let proof = self.proof.as_mut()?;
        if proof.early.len() < VOTES_KEPT {
            proof.early.push((from, *bytes.first_chunk()?));
        }
        None
    }

    /// Takes the votes that came too early, of those boards that are `meant`.
    fn hear_early(&mut self, now: Instant, meant: impl Fn(SocketAddrV4) -> bool) {
        let Some(proof) = &mut self.proof else { return };
        let (theirs, others) = core::mem::take(&mut proof.early)
            .into_iter()
            .partition(|&(voter, _)| meant(voter));
        proof.early = others;
        let theirs: Vec<(SocketAddrV4, Datagram)> = theirs;
        for (voter, vote) in theirs {
            let heard = self.handle_signed(now, voter, &vote);
            self.heard.extend(heard);
        }
    }

    /// It is over: who answered and proved nothing is shown now.
    pub(super) fn end(&mut self) {
        self.step = Step::Over;
        let Some(proof) = &mut self.proof else { return };
        for answer in proof.answers.drain(..) {
            self.heard.push_back(Heard::Master {
                name: answer.name,
                address: answer.address,
                standing: Some(answer.standing),
            });
        }
    }

    /// Whether a board proved to have the key; without one, yes.
    pub fn met_somebody(&self) -> bool {
        let met = |proof: &Proof| !proof.sessions.is_empty();
        self.proof.as_ref().is_none_or(met)
    }
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
