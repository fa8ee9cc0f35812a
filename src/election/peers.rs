//! The boards heard so far, and which of them are *known*: heard in any of the
//! last three rounds, and not gone.

use crate::time::Instant;
use core::net::Ipv4Addr;

/// Boards remembered. When it is full the one heard longest ago goes first.
pub const PEERS_MAX: usize = 1_024;

/// For how many rounds a silent board is waited for.
const ROUNDS_KNOWN: u32 = 3;

/// A board heard at least once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its last message carried no valid trailer.
    pub old: bool,
    /// Its process is dead or has left: nobody waits for its vote.
    pub gone: bool,
    /// When it was first heard. A stranger of this very round is no reason to
    /// believe that all boards have voted.
    pub first: Instant,
    /// The round, counted on this board, in which it was last heard.
    round: u32,
}

/// The boards heard so far, in the order of their addresses.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    peers: Vec<Peer>,
    /// No peer was last heard before this round: of invented ones, who all come
    /// in one round, each would else be looked at for each that comes.
    oldest: u32,
}

impl Peers {
    /// Notes that a board was heard in `round`.
    pub fn heard(&mut self, now: Instant, address: Ipv4Addr, old: bool, round: u32) {
        let peer = Peer {
            address,
            old,
            gone: false,
            first: now,
            round,
        };
        match self.place(address) {
            Ok(at) => {
                if let Some(known) = self.peers.get_mut(at) {
                    *known = Peer {
                        first: known.first,
                        ..peer
                    };
                }
            }
            Err(_) => {
                if self.peers.len() >= PEERS_MAX {
                    self.forget_one(round);
                }
                if let Err(place) = self.place(address) {
                    self.peers.insert(place, peer);
                }
            }
        }
    }

    /// Notes that a board is dead or has left.
    pub fn mark_gone(&mut self, address: Ipv4Addr) {
        if let Some(peer) = self
            .place(address)
            .ok()
            .and_then(|at| self.peers.get_mut(at))
        {
            peer.gone = true;
        }
    }

    /// The board at `address`, if it was ever heard.
    pub fn of(&self, address: Ipv4Addr) -> Option<&Peer> {
        self.place(address).ok().and_then(|at| self.peers.get(at))
    }

    /// The boards whose votes are waited for in `round`.
    pub fn known(&self, round: u32) -> impl Iterator<Item = &Peer> {
        self.peers
            .iter()
            .filter(move |peer| !peer.gone && round.wrapping_sub(peer.round) <= ROUNDS_KNOWN)
    }

    /// Every board ever heard.
    pub fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter()
    }

    fn place(&self, address: Ipv4Addr) -> Result<usize, usize> {
        self.peers
            .binary_search_by_key(&u32::from(address), |peer| peer.address.into())
    }

    /// Forgets the peer heard longest ago; of several the one of the highest
    /// address.
    fn forget_one(&mut self, round: u32) {
        let of_oldest =
            |peers: &[Peer], oldest| peers.iter().rposition(|peer| peer.round == oldest);
        let at = of_oldest(&self.peers, self.oldest).or_else(|| {
            let ages = self.peers.iter().map(|peer| round.wrapping_sub(peer.round));
            self.oldest = round.wrapping_sub(ages.max()?);
            of_oldest(&self.peers, self.oldest)
        });
        if let Some(at) = at {
            self.peers.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u32) -> Ipv4Addr {
        Ipv4Addr::from(0x0a00_0000 + last)
    }

    #[test]
    fn a_board_is_known_for_three_rounds() {
        let mut peers = Peers::default();
        peers.heard(Instant::ZERO, ip(1), false, 5);
        assert_eq!(peers.known(8).count(), 1);
        assert_eq!(peers.known(9).count(), 0);
        peers.heard(Instant::ZERO, ip(1), true, 9);
        peers.mark_gone(ip(1));
        assert_eq!(peers.known(9).count(), 0);
        peers.heard(Instant::ZERO, ip(1), true, 9);
        assert!(peers.known(9).all(|peer| peer.old));
        assert_eq!(peers.known(9).count(), 1);
    }

    #[test]
    fn of_a_full_table_the_one_heard_longest_ago_goes() {
        let mut peers = Peers::default();
        for n in 0..PEERS_MAX as u32 {
            peers.heard(Instant::ZERO, ip(n), false, if n == 700 { 1 } else { 2 });
        }
        peers.heard(Instant::ZERO, ip(5_000), false, 3);
        assert_eq!(peers.iter().count(), PEERS_MAX);
        assert!(peers.of(ip(700)).is_none() && peers.of(ip(5_000)).is_some());
    }

    #[test]
    fn of_several_heard_equally_long_ago_the_highest_address_goes() {
        let mut peers = Peers::default();
        for n in 0..PEERS_MAX as u32 {
            peers.heard(Instant::ZERO, ip(n), false, if n < 2 { 4 } else { 6 });
        }
        for (newcomer, round, gone) in [(2_000, 6, 1), (3_000, 7, 0), (1_500, 7, 2_000)] {
            peers.heard(Instant::ZERO, ip(newcomer), false, round);
            assert!(peers.of(ip(newcomer)).is_some() && peers.of(ip(gone)).is_none());
            assert_eq!(peers.iter().count(), PEERS_MAX);
        }
    }
}
