//! The host of services: their sockets, connections, journals, standard input
//! and output, signals and timers, in one poll loop.
//!
//! A service says what it wants opened ([`Setup`]); from then on it is told
//! events and its actions are performed in order. An action never calls the
//! service back: what it brings about (a connection that fails at once) waits
//! as the next event.

mod actions;
mod datagrams;
mod finder;
mod input;
mod journal;
mod links;
mod open;

pub use finder::MasterQuestion;
pub use journal::read_journal;
pub(crate) use open::cannot_bind;
pub use open::connections_max;

use super::entropy::OsEntropy;
use super::output::Output;
use super::reactor::{Handler, Interest, Key, Reactor, Ready};
use super::signals::Signals;
use super::tcp::Listener;
use super::udp::Udp;
use crate::outcome::{Failure, Outcome};
use crate::service::{Action, Event, Peer, Service, Turn};
use crate::table::Table;
use crate::time::{Duration, Instant};
use core::net::{Ipv4Addr, SocketAddrV4};
use finder::Finder;
use input::Input;
use journal::Journal;
use links::Link;
use nix::sys::signal::Signal;
use std::collections::VecDeque;
use std::path::PathBuf;

/// The port that elections are held on unless told otherwise.
pub const ELECTION_PORT: u16 = 2000;

/// What a service wants opened before its first event.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Where to bind a UDP socket; port 0 asks for a free one.
    pub udp: Option<SocketAddrV4>,
    /// Where to listen; port 0 asks for a free one (beside a UDP socket with
    /// port 0: the same).
    pub tcp: Option<SocketAddrV4>,
    /// The option that names the port, if one does: an error says it.
    pub port_option: Option<&'static str>,
    /// How many datagrams are taken a turn. One is the quickest to answer;
    /// several cost less where much comes at once.
    pub datagrams: u32,
    /// Whether lines of standard input are wanted.
    pub input: bool,
    /// Where [`Action::Append`] and [`Action::Rewrite`] go.
    pub journal: Option<PathBuf>,
    /// Whom [`Action::FindMaster`] asks.
    pub master: MasterQuestion,
    /// Whether [`Action::Print`] is dropped.
    pub quiet: bool,
    /// Whether the program is of no use once nobody reads its output (a
    /// client): it then exits. A server prints no more, and serves on.
    pub exit_with_output: bool,
    /// Whether everything waits for whoever reads the output, instead of
    /// lines being dropped: only where the output is all there is to it.
    pub lossless: bool,
}

