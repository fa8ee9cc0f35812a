//! One schedule: faults, healing, quiet; and what must hold once it is quiet.

use crate::checks::{self, Violation};
use crate::client;
use crate::host::{Clock, State};
use crate::old::{Counting, Form, Old};
use crate::options::{Addresses, Fault, Mode, Options, Weather, any_magnitude, one_in, pick};
use crate::packet::Packet;
use crate::program::Program;
use crate::queue::Micros;
use crate::story::Story;
use crate::world::{Machine, PORT, World};
use boardroom::election::key::Keyring;
use boardroom::election::wire::{self, Text, Trailer};
use boardroom::election::{Answer, Board, Config, Epoch, Failover, Keys, Rank};
use boardroom::rng::{Entropy, Seeded};
use boardroom::time::Duration;
use core::net::{Ipv4Addr, SocketAddrV4};

#[path = "scenarios.rs"]
pub mod scenarios;

const MS: Micros = 1_000;
/// A VOTE is decided after so long without loss (L3).
const DECIDED: Micros = 300 * MS;
/// After VOTE, when a round that old programs took part in settles.
const REPEATED: core::ops::Range<Micros> = 90 * MS..150 * MS;
/// A datagram that was held up has come by then, and each round has settled.
const AFTERMATH: Micros = 1_700 * MS;

/// All but the runner-up wait so long for it, and so does who has resigned.
const STOOD_BACK: Micros = 800 * MS;

/// A switch's port that waits for its spanning tree passes nothing for so long.
const SPANNING_TREE: Micros = 30_000 * MS;
/// The time in which one master has to be found is looked at in so many steps.
const STEPS: u64 = 25;
/// Strangers asked for their introduction by each board (K4).
const STRANGERS_A_SECOND: usize = 16;
/// A caller with the key has met a board by then.
const MET: Micros = 3_000 * MS;

/// The key of all boards that have one.
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A schedule that runs.
pub struct Schedule {
    /// The LAN and all on it.
    pub world: World,
    /// What the seed stands for.
    pub options: Options,
    rng: Seeded,
    ring: Keyring,
    /// Hosts whose port is blocked, and until when.
    blocked: Vec<(usize, Micros)>,
}

/// What came of a schedule.
pub struct Outcome {
    /// What went wrong, if anything did.
    pub violation: Option<Violation>,
    /// Datagrams delivered.
    pub delivered: u64,
    /// The story, if it was to be written.
    pub story: Vec<String>,
}

/// Runs the schedule of `seed`.
pub fn run(mode: Mode, seed: u64, story: bool) -> Outcome {
    let mut schedule = Schedule::new(mode, seed);
    if story {
        schedule.world.story = Story::written();
    }
    schedule.boot();
    schedule.faults();
    schedule.healing();
    match mode {
        Mode::Plain => schedule.quiet_plain(),
        Mode::Failover | Mode::Quorum | Mode::Key => schedule.quiet_failover(),
    }
    Outcome {
        violation: schedule.world.checks.violation.take(),
        delivered: schedule.world.delivered,
        story: schedule.world.story.take(),
    }
}

impl Schedule {
    /// Draws the options of `seed`; nothing has happened yet.
    pub fn new(mode: Mode, seed: u64) -> Self {
        let salt = mode as u64 + 1;
        // Mixed once, so that two seeds do not tell the same sequence shifted.
        let mut rng = Seeded::new(Seeded::new(seed ^ (salt << 56)).next_u64());
        let options = Options::draw(mode, &mut rng);
        Self::with_options(options, rng)
    }

