//! The driver of a board: its sockets, its clock, and the log of what becomes
//! of it.
//!
//! ```text
//! sockets, doorbell, signals, timers ──► Board ──► sockets, log
//! ```
//!
//! The path of a WHOIS is poll, clock, recvfrom, sendto and nothing else. Only
//! a flood (poll returns at once, again and again) is read and answered in
//! batches.

mod network;
mod place;
mod sockets;
mod status;

pub use place::Wish;

use super::control::{self, Closed, Control, Request};
use super::entropy::OsEntropy;
use super::log::{Level, Log, Target};
use super::netlink::Doorbell;
use super::pidfile::PidFile;
use super::reactor::{Handler, Interest, Key, Reactor, Ready};
use super::record::{Record, Source};
use super::signals::Signals;
use super::sys::{BATCH_BYTES, BATCH_MAX, Batch};
use super::udp::Udp;
use crate::commands::{Failure, Outcome};
use crate::election::{Board, Config, Network, Notice, Role, Transmit};
use crate::time::{Duration, Instant};
use core::fmt::Write;
use core::net::SocketAddrV4;
use network::{Absent, Open};
use nix::sys::signal::Signal;
use status::Status;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// What the command line says.
#[derive(Clone, Debug)]
pub struct Options {
    /// How the board behaves.
    pub board: Config,
    /// Which address is to be the board's.
    pub wish: Wish,
    /// An interface or address that is not there yet is waited for.
    pub waits: bool,
    /// Where the process' number is written.
    pub pid_file: Option<PathBuf>,
    /// Where the log goes.
    pub log: Target,
    /// Whether it tells details.
    pub verbose: bool,
    /// Where everything that happens is recorded.
    pub record: Option<PathBuf>,
    /// The control socket; none: the usual place, if it can be had.
    pub control: Option<PathBuf>,
}

/// Is a board until SIGTERM or SIGINT.
pub fn run(options: Options) -> Outcome {
    let signals = Signals::take(&[Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR1])
        .map_err(|error| Failure::cannot(format!("signals: {error}")))?;
    let record =
        match &options.record {
            Some(path) => Some(File::create(path).map_err(|error| {
                Failure::cannot(format!("--record {}: {error}", path.display()))
            })?),
            None => None,
        };
    let _pid_file = options
        .pid_file
        .as_deref()
        .map(PidFile::write)
        .transpose()?;
    let mut reactor = Reactor::new(BUSY_TURNS_MAX);
    let control = options.control.clone();
    let mut driver = Driver::new(&mut reactor, options, signals, record);
    driver.start(&mut reactor)?;
    driver.open_control(&mut reactor, control.as_deref());
    let ran = reactor.run(&mut driver);
    driver.log.close();
    ran.map_err(|error| Failure::cannot(format!("poll: {error}")))?;
    Ok(0)
}

/// What the driver counts besides the board's own counters.
#[derive(Debug, Default)]
struct Counts {
    sends_failed: u64,
    batches: u64,
    scans: u64,
}

impl Counts {
    fn all(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        [
            ("sends_failed", self.sends_failed),
            ("batches", self.batches),
            ("scans", self.scans),
        ]
        .into_iter()
    }
}

struct Driver {
    board: Board,
    wish: Wish,
    waits: bool,
    open: Option<Open>,
    /// Why there is no network, as last told.
    absent: Option<Absent>,
    doorbell: Option<(Key, Doorbell)>,
    signals: (Key, Signals),
    /// When the machine's addresses are to be looked at next, and when they
    /// were last.
    scan_at: Option<Instant>,
    scanned: Option<Instant>,
    control: Option<Control>,
    started: Instant,
    log: Log,
    log_key: Option<Key>,
    record: Option<Record>,
    source: Source,
    counts: Counts,
    /// When a failed send was last told.
    send_told: Option<Instant>,
    /// How many turns in a row came right after the one before.
    quick_turns: u32,
    last_turn: Instant,
    /// Memory for floods, taken at the first one.
    batch: Option<Box<Batch>>,
    is_finished: bool,
}

impl Driver {
    fn new(
        reactor: &mut Reactor,
        options: Options,
        signals: Signals,
        record: Option<File>,
    ) -> Self {
        let doorbell = Doorbell::hang().ok().map(|doorbell| {
            let key = reactor.watch(&doorbell, Interest::READ);
            (key, doorbell)
        });
        let record = record.map(|file| Record::new(file, &options.board));
        Self {
            wish: options.wish,
            waits: options.waits,
            open: None,
            absent: None,
            doorbell,
            signals: (reactor.watch(&signals, Interest::READ), signals),
            scan_at: None,
            scanned: None,
            control: None,
            started: reactor.now(),
            log: Log::new(options.log, options.verbose),
            log_key: None,
            source: Source::new(Box::new(OsEntropy), record.is_some()),
            record,
            counts: Counts::default(),
            send_told: None,
            quick_turns: 0,
            last_turn: Instant::ZERO,
            batch: None,
            is_finished: false,
            board: Board::new(options.board),
        }
    }

