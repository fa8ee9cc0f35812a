//! The table that `watch` draws, as lines of text that fit the terminal.

use crate::election::client::fit_for_terminal;
use crate::election::onlooker::{Onlooker, Row, Standing};
use crate::time::{Duration, Instant};
use std::collections::VecDeque;

/// A row whose vote or role changed within this time is marked.
const MARKED: Duration = Duration::from_secs(3);

/// A line and whether it is to stand out.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// The text, never wider than the terminal.
    pub text: String,
    /// Bold where that can be.
    pub bold: bool,
}

/// What is shown besides the table itself.
pub struct Surroundings<'a> {
    /// The present.
    pub now: Instant,
    /// The election's port.
    pub port: u16,
    /// What happened, oldest first.
    pub events: &'a VecDeque<String>,
}

/// Draws the table for a terminal of `columns` by `rows`. The last column stays
/// free, since terminals differ in what happens there.
pub fn draw(
    onlooker: &Onlooker,
    around: &Surroundings<'_>,
    columns: usize,
    rows: usize,
) -> Vec<Line> {
    let width = columns.saturating_sub(1);
    let mut boards: Vec<(&Row, Standing)> = onlooker.boards().collect();
    boards.sort_by_key(|(row, standing)| (*standing != Standing::Master, row.address));
    let mut lines = vec![
        Line::new(summary(onlooker, &boards, around.port, width), true),
        Line::new(masters(&boards), false),
        Line::new(String::new(), false),
        Line::new(Columns::of(width).header(), true),
    ];
    // The last line tells how to end; a very low screen shows boards instead.
    let footer = usize::from(rows > FOOTER_FROM);
    let room = rows.saturating_sub(lines.len() + footer);
    let shown = if boards.len() > room {
        room.saturating_sub(1)
    } else {
        boards.len()
    };
    for (row, standing) in boards.iter().take(shown) {
        lines.push(Columns::of(width).row(row, *standing, around.now));
    }
    if shown < boards.len() {
        lines.push(Line::new(
            format!("  and {} more", boards.len() - shown),
            false,
        ));
    }
    let room = rows.saturating_sub(lines.len() + footer + 1);
    if room > 0 && !around.events.is_empty() {
        lines.push(Line::new(String::new(), false));
        let mut folded = Vec::new();
        for event in around.events {
            for line in fold(event, width).into_iter().flatten() {
                folded.push(line);
            }
        }
        let skipped = folded.len().saturating_sub(room);
        let shown = folded.into_iter().skip(skipped);
        lines.extend(shown.map(|line| Line::new(line, false)));
    }
    if footer == 1 {
        lines.resize_with(rows - 1, || Line::new(String::new(), false));
        lines.push(Line::new("q ends".into(), false));
    }
    lines.truncate(rows);
    for line in &mut lines {
        line.text = cut(&line.text, width);
    }
    lines
}

/// Screens of fewer rows have no footer.
const FOOTER_FROM: usize = 6;

impl Line {
    const fn new(text: String, bold: bool) -> Self {
        Self { text, bold }
    }
}

/// The first line; a narrow screen does without the program's name.
fn summary(onlooker: &Onlooker, boards: &[(&Row, Standing)], port: u16, width: usize) -> String {
    let count = match boards.len() {
        0 => "no board heard yet".into(),
        1 => "1 board".into(),
        count => format!("{count} boards"),
    };
    let told = match onlooker.epoch().0 {
        0 => format!("port {port}: {count}"),
        epoch => format!("port {port}: {count}, epoch {epoch}"),
    };
    let long = format!("boardroom on {told}");
    if width_of(&long) <= width { long } else { told }
}

fn masters(boards: &[(&Row, Standing)]) -> String {
    let mut masters = boards
        .iter()
        .filter(|(_, standing)| *standing == Standing::Master);
    match (masters.next(), masters.count()) {
        (None, _) => "Nobody has said to be the master.".into(),
        (Some((row, _)), 0) => match &row.name {
            Some(name) => format!(
                "{} on {} is the master.",
                fit_for_terminal(name),
                row.address
            ),
            None => format!("{} is the master.", row.address),
        },
        (Some(_), more) => format!("{} boards say that they are the master!", more + 1),
    }
}

