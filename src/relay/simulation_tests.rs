//! The whole relay under a simulated network: real servers and clients, every
//! datagram through the real codec, one seed tells the whole story.
//!
//! A run first draws which faults there are and how strong; then there is a
//! time with faults and a time without. What must hold at the end: what a
//! server confirmed was printed by its addressee once, whatever happened (or
//! never, if servers without a spool crashed), and everything was confirmed.

use super::client::{Client, Config as ClientConfig, Task};
use super::old_tests::OldServer;
use super::post::Limits;
use super::server::{Config, Server};
use super::table::Table;
use super::wire::Id;
use crate::rng::{Entropy, Seeded};
use crate::service::{self, Action, Event, Service, Turn};
use crate::time::{Duration, Instant};
use core::net::SocketAddrV4;
use std::collections::{BTreeMap, BTreeSet};

const LIMITS: Limits = Limits {
    mailbox: 1_000,
    bytes: 1 << 20,
};

/// Which faults a run has.
#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    /// In percent.
    loss: u32,
    /// In percent.
    duplication: u32,
    delay_least_ms: u32,
    delay_most_ms: u32,
    spool: bool,
    crashes: bool,
    moves: bool,
    /// The places of existing servers in the line.
    old: &'static [usize],
}

enum Node {
    New(Box<Server>),
    Old(OldServer),
    Down { until: Instant },
}

struct Sender {
    client: Option<Client>,
    address: SocketAddrV4,
    id: Id,
    /// Messages still to be sent: to whom, and what.
    to_send: Vec<(Id, String)>,
    next: Instant,
    server: usize,
}

struct World {
    faults: Faults,
    faulty: bool,
    random: Seeded,
    now: Instant,
    servers: Vec<SocketAddrV4>,
    nodes: Vec<Node>,
    disks: Vec<Vec<u8>>,
    clients: Vec<Sender>,
    network: BTreeMap<(Instant, u64), (SocketAddrV4, SocketAddrV4, Vec<u8>)>,
    packets: u64,
    ports: u16,
    /// What clients printed: message texts, with how often.
    printed: BTreeMap<String, u32>,
    /// In the order of printing: addressee, source, text.
    order: Vec<(Id, String, u32)>,
    confirmed: BTreeSet<String>,
    trace: String,
    read: u32,
}

fn ms(millis: u32) -> Duration {
    Duration::from_millis(millis.into())
}

fn id_of(client: usize) -> Id {
    Id::parse(&format!("{:010}", 1_111_111_111 + client as u64)).unwrap()
}

impl World {
    fn new(seed: u64, servers: usize, clients: usize, messages: u32, faults: Faults) -> Self {
        let addresses: Vec<SocketAddrV4> = (0..servers)
            .map(|i| SocketAddrV4::new([127, 0, 0, 21 + i as u8].into(), 1025 + i as u16))
            .collect();
        let mut world = Self {
            faults,
            faulty: true,
            random: Seeded::new(seed),
            now: Instant::ZERO + Duration::from_secs(50),
            nodes: Vec::new(),
            disks: vec![Vec::new(); servers],
            servers: addresses,
            clients: Vec::new(),
            network: BTreeMap::new(),
            packets: 0,
            ports: 4_000,
            printed: BTreeMap::new(),
            order: Vec::new(),
            confirmed: BTreeSet::new(),
            trace: String::new(),
            read: 0,
        };
        for index in 0..servers {
            if faults.old.contains(&index) {
                let old = OldServer::new(world.servers.clone(), index);
                world.nodes.push(Node::Old(old));
            } else {
                world.nodes.push(Node::Down { until: world.now });
            }
        }
        for index in 0..clients {
            let to_send = (0..messages)
                .map(|i| {
                    let to = world.random.below(clients as u32) as usize;
                    (id_of(to), format!("{index} says {i} to {to}"))
                })
                .rev()
                .collect();
            world.clients.push(Sender {
                client: None,
                address: world.servers[0],
                id: id_of(index),
                to_send,
                next: world.now,
                server: world.random.below(servers as u32) as usize,
            });
        }
        world
    }