    /// Looks for the network for the first time: what is wrong now is told to
    /// whoever started the program.
    fn start(&mut self, reactor: &mut Reactor) -> Result<(), Failure> {
        let now = reactor.now();
        if let Some(record) = &mut self.record {
            record.turn(now);
        }
        self.board.handle_wakeup(now);
        self.scan(reactor);
        if let Some(absent) = &self.absent
            && let Some(failure) = absent.failure(self.waits)
        {
            return Err(failure);
        }
        self.end_turn(reactor, false);
        Ok(())
    }

    /// Without a control socket the board does its work all the same.
    fn open_control(&mut self, reactor: &mut Reactor, wanted: Option<&Path>) {
        let usual = control::default_path(self.board.config().port);
        let path = wanted.unwrap_or(&usual);
        let (level, why) = match Control::open(reactor, path) {
            Ok(control) => {
                self.control = Some(control);
                return;
            }
            Err(Closed::Another) => (Level::Info, "another board answers there".into()),
            // The usual place is not for everybody's boards.
            Err(Closed::Cannot(error)) if wanted.is_none() => (Level::Detail, error.to_string()),
            Err(Closed::Cannot(error)) => (Level::Warning, error.to_string()),
        };
        let text = format!("no control socket at {}: {why}", path.display());
        self.log.line(reactor.now(), level, "control", text);
    }

    fn handle_control(&mut self, reactor: &mut Reactor, key: Key, ready: Ready) {
        let Some(mut control) = self.control.take() else {
            return;
        };
        if let Some(request) = control.handle(reactor, key, ready) {
            let text = match request {
                Request::Status => self.status(reactor.now()).text(),
                Request::StatusJson => self.status(reactor.now()).json(),
                Request::Resign => self.resign(reactor.now()).into(),
                Request::Watch => String::new(),
            };
            control.answer(reactor, key, &text, request == Request::Watch);
        }
        self.control = Some(control);
    }

