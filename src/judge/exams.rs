//! What is examined: each exam is a rule, a sentence, and a few steps.

use crate::time::Duration;

/// One exam.
#[derive(Debug)]
pub struct Exam {
    /// The rule of `docs/protocol.md`.
    pub rule: &'static str,
    /// What is right.
    pub title: &'static str,
    /// Whether a board that does otherwise is wrong, or just harder to live with.
    pub weight: Weight,
    /// What is said and expected, in order. The first wrong one ends the exam.
    pub steps: &'static [Step],
}

/// How much an exam weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// The exercise asks for it.
    Rule,
    /// It makes life easier: a word, no fault.
    Advice,
}

/// A step of an exam.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Say something.
    Say(Mouth, Target, Words),
    /// Listen for so many milliseconds, then hold what was heard since the last
    /// `Hear` against this.
    Hear(u64, Expect),
}

/// The port from which the judge speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mouth {
    /// The election's own, as half of the clients do.
    Port,
    /// Any other.
    Other,
}

/// Where it speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The network's broadcast address.
    All,
    /// 255.255.255.255.
    Limited,
    /// The board's own address.
    Board,
}

/// What it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// These bytes, without more.
    Bare(&'static [u8]),
    /// These bytes, then NULs to 40 bytes.
    Padded(&'static [u8]),
    /// A vote above the board's: a higher number, or 10 from a higher address.
    Above,
    /// A vote below it.
    Below,
    /// The board's own number from the next higher address that a comparison
    /// of texts would take for lower.
    TieAbove,
    /// The board's own number from a lower address.
    TieBelow,
    /// A vote of 10 that claims the board's own address.
    Impostor,
}

/// What must have been heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Whatever: only to wait.
    Anything,
    /// Nothing of the board.
    Silence,
    /// One vote, broadcast to the election's port; the same again is no other.
    OneVote,
    /// The vote in 40 bytes.
    FullLength,
    /// Exactly one answer, at the port that asked.
    OneAnswer,
    /// No answer; votes do not matter.
    NoAnswer,
    /// In all rounds so far the board did not always draw the same number.
    Chance,
}

/// A board settles within this after a VOTE, old programs included.
pub const SETTLED_MS: u64 = 400;
/// An answer comes within this.
const ANSWER_MS: u64 = 300;
/// How long a vote is waited for: before the exams, and in them.
pub const VOTE_WAIT: Duration = Duration::from_millis(1_000);

use Expect::{Anything, Chance, FullLength, NoAnswer, OneAnswer, OneVote, Silence};
use Mouth::{Other, Port};
use Step::{Hear, Say};
use Target::{All, Board, Limited};
use Weight::{Advice, Rule};
use Words::{Above, Bare, Below, Impostor, Padded, TieAbove, TieBelow};

const CALL: Words = Padded(b"VOTE\n");
const ASK: Words = Padded(b"WHOIS\n");
const ELECTION: Step = Say(Port, All, CALL);
const VOTED: Step = Hear(SETTLED_MS, OneVote);
const WHOIS: Step = Say(Other, All, ASK);
const ANSWERED: Step = Hear(ANSWER_MS, OneAnswer);
const UNANSWERED: Step = Hear(ANSWER_MS, NoAnswer);