    /// A schedule with these options.
    pub fn with_options(options: Options, mut rng: Seeded) -> Self {
        let (broadcast, clients) = match options.addresses {
            Addresses::Near => ([10, 0, 0, 255], [10, 0, 0, 1]),
            Addresses::Far => ([10, 0, 255, 255], [10, 0, 255, 254]),
        };
        let machine = Machine {
            latency: options.latency,
            coarse_timers: options.coarse_timers,
            claims_wait: options.claims_wait,
        };
        let mut world = World::new(
            rng.next_u64(),
            options.storm,
            machine,
            broadcast.into(),
            clients.into(),
        );
        world.checks.quorum = options.quorum;
        if options.has_hook {
            world.hook_max = lease_length(options.interval) / 6;
        }
        world.checks.keyed = options.keyed;
        world.checks.strict = options.strict;
        if options.mode != Mode::Plain {
            world.checks.interval = options.interval;
            // A pause that cannot have brought a verdict need not be noticed.
            world.checks.long_sleep = options.interval * 5 / 4
                + patience(options.interval).micros() / 2
                + u64::from(options.latency);
        }
        Self {
            world,
            options,
            rng,
            ring: Keyring::parse(KEY).unwrap_or_else(|_| unreachable!("the key is one")),
            blocked: Vec::new(),
        }
    }

    fn config(&self, at: usize, seed: u64) -> Config {
        let failover = (self.options.mode != Mode::Plain).then(|| Failover {
            interval: Duration::from_micros(self.options.interval),
            patience: patience(self.options.interval),
        });
        Config {
            name: format!("board-{at}"),
            port: PORT,
            strict: self.options.strict,
            answer: if self.options.answer_broadcast {
                Answer::Broadcast
            } else {
                Answer::Unicast
            },
            failover,
            quorum: self.options.quorum.then_some(self.options.boards as u16),
            has_hook: self.options.has_hook,
            keys: self.options.keyed.then(|| Keys {
                ring: self.ring.clone(),
                seed,
            }),
        }
    }

    fn program(&mut self, at: usize) -> Program {
        let seed = self.rng.next_u64();
        match at.checked_sub(self.options.boards) {
            None => Program::Board(Box::new(Board::new(self.config(at, seed)))),
            Some(old) => Program::Old(Box::new(Old::new(
                self.options.olds[old],
                PORT,
                self.world
                    .hosts
                    .get(at)
                    .and_then(|host| host.address)
                    .unwrap_or(Ipv4Addr::UNSPECIFIED),
                self.world.broadcast,
            ))),
        }
    }

    /// Starts all boards and old programs, all at once or one after another.
    pub fn boot(&mut self) {
        let together = one_in(&mut self.rng, 2);
        for at in 0..self.options.boards + self.options.olds.len() {
            let address = self.free_address(at);
            let ppm = i64::from(self.options.clock_ppm);
            let ppm = i64::from(self.rng.below(2 * ppm as u32 + 1)) - ppm;
            let uptime = any_magnitude(&mut self.rng, 1 << 42);
            let program = match self.program(at) {
                Program::Old(_) => Program::Old(Box::new(Old::new(
                    self.options.olds[at - self.options.boards],
                    PORT,
                    address,
                    self.world.broadcast,
                ))),
                program => program,
            };
            let seed = self.rng.next_u64();
            self.world
                .add(address, program, Clock::new(uptime, ppm), seed);
            if !together {
                let gap = any_magnitude(&mut self.rng, self.options.gap);
                self.world.run_for(gap);
            }
        }
    }

    fn free_address(&mut self, at: usize) -> Ipv4Addr {
        loop {
            let address = match self.options.addresses {
                Addresses::Near => Ipv4Addr::new(10, 0, 0, 2 + self.rng.below(250) as u8),
                Addresses::Far => Ipv4Addr::from(0x0a00_0001 + self.rng.below(65_532)),
            };
            let taken = |host: &crate::host::Host| host.address == Some(address);
            if address != self.world.clients.address && !self.world.hosts.iter().any(taken) {
                return address;
            }
            assert!(at < 200, "there are free addresses");
        }
    }

    /// The phase of faults.
    pub fn faults(&mut self) {
        for _ in 0..self.options.steps {
            let gap = any_magnitude(&mut self.rng, self.options.gap);
            self.world.run_for(gap);
            self.unblock_ports();
            if self.world.checks.violation.is_some() {
                return;
            }
            let fault = *pick(&mut self.rng, &self.options.faults);
            self.inflict(fault);
        }
        let gap = any_magnitude(&mut self.rng, self.options.gap);
        self.world.run_for(gap);
    }

