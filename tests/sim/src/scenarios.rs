//! Scenarios with a name: what happens to boards in the field, each at its real
//! length and in every mode that it concerns, with all else quiet.

use super::{DECIDED, MS, Micros, SPANNING_TREE, Schedule, any_magnitude};
use crate::checks::Violation;
use crate::driver::Tally;
use crate::options::{Mode, Options, Weather};
use crate::packet::Packet;
use crate::story::Story;
use crate::world::PORT;
use boardroom::election::wire::{self, Text, Trailer};
use boardroom::election::{Epoch, Rank};
use boardroom::rng::{Entropy, Seeded};
use core::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

/// A scenario: its name, in which modes it is played, and how.
type Scenario = (&'static str, &'static [Mode], fn(&mut Schedule));

const WITH_CLAIMS: &[Mode] = &[Mode::Failover, Mode::Quorum, Mode::Key];

/// All of them.
const SCENARIOS: &[Scenario] = &[
    (
        "a board's port waits for its spanning tree",
        WITH_CLAIMS,
        Schedule::one_blocked_port,
    ),
    (
        "all ports wait for their spanning tree",
        WITH_CLAIMS,
        Schedule::all_ports_blocked,
    ),
    (
        "a master is suspended, and its queues are lost",
        WITH_CLAIMS,
        Schedule::suspended_master,
    ),
    (
        "masters hand over, start anew, and are elected again",
        WITH_CLAIMS,
        Schedule::office_goes_round,
    ),
    (
        "two slaves take each other for the master",
        &[Mode::Failover, Mode::Quorum],
        Schedule::two_followers,
    ),
    (
        "invented votes, a question, and a lost vote",
        &[Mode::Plain],
        Schedule::loss_behind_ghosts,
    ),
    (
        "invented votes, and two masters that are asked",
        &[Mode::Plain],
        Schedule::healing_behind_ghosts,
    ),
    (
        "boards with a key meet behind a loss of 25 %",
        &[Mode::Key],
        Schedule::power_cut,
    ),
];

/// What a scenario came to.
pub struct Played {
    /// Its name.
    pub name: &'static str,
    /// The mode.
    pub mode: Mode,
    /// How often it was played, and how often it went wrong.
    pub tally: Tally,
    /// The story of the first that went wrong.
    pub wrong: Option<String>,
}

/// Plays each scenario with so many seeds in each of its modes.
pub fn play_all(seeds: u64) -> impl Iterator<Item = Played> {
    let modes = move |&(name, modes, play): &Scenario| {
        modes
            .iter()
            .map(move |&mode| play_one(name, mode, play, seeds))
    };
    SCENARIOS.iter().flat_map(modes)
}

fn play_one(name: &'static str, mode: Mode, play: fn(&mut Schedule), seeds: u64) -> Played {
    let begin = Instant::now();
    let (mut tally, mut wrong) = (Tally::default(), None);
    for seed in 0..seeds {
        let (violation, _, delivered) = run(mode, play, seed, false);
        tally.schedules += 1;
        tally.delivered += delivered;
        if violation.is_some() {
            tally.violations += 1;
            wrong.get_or_insert_with(|| tell(mode, play, seed));
        }
    }
    tally.micros = begin.elapsed().as_micros();
    Played {
        name,
        mode,
        tally,
        wrong,
    }
}

fn tell(mode: Mode, play: fn(&mut Schedule), seed: u64) -> String {
    let (violation, mut story, _) = run(mode, play, seed, true);
    let skipped = story.len().saturating_sub(60);
    story.drain(..skipped);
    if let Some(violation) = violation {
        let Violation { property, at, what } = violation;
        story.push(format!("VIOLATION {property} at {at} us: {what}"));
    }
    format!("mode {}, seed {seed}\n{}", mode.name(), story.join("\n"))
}

fn run(
    mode: Mode,
    play: fn(&mut Schedule),
    seed: u64,
    story: bool,
) -> (Option<Violation>, Vec<String>, u64) {
    let mut rng = Seeded::new(Seeded::new(seed ^ (mode as u64 + 1) << 48).next_u64());
    let options = Options {
        boards: 2 + rng.below(5) as usize,
        olds: Vec::new(),
        storm: Weather::CLEAR,
        faults: Vec::new(),
        keyed: mode == Mode::Key,
        steps: 0,
        ..Options::draw(mode, &mut rng)
    };
    let mut schedule = Schedule::with_options(options, rng);
    if story {
        schedule.world.story = Story::written();
    }
    schedule.boot();
    play(&mut schedule);
    let world = &mut schedule.world;
    (
        world.checks.violation.take(),
        world.story.take(),
        world.delivered,
    )
}

impl Schedule {
    /// What L1 gives, and what boards of equal place leave to each other.
    fn in_time(&mut self, property: &'static str) {
        let bound = self.take_over_bound();
        self.world.run_for(bound);
        self.one_known_master(property);
    }

    fn meet_and_elect(&mut self) {
        let bound = self.take_over_bound() + self.options.interval;
        self.world.run_for(bound);
        self.one_known_master("L1 one master after the start");
    }

    /// A board starts behind a port that passes nothing for half a minute; then
    /// it finds its LAN's master, or is found to be it.
    fn one_blocked_port(&mut self) {
        self.meet_and_elect();
        let at = self.rng.below(self.options.boards as u32) as usize;
        self.world.kill(at, true);
        self.block(at, SPANNING_TREE);
        self.restart(at);
        self.world.run_for(SPANNING_TREE);
        self.unblock_ports();
        self.in_time("L1 one master once frames pass");
        self.nothing_changes();
    }

