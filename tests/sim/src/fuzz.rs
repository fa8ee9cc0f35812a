//! Fuzzing: one function for each decoder and for the whole board, which takes
//! any bytes and must not panic, loop or grow. `tests/fuzz` gives them to
//! cargo-fuzz; [`run`] gives them corpus and mutations on any compiler.

use boardroom::election::key::Keyring;
use boardroom::election::wire::{self, Text, Trailer};
use boardroom::election::{Answer, Board, Config, Epoch, Failover, Keys, Network, Rank};
use boardroom::rng::{Entropy, Seeded};
use boardroom::time::{Duration, Instant};
use boardroom::{echo, matching, order, relay, sequence};
use core::net::{Ipv4Addr, SocketAddrV4};

/// Takes any bytes.
pub type Target = fn(&[u8]);

/// What is fuzzed, by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("election_wire", election_wire),
    ("board", board),
    ("services", services),
    ("texts", texts),
];

/// The election's datagrams: what is read is built again and reads the same.
pub fn election_wire(bytes: &[u8]) {
    let text = wire::parse(bytes);
    let trailer = wire::trailer(bytes);
    if let Ok(text) = text {
        let built = wire::build(text, true);
        if !matches!(text, Text::Answer { .. }) {
            assert_eq!(wire::parse(&built), Ok(text), "{:?}", bytes.escape_ascii());
        }
        if let Some((fields, _)) = trailer {
            let sealed = wire::build_with_trailer(text, fields, wire::checksum);
            assert_eq!(wire::text_of(&sealed), wire::text_of(&built));
        }
    }
    if let Some(signed) = wire::signed_part(bytes) {
        assert_eq!(wire::checksum(signed)[4..], [0; 4]);
    }
}

/// The services' datagrams and frames.
pub fn services(bytes: &[u8]) {
    let _ = matching::wire::parse(bytes);
    let _ = relay::wire::parse(bytes);
    let _ = sequence::wire::parse(bytes);
    let _ = echo::wire::request(bytes);
    let _ = echo::wire::is_alphanumeric(bytes);
    let _ = echo::wire::ends_inside_a_character(bytes);
    let _ = order::wire::reply(bytes);
    let _ = order::wire::read(bytes, b"ABC");
}

/// Texts that people write: durations and key files.
pub fn texts(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(span) = Duration::parse(&text) {
        assert_eq!(Duration::parse(&span.to_string()), Some(span), "{text}");
    }
    let _ = Keyring::parse(&text);
}

/// A board, driven by a list of operations.
pub fn board(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut board = Board::new(config(input.byte()));
    let mut rng = Seeded::new(1);
    let mut now = Instant::from_micros(1_000_000);
    board.handle_wakeup(now);
    board.handle_network(now, Some(network(2)));
    settle(&mut board, now, &mut rng);
    while !input.0.is_empty() {
        now += Duration::from_micros(u64::from(input.byte()) * 10);
        let from = SocketAddrV4::new(network(2 + input.byte() % 8).address, 2000);
        board.handle_wakeup(now);
        match input.byte() % 8 {
            0 => board.handle_datagram(now, from, input.some(), &mut rng),
            1 | 2 => {
                let datagram = message(&mut input, *from.ip());
                board.handle_datagram(now, from, &datagram, &mut rng);
            }
            3 => board.handle_refused(now, from, &mut rng),
            4 => {
                let last = input.byte();
                board.handle_network(now, (last % 4 > 0).then(|| network(last)));
            }
            5 => board.handle_resign(now),
            6 => now += Duration::from_millis(u64::from(input.byte()) * 20),
            _ => {
                if let Some(due) = board.poll_timeout() {
                    now = now.max(due);
                }
            }
        }
        settle(&mut board, now, &mut rng);
    }
}

/// Fires what is due, and takes all output: it must be well formed and end.
fn settle(board: &mut Board, now: Instant, rng: &mut Seeded) {
    let mut turns = 0;
    while board.poll_timeout().is_some_and(|due| due <= now) {
        board.handle_timeout(now, rng);
        turns += 1;
        assert!(
            turns < 100,
            "a deadline that stays: {:?}",
            board.poll_timeout()
        );
    }
    let mut sent = 0;
    while let Some(transmit) = board.poll_transmit() {
        assert!(wire::parse(&transmit.bytes).is_ok());
        sent += 1;
        assert!(sent < 3_000);
    }
    while let Some(notice) = board.poll_notice() {
        assert!(!notice.to_string().is_empty());
    }
    board.assert_bounds();
}

