//! The simulator's door; see [`USAGE`].

use boardroom_sim::driver::{self, Tally};
use boardroom_sim::explore::{Budget, explore};
use boardroom_sim::options::Mode;
use boardroom_sim::say;
use boardroom_sim::{crowd, fuzz, replay, report, schedule, transcript};
use std::process::ExitCode;

const USAGE: &str = "\
Usage: boardroom-sim run [--mode MODE] [--from SEED] [--seeds N] [--failures N] [--brief]
       boardroom-sim run --mode MODE --seed SEED     one schedule, its story told
       boardroom-sim story FILE                      a transcript, as it goes now
       boardroom-sim stories FOLDER                  those that go differently
       boardroom-sim mutants [NAME]                  every deliberate bug is caught
       boardroom-sim model [MODE]                    every order of events, exhaustively
       boardroom-sim fuzz SECONDS                    corpus and mutations, every target
       boardroom-sim scenarios [SEEDS]               what happens in the field, by name
       boardroom-sim report [SCALE]                  the table of figures
       boardroom-sim crowd BOARDS                    what an election of so many costs
       boardroom-sim replay FILE                     what `serve --record FILE` wrote";

struct Arguments {
    modes: Vec<Mode>,
    from: u64,
    seeds: u64,
    failures: u64,
    brief: bool,
    seed: Option<u64>,
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let done = match (command.as_str(), words.next(), words.next()) {
        ("story", Some(file), None) => Some(story(&file)),
        ("run", ..) => arguments().map(run),
        ("stories", Some(folder), None) => Some(stories(&folder)),
        ("fuzz", Some(seconds), None) => seconds.parse().ok().map(fuzz_all),
        ("replay", Some(file), None) => Some(replay_record(&file)),
        ("crowd", Some(boards), None) => boards.parse().ok().map(elect_crowd),
        ("report", scale, None) => {
            report::print(scale.and_then(|scale| scale.parse().ok()).unwrap_or(1));
            Some(ExitCode::SUCCESS)
        }
        ("scenarios", seeds, None) => seeds
            .map_or(Ok(50), |seeds| seeds.parse())
            .ok()
            .map(play_scenarios),
        ("model", only, None) => Some(model(&only.unwrap_or_default())),
        ("mutants", only, None) => Some(mutants(&only.unwrap_or_default())),
        _ => None,
    };
    done.unwrap_or_else(|| {
        eprintln!("{USAGE}");
        ExitCode::from(2)
    })
}

