//! The simulator in `cargo test`: some schedules of every mode in a debug
//! build. `tests/sim/run` does many more in an optimised one, `make sim
//! SEEDS=N` as many as you like.

use boardroom_sim::driver;
use boardroom_sim::options::Mode;

const SCHEDULES: u64 = 150;

fn run(mode: Mode) {
    let mut failures = String::new();
    let tally = driver::run(mode, 0, SCHEDULES, 1, &mut |text| failures += text);
    assert_eq!(tally.violations, 0, "{failures}");
    assert_eq!(tally.schedules, SCHEDULES);
    assert!(
        tally.delivered > SCHEDULES * 50,
        "datagrams flow: {tally:?}"
    );
}

#[test]
fn plain_schedules_break_no_property() {
    run(Mode::Plain);
}

#[test]
fn failover_schedules_break_no_property() {
    run(Mode::Failover);
}

#[test]
fn quorum_schedules_break_no_property() {
    run(Mode::Quorum);
}

#[test]
fn key_schedules_break_no_property() {
    run(Mode::Key);
}

/// The same seed tells the same story, to the last line.
#[test]
fn a_seed_tells_the_whole_story() {
    for mode in Mode::ALL {
        for seed in 0..10 {
            let first = boardroom_sim::schedule::run(*mode, seed, true);
            let second = boardroom_sim::schedule::run(*mode, seed, true);
            assert_eq!(first.story, second.story, "{} {seed}", mode.name());
            assert_eq!(first.delivered, second.delivered);
        }
    }
}