    fn inflict(&mut self, fault: Fault) {
        let at = self.rng.below(self.world.hosts.len() as u32) as usize;
        match fault {
            Fault::Vote if self.options.keyed && one_in(&mut self.rng, 2) => self.call_signed(),
            Fault::Vote => self.ask(b"VOTE"),
            Fault::Whois => self.ask(b"WHOIS"),
            Fault::Crash => self.world.kill(at, false),
            Fault::PowerOff => self.world.kill(at, true),
            Fault::Restart => self.restart(at),
            Fault::Pause => {
                let span = any_magnitude(&mut self.rng, 4_000_000);
                self.world.stop(at, span);
            }
            Fault::PartitionTwoWays | Fault::PartitionOneWay => {
                let group = u128::from(self.rng.next_u64()) | u128::from(self.rng.next_u64()) << 64;
                self.world
                    .lan
                    .partition(group, fault == Fault::PartitionOneWay);
            }
            Fault::CutOneLink => {
                let to = self.rng.below(self.world.hosts.len() as u32) as usize;
                self.world.lan.cut(at, to);
            }
            Fault::Heal => self.heal(),
            Fault::NewAddress => self.move_host(at),
            Fault::LoseAddress => self.world.set_address(at, None),
            Fault::Junk => self.junk(at),
            Fault::Storm => self.storm(),
            Fault::Resign => self.world.resign(at),
            Fault::Forge => self.forge(at),
            Fault::Replay => self.replay(),
            Fault::Flood => self.flood(at),
            Fault::MuteMaster => self.mute_master(),
            Fault::BlockedPort => self.power_cycle(at),
            Fault::Suspend => {
                let span = any_magnitude(&mut self.rng, 4_000_000);
                self.world.suspend(at, span);
            }
        }
    }

    /// A client's question in one of its forms, to all or to one.
    fn ask(&mut self, word: &[u8]) {
        let mut bytes = word.to_vec();
        match self.rng.below(3) {
            0 => {}
            1 => bytes.push(b'\n'),
            _ => bytes.resize(40, 0),
        }
        let from = if one_in(&mut self.rng, 2) {
            SocketAddrV4::new(self.world.clients.address, PORT)
        } else {
            self.world.clients.ask(self.world.now)
        };
        let to = match self.rng.below(6) {
            0 => SocketAddrV4::new(Ipv4Addr::BROADCAST, PORT),
            1 => {
                let at = self.rng.below(self.world.hosts.len() as u32) as usize;
                let address = self.world.hosts[at].address;
                address.map_or(self.world.everybody(), |address| {
                    SocketAddrV4::new(address, PORT)
                })
            }
            _ => self.world.everybody(),
        };
        self.world.client_sends(from, to, &bytes);
    }

    fn call_signed(&mut self) {
        let keys = Keys {
            ring: self.ring.clone(),
            seed: self.rng.next_u64(),
        };
        self.world.call_signed_vote(&keys);
    }

    /// The machine is switched off and on, and its switch's port passes nothing
    /// for up to half a minute.
    fn power_cycle(&mut self, at: usize) {
        self.world.kill(at, true);
        let span = any_magnitude(&mut self.rng, SPANNING_TREE);
        self.block(at, span);
        self.restart(at);
    }

    /// The port of `at` passes nothing for `span`.
    pub fn block(&mut self, at: usize, span: Micros) {
        self.world.lan.block(at);
        let until = self.world.now + span;
        self.blocked.retain(|(other, _)| *other != at);
        self.blocked.push((at, until));
    }

    /// Ports whose time has come pass frames again.
    fn unblock_ports(&mut self) {
        let (now, lan) = (self.world.now, &mut self.world.lan);
        self.blocked.retain(|&(at, until)| {
            if until <= now {
                lan.unblock(at);
            }
            until > now
        });
    }