fn config(bits: u8) -> Config {
    let interval = Duration::from_millis(10 << (bits & 3));
    let keyed = bits & 32 != 0;
    let ring = Keyring::parse("000102030405060708090a0b0c0d0e0f1011121314151617");
    Config {
        name: "a name that is far too long for any answer".into(),
        strict: bits & 4 != 0,
        answer: if bits & 8 != 0 {
            Answer::Broadcast
        } else {
            Answer::Unicast
        },
        failover: (bits & 16 != 0).then(|| Failover::new(interval)),
        quorum: (bits & 80 == 80).then_some(3),
        keys: ring
            .ok()
            .filter(|_| keyed)
            .map(|ring| Keys { ring, seed: 7 }),
        ..Config::default()
    }
}

fn network(last: u8) -> Network {
    Network {
        address: Ipv4Addr::new(10, 0, 0, last.clamp(2, 250)),
        broadcast: Ipv4Addr::new(10, 0, 0, 255),
    }
}

/// A well-formed message of any kind, sealed without a key.
fn message(input: &mut Input<'_>, from: Ipv4Addr) -> wire::Datagram {
    let rank = Rank {
        vote: input.byte() % 10 + 1,
        address: from,
    };
    let text = match input.byte() % 8 {
        0 => Text::Whois,
        1 => Text::Call,
        2 | 3 => Text::Vote(rank),
        4 => Text::Claim(rank),
        5 => Text::Resign(from),
        6 => Text::LeaseAsk(rank),
        _ => Text::LeaseGrant(from),
    };
    let trailer = Trailer {
        flags: input.byte(),
        epoch: Epoch(match input.byte() {
            high @ 250.. => u32::from(high) << 24,
            low => u32::from(low),
        }),
        word: u32::from(input.byte()),
        about: Some(network(input.byte() % 10).address),
    };
    if input.byte().is_multiple_of(4) {
        wire::build(text, true)
    } else {
        wire::build_with_trailer(text, trailer, wire::checksum)
    }
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// Up to 63 bytes, as many as the next one says.
    fn some(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte() % 64).min(self.0.len());
        let (some, rest) = self.0.split_at(len);
        self.0 = rest;
        some
    }
}

/// The files of a target's corpus, in the order of their names.
pub fn corpus(folder: &std::path::Path, target: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = std::fs::read_dir(folder.join(target))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    files
        .iter()
        .filter_map(|file| std::fs::read(file).ok())
        .collect()
}

/// Feeds a target with the corpus and with `count` inputs made of it: bytes
/// changed, cut, doubled and put together. Deterministic.
pub fn run(target: Target, corpus: &[Vec<u8>], seed: u64, count: u64) {
    for input in corpus {
        target(input);
    }
    let mut rng = Seeded::new(seed);
    for _ in 0..count {
        let mut input = pick(corpus, &mut rng);
        for _ in 0..1 + rng.below(8) {
            mutate(&mut input, corpus, &mut rng);
        }
        target(&input);
    }
}

fn pick(corpus: &[Vec<u8>], rng: &mut Seeded) -> Vec<u8> {
    let at = rng.below(corpus.len().max(1) as u32) as usize;
    corpus.get(at).cloned().unwrap_or_default()
}

fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], rng: &mut Seeded) {
    let at = rng.below(input.len() as u32 + 1) as usize;
    match rng.below(6) {
        0 => input.truncate(at),
        1 => input.extend_from_slice(&pick(corpus, rng)),
        2 => input.insert(at, rng.next_u32() as u8),
        3 => {
            for _ in 0..rng.below(40) {
                input.push(rng.next_u32() as u8);
            }
        }
        _ => {
            if let Some(byte) = input.get_mut(at) {
                *byte = match rng.below(3) {
                    0 => rng.next_u32() as u8,
                    1 => *byte ^ (1 << rng.below(8)),
                    _ => b"\0\n\r #!?-+0123456789.VOTEWHOIS\xff"[rng.below(29) as usize],
                };
            }
        }
    }
    input.truncate(4_096);
}
