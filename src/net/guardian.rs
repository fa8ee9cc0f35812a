//! `--guardian`: a small parent process that sleeps until the board dies
//! unasked (a crash, kill −9, out of memory), says the board's last words for
//! it, and starts it again.
//!
//! The board writes its last words beforehand, whenever they change, into a
//! piece of memory that both have open: its resignation and the VOTE that
//! follows, and with a quorum that its lease is free, sealed and ready. So the
//! others need not find out that it is dead.

use super::child::{Child, End, Start};
use super::clock;
use super::log::{Level, Log};
use super::pidfile::PidFile;
use super::signals::Signals;
use super::sys::{self, PollFd};
use super::udp::{Shared, Udp};
use crate::election::wire::{Datagram, MESSAGE_LEN};
use crate::outcome::{Failure, Outcome};
use crate::time::{Duration, Instant};
use core::net::{Ipv4Addr, SocketAddrV4};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::Signal;
use nix::sys::uio::{pread, pwrite};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::parent_id;
use std::path::PathBuf;

/// Set for the board that a guardian starts, to the guardian's process number:
/// its standard input is where the last words are kept.
pub const GUARDED: &str = "BOARDROOM_GUARDED";

/// What is said when the board is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastWords {
    /// Where the board stood.
    pub from: SocketAddrV4,
    /// The broadcast address of its network.
    pub to: Ipv4Addr,
    /// What it is, in this order; those that are all zeros are none.
    pub words: [Datagram; WORDS],
}

/// The board's side: where its last words are kept.
#[derive(Debug)]
pub struct Will(OwnedFd);

impl Will {
    /// If this process is guarded: ends with its guardian, and gives the place
    /// for its last words.
    pub fn of_guarded() -> Result<Option<Self>, Failure> {
        let Some(guardian) = std::env::var_os(GUARDED) else {
            return Ok(None);
        };
        let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGTERM);
        // It may have died before that.
        if guardian.to_str() != Some(&*parent_id().to_string()) {
            return Err(Failure::cannot("the guardian of this board has ended"));
        }
        Ok(io::stdin().as_fd().try_clone_to_owned().ok().map(Self))
    }

    /// Keeps the last words; none: there is nothing to say.
    pub fn keep(&self, words: Option<&LastWords>) {
        let bytes = words.map_or([0; LEN], |words| words.to_bytes());
        let _ = pwrite(&self.0, &bytes, 0);
    }
}

impl LastWords {
    fn to_bytes(self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let parts: [&[u8]; 5] = [
            &[VALID],
            &self.from.ip().octets(),
            &self.from.port().to_be_bytes(),
            &self.to.octets(),
            self.words.as_flattened(),
        ];
        for (place, byte) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *place = *byte;
        }
        bytes
    }

    fn from_bytes(bytes: &[u8; LEN]) -> Option<Self> {
        let (&[valid, a, b, c, d, high, low, e, f, g, h], words) = bytes.split_first_chunk()?;
        let (words, _) = words.as_chunks();
        (valid == VALID).then_some(Self {
            from: SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])),
            to: Ipv4Addr::new(e, f, g, h),
            words: *words.first_chunk()?,
        })
    }

    /// Says them from the dead board's own address and port, which are free.
    fn say(&self) -> io::Result<()> {
        let socket = Udp::bind(self.from, Shared(false))?;
        let to = SocketAddrV4::new(self.to, self.from.port());
        let said = self.words.iter().filter(|word| word.first() != Some(&0));
        said.into_iter().try_for_each(|word| socket.send(to, word))
    }
}

/// Guards a board, which is this program with the same arguments, until it
/// ends by its own will or by a signal to this process.
pub fn run(mut log: Log, pid_file: Option<PathBuf>) -> Outcome {
    let signals =
        Signals::take(SIGNALS).map_err(|error| Failure::cannot(format!("signals: {error}")))?;
    // Whoever reads it may send one at once.
    let _pid_file = pid_file.as_deref().map(PidFile::write).transpose()?;
    // A kernel before 3.17 has no such memory: the board is started again, and
    // the others find out.
    let memory = memfd_create("last words", MFdFlags::MFD_CLOEXEC).ok();
    let mut guardian = Guardian {
        signals,
        memory,
        child: None,
        started: clock::now(),
        is_first: true,
        is_stopping: false,
        again: None,
        pause: PAUSE_LEAST,
    };
    guardian.start()?;
    loop {
        let code = guardian.turn(&mut log);
        log.flush();
        if let Some(code) = code {
            return code;
        }
    }
}

struct Guardian {
    signals: Signals,
    memory: Option<OwnedFd>,
    child: Option<Child>,
    started: Instant,
    /// The first one: what is wrong with it is for whoever started it.
    is_first: bool,
    is_stopping: bool,
    /// When the board is started again.
    again: Option<Instant>,
    pause: Duration,
}

impl Guardian {
    fn start(&mut self) -> Result<(), Failure> {
        let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
        let mut words = vec![OsStr::new("boardroom")];
        words.extend(arguments.iter().map(OsString::as_os_str));
        let child = Child::start(&Start {
            program: OsStr::new("/proc/self/exe"),
            arguments: &words,
            variables: &[(GUARDED, Some(&*std::process::id().to_string()))],
            input: self.memory.as_ref().map(AsFd::as_fd),
            output: None,
        });
        self.started = clock::now();
        self.again = None;
        match child {
            Ok(child) => {
                self.child = Some(child);
                Ok(())
            }
            Err(error) => Err(Failure::cannot(format!("cannot start the board: {error}"))),
        }
    }

