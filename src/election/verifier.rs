//! An onlooker with the key: it believes only what boards with the same key
//! say now, and has them introduce themselves for that (K3).

use super::onlooker::{Event, Onlooker};
use super::rank::Epoch;
use super::replay::{Incoming, Sessions, Worth};
use super::seal::Keys;
use super::wire::{self, Datagram, Text, Trailer, flag};
use crate::rng::Seeded;
use crate::time::Instant;
use core::net::{Ipv4Addr, SocketAddrV4};

/// The key's part of an onlooker.
pub struct Verifier {
    keys: Keys,
    port: u16,
    sessions: Sessions,
    random: Seeded,
    /// The names in answers that are not proved yet, the latest last.
    names: Vec<(Ipv4Addr, Vec<u8>)>,
}

/// Names kept; the oldest goes first.
const NAMES_MAX: usize = 16;

impl Verifier {
    /// Knows nobody yet. Boards are at `port`.
    pub fn new(keys: &Keys, port: u16) -> Self {
        Self {
            keys: keys.clone(),
            port,
            sessions: Sessions::default(),
            random: Seeded::new(keys.seed),
            names: Vec::new(),
        }
    }

    /// Shows a datagram to `onlooker` if it can be believed. Gives what is new
    /// in it, and a question that goes back to its sender.
    pub fn handle_datagram(
        &mut self,
        onlooker: &mut Onlooker,
        now: Instant,
        from: SocketAddrV4,
        bytes: &[u8],
    ) -> (Option<Event>, Option<Datagram>) {
        if let Some((name, address)) = wire::answer_of(bytes) {
            // The name is not signed; the claim behind it is.
            self.keep_name(address, name);
            return (None, None);
        }
        let Ok(text) = wire::parse(bytes) else {
            return (None, None);
        };
        let incoming = Incoming { from, bytes, text };
        let (ring, random) = (&self.keys.ring, &mut self.random);
        let verdict = self.sessions.judge(now, ring, self.port, &incoming, random);
        let said = match verdict.worth {
            Worth::Believed { bound: true } => {
                if let Some(name) = self.take_name(*from.ip()) {
                    onlooker.handle_name(now, *from.ip(), name);
                }
                onlooker.handle_verified(now, from, bytes)
            }
            Worth::Believed { bound: false } | Worth::Question { .. } => {
                onlooker.handle_verified(now, from, bytes)
            }
            Worth::Open | Worth::Introduced | Worth::Refused(_) => None,
        };
        let ask = verdict.ask.map(|nonce| self.build(nonce, flag::INTRODUCE));
        (said, ask)
    }

    /// A question for all: who is the master; at first, who are you.
    pub fn question(&mut self, now: Instant, is_first: bool) -> Datagram {
        let nonce = self
            .sessions
            .question(now, None, is_first, &mut self.random);
        self.build(nonce, if is_first { flag::INTRODUCE } else { 0 })
    }

    fn keep_name(&mut self, address: Ipv4Addr, name: &[u8]) {
        self.take_name(address);
        if self.names.len() >= NAMES_MAX {
            self.names.remove(0);
        }
        self.names.push((address, name.into()));
    }

    fn take_name(&mut self, address: Ipv4Addr) -> Option<Vec<u8>> {
        let at = self.names.iter().position(|(who, _)| *who == address)?;
        Some(self.names.remove(at).1)
    }

