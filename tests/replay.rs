//! A record tells the whole story: what a real board recorded while it lived is
//! fed to another one, which must say the very same.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use boardroom::election::{Answer, Board, Config, Failover, Network};
use boardroom::rng::Entropy;
use boardroom::time::{Duration, Instant};
use std::collections::VecDeque;
use std::net::{SocketAddrV4, UdpSocket};
use std::process::{Child, Command};
use std::thread::sleep;

/// The numbers that were drawn.
#[derive(Default)]
struct Drawn(VecDeque<u32>);

impl Entropy for Drawn {
    fn next_u32(&mut self) -> u32 {
        self.0.pop_front().expect("no more numbers than were drawn")
    }
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    if hex == "-" {
        return Vec::new();
    }
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn config(line: &str) -> Config {
    let mut config = Config::default();
    let (settings, name) = line.split_once(" name=").unwrap();
    config.name = name.into();
    let mut times = Failover::new(Duration::from_secs(1));
    for setting in settings.split(' ').skip(1) {
        let (what, value) = setting.split_once('=').unwrap();
        match what {
            "port" => config.port = value.parse().unwrap(),
            "strict" => config.strict = value == "yes",
            "answer" if value == "broadcast" => config.answer = Answer::Broadcast,
            "answer" => config.answer = Answer::Unicast,
            "failover" => times.interval = Duration::parse(value).unwrap(),
            "patience" => {
                times.patience = Duration::parse(value).unwrap();
                config.failover = Some(times);
            }
            "quorum" => config.quorum = Some(value.parse().unwrap()),
            "hook" => config.has_hook = value == "yes",
            other => panic!("a setting that is not documented: {other}"),
        }
    }
    config
}

/// Feeds a record to a new board; the datagrams recorded as sent, and those
/// that the board sends.
fn replay(record: &str) -> (Vec<String>, Vec<String>) {
    let lines: Vec<&str> = record.lines().collect();
    assert_eq!(lines[0], "boardroom-record 1");
    let mut board = Board::new(config(lines[1]));
    let (mut now, mut drawn) = (Instant::ZERO, Drawn::default());
    let (mut recorded, mut sent) = (Vec::new(), Vec::new());
    for (at, line) in lines.iter().enumerate().skip(2) {
        let randoms = lines[at + 1..]
            .iter()
            .map_while(|next| next.strip_prefix("random "));
        let words: Vec<&str> = line.split(' ').collect();
        if words[0] != "random" {
            assert!(drawn.0.is_empty(), "fewer numbers than were drawn: {line}");
            drawn.0 = randoms.map(|number| number.parse().unwrap()).collect();
        }
        let to = |word: &str| word.parse::<SocketAddrV4>().unwrap();
        let micros = |word: &str| Instant::from_micros(word.parse().unwrap());
        match words[..] {
            ["turn", micros_now] => {
                now = micros(micros_now);
                board.handle_wakeup(now);
            }
            ["network", "none"] => board.handle_network(now, None),
            ["network", address, broadcast] => {
                let (address, broadcast) = (address.parse().unwrap(), broadcast.parse().unwrap());
                board.handle_network(now, Some(Network { address, broadcast }));
            }
            ["datagram", from, hex] => {
                board.handle_datagram(now, to(from), &bytes(hex), &mut drawn);
            }
            ["datagram", from, hex, came] => {
                board.handle_datagram(micros(came), to(from), &bytes(hex), &mut drawn);
            }
            ["refused", from] => board.handle_refused(now, to(from), &mut drawn),
            ["timeout"] => board.handle_timeout(now, &mut drawn),
            ["resign"] => board.handle_resign(now),
            ["let-go"] => board.handle_let_go(now),
            ["sent", ..] => recorded.push((*line).to_string()),
            ["random", _] => {}
            _ => panic!("a line that is not documented: {line}"),
        }
        while let Some(transmit) = board.poll_transmit() {
            let hex: String = transmit
                .bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            sent.push(format!("sent {} {hex}", transmit.to));
        }
    }
    (recorded, sent)
}

fn serve(port: u16, last: u8, more: &[&str]) -> Running {
    let child = Command::new(env!("CARGO_BIN_EXE_boardroom"))
        .args(["serve", "--interface", "lo", "--log", "syslog", "--control"])
        .arg(std::env::temp_dir().join(format!("br-replay-{port}-{last}.sock")))
        .args(["--address", &format!("127.0.0.{last}")])
        .args(["--port", &port.to_string()])
        .args(more)
        .spawn();
    Running(child.unwrap())
}

fn record_of(more: &[&str]) -> String {
    let all = UdpSocket::bind("127.255.255.255:0").unwrap();
    let port = all.local_addr().unwrap().port();
    drop(all);
    let path = std::env::temp_dir().join(format!("br-replay-{port}"));
    let recording = ["--record", path.to_str().unwrap()];
    let recorded = serve(port, 91, &[more, &recording].concat());
    let others = [serve(port, 92, more), serve(port, 93, more)];
    sleep(std::time::Duration::from_millis(500));
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_broadcast(true).unwrap();
    for text in [
        "VOTE\n",
        "WHOIS",
        "VOTE",
        "",
        "# 127.0.0.94 10",
        "WHOIS\n",
        "junk",
    ] {
        client
            .send_to(text.as_bytes(), ("127.255.255.255", port))
            .unwrap();
        sleep(std::time::Duration::from_millis(170));
    }
    // One that dies is refused from then on, and missed where that is the mode.
    drop(others);
    sleep(std::time::Duration::from_millis(700));
    drop(recorded);
    let record = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    record
}

#[test]
fn what_a_plain_board_recorded_is_what_it_does_again() {
    let (recorded, sent) = replay(&record_of(&[]));
    assert!(recorded.len() >= 2, "it voted at least: {recorded:?}");
    assert_eq!(recorded, sent);
}

#[test]
fn what_a_failover_board_recorded_is_what_it_does_again() {
    let record = record_of(&["--interval", "50ms"]);
    let (recorded, sent) = replay(&record);
    assert!(
        recorded.len() >= 3,
        "it voted, and asked or claimed: {recorded:?}"
    );
    assert_eq!(recorded, sent);
}

/// The negative control: another number drawn is another story.
#[test]
fn a_record_that_was_changed_tells_another_story() {
    let record = record_of(&[]);
    let (at, _) = record.match_indices("random ").next().unwrap();
    let end = at + record[at..].find('\n').unwrap();
    let number: u32 = record[at + "random ".len()..end].parse().unwrap();
    let changed = format!("{}random {}{}", &record[..at], number ^ 1, &record[end..]);
    let (recorded, sent) = replay(&changed);
    assert_ne!(recorded, sent);
}
