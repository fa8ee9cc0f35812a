//! The figures: how often an election goes wrong at which loss, how long a
//! take-over takes, how often a master changes for nothing; five boards on a
//! LAN of 50–70 µs, with what the plain rule of three missed claims does beside
//! it.

use crate::host::Clock;
use crate::naive::Naive;
use crate::options::{WHOLE, Weather, percent};
use crate::program::Program;
use crate::queue::Micros;
use crate::schedule::patience;
use crate::world::{Machine, PORT, World};
use boardroom::election::{Board, Config, Failover, Rank};
use boardroom::rng::{Entropy, Seeded};
use boardroom::time::{Duration, Instant};
use core::net::{Ipv4Addr, SocketAddrV4};

const BOARDS: u8 = 5;
const BROADCAST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 255);
const MS: Micros = 1_000;
const SECOND: Micros = 1_000_000;

/// Prints the table. `scale` multiplies the number of trials.
pub fn print(scale: u64) {
    crate::say!("five boards, a LAN of 50 to 70 us");
    votes_a_call(200 * scale);
    two_calls(600 * scale);
    for (loss, name) in [
        (0, "no loss"),
        (percent(1), "1 % loss"),
        (percent(10), "10 % loss"),
    ] {
        elections_at_loss(name, loss, 4_000 * scale);
    }
    healed_partitions(200 * scale);
    for interval in [10 * MS, SECOND] {
        take_overs("process death", interval, false, 40 * scale);
        take_overs("silence", interval, true, 40 * scale);
    }
    for loss in [5, 10, 20, 30] {
        needless_changes(&format!("{loss} % loss"), percent(loss), 20, 20 * scale);
    }
    needless_changes("jitter of 60 ms", 0, 60_000, 20 * scale);
}

fn lan(seed: u64, failover: Option<Micros>) -> World {
    let machine = Machine {
        latency: 0,
        coarse_timers: false,
        claims_wait: false,
    };
    let clients = Ipv4Addr::new(10, 0, 0, 1);
    let mut world = World::new(seed, Weather::CLEAR, machine, BROADCAST, clients);
    let mut rng = Seeded::new(seed);
    for last in 0..BOARDS {
        let address = Ipv4Addr::new(10, 0, 0, 10 + last);
        let clock = Clock::new(SECOND * u64::from(last + 1), 0);
        world.add(address, ours(failover), clock, rng.next_u64());
        world.run_for(u64::from(rng.below(10_000)));
    }
    world
}

fn ours(failover: Option<Micros>) -> Program {
    let failover = failover.map(|interval| Failover {
        interval: Duration::from_micros(interval),
        patience: patience(interval),
    });
    Program::Board(Box::new(Board::new(Config {
        failover,
        ..Config::default()
    })))
}

fn masters(world: &World) -> usize {
    let up = world.hosts.iter().filter(|host| host.is_up());
    up.filter(|host| host.program.office().is_some()).count()
}

fn line(what: &str, result: &str) {
    crate::say!("{what:<58} {result}");
}

fn votes_a_call(trials: u64) {
    let mut wrong = 0;
    for seed in 0..trials {
        let mut world = lan(seed, None);
        for round in 0..3 {
            if round == 2 {
                world.kill(0, false);
                world.start(0, ours(None));
            }
            let before = world.checks.vote_broadcasts();
            world.call_vote();
            world.run_for(300 * MS);
            let after = world.checks.vote_broadcasts();
            wrong += after
                .iter()
                .zip(&before)
                .filter(|(a, b)| *a - *b != 1)
                .count();
        }
    }
    let boards = trials * 3 * u64::from(BOARDS);
    line(
        "not one vote for a VOTE, also after a restart",
        &format!("{wrong} of {boards}"),
    );
}

fn two_calls(trials: u64) {
    let mut wrong = 0;
    for seed in 0..trials {
        let mut world = lan(seed, None);
        for _ in 0..10 {
            world.call_vote();
            let gap = 90 * MS + u64::from(world.rng.below(60_000));
            world.run_for(gap);
            world.call_vote();
            world.run_for(300 * MS);
            wrong += u64::from(masters(&world) != 1);
        }
    }
    line(
        "two VOTEs 90-150 ms apart: not exactly one master",
        &format!("{wrong} of {}", trials * 10),
    );
}

