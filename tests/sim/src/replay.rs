//! Replays what `serve --record FILE` wrote: the same inputs into the same
//! core must give the same outputs, so that a field's bug becomes a test.

use crate::packet::Shown;
use boardroom::election::{Answer, Board, Config, Failover, Network};
use boardroom::rng::Entropy;
use boardroom::time::{Duration, Instant};
use core::net::SocketAddrV4;
use std::collections::VecDeque;

/// What came of a replay.
#[derive(Debug, Default)]
pub struct Replayed {
    /// Turns of the loop.
    pub turns: usize,
    /// Datagrams that were sent, all as recorded.
    pub sent: usize,
    /// The story: what came, what went out, what was told.
    pub story: Vec<String>,
}

/// Numbers that the recorded board drew.
struct Drawn(VecDeque<u32>);

impl Entropy for Drawn {
    fn next_u32(&mut self) -> u32 {
        self.0.pop_front().unwrap_or(0)
    }
}

/// Replays a whole record; the first difference is an error.
pub fn run(record: &str) -> Result<Replayed, String> {
    let lines: Vec<&str> = record.lines().collect();
    let [head, config, rest @ ..] = lines.as_slice() else {
        return Err("no record: it has less than two lines".into());
    };
    if *head != "boardroom-record 1" {
        return Err(format!("line 1: not a record of a known form: {head}"));
    }
    let mut board = Board::new(read_config(config).ok_or("line 2: no configuration")?);
    let mut replayed = Replayed::default();
    let mut now = Instant::ZERO;
    for (at, line) in rest.iter().enumerate() {
        let wrong = |what: String| format!("line {}: {what}", at + 3);
        let draws = rest[at + 1..]
            .iter()
            .map_while(|line| line.strip_prefix("random ")?.parse().ok());
        let mut drawn = Drawn(draws.collect());
        let (word, arguments) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "turn" => {
                now = instant(arguments).ok_or_else(|| wrong("no time".into()))?;
                board.handle_wakeup(now);
                replayed.turns += 1;
            }
            "sent" => {
                let Some(transmit) = board.poll_transmit() else {
                    return Err(wrong(format!("recorded {line}, but nothing is sent")));
                };
                let sent = format!("{} {}", transmit.to, hex(&transmit.bytes));
                if sent != arguments {
                    return Err(wrong(format!("recorded {arguments}, now {sent}")));
                }
                replayed.sent += 1;
                let told = format!("  -> {}: {}", transmit.to, Shown(&transmit.bytes));
                replayed.story.push(told);
            }
            "random" => {}
            "full" => break,
            _ => {
                let done = input(&mut board, now, word, arguments, &mut drawn);
                done.ok_or_else(|| wrong(format!("not understood: {line}")))?;
                replayed.story.push(format!("{} {line}", now.micros()));
            }
        }
        while let Some(notice) = board.poll_notice() {
            replayed.story.push(format!("  log: {notice}"));
        }
    }
    Ok(replayed)
}

fn input(
    board: &mut Board,
    now: Instant,
    word: &str,
    arguments: &str,
    drawn: &mut Drawn,
) -> Option<()> {
    let words: Vec<&str> = arguments.split_whitespace().collect();
    match (word, words.as_slice()) {
        ("network", ["none"]) => board.handle_network(now, None),
        ("network", [address, broadcast]) => {
            let network = Network {
                address: address.parse().ok()?,
                broadcast: broadcast.parse().ok()?,
            };
            board.handle_network(now, Some(network));
        }
        ("datagram", [from, bytes]) => {
            board.handle_datagram(now, from.parse().ok()?, &unhex(bytes)?, drawn);
        }
        ("datagram", [from, bytes, came]) => {
            board.handle_datagram(instant(came)?, from.parse().ok()?, &unhex(bytes)?, drawn);
        }
        ("refused", [to]) => {
            let to: SocketAddrV4 = to.parse().ok()?;
            board.handle_refused(now, to, drawn);
        }
        ("timeout", []) => board.handle_timeout(now, drawn),
        ("resign", []) => board.handle_resign(now),
        ("let-go", []) => board.handle_let_go(now),
        _ => return None,
    }
    Some(())
}

fn read_config(line: &str) -> Option<Config> {
    let mut config = Config::default();
    let (options, name) = line.strip_prefix("config ")?.split_once("name=")?;
    config.name = name.into();
    let mut patience = None;
    for option in options.split_whitespace() {
        match option.split_once('=')? {
            (_, "-") => {}
            ("port", port) => config.port = port.parse().ok()?,
            ("strict", strict) => config.strict = strict == "yes",
            ("answer", "broadcast") => config.answer = Answer::Broadcast,
            ("answer", _) => config.answer = Answer::Unicast,
            ("failover", span) => config.failover = Some(Failover::new(Duration::parse(span)?)),
            ("patience", span) => patience = Duration::parse(span),
            ("quorum", boards) => config.quorum = boards.parse().ok(),
            ("hook", hook) => config.has_hook = hook == "yes",
            // With a key the record is for reading only.
            _ => return None,
        }
    }
    if let (Some(failover), Some(patience)) = (&mut config.failover, patience) {
        failover.patience = patience;
    }
    Some(config)
}

fn instant(micros: &str) -> Option<Instant> {
    Some(Instant::from_micros(micros.parse().ok()?))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text == "-" {
        return Some(Vec::new());
    }
    let digits = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.map(byte).collect()
}