impl Setup {
    /// Nothing opened.
    pub const fn new() -> Self {
        Self {
            udp: None,
            tcp: None,
            port_option: Some("--port"),
            datagrams: 1,
            input: false,
            journal: None,
            master: MasterQuestion::new(),
            quiet: false,
            exit_with_output: false,
            lossless: false,
        }
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs services in one poll loop until each has asked for its exit or has
/// been told to stop. The exit code is the first one that is not 0.
pub fn run(services: Vec<(Box<dyn Service>, Setup)>) -> Outcome {
    let mut reactor = Reactor::new(BUSY_TURNS_MAX);
    let mut host = Host::open(&mut reactor, services)?;
    host.start(&mut reactor);
    let ran = reactor.run(&mut host);
    host.stdout.flush();
    host.stderr.flush();
    match ran {
        // Whoever ended for want of an output says why.
        Ok(()) if host.code == 4 => host.stdout.loss().map_or(Ok(4), Err),
        Ok(()) => Ok(host.code),
        Err(error) => Err(Failure::cannot(format!("poll: {error}"))),
    }
}

/// A service and what is its own.
struct Hosted {
    service: Box<dyn Service>,
    setup: Setup,
    udp: Option<Udp>,
    listener: Option<(Key, Listener)>,
    /// Watched only while a line is wanted: the end of a pipe would wake the
    /// loop for ever.
    input: Option<(Option<Key>, Input)>,
    journal: Option<Journal>,
    finder: Option<(Key, Finder)>,
    is_done: bool,
}

/// Whom a watched descriptor belongs to.
#[derive(Clone, Copy)]
enum Owner {
    Nobody,
    Signals,
    Stdout,
    Stderr,
    Udp(usize),
    Listener(usize),
    Input(usize),
    Finder(usize),
    Link(Peer),
}

/// An event brought about by an action, told after it.
enum Pending {
    ConnectFailed { to: SocketAddrV4, why: String },
    Closed { peer: Peer },
    Master { address: Option<Ipv4Addr> },
}

struct Host {
    services: Vec<Hosted>,
    /// By key.
    owners: Vec<Owner>,
    links: Table<Peer, Link>,
    last_peer: u32,
    links_max: usize,
    /// Connections closed here that wait for the peer's end, and until when.
    lingering: VecDeque<(Instant, Peer)>,
    /// Listeners that cannot take more in, until then or until a peer goes.
    listeners_paused: Option<Instant>,
    /// That no more can be taken in was told.
    is_full_told: bool,
    pending: VecDeque<(usize, Pending)>,
    signals: Signals,
    stdout: Output,
    stderr: Output,
    stdout_key: Option<Key>,
    stderr_key: Option<Key>,
    entropy: OsEntropy,
    buffer: Vec<u8>,
    actions: Vec<Action>,
    sends_failed: u64,
    stops: u32,
    code: u8,
    /// Since when all services are done and what was written goes out.
    leaving: Option<Instant>,
    last_turn: Instant,
}

impl Host {
    fn start(&mut self, reactor: &mut Reactor) {
        let room = self.links_max / self.services.len().max(1);
        for index in 0..self.services.len() {
            if let Some(hosted) = self.services.get_mut(index) {
                hosted.service.set_room(room);
            }
            let port = self.services.get(index).map_or(0, |hosted| {
                let udp = hosted.udp.as_ref().map(Udp::port);
                let tcp = hosted.listener.as_ref().map(|(_, tcp)| tcp.port());
                udp.or(tcp).unwrap_or(0)
            });
            self.tell(reactor, index, Event::Start { port });
        }
        self.end_turn(reactor, false);
    }

    /// Tells a service an event and performs what it asks for.
    fn tell(&mut self, reactor: &mut Reactor, index: usize, event: Event<'_>) {
        let mut actions = core::mem::take(&mut self.actions);
        self.ask(reactor, index, event, &mut actions);
        self.perform_all(reactor, index, &mut actions);
        self.actions = actions;
    }

    /// Tells a service an event; what it asks for is added to `actions`.
    fn ask(
        &mut self,
        reactor: &Reactor,
        index: usize,
        event: Event<'_>,
        actions: &mut Vec<Action>,
    ) {
        if let Some(hosted) = self.services.get_mut(index).filter(|one| !one.is_done) {
            let mut turn = Turn {
                now: reactor.now(),
                entropy: &mut self.entropy,
                actions,
            };
            hosted.service.handle(event, &mut turn);
        }
    }

    fn tell_all(&mut self, reactor: &mut Reactor, event: Event<'_>) {
        for index in 0..self.services.len() {
            self.tell(reactor, index, event);
        }
    }

    fn own(&mut self, key: Key, owner: Owner) {
        if self.owners.len() <= key.index() {
            self.owners.resize(key.index() + 1, Owner::Nobody);
        }
        if let Some(place) = self.owners.get_mut(key.index()) {
            *place = owner;
        }
    }

    fn disown(&mut self, reactor: &mut Reactor, key: Key) {
        reactor.unwatch(key);
        self.own(key, Owner::Nobody);
    }

    fn handle_signals(&mut self, reactor: &mut Reactor) {
        while let Some(signal) = self.signals.take_next() {
            if signal == Signal::SIGUSR1 {
                self.tell_all(reactor, Event::Report);
                continue;
            }
            self.stops += 1;
            if self.stops > 1 {
                std::process::exit(1);
            }
            self.tell_all(reactor, Event::Stop);
            for index in 0..self.services.len() {
                self.finish(reactor, index, 0);
            }
        }
    }

    fn handle_input(&mut self, index: usize) {
        let hosted = self.services.get_mut(index);
        if let Some((_, input)) = hosted.and_then(|one| one.input.as_mut()) {
            input.read();
        }
    }

    /// Hands in what was read, line by line for as long as one is wanted, and
    /// has poll tell of more when that is wanted.
    fn tell_lines(&mut self, reactor: &mut Reactor, index: usize) {
        while let Some(hosted) = self.services.get_mut(index)
            && hosted.service.wants_line()
            && let Some((_, input)) = hosted.input.as_mut()
        {
            if let Some(text) = input.next_line() {
                self.tell(reactor, index, Event::Line { text: &text });
            } else if input.has_ended() {
                if let Some((Some(key), _)) = hosted.input.take() {
                    self.disown(reactor, key);
                }
                self.tell(reactor, index, Event::InputEnded);
            } else {
                break;
            }
        }
        self.watch_input(reactor, index);
    }

    fn watch_input(&mut self, reactor: &mut Reactor, index: usize) {
        let Some(hosted) = self.services.get_mut(index) else {
            return;
        };
        let wanted = hosted.service.wants_line();
        let Some((key, input)) = hosted.input.as_mut() else {
            return;
        };
        match *key {
            None if wanted => {
                let new = reactor.watch(input, Interest::READ);
                *key = Some(new);
                self.own(new, Owner::Input(index));
            }
            Some(old) if !wanted => {
                *key = None;
                self.disown(reactor, old);
            }
            _ => {}
        }
    }

    fn handle_finder(&mut self, reactor: &mut Reactor, index: usize) {
        let now = reactor.now();
        let found = self
            .services
            .get_mut(index)
            .and_then(|hosted| hosted.finder.as_mut())
            .and_then(|(_, finder)| finder.receive(now));
        if found.is_some() {
            self.end_finder(reactor, index, found);
        }
    }

    fn end_finder(&mut self, reactor: &mut Reactor, index: usize, address: Option<Ipv4Addr>) {
        let finder = self.services.get_mut(index).and_then(|h| h.finder.take());
        if let Some((key, _)) = finder {
            self.disown(reactor, key);
            self.tell(reactor, index, Event::Master { address });
        }
    }

    /// Events brought about by actions. What does not fit into this turn
    /// comes in the next.
    fn tell_pending(&mut self, reactor: &mut Reactor) {
        for _ in 0..PENDING_A_TURN_MAX {
            let Some((index, pending)) = self.pending.pop_front() else {
                return;
            };
            match pending {
                Pending::ConnectFailed { to, why } => {
                    self.tell(reactor, index, Event::ConnectFailed { to, why: &why });
                }
                Pending::Closed { peer } => self.tell(reactor, index, Event::Closed { peer }),
                Pending::Master { address } => {
                    self.tell(reactor, index, Event::Master { address });
                }
            }
        }
    }

    fn run_timers(&mut self, reactor: &mut Reactor) {
        let now = reactor.now();
        for index in 0..self.services.len() {
            let Some(hosted) = self.services.get_mut(index).filter(|one| !one.is_done) else {
                continue;
            };
            let must_ask = hosted
                .finder
                .as_mut()
                .is_some_and(|(_, finder)| !finder.handle_timeout(now));
            if must_ask {
                self.end_finder(reactor, index, None);
            }
            if self.is_due(index, now) {
                self.tell(reactor, index, Event::Timer);
                debug_assert!(
                    !self.is_due(index, now),
                    "a timer that fires and is not set anew is a busy loop"
                );
            }
        }
        self.end_lingering(reactor);
        if self.listeners_paused.is_some_and(|until| until <= now) {
            self.resume_listeners(reactor);
        }
    }

    fn is_due(&self, index: usize, now: Instant) -> bool {
        self.services
            .get(index)
            .is_some_and(|one| !one.is_done && one.service.deadline().is_some_and(|at| at <= now))
    }

    /// Writes what was printed, and has poll tell when there is room for what
    /// did not go.
    fn flush_output(&mut self, reactor: &mut Reactor) {
        let was_open = self.stdout.is_open();
        self.stdout.flush();
        self.stderr.flush();
        if was_open && !self.stdout.is_open() {
            for index in 0..self.services.len() {
                if self
                    .services
                    .get(index)
                    .is_some_and(|one| one.setup.exit_with_output)
                {
                    self.finish(reactor, index, 4);
                }
            }
        }
        self.stdout_key = self.watch_output(reactor, true, self.stdout_key);
        self.stderr_key = self.watch_output(reactor, false, self.stderr_key);
    }

    fn watch_output(&mut self, reactor: &mut Reactor, out: bool, key: Option<Key>) -> Option<Key> {
        let output = if out { &self.stdout } else { &self.stderr };
        match (key, output.is_waiting()) {
            (None, true) => {
                let key = reactor.watch(output, Interest::WRITE);
                self.own(key, if out { Owner::Stdout } else { Owner::Stderr });
                Some(key)
            }
            (Some(key), false) => {
                self.disown(reactor, key);
                None
            }
            (key, _) => key,
        }
    }

    /// Begins to leave once every service is done.
    fn check_leaving(&mut self, now: Instant) {
        if self.leaving.is_none() && self.services.iter().all(|one| one.is_done) {
            self.leaving = Some(now);
        }
    }

    /// When to leave: at once if all is out, a little later if only the other
    /// sides' ends are missing, and at last in any case.
    fn leaves_at(&self) -> Option<Instant> {
        let since = self.leaving?;
        let is_printed = !self.stdout.is_waiting() && !self.stderr.is_waiting();
        Some(match is_printed && self.are_links_written() {
            true if self.links.is_empty() => since,
            true => since + LEAVE_LINGER,
            false => since + LEAVE_WITHIN,
        })
    }
}

impl Handler for Host {
    fn ready(&mut self, reactor: &mut Reactor, key: Key, ready: Ready) {
        let owner = self.owners.get(key.index()).copied();
        match owner.unwrap_or(Owner::Nobody) {
            // Output is written at the end of the turn.
            Owner::Nobody | Owner::Stdout | Owner::Stderr => {}
            Owner::Signals => self.handle_signals(reactor),
            Owner::Udp(index) => self.handle_datagram(reactor, index, ready),
            Owner::Listener(index) => self.take_in(reactor, index),
            Owner::Input(index) => self.handle_input(index),
            Owner::Finder(index) => self.handle_finder(reactor, index),
            Owner::Link(peer) => self.handle_link(reactor, peer, ready),
        }
    }

    fn end_turn(&mut self, reactor: &mut Reactor, drained: bool) {
        self.tell_pending(reactor);
        if drained {
            self.run_timers(reactor);
            self.tell_pending(reactor);
        }
        for index in 0..self.services.len() {
            self.tell_lines(reactor, index);
        }
        self.flush_output(reactor);
        self.check_leaving(reactor.now());
        self.last_turn = reactor.now();
    }

    fn deadline(&self) -> Option<Instant> {
        let running = self.services.iter().filter(|one| !one.is_done);
        let own = running.flat_map(|one| {
            let finder = one.finder.as_ref().and_then(|(_, one)| one.deadline());
            [one.service.deadline(), finder]
        });
        // One that came due by an event of this turn is for the next.
        let own = own.map(|at| at.map(|at| at.max(self.last_turn + LEAST_WAIT)));
        let soon = (!self.pending.is_empty()).then(|| self.last_turn + PENDING_AGAIN);
        let lingering = self.lingering.front().map(|&(until, _)| until);
        own.chain([lingering, self.listeners_paused, self.leaves_at(), soon])
            .flatten()
            .min()
    }

    fn is_finished(&self) -> bool {
        self.leaves_at().is_some_and(|at| at <= self.last_turn)
    }
}

/// Timers wait for input, this many turns at most.
const BUSY_TURNS_MAX: u32 = 8;
const PENDING_A_TURN_MAX: usize = 1_000;
const PENDING_AGAIN: Duration = Duration::from_millis(1);
/// What has not gone out this long after the last service's exit is given up.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);
/// How long peers that have everything may take to end their side.
const LEAVE_LINGER: Duration = Duration::from_millis(200);
const LEAST_WAIT: Duration = Duration::from_micros(1);

#[cfg(test)]
#[path = "host_tests.rs"]
mod tests;