    fn status(&self, now: Instant) -> Status<'_> {
        Status {
            board: &self.board,
            place: self.open.as_ref().map(|open| &open.place),
            absent: self.absent.as_ref().map(ToString::to_string),
            counts: &self.counts,
            started: self.started,
            now,
        }
    }

    fn resign(&mut self, now: Instant) -> &'static str {
        if self.board.role() != Role::Master {
            return "error: this board is not the master\n";
        }
        self.tape(|record| record.word("resign"));
        self.board.handle_resign(now);
        "ok\n"
    }

    fn handle_signals(&mut self, reactor: &mut Reactor) {
        while let Some(signal) = self.signals.1.take_next() {
            let now = reactor.now();
            if signal == Signal::SIGUSR1 {
                let text = self.counters();
                self.log.line(now, Level::Info, "counters", text);
                continue;
            }
            self.log
                .line(now, Level::Info, "end", format!("{signal}: the end"));
            self.resign(now);
            self.is_finished = true;
        }
    }

    /// All counters that are not 0, in one line.
    fn counters(&self) -> String {
        let mut text = format!(
            "{} in round {}; counters:",
            self.board.role(),
            self.board.epoch()
        );
        for (name, count) in self.board.counters().all().chain(self.counts.all()) {
            if count > 0 {
                let _ = write!(text, " {name}={count}");
            }
        }
        text
    }

    /// One datagram of a socket; many in times of flood.
    fn receive(&mut self, reactor: &mut Reactor, which: Which) {
        if self.quick_turns >= FLOOD_TURNS && self.receive_batch(reactor, which) {
            return;
        }
        let mut buffer = [0; BATCH_BYTES];
        let Some(socket) = self.socket(which) else {
            return;
        };
        if let Ok(Some((len, from))) = socket.receive(&mut buffer) {
            let bytes = buffer.get(..len).unwrap_or_default();
            self.hear(reactor.now(), from, bytes);
        }
    }

    fn receive_batch(&mut self, reactor: &mut Reactor, which: Which) -> bool {
        let mut batch = self.batch.take().unwrap_or_default();
        let Some(fd) = self.socket(which).map(AsRawFd::as_raw_fd) else {
            return false;
        };
        let received = batch.receive(fd);
        if let Ok(count) = received {
            self.counts.batches += 1;
            if count < BATCH_WORTHWHILE {
                self.quick_turns = 0;
            }
            for index in 0..count {
                if let Some((bytes, from)) = batch.received(index) {
                    self.hear(reactor.now(), from, bytes);
                }
            }
        }
        self.batch = Some(batch);
        received.is_ok()
    }

    fn receive_limited(&mut self, reactor: &mut Reactor) {
        let mut buffer = [0; BATCH_BYTES];
        let heard = self
            .open
            .as_ref()
            .and_then(|open| open.sockets.receive_limited(&mut buffer));
        if let Some((len, from)) = heard {
            self.hear(reactor.now(), from, buffer.get(..len).unwrap_or_default());
        }
    }

    fn hear(&mut self, now: Instant, from: SocketAddrV4, bytes: &[u8]) {
        self.tape(|record| record.datagram(from, bytes, None));
        self.board
            .handle_datagram(now, from, bytes, &mut self.source);
        self.tape_randoms();
    }

    /// Datagrams of ours that were refused: their addressee's process is dead.
    fn hear_refusals(&mut self, reactor: &mut Reactor) {
        for _ in 0..REFUSALS_A_TURN_MAX {
            let refusal = self
                .open
                .as_ref()
                .and_then(|open| open.sockets.own.refused());
            let Some(refusal) = refusal else { return };
            if refusal.port_closed {
                self.tape(|record| record.refused(refusal.to));
                self.board
                    .handle_refused(reactor.now(), refusal.to, &mut self.source);
                self.tape_randoms();
            }
        }
    }

    fn socket(&self, which: Which) -> Option<&Udp> {
        let sockets = &self.open.as_ref()?.sockets;
        match which {
            Which::Own => Some(&sockets.own),
            Which::Broadcast => Some(&sockets.broadcast),
            Which::Claims => sockets.claims.as_ref(),
        }
    }

    fn run_timers(&mut self, now: Instant) {
        if self.board.poll_timeout().is_some_and(|at| at <= now) {
            self.tape(|record| record.word("timeout"));
            self.board.handle_timeout(now, &mut self.source);
            self.tape_randoms();
        }
        self.log.tell_held(now);
    }

    /// Sends what the board has to say.
    fn transmit(&mut self, reactor: &Reactor) {
        while let Some(transmit) = self.board.poll_transmit() {
            if self.quick_turns >= FLOOD_TURNS && self.batch.is_some() {
                self.transmit_batch(reactor.now(), transmit);
            } else {
                self.send(reactor.now(), &transmit);
            }
        }
    }

    fn send(&mut self, now: Instant, transmit: &Transmit) {
        self.tape(|record| record.sent(transmit));
        let sent = match &self.open {
            Some(open) => open.sockets.own.send(transmit.to, &transmit.bytes),
            None => return,
        };
        if let Err(error) = sent {
            self.send_failed(now, transmit.to, &error);
        }
    }

    fn transmit_batch(&mut self, now: Instant, first: Transmit) {
        let (Some(mut batch), Some(fd)) = (
            self.batch.take(),
            self.socket(Which::Own).map(AsRawFd::as_raw_fd),
        ) else {
            return;
        };
        let mut to = [first.to; BATCH_MAX];
        let mut count = 0;
        let mut next = Some(first);
        while let Some(transmit) = next {
            self.tape(|record| record.sent(&transmit));
            batch.put(count, transmit.to, &transmit.bytes);
            if let Some(place) = to.get_mut(count) {
                *place = transmit.to;
            }
            count += 1;
            next = (count < BATCH_MAX)
                .then(|| self.board.poll_transmit())
                .flatten();
        }
        let mut sent = 0;
        while sent < count {
            match batch.send(fd, sent, count) {
                Ok(more) => sent += more.max(1),
                Err(error) => {
                    let to = to.get(sent).copied().unwrap_or(first.to);
                    self.send_failed(now, to, &error);
                    sent += 1;
                }
            }
        }
        self.batch = Some(batch);
    }

    /// A send that fails is normal on a network that comes and goes; it may
    /// mean that our address went.
    fn send_failed(&mut self, now: Instant, to: SocketAddrV4, error: &std::io::Error) {
        self.counts.sends_failed += 1;
        if self.send_told.is_none_or(|at| now - at >= SEND_TOLD_APART) {
            self.send_told = Some(now);
            let text = format!("cannot send to {to}: {error}");
            self.log.line(now, Level::Warning, "send", text);
            self.scan_soon(now);
        }
    }

    fn tell_notices(&mut self, reactor: &mut Reactor) {
        let now = reactor.now();
        while let Some(notice) = self.board.poll_notice() {
            let (level, reason) = match notice {
                // Told by the driver, which knows the interface and the reason.
                Notice::AddressFound(_) | Notice::AddressLost => continue,
                Notice::Became(_) => (Level::Info, "role"),
                Notice::Won(_) => (Level::Info, "won"),
                Notice::Stays(_) => (Level::Info, "again"),
                Notice::Follows(_) => (Level::Info, "master"),
                Notice::Conflict(_) => (Level::Warning, "conflict"),
                Notice::Mismatch { .. } => (Level::Warning, "mismatch"),
                Notice::NoMajority { .. } => (Level::Warning, "majority"),
                Notice::QuorumDiffers(_) => (Level::Warning, "quorum"),
            };
            let text = notice.to_string();
            if let Some(control) = &mut self.control {
                control.tell(reactor, &text);
            }
            self.log.line(now, level, reason, text);
        }
    }

    /// Writes the log, and has poll tell when there is room for what did not
    /// go.
    fn flush_log(&mut self, reactor: &mut Reactor) {
        self.log.flush();
        match (self.log_key, self.log.waiting()) {
            (None, Some(output)) => self.log_key = Some(reactor.watch(output, Interest::WRITE)),
            (Some(key), None) => {
                reactor.unwatch(key);
                self.log_key = None;
            }
            _ => {}
        }
    }

    fn tape(&mut self, write: impl FnOnce(&mut Record)) {
        if let Some(record) = &mut self.record {
            write(record);
        }
    }

    fn tape_randoms(&mut self) {
        if let Some(record) = &mut self.record {
            record.randoms(&mut self.source);
        }
    }

    fn tell_board(&mut self, now: Instant, network: Option<Network>) {
        self.tape(|record| record.network(network));
        self.board.handle_network(now, network);
    }
}