    fn restart(&mut self, at: usize) {
        if self.world.hosts[at].state == State::Stopped {
            return;
        }
        if self.world.hosts[at].address.is_none() {
            self.world.hosts[at].address = Some(self.free_address(at));
        }
        let program = self.program(at);
        self.world.start(at, program);
    }

    fn move_host(&mut self, at: usize) {
        if at < self.options.boards {
            let address = self.free_address(at);
            self.world.set_address(at, Some(address));
        }
    }

    fn junk(&mut self, at: usize) {
        let mut bytes = match self.rng.below(4) {
            0 => b"# 10.0.0.7 ".to_vec(),
            1 => wire::build(
                Text::Claim(Rank {
                    vote: 7,
                    address: Ipv4Addr::new(10, 0, 0, 7),
                }),
                false,
            )
            .to_vec(),
            2 => {
                let len = self.rng.below(60);
                (0..len).map(|_| self.rng.next_u32() as u8).collect()
            }
            _ => b"I LOST, 10.0.0.3".to_vec(),
        };
        if !bytes.is_empty() && one_in(&mut self.rng, 2) {
            let place = self.rng.below(bytes.len() as u32) as usize;
            bytes[place] = self.rng.next_u32() as u8;
        }
        let Some(address) = self.world.hosts[at].address else {
            return;
        };
        let from = SocketAddrV4::new(self.world.clients.address, PORT);
        let to = if one_in(&mut self.rng, 2) {
            self.world.everybody()
        } else {
            SocketAddrV4::new(address, PORT)
        };
        self.world.client_sends(from, to, &bytes);
    }

    fn storm(&mut self) {
        for _ in 0..10 + self.rng.below(60) {
            let whois = one_in(&mut self.rng, 4);
            self.ask(if whois { b"WHOIS" } else { b"VOTE" });
            let gap = u64::from(self.rng.below(2_000));
            self.world.run_for(gap);
        }
    }

    /// Nobody hears the master any more, and it perhaps nobody; what is on its
    /// way still comes.
    fn mute_master(&mut self) {
        let in_office = |host: &crate::host::Host| host.program.office().is_some();
        if let Some(at) = self.world.hosts.iter().position(in_office) {
            let both_ways = one_in(&mut self.rng, 2);
            self.world.lan.partition(1 << at, !both_ways);
        }
    }

    /// Votes from more invented addresses than any table holds.
    fn flood(&mut self, at: usize) {
        let Some(address) = self.world.hosts[at].address else {
            return;
        };
        let to = SocketAddrV4::new(address, PORT);
        let first = self.rng.next_u32();
        for n in 0..1_500 {
            let invented = Ipv4Addr::from(0x0a01_0000 | (first.wrapping_add(n * 7) & 0xffff));
            let rank = Rank {
                vote: self.rng.one_to_ten(),
                address: invented,
            };
            let vote = wire::build(Text::Vote(rank), false);
            let from = SocketAddrV4::new(invented, PORT);
            let packet = Packet::new(from, to, wire::text_of(&vote));
            self.world.send(self.world.clients_at(), packet);
            self.world.run_for(20);
        }
        if let Some(board) = self.world.hosts[at].program.board() {
            board.assert_bounds();
        }
    }

    /// Somebody who has heard everything plays some of it again.
    fn replay(&mut self) {
        let sent = self.world.sent();
        for _ in 0..self.rng.below(30).min(sent) {
            let oldest = if one_in(&mut self.rng, 2) {
                sent.saturating_sub(60)
            } else {
                0
            };
            let id = oldest + self.rng.below(sent - oldest);
            self.world.replay(id);
            let gap = any_magnitude(&mut self.rng, self.options.gap / 10);
            self.world.run_for(gap);
        }
    }

