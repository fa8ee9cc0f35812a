//! The log: one line an event, to standard error or to the system's log, and
//! never more than one line a second for one reason.

use super::output::Output;
use crate::table::Table;
use crate::time::{Duration, Instant};
use std::os::unix::net::UnixDatagram;

/// Where the log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard error.
    Stderr,
    /// The system's log, by its socket.
    Syslog,
}

/// How much a line matters, in the numbers of syslog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Someone should look into it.
    Warning = 4,
    /// It is good to know.
    Info = 6,
    /// Told with `-v` only.
    Detail = 7,
}

/// The log. Lines of one reason that come too soon are held: the latest is
/// told when its second is over, with the number of those that it stands for.
#[derive(Debug)]
pub struct Log {
    sink: Sink,
    verbose: bool,
    reasons: Table<&'static str, Reason>,
}

#[derive(Debug)]
enum Sink {
    Stderr(Output),
    /// Opened anew when the daemon behind it was started anew.
    Syslog(Option<UnixDatagram>),
}

#[derive(Debug)]
struct Reason {
    again: Instant,
    held: Option<(Level, String)>,
    skipped: u32,
}

impl Log {
    /// A log that goes to `target`, with details if `verbose`.
    pub fn new(target: Target, verbose: bool) -> Self {
        Self {
            sink: match target {
                Target::Stderr => Sink::Stderr(Output::stderr()),
                Target::Syslog => Sink::Syslog(connect()),
            },
            verbose,
            reasons: Table::new(),
        }
    }

    /// Whether details are told.
    pub const fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Tells a line. `reason` is what it is limited by; every line has one,
    /// and there are few of them.
    pub fn line(&mut self, now: Instant, level: Level, reason: &'static str, text: String) {
        if level == Level::Detail && !self.verbose {
            return;
        }
        let entry = self.reasons.entry(reason, || Reason {
            again: Instant::ZERO,
            held: None,
            skipped: 0,
        });
        if now < entry.again {
            if entry.held.replace((level, text)).is_some() {
                entry.skipped = entry.skipped.saturating_add(1);
            }
            return;
        }
        entry.again = now + APART;
        self.sink.write(level, &text);
    }

    /// Tells a line that is bounded elsewhere.
    pub fn tell(&mut self, level: Level, text: &str) {
        self.sink.write(level, text);
    }

    /// When a held line is due.
    pub fn deadline(&self) -> Option<Instant> {
        let held = self.reasons.values().filter(|one| one.held.is_some());
        held.map(|one| one.again).min()
    }

    /// Tells the held lines that are due.
    pub fn tell_held(&mut self, now: Instant) {
        for reason in self.reasons.values_mut().filter(|one| one.again <= now) {
            if let Some((level, text)) = reason.held.take() {
                reason.again = now + APART;
                match core::mem::take(&mut reason.skipped) {
                    0 => self.sink.write(level, &text),
                    more => self
                        .sink
                        .write(level, &format!("{text} (and {more} more such lines)")),
                }
            }
        }
    }

    /// Tells everything that is held, at the end of the program.
    pub fn close(&mut self) {
        self.tell_held(Instant::from_micros(u64::MAX));
        self.flush();
    }

    /// Writes what waits for room, as far as it goes.
    pub fn flush(&mut self) {
        if let Sink::Stderr(output) = &mut self.sink {
            output.flush();
        }
    }

    /// Standard error, where lines wait for room in it.
    pub fn waiting(&self) -> Option<&Output> {
        match &self.sink {
            Sink::Stderr(output) if output.is_waiting() => Some(output),
            _ => None,
        }
    }
}

impl Sink {
    fn write(&mut self, level: Level, text: &str) {
        match self {
            Self::Stderr(output) => output.line(&format!("boardroom: {text}")),
            Self::Syslog(socket) => {
                let priority = FACILITY_DAEMON * 8 + level as u32;
                let line = format!("<{priority}>boardroom[{}]: {text}", std::process::id());
                // A log that is full, or away, is no reason to wait.
                if !send(socket, &line) {
                    *socket = connect();
                    send(socket, &line);
                }
            }
        }
    }
}

fn connect() -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    socket.connect(SYSLOG).ok()?;
    Some(socket)
}

fn send(socket: &Option<UnixDatagram>, line: &str) -> bool {
    socket
        .as_ref()
        .is_some_and(|socket| socket.send(line.as_bytes()).is_ok())
}

const SYSLOG: &str = "/dev/log";
const FACILITY_DAEMON: u32 = 3;
/// Lines of one reason are at least this far apart.
const APART: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn held(log: &Log, reason: &str) -> Option<String> {
        let (_, text) = log.reasons.get(reason)?.held.clone()?;
        Some(text)
    }

    #[test]
    fn one_line_a_second_for_one_reason_and_the_last_one_is_told() {
        let mut log = Log::new(Target::Syslog, false);
        let at = |ms: u64| Instant::from_micros(5_000_000 + ms * 1_000);
        log.line(at(0), Level::Info, "role", "slave".into());
        assert_eq!(log.deadline(), None);
        log.line(at(10), Level::Info, "role", "master".into());
        log.line(at(20), Level::Info, "role", "slave again".into());
        log.line(at(20), Level::Info, "address", "another reason".into());
        assert_eq!(held(&log, "role").unwrap(), "slave again");
        assert_eq!(held(&log, "address"), None);
        assert_eq!(log.deadline(), Some(at(1_000)));
        log.tell_held(at(999));
        assert_eq!(log.deadline(), Some(at(1_000)));
        log.tell_held(at(1_000));
        assert_eq!(log.deadline(), None);
        log.line(at(1_500), Level::Info, "role", "too soon again".into());
        assert_eq!(log.deadline(), Some(at(2_000)));
    }

    #[test]
    fn details_are_told_when_asked_for() {
        for verbose in [false, true] {
            let mut log = Log::new(Target::Syslog, verbose);
            log.line(Instant::ZERO, Level::Detail, "detail", "x".into());
            assert_eq!(log.reasons.len(), usize::from(verbose));
        }
    }
}
