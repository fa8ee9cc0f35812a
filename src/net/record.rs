//! `--record FILE`: everything that went into a board, and what came out, as
//! text. Since a board is a pure state machine, the file tells the whole story:
//! fed to another one of the same configuration it does the same.
//!
//! ```text
//! boardroom-record 1
//! config port=2000 strict=no answer=unicast failover=1s patience=500ms quorum=3 hook=yes keys=yes name=Peter
//! turn 81234567                          a turn of the loop begins: the clock, in µs
//! network 10.3.52.2 10.3.52.255          own address and broadcast address
//! network none
//! datagram 10.3.52.3:2000 564f5445       from, bytes (64 at most)
//! datagram 10.3.52.3:2000 2120 81230000  a claim that waited: when it came
//! refused 10.3.52.3:2000
//! timeout
//! resign
//! let-go                                 the hook has ended, after the office had
//! random 3735928559                      drawn while the line above was handled
//! sent 10.3.52.255:2000 2320…            output, to be compared
//! full                                   the file is at its limit; nothing follows
//! ```

use super::files::{self, OFlag};
use crate::election::{Answer, Config, Network, Transmit};
use crate::rng::Entropy;
use crate::time::Instant;
use core::fmt::{self, Write as _};
use core::net::SocketAddrV4;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// A record on its way to its file.
#[derive(Debug)]
pub struct Record {
    file: Option<File>,
    text: String,
    written: usize,
}

impl Record {
    /// Makes the file. A pipe without a reader is refused, and one whose reader
    /// sleeps ends the record: neither holds the board up.
    pub fn create(path: &Path) -> io::Result<File> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NONBLOCK;
        files::open(path, flags, files::PUBLIC)
    }

    /// Begins a record with the board's configuration.
    pub fn new(file: File, config: &Config) -> Self {
        let mut record = Self {
            file: Some(file),
            text: String::new(),
            written: 0,
        };
        record.line(format_args!("boardroom-record 1"));
        let answer = match config.answer {
            Answer::Unicast => "unicast",
            Answer::Broadcast => "broadcast",
        };
        let strict = if config.strict { "yes" } else { "no" };
        let port = config.port;
        let _ = write!(
            record.text,
            "config port={port} strict={strict} answer={answer}"
        );
        if let Some(failover) = config.failover {
            let (interval, patience) = (failover.interval, failover.patience);
            let _ = write!(record.text, " failover={interval} patience={patience}");
        }
        if let Some(boards) = config.quorum {
            let _ = write!(record.text, " quorum={boards}");
        }
        if config.has_hook {
            record.text.push_str(" hook=yes");
        }
        if config.keys.is_some() {
            // The key itself is nobody's business: such a record is for reading.
            record.text.push_str(" keys=yes");
        }
        record.line(format_args!(" name={}", config.name));
        record
    }

    /// A turn begins.
    pub fn turn(&mut self, now: Instant) {
        self.line(format_args!("turn {}", now.micros()));
    }

    /// The network changed.
    pub fn network(&mut self, network: Option<Network>) {
        match network {
            Some(Network { address, broadcast }) => {
                self.line(format_args!("network {address} {broadcast}"));
            }
            None => self.line(format_args!("network none")),
        }
    }

    /// A datagram came; `at` where that was before this turn.
    pub fn datagram(&mut self, from: SocketAddrV4, bytes: &[u8], at: Option<Instant>) {
        match at {
            Some(at) => self.line(format_args!(
                "datagram {from} {} {}",
                Hex(bytes),
                at.micros()
            )),
            None => self.line(format_args!("datagram {from} {}", Hex(bytes))),
        }
    }

    /// A datagram was refused.
    pub fn refused(&mut self, to: SocketAddrV4) {
        self.line(format_args!("refused {to}"));
    }

    /// A word that stands for itself: `timeout`, `resign`.
    pub fn word(&mut self, word: &'static str) {
        self.line(format_args!("{word}"));
    }

    /// A datagram went out.
    pub fn sent(&mut self, transmit: &Transmit) {
        self.line(format_args!(
            "sent {} {}",
            transmit.to,
            Hex(&transmit.bytes)
        ));
    }

    /// Numbers drawn since the last call.
    pub fn randoms(&mut self, source: &mut Source) {
        for number in source.drawn.drain(..) {
            let _ = writeln!(self.text, "random {number}");
        }
    }

    /// Writes what the turn brought. At its limit the record ends, and so it
    /// does at an error, which is told once.
    pub fn flush(&mut self) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            self.text.clear();
            return Ok(());
        };
        self.written += self.text.len();
        let is_full = self.written >= RECORD_MAX;
        if is_full {
            self.text.push_str("full\n");
        }
        let done = file.write_all(self.text.as_bytes());
        self.text.clear();
        if is_full || done.is_err() {
            self.file = None;
        }
        done
    }

    fn line(&mut self, text: fmt::Arguments<'_>) {
        let _ = self.text.write_fmt(text);
        self.text.push('\n');
    }
}

/// A source of random numbers that remembers what was drawn, if it is told to.
pub struct Source {
    inner: Box<dyn Entropy>,
    remembers: bool,
    drawn: Vec<u32>,
}

impl Source {
    /// Draws from `inner`.
    pub fn new(inner: Box<dyn Entropy>, remembers: bool) -> Self {
        Self {
            inner,
            remembers,
            drawn: Vec::new(),
        }
    }
}

impl Entropy for Source {
    fn next_u32(&mut self) -> u32 {
        let number = self.inner.next_u32();
        if self.remembers {
            self.drawn.push(number);
        }
        number
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No bytes at all: a sign that can be read back.
        if self.0.is_empty() {
            return f.write_str("-");
        }
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A record is no longer than this.
const RECORD_MAX: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seeded;
    use core::net::Ipv4Addr;

    #[test]
    fn a_record_reads_as_documented_and_ends_at_its_limit() {
        let path = std::env::temp_dir().join(format!("br-net-record-{}", std::process::id()));
        let config = Config {
            name: "Peter".into(),
            ..Config::default()
        };
        let mut record = Record::new(File::create(&path).unwrap(), &config);
        let mut source = Source::new(Box::new(Seeded::new(1)), true);
        let drawn = source.next_u32();
        let from = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 2000);
        record.turn(Instant::from_micros(7));
        record.network(Some(Network {
            address: *from.ip(),
            broadcast: Ipv4Addr::new(10, 0, 0, 255),
        }));
        record.datagram(from, b"VO\xff", None);
        record.randoms(&mut source);
        record.datagram(from, b"", Some(Instant::from_micros(5)));
        record.refused(from);
        record.word("timeout");
        record.network(None);
        record.flush().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            format!(
                "boardroom-record 1\nconfig port=2000 strict=no answer=unicast name=Peter\nturn 7\n\
                 network 10.0.0.1 10.0.0.255\ndatagram 10.0.0.1:2000 564fff\nrandom {drawn}\n\
                 datagram 10.0.0.1:2000 - 5\nrefused 10.0.0.1:2000\ntimeout\nnetwork none\n"
            )
        );
        for _ in 0..RECORD_MAX / 40 {
            record.datagram(from, &[0; 20], None);
            record.flush().unwrap();
        }
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.ends_with(b"full\n") && bytes.len() < RECORD_MAX + 200);
        std::fs::remove_file(&path).unwrap();
    }
}