fn elections_at_loss(name: &str, loss: u32, trials: u64) {
    let (mut wrong, mut after_whois, mut all) = (0, 0, 0);
    for seed in 0..trials.div_ceil(20) {
        let mut world = lan(seed, None);
        world.call_vote();
        world.run_for(300 * MS);
        world.lan.weather.loss = loss;
        for _ in 0..20 {
            all += 1;
            world.call_vote();
            world.run_for(300 * MS);
            if masters(&world) != 1 {
                wrong += 1;
                world.whois();
                world.run_for(200 * MS);
                after_whois += u64::from(masters(&world) != 1);
            }
        }
    }
    line(
        &format!("{name}: not exactly one master 300 ms after VOTE"),
        &format!("{wrong} of {all}, after one WHOIS {after_whois}"),
    );
}

fn healed_partitions(trials: u64) {
    let mut wrong = 0;
    for seed in 0..trials {
        let mut world = lan(seed, None);
        world.call_vote();
        world.run_for(300 * MS);
        world
            .lan
            .partition(u128::from(1 + world.rng.below(30)), false);
        world.call_vote();
        world.run_for(500 * MS);
        world.lan.heal();
        world.whois();
        world.run_for(500 * MS);
        wrong += u64::from(masters(&world) > 1);
    }
    line(
        "partition healed and one WHOIS: two masters",
        &format!("{wrong} of {trials}"),
    );
}

fn take_overs(name: &str, interval: Micros, off: bool, trials: u64) {
    let mut spans = Vec::new();
    for seed in 0..trials {
        let mut world = lan(seed, Some(interval));
        world.call_vote();
        let settle = 20 * interval + u64::from(world.rng.below(interval as u32));
        world.run_for(500 * MS + settle);
        let in_office = |host: &crate::host::Host| host.program.office().is_some();
        let Some(at) = world.hosts.iter().position(in_office) else {
            continue;
        };
        let begin = world.now;
        world.kill(at, off);
        while masters(&world) == 0 && world.now < begin + 60 * SECOND {
            world.run_for(200);
        }
        spans.push(world.now - begin);
    }
    spans.sort_unstable();
    let at = |share: usize| spans.get((spans.len() * share / 100).min(spans.len() - 1));
    let show =
        |span: Option<&Micros>| Duration::from_micros(span.copied().unwrap_or(0)).to_string();
    line(
        &format!(
            "take-over from {name}, {} interval",
            Duration::from_micros(interval)
        ),
        &format!("median {}, maximum {}", show(at(50)), show(at(100))),
    );
}

/// Changes of master in ten-second runs at 10 ms, ours and the plain rule's.
fn needless_changes(name: &str, loss: u32, spread: u32, runs: u64) {
    let interval = 10 * MS;
    let changes = |naive: bool| -> u64 {
        (0..runs)
            .map(|seed| {
                let mut world = lan(seed, Some(interval));
                if naive {
                    become_naive(&mut world, interval);
                } else {
                    world.call_vote();
                }
                world.run_for(2 * SECOND);
                world.lan.weather.loss = loss;
                world.lan.weather.spread = spread;
                // What the network is like is learned first.
                world.run_for(2 * SECOND);
                let before = world.checks.changes();
                world.run_for(10 * SECOND);
                u64::from(world.checks.changes() - before)
            })
            .sum()
    };
    let hourly = |changes: u64| changes * 360 / runs.max(1);
    let (ours, theirs) = (changes(false), changes(true));
    line(
        &format!("changes of role an hour at 10 ms, {name}"),
        &format!(
            "{} ({ours} seen in {} s); three missed claims: {}",
            hourly(ours),
            runs * 10,
            hourly(theirs)
        ),
    );
    assert!(loss < WHOLE);
}

fn become_naive(world: &mut World, interval: Micros) {
    for at in 0..world.hosts.len() {
        let Some(address) = world.hosts[at].address else {
            continue;
        };
        let rank = Rank {
            vote: 2 * at as u8 + 1,
            address,
        };
        let everybody = SocketAddrV4::new(BROADCAST, PORT);
        let now: Instant = world.hosts[at].clock.shows(world.now);
        let naive = Naive::new(rank, everybody, Duration::from_micros(interval), now);
        world.kill(at, false);
        world.start(at, Program::Naive(naive));
    }
}
