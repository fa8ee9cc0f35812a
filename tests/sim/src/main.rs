//! The simulator's door; see [`USAGE`].

use boardroom_sim::driver::{self, Tally};
use boardroom_sim::options::Mode;
use boardroom_sim::{schedule, transcript};
use std::process::ExitCode;

const USAGE: &str =
    "Usage: boardroom-sim [--mode plain|failover] [--from SEED] [--seeds N] [--failures N] [--brief]
       boardroom-sim --mode MODE --seed SEED     one schedule, its story told";

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
        _ => None,
    };
    done.unwrap_or_else(|| {
        eprintln!("{USAGE}");
        ExitCode::from(2)
    })
}

fn story(file: &str) -> ExitCode {
    let told = std::fs::read_to_string(file)
        .map_err(|error| error.to_string())
        .and_then(|text| transcript::run(&text));
    match told {
        Ok(story) => {
            print!("{story}");
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            eprintln!("{file}: {wrong}");
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
                    println!("{}", text.lines().next().unwrap_or_default());
                } else {
                    println!("{text}\n");
                }
            },
        );
        println!("{}", tally.line(mode.name()));
        total = total.plus(tally);
    }
    println!("{}", total.line("total"));
    if total.violations == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn tell_one(mode: Mode, seed: u64) -> ExitCode {
    print!("{}", schedule::Schedule::new(mode, seed).options);
    let outcome = schedule::run(mode, seed, true);
    for line in outcome.story {
        println!("{line}");
    }
    match outcome.violation {
        None => {
            println!("mode {}, seed {seed}: 0 violations", mode.name());
            ExitCode::SUCCESS
        }
        Some(violation) => {
            println!(
                "VIOLATION {} at {} us: {}",
                violation.property, violation.at, violation.what
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
