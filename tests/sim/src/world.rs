//! The cluster and its network in one thread and one order of events.

use crate::checks::{Checks, Said};
use crate::client::Clients;
use crate::host::{BUFFER_MAX, Clock, Given, Host, State};
use crate::lan::Lan;
use crate::options::Weather;
use crate::packet::{Packet, Shown};
use crate::program::Program;
use crate::queue::{Event, Micros, Queue};
use crate::story::Story;
use crate::turns::Turns;
use boardroom::election::client::{self, Question};
use boardroom::election::wire;
use boardroom::election::{Board, Count, Keys, Network, Notice};
use boardroom::rng::{Entropy, Seeded};
use boardroom::time::Instant;
use core::net::{Ipv4Addr, SocketAddrV4};
use std::collections::VecDeque;

/// The election's port in every simulation.
pub const PORT: u16 = 2000;

/// A host hears its own broadcast after so many microseconds.
const LOOPBACK_US: Micros = 5;
/// Who went on after a pause so long ago may have left its office late.
const LATE: Micros = 5_000_000;
/// The loop brings its timers after so many turns of input in a row.
const BUSY_TURNS_MAX: u32 = 64;

/// Most schedules send fewer datagrams.
const PACKETS_USUAL: usize = 1_024;

/// What is the same for all hosts of a schedule.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// A turn begins up to so many microseconds late.
    pub latency: u32,
    /// Whether timers fire on whole milliseconds only.
    pub coarse_timers: bool,
    /// Whether claims have a socket of their own, which a slave that watches
    /// over a living master does not poll.
    pub claims_wait: bool,
}

/// How many datagrams a board has not believed.
pub fn refusals(board: &Board) -> u64 {
    [Count::Unsigned, Count::Unverified, Count::Replayed]
        .into_iter()
        .map(|count| board.counters().of(count))
        .sum()
}

/// Where a datagram came from, beyond what it says.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// When it was sent.
    pub sent: Micros,
    /// Sent by one of the hosts, and not altered since.
    pub genuine: bool,
    /// It is no message.
    pub junk: bool,
}

/// Everything there is.
pub struct World {
    /// The present.
    pub now: Micros,
    /// The hosts, in the order they were added.
    pub hosts: Vec<Host>,
    /// The links between them; the clients' host is the last.
    pub lan: Lan,
    /// The directed broadcast address.
    pub broadcast: Ipv4Addr,
    /// Who asks.
    pub clients: Clients,
    /// Who watches.
    pub checks: Checks,
    /// What happened.
    pub story: Story,
    /// Random numbers of the network.
    pub rng: Seeded,
    /// The longest that a program takes to let go of the office; zero if there
    /// is none (Q6).
    pub hook_max: Micros,
    /// Datagrams delivered so far.
    pub delivered: u64,
    machine: Machine,
    queue: Queue,
    turns: Turns,
    packets: Vec<Packet>,
    origins: Vec<Origin>,
}

impl World {
    /// An empty LAN whose directed broadcast address is `broadcast`; the
    /// clients live at `clients`.
    pub fn new(
        seed: u64,
        weather: Weather,
        machine: Machine,
        broadcast: Ipv4Addr,
        clients: Ipv4Addr,
    ) -> Self {
        Self {
            now: 0,
            hosts: Vec::new(),
            lan: Lan::new(weather),
            broadcast,
            clients: Clients::new(clients),
            checks: Checks::default(),
            story: Story::default(),
            rng: Seeded::new(seed),
            hook_max: 0,
            delivered: 0,
            machine,
            queue: Queue::default(),
            turns: Turns::default(),
            packets: Vec::with_capacity(PACKETS_USUAL),
            origins: Vec::with_capacity(PACKETS_USUAL),
        }
    }

    /// Adds a host whose process starts now.
    pub fn add(&mut self, address: Ipv4Addr, program: Program, clock: Clock, seed: u64) -> usize {
        let at = self.hosts.len();
        self.hosts.push(Host::new(address, program, clock, seed));
        self.checks.add_host();
        self.turns.add_host();
        self.tell_network(at);
        at
    }