    fn build(&self, nonce: u32, flags: u8) -> Datagram {
        let trailer = Trailer {
            flags,
            epoch: Epoch::NONE,
            word: nonce,
            about: None,
        };
        wire::build_with_trailer(Text::Whois, trailer, |signed| {
            self.keys.ring.tag(signed, None)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::election::key::Keyring;
    use crate::election::rank::Rank;
    use crate::election::{Board, Config, Failover, Network};
    use crate::time::Duration;

    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const BOARD: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    fn keys(seed: u64) -> Keys {
        let ring = Keyring::parse(KEY).unwrap();
        Keys { ring, seed }
    }

    /// A lone board with the key, and an onlooker that hears all that it sends.
    struct Scene {
        now: Instant,
        board: Board,
        verifier: Verifier,
        onlooker: Onlooker,
        said: Vec<Datagram>,
        events: Vec<Event>,
    }

    impl Scene {
        fn new() -> Self {
            let mut board = Board::new(Config {
                failover: Some(Failover::new(Duration::from_millis(100))),
                keys: Some(keys(1)),
                ..Config::default()
            });
            let network = Network {
                address: BOARD,
                broadcast: Ipv4Addr::new(10, 0, 0, 255),
            };
            board.handle_network(Instant::ZERO, Some(network));
            Self {
                now: Instant::ZERO,
                board,
                verifier: Verifier::new(&keys(2), 2000),
                onlooker: Onlooker::new(),
                said: Vec::new(),
                events: Vec::new(),
            }
        }

        fn ask(&mut self, question: &Datagram) {
            let from = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 9), 40_000);
            self.board
                .handle_datagram(self.now, from, question, &mut Seeded::new(3));
        }

        /// The onlooker hears this; its question goes to the board.
        fn hear(&mut self, bytes: &[u8]) -> Option<Event> {
            let from = SocketAddrV4::new(BOARD, 2000);
            let (event, question) =
                self.verifier
                    .handle_datagram(&mut self.onlooker, self.now, from, bytes);
            if let Some(question) = question {
                self.ask(&question);
            }
            self.events.extend(event.clone());
            event
        }

        fn run(&mut self, millis: u64) {
            for _ in 0..millis {
                self.now += Duration::from_millis(1);
                self.board.handle_wakeup(self.now);
                if self.board.poll_timeout().is_some_and(|due| due <= self.now) {
                    self.board
                        .handle_timeout(self.now, &mut Seeded::new(self.now.micros()));
                }
                while let Some(transmit) = self.board.poll_transmit() {
                    self.said.push(transmit.bytes);
                    self.hear(&transmit.bytes);
                }
            }
        }

        fn masters(&self) -> usize {
            let is_master = |event: &&Event| matches!(event, Event::Master { .. });
            self.events.iter().filter(is_master).count()
        }
    }

    #[test]
    fn a_board_that_proves_its_key_is_believed_and_named() {
        let mut scene = Scene::new();
        scene.run(3_000);
        assert_eq!(scene.masters(), 1, "{:?}", scene.events);
        let question = scene.verifier.question(scene.now, false);
        scene.ask(&question);
        scene.run(50);
        let names: Vec<_> = scene
            .onlooker
            .boards()
            .map(|(row, _)| row.name.clone())
            .collect();
        assert_eq!(names, [Some(b"board".to_vec())]);
    }

    #[test]
    fn what_is_forged_or_recorded_is_not_shown() {
        let mut scene = Scene::new();
        scene.run(3_000);
        scene.board.handle_resign(scene.now);
        scene.run(3_000);
        assert!(scene.events.contains(&Event::Resigned(BOARD)));
        assert_eq!(scene.masters(), 2, "it is master again");
        for recorded in scene.said.clone() {
            if recorded.starts_with(b"- ") || recorded.starts_with(b"! ") {
                assert_eq!(scene.hear(&recorded), None, "heard before");
            }
        }
        let rank = Rank {
            vote: 10,
            address: BOARD,
        };
        let trailer = Trailer {
            flags: 0,
            epoch: Epoch(99),
            word: 9_999,
            about: None,
        };
        for text in [
            Text::Claim(rank),
            Text::Vote(rank),
            Text::Resign(BOARD),
            Text::Call,
        ] {
            let unsigned = wire::build(text, true);
            assert_eq!(scene.hear(&unsigned), None);
            let forged = wire::build_with_trailer(text, trailer, wire::checksum);
            assert_eq!(scene.hear(&forged), None);
        }
        for number in 0..100 {
            let name = format!("Eve on board 10.0.1.{number} is the master");
            assert_eq!(scene.hear(name.as_bytes()), None);
        }
        assert_eq!(scene.verifier.names.len(), NAMES_MAX);
        assert_eq!(scene.onlooker.boards().count(), 1);
    }
}
