//! A network in one process for tests of the roles: connections that cut and
//! delay bytes at random, and time that moves only when it is told to.

use crate::rng::{Entropy, Seeded};
use crate::service::{Action, Event, Peer, Service, Turn};
use crate::time::{Duration, Instant};
use core::net::{Ipv4Addr, SocketAddrV4};
use std::collections::VecDeque;

/// Where the tracker is.
pub(crate) const CENTRAL: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8080);

/// Services and the connections between them; the first one is connected to.
pub(crate) struct Lab {
    pub(crate) now: Instant,
    pub(crate) random: Seeded,
    /// Whether those that are added now are slow to hear.
    pub(crate) slow: bool,
    nodes: Vec<Node>,
    wires: Vec<Wire>,
    /// What was printed, by whoever it was.
    pub(crate) printed: Vec<String>,
    pub(crate) complaints: Vec<String>,
}

struct Node {
    service: Box<dyn Service>,
    /// It is slow to hear.
    slow: bool,
    exit: Option<u8>,
    /// Events that actions brought about.
    pending: VecDeque<(Peer, Told)>,
}

#[derive(Clone, Copy)]
enum Told {
    Opened,
    Failed,
}

/// One direction of a connection; its end in node `to` is called `peer`.
struct Wire {
    to: usize,
    peer: Peer,
    bytes: VecDeque<u8>,
    /// The sender has closed: the receiver is told when all has arrived.
    ended: bool,
    end_told: bool,
    /// The receiver has closed: nothing arrives any more.
    deaf: bool,
    /// It mostly lets the others go first.
    slow: bool,
}