    /// Performs a node's actions; `keep` of them if it crashes in between, the
    /// last append then torn.
    fn perform(
        &mut self,
        from: SocketAddrV4,
        server: Option<usize>,
        actions: Vec<Action>,
        keep: usize,
    ) {
        for (i, action) in actions.into_iter().enumerate() {
            let torn = i == keep;
            if i > keep {
                return;
            }
            match action {
                Action::Send { to, bytes } if !torn => self.transmit(from, to, bytes),
                Action::Append(bytes) => {
                    let length = if torn {
                        self.random.below(bytes.len() as u32 + 1) as usize
                    } else {
                        bytes.len()
                    };
                    self.disks[server.unwrap()].extend(&bytes[..length]);
                }
                Action::Rewrite(bytes) if !torn => self.disks[server.unwrap()] = bytes,
                _ => {}
            }
        }
    }

    fn transmit(&mut self, from: SocketAddrV4, to: SocketAddrV4, bytes: Vec<u8>) {
        assert!(!bytes.is_empty());
        let Faults {
            loss, duplication, ..
        } = self.faults;
        let copies = match self.random.below(100) {
            draw if !self.faulty || draw >= loss + duplication => 1,
            draw if draw < loss => 0,
            _ => 2,
        };
        for _ in 0..copies {
            let (least, most) = (self.faults.delay_least_ms, self.faults.delay_most_ms);
            let delay = ms(least + self.random.below(most - least + 1));
            self.packets += 1;
            self.network
                .insert((self.now + delay, self.packets), (from, to, bytes.clone()));
        }
    }

    fn tell_server(&mut self, index: usize, event: Event<'_>) {
        let own = self.servers[index];
        let mut actions = Vec::new();
        match &mut self.nodes[index] {
            Node::Down { .. } => return,
            Node::Old(old) => {
                if let Event::Datagram { from, bytes } = event {
                    for (to, bytes) in old.datagram(from, bytes) {
                        actions.push(Action::Send { to, bytes });
                    }
                }
            }
            Node::New(server) => server.handle(
                event,
                &mut Turn {
                    now: self.now,
                    entropy: &mut self.random,
                    actions: &mut actions,
                },
            ),
        }
        let crashes = self.faulty && self.faults.crashes && self.random.below(400) == 0;
        let is_new = matches!(self.nodes[index], Node::New(_));
        if crashes && is_new && !actions.is_empty() {
            let keep = self.random.below(actions.len() as u32) as usize;
            self.perform(own, Some(index), actions, keep);
            let down = ms(self.random.below(8_000));
            self.nodes[index] = Node::Down {
                until: self.now + down,
            };
        } else {
            self.perform(own, Some(index), actions, usize::MAX);
        }
    }

    fn start_server(&mut self, index: usize) {
        let spool = self.faults.spool.then(|| self.disks[index].clone());
        self.nodes[index] = Node::New(Box::new(Server::new(Config {
            table: Table::new(&self.servers, index).unwrap(),
            limits: LIMITS,
            spool,
            quiet: true,
        })));
        self.tell_server(index, Event::Start { port: 0 });
    }

    fn start_client(&mut self, index: usize) {
        self.ports += 1;
        let sender = &mut self.clients[index];
        sender.address = SocketAddrV4::new([127, 0, 0, 1].into(), self.ports);
        sender.client = Some(Client::new(ClientConfig {
            id: sender.id,
            server: service::Server::At(self.servers[sender.server]),
            table: self.servers.clone(),
            task: Task::Menu,
            timeout: Duration::from_secs(10_000),
            quiet: false,
            prompts: false,
        }));
        self.tell_client(index, &[Event::Start { port: 0 }]);
    }

