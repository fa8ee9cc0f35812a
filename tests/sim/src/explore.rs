//! Model checking: every order in which a few datagrams can be delivered,
//! lost, doubled or delayed past timers, and every moment for a crash, over
//! the shipped core. States that were seen before are not entered again.
//!
//! Time stands still while datagrams are delivered, and jumps to the next
//! deadline of any board; a datagram may be delayed past so many deadlines.

use crate::checks::height;
use boardroom::election::wire::{self, Datagram, Text};
use boardroom::election::{Board, Config, Network, Rank};
use boardroom::rng::Entropy;
use boardroom::time::Instant;
use core::fmt::Write;
use core::net::{Ipv4Addr, SocketAddrV4};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

const PORT: u16 = 2000;
const BROADCAST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 255);
const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), PORT);
/// What the boards draw, round by round: ties and changes of order.
const DRAWS: [[u32; 4]; 3] = [[5, 7, 2, 9], [5, 7, 8, 1], [3, 9, 8, 4]];
/// When the VOTE is sent that is explored; before it, the boards meet.
const VOTE_AT: u64 = 1_000_000;
/// Decided by then: the last question goes out after 200 ms.
const HORIZON: u64 = VOTE_AT + 400_000;

/// A board that crashed is back after so long, at the earliest.
const STARTED_AFTER: u64 = 10_000;

/// What may go wrong, how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Datagrams lost.
    pub losses: u8,
    /// Datagrams delivered twice.
    pub doubles: u8,
    /// Boards that crash and start again a little later.
    pub crashes: u8,
    /// Deadlines that a datagram may be delayed past.
    pub delay: u8,
}

/// What was seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Different states.
    pub states: u64,
    /// Steps from one state to another.
    pub steps: u64,
    /// The longest way that was gone.
    pub depth: usize,
    /// Ends: nothing is on its way and the round is long over.
    pub ends: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Flight {
    to: u8,
    from: SocketAddrV4,
    bytes: Datagram,
    age: u8,
}

#[derive(Clone)]
struct State {
    boards: Vec<Board>,
    drawn: Vec<u8>,
    flights: Vec<Flight>,
    now: u64,
    budget: Budget,
    crashed: bool,
    lost: bool,
    /// The board that is down.
    down: Option<usize>,
}

struct Draws<'a> {
    board: usize,
    drawn: &'a mut u8,
}

impl Entropy for Draws<'_> {
    fn next_u32(&mut self) -> u32 {
        let round = usize::from(*self.drawn) % DRAWS[0].len();
        *self.drawn += 1;
        DRAWS[self.board][round] - 1
    }
}

/// Explores one VOTE among `boards` boards that know each other; stops with a
/// story when a property does not hold.
pub fn explore(boards: usize, budget: Budget) -> Result<Seen, String> {
    let mut seen = Seen::default();
    let mut visited = HashSet::new();
    let start = State::after_a_first_round(boards, budget);
    let mut stack = vec![(start, 0usize, None::<usize>, String::from("VOTE"))];
    // The steps that led here, for the story: (parent, what happened).
    let mut trail: Vec<(Option<usize>, String)> = Vec::new();
    while let Some((state, depth, parent, what)) = stack.pop() {
        if !visited.insert(state.fingerprint()) {
            continue;
        }
        seen.states += 1;
        seen.depth = seen.depth.max(depth);
        trail.push((parent, what));
        let here = trail.len() - 1;
        if let Err(wrong) = state.check() {
            return Err(format!("{wrong}\n{}", story(&trail, here)));
        }
        if state.is_over() {
            seen.ends += 1;
            if let Err(wrong) = state.check_end() {
                return Err(format!("{wrong}\n{}", story(&trail, here)));
            }
            continue;
        }
        for (next, what) in state.successors() {
            seen.steps += 1;
            stack.push((next, depth + 1, Some(here), what));
        }
    }
    Ok(seen)
}

fn story(trail: &[(Option<usize>, String)], end: usize) -> String {
    let mut lines = Vec::new();
    let mut at = Some(end);
    while let Some((parent, what)) = at.and_then(|at| trail.get(at)) {
        lines.push(what.clone());
        at = *parent;
    }
    lines.reverse();
    lines.join("\n")
}

