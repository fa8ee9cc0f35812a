//! What a board tells of itself: for people, and as JSON.

use super::Counts;
use super::place::Place;
use crate::election::{Board, Change, Rank, Role};
use crate::json;
use crate::time::{Duration, Instant};
use core::fmt::Write;

/// All there is to tell.
pub(super) struct Status<'a> {
    pub(super) board: &'a Board,
    pub(super) place: Option<&'a Place>,
    /// Why there is no place.
    pub(super) absent: Option<String>,
    pub(super) counts: &'a Counts,
    pub(super) started: Instant,
    pub(super) now: Instant,
}

/// Of the program that runs, which after an installation need not be the one on
/// disk.
const VERSION: &str = env!("CARGO_PKG_VERSION");

// Writing to a `String` cannot fail, so what `write!` gives is not looked at.
impl Status<'_> {
    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let (board, config) = (self.board, self.board.config());
        let _ = match self.place {
            Some(place) => writeln!(
                text,
                "{} on board {} ({}), UDP port {}",
                config.name, place.address, place.interface, config.port
            ),
            None => writeln!(
                text,
                "{}, UDP port {}; no network: {}",
                config.name,
                config.port,
                self.absent.as_deref().unwrap_or("not looked for yet")
            ),
        };
        let _ = writeln!(text, "version   {VERSION}");
        let _ = writeln!(text, "role      {}", board.role());
        let _ = writeln!(text, "round     {}", board.epoch());
        if let Some(vote) = board.vote() {
            let _ = writeln!(text, "vote      {vote}");
        }
        let _ = match board.master() {
            Some(master) => writeln!(text, "master    {}", Known(master)),
            None => writeln!(text, "master    none known"),
        };
        if let Some(failover) = config.failover {
            let (interval, patience) = (failover.interval, failover.patience);
            let _ = writeln!(text, "failover  interval {interval}, patience {patience}");
        }
        if let Some(lease) = board.lease(self.now) {
            let (boards, granted) = (lease.boards, lease.granted);
            let _ = match (board.role(), lease.waits) {
                (Role::Master, _) => writeln!(text, "quorum    {granted} of {boards} grant"),
                (_, true) => writeln!(text, "quorum    waits: {granted} of {boards} grant"),
                _ => writeln!(text, "quorum    of {boards} boards"),
            };
        }
        let up = seconds(self.now - self.started);
        let _ = writeln!(text, "up        {up} s");
        for (peer, ballot) in board.boards().take(BOARDS_MAX) {
            let _ = write!(text, "board     {}", peer.address);
            if let Some(ballot) = ballot {
                let _ = write!(text, ", vote {}", ballot.rank.vote);
            }
            text.push_str(if peer.old { ", old program" } else { "" });
            text.push_str(if peer.gone { ", gone\n" } else { "\n" });
        }
        for (name, count) in self.counters().filter(|&(_, count)| count > 0) {
            let _ = writeln!(text, "counter   {name} {count}");
        }
        for change in board.history() {
            let ago = seconds(self.now - change.at);
            let _ = writeln!(text, "change    {ago} s ago: {}", Told(change));
        }
        text
    }

    /// As one JSON object in a line. Times are milliseconds.
    pub(super) fn json(&self) -> String {
        let (board, config) = (self.board, self.board.config());
        let mut text = format!(
            r#"{{"version":"{VERSION}","name":{},"port":{},"role":"{}","epoch":{},"vote":{}"#,
            json::string(&config.name),
            config.port,
            board.role(),
            board.epoch(),
            or_null(board.vote())
        );
        let place = self.place;
        let _ = write!(
            text,
            r#","address":{},"broadcast":{},"interface":{}"#,
            or_null(place.map(|place| format!("\"{}\"", place.address))),
            or_null(place.map(|place| format!("\"{}\"", place.broadcast))),
            or_null(place.map(|place| json::string(&place.interface)))
        );
        let _ = write!(text, r#","master":{}"#, or_null(board.master().map(rank)));
        if let Some(failover) = config.failover {
            let _ = write!(
                text,
                r#","interval_ms":{},"patience_ms":{}"#,
                failover.interval.micros() / 1_000,
                failover.patience.micros() / 1_000
            );
        }
        if let Some(lease) = board.lease(self.now) {
            let _ = write!(
                text,
                r#","quorum":{},"granted":{},"waits_for_lease":{}"#,
                lease.boards, lease.granted, lease.waits
            );
        }
        let _ = write!(
            text,
            r#","up_ms":{},"boards":["#,
            (self.now - self.started).micros() / 1_000
        );
        for (index, (peer, ballot)) in board.boards().take(BOARDS_MAX).enumerate() {
            let _ = write!(
                text,
                r#"{}{{"address":"{}","vote":{},"old":{},"gone":{}}}"#,
                comma(index),
                peer.address,
                or_null(ballot.map(|ballot| ballot.rank.vote)),
                peer.old,
                peer.gone
            );
        }
        text.push_str(r#"],"counters":{"#);
        for (index, (name, count)) in self.counters().enumerate() {
            let _ = write!(text, r#"{}"{name}":{count}"#, comma(index));
        }
        text.push_str(r#"},"changes":["#);
        for (index, change) in board.history().enumerate() {
            text.push_str(comma(index));
            self.change(&mut text, change);
        }
        text.push_str("]}\n");
        text
    }

    fn change(&self, text: &mut String, change: &Change) {
        let _ = write!(
            text,
            r#"{{"ago_ms":{},"role":"{}","epoch":{},"vote":{},"master":{},"cause":{}}}"#,
            (self.now - change.at).micros() / 1_000,
            change.role,
            change.epoch,
            or_null(change.own.map(|own| own.vote)),
            or_null(change.master.map(rank)),
            json::string(&change.cause.to_string())
        );
    }

    fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.board.counters().all().chain(self.counts.all())
    }
}

fn or_null<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "null".into(), |value| value.to_string())
}

fn rank(rank: Rank) -> String {
    let vote = or_null((rank.vote > 0).then_some(rank.vote));
    format!(r#"{{"address":"{}","vote":{vote}}}"#, rank.address)
}

const fn comma(index: usize) -> &'static str {
    if index == 0 { "" } else { "," }
}

/// Seconds with three places.
fn seconds(span: Duration) -> String {
    let ms = span.micros() / 1_000;
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

/// A master, whose vote may be unknown.
struct Known(Rank);

impl core::fmt::Display for Known {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0.vote {
            0 => self.0.address.fmt(f),
            _ => self.0.fmt(f),
        }
    }
}

/// A change of the history, in a line.
struct Told<'a>(&'a Change);

impl core::fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let change = self.0;
        write!(f, "{} in round {}", change.role, change.epoch)?;
        match (change.role, change.master) {
            (Role::Slave, Some(master)) => write!(f, " of {}", Known(master))?,
            (Role::Slave, None) => f.write_str(", no master")?,
            (Role::Master, _) => {}
        }
        write!(f, ": {}", change.cause)
    }
}

/// Boards told of; the table may hold more.
const BOARDS_MAX: usize = 256;