    /// Somebody without a key writes a vote or a claim of his own.
    fn forge(&mut self, at: usize) {
        // An old program that does not clear its buffer would say a forged
        // trailer after it, and now and then behind the very same vote.
        let old = at.checked_sub(self.options.boards);
        let repeats = old.is_some_and(|old| self.options.olds[old].form == Form::Uncleared);
        let in_its_name = one_in(&mut self.rng, 3) && !repeats;
        let rank = Rank {
            vote: self.rng.one_to_ten(),
            address: if in_its_name {
                self.world.hosts[at].address.unwrap_or(Ipv4Addr::LOCALHOST)
            } else {
                self.free_address(at)
            },
        };
        let ahead = match self.rng.below(8) {
            // The next VOTE wraps.
            0 => u32::MAX - self.rng.below(3),
            _ => any_magnitude(&mut self.rng, 1 << 20) as u32,
        };
        let trailer = Trailer {
            flags: self.rng.next_u32() as u8 & 0x3f,
            epoch: Epoch(ahead),
            word: self.rng.next_u32(),
            about: None,
        };
        let text = if one_in(&mut self.rng, 4) && self.options.mode != Mode::Plain {
            Text::Claim(rank)
        } else {
            Text::Vote(rank)
        };
        let bytes = wire::build_with_trailer(text, trailer, wire::checksum);
        let from = SocketAddrV4::new(rank.address, PORT);
        let packet = Packet::new(from, self.world.everybody(), &bytes);
        let sender = self.world.clients_at();
        self.world.send(sender, packet);
    }

    fn heal(&mut self) {
        self.world.lan.heal();
        self.blocked.clear();
    }

    /// Faults end: every host runs, has an address and is heard.
    pub fn healing(&mut self) {
        self.heal();
        self.world.clients.caller = None;
        self.world.lan.weather = self.options.calm;
        for at in 0..self.world.hosts.len() {
            self.world.resume(at);
            match self.world.hosts[at].state {
                State::Dead | State::Off => self.restart(at),
                _ if self.world.hosts[at].address.is_none() => self.move_anyhow(at),
                _ => {}
            }
        }
        // What was held up on the way still comes, and then its second copy.
        let (late_by, spread) = (self.options.storm.late_by, self.options.storm.spread);
        self.world.run_for(2 * u64::from(late_by + spread));
    }

    fn move_anyhow(&mut self, at: usize) {
        let address = self.free_address(at);
        if at < self.options.boards {
            self.world.set_address(at, Some(address));
        } else {
            self.restart(at);
        }
    }

    fn quiet_plain(&mut self) {
        self.world.run_for(AFTERMATH);
        self.heals_by_asking();
        self.meet();
        self.election("L3 one master after VOTE");
        self.answered_once();
        self.counted_election();
        let at = self.rng.below(self.options.boards as u32) as usize;
        self.restart(at);
        let gap = any_magnitude(&mut self.rng, 200 * MS);
        self.world.run_for(gap);
        self.counted_election();
        self.two_votes();
        self.answered_once();
        self.lossy_election();
    }

    fn fail(&mut self, property: &'static str, what: String) {
        let now = self.world.now;
        self.world.checks.fail(property, now, what);
    }

    const fn is_over(&self) -> bool {
        self.world.checks.violation.is_some()
    }

    /// R6: after one WHOIS that was answered by two, no more than one answers.
    fn heals_by_asking(&mut self) {
        // Who believes a forged or flipped vote misses nothing, and asks nobody.
        let deceived = self.options.storm.flip > 0 || self.options.faults.contains(&Fault::Forge);
        if self.is_over() || !self.options.olds.is_empty() || deceived {
            return;
        }
        self.world.whois();
        self.world.run_for(500 * MS);
        let masters = self.masters();
        if masters.len() > 1 && self.have_met(&masters) {
            let what = format!("masters after a WHOIS: {}", list(&masters));
            self.fail("H1 a question heals two masters", what);
        }
    }

    /// Whether each master has at some time heard of every higher one: who has
    /// never heard of another board cannot ask it.
    fn have_met(&self, masters: &[Rank]) -> bool {
        let boards = self
            .world
            .hosts
            .iter()
            .filter_map(|host| host.program.board());
        boards.filter(|board| board.in_office()).all(|board| {
            let own = board.own_rank();
            masters
                .iter()
                .filter(|other| own < Some(**other))
                .all(|other| {
                    board
                        .boards()
                        .any(|(peer, _)| peer.address == other.address)
                })
        })
    }

