//! The examiner: goes through the exams with one board, and finds.

use super::exams::{EXAMS, Exam, Expect, Mouth, Step, Target, Weight, Words};
use crate::election::rank::Rank;
use crate::election::wire::{self, MESSAGE_LEN, Text};
use crate::text;
use crate::time::{Duration, Instant};
use core::net::Ipv4Addr;
use std::collections::VecDeque;

/// Datagrams kept of one step; a board that says more is wrong already.
const HEARD_MAX: usize = 64;
/// Bytes kept of a datagram: the longest reply that was seen is 256.
const BYTES_MAX: usize = 256;
/// A break between exams, so that rounds do not run together.
const BREAK: Duration = Duration::from_millis(250);

/// What one exam came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// As it should be.
    Right,
    /// Against a rule.
    Wrong,
    /// Allowed, but harder to live with.
    Advice,
}

/// What is told of one exam.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: &'static str,
    /// What is right.
    pub title: &'static str,
    /// How it went.
    pub grade: Grade,
    /// What was done otherwise, with the bytes; empty when all is right.
    pub why: String,
}

/// Something to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saying {
    /// From which port.
    pub mouth: Mouth,
    /// Where to.
    pub target: Target,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Something that the board said.
#[derive(Clone, Debug)]
struct Heard {
    /// At the election's port; else at the judge's other one.
    at_port: bool,
    bytes: Vec<u8>,
}

impl Heard {
    fn is_vote(&self) -> bool {
        self.bytes.first() == Some(&b'#')
    }

    fn is_answer(&self) -> bool {
        matches!(wire::parse(&self.bytes), Ok(Text::Answer { .. }))
    }
}

/// The machine: what is heard and the time in, sayings and findings out.
#[derive(Debug)]
pub struct Examiner {
    board: Ipv4Addr,
    /// Index of the exam and of its step.
    exam: usize,
    step: usize,
    /// What was heard since the last look.
    heard: Vec<Heard>,
    /// The port from which WHOIS was asked last.
    asked_from: Mouth,
    /// The board's number in the present round.
    number: u8,
    /// How often each number was drawn.
    drawn: [u32; 11],
    until: Option<Instant>,
    sayings: VecDeque<Saying>,
    findings: VecDeque<Finding>,
}

impl Examiner {
    /// Begins with the board at `board`.
    pub fn new(now: Instant, board: Ipv4Addr) -> Self {
        let mut examiner = Self {
            board,
            exam: 0,
            step: 0,
            heard: Vec::new(),
            asked_from: Mouth::Port,
            number: 1,
            drawn: [0; 11],
            until: None,
            sayings: VecDeque::new(),
            findings: VecDeque::new(),
        };
        examiner.go_on(now);
        examiner
    }

    /// A datagram of the board came, at the election's port or at the other.
    pub fn handle_datagram(&mut self, from: Ipv4Addr, at_port: bool, bytes: &[u8]) {
        if from != self.board || self.heard.len() >= HEARD_MAX {
            return;
        }
        let bytes: Vec<u8> = bytes.iter().copied().take(BYTES_MAX).collect();
        if let Ok(Text::Vote(rank)) = wire::parse(&bytes) {
            self.number = rank.vote;
            if let Some(count) = self.drawn.get_mut(usize::from(rank.vote)) {
                *count += 1;
            }
        }
        self.heard.push(Heard { at_port, bytes });
    }

