//! Model checking: every order in which a few datagrams can be delivered,
//! lost, doubled or delayed past timers, and every moment for a crash, over
//! the shipped core. States that were seen before are not entered again.
//!
//! Time stands still while datagrams are delivered, and jumps to the next
//! deadline of any board; a datagram may be delayed past so many deadlines.
//!
//! Without failover and with a quorum a client's VOTE is explored: with a
//! quorum, office and lease change hands. With failover and with a key the
//! master is told to hand over; with a key an adversary may play any recorded
//! datagram again to who has had it, or who has started since, and forge some.

use crate::checks::height;
use crate::options::Mode;
use crate::world::refusals;
use boardroom::election::key::Keyring;
use boardroom::election::wire::{self, Datagram, Text, Trailer, flag};
use boardroom::election::{Board, Config, Epoch, Failover, Keys, Network, Rank, Role};
use boardroom::rng::Entropy;
use boardroom::time::{Duration, Instant};
use core::fmt::{self, Write};
use core::net::{Ipv4Addr, SocketAddrV4};
use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

const PORT: u16 = 2000;
const BROADCAST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 255);
const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), PORT);
/// What the boards draw, round by round: ties and changes of order.
const DRAWS: [[u32; 4]; 3] = [[5, 7, 2, 9], [5, 7, 8, 1], [3, 9, 8, 4]];
/// When the VOTE is sent that is explored; before it, the boards meet.
const VOTE_AT: u64 = 1_000_000;
/// With failover, when the boards have met and have a master.
const SETTLED_AT: u64 = 8_000_000;
/// The claims' interval.
const INTERVAL: u64 = 1_000_000;
/// The latest datagrams that the adversary has recorded.
const RECORDED_MAX: usize = 20;

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
    /// How often anything is delayed in all; none when it may always be.
    pub delays: Option<u8>,
    /// Boards cut off at the beginning, for as long as may be.
    pub cuts: u8,
    /// Links that are cut at the beginning, until all is over: a third board
    /// hears both sides.
    pub links: u8,
    /// Datagrams played again or forged, with a key.
    pub attacks: u8,
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
    mode: Mode,
    boards: Vec<Board>,
    /// How often each has started.
    lives: Vec<u8>,
    /// What the adversary has heard, with a key.
    recorded: Vec<(Flight, u64)>,
    /// Who was given which of it in this life, by its number.
    given: BTreeSet<(u8, u64)>,
    sent: u64,
    /// How much had been sent when each started last.
    born: Vec<u64>,
    /// What an attack has changed.
    broken: Option<String>,
    drawn: Vec<u8>,
    flights: Vec<Flight>,
    now: u64,
    budget: Budget,
    crashed: bool,
    lost: bool,
    /// The board that is down.
    down: Option<usize>,
    /// What is cut off.
    cut: Option<Cut>,
}

/// Where nothing passes, in either direction.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Cut {
    /// Between a board and all others.
    Board(usize),
    /// Between two boards.
    Link(usize, usize),
}

