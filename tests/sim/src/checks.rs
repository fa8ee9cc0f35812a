//! The properties that must hold at every moment (S1, S3–S6), each under its
//! own name. What must hold at the end of a phase is asked in `schedule.rs`.

use crate::host::Host;
use crate::packet::Packet;
use crate::queue::Micros;
use boardroom::election::peers::Peer;
use boardroom::election::wire::{self, Text};
use boardroom::election::{Board, Cause, Change, Epoch, Rank, Role};
use boardroom::time::Instant;
use std::collections::VecDeque;

/// A property that did not hold.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which one.
    pub property: &'static str,
    /// When.
    pub at: Micros,
    /// What was seen instead.
    pub what: String,
}

/// Own votes and VOTEs by broadcast in any second (R8).
const BROADCASTS_A_SECOND: usize = 20;
/// Own votes by unicast in any second (R8).
const UNICASTS_A_SECOND: usize = 50;
/// Datagrams out of one turn of the loop: a full table's worth of repeats and
/// kept questions, not more.
const SENT_A_TURN_MAX: u32 = 256;
/// Clocks run up to 1 % fast: a board's second may be so short.
const SECOND_US: Micros = 989_000;
/// A timer may set another one for the same moment, but not for ever.
const SPINS_MAX: u32 = 4;
/// Questions by broadcast before a woken master takes office again (F5).
const QUESTIONS_OF_THE_WOKEN: u32 = 5;

/// A datagram that a host sends.
#[derive(Clone, Copy)]
pub struct Said<'a> {
    /// All of it.
    pub packet: &'a Packet,
    /// What it says.
    pub text: Result<Text<'a>, wire::Invalid>,
    /// It is broadcast.
    pub everybody: bool,
}

/// What is remembered of a host.
#[derive(Default)]
struct Track {
    office: Option<Rank>,
    epoch: Epoch,
    /// Votes as they were heard since the present epoch began.
    votes: Vec<Packet>,
    broadcasts: VecDeque<Micros>,
    unicasts: VecDeque<Micros>,
    answers: Vec<(u16, Micros)>,
    claims: VecDeque<Micros>,
    before: Option<(State, bool)>,
    /// Questions that a woken master must still ask before it claims (F5), and
    /// the epoch in which it was stopped.
    must_ask: Option<(u32, Epoch)>,
    /// When a deadline last fired, and how often in a row at that moment.
    spins: (Instant, u32),
    changes: u32,
    vote_broadcasts: u32,
    /// The round in which this board last was master.
    won: Option<Epoch>,
    /// The round that was lost (plain mode).
    lost: Option<Epoch>,
}

/// What a datagram that is no message must leave as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct State {
    role: Role,
    epoch: Epoch,
    vote: Option<u8>,
    master: Option<Rank>,
    timeout: Option<Instant>,
    boards: usize,
}

impl State {
    fn of(board: &Board) -> Self {
        Self {
            role: board.role(),
            epoch: board.epoch(),
            vote: board.vote(),
            master: board.master(),
            timeout: board.poll_timeout(),
            boards: board.boards().count(),
        }
    }
}

/// The watchers.
#[derive(Default)]
pub struct Checks {
    /// The first property that did not hold.
    pub violation: Option<Violation>,
    /// A woken board must have slept longer than this to be held to S6; zero
    /// switches it off.
    pub long_sleep: Micros,
    /// Whether a majority grants the mastership: never two (S7).
    pub quorum: bool,
    /// Whether there is a key: what is not genuine and new changes nothing (S8).
    pub keyed: bool,
    /// Whether a vote counts only if it comes from its board's address.
    pub strict: bool,
    /// The claims' interval, if there are claims.
    pub interval: Micros,
    tracks: Vec<Track>,
}

impl Checks {
    /// Watches one host more.
    pub fn add_host(&mut self) {
        self.tracks.push(Track::default());
    }

    /// The host's process is gone, and what was remembered of it.
    pub fn forget(&mut self, at: usize) {
        let track = &mut self.tracks[at];
        *track = Track {
            changes: track.changes,
            vote_broadcasts: track.vote_broadcasts,
            ..Track::default()
        };
    }