/// All exams, in their order.
#[rustfmt::skip]
pub const EXAMS: &[Exam] = &[
    Exam { rule: "R2", title: "VOTE, padded with NULs, from the election's port: one vote", weight: Rule,
        steps: &[ELECTION, VOTED] },
    Exam { rule: "R2", title: "VOTE from any other port: one vote, to all", weight: Rule,
        steps: &[Say(Other, All, CALL), VOTED] },
    Exam { rule: "R2", title: "VOTE and newline, 5 bytes: one vote", weight: Rule,
        steps: &[Say(Port, All, Bare(b"VOTE\n")), VOTED] },
    Exam { rule: "R2", title: "VOTE bare, 4 bytes: one vote", weight: Rule,
        steps: &[Say(Port, All, Bare(b"VOTE")), VOTED] },
    Exam { rule: "R2", title: "the vote fills 40 bytes, so that nobody reads an old buffer's rest", weight: Advice,
        steps: &[ELECTION, Hear(SETTLED_MS, FullLength)] },
    Exam { rule: "R5", title: "a lone board is master and answers WHOIS", weight: Rule,
        steps: &[ELECTION, VOTED, WHOIS, ANSWERED] },
    Exam { rule: "R6", title: "WHOIS and newline, 6 bytes: answered", weight: Rule,
        steps: &[ELECTION, VOTED, Say(Other, All, Bare(b"WHOIS\n")), ANSWERED] },
    Exam { rule: "R6", title: "WHOIS bare, 5 bytes: answered", weight: Rule,
        steps: &[ELECTION, VOTED, Say(Other, All, Bare(b"WHOIS")), ANSWERED] },
    Exam { rule: "R6", title: "WHOIS from the election's port: answered there", weight: Rule,
        steps: &[ELECTION, VOTED, Say(Port, All, ASK), ANSWERED] },
    Exam { rule: "R6", title: "WHOIS by unicast: answered", weight: Advice,
        steps: &[ELECTION, VOTED, Say(Other, Board, ASK), ANSWERED] },
    Exam { rule: "R6", title: "WHOIS to 255.255.255.255: answered", weight: Advice,
        steps: &[ELECTION, VOTED, Say(Other, Limited, ASK), ANSWERED] },
    Exam { rule: "R5", title: "a lower vote after its own: it is master", weight: Rule,
        steps: &[ELECTION, Hear(150, OneVote), Say(Port, All, Below), Hear(SETTLED_MS, Anything), WHOIS, ANSWERED] },
    Exam { rule: "R5", title: "a higher vote after its own: it is slave and silent", weight: Rule,
        steps: &[ELECTION, Hear(150, OneVote), Say(Port, All, Above), Hear(SETTLED_MS, Anything), WHOIS, UNANSWERED] },
    Exam { rule: "R5", title: "a higher vote long after the round: it is slave at once", weight: Rule,
        steps: &[ELECTION, VOTED, WHOIS, ANSWERED, Say(Port, All, Above), Hear(20, Anything), WHOIS, UNANSWERED] },
    Exam { rule: "R5", title: "first a higher, then a lower vote: slave it stays", weight: Rule,
        steps: &[ELECTION, Hear(150, OneVote), Say(Port, All, Above), Hear(SETTLED_MS, Anything),
                 Say(Port, All, Below), Hear(100, Anything), WHOIS, UNANSWERED] },
    Exam { rule: "R5", title: "a slave takes part in the next election and can win it", weight: Rule,
        steps: &[ELECTION, Hear(150, OneVote), Say(Port, All, Above), Hear(SETTLED_MS, Anything),
                 ELECTION, VOTED, WHOIS, ANSWERED] },
    Exam { rule: "R5", title: "the same number from a higher address: it is slave (10 is above 9)", weight: Rule,
        steps: &[ELECTION, Hear(150, OneVote), Say(Port, All, TieAbove), Hear(SETTLED_MS, Anything), WHOIS, UNANSWERED] },
    Exam { rule: "R5", title: "the same number from a lower address: it is master", weight: Rule,
        steps: &[ELECTION, Hear(150, OneVote), Say(Port, All, TieBelow), Hear(SETTLED_MS, Anything), WHOIS, ANSWERED] },
    Exam { rule: "R2", title: "a vote of 10 from above right behind VOTE counts", weight: Rule,
        steps: &[ELECTION, Say(Port, All, Above), Hear(SETTLED_MS, Anything), WHOIS, UNANSWERED] },
    Exam { rule: "R2", title: "a vote of 10 from above right before VOTE counts", weight: Advice,
        steps: &[Say(Port, All, Above), ELECTION, Hear(SETTLED_MS, Anything), WHOIS, UNANSWERED] },
    Exam { rule: "R2", title: "a copy of VOTE draws no second number", weight: Advice,
        steps: &[ELECTION, ELECTION, VOTED] },
    Exam { rule: "R3", title: "a vote that claims its own address is not believed", weight: Advice,
        steps: &[ELECTION, VOTED, Say(Port, All, Impostor), Hear(60, Anything), WHOIS, ANSWERED] },
    Exam { rule: "input", title: "an empty datagram: silence", weight: Rule,
        steps: &[ELECTION, VOTED, Say(Port, All, Bare(b"")), Hear(150, Silence), WHOIS, ANSWERED] },
    Exam { rule: "input", title: "other text: silence", weight: Rule,
        steps: &[ELECTION, VOTED, Say(Port, All, Bare(b"@A")), Say(Port, All, Padded(b"$ 10.0.0.1 5")),
                 Say(Port, All, Padded(b"I LOST, sorry")), Say(Port, All, Bare(&[0xff; 200])),
                 Hear(150, Silence), WHOIS, ANSWERED] },
    Exam { rule: "input", title: "votes that are none (0, 11, no address, no number): silence, still master", weight: Rule,
        steps: &[ELECTION, VOTED, Say(Port, All, Padded(b"#")), Say(Port, All, Padded(b"# 10.0.0.1 0")),
                 Say(Port, All, Padded(b"# 10.0.0.1 11")), Say(Port, All, Padded(b"# 10.0.0.1")),
                 Say(Port, All, Padded(b"# 10.0.0.999 9")), Hear(150, Silence), WHOIS, ANSWERED] },
    Exam { rule: "input", title: "another master's answer: silence, still master", weight: Rule,
        steps: &[ELECTION, VOTED, Say(Port, Board, Padded(b"Eve on board 10.0.0.1 is the master")),
                 Hear(150, Silence), WHOIS, ANSWERED] },
    Exam { rule: "R2", title: "the numbers are drawn by chance", weight: Rule,
        steps: &[ELECTION, Hear(SETTLED_MS, Chance)] },
];