impl Cut {
    fn parts(self, a: usize, b: usize) -> bool {
        match self {
            Self::Board(board) => a != b && (a == board || b == board),
            Self::Link(one, other) => (a, b) == (one, other) || (b, a) == (one, other),
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Board(board) => write!(f, "{} is cut off", address(board)),
            Self::Link(one, other) => {
                let (one, other) = (address(one), address(other));
                write!(f, "{one} and {other} are cut off from each other")
            }
        }
    }
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

/// Explores one election among `boards` boards that know each other; stops with
/// a story when a property does not hold.
pub fn explore(mode: Mode, boards: usize, budget: Budget) -> Result<Seen, String> {
    let mut seen = Seen::default();
    let mut visited = HashSet::new();
    let start = State::after_a_first_round(mode, boards, budget);
    let mut stack = vec![(
        start,
        0usize,
        None::<usize>,
        String::from("the election begins"),
    )];
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
    fn after_a_first_round(mode: Mode, boards: usize, budget: Budget) -> Self {
        let mut state = Self {
            mode,
            boards: (0..boards).map(|_| Board::new(Config::default())).collect(),
            lives: vec![0; boards],
            recorded: Vec::new(),
            given: BTreeSet::new(),
            sent: 0,
            born: vec![0; boards],
            broken: None,
            drawn: vec![0; boards],
            flights: Vec::new(),
            now: 1_000,
            budget,
            crashed: false,
            lost: false,
            down: None,
            cut: None,
        };
        for board in 0..boards {
            state.boot(board);
        }
        if mode == Mode::Plain {
            state.call();
        }
        state.settle_until(state.begin());
        match mode {
            Mode::Plain | Mode::Quorum => state.call(),
            Mode::Failover | Mode::Key => state.resign(),
        }
        state
    }

    /// When what is explored begins.
    const fn begin(&self) -> u64 {
        match self.mode {
            Mode::Plain => VOTE_AT,
            _ => SETTLED_AT,
        }
    }

    /// Decided by then: the last question of a round goes out after 200 ms, a
    /// lease lasts 1.7 s.
    const fn horizon(&self) -> u64 {
        match self.mode {
            Mode::Plain | Mode::Key => self.begin() + 400_000,
            Mode::Failover => self.begin() + 1_300_000,
            Mode::Quorum => self.begin() + 2_000_000,
        }
    }

    /// Nothing is lost until then.
    fn settle_until(&mut self, end: u64) {
        while self.now < end {
            while !self.flights.is_empty() {
                let flight = self.flights.remove(0);
                self.deliver(flight);
            }
            self.now = self.next_deadline().unwrap_or(end).clamp(self.now + 1, end);
            self.fire();
        }
    }

    fn resign(&mut self) {
        let now = Instant::from_micros(self.now);
        for at in 0..self.boards.len() {
            if self.boards[at].in_office() {
                self.boards[at].handle_wakeup(now);
                self.boards[at].handle_resign(now);
                self.collect(at);
            }
        }
    }

    fn config(&self, at: usize) -> Config {
        let ring = Keyring::parse(&"0123456789abcdef".repeat(4));
        let keys = ring.ok().map(|ring| Keys {
            ring,
            seed: at as u64 + 16 * u64::from(self.lives[at]),
        });
        Config {
            failover: (self.mode != Mode::Plain)
                .then(|| Failover::new(Duration::from_micros(INTERVAL))),
            quorum: (self.mode == Mode::Quorum).then_some(self.boards.len() as u16),
            keys: keys.filter(|_| self.mode == Mode::Key),
            ..Config::default()
        }
    }

    fn boot(&mut self, at: usize) {
        let network = Network {
            address: address(at),
            broadcast: BROADCAST,
        };
        let now = Instant::from_micros(self.now);
        self.lives[at] += 1;
        self.given.retain(|&(to, _)| usize::from(to) != at);
        self.born[at] = self.sent;
        self.boards[at] = Board::new(self.config(at));
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
        self.settle_until(self.now + 400_000);
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
        let refused = refusals(&self.boards[at]);
        self.boards[at].handle_datagram(now, flight.from, &flight.bytes, &mut draws);
        self.collect(at);
        let number = |(known, number): &(Flight, u64)| {
            (known.bytes == flight.bytes && known.to == flight.to).then_some(*number)
        };
        // Of a stranger it is refused, and may be believed when it comes again.
        let believed = refusals(&self.boards[at]) == refused;
        if let Some(number) = self
            .recorded
            .iter()
            .rev()
            .find_map(number)
            .filter(|_| believed)
        {
            self.given.insert((flight.to, number));
        }
    }

    /// What no attack may change.
    fn essence(&self, at: usize) -> (Role, Epoch, Option<u8>, Option<Rank>, bool) {
        let board = &self.boards[at];
        let in_office = board.in_office();
        (
            board.role(),
            board.epoch(),
            board.vote(),
            board.master(),
            in_office,
        )
    }

    /// A datagram that is worth nothing comes: it changes nothing (S8).
    fn attack(&self, flight: Flight, how: &str) -> Self {
        let at = usize::from(flight.to);
        let mut attacked = self.clone();
        attacked.budget.attacks -= 1;
        attacked.deliver(flight);
        let (before, after) = (self.essence(at), attacked.essence(at));
        if before != after {
            attacked.broken = Some(format!("S8: {how} turned {before:?} into {after:?}"));
        }
        attacked
    }

    fn attacks(&self) -> Vec<(Self, String)> {
        let mut next = Vec::new();
        if self.budget.attacks == 0 || self.mode != Mode::Key {
            return next;
        }
        for (flight, number) in &self.recorded {
            let at = usize::from(flight.to);
            let spent = self.given.contains(&(flight.to, *number));
            // Who has started since never had it, and still must not take it.
            let earlier = *number <= self.born[at];
            if self.down != Some(at) && (spent || earlier) {
                let told = self.told(flight);
                next.push((
                    self.attack(*flight, "a replay"),
                    format!("replayed: {told}"),
                ));
            }
        }
        for at in (0..self.boards.len()).filter(|at| self.down != Some(*at)) {
            for forged in self.forgeries(at) {
                let told = self.told(&forged);
                next.push((self.attack(forged, "a forgery"), format!("forged: {told}")));
            }
        }
        next
    }

    /// A higher vote and a claim of a later round, a resignation and a VOTE, in
    /// the name of another board.
    fn forgeries(&self, at: usize) -> Vec<Flight> {
        let name = address((at + 1) % self.boards.len());
        let rank = Rank {
            vote: 10,
            address: name,
        };
        let trailer = Trailer {
            epoch: self.boards[at].epoch().next(),
            word: 1 << 20,
            ..Trailer::default()
        };
        let texts = [
            (Text::Vote(rank), 0),
            (Text::Claim(rank), 0),
            (Text::Resign(name), 0),
            (Text::Call, flag::VERDICT),
        ];
        let forge = |(text, flags)| Flight {
            to: at as u8,
            from: SocketAddrV4::new(name, PORT),
            bytes: wire::build_with_trailer(text, Trailer { flags, ..trailer }, wire::checksum),
            age: 0,
        };
        texts.into_iter().map(forge).collect()
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
                let cut = self.cut.is_some_and(|cut| cut.parts(at, to));
                if !cut && (everybody || *transmit.to.ip() == address(to)) {
                    let flight = Flight {
                        to: to as u8,
                        from: SocketAddrV4::new(address(at), PORT),
                        bytes: transmit.bytes,
                        age: 0,
                    };
                    self.flights.push(flight);
                    self.record(flight);
                }
            }
        }
        while self.boards[at].poll_notice().is_some() {}
    }

    fn record(&mut self, flight: Flight) {
        // A question changes nothing, and may be asked by anybody.
        if self.mode == Mode::Key && wire::parse(&flight.bytes) != Ok(Text::Whois) {
            self.sent += 1;
            self.recorded.push((flight, self.sent));
            if self.recorded.len() > RECORDED_MAX {
                let (_, oldest) = self.recorded.remove(0);
                self.given.retain(|&(_, number)| number != oldest);
            }
        }
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
            && self.next_deadline().is_none_or(|due| due > self.horizon())
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
                crashed.boards[at] = Board::new(self.config(at));
                next.push((crashed, format!("{} crashes", address(at))));
            }
        }
        if self.now == self.begin() {
            next.extend(self.cuts());
        }
        if let Some(Cut::Board(_)) = self.cut {
            let mut healed = self.clone();
            healed.cut = None;
            next.push((healed, "the cut heals".into()));
        }
        next.extend(self.attacks());
        let waits = |flight: &Flight| flight.age < self.budget.delay;
        if let Some(due) = self.next_deadline()
            && due <= self.horizon()
            && self.flights.iter().all(waits)
            && self.may_delay()
        {
            let mut later = self.clone();
            if let Some(delays) = &mut later.budget.delays {
                *delays = delays.saturating_sub(self.flights.len() as u8);
            }
            later.flights.iter_mut().for_each(|flight| flight.age += 1);
            later.now = due;
            // A start takes a while.
            if due > self.now + STARTED_AFTER
                && let Some(at) = later.down.take()
            {
                later.boot(at);
            }
            later.fire();
            next.push((later, format!("it is {} us", due - self.begin())));
        }
        next
    }

    /// Everything that may be cut off now; what is on its way there is lost.
    fn cuts(&self) -> Vec<(Self, String)> {
        let boards = self.boards.len();
        let whole = (0..boards).map(Cut::Board);
        let links = (0..boards).flat_map(|one| (0..one).map(move |other| Cut::Link(one, other)));
        let whole = whole.filter(|_| self.budget.cuts > 0);
        let links = links.filter(|_| self.budget.links > 0);
        let cut = |what: Cut| {
            let mut cut = self.clone();
            match what {
                Cut::Board(_) => cut.budget.cuts -= 1,
                Cut::Link(..) => cut.budget.links -= 1,
            }
            cut.cut = Some(what);
            cut.flights.retain(|flight| {
                let from = (0..boards).find(|&at| address(at) == *flight.from.ip());
                let outside = matches!(what, Cut::Board(at) if at == usize::from(flight.to));
                from.map_or(!outside, |from| !what.parts(from, usize::from(flight.to)))
            });
            (cut, what.to_string())
        };
        whole.chain(links).map(cut).collect()
    }

    fn may_delay(&self) -> bool {
        let left = self.budget.delays.map(usize::from);
        left.is_none_or(|left| self.flights.len() <= left)
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

    /// S1, S4, S7 and S8, in every state.
    fn check(&self) -> Result<(), String> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        let now = Instant::from_micros(self.now);
        let lease = |board: &&Board| board.in_office() && board.is_master(now);
        if self.mode == Mode::Quorum && self.boards.iter().filter(lease).count() > 1 {
            return Err(format!("S7: masters at one instant: {:?}", self.masters()));
        }
        for board in &self.boards {
            board.assert_bounds();
            // A late vote does not depose who has claimed (F3).
            if self.mode != Mode::Plain {
                continue;
            }
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
        if self.mode != Mode::Plain {
            return self.check_bound();
        }
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

    /// L1: from every end on, when nothing is lost any more, one board is master
    /// in time, and all know it.
    fn check_bound(&self) -> Result<(), String> {
        let mut later = self.clone();
        later.cut = None;
        let lease = match self.mode {
            Mode::Quorum => 3 * (INTERVAL * 3 / 2 + 200_000),
            _ => 0,
        };
        later.settle_until(later.now + 3 * INTERVAL + 300_000 + 800_000 + lease);
        let masters = later.masters();
        let [master] = masters[..] else {
            return Err(format!("L1: masters in the end: {masters:?}"));
        };
        let known = |board: &Board| board.master().map(|rank| rank.address);
        let agree = |board: &Board| known(board) == Some(master.address);
        match later.boards.iter().all(agree) {
            true => Ok(()),
            false => Err(format!("L1: not all know {master}")),
        }
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
            (self.budget, &self.drawn, self.down, self.cut).hash(&mut hasher);
            (&self.recorded, &self.given, &self.lives).hash(&mut hasher);
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