    /// Notes that a property does not hold; the first one counts.
    pub fn fail(&mut self, property: &'static str, at: Micros, what: String) {
        self.violation
            .get_or_insert(Violation { property, at, what });
    }

    /// Changes of role of all hosts so far.
    pub fn changes(&self) -> u32 {
        self.tracks.iter().map(|track| track.changes).sum()
    }

    /// Votes that each host has broadcast so far.
    pub fn vote_broadcasts(&self) -> Vec<u32> {
        self.tracks
            .iter()
            .map(|track| track.vote_broadcasts)
            .collect()
    }

    /// A process that was stopped goes on after `slept`.
    pub fn resumed(&mut self, host: &Host, at: usize, slept: Micros) {
        let in_office = host.program.office().is_some();
        if let Some(board) = host.program.board()
            && in_office
            && self.long_sleep > 0
            && slept > self.long_sleep
        {
            self.tracks[at].must_ask = Some((QUESTIONS_OF_THE_WOKEN, board.epoch()));
        }
    }

    /// A board has told of a change.
    pub fn on_change(&mut self, at: usize, change: &Change) {
        let settled = matches!(change.cause, Cause::Settled | Cause::HigherVote(_));
        if change.role == Role::Slave && settled && change.master.is_some() {
            self.tracks[at].lost = Some(change.epoch);
        }
    }

    /// Before a datagram is handed over: `junk` is no message; a `worthless` one
    /// is, where there is a key, forged, or a recording of what this process was
    /// given already or never lived to hear.
    pub fn before_datagram(&mut self, at: usize, host: &Host, junk: bool, worthless: bool) {
        let Some(board) = host.program.board() else {
            return;
        };
        if junk || worthless {
            self.tracks[at].before = Some((State::of(board), junk));
        }
    }

    /// After a datagram was handed over.
    pub fn after_datagram(&mut self, at: usize, host: &Host, packet: &Packet, now: Micros) {
        let Some(board) = host.program.board() else {
            return;
        };
        if let Some((mut before, junk)) = self.tracks[at].before.take() {
            let after = State::of(board);
            if !junk {
                // It may bring a challenge, and that a timer.
                before.timeout = after.timeout;
                before.boards = after.boards;
            }
            let from = *packet.from.ip();
            let taken_for_old = |(peer, _): (&Peer, _)| peer.address == from && peer.old;
            if board.boards().any(taken_for_old) {
                // Any word of an old master is a sign of life (F6).
                before.timeout = after.timeout;
            }
            if after != before {
                let bytes = crate::packet::Shown(packet.bytes());
                let what = format!("{bytes} turned {before:?} into {after:?}");
                let property = if junk {
                    "S5 junk changes nothing"
                } else {
                    "S8 no forgery, no replay"
                };
                self.fail(property, now, what);
            }
        }
        self.tracks[at].hear(board, packet);
    }

    /// After a deadline was handled.
    pub fn after_timeout(&mut self, at: usize, host: &Host, local: Instant, now: Micros) {
        let spins = &mut self.tracks[at].spins;
        match host.program.timeout() {
            Some(deadline) if deadline <= local && spins.0 == local => spins.1 += 1,
            _ => *spins = (local, 0),
        }
        if let Some(deadline) = host.program.timeout()
            && spins.1 >= SPINS_MAX
        {
            let timers = host.program.board().map_or_else(String::new, |board| {
                let text = format!("{board:?}");
                let from = text.find("timers: ").unwrap_or(0);
                text[from..].chars().take(300).collect()
            });
            let what = format!("host {at}: {deadline:?} is not after {local:?}; {timers}");
            self.fail("T1 a fired timer is armed again", now, what);
        }
    }