/// A socket that the board hears by.
#[derive(Clone, Copy)]
enum Which {
    Own,
    Broadcast,
    Claims,
}

impl Handler for Driver {
    fn woken(&mut self, reactor: &mut Reactor) {
        let now = reactor.now();
        self.tape(|record| record.turn(now));
        self.board.handle_wakeup(now);
        let is_quick = now - self.last_turn < QUICK;
        self.quick_turns = if is_quick { self.quick_turns + 1 } else { 0 };
        self.last_turn = now;
    }

    fn ready(&mut self, reactor: &mut Reactor, key: Key, ready: Ready) {
        let keys = self.open.as_ref().map(|open| open.keys);
        if let Some(keys) = keys {
            if key == keys.own {
                if ready.has_error() {
                    self.hear_refusals(reactor);
                }
                if ready.has_input() {
                    self.receive(reactor, Which::Own);
                }
                return;
            }
            if key == keys.broadcast {
                return self.receive(reactor, Which::Broadcast);
            }
            if Some(key) == keys.claims {
                return self.receive(reactor, Which::Claims);
            }
            if Some(key) == keys.limited {
                return self.receive_limited(reactor);
            }
        }
        if key == self.signals.0 {
            self.handle_signals(reactor);
        } else if self.control.as_ref().is_some_and(|one| one.owns(key)) {
            self.handle_control(reactor, key, ready);
        } else if let Some((bell, doorbell)) = &self.doorbell
            && key == *bell
            && doorbell.silence()
        {
            self.scan_soon(reactor.now());
        }
    }

    fn end_turn(&mut self, reactor: &mut Reactor, drained: bool) {
        let now = reactor.now();
        if drained {
            self.run_timers(now);
        }
        if self.scan_at.is_some_and(|at| at <= now) {
            self.scan(reactor);
        }
        self.transmit(reactor);
        self.tell_notices(reactor);
        self.flush_log(reactor);
        self.tape(Record::flush);
    }

    fn deadline(&self) -> Option<Instant> {
        [self.board.poll_timeout(), self.scan_at, self.log.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    fn is_finished(&self) -> bool {
        self.is_finished
    }
}

/// Timers wait for input, this many turns at most.
const BUSY_TURNS_MAX: u32 = 64;
/// From so many quick turns in a row on, it may be a flood: a batch is tried.
const FLOOD_TURNS: u32 = 32;
/// A turn this soon after the one before is quick.
const QUICK: Duration = Duration::from_millis(1);
/// If a batch brings less, it is no flood but one busy client.
const BATCH_WORTHWHILE: usize = 4;
const REFUSALS_A_TURN_MAX: u32 = 16;
const SEND_TOLD_APART: Duration = Duration::from_secs(60);