    /// The index of the clients' host on the LAN.
    pub fn clients_at(&self) -> usize {
        self.hosts.len()
    }

    /// Lets everything happen up to and including `until`.
    pub fn run_until(&mut self, until: Micros) {
        loop {
            let turn = self.turns.first().map_or(until, |(at, _)| at.min(until));
            if let Some((at, event)) = self.queue.pop(turn) {
                self.now = at;
                self.happen(event);
            } else if let Some((at, host)) = self.turns.take(until) {
                self.now = at;
                self.run(host);
            } else {
                break;
            }
            if self.checks.violation.is_some() {
                return;
            }
        }
        self.now = until;
    }

    fn happen(&mut self, event: Event) {
        let lives = |host: u16, life| self.hosts[usize::from(host)].life == life;
        match event {
            Event::Arrival { host, packet } => self.arrive(usize::from(host), packet),
            Event::Refusal { host, packet } => self.bring_refusal(usize::from(host), packet),
            Event::CallerTurn => self.caller_turn(),
            Event::LetGo { host, life } if lives(host, life) => self.let_go(usize::from(host)),
            Event::Resume { host, life } if lives(host, life) => self.resume(usize::from(host)),
            Event::LetGo { .. } | Event::Resume { .. } => {}
        }
    }

    /// Lets `span` microseconds pass.
    pub fn run_for(&mut self, span: Micros) {
        self.run_until(self.now + span);
    }

    /// A client sends `bytes` from `from` to `to`.
    pub fn client_sends(&mut self, from: SocketAddrV4, to: SocketAddrV4, bytes: &[u8]) {
        self.send(self.clients_at(), Packet::new(from, to, bytes));
    }

    /// A client broadcasts WHOIS from a port of its own, which is returned.
    pub fn whois(&mut self) -> SocketAddrV4 {
        let from = self.clients.ask(self.now);
        self.client_sends(from, self.everybody(), b"WHOIS\n");
        from
    }

    /// A client broadcasts VOTE from the election port.
    pub fn call_vote(&mut self) {
        let from = SocketAddrV4::new(self.clients.address, PORT);
        self.client_sends(from, self.everybody(), b"VOTE\n");
    }

    /// A client with the key calls an election: it has a board introduce
    /// itself, and sends its VOTE to that board (K5).
    pub fn call_signed_vote(&mut self, keys: &Keys) {
        let now = Instant::from_micros(self.now);
        let newline = true;
        let question = Question::vote(now, client::TIMEOUT, newline).with_key(now, keys);
        self.clients.caller = Some(question);
        self.caller_sends();
    }

    fn caller_turn(&mut self) {
        let now = Instant::from_micros(self.now);
        if let Some(caller) = &mut self.clients.caller {
            caller.handle_timeout(now);
            self.caller_sends();
        }
    }

    /// Sends what the caller has to say; with its VOTE its part is done.
    fn caller_sends(&mut self) {
        let due = self
            .clients
            .caller
            .as_ref()
            .and_then(Question::poll_timeout);
        if let Some(due) = due {
            let due = due.micros().max(self.now + 1);
            self.queue.push(due, Event::CallerTurn);
        }
        let from = SocketAddrV4::new(self.clients.address, PORT);
        let Some(caller) = &mut self.clients.caller else {
            return;
        };
        let Some(outgoing) = caller.poll_transmit() else {
            return;
        };
        if outgoing.to.is_some() {
            self.clients.caller = None;
        }
        let to = outgoing.to.unwrap_or(self.everybody());
        let packet = Packet::new(from, to, &outgoing.bytes);
        let junk = wire::parse(packet.bytes()).is_err();
        self.send_as(self.clients_at(), &packet, true, junk);
    }