    /// The switch has lost its power, and so have all boards.
    fn all_ports_blocked(&mut self) {
        self.meet_and_elect();
        for at in 0..self.options.boards {
            self.world.kill(at, true);
            let later = u64::from(self.rng.below(200_000));
            self.block(at, SPANNING_TREE + later);
            self.restart(at);
        }
        self.world.run_for(SPANNING_TREE);
        for _ in 0..20 {
            self.world.run_for(10 * MS);
            self.unblock_ports();
        }
        self.in_time("L1 one master once frames pass");
        self.nothing_changes();
    }

    /// It listens before it speaks (S6, at every moment), and one master is
    /// left.
    fn suspended_master(&mut self) {
        self.meet_and_elect();
        let in_office = |host: &crate::host::Host| host.program.office().is_some();
        let Some(at) = self.world.hosts.iter().position(in_office) else {
            return;
        };
        let span = any_magnitude(&mut self.rng, 20_000 * MS);
        self.world.suspend(at, span);
        self.world.run_for(span);
        self.in_time("L1 one master after a suspension");
        self.nothing_changes();
    }

    /// What an earlier life has released must not stand in the way of a later
    /// one (Q5).
    fn office_goes_round(&mut self) {
        self.meet_and_elect();
        for _ in 0..6 {
            let in_office = |host: &crate::host::Host| host.program.office().is_some();
            let Some(at) = self.world.hosts.iter().position(in_office) else {
                return;
            };
            self.world.resign(at);
            self.world.run_for(5 * MS);
            self.restart(at);
            self.in_time("L1 one master after a hand-over");
        }
        self.nothing_changes();
    }

    /// Each questions the other, and must not take that for a sign of life (F5).
    fn two_followers(&mut self) {
        self.meet_and_elect();
        let epoch = Epoch(self.rng.below(1_000) + 1_000);
        for at in 2..self.options.boards {
            self.world.kill(at, true);
        }
        for (to, from) in [(0, 1), (1, 0)] {
            let hosts = &self.world.hosts;
            let (Some(to), Some(from)) = (hosts[to].address, hosts[from].address) else {
                return;
            };
            let trailer = Trailer {
                epoch,
                ..Trailer::default()
            };
            let rank = Rank {
                vote: 10,
                address: from,
            };
            let claim = wire::build_with_trailer(Text::Claim(rank), trailer, wire::checksum);
            let (to, from) = (SocketAddrV4::new(to, PORT), SocketAddrV4::new(from, PORT));
            let packet = Packet::new(from, to, &claim);
            self.world.send(self.world.clients_at(), packet);
        }
        for at in 2..self.options.boards {
            self.restart(at);
        }
        self.in_time("L1 one master of two that follow each other");
        self.nothing_changes();
    }

    /// A WHOIS behind a flood of invented votes asks after the invented; of the
    /// second's unicast votes enough are left for R9.
    fn loss_behind_ghosts(&mut self) {
        self.call();
        self.world.run_for(DECIDED);
        self.call();
        self.world.run_for(DECIDED);
        self.invent_votes(0x0a01_0000, 200);
        // Those that came right before a VOTE count in its round.
        for _ in 0..2 {
            self.call();
            self.world.run_for(DECIDED);
        }
        self.world.whois();
        self.world.run_for(20 * MS);
        let in_office = |host: &crate::host::Host| host.program.office().is_some();
        let Some(to) = self.world.hosts.iter().position(in_office) else {
            return;
        };
        let boards = self.options.boards;
        let from = (to + 1 + self.rng.below(boards as u32 - 1) as usize) % boards;
        self.world.lan.doomed.push((from as u16, to as u16));
        self.election("R9 one loss is mended");
    }

    /// A full table of invented boards stands before the real one that is
    /// missing: a few questions later it has had its turn (R6).
    fn healing_behind_ghosts(&mut self) {
        self.call();
        self.world.run_for(DECIDED);
        self.invent_votes(0x0a00_0000 - 100, 100);
        for _ in 0..2 {
            self.call();
            self.world.run_for(DECIDED);
        }
        self.world.lan.partition(1, false);
        self.call();
        self.world.run_for(DECIDED);
        self.world.lan.heal();
        for _ in 0..5 {
            self.world.whois();
            self.world.run_for(1_100 * MS);
        }
        let masters = self.masters();
        if masters.len() > 1 {
            self.fail("H1 a question heals two masters", super::list(&masters));
        }
    }

    fn invent_votes(&mut self, first: u32, count: u32) {
        let to = self.world.everybody();
        for n in 0..count {
            let invented = Ipv4Addr::from(first + n);
            let text = format!("# {invented} 1");
            let from = SocketAddrV4::new(invented, PORT);
            let packet = Packet::new(from, to, text.as_bytes());
            self.world.send(self.world.clients_at(), packet);
            self.world.run_for(20);
        }
    }

    /// All start at once, and a quarter of what they send is lost.
    fn power_cut(&mut self) {
        let lossy: Micros = 2_000 * MS;
        self.world.lan.weather.loss_at_sender = crate::options::percent(25);
        self.world.run_for(lossy);
        self.world.lan.weather.loss_at_sender = 0;
        self.in_time("L1 one master after a power cut");
        self.nothing_changes();
    }
}