    /// The ranks of all who believe to be the master.
    pub fn masters(&self) -> Vec<Rank> {
        self.world
            .hosts
            .iter()
            .filter(|host| host.is_up())
            .filter_map(|host| host.program.office())
            .collect()
    }

    /// The highest present vote of all boards and old programs.
    fn highest(&self) -> Option<Rank> {
        let rank = |host: &crate::host::Host| match &host.program {
            Program::Board(board) => Some(Rank {
                vote: board.vote()?,
                address: host.address?,
            }),
            Program::Old(old) => old.rank(),
            Program::Naive(_) => None,
        };
        self.world
            .hosts
            .iter()
            .filter_map(rank)
            .max_by_key(|rank| checks::height(*rank))
    }

    /// Pairs of old programs go wrong by themselves, and one that counts only
    /// the last vote may be misled by any two boards.
    fn is_decidable(&self) -> bool {
        match self.options.olds.as_slice() {
            [] => true,
            [old] => old.counting == Counting::Sticky,
            _ => false,
        }
    }

    /// S2, L3: a VOTE on a quiet LAN makes the highest rank the one master.
    fn election(&mut self, property: &'static str) {
        if self.is_over() {
            return;
        }
        self.call();
        self.world.run_for(DECIDED);
        self.one_highest_master(property);
    }

    /// With a key, boards that are silent meet in elections, and of strangers 16
    /// a second (K4).
    fn meet(&mut self) {
        if self.options.keyed {
            for _ in 0..self.options.boards.saturating_sub(1) / STRANGERS_A_SECOND {
                self.call();
                self.world.run_for(1_100 * MS);
            }
        }
    }

    /// A client's VOTE has been sent; with the key it first meets a board.
    fn call(&mut self) {
        if !self.options.keyed {
            return self.world.call_vote();
        }
        let until = self.world.now + MET;
        while self.world.now < until {
            self.call_signed();
            for _ in 0..MET / MS / 10 {
                self.world.run_for(MS);
                if self.world.clients.caller.is_none() || self.is_over() {
                    return;
                }
            }
        }
        self.fail("K5 a client meets a board", "none introduced itself".into());
    }

    fn one_highest_master(&mut self, property: &'static str) {
        if self.is_over() || !self.is_decidable() {
            return;
        }
        let (masters, highest) = (self.masters(), self.highest());
        if masters.len() != 1 {
            let what = format!("{} masters: {}", masters.len(), list(&masters));
            self.fail(property, what);
        } else if masters.first().copied() != highest {
            let what = format!("master is {}, highest is {highest:?}", list(&masters));
            self.fail("S2 the highest rank is master", what);
        }
    }

    /// R2: without loss a VOTE costs each board one vote.
    fn counted_election(&mut self) {
        if self.is_over() {
            return;
        }
        let before = self.world.checks.vote_broadcasts();
        self.election("S2 exactly one master");
        let after = self.world.checks.vote_broadcasts();
        // A flipped bit or a forged vote may have been taken for an old
        // program's: it is repeated to for three rounds.
        let ghosts = self.options.storm.flip > 0
            || self.options.faults.contains(&Fault::Forge)
            || self.options.faults.contains(&Fault::Junk)
            || self.options.faults.contains(&Fault::Flood);
        let costs: Vec<u32> = after.iter().zip(&before).map(|(a, b)| a - b).collect();
        if self.options.olds.is_empty() && !ghosts && costs.iter().any(|&cost| cost != 1) {
            let what = format!("votes broadcast by each board: {costs:?}");
            self.fail("R2 one vote a board a VOTE", what);
        }
    }