impl State {
    fn after_a_first_round(boards: usize, budget: Budget) -> Self {
        let mut state = Self {
            boards: (0..boards).map(|_| Board::new(Config::default())).collect(),
            drawn: vec![0; boards],
            flights: Vec::new(),
            now: 1_000,
            budget,
            crashed: false,
            lost: false,
            down: None,
        };
        for board in 0..boards {
            state.boot(board);
        }
        state.call();
        while state.now < VOTE_AT {
            while !state.flights.is_empty() {
                let flight = state.flights.remove(0);
                state.deliver(flight);
            }
            state.now += 10_000;
            state.fire();
        }
        state.now = VOTE_AT;
        state.call();
        state
    }

    fn boot(&mut self, at: usize) {
        let network = Network {
            address: address(at),
            broadcast: BROADCAST,
        };
        let now = Instant::from_micros(self.now);
        self.boards[at] = Board::new(Config::default());
        self.boards[at].handle_wakeup(now);
        self.boards[at].handle_network(now, Some(network));
        self.collect(at);
    }

    fn call(&mut self) {
        let bytes = wire::build(Text::Call, true);
        for to in 0..self.boards.len() as u8 {
            self.flights.push(Flight {
                to,
                from: CLIENT,
                bytes,
                age: 0,
            });
        }
    }

    /// A client asks, nothing is lost, and 400 ms pass.
    fn ask(&mut self) {
        let bytes = wire::build(Text::Whois, true);
        for to in 0..self.boards.len() as u8 {
            let from = SocketAddrV4::new(*CLIENT.ip(), 40_000);
            self.flights.push(Flight {
                to,
                from,
                bytes,
                age: 0,
            });
        }
        for _ in 0..40 {
            while !self.flights.is_empty() {
                let flight = self.flights.remove(0);
                self.deliver(flight);
            }
            self.now += 10_000;
            self.fire();
        }
    }

    fn deliver(&mut self, flight: Flight) {
        let at = usize::from(flight.to);
        if self.down == Some(at) {
            return;
        }
        let now = Instant::from_micros(self.now);
        let mut draws = Draws {
            board: at,
            drawn: &mut self.drawn[at],
        };
        self.boards[at].handle_wakeup(now);
        self.boards[at].handle_datagram(now, flight.from, &flight.bytes, &mut draws);
        self.collect(at);
    }

    /// Fires what is due at all boards.
    fn fire(&mut self) {
        let now = Instant::from_micros(self.now);
        for at in 0..self.boards.len() {
            for _ in 0..8 {
                if self.boards[at].poll_timeout().is_none_or(|due| due > now) {
                    break;
                }
                let mut draws = Draws {
                    board: at,
                    drawn: &mut self.drawn[at],
                };
                self.boards[at].handle_wakeup(now);
                self.boards[at].handle_timeout(now, &mut draws);
                self.collect(at);
            }
        }
    }

    fn collect(&mut self, at: usize) {
        while let Some(transmit) = self.boards[at].poll_transmit() {
            for to in 0..self.boards.len() {
                let everybody = *transmit.to.ip() == BROADCAST && to != at;
                if everybody || *transmit.to.ip() == address(to) {
                    self.flights.push(Flight {
                        to: to as u8,
                        from: SocketAddrV4::new(address(at), PORT),
                        bytes: transmit.bytes,
                        age: 0,
                    });
                }
            }
        }
        while self.boards[at].poll_notice().is_some() {}
    }

    fn next_deadline(&self) -> Option<u64> {
        let due = self.boards.iter().filter_map(Board::poll_timeout);
        let start = self.down.map(|_| self.now + STARTED_AFTER + 1);
        due.map(Instant::micros)
            .chain(start)
            .min()
            .map(|due| due.max(self.now))
    }

    fn is_over(&self) -> bool {
        self.down.is_none()
            && self.flights.is_empty()
            && self.next_deadline().is_none_or(|due| due > HORIZON)
    }