    /// A host sends a datagram, its `sent`-th of this turn.
    pub fn on_transmit(&mut self, at: usize, host: &Host, said: Said<'_>, now: Micros, sent: u32) {
        let Some(board) = host.program.board() else {
            return;
        };
        if sent > SENT_A_TURN_MAX {
            let what = format!("host {at} sent {sent} datagrams in one turn");
            self.fail("S4 bounded queues", now, what);
        }
        let limits = self.tracks[at].limit(said, self.interval, now);
        if let Some(what) = limits {
            self.fail(
                "S3 own traffic is limited",
                now,
                format!("host {at}: {what}"),
            );
        }
        // Who gave its lease up in this turn may have spoken as master before,
        // and says that before it tells of giving up.
        let resigned = !board.in_office() && self.tracks[at].office.is_some();
        let checked = self.quorum && !resigned;
        if let Some(what) = without_lease(host, board, said).filter(|_| checked) {
            self.fail(
                "S7 no master without its lease",
                now,
                format!("host {at} {what}"),
            );
        }
        if let Some(what) = self.tracks[at].speak(board, said) {
            self.fail(
                "S6 the woken listen first",
                now,
                format!("host {at}: {what}"),
            );
        }
    }

    /// After a turn: returns how the role changed, if it did.
    pub fn after_turn(&mut self, at: usize, host: &Host, now: Micros) -> Option<String> {
        let track = &mut self.tracks[at];
        let office = host.program.office();
        if let Some(board) = host.program.board() {
            if board.epoch() != track.epoch {
                track.epoch = board.epoch();
                track.votes.clear();
            }
            // Who needs the lease may have settled long before it has it.
            let outranked = office
                .filter(|_| track.office.is_none() && !self.quorum && !self.keyed)
                // Who takes office again after a pause has claimed before.
                .filter(|_| track.won != Some(board.epoch()))
                .and_then(|own| track.higher_than(own, self.strict));
            if office.is_some() {
                track.won = Some(board.epoch());
            }
            if let Some(higher) = outranked {
                let what = format!("host {at} took office, but had heard {higher} in its epoch");
                self.fail("S1 the master is the highest it heard", now, what);
            }
        }
        let track = &mut self.tracks[at];
        let promoted = office.is_some() && track.lost == Some(track.epoch);
        if promoted && self.interval == 0 {
            let what = format!("host {at} lost round {} and is its master", track.epoch);
            self.fail("R5 lower votes never promote", now, what);
        }
        let track = &mut self.tracks[at];
        if office.is_some() && track.still_must_ask() {
            let what = format!("host {at} is master again before it has asked");
            self.fail("S6 the woken listen first", now, what);
        }
        let track = &mut self.tracks[at];
        if office == track.office {
            return None;
        }
        let was = core::mem::replace(&mut track.office, office);
        match (was, office) {
            (None, Some(rank)) => {
                track.changes += 1;
                Some(format!("is master ({rank})"))
            }
            (Some(_), None) => {
                track.changes += 1;
                Some("is slave".into())
            }
            (_, Some(rank)) => Some(format!("is still master ({rank})")),
            (_, None) => None,
        }
    }
}

impl Track {
    /// Remembers a vote; it is looked at only when the board takes office.
    fn hear(&mut self, board: &Board, packet: &Packet) {
        // What comes from the board's own address is its echo, or passes for it.
        let own = board.network().map(|network| network.address);
        if packet.bytes().first() != Some(&b'#') || own == Some(*packet.from.ip()) {
            return;
        }
        if board.epoch() != self.epoch {
            self.epoch = board.epoch();
            self.votes.clear();
        }
        self.votes.push(*packet);
    }

    /// The highest vote heard in this epoch, if it is above `own`; the last one
    /// of an address stands.
    fn higher_than(&self, own: Rank, strict: bool) -> Option<Rank> {
        let mut standing: Vec<Rank> = Vec::new();
        for packet in &self.votes {
            let Ok(Text::Vote(rank)) = wire::parse(packet.bytes()) else {
                continue;
            };
            if rank.address == own.address {
                continue;
            }
            if *packet.from.ip() != rank.address {
                if !strict {
                    // Another spoke for it, a bit being flipped: that may stand.
                    standing.retain(|other| other.address != rank.address);
                }
                continue;
            }
            let sealed = wire::trailer(packet.bytes()).filter(|(_, tag)| {
                wire::signed_part(packet.bytes()).map(wire::checksum) == Some(*tag)
            });
            match sealed {
                Some((trailer, _)) if trailer.epoch != self.epoch => {}
                Some(_) => {
                    standing.retain(|other| other.address != rank.address);
                    standing.push(rank);
                }
                // An old program at the same address: its vote stands instead.
                None => standing.retain(|other| other.address != rank.address),
            }
        }
        let highest = standing.into_iter().max_by_key(|rank| height(*rank))?;
        (height(highest) > height(own)).then_some(highest)
    }