/// Which columns there is room for.
struct Columns {
    name: usize,
    epoch: bool,
}

impl Columns {
    /// 36 columns are the least; then comes the epoch, then the name.
    const fn of(width: usize) -> Self {
        let epoch = width >= LEAST + EPOCH;
        Self {
            epoch,
            name: if width >= LEAST + EPOCH + NAME_LEAST {
                let room = width - LEAST - EPOCH;
                if room < NAME_MOST { room } else { NAME_MOST }
            } else {
                0
            },
        }
    }

    fn line(&self, mark: char, cells: [&str; 6]) -> String {
        let [address, name, role, vote, epoch, heard] = cells;
        let mut line = format!("{mark} {address:<15} ");
        if self.name > 0 {
            let name = cut(name, self.name - 1);
            let gap = self.name.saturating_sub(width_of(&name));
            line.push_str(&name);
            line.extend(core::iter::repeat_n(' ', gap));
        }
        line.push_str(&format!("{role:<7} {vote:>4} "));
        if self.epoch {
            line.push_str(&format!("{epoch:>10} "));
        }
        line.push_str(&format!("{heard:>5}"));
        line
    }

    fn header(&self) -> String {
        self.line(' ', ["ADDRESS", "NAME", "ROLE", "VOTE", "EPOCH", "HEARD"])
    }

    fn row(&self, row: &Row, standing: Standing, now: Instant) -> Line {
        let is_new = now - row.changed < MARKED;
        let name = row.name.as_deref().map_or(String::new(), fit_for_terminal);
        let vote = row.vote.map_or("-".into(), |vote| vote.to_string());
        let epoch = row.epoch.map_or("-".into(), |epoch| epoch.to_string());
        let heard = age(now - row.heard);
        let address = row.address.to_string();
        let mark = if is_new { '*' } else { ' ' };
        let cells = [&address, &name, standing.word(), &vote, &epoch, &heard];
        Line::new(self.line(mark, cells), standing == Standing::Master)
    }
}

const LEAST: usize = 2 + 16 + 8 + 5 + 5;
const EPOCH: usize = 11;
const NAME_LEAST: usize = 8;
const NAME_MOST: usize = 28;

/// How long ago, in at most five columns.
fn age(span: Duration) -> String {
    match span.micros() / 1_000_000 {
        0 => "now".into(),
        seconds @ 1..=99 => format!("{seconds} s"),
        seconds @ 100..=5_999 => format!("{} m", seconds / 60),
        seconds @ 6_000..=359_999 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", (seconds / 86_400).min(999)),
    }
}

/// An event that is longer than a line, as two.
fn fold(event: &str, width: usize) -> [Option<String>; 2] {
    let head = cut(event, width);
    if head.len() == event.len() {
        return [Some(head), None];
    }
    // A word may end just where the line does.
    let break_at = match event.get(head.len()..) {
        Some(rest) if !rest.starts_with(' ') => head.rfind(' '),
        _ => None,
    };
    let break_at = break_at.filter(|&at| at >= EVENT_INDENT);
    let (first, rest) = event
        .split_at_checked(break_at.unwrap_or(head.len()))
        .unwrap_or((event, ""));
    let rest = format!("{:EVENT_INDENT$}{}", "", rest.trim_start());
    [Some(first.into()), Some(rest)]
}

/// Where an event's text begins, behind its time.
const EVENT_INDENT: usize = 10;

/// `text` cut to `width` columns.
fn cut(text: &str, width: usize) -> String {
    let mut used = 0;
    text.chars()
        .take_while(|&c| {
            used += columns_of(c);
            used <= width
        })
        .collect()
}

fn width_of(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// East Asian letters and pictures take two columns; the rest is taken for one.
fn columns_of(c: char) -> usize {
    if c < '\u{1100}' { 1 } else { 2 }
}

#[cfg(test)]
#[path = "watch_table_tests.rs"]
mod tests;