    /// Two VOTEs shortly after one another end like one.
    fn two_votes(&mut self) {
        // A vote of 0 is none: that an old program drew it for the second VOTE
        // in place of a valid number cannot be known.
        if self.is_over() || self.options.olds.iter().any(|old| old.zero_based) {
            return;
        }
        self.call();
        let mut gap = any_magnitude(&mut self.rng, 400 * MS);
        // What the winner of the first round then says again (R4) an old program
        // takes for a vote of the second, if it has just drawn for that.
        if !self.options.olds.is_empty() && REPEATED.contains(&gap) {
            gap += REPEATED.end;
        }
        self.world.run_for(gap);
        self.election("L3 one master after two VOTEs");
    }

    /// R9: of boards that know each other, one does not hear VOTE, or another's
    /// vote; it asks.
    fn lossy_election(&mut self) {
        if self.is_over() || !self.options.olds.is_empty() || self.options.boards < 2 {
            return;
        }
        if self.options.faults.contains(&Fault::Flood) {
            // Asking after the invented has used up this second's unicasts.
            return;
        }
        let boards = self.options.boards as u32;
        let to = self.rng.below(boards) as u16;
        let from = (u32::from(to) + 1 + self.rng.below(boards - 1)) % boards;
        let from = match self.rng.below(3) {
            0 => self.world.clients_at() as u16,
            _ => from as u16,
        };
        self.world.lan.doomed.push((from, to));
        self.election("R9 one loss is mended");
        self.world.lan.doomed.clear();
    }

    /// L4: a WHOIS gets exactly one answer.
    fn answered_once(&mut self) {
        if self.is_over() || !self.is_decidable() {
            return;
        }
        let newline_matters = !self.options.olds.is_empty();
        let question = self.world.whois();
        self.world.run_for(50 * MS);
        let answers: Vec<Ipv4Addr> = self.world.clients.answers(question).collect();
        let masters = self.masters();
        if answers.len() != 1
            || masters
                .iter()
                .all(|master| answers.first() != Some(&master.address))
        {
            let what = format!(
                "answers {answers:?}, masters {} (old programs: {newline_matters})",
                list(&masters)
            );
            self.fail("L4 a WHOIS has one answer", what);
        }
        assert!(question.port() >= client::FIRST_PORT);
    }
}

impl Schedule {
    fn quiet_failover(&mut self) {
        // Who is next in rank may have changed with the faults, and who has
        // just resigned stands back for half a second.
        let bound =
            3 * self.options.interval + 300 * MS + STOOD_BACK + self.lease_bound() + self.learned();
        self.run_at_most(bound);
        self.one_known_master("L1 one master after the faults");
        self.nothing_changes();
        self.master_goes();
        self.nothing_changes();
    }

    /// L1's bound. The runner-up acts at once; where it is gone too, or nobody
    /// knows to be it, the others leave it half a second.
    fn take_over_bound(&self) -> Micros {
        let runner_up = |board: &Board| {
            let own = board.own_rank();
            let above = |rank: &Rank| own < Some(*rank) && board.master() != Some(*rank);
            !board.votes().iter().any(|ballot| above(&ballot.rank))
        };
        let up = || self.world.hosts.iter().filter(|host| host.is_up());
        let alone = up().count() < 2;
        let mut slaves = up()
            .filter_map(|host| host.program.board())
            .filter(|board| !board.in_office());
        let patience = if slaves.any(runner_up) && !alone {
            0
        } else {
            STOOD_BACK
        };
        3 * self.options.interval + 300 * MS + patience + self.lease_bound() + self.learned()
    }

    /// How much longer than the patience a silent master is asked, since its
    /// claims have come late before (F2).
    fn learned(&self) -> Micros {
        let hosts = self.world.hosts.iter();
        let boards = hosts.filter_map(|host| host.program.board());
        let longest = boards.map(|board| board.asks_for().micros()).max();
        longest.map_or(0, |span| span - patience(self.options.interval).micros())
    }

    /// With a quorum: the old lease has to end, and who started anew grants
    /// nothing for a length of 1.5 intervals and 200 ms.
    /// And a slave that sleeps through claims hears of another master late.
    fn lease_bound(&self) -> Micros {
        let asleep = if self.options.claims_wait {
            STOOD_BACK
        } else {
            0
        };
        if self.options.quorum {
            asleep + 3 * lease_length(self.options.interval)
        } else {
            asleep
        }
    }