    fn tell_client(&mut self, index: usize, events: &[Event<'_>]) {
        let sender = &mut self.clients[index];
        let (address, id) = (sender.address, sender.id);
        let Some(client) = &mut sender.client else {
            return;
        };
        let mut actions = Vec::new();
        for event in events {
            client.handle(
                *event,
                &mut Turn {
                    now: self.now,
                    entropy: &mut self.random,
                    actions: &mut actions,
                },
            );
        }
        for action in &actions {
            match action {
                Action::Print(line) => self.printed_by(id, line),
                Action::Complain(line) => panic!("{id} complains: {line}"),
                Action::Exit(_) => self.clients[index].client = None,
                _ => {}
            }
        }
        self.perform(address, None, actions, usize::MAX);
    }

    fn printed_by(&mut self, id: Id, line: &str) {
        if line.starts_with("read by") {
            self.read += 1;
        } else if let Some(sent) = line.strip_prefix("sent to ") {
            let text = sent.split(": ").nth(1).unwrap();
            let text = text.split(" (").next().unwrap();
            self.confirmed.insert(text.into());
        } else if let Some((source, text)) = line.split_once(": ") {
            *self.printed.entry(text.into()).or_default() += 1;
            let number = text.split(' ').nth(2).unwrap().parse().unwrap();
            self.order.push((id, source.into(), number));
        }
    }

    /// The next thing that happens, if it is before `end`.
    fn step(&mut self, end: Instant) -> bool {
        let network = self.network.first_key_value().map(|(&(at, _), _)| at);
        let servers = self.nodes.iter().map(|node| match node {
            Node::New(server) => server.deadline(),
            Node::Old(_) => None,
            Node::Down { until } => Some(*until),
        });
        let clients = self.clients.iter().flat_map(|sender| {
            let deadline = sender.client.as_ref().and_then(Service::deadline);
            [deadline, (!self.is_done(sender)).then_some(sender.next)]
        });
        let next = servers.chain(clients).chain([network]).flatten().min();
        let Some(next) = next.filter(|&next| next < end) else {
            self.now = end;
            return false;
        };
        self.now = self.now.max(next);
        while let Some(entry) = self.network.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let (from, to, bytes) = entry.remove();
            if option_env!("SIM_TRACE").is_some() {
                let (at, text) = (
                    self.now.since(Instant::ZERO),
                    String::from_utf8_lossy(&bytes),
                );
                self.trace += &format!("{at} {from} {to} {text}\n");
            }
            self.deliver(from, to, &bytes);
        }
        for index in 0..self.nodes.len() {
            match &self.nodes[index] {
                Node::Down { until } if *until <= self.now => self.start_server(index),
                Node::New(server) if server.deadline().is_some_and(|at| at <= self.now) => {
                    self.tell_server(index, Event::Timer);
                    if let Node::New(server) = &self.nodes[index] {
                        assert!(server.deadline().is_none_or(|at| at > self.now), "spins");
                    }
                }
                _ => {}
            }
        }
        for index in 0..self.clients.len() {
            self.act(index);
        }
        true
    }

    fn is_done(&self, sender: &Sender) -> bool {
        let goes_on = self.faults.old.is_empty() && !(self.faulty && self.faults.moves);
        sender.client.is_some() && sender.to_send.is_empty() && goes_on
    }

    fn deliver(&mut self, from: SocketAddrV4, to: SocketAddrV4, bytes: &[u8]) {
        if let Some(index) = self.servers.iter().position(|&server| server == to) {
            if !matches!(self.nodes[index], Node::Down { .. }) {
                return self.tell_server(index, Event::Datagram { from, bytes });
            }
        } else if let Some(index) = self
            .clients
            .iter()
            .position(|sender| sender.address == to && sender.client.is_some())
        {
            return self.tell_client(index, &[Event::Datagram { from, bytes }]);
        }
        // Nobody listens there; the sender may hear of it.
        if self.random.below(2) == 0 {
            if let Some(index) = self.servers.iter().position(|&server| server == from) {
                self.tell_server(index, Event::Refused { to });
            } else if let Some(index) = self.clients.iter().position(|one| one.address == from) {
                self.tell_client(index, &[Event::Refused { to }]);
            }
        }
    }

    /// A client's own doings: it comes, sends, moves.
    fn act(&mut self, index: usize) {
        let sender = &self.clients[index];
        if sender
            .client
            .as_ref()
            .and_then(Service::deadline)
            .is_some_and(|at| at <= self.now)
        {
            self.tell_client(index, &[Event::Timer]);
        }
        if self.clients[index].next > self.now {
            return;
        }
        let pause = ms(200 + self.random.below(2_000));
        self.clients[index].next = self.now + pause;
        let moves = self.faulty && self.faults.moves && self.random.below(8) == 0;
        let sender = &mut self.clients[index];
        match &sender.client {
            None => {
                if self.faults.moves {
                    sender.server = self.random.below(self.servers.len() as u32) as usize;
                }
                self.start_client(index);
            }
            Some(client) if client.wants_line() => {
                if moves {
                    self.tell_client(index, &[Event::Stop]);
                } else if let Some((to, text)) = sender.to_send.pop() {
                    let to = to.to_string();
                    let lines = [b"1".as_slice(), to.as_bytes(), text.as_bytes()];
                    self.tell_client(index, &lines.map(|text| Event::Line { text }));
                } else {
                    self.tell_client(index, &[Event::Line { text: b"2" }]);
                }
            }
            Some(_) => {}
        }
    }