fn play_scenarios(seeds: u64) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for played in schedule::scenarios::play_all(seeds) {
        let what = format!("{}, {}", played.name, played.mode.name());
        let (schedules, violations) = (played.tally.schedules, played.tally.violations);
        say!("{what:<58} {schedules} schedules, {violations} violations");
        if let Some(wrong) = played.wrong {
            say!("{wrong}");
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn story(file: &str) -> ExitCode {
    let told = std::fs::read_to_string(file)
        .map_err(|error| error.to_string())
        .and_then(|text| transcript::run(&text));
    match told {
        Ok(story) => {
            boardroom_sim::tell!("{story}");
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            eprintln!("{file}: {wrong}");
            ExitCode::FAILURE
        }
    }
}

/// Figures, one a line, as the benchmarks read them.
fn elect_crowd(boards: u16) -> ExitCode {
    let begun = on_cpu_ns();
    let cost = crowd::elect(boards);
    let spent = on_cpu_ns() - begun;
    let mut answered: Vec<u64> = cost
        .answered
        .iter()
        .filter_map(|took| took.map(|took| took.micros()))
        .collect();
    answered.sort_unstable();
    let elections = u64::from(cost.rounds) * u64::from(boards.max(1));
    say!("answered: {} of {}", answered.len(), cost.answered.len());
    say!(
        "VOTE to the answer, simulated: {} us",
        answered.get(answered.len() / 2).unwrap_or(&0)
    );
    say!("CPU time a board: {} us", spent / elections / 1_000);
    say!("CPU time a datagram: {} ns", spent / cost.handled.max(1));
    ExitCode::SUCCESS
}

/// By the scheduler's account, which other programs do not disturb.
fn on_cpu_ns() -> u64 {
    let told = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let first = told.split(' ').next();
    first.and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

fn replay_record(file: &str) -> ExitCode {
    let done = std::fs::read_to_string(file)
        .map_err(|error| error.to_string())
        .and_then(|record| replay::run(&record));
    match done {
        Ok(replayed) => {
            for line in &replayed.story {
                say!("{line}");
            }
            let (turns, sent) = (replayed.turns, replayed.sent);
            say!("{turns} turns, {sent} datagrams, all as recorded");
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            eprintln!("{file}: {wrong}");
            ExitCode::FAILURE
        }
    }
}

/// Tells which transcripts go differently now.
fn stories(folder: &str) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    for file in files {
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        if transcript::run(&written).as_deref() != Ok(written.as_str()) {
            say!("{} goes differently", file.display());
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// Every target for its share of `seconds`.
fn fuzz_all(seconds: u64) -> ExitCode {
    let share = std::time::Duration::from_secs(seconds) / fuzz::TARGETS.len() as u32;
    for (name, target) in fuzz::TARGETS {
        let corpus = fuzz::corpus(std::path::Path::new("tests/fuzz/corpus"), name);
        let begin = std::time::Instant::now();
        let (mut seed, mut inputs) = (0, 0);
        while begin.elapsed() < share {
            fuzz::run(*target, &corpus, seed, 2_000);
            (seed, inputs) = (seed + 1, inputs + 2_000 + corpus.len());
        }
        say!(
            "{name:<14} {inputs} inputs, 0 failures, corpus of {}",
            corpus.len()
        );
    }
    ExitCode::SUCCESS
}

/// Two and three boards, with what may go wrong with each.
const MODELS: [(Mode, usize, Budget); 27] = [
    (Mode::Plain, 2, budget(0, 0, 0, 1)),
    (Mode::Plain, 2, budget(1, 0, 0, 1)),
    (Mode::Plain, 2, budget(1, 1, 0, 1)),
    (Mode::Plain, 2, budget(1, 0, 1, 1)),
    (Mode::Plain, 3, budget(0, 0, 0, 0)),
    (Mode::Plain, 3, budget(1, 0, 0, 0)),
    (Mode::Plain, 3, budget(0, 1, 0, 0)),
    (Mode::Plain, 3, budget(0, 0, 1, 0)),
    (Mode::Plain, 3, budget(1, 1, 0, 0)),
    (Mode::Plain, 3, budget(1, 0, 1, 0)),
    (Mode::Failover, 2, budget(1, 1, 0, 1)),
    (Mode::Failover, 2, budget(1, 0, 1, 1)),
    (Mode::Failover, 3, budget(1, 0, 0, 0)),
    (Mode::Failover, 3, budget(0, 0, 1, 0)),
    (Mode::Quorum, 2, delayed(0, 0, 0, 3)),
    (Mode::Quorum, 2, delayed(1, 1, 0, 1)),
    (Mode::Quorum, 2, delayed(1, 0, 1, 1)),
    (Mode::Quorum, 3, delayed(0, 0, 0, 2)),
    (Mode::Quorum, 3, delayed(1, 0, 0, 0)),
    (Mode::Quorum, 3, delayed(0, 1, 0, 0)),
    (Mode::Quorum, 3, delayed(0, 0, 1, 0)),
    (Mode::Quorum, 2, cut_off(1)),
    (Mode::Quorum, 3, parted()),
    (Mode::Key, 2, attacked(0, 0, 0, 2)),
    (Mode::Key, 2, attacked(1, 1, 0, 1)),
    (Mode::Key, 2, attacked(0, 0, 1, 1)),
    (Mode::Key, 3, attacked(1, 0, 0, 0)),
];

const fn budget(losses: u8, doubles: u8, crashes: u8, delay: u8) -> Budget {
    Budget {
        losses,
        doubles,
        crashes,
        delay,
        delays: None,
        cuts: 0,
        links: 0,
        attacks: 0,
    }
}

const fn delayed(losses: u8, doubles: u8, crashes: u8, delays: u8) -> Budget {
    Budget {
        delays: Some(delays),
        ..budget(losses, doubles, crashes, delays)
    }
}

const fn cut_off(losses: u8) -> Budget {
    Budget {
        cuts: 1,
        ..budget(losses, 0, 0, 0)
    }
}

/// Two boards do not hear each other, the third one hears both.
const fn parted() -> Budget {
    Budget {
        links: 1,
        ..budget(0, 0, 0, 0)
    }
}

const fn attacked(losses: u8, doubles: u8, crashes: u8, attacks: u8) -> Budget {
    Budget {
        attacks,
        ..budget(losses, doubles, crashes, 0)
    }
}

fn model(only: &str) -> ExitCode {
    let wanted = |mode: Mode| only.is_empty() || mode.name() == only;
    for (mode, boards, budget) in MODELS {
        if !wanted(mode) {
            continue;
        }
        match explore(mode, boards, budget) {
            Ok(seen) => say!(
                "{:<8} {boards} boards, {} lost, {} doubled, {} crashes, {} cut off, {} links cut, {} attacks, delays past {} \
                 deadlines: {} states, {} steps, depth {}, {} ends, 0 violations",
                mode.name(),
                budget.losses,
                budget.doubles,
                budget.crashes,
                budget.cuts,
                budget.links,
                budget.attacks,
                budget.delay,
                seen.states,
                seen.steps,
                seen.depth,
                seen.ends
            ),
            Err(wrong) => {
                say!(
                    "{} {boards} boards, {budget:?}: VIOLATION {wrong}",
                    mode.name()
                );
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn mutants(only: &str) -> ExitCode {
    match boardroom_sim::mutants::hunt(std::path::Path::new("."), only) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(wrong) => {
            eprintln!("{wrong}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> ExitCode {
    if let Some(seed) = arguments.seed {
        return arguments
            .modes
            .iter()
            .map(|&mode| tell_one(mode, seed))
            .fold(ExitCode::SUCCESS, |worst, code| {
                if code == ExitCode::SUCCESS {
                    worst
                } else {
                    code
                }
            });
    }
    let mut total = Tally::default();
    for &mode in &arguments.modes {
        let tally = driver::run(
            mode,
            arguments.from,
            arguments.seeds,
            arguments.failures,
            &mut |text| {
                if arguments.brief {
                    say!("{}", text.lines().next().unwrap_or_default());
                } else {
                    say!("{text}\n");
                }
            },
        );
        say!("{}", tally.line(mode.name()));
        total = total.plus(tally);
    }
    say!("{}", total.line("total"));
    if total.violations == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn tell_one(mode: Mode, seed: u64) -> ExitCode {
    boardroom_sim::tell!("{}", schedule::Schedule::new(mode, seed).options);
    let outcome = schedule::run(mode, seed, true);
    for line in outcome.story {
        say!("{line}");
    }
    match outcome.violation {
        None => {
            say!("mode {}, seed {seed}: 0 violations", mode.name());
            ExitCode::SUCCESS
        }
        Some(violation) => {
            say!(
                "VIOLATION {} at {} us: {}",
                violation.property,
                violation.at,
                violation.what
            );
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Option<Arguments> {
    let mut arguments = Arguments {
        modes: Mode::ALL.to_vec(),
        from: 0,
        seeds: 10_000,
        failures: 1,
        brief: false,
        seed: None,
    };
    let mut words = std::env::args().skip(2);
    while let Some(word) = words.next() {
        if word == "--brief" {
            arguments.brief = true;
            continue;
        }
        let value = words.next()?;
        match word.as_str() {
            "--mode" if value == "all" => {}
            "--mode" => arguments.modes = vec![Mode::of_name(&value)?],
            "--from" => arguments.from = value.parse().ok()?,
            "--seeds" => arguments.seeds = value.parse().ok()?,
            "--failures" => arguments.failures = value.parse().ok()?,
            "--seed" => arguments.seed = Some(value.parse().ok()?),
            _ => return None,
        }
    }
    Some(arguments)
}
