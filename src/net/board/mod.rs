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

mod doors;
mod network;
mod place;
mod sockets;
mod status;
mod traffic;

pub use place::Wish;

use super::control::Control;
use super::entropy::OsEntropy;
use super::guardian::{self, LastWords, WORDS, Will};
use super::hook::Hook;
use super::log::{Level, Log, Target};
use super::netlink::Doorbell;
use super::pidfile::PidFile;
use super::reactor::{Handler, Key, Reactor, Ready};
use super::record::{Record, Source};
use super::signals::Signals;
use super::sys::Batch;
use crate::election::wire::MESSAGE_LEN;
use crate::election::{Board, Config, Count, Epoch, Network, Role};
use crate::outcome::{Failure, Outcome};
use crate::text::without_number;
use crate::time::{Duration, Instant};
use core::net::SocketAddrV4;
use network::{Absent, Open};
use nix::sys::signal::Signal;
use std::fs::File;
use std::path::{Path, PathBuf};
use traffic::Which;

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
    /// The program that is told of changes.
    pub on_change: Option<PathBuf>,
    /// A parent process watches over the board.
    pub guardian: bool,
    /// Nothing is to be done but to look at these options.
    pub only_checks: bool,
}

/// Is a board until SIGTERM or SIGINT; or guards one, as another process.
pub fn run(mut options: Options) -> Outcome {
    let will = if options.guardian {
        let Some(will) = Will::of_guarded()? else {
            let log = Log::new(options.log, options.verbose);
            return guardian::run(log, options.pid_file);
        };
        // The guardian holds it.
        options.pid_file = None;
        Some(will)
    } else {
        None
    };
    let signals =
        Signals::take(SIGNALS).map_err(|error| Failure::cannot(format!("signals: {error}")))?;
    let record =
        match &options.record {
            Some(path) => Some(Record::create(path).map_err(|error| {
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
    driver.will = will;
    driver.start(&mut reactor, control.as_deref())?;
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
    hooks: super::hook::Counts,
}

impl Counts {
    fn all(&self) -> [(&'static str, u64); 7] {
        [
            ("sends_failed", self.sends_failed),
            ("batches", self.batches),
            ("scans", self.scans),
            ("hooks_succeeded", self.hooks.succeeded),
            ("hooks_failed", self.hooks.failed),
            ("hooks_killed", self.hooks.killed),
            ("hooks_skipped", self.hooks.skipped),
        ]
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
    hook: Option<Hook>,
    /// What the guardian says when this process is dead; the role, the round
    /// and the number of asks for the lease of which that was kept.
    will: Option<Will>,
    kept: (Role, Epoch, u64),
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
    /// A signal has asked for the end; the hook may still run.
    is_ending: bool,
    /// The office is given up as soon as the hook has ended.
    hands_over: bool,
}

impl Driver {
    fn new(
        reactor: &mut Reactor,
        options: Options,
        signals: Signals,
        record: Option<File>,
    ) -> Self {
        let doorbell = Doorbell::hang().ok().map(|doorbell| {
            let key = reactor.watch_aside(&doorbell);
            (key, doorbell)
        });
        let record = record.map(|file| Record::new(file, &options.board));
        Self {
            wish: options.wish,
            waits: options.waits,
            open: None,
            absent: None,
            doorbell,
            signals: (reactor.watch_aside(&signals), signals),
            scan_at: None,
            scanned: None,
            control: None,
            hook: options
                .on_change
                .map(|program| Hook::new(program, HOOK_LIMIT)),
            will: None,
            kept: (Role::Slave, Epoch::NONE, 0),
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
            is_ending: false,
            hands_over: false,
            board: Board::new(options.board),
        }
    }

    /// Looks for the network for the first time: what is wrong now is told to
    /// whoever started the program.
    fn start(&mut self, reactor: &mut Reactor, control: Option<&Path>) -> Result<(), Failure> {
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
        self.open_control(reactor, control);
        // What an earlier run may have left behind ends here.
        self.call_hook(reactor, "slave");
        self.end_turn(reactor, false);
        Ok(())
    }

    fn run_timers(&mut self, now: Instant) {
        if self.board.poll_timeout().is_some_and(|at| at <= now) {
            self.tape(|record| record.word("timeout"));
            self.board.handle_timeout(now, &mut self.source);
            self.tape_randoms();
        }
        self.log.tell_held(now);
    }

    /// The guardian is to know at any moment what to say.
    fn keep_last_words(&mut self) {
        let Some(will) = &self.will else { return };
        let asks = self.board.counters().of(Count::LeaseAsked);
        let present = (self.board.role(), self.board.epoch(), asks);
        if core::mem::replace(&mut self.kept, present) == present {
            return;
        }
        let mut words = [[0; MESSAGE_LEN]; WORDS];
        let farewell = self.board.farewell();
        for (place, word) in words.iter_mut().zip(&farewell) {
            *place = *word;
        }
        let place = self.open.as_ref().filter(|_| !farewell.is_empty());
        let last = place.map(|open| LastWords {
            from: SocketAddrV4::new(open.place.address, self.board.config().port),
            to: open.place.broadcast,
            words,
        });
        will.keep(last.as_ref());
    }

    fn tape(&mut self, write: impl FnOnce(&mut Record)) {
        if let Some(record) = &mut self.record {
            write(record);
        }
    }

    fn flush_record(&mut self, now: Instant) {
        if let Some(Err(error)) = self.record.as_mut().map(Record::flush) {
            let text = without_number(format!("the record ends here: {error}"));
            self.log.line(now, Level::Warning, "record", text);
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

impl Handler for Driver {
    fn woken(&mut self, reactor: &mut Reactor) {
        let now = reactor.now();
        self.tape(|record| record.turn(now));
        self.board.handle_wakeup(now);
        self.hear_waiting_claims(now);
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
        } else if let Some(hook) = &mut self.hook
            && hook.handle_output(reactor, key)
        {
            // It goes to the log at the turn's end.
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
        if !self.is_ending && self.scan_at.is_some_and(|at| at <= now) {
            self.scan(reactor);
        }
        self.end_hand_over(now);
        // Before the first claim: from then on this board is missed.
        self.keep_last_words();
        self.transmit(reactor);
        self.scan_after_this_turn(now);
        self.tell_notices(reactor);
        self.run_hook(reactor);
        self.end_letting_go(reactor);
        if self.is_ending && !self.hands_over {
            // Whatever the hook still does, this board is gone.
            self.leave_place(reactor);
        }
        self.choose_claims(reactor);
        self.flush_record(now);
        self.flush_log(reactor);
    }

    fn deadline(&self) -> Option<Instant> {
        let hook = self.hook.as_ref().and_then(Hook::deadline);
        let board = self.board.poll_timeout();
        let scan = self.scan_at.filter(|_| !self.is_ending);
        Instant::first_of(&[board, scan, self.log.deadline(), hook])
    }

    fn is_finished(&self) -> bool {
        self.is_ending && !self.hands_over && self.hook.as_ref().is_none_or(Hook::is_idle)
    }
}

/// Timers wait for input, this many turns at most.
const BUSY_TURNS_MAX: u32 = 64;
/// A turn this soon after the one before is quick.
const QUICK: Duration = Duration::from_millis(1);
const SIGNALS: &[Signal] = &[
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGUSR1,
    Signal::SIGCHLD,
];
/// How long the user's program may take.
const HOOK_LIMIT: Duration = Duration::from_secs(30);