    /// Lets `bound` pass, or, in seven schedules of eight, less, once all boards
    /// know one master and none has changed for a fifth of it: about as long as
    /// a lease runs.
    fn run_at_most(&mut self, bound: Micros) {
        let whole = one_in(&mut self.rng, 8) || !self.options.olds.is_empty();
        let mut unchanged = 0;
        for _ in 0..STEPS {
            let before = self.world.checks.changes();
            self.world.run_for(bound.div_ceil(STEPS));
            let changed = self.world.checks.changes() != before;
            unchanged = if changed { 0 } else { unchanged + 1 };
            let settled = unchanged >= STEPS / 5 && self.disagreement().is_none();
            if self.is_over() || !whole && settled {
                return;
            }
        }
    }

    /// L1: exactly one board is master, and all boards know it.
    fn one_known_master(&mut self, property: &'static str) {
        if self.is_over() || !self.options.olds.is_empty() {
            return;
        }
        if let Some(what) = self.disagreement() {
            self.fail(property, what);
        }
    }

    /// Why not one board is master, known to all.
    fn disagreement(&self) -> Option<String> {
        let masters = self.masters();
        let Some(master) = masters.first().filter(|_| masters.len() == 1) else {
            return Some(format!("{} masters: {}", masters.len(), list(&masters)));
        };
        let address = master.address;
        let others: Vec<String> = self
            .world
            .hosts
            .iter()
            .filter(|host| host.is_up())
            .filter_map(|host| host.program.board())
            .map(|board| board.master().map(|rank| rank.address))
            .filter(|known| *known != Some(address))
            .map(|known| format!("{known:?}"))
            .collect();
        let known = || others.join(", ");
        (!others.is_empty()).then(|| format!("{address} is master, but boards know {}", known()))
    }

    /// L2: on a quiet network the master stays.
    fn nothing_changes(&mut self) {
        if self.is_over() || !self.options.olds.is_empty() {
            return;
        }
        let before = self.world.checks.changes();
        self.world.run_for(self.options.interval * 6);
        let changes = self.world.checks.changes() - before;
        if changes > 0 {
            let what = format!("{changes} changes of role on a quiet network");
            self.fail("L2 a quiet network keeps its master", what);
        }
    }

    /// The master dies, sleeps or resigns: another takes over in time.
    fn master_goes(&mut self) {
        if self.is_over() || !self.options.olds.is_empty() {
            return;
        }
        let in_office = |host: &crate::host::Host| host.is_up() && host.program.office().is_some();
        let Some(at) = self.world.hosts.iter().position(in_office) else {
            return;
        };
        match self.rng.below(4) {
            0 => self.world.kill(at, false),
            1 => self.world.kill(at, true),
            2 => self.world.resign(at),
            _ => {
                let span = any_magnitude(&mut self.rng, self.options.interval * 4);
                self.world.stop(at, span);
                self.world.run_for(span);
            }
        }
        let up = self.world.hosts.iter().filter(|host| host.is_up()).count();
        let needed = if self.options.quorum {
            self.options.boards / 2 + 1
        } else {
            1
        };
        if up >= needed {
            let bound = self.take_over_bound();
            self.run_at_most(bound);
            self.one_known_master("L1 one master after the master went");
        }
    }
}

/// The patience that `serve` takes when none is told: half an interval, and
/// 50 ms at least.
pub fn patience(interval: Micros) -> Duration {
    Duration::from_micros((interval / 2).max(50 * MS))
}

/// How long a grant runs, from the protocol's text.
const fn lease_length(interval: Micros) -> Micros {
    interval * 3 / 2 + 200 * MS
}

/// The weather of the quiet phase, for those who run a phase of their own.
pub const QUIET: Weather = Weather::CLEAR;

fn list(ranks: &[Rank]) -> String {
    let ranks: Vec<String> = ranks.iter().map(ToString::to_string).collect();
    if ranks.is_empty() {
        "none".into()
    } else {
        ranks.join(", ")
    }
}