    /// Says which of R8's limits this datagram breaks.
    fn limit(&mut self, said: Said<'_>, interval: Micros, now: Micros) -> Option<String> {
        let everybody = said.everybody;
        match said.text {
            Ok(text @ (Text::Vote(_) | Text::Call)) if everybody => {
                self.vote_broadcasts += u32::from(matches!(text, Text::Vote(_)));
                let over = exceeds(&mut self.broadcasts, BROADCASTS_A_SECOND, SECOND_US, now);
                over.then(|| format!("more than {BROADCASTS_A_SECOND} broadcasts in a second"))
            }
            Ok(Text::Vote(_)) => {
                let over = exceeds(&mut self.unicasts, UNICASTS_A_SECOND, SECOND_US, now);
                over.then(|| format!("more than {UNICASTS_A_SECOND} unicast votes in a second"))
            }
            Ok(Text::Claim(_)) if everybody && interval > 0 => {
                // Ten intervals hold ten claims, and a few more when the
                // office changed hands or somebody asked.
                let over = exceeds(&mut self.claims, 40, interval * 10, now);
                over.then(|| "more than 40 claims in ten intervals".into())
            }
            Ok(Text::Answer { .. }) if everybody => {
                let port = said.packet.to.port();
                self.answers.retain(|(_, at)| now - at < 49_000);
                let again = self.answers.iter().any(|(other, _)| *other == port);
                self.answers.push((port, now));
                again.then(|| format!("two broadcast answers to port {port} within 50 ms"))
            }
            _ => None,
        }
    }

    /// Says what a woken board says too early.
    fn speak(&mut self, board: &Board, said: Said<'_>) -> Option<String> {
        let (questions, epoch) = self.must_ask?;
        if board.epoch() != epoch {
            self.must_ask = None;
            return None;
        }
        match said.text {
            Ok(Text::Whois) if said.everybody => {
                self.must_ask = (questions > 1).then_some((questions - 1, epoch));
                None
            }
            // It has heard of another master: a vote is its own again.
            Ok(Text::Vote(_)) if board.role() == Role::Slave => None,
            Ok(Text::Claim(_) | Text::Answer { .. } | Text::Vote(_)) => Some(format!(
                "says {} with {questions} questions unasked",
                wire::text_of(said.packet.bytes()).escape_ascii()
            )),
            _ => None,
        }
    }

    fn still_must_ask(&self) -> bool {
        self.must_ask.is_some_and(|(_, epoch)| epoch == self.epoch)
    }
}

/// The order of ranks, told apart from the product's own: the vote, then the
/// address as a number.
pub fn height(rank: Rank) -> (u8, u32) {
    (rank.vote, u32::from(rank.address))
}

/// Says what a board says as master without being granted that (Q4).
fn without_lease(host: &Host, board: &Board, said: Said<'_>) -> Option<String> {
    let masterly = matches!(said.text, Ok(Text::Claim(_) | Text::Answer { .. }));
    let text = || {
        wire::text_of(said.packet.bytes())
            .escape_ascii()
            .to_string()
    };
    (masterly && !board.is_master(host.last_turn))
        .then(|| format!("says {} without a lease", text()))
}

/// Counts one more event; true if there were more than `max` within `span`.
fn exceeds(times: &mut VecDeque<Micros>, max: usize, span: Micros, now: Micros) -> bool {
    times.push_back(now);
    if times.len() <= max {
        return false;
    }
    let first = times.pop_front().unwrap_or(now);
    now - first < span
}
