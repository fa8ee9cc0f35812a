//! The simulator in `cargo test`: some schedules of every mode in a debug
//! build. `tests/sim/run` does many more in an optimised one, `make sim
//! SEEDS=N` as many as you like.

#![allow(clippy::panic, clippy::unwrap_used)]

use boardroom_sim::driver;
use boardroom_sim::options::Mode;
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

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

#[test]
fn what_happens_in_the_field_breaks_no_property() {
    let mut played = 0;
    for one in boardroom_sim::schedule::scenarios::play_all(5) {
        assert_eq!(one.wrong, None, "{}, {}", one.name, one.mode.name());
        assert!(one.tally.delivered > 100, "datagrams flow: {}", one.name);
        played += one.tally.schedules;
    }
    assert!(played >= 14 * 5);
}

/// cargo-fuzz has a target for each of the harness, and no other. (It is not
/// built here, since that takes libFuzzer and a C++ compiler.)
#[test]
fn cargo_fuzz_has_the_harness_targets() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let files = std::fs::read_dir(folder.join("fuzz_targets")).unwrap();
    assert_eq!(files.count(), boardroom_sim::fuzz::TARGETS.len());
    for (name, _) in boardroom_sim::fuzz::TARGETS {
        let file = format!("fuzz_targets/{name}.rs");
        let source = std::fs::read_to_string(folder.join(&file)).unwrap();
        assert!(source.contains(&format!("boardroom_sim::fuzz::{name}(bytes)")));
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"{file}\"")));
    }
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

/// What the real program records, the simulator plays again: same inputs, same
/// outputs. And a record that was altered is seen.
#[test]
fn a_record_of_the_real_program_is_played_again() {
    let file = std::env::temp_dir().join(format!("br-sim-record-{}", std::process::id()));
    let record = record_an_election(&file);
    let _ = std::fs::remove_file(&file);
    let replayed = boardroom_sim::replay::run(&record).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(replayed.sent >= 2, "a vote and an answer: {record}");
    let altered = record.replacen("sent 127.255.255.255", "sent 127.255.255.254", 1);
    assert_ne!(altered, record);
    assert!(boardroom_sim::replay::run(&altered).is_err());
}

/// Has one board on 127.0.0.77 hold an election; gives its record.
fn record_an_election(file: &std::path::Path) -> String {
    let client = UdpSocket::bind("127.0.0.78:0").unwrap();
    let patience = Some(Duration::from_millis(500));
    client.set_read_timeout(patience).unwrap();
    // A port may be somebody else's: then the board ends, and there are others.
    let first = 20_000 + std::process::id() % 10_000;
    let (mut board, port) = (first..first + 20)
        .map(|port| port as u16)
        .find_map(|port| start(file, port).map(|board| (board, port)))
        .unwrap();
    // It writes what a turn brought after the turn.
    let recorded = |words: &str| {
        let told = || std::fs::read_to_string(file).unwrap_or_default();
        (0..1_000).any(|_| told().contains(words) || pause())
    };
    assert!(recorded("network 127.0.0.77"), "it hears at its address");
    let mut buffer = [0; 64];
    let answered = (0..20).any(|turn| {
        if turn % 5 == 0 {
            let _ = client.send_to(b"VOTE", ("127.0.0.77", port));
        }
        let _ = client.send_to(b"WHOIS", ("127.0.0.77", port));
        client.recv(&mut buffer).is_ok()
    });
    let is_whole = recorded("sent 127.0.0.78:");
    let _ = board.kill();
    let _ = board.wait();
    assert!(answered && is_whole, "the board answers WHOIS");
    std::fs::read_to_string(file).unwrap()
}

/// Starts the board on this port; none if it ends, since the port is taken.
fn start(file: &std::path::Path, port: u16) -> Option<Child> {
    let mut board = Command::new(env!("CARGO_BIN_EXE_boardroom"))
        .args(["serve", "--interface", "lo", "--address", "127.0.0.77"])
        .args(["--control", "/dev/null/none", "--record"])
        .arg(file)
        .arg(port.to_string())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let is_there = || std::fs::read_to_string(file).is_ok_and(|text| text.contains("\nnetwork "));
    for _ in 0..1_000 {
        if board.try_wait().unwrap().is_some() {
            return None;
        }
        if is_there() {
            break;
        }
        pause();
    }
    Some(board)
}

fn pause() -> bool {
    std::thread::sleep(Duration::from_millis(10));
    false
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
