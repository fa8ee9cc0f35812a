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