    fn successors(&self) -> Vec<(Self, String)> {
        let mut next = Vec::new();
        for (i, flight) in self.flights.iter().enumerate() {
            if self.flights[..i].contains(flight) {
                continue;
            }
            let told = self.told(flight);
            let mut delivered = self.clone();
            delivered.flights.remove(i);
            if self.budget.losses > 0 {
                let mut lost = delivered.clone();
                lost.budget.losses -= 1;
                lost.lost = true;
                next.push((lost, format!("lost: {told}")));
            }
            if self.budget.doubles > 0 {
                let mut doubled = self.clone();
                doubled.budget.doubles -= 1;
                doubled.deliver(*flight);
                next.push((doubled, format!("comes, and will come again: {told}")));
            }
            delivered.deliver(*flight);
            next.push((delivered, told));
        }
        if self.budget.crashes > 0 {
            for at in 0..self.boards.len() {
                let mut crashed = self.clone();
                crashed.budget.crashes -= 1;
                crashed.crashed = true;
                crashed.down = Some(at);
                crashed.boards[at] = Board::new(Config::default());
                next.push((crashed, format!("{} crashes", address(at))));
            }
        }
        let waits = |flight: &Flight| flight.age < self.budget.delay;
        if let Some(due) = self.next_deadline()
            && due <= HORIZON
            && self.flights.iter().all(waits)
        {
            let mut later = self.clone();
            later.flights.iter_mut().for_each(|flight| flight.age += 1);
            later.now = due;
            // A start takes a while.
            if due > self.now + STARTED_AFTER
                && let Some(at) = later.down.take()
            {
                later.boot(at);
            }
            later.fire();
            next.push((later, format!("it is {} us", due - VOTE_AT)));
        }
        next
    }

    fn told(&self, flight: &Flight) -> String {
        let bytes = crate::packet::Shown(&flight.bytes);
        format!(
            "{} -> {}: {bytes}",
            flight.from.ip(),
            address(usize::from(flight.to))
        )
    }

    fn masters(&self) -> Vec<Rank> {
        let in_office = self.boards.iter().filter(|board| board.in_office());
        in_office.filter_map(Board::own_rank).collect()
    }

    /// S1 and S4, in every state.
    fn check(&self) -> Result<(), String> {
        for board in &self.boards {
            board.assert_bounds();
            let Some(own) = board.own_rank().filter(|_| board.in_office()) else {
                continue;
            };
            let higher = |rank: Rank| height(rank) > height(own);
            if let Some(ballot) = board.votes().iter().find(|ballot| higher(ballot.rank)) {
                return Err(format!("S1: {own} is master and has heard {}", ballot.rank));
            }
        }
        Ok(())
    }

    /// S2 and R9 at the end: one master, unless it has crashed; never two. Of
    /// a loss and a crash together one WHOIS is the cure (R6).
    fn check_end(&self) -> Result<(), String> {
        let mut masters = self.masters();
        if masters.len() > 1 && self.crashed && self.lost {
            let mut asked = self.clone();
            asked.ask();
            masters = asked.masters();
        }
        if masters.len() > 1 || masters.is_empty() && !self.crashed {
            return Err(format!("S2: masters at the end: {masters:?}"));
        }
        Ok(())
    }

    fn fingerprint(&self) -> u128 {
        let mut text = String::new();
        for board in &self.boards {
            let mut one = String::new();
            let _ = write!(one, "{board:?}");
            // What is only counted or told decides nothing.
            cut(&mut one, "counters: Counters([", "])");
            cut(&mut one, "outbox: Outbox {", "}]");
            text += &one;
        }
        let mut flights = self.flights.clone();
        flights.sort_unstable();
        let half = |salt: u64| {
            let mut hasher = DefaultHasher::new();
            (salt, &text, &flights, self.now).hash(&mut hasher);
            (self.budget, &self.drawn, self.down).hash(&mut hasher);
            hasher.finish()
        };
        u128::from(half(1)) << 64 | u128::from(half(2))
    }
}

fn cut(text: &mut String, from: &str, to: &str) {
    if let Some(start) = text.find(from)
        && let Some(len) = text[start..].find(to)
    {
        text.replace_range(start..start + len, "");
    }
}

fn address(at: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, 9 + at as u8)
}