    /// The broadcast address at the election's port.
    pub const fn everybody(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.broadcast, PORT)
    }

    /// The process dies; with `off` the whole machine goes.
    pub fn kill(&mut self, at: usize, off: bool) {
        let host = &mut self.hosts[at];
        host.state = if off { State::Off } else { State::Dead };
        host.suspended = false;
        host.life += 1;
        host.close_sockets();
        self.turns.set(at, None);
        self.checks.forget(at);
        let how = if off { "is switched off" } else { "is killed" };
        self.note(at, format_args!("{how}"));
    }

    /// The process starts anew as `program`, at the host's present address.
    pub fn start(&mut self, at: usize, program: Program) {
        let host = &mut self.hosts[at];
        host.state = State::Running;
        host.moved = false;
        host.draws.told.clear();
        host.started_at = self.now;
        host.given = Given::default();
        host.letting_go = None;
        host.resumed_at = None;
        host.life += 1;
        host.program = program;
        host.close_sockets();
        self.checks.forget(at);
        self.note(at, format_args!("starts"));
        self.tell_network(at);
    }

    /// The process is stopped for `span` microseconds.
    pub fn stop(&mut self, at: usize, span: Micros) {
        let host = &mut self.hosts[at];
        if host.state != State::Running {
            return;
        }
        host.state = State::Stopped;
        host.stopped_at = self.now;
        self.turns.set(at, None);
        let life = host.life;
        let host = at as u16;
        self.note(at, format_args!("is stopped for {span} us"));
        self.queue
            .push(self.now + span, Event::Resume { host, life });
    }

    /// The whole machine is suspended for `span` microseconds: nothing comes in
    /// meanwhile, and what waits is lost.
    pub fn suspend(&mut self, at: usize, span: Micros) {
        if self.hosts[at].state != State::Running {
            return;
        }
        self.stop(at, span);
        self.hosts[at].suspended = true;
        self.hosts[at].buffers.iter_mut().for_each(VecDeque::clear);
        self.hosts[at].refusals.clear();
        self.note(at, format_args!("is suspended, and its queues are lost"));
    }

    /// A stopped process goes on.
    pub fn resume(&mut self, at: usize) {
        if self.hosts[at].state != State::Stopped {
            return;
        }
        self.hosts[at].state = State::Running;
        self.hosts[at].suspended = false;
        self.hosts[at].resumed_at = Some(self.now);
        let slept = self.now - self.hosts[at].stopped_at;
        self.note(at, format_args!("goes on"));
        self.checks.resumed(&self.hosts[at], at, slept);
        if core::mem::take(&mut self.hosts[at].moved) {
            self.tell_network(at);
        }
        self.let_go(at);
        self.turns.bring_forward(at, self.now);
    }

    /// The host's address becomes `address`, or is lost.
    pub fn set_address(&mut self, at: usize, address: Option<Ipv4Addr>) {
        match address {
            Some(address) => self.note(at, format_args!("moves to {address}")),
            None => self.note(at, format_args!("loses its address")),
        }
        self.hosts[at].address = address;
        if let Program::Old(_) = self.hosts[at].program {
            return;
        }
        self.hosts[at].close_sockets();
        self.tell_network(at);
    }

    /// The master is told to hand over.
    pub fn resign(&mut self, at: usize) {
        // Its program is told first, and that waits for what still runs (Q6).
        if !self.hosts[at].is_up() || self.hosts[at].letting_go.is_some() {
            return;
        }
        self.note(at, format_args!("is told to resign"));
        let host = &mut self.hosts[at];
        let now = host.clock.shows(self.now);
        if let Program::Board(board) = &mut host.program {
            board.handle_wakeup(now);
            board.handle_resign(now);
        }
        self.after_turn(at);
    }

    /// Sends a datagram from the host at `from` (or from the clients' host).
    pub fn send(&mut self, from: usize, packet: Packet) {
        let junk = wire::parse(packet.bytes()).is_err();
        self.send_as(from, &packet, from < self.hosts.len(), junk);
    }

    fn send_as(&mut self, from: usize, packet: &Packet, genuine: bool, junk: bool) {
        if self.story.is_written() {
            let to = *packet.to.ip();
            let to = if to == self.broadcast || to.is_broadcast() {
                "all".into()
            } else {
                self.name_of(to)
            };
            let port = packet.to.port();
            let port = if port == PORT {
                String::new()
            } else {
                format!(":{port}")
            };
            let sender = self.name_at(from);
            self.story.tell(
                self.now,
                format_args!("{sender} -> {to}{port}: {}", Shown(packet.bytes())),
            );
        }
        let id = self.keep(packet, genuine, junk);
        let to = *packet.to.ip();
        if to == self.broadcast || to.is_broadcast() {
            self.broadcast(from, id, packet.to.port());
        } else if to == self.clients.address {
            self.carry(from, self.clients_at(), id);
        } else if let Some(host) = self.hosts.iter().position(|host| host.address == Some(to)) {
            self.carry(from, host, id);
        }
    }

    fn broadcast(&mut self, from: usize, id: u32, port: u16) {
        let lost = self.lan.loses_at_sender(&mut self.rng);
        if port == PORT {
            if from < self.hosts.len() {
                let host = from as u16;
                self.queue
                    .push(self.now + LOOPBACK_US, Event::Arrival { host, packet: id });
            }
            for to in 0..self.hosts.len() {
                if to != from && !lost {
                    self.carry(from, to, id);
                }
            }
        } else if !lost && self.clients.listens(port) {
            self.carry(from, self.clients_at(), id);
        }
    }

    fn carry(&mut self, from: usize, to: usize, id: u32) {
        let fate = self.lan.fate(from, to, self.now, &mut self.rng);
        let Some(delay) = fate.delay else {
            if self.story.is_written() {
                let (from, to) = (self.name_at(from), self.name_at(to));
                self.story
                    .tell(self.now, format_args!("  lost between {from} and {to}"));
            }
            return;
        };
        if self.lan.held.contains(&(from as u16, to as u16)) {
            self.lan.kept.push((from as u16, to as u16, id));
            let (from, to) = (self.name_at(from), self.name_at(to));
            self.story
                .tell(self.now, format_args!("  held between {from} and {to}"));
            return;
        }
        let packet = match fate.flip {
            Some(bit) => {
                let flipped = self.packets[id as usize].flipped(bit);
                self.keep(&flipped, false, wire::parse(flipped.bytes()).is_err())
            }
            None => id,
        };
        let host = to as u16;
        self.queue
            .push(self.now + delay, Event::Arrival { host, packet });
        if let Some(later) = fate.copy {
            self.queue
                .push(self.now + later, Event::Arrival { host, packet });
        }
    }

    fn keep(&mut self, packet: &Packet, genuine: bool, junk: bool) -> u32 {
        self.origins.push(Origin {
            sent: self.now,
            genuine,
            junk,
        });
        self.packets.push(*packet);
        self.packets.len() as u32 - 1
    }

    fn arrive(&mut self, at: usize, id: u32) {
        let packet = &self.packets[id as usize];
        if at == self.hosts.len() {
            self.clients.heard.push((self.now, *packet));
            let now = Instant::from_micros(self.now);
            let caller = self.clients.caller.as_mut();
            if let Some(caller) = caller.filter(|_| packet.to.port() == PORT) {
                let _ = caller.handle_datagram(now, packet.from, packet.bytes());
                self.caller_sends();
            }
            return;
        }
        let host = &mut self.hosts[at];
        let own = Some(*packet.to.ip()) == host.address;
        match host.state {
            State::Off => {}
            _ if host.suspended => {}
            State::Dead if own => self.refuse(at, id),
            State::Dead => {}
            State::Running | State::Stopped => {
                let everybody = *packet.to.ip() == self.broadcast || packet.to.ip().is_broadcast();
                let claims = self.machine.claims_wait
                    && everybody
                    && !host.is_old
                    && packet.bytes().first() == Some(&b'!');
                let socket = usize::from(everybody) + usize::from(claims);
                let buffer = &mut host.buffers[socket];
                if !(own || everybody && host.address.is_some()) || buffer.len() >= BUFFER_MAX {
                    return;
                }
                buffer.push_back((self.now, id));
                if host.state == State::Running && host.has_input() {
                    self.wake(at);
                }
            }
        }
    }

    /// The dead process's kernel sends news of its closed port.
    fn refuse(&mut self, at: usize, id: u32) {
        let sender = *self.packets[id as usize].from.ip();
        let Some(to) = self
            .hosts
            .iter()
            .position(|host| host.address == Some(sender))
        else {
            return;
        };
        if let Some(delay) = self.lan.fate(at, to, self.now, &mut self.rng).delay {
            let host = to as u16;
            self.queue
                .push(self.now + delay, Event::Refusal { host, packet: id });
        }
    }

    fn bring_refusal(&mut self, at: usize, id: u32) {
        let host = &mut self.hosts[at];
        let still_own = host.address == Some(*self.packets[id as usize].from.ip());
        let open = matches!(host.state, State::Running | State::Stopped);
        if still_own && open && host.refusals.len() < BUFFER_MAX {
            host.refusals.push_back(id);
            if host.state == State::Running {
                self.wake(at);
            }
        }
    }

    /// Input has come: the loop's poll returns, at once or a little later.
    fn wake(&mut self, at: usize) {
        if self.machine.latency == 0 {
            self.run(at);
        } else {
            let late = u64::from(self.rng.below(self.machine.latency));
            self.turns.bring_forward(at, self.now + late);
        }
    }

    /// Turns of the loop until there is nothing to do now.
    fn run(&mut self, at: usize) {
        let host = &self.hosts[at];
        if host.state != State::Running {
            return;
        }
        let now = host.clock.shows(self.now);
        while {
            let host = &self.hosts[at];
            host.deadline.is_some_and(|deadline| deadline <= now) || host.has_input()
        } {
            self.turn(at, now);
            if self.checks.violation.is_some() {
                return;
            }
        }
        self.schedule_timer(at);
    }

    /// One turn: input, then the timer if the input is drained, then output.
    fn turn(&mut self, at: usize, now: Instant) {
        let host = &mut self.hosts[at];
        host.program.wakeup(now);
        let last_turn = core::mem::replace(&mut host.last_turn, now);
        if host.claims_wait {
            // As of the moments when they came, before anything else.
            while let Some((came, id)) = self.hosts[at].buffers[2].pop_front() {
                let came = self.hosts[at].clock.shows(came).max(last_turn);
                self.give(at, came, id);
            }
        }
        let mut brought = false;
        for socket in 0..3 {
            if let Some((_, id)) = self.hosts[at].buffers[socket].pop_front() {
                brought = true;
                self.give(at, now, id);
            }
        }
        let host = &mut self.hosts[at];
        if let Some(id) = host.refusals.pop_front() {
            brought = true;
            let to = self.packets[id as usize].to;
            host.program.refused(now, to, &mut host.draws);
        }
        host.busy_turns = if brought { host.busy_turns + 1 } else { 0 };
        let drained = !host.has_input();
        let due = host
            .program
            .timeout()
            .is_some_and(|deadline| deadline <= now);
        if due && (drained || host.busy_turns >= BUSY_TURNS_MAX) {
            host.busy_turns = 0;
            host.program.handle_timeout(now, &mut host.draws);
            self.checks.after_timeout(at, host, now, self.now);
        }
        let waits = |board: &Board| board.can_claims_wait();
        host.claims_wait = self.machine.claims_wait && host.program.board().is_some_and(waits);
        self.speak(at);
    }

    /// Hands a datagram to the process, as of `now`.
    fn give(&mut self, at: usize, now: Instant, id: u32) {
        self.delivered += 1;
        let host = &mut self.hosts[at];
        let packet = &self.packets[id as usize];
        let origin = self.origins[id as usize];
        let keyed = self.checks.keyed;
        let again = keyed && host.given.has(id);
        let worthless = keyed && (!origin.genuine || again || origin.sent < host.started_at);
        self.checks
            .before_datagram(at, host, origin.junk, worthless);
        let refused = host.program.board().filter(|_| keyed).map_or(0, refusals);
        host.program
            .datagram(now, packet.from, packet.bytes(), &mut host.draws);
        self.checks.after_datagram(at, host, packet, self.now);
        // What was refused, its sender being a stranger, may be believed when
        // it comes again after the introduction.
        if keyed && host.program.board().map_or(0, refusals) == refused {
            host.given.put(id);
        }
    }

    /// Everybody whose program is master at this very moment (S7).
    fn masters_now(&self) -> impl Iterator<Item = usize> {
        (0..self.hosts.len()).filter(|&at| self.is_master_now(at))
    }

    fn is_master_now(&self, at: usize) -> bool {
        let host = &self.hosts[at];
        let board = host.program.board().filter(|board| board.in_office());
        board.is_some_and(|board| host.is_up() && board.is_master(host.clock.shows(self.now)))
    }

    /// Somebody who hears everything sends what once was sent again.
    pub fn replay(&mut self, id: u32) {
        let packet = self.packets[id as usize];
        if self.story.is_written() {
            let sent = self.origins[id as usize].sent;
            self.story.tell(
                self.now,
                format_args!(
                    "replayed of {} us, from {}: {}",
                    sent,
                    packet.from,
                    Shown(packet.bytes())
                ),
            );
        }
        for host in 0..self.hosts.len() {
            let address = self.hosts[host].address;
            let everybody = *packet.to.ip() == self.broadcast;
            if (everybody || address == Some(*packet.to.ip())) && address != Some(*packet.from.ip())
            {
                let host = host as u16;
                self.queue
                    .push(self.now + 50, Event::Arrival { host, packet: id });
            }
        }
    }

    /// How many datagrams were ever sent.
    pub fn sent(&self) -> u32 {
        self.packets.len() as u32
    }

    /// After anything has been done to a host outside its loop.
    fn after_turn(&mut self, at: usize) {
        self.speak(at);
        self.schedule_timer(at);
    }

    /// Output, news and the checkers.
    fn speak(&mut self, at: usize) {
        let mut sent = 0;
        while let Some(packet) = {
            let host = &mut self.hosts[at];
            let own = host.address.unwrap_or(Ipv4Addr::UNSPECIFIED);
            host.program.transmit(SocketAddrV4::new(own, PORT))
        } {
            sent += 1;
            let said = Said {
                packet: &packet,
                text: wire::parse(packet.bytes()),
                everybody: *packet.to.ip() == self.broadcast,
            };
            self.checks
                .on_transmit(at, &self.hosts[at], said, self.now, sent);
            if self.hosts[at].address.is_some() {
                self.send_as(at, &packet, true, said.text.is_err());
            }
        }
        self.take_notices(at);
        let changed = self.checks.after_turn(at, &self.hosts[at], self.now);
        // Who becomes master does so in a turn of its own.
        if self.checks.quorum
            && (changed.is_some() || sent > 0)
            && self.is_master_now(at)
            && self.masters_now().nth(1).is_some()
        {
            let masters: Vec<usize> = self.masters_now().collect();
            let what = format!("masters at one instant: hosts {masters:?}");
            self.checks.fail("S7 never two masters", self.now, what);
        }
        if let Some(change) = changed {
            self.note(at, format_args!("{change}"));
            self.hooks(at);
        }
        self.hosts[at].deadline = self.hosts[at].program.timeout();
    }

    /// A role has changed: a program begins to let go of the office, or nobody's
    /// may still do so (Q6).
    fn hooks(&mut self, at: usize) {
        if self.hook_max == 0 {
            return;
        }
        let host = &mut self.hosts[at];
        let is_letting_go = host.program.board().is_some_and(Board::is_letting_go);
        if is_letting_go && host.letting_go.is_none() {
            let until = self.now + u64::from(self.rng.below(self.hook_max as u32));
            host.letting_go = Some(until);
            let (life, host) = (host.life, at as u16);
            self.queue.push(until, Event::LetGo { host, life });
        } else if host.program.office().is_some() {
            let now = self.now;
            let late = |host: &Host| host.resumed_at.is_some_and(|at| now - at < LATE);
            let lets_go = |host: &Host| host.letting_go.is_some_and(|until| until > now);
            let other =
                |&(other, host): &(usize, &Host)| other != at && lets_go(host) && !late(host);
            if let Some((other, _)) = self.hosts.iter().enumerate().find(other) {
                let what = format!("host {at} is master, host {other} has not let go");
                self.checks.fail("S7 the hook lets go first", now, what);
            }
        }
    }

    /// The program has let go, unless the process cannot hear of it now.
    fn let_go(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        if host.state != State::Running || host.letting_go.is_none_or(|until| until > self.now) {
            return;
        }
        host.letting_go = None;
        let now = host.clock.shows(self.now);
        if let Program::Board(board) = &mut host.program
            && board.is_letting_go()
        {
            board.handle_wakeup(now);
            board.handle_let_go(now);
            self.after_turn(at);
        }
    }

    fn take_notices(&mut self, at: usize) {
        while let Some(notice) = self.hosts[at].program.notice() {
            if let Notice::Became(change) | Notice::Follows(change) = &notice {
                self.checks.on_change(at, change);
            }
            self.note(at, format_args!("log: {notice}"));
        }
    }

    /// The process wants a turn at its deadline, or before if input waits.
    fn schedule_timer(&mut self, at: usize) {
        if self.hosts[at].state != State::Running {
            return;
        }
        let due = self.due(at);
        if !self.hosts[at].has_input() {
            self.turns.set(at, due);
        } else if let Some(due) = due {
            self.turns.bring_forward(at, due);
        }
    }

    /// When the process's deadline wakes it, by true time.
    fn due(&mut self, at: usize) -> Option<Micros> {
        let host = &mut self.hosts[at];
        let deadline = host.deadline?;
        if host.comes.0 != deadline {
            host.comes = (deadline, host.clock.when(deadline));
        }
        let mut when = host.comes.1.max(self.now);
        if self.machine.coarse_timers {
            when = self.now + (when - self.now).next_multiple_of(1_000);
        }
        if self.machine.latency > 0 {
            when += u64::from(self.rng.below(self.machine.latency));
        }
        Some(when)
    }

    /// Tells the process which address its host has.
    fn tell_network(&mut self, at: usize) {
        let broadcast = self.broadcast;
        let host = &mut self.hosts[at];
        if host.state != State::Running {
            host.moved = true;
            return;
        }
        let now = host.clock.shows(self.now);
        let network = host.address.map(|address| Network { address, broadcast });
        host.program.wakeup(now);
        host.program.network(now, network);
        self.after_turn(at);
    }

    /// Adds a line about a host to the story.
    pub fn note(&mut self, at: usize, what: core::fmt::Arguments<'_>) {
        if self.story.is_written() {
            let name = self.name_at(at);
            self.story.tell(self.now, format_args!("{name} {what}"));
        }
    }

    fn name_at(&self, at: usize) -> String {
        match self.hosts.get(at) {
            Some(host) => host
                .address
                .map_or_else(|| format!("host {at}"), |address| address.to_string()),
            None => "client".into(),
        }
    }

    fn name_of(&self, address: Ipv4Addr) -> String {
        if address == self.clients.address {
            "client".into()
        } else {
            address.to_string()
        }
    }

    /// What the link held is sent on, in the order it came.
    pub fn release(&mut self, from: usize, to: usize) {
        let link = (from as u16, to as u16);
        self.lan.held.retain(|held| *held != link);
        let (out, kept) = core::mem::take(&mut self.lan.kept)
            .into_iter()
            .partition(|&(a, b, _)| (a, b) == link);
        self.lan.kept = kept;
        let out: Vec<(u16, u16, u32)> = out;
        for (_, host, packet) in out {
            self.queue.push(self.now, Event::Arrival { host, packet });
        }
    }
}