    /// Sleeps until something happens, and deals with it; the exit code, if
    /// that is the end.
    fn turn(&mut self, log: &mut Log) -> Option<Outcome> {
        let wait = self.again.map(|at| (at - clock::now()).micros());
        let mut set = [PollFd {
            fd: self.signals.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        }];
        let _ = sys::poll(&mut set, wait);
        while let Some(signal) = self.signals.take_next() {
            match signal {
                Signal::SIGCHLD => {}
                Signal::SIGUSR1 => self.pass_on(Signal::SIGUSR1),
                _ if self.child.is_none() => return Some(Ok(0)),
                _ => {
                    self.is_stopping = true;
                    self.pass_on(Signal::SIGTERM);
                    // One that is stopped would never hear of it.
                    self.pass_on(Signal::SIGCONT);
                }
            }
        }
        if let Some(end) = self.child.as_ref().and_then(Child::try_wait) {
            self.child = None;
            return self.handle_end(end, log);
        }
        if self.again.is_some_and(|at| at <= clock::now())
            && let Err(failure) = self.start()
        {
            self.again = Some(clock::now() + PAUSE_MOST);
            log.tell(Level::Warning, &failure.message);
        }
        None
    }

    /// The board has ended: by its own will, or it is to be mourned.
    fn handle_end(&mut self, end: End, log: &mut Log) -> Option<Outcome> {
        let code = match end {
            End::Code(code) => u8::try_from(code).ok(),
            End::Signal(_) | End::Unknown => None,
        };
        match code {
            Some(0) => return Some(Ok(0)),
            // It has said itself why it cannot begin.
            Some(code @ (2 | 4)) if self.is_first => return Some(Ok(code)),
            _ => {}
        }
        let said = self.say_last_words();
        if self.is_stopping {
            return Some(Ok(code.unwrap_or(0)));
        }
        let lived = clock::now() - self.started;
        if lived > LIVED_WELL {
            self.pause = PAUSE_LEAST;
        }
        let pause = self.pause;
        self.again = Some(clock::now() + pause);
        self.pause = (self.pause * 2).min(PAUSE_MOST);
        self.is_first = false;
        let text = format!("the board has died ({end}){said}; it is started again in {pause}");
        log.tell(Level::Warning, &text);
        None
    }

    fn say_last_words(&self) -> &'static str {
        let mut bytes = [0; LEN];
        let Some(memory) = &self.memory else {
            return "";
        };
        if pread(memory, &mut bytes, 0) != Ok(LEN) {
            return "";
        }
        let words = LastWords::from_bytes(&bytes);
        // Said once.
        let _ = pwrite(memory, &[0; LEN], 0);
        match words.map(|words| words.say()) {
            None => "",
            Some(Ok(())) => ", the others know",
            Some(Err(_)) => ", and the others could not be told",
        }
    }

    fn pass_on(&self, signal: Signal) {
        if let Some(child) = &self.child {
            child.signal(signal);
        }
    }
}

const VALID: u8 = 1;
/// Last words at most.
pub const WORDS: usize = 3;
/// Validity, address, port, broadcast address, datagrams.
const LEN: usize = 1 + 4 + 2 + 4 + WORDS * MESSAGE_LEN;
const SIGNALS: &[Signal] = &[
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGUSR1,
    Signal::SIGCHLD,
];
/// Before the board is started again: so long the first time, then each time
/// twice as long.
const PAUSE_LEAST: Duration = Duration::from_millis(100);
const PAUSE_MOST: Duration = Duration::from_secs(30);
/// After so long a life the pauses begin anew.
const LIVED_WELL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::soon::soon;

    fn words(from: SocketAddrV4) -> LastWords {
        LastWords {
            from,
            to: Ipv4Addr::new(127, 255, 255, 255),
            words: [[0; MESSAGE_LEN], [0x2d; MESSAGE_LEN], [0x56; MESSAGE_LEN]],
        }
    }

    #[test]
    fn last_words_are_read_as_they_were_kept() {
        let from = SocketAddrV4::new(Ipv4Addr::new(10, 3, 52, 2), 0xabcd);
        let kept = words(from);
        assert_eq!(LastWords::from_bytes(&kept.to_bytes()), Some(kept));
        assert_eq!(LastWords::from_bytes(&[0; LEN]), None);
    }

    #[test]
    fn last_words_are_said_from_the_boards_own_address() {
        let all = Ipv4Addr::new(127, 255, 255, 255);
        let heard = Udp::bind(SocketAddrV4::new(all, 0), Shared(true)).unwrap();
        let from = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 83), heard.port());
        words(from).say().unwrap();
        let mut buffer = [0; 64];
        for byte in [0x2d, 0x56] {
            let got = soon(|| heard.receive(&mut buffer).unwrap());
            assert_eq!(got, Some((MESSAGE_LEN, from)));
            assert!(buffer[..MESSAGE_LEN].iter().all(|&one| one == byte));
        }
    }

    #[test]
    fn what_is_kept_is_what_the_other_side_reads() {
        let Ok(memory) = memfd_create("test", MFdFlags::empty()) else {
            println!("SKIP: this kernel has no memfd_create");
            return;
        };
        let will = Will(memory.try_clone().unwrap());
        let kept = words(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1));
        will.keep(Some(&kept));
        let mut bytes = [0; LEN];
        assert_eq!(pread(&memory, &mut bytes, 0), Ok(LEN));
        assert_eq!(LastWords::from_bytes(&bytes), Some(kept));
        will.keep(None);
        assert_eq!(pread(&memory, &mut bytes, 0), Ok(LEN));
        assert_eq!(LastWords::from_bytes(&bytes), None);
    }
}
