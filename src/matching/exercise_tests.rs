//! The whole exercise in one process, with own and old-style peers, over a
//! network that cuts, mixes and delays: each client is told exactly who holds
//! what it asked for.

use super::client::{self, Client};
use super::lab::{CENTRAL, Lab};
use super::link::Zeal;
use super::server::{self, Server};
use super::tracker::{self, Tracker};
use super::wire::{self, FRAME_MAX, Message, Number, RESULT_MAX, Splitter};
use crate::rng::{Entropy, Seeded};
use crate::service::{Action, Event, Peer, Server as Place, Service, Turn};
use crate::time::{Duration, Instant};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// An existing server: silent where it does not hold the number, and slow.
struct OldServer {
    name: String,
    number: u8,
    /// How long it takes to answer; none: it never does.
    delay: Option<Duration>,
    splitter: Splitter,
    due: VecDeque<Instant>,
    peer: Peer,
}

impl OldServer {
    fn new(name: &str, number: u8, delay_ms: Option<u64>) -> Self {
        Self {
            name: name.into(),
            number,
            delay: delay_ms.map(Duration::from_millis),
            splitter: Splitter::new(FRAME_MAX),
            due: VecDeque::new(),
            peer: Peer(0),
        }
    }
}

impl Service for OldServer {
    fn handle(&mut self, event: Event<'_>, turn: &mut Turn<'_>) {
        match event {
            Event::Start { .. } => turn.push(Action::Connect { to: CENTRAL }),
            Event::Opened { peer, .. } => {
                self.peer = peer;
                let bytes = wire::build(Message::Hello(&self.name));
                turn.push(Action::Write { peer, bytes });
            }
            Event::Bytes { mut bytes, .. } => {
                while let Some(Ok(frame)) = self.splitter.next(&mut bytes) {
                    if let Ok(Message::Search(Some(number))) = wire::parse(&frame)
                        && number.value() == self.number
                        && let Some(delay) = self.delay
                    {
                        self.due.push_back(turn.now + delay);
                    }
                }
            }
            _ => {}
        }
        while self.due.front().is_some_and(|&due| due <= turn.now) {
            self.due.pop_front();
            let (peer, bytes) = (self.peer, wire::build(Message::Match));
            turn.push(Action::Write { peer, bytes });
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.due.front().copied()
    }
}

/// What a client was told: the number asked for, by whom, the answer, and how
/// long it took.
#[derive(Debug)]
struct Told {
    number: u8,
    names: String,
    took: Duration,
}

/// An existing client that writes down what it is told.
struct Asker {
    name: String,
    rounds: u32,
    splitter: Splitter,
    number: u8,
    since: Instant,
    told: Rc<RefCell<Vec<Told>>>,
}

impl Asker {
    fn ask(&mut self, peer: Peer, turn: &mut Turn<'_>) {
        self.number = turn.entropy.one_to_ten();
        self.since = turn.now;
        let bytes = wire::build(Message::Search(Number::new(self.number)));
        turn.push(Action::Write { peer, bytes });
    }
}

impl Service for Asker {
    fn handle(&mut self, event: Event<'_>, turn: &mut Turn<'_>) {
        match event {
            Event::Start { .. } => turn.push(Action::Connect { to: CENTRAL }),
            Event::Opened { peer, .. } => {
                let bytes = wire::build(Message::Hi(&self.name));
                turn.push(Action::Write { peer, bytes });
                self.ask(peer, turn);
            }
            Event::Bytes { peer, mut bytes } => {
                while let Some(frame) = self.splitter.next(&mut bytes) {
                    let frame = frame.unwrap();
                    let Ok(Message::Result(names)) = wire::parse(&frame) else {
                        panic!("{}", String::from_utf8_lossy(&frame));
                    };
                    self.told.borrow_mut().push(Told {
                        number: self.number,
                        names: names.into(),
                        took: turn.now.since(self.since),
                    });
                    self.rounds -= 1;
                    if self.rounds == 0 {
                        turn.push(Action::Exit(0));
                        break;
                    }
                    self.ask(peer, turn);
                }
            }
            Event::HalfClosed { .. } => panic!("{} is thrown out", self.name),
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }
}

/// A peer that does harm: it speaks nonsense of all kinds, for ever.
struct Vandal {
    peer: Option<Peer>,
    next: Option<Instant>,
}

impl Service for Vandal {
    fn handle(&mut self, event: Event<'_>, turn: &mut Turn<'_>) {
        match event {
            Event::Start { .. } => turn.push(Action::Connect { to: CENTRAL }),
            Event::Opened { peer, .. } => self.peer = Some(peer),
            Event::HalfClosed { peer } => {
                turn.push(Action::Close { peer });
                turn.push(Action::Connect { to: CENTRAL });
                self.peer = None;
            }
            _ => {}
        }
        self.next = Some(turn.now + Duration::from_millis(70));
        if let (Some(peer), Event::Timer) = (self.peer, event) {
            const TRICKS: [&[u8]; 12] = [
                b"HI V\0",
                b"SRCH 3\0SRCH 4\0SRCH 99\0",
                b"MTCH \0",
                b"NONE \0NONE \0",
                b"HELLO V\0",
                b"\xff\xfe\0",
                b"SRCH",
                b"\0\0\0\0",
                b"RSLT S1\0",
                b"HELLO  \0",
                b"TRCK 1\0",
                &[b'x'; 200],
            ];
            let trick = TRICKS[turn.entropy.below(12) as usize];
            // Not as a server: one that claims a number cannot be disproved.
            if !trick.starts_with(b"HELLO V") {
                let bytes = trick.to_vec();
                turn.push(Action::Write { peer, bytes });
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.next
    }
}

fn central() -> Tracker {
    Tracker::new(tracker::Options {
        quiet: true,
        exercise: None,
    })
}

fn own_server(name: &str, number: u8) -> Server {
    Server::new(server::Options {
        name: name.into(),
        number: Number::new(number),
        place: Place::At(CENTRAL),
        zeal: Zeal::Return,
        quiet: true,
    })
}

fn asker(name: &str, rounds: u32, told: &Rc<RefCell<Vec<Told>>>) -> Asker {
    Asker {
        name: name.into(),
        rounds,
        splitter: Splitter::new(RESULT_MAX),
        number: 0,
        since: Instant::ZERO,
        told: Rc::clone(told),
    }
}

/// Adds some servers of each kind; their names and numbers.
fn populate(lab: &mut Lab, own: u32, old: u32, delays: &[Option<u64>]) -> Vec<(String, u8)> {
    let mut held = Vec::new();
    for i in 0..own + old {
        let name = format!("S{i}");
        let number = lab.random.one_to_ten();
        lab.slow = lab.random.below(4) == 0;
        if i < own {
            lab.add(own_server(&name, number));
        } else {
            let delay = delays[lab.random.below(delays.len() as u32) as usize];
            lab.add(OldServer::new(&name, number, delay));
            if delay.is_none() {
                continue;
            }
        }
        held.push((name, number));
    }
    lab.slow = false;
    held
}

/// Lets time pass until so many answers have come, but not for ever.
fn run_until(lab: &mut Lab, told: &Rc<RefCell<Vec<Told>>>, answers: usize) {
    for _ in 0..600 {
        lab.run_ms(500);
        if told.borrow().len() >= answers {
            return;
        }
    }
}

fn expected(held: &[(String, u8)], number: u8) -> String {
    let names = held.iter().filter(|(_, of)| *of == number);
    let names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
    names.join(" ")
}

/// Own, quick, slow and silent servers in any mixture; several clients at
/// once; a vandal among them. Every answer is exactly right, in time.
#[test]
fn every_client_is_told_exactly_who_holds_its_number() {
    let mut answers = 0;
    let mut matches = 0;
    for seed in 0..40 {
        let mut lab = Lab::new(seed);
        lab.add(central());
        let own = lab.random.below(5);
        let old = lab.random.below(5);
        let held = populate(&mut lab, own, old, &[Some(0), Some(50), Some(1_500), None]);
        lab.run_ms(300);
        let told = Rc::new(RefCell::new(Vec::new()));
        let clients = 1 + lab.random.below(4);
        for i in 0..clients {
            lab.add(asker(&format!("C{i}"), 6, &told));
        }
        if seed % 2 == 0 {
            lab.add(Vandal {
                peer: None,
                next: None,
            });
        }
        run_until(&mut lab, &told, clients as usize * 6);
        let told = told.borrow();
        assert_eq!(told.len() as u32, clients * 6, "seed {seed}: no one waits");
        for one in told.iter() {
            assert_eq!(
                one.names,
                expected(&held, one.number),
                "seed {seed}: {one:?}"
            );
            // At most every number is searched for before, two seconds each.
            assert!(one.took <= Duration::from_secs(21), "seed {seed}: {one:?}");
            assert!(
                old > 0 || one.took < Duration::from_secs(1),
                "seed {seed}: {one:?}"
            );
            answers += 1;
            matches += usize::from(!one.names.is_empty());
        }
    }
    assert!(answers > 400 && matches > 100, "{answers} {matches}");
}

/// Nobody waits for a server at a number that it does not hold, so a slow one
/// falls far behind the questions. What it says is understood all the same.
#[test]
fn a_slow_server_is_heard_though_it_is_far_behind() {
    for seed in 0..10 {
        let mut lab = Lab::new(seed);
        lab.add(central());
        let held: Vec<(String, u8)> = (1..=10).map(|i| (format!("S{i}"), i)).collect();
        for (name, number) in &held {
            lab.slow = *number == 6;
            lab.add(own_server(name, *number));
        }
        lab.slow = false;
        lab.run_ms(2_000);
        let told = Rc::new(RefCell::new(Vec::new()));
        for i in 0..3 {
            lab.add(asker(&format!("C{i}"), 100, &told));
        }
        run_until(&mut lab, &told, 300);
        assert_eq!(told.borrow().len(), 300, "seed {seed}");
        for one in told.borrow().iter() {
            assert_eq!(one.names, format!("S{}", one.number), "seed {seed}");
        }
    }
}

/// Servers die and come in the middle of searches: every request is answered,
/// and nobody who was never there, or holds another number, is named.
#[test]
fn dying_servers_hold_nobody_up() {
    for seed in 0..30 {
        let mut lab = Lab::new(seed);
        lab.add(central());
        let held = populate(&mut lab, 4, 3, &[Some(0), Some(300)]);
        lab.run_ms(200);
        let told = Rc::new(RefCell::new(Vec::new()));
        for i in 0..3 {
            lab.add(asker(&format!("C{i}"), 8, &told));
        }
        for _ in 0..5 {
            let span = u64::from(lab.random.below(1_500));
            lab.run_ms(span);
            let victim = 1 + lab.random.below(7) as usize;
            lab.kill(victim);
        }
        run_until(&mut lab, &told, 24);
        let told = told.borrow();
        assert_eq!(told.len(), 24, "seed {seed}");
        for one in told.iter() {
            let all = expected(&held, one.number);
            let all: Vec<&str> = all.split(' ').collect();
            for name in one.names.split(' ') {
                assert!(
                    name.is_empty() || all.contains(&name),
                    "seed {seed}: {one:?}"
                );
            }
        }
    }
}

/// Three clients, 200 rounds at the same time, servers that answer at once:
/// not one answer is lost or mixed up.
#[test]
fn two_hundred_rounds_of_three_clients() {
    let mut lab = Lab::new(42);
    lab.add(central());
    let held: Vec<(String, u8)> = (1..=10).map(|i| (format!("S{i}"), i)).collect();
    for (name, number) in &held {
        lab.add(OldServer::new(name, *number, Some(0)));
    }
    lab.run_ms(300);
    let told = Rc::new(RefCell::new(Vec::new()));
    for i in 0..3 {
        lab.add(asker(&format!("C{i}"), 200, &told));
    }
    run_until(&mut lab, &told, 600);
    let told = told.borrow();
    assert_eq!(told.len(), 600);
    for one in told.iter() {
        assert_eq!(one.names, format!("S{}", one.number));
    }
}

/// The real roles against each other, as `match run` puts them together.
#[test]
fn the_exercise_runs_to_its_end() {
    for seed in 0..15 {
        let mut lab = Lab::new(seed);
        let servers = 2 + lab.random.below(4);
        let central = lab.add(Tracker::new(tracker::Options {
            quiet: false,
            exercise: Some(servers as usize),
        }));
        let mut others = Vec::new();
        for i in 1..=servers {
            others.push(lab.add(Server::new(server::Options {
                name: format!("S{i}"),
                number: None,
                place: Place::At(CENTRAL),
                zeal: Zeal::Once(0),
                quiet: false,
            })));
        }
        for i in 1..=servers {
            others.push(lab.add(Client::new(client::Options {
                name: format!("C{i}"),
                rounds: 5,
                find: None,
                place: Place::At(CENTRAL),
                zeal: Zeal::Once(4),
                quiet: false,
            })));
        }
        lab.run(Duration::from_secs(5));
        assert_eq!(lab.exit(central), Some(0), "seed {seed}");
        for node in others {
            assert_eq!(lab.exit(node), Some(0), "seed {seed}: node {node}");
        }
        assert!(lab.complaints.is_empty(), "{:?}", lab.complaints);
        check_trace(&lab.printed, servers);
    }
}

/// Every result in the trace follows from the numbers in the trace.
fn check_trace(trace: &[String], servers: u32) {
    let count = |text: &str| trace.iter().filter(|line| line.contains(text)).count();
    let each = servers as usize;
    assert_eq!(count(": sending \"Hello\" to Central."), each);
    assert_eq!(count("Central: received \"Hello\" from Server S"), each);
    assert_eq!(count(": sending \"Hi\" to Central."), each);
    assert_eq!(count("Central: received \"Hi\" from Client C"), each);
    assert_eq!(count(": find match of "), each * 5);
    assert_eq!(count("Central: process match request from C"), each * 5);
    assert_eq!(count("Central: send match reply to C"), each * 5);
    let held: Vec<(String, u8)> = trace
        .iter()
        .filter_map(|line| {
            let (name, number) = line.split_once(": selected random number is ")?;
            Some((name.into(), number.strip_suffix('.')?.parse().ok()?))
        })
        .collect();
    assert_eq!(held.len(), each);
    for i in 1..=servers {
        let mut asked = None;
        let mine = format!("C{i}: ");
        let mut results = 0;
        for line in trace.iter().filter_map(|line| line.strip_prefix(&mine)) {
            if let Some(number) = line.strip_prefix("find match of ") {
                asked = number.parse::<u8>().ok();
            } else if line == "No match has been found" {
                assert_eq!(expected(&held, asked.take().unwrap()), "");
                results += 1;
            } else if let Some(names) = line.strip_prefix("Match found on servers ") {
                let mut right: Vec<String> = expected(&held, asked.take().unwrap())
                    .split(' ')
                    .map(String::from)
                    .collect();
                right.sort();
                let mut names: Vec<String> = names
                    .replace(" and ", ", ")
                    .split(", ")
                    .map(String::from)
                    .collect();
                names.sort();
                assert_eq!(names, right);
                results += 1;
            }
        }
        assert_eq!(results, 5, "{mine}");
    }
}

/// The lab itself: the same seed, the same story; another seed, another.
#[test]
fn the_lab_repeats_itself() {
    let story = |seed| {
        let mut lab = Lab::new(seed);
        lab.add(Tracker::new(tracker::Options::default()));
        populate(&mut lab, 3, 3, &[Some(50)]);
        let told = Rc::new(RefCell::new(Vec::new()));
        lab.add(asker("C1", 5, &told));
        lab.run(Duration::from_secs(20));
        lab.printed
    };
    assert_eq!(story(3), story(3));
    assert_ne!(story(3), story(4));
    let mut source = Seeded::new(1);
    assert_ne!(source.next_u32(), source.next_u32());
}