    fn run(&mut self, seconds: u64, quiet_seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while self.step(end) {}
        self.faulty = false;
        let end = end + Duration::from_secs(quiet_seconds);
        while self.step(end) {}
    }
}

fn check(seed: u64, servers: usize, clients: usize, messages: u32, faults: Faults) -> World {
    let mut world = World::new(seed, servers, clients, messages, faults);
    world.run(60, 120);
    let story = format!("seed {seed}, {faults:?}\n{}", world.trace);
    for (text, &times) in &world.printed {
        assert_eq!(times, 1, "{text:?} was printed {times} times: {story}");
    }
    let all = clients * messages as usize;
    assert_eq!(world.confirmed.len(), all, "confirmed: {story}");
    if faults.spool || !faults.crashes {
        for text in &world.confirmed {
            assert!(
                world.printed.contains_key(text),
                "{text:?} is lost: {story}"
            );
        }
    }
    if !faults.moves {
        let mut last = BTreeMap::new();
        for (addressee, source, number) in &world.order {
            let before = last.insert((*addressee, source.clone()), *number);
            assert!(
                before < Some(*number),
                "{source} to {addressee}: order, {story}"
            );
        }
    }
    world
}

fn drawn(random: &mut Seeded, faults: Faults) -> Faults {
    let least = random.below(3);
    Faults {
        loss: random.below(3) * 12,
        duplication: random.below(3) * 12,
        delay_least_ms: least,
        delay_most_ms: least + random.below(3) * 60,
        ..faults
    }
}

/// How many seeds a test runs; more with `SIM_SEEDS`, one with `SIM_SEED`; a
/// failure tells all datagrams with `SIM_TRACE`.
fn seeds(few: u64) -> core::ops::Range<u64> {
    if let Some(seed) = option_env!("SIM_SEED").and_then(|text| text.parse().ok()) {
        return seed..seed + 1;
    }
    let factor = option_env!("SIM_SEEDS").and_then(|text| text.parse().ok());
    0..few * factor.unwrap_or(1)
}

fn sweep(few: u64, faults: Faults) {
    for seed in seeds(few) {
        let mut random = Seeded::new(seed);
        let faults = drawn(&mut random, faults);
        let servers = 1 + random.below(5) as usize;
        check(seed, servers, 2 + random.below(5) as usize, 12, faults);
    }
}

#[test]
fn loss_duplication_and_reordering_neither_lose_nor_repeat() {
    sweep(25, Faults::default());
}

#[test]
fn crashes_with_the_spool_neither_lose_nor_repeat() {
    let faults = Faults {
        spool: true,
        crashes: true,
        ..Faults::default()
    };
    sweep(25, faults);
}

#[test]
fn crashes_without_the_spool_do_not_repeat() {
    let faults = Faults {
        crashes: true,
        ..Faults::default()
    };
    sweep(15, faults);
}

#[test]
fn clients_that_move_get_their_mail_once() {
    let faults = Faults {
        moves: true,
        ..Faults::default()
    };
    sweep(25, faults);
}

#[test]
fn clients_that_move_among_crashing_servers_get_their_mail_once() {
    let faults = Faults {
        moves: true,
        crashes: true,
        spool: true,
        ..Faults::default()
    };
    sweep(25, faults);
}

/// Existing servers confirm nothing and repeat nothing: no loss then.
#[test]
fn existing_servers_in_the_line_carry_mail_both_ways() {
    for (seed, old) in [
        (1, &[0usize][..]),
        (2, &[1, 3]),
        (3, &[0, 1, 2, 3]),
        (4, &[2]),
    ] {
        let faults = Faults {
            delay_least_ms: 2,
            delay_most_ms: 2,
            old,
            ..Faults::default()
        };
        let mut world = World::new(seed, 5, 6, 10, faults);
        world.run(60, 60);
        for (text, &times) in &world.printed {
            assert_eq!(times, 1, "{text:?} with existing servers {old:?}");
        }
        assert_eq!(world.printed.len(), 60, "existing servers {old:?}");
    }
}

#[test]
fn receipts_come_back_to_those_who_stay() {
    let world = check(7, 5, 6, 12, Faults::default());
    assert_eq!(world.read, 72, "every message was told to be read");
}
