//! What a board counts: every message taken, and every one dropped by its
//! reason.

use super::wire::Invalid;

macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident $name:literal)*) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Count {
            $($(#[$doc])* $variant,)*
        }

        /// All counts with the names under which they are printed.
        pub const COUNTS: &[(Count, &str)] = &[$((Count::$variant, $name),)*];
    };
}

counters! {
    /// WHOIS heard.
    Whois "whois"
    /// WHOIS answered.
    Answered "answered"
    /// WHOIS kept during a round and then dropped: too many, or not ours to answer.
    WhoisDropped "whois_dropped"
    /// VOTE heard.
    Call "vote_calls"
    /// VOTE that belongs to the round already begun.
    CallCopy "vote_call_copies"
    /// Rounds begun.
    Round "rounds"
    /// Votes heard from others.
    Vote "votes"
    /// Votes heard from old programs.
    OldVote "old_votes"
    /// Votes of an earlier round.
    LateEpoch "votes_of_earlier_rounds"
    /// Votes refused or forgotten since the table is full.
    TableFull "votes_over_the_limit"
    /// Claims heard.
    Claim "claims"
    /// Claims of a master that is not ours and does not win.
    ClaimBeaten "claims_beaten"
    /// Resignations heard.
    Resign "resignations"
    /// Own messages heard again.
    OwnEcho "own_echoes"
    /// Another host uses this board's address.
    Conflict "address_conflicts"
    /// The claimed address is not the datagram's source.
    Mismatch "source_mismatches"
    /// Dropped by `--strict`.
    Strict "strict_drops"
    /// Messages of a mode that this board is not in.
    OtherMode "other_mode"
    /// VOTE or votes that were queued during a pause (F5), or are too old.
    Stale "stale"
    /// Empty datagrams.
    Empty "invalid_empty"
    /// Texts of no message.
    Unknown "invalid_text"
    /// Votes without a usable address.
    BadAddress "invalid_address"
    /// Votes with a number outside 1 to 10.
    BadNumber "invalid_number"
    /// Own broadcasts held back by their limit.
    Held "broadcasts_held"
    /// Datagrams not sent: over a limit.
    NotSent "sends_over_the_limit"
    /// Unicast datagrams refused by their addressee's kernel.
    Refused "refused"
    /// Claims sent.
    ClaimSent "claims_sent"
    /// Questions to a silent master sent (F2).
    Question "questions"
    /// Verdicts: elections called since the master was dead (F2).
    Verdict "verdicts"
    /// Times that this board noticed that it had been paused (F5).
    Paused "pauses"
    /// Asks for the lease sent (Q3).
    LeaseAsked "lease_asks_sent"
    /// Grants heard that count.
    LeaseGranted "lease_grants"
    /// Grants heard that do not: for another ask, or another board.
    LeaseUseless "lease_grants_useless"
    /// Grants heard of boards with another quorum or interval.
    QuorumDiffers "lease_grants_of_another_quorum"
    /// Asks of others granted.
    LeaseGiven "lease_granted"
    /// Asks of others not granted (Q1, Q2).
    LeaseRefused "lease_refused"
    /// Unsigned messages that need a signature (K1).
    Unsigned "unsigned"
    /// Signatures that nothing known fits: forged, or of a stranger (K4).
    Unverified "unverified"
    /// Well signed, but heard before (K3).
    Replayed "replayed"
    /// Introductions heard (K3).
    Introduced "introductions"
    /// Introductions asked for (K4).
    IntroductionAsked "introductions_asked"
}

const _: () = assert!(COUNTS.len() == Count::IntroductionAsked as usize + 1);

/// The counts of a board since its start.
#[derive(Clone, Debug)]
pub struct Counters([u64; COUNTS.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self([0; COUNTS.len()])
    }
}

#[allow(clippy::indexing_slicing)] // by the enum's own numbers
impl Counters {
    /// Counts one.
    pub fn add(&mut self, count: Count) {
        self.0[count as usize] = self.0[count as usize].wrapping_add(1);
    }

    /// Counts a datagram that is no message.
    pub fn add_invalid(&mut self, invalid: Invalid) {
        self.add(match invalid {
            Invalid::Empty => Count::Empty,
            Invalid::Unknown => Count::Unknown,
            Invalid::Address => Count::BadAddress,
            Invalid::Number => Count::BadNumber,
        });
    }

    /// How many so far.
    pub fn of(&self, count: Count) -> u64 {
        self.0[count as usize]
    }

    /// Every count with its name, in the order of the list.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        COUNTS.iter().map(|&(count, name)| (name, self.of(count)))
    }
}
