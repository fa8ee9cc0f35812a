//! The simulator in `cargo test`: some schedules of every mode in a debug
//! build. `tests/sim/run` does many more in an optimised one, `make sim
//! SEEDS=N` as many as you like.

#![allow(clippy::panic)]

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

/// The harness of `make fuzz` and cargo-fuzz, for a moment.
#[test]
fn no_input_breaks_a_decoder_or_a_board() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    for (name, target) in boardroom_sim::fuzz::TARGETS {
        let corpus = boardroom_sim::fuzz::corpus(&folder, name);
        assert!(corpus.len() >= 4, "{name} has a corpus");
        boardroom_sim::fuzz::run(*target, &corpus, 1, 1_500);
    }
}

/// `make mutants` builds and hunts them; here only that they still fit.
#[test]
fn every_mutant_still_fits_the_source() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mutants = boardroom_sim::mutants::all(root).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(mutants.len() >= 12);
    for mutant in mutants {
        assert_eq!(mutant.fits(root), Ok(()));
    }
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