    /// The time of the present step is over.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.until.is_none_or(|until| until > now) {
            return;
        }
        self.until = None;
        let exam = EXAMS.get(self.exam);
        if let Some((exam, Step::Hear(_, expect))) =
            exam.and_then(|exam| Some((exam, *exam.steps.get(self.step)?)))
        {
            let verdict = self.hold_against(expect);
            self.heard.clear();
            match verdict {
                Ok(()) => self.step += 1,
                Err(why) => self.conclude(exam, why),
            }
        }
        self.go_on(now);
    }

    /// The next thing to say.
    pub fn poll_saying(&mut self) -> Option<Saying> {
        self.sayings.pop_front()
    }

    /// The next finding.
    pub fn poll_finding(&mut self) -> Option<Finding> {
        self.findings.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is wanted; none at the end.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.until
    }

    /// Says what is to be said, up to the next moment of listening.
    fn go_on(&mut self, now: Instant) {
        while let Some(exam) = EXAMS.get(self.exam) {
            match exam.steps.get(self.step) {
                Some(Step::Say(mouth, target, words)) => {
                    self.asked_from = *mouth;
                    self.sayings.push_back(Saying {
                        mouth: *mouth,
                        target: *target,
                        bytes: self.bytes_of(*words),
                    });
                    self.step += 1;
                }
                Some(Step::Hear(millis, _)) => {
                    self.until = Some(now + Duration::from_millis(*millis));
                    return;
                }
                None => {
                    self.conclude(exam, String::new());
                    self.until = Some(now + BREAK);
                    return;
                }
            }
        }
    }

    /// The exam is over; `why` it was not right, if it was not.
    fn conclude(&mut self, exam: &Exam, why: String) {
        let grade = match exam.weight {
            _ if why.is_empty() => Grade::Right,
            Weight::Rule => Grade::Wrong,
            Weight::Advice => Grade::Advice,
        };
        self.findings.push_back(Finding {
            rule: exam.rule,
            title: exam.title,
            grade,
            why,
        });
        self.exam += 1;
        self.step = 0;
        self.heard.clear();
    }

    fn hold_against(&self, expect: Expect) -> Result<(), String> {
        match expect {
            Expect::Anything => Ok(()),
            Expect::Silence => self.none_of("a word", |_| true),
            Expect::NoAnswer => self.none_of("an answer", Heard::is_answer),
            Expect::OneVote => self.one_vote(),
            Expect::OneAnswer => self.one_answer(),
            Expect::FullLength => self.full_length(),
            Expect::Chance => self.chance(),
        }
    }

    fn none_of(&self, what: &str, is_such: impl Fn(&Heard) -> bool) -> Result<(), String> {
        match self.heard.iter().find(|heard| is_such(heard)) {
            Some(heard) => Err(format!("{what} came: {}", shown(&heard.bytes))),
            None => Ok(()),
        }
    }

    /// One vote, or the same again: a board may repeat it to whom it misses.
    fn one_vote(&self) -> Result<(), String> {
        let mut votes = self.heard.iter().filter(|heard| heard.is_vote());
        let Some(vote) = votes.next() else {
            return Err("no vote came".into());
        };
        let told = shown(&vote.bytes);
        let parsed = wire::parse(&vote.bytes);
        if let Some(other) = votes.find(|other| wire::parse(&other.bytes) != parsed) {
            return Err(format!(
                "two votes came, {told} and {}",
                shown(&other.bytes)
            ));
        }
        match parsed {
            Ok(Text::Vote(rank)) if rank.address == self.board && vote.at_port => Ok(()),
            Ok(Text::Vote(rank)) if rank.address == self.board => Err(format!(
                "the vote went to the asker's port, where no other board hears it: {told}"
            )),
            Ok(Text::Vote(_)) => Err(format!(
                "the vote names another address than {}: {told}",
                self.board
            )),
            _ => Err(format!("no vote from 1 to 10 in the form `# IP N`: {told}")),
        }
    }

    fn one_answer(&self) -> Result<(), String> {
        let answers: Vec<&Heard> = self.heard.iter().filter(|heard| !heard.is_vote()).collect();
        let [answer] = answers[..] else {
            return Err(match answers[..] {
                [] => "no answer came".into(),
                _ => format!(
                    "{} answers came, the last: {}",
                    answers.len(),
                    last(&answers)
                ),
            });
        };
        let told = shown(&answer.bytes);
        let asked_at_port = self.asked_from == Mouth::Port;
        match wire::parse(&answer.bytes) {
            Ok(Text::Answer { address, .. }) if address != self.board => Err(format!(
                "the answer names another address than {}: {told}",
                self.board
            )),
            Ok(Text::Answer { .. }) if answer.at_port != asked_at_port => Err(format!(
                "the answer did not go to the port that asked: {told}"
            )),
            Ok(Text::Answer { .. }) => Ok(()),
            _ => Err(format!(
                "no answer of the form `NAME on board IP is the master` in 40 bytes: {told}"
            )),
        }
    }

    fn full_length(&self) -> Result<(), String> {
        match self.heard.iter().find(|heard| heard.is_vote()) {
            Some(vote) if vote.bytes.len() == MESSAGE_LEN => Ok(()),
            Some(vote) => Err(format!(
                "the vote has {} bytes: {}",
                vote.bytes.len(),
                shown(&vote.bytes)
            )),
            None => Err("no vote came".into()),
        }
    }

    fn chance(&self) -> Result<(), String> {
        let rounds: u32 = self.drawn.iter().sum();
        match self.drawn.iter().position(|&count| count == rounds) {
            Some(number) if rounds > 1 => Err(format!("it voted {number} in all {rounds} rounds")),
            _ => Ok(()),
        }
    }

    fn bytes_of(&self, words: Words) -> Vec<u8> {
        let vote = |vote, address| wire::build(Text::Vote(Rank { vote, address }), true).to_vec();
        let board = self.board;
        match words {
            Words::Bare(bytes) => bytes.to_vec(),
            Words::Padded(bytes) => {
                let mut padded = bytes.to_vec();
                padded.resize(MESSAGE_LEN, 0);
                padded
            }
            Words::Above => vote(10, above(board)),
            Words::Below if self.number > 1 => vote(self.number - 1, above(board)),
            Words::Below | Words::TieBelow => vote(self.number, below(board)),
            Words::TieAbove => vote(self.number, above(board)),
            Words::Impostor => vote(10, board),
        }
    }
}

/// A higher address of the same /24; if there is one, one that comes first
/// when compared as text (10 after 9). From .254 it is the next network's.
fn above(board: Ipv4Addr) -> Ipv4Addr {
    let [a, b, c, last] = board.octets();
    let as_text = |number: u8| number.to_string();
    let higher = || last.saturating_add(1)..=254;
    let chosen = higher()
        .find(|&number| as_text(number) < as_text(last))
        .or_else(|| higher().next());
    chosen.map_or_else(
        || Ipv4Addr::from(u32::from(board).saturating_add(2)),
        |number| Ipv4Addr::new(a, b, c, number),
    )
}

/// A lower address: the next one down.
fn below(board: Ipv4Addr) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(board).saturating_sub(1))
}

fn last(heard: &[&Heard]) -> String {
    heard
        .last()
        .map(|heard| shown(&heard.bytes))
        .unwrap_or_default()
}

/// Bytes as a person reads them: the text, and how many there are in all.
fn shown(bytes: &[u8]) -> String {
    let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    let counted = match bytes.len() {
        len if len == text.len() => String::new(),
        len => format!(", {len} bytes in all"),
    };
    format!("\"{}\"{counted}", text::visible(text))
}

#[cfg(test)]
#[path = "examiner_tests.rs"]
mod tests;