impl Lab {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            now: Instant::ZERO,
            random: Seeded::new(seed),
            slow: false,
            nodes: Vec::new(),
            wires: Vec::new(),
            printed: Vec::new(),
            complaints: Vec::new(),
        }
    }

    /// Adds a service and starts it.
    pub(crate) fn add(&mut self, service: impl Service + 'static) -> usize {
        self.nodes.push(Node {
            service: Box::new(service),
            slow: self.slow,
            exit: None,
            pending: VecDeque::new(),
        });
        let node = self.nodes.len() - 1;
        self.tell(node, Event::Start { port: 8080 });
        node
    }

    pub(crate) fn exit(&self, node: usize) -> Option<u8> {
        self.nodes[node].exit
    }

    /// The node dies: its connections end at once.
    pub(crate) fn kill(&mut self, node: usize) {
        if self.nodes[node].exit.replace(9).is_none() {
            self.end_all(node);
        }
    }

    /// Lets time pass, and everything happen that falls in it.
    pub(crate) fn run(&mut self, span: Duration) {
        let until = self.now + span;
        let mut steps = 0;
        loop {
            steps += 1;
            assert!(steps < 3_000_000, "the lab comes to rest");
            if self.deliver_one() {
                // A delivery takes up to a millisecond.
                let later = Duration::from_micros(u64::from(self.random.below(1_000)));
                self.now = (self.now + later).min(until);
                self.fire();
                continue;
            }
            let next = self.deadlines().min();
            match next.filter(|&due| due <= until) {
                Some(due) => self.now = self.now.max(due),
                None => break,
            }
            self.fire();
        }
        self.now = until;
    }

    pub(crate) fn run_ms(&mut self, millis: u64) {
        self.run(Duration::from_millis(millis));
    }

    fn deadlines(&self) -> impl Iterator<Item = Instant> {
        self.nodes
            .iter()
            .filter(|node| node.exit.is_none())
            .filter_map(|node| node.service.deadline())
    }

    fn fire(&mut self) {
        for node in 0..self.nodes.len() {
            let due = self.nodes[node].service.deadline();
            if due.is_some_and(|due| due <= self.now) {
                self.tell(node, Event::Timer);
                let next = self.nodes[node].service.deadline();
                assert!(
                    self.nodes[node].exit.is_some() || next.is_none_or(|next| next > self.now),
                    "node {node}: a timer that fires for ever"
                );
            }
        }
    }

    fn deliver_one(&mut self) -> bool {
        let opened = (0..self.nodes.len())
            .find_map(|node| Some((node, self.nodes[node].pending.pop_front()?)));
        if let Some((node, (peer, told))) = opened {
            let address = CENTRAL;
            match told {
                Told::Opened => self.tell(node, Event::Opened { peer, address }),
                Told::Failed => self.tell(
                    node,
                    Event::ConnectFailed {
                        to: CENTRAL,
                        why: "connection refused",
                    },
                ),
            }
            return true;
        }
        let busy: Vec<usize> = (0..self.wires.len())
            .filter(|&at| {
                let wire = &self.wires[at];
                !wire.deaf && (!wire.bytes.is_empty() || wire.ended && !wire.end_told)
            })
            .collect();
        if busy.is_empty() {
            return false;
        }
        let quick = busy.iter().copied().filter(|&at| !self.wires[at].slow);
        let quick: Vec<usize> = quick.collect();
        let among = match self.random.below(SLOW_ONE_IN) {
            0 => &busy,
            _ if quick.is_empty() => &busy,
            _ => &quick,
        };
        let at = among[self.random.below(among.len() as u32) as usize];
        // Mostly small pieces, sometimes all there is.
        let most = match self.random.below(4) {
            0 => usize::MAX,
            _ => 1 + self.random.below(12) as usize,
        };
        let wire = &mut self.wires[at];
        let (to, peer) = (wire.to, wire.peer);
        let len = wire.bytes.len().min(most);
        let bytes: Vec<u8> = wire.bytes.drain(..len).collect();
        if bytes.is_empty() {
            wire.end_told = true;
            self.tell(to, Event::HalfClosed { peer });
        } else {
            let bytes = &bytes;
            self.tell(to, Event::Bytes { peer, bytes });
        }
        true
    }

    fn tell(&mut self, node: usize, event: Event<'_>) {
        if self.nodes[node].exit.is_some() {
            return;
        }
        let mut actions = Vec::new();
        let mut turn = Turn {
            now: self.now,
            entropy: &mut self.random,
            actions: &mut actions,
        };
        self.nodes[node].service.handle(event, &mut turn);
        for action in actions {
            self.perform(node, action);
        }
    }

    fn perform(&mut self, node: usize, action: Action) {
        match action {
            Action::Connect { .. } => self.connect(node),
            Action::Write { peer, bytes } => {
                let at = self.outgoing(node, peer);
                assert!(!self.wires[at].ended, "nothing is written after a close");
                self.wires[at].bytes.extend(bytes);
            }
            Action::Close { peer } => {
                let at = self.outgoing(node, peer);
                assert!(!self.wires[at].ended, "nothing is closed twice");
                self.close(at);
            }
            Action::Print(line) => self.printed.push(line),
            Action::Complain(line) => self.complaints.push(line),
            Action::Exit(code) => {
                self.nodes[node].exit.get_or_insert(code);
                self.end_all(node);
            }
            other => panic!("node {node} asks for {other:?}"),
        }
    }

    fn connect(&mut self, node: usize) {
        if self.nodes[0].exit.is_some() {
            self.nodes[node].pending.push_back((Peer(0), Told::Failed));
            return;
        }
        let first = Peer(self.wires.len() as u32);
        let second = Peer(self.wires.len() as u32 + 1);
        for (to, peer) in [(0, first), (node, second)] {
            self.wires.push(Wire {
                to,
                peer,
                bytes: VecDeque::new(),
                ended: false,
                end_told: false,
                deaf: false,
                slow: self.nodes[to].slow,
            });
            self.nodes[to].pending.push_back((peer, Told::Opened));
        }
    }

    /// The wire by which `node` sends to what it calls `peer`.
    fn outgoing(&self, node: usize, peer: Peer) -> usize {
        let incoming = peer.0 as usize;
        assert_eq!(self.wires[incoming].to, node, "its own connection");
        incoming ^ 1
    }

    fn close(&mut self, outgoing: usize) {
        self.wires[outgoing].ended = true;
        self.wires[outgoing ^ 1].deaf = true;
    }

    fn end_all(&mut self, node: usize) {
        for incoming in 0..self.wires.len() {
            if self.wires[incoming].to == node && !self.wires[incoming ^ 1].ended {
                self.close(incoming ^ 1);
            }
        }
    }
}

/// How seldom a slow one is as likely to hear as the others.
const SLOW_ONE_IN: u32 = 100;
