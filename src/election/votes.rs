//! The votes of one round, by address, bounded (R8): of a full table the
//! lowest rank goes first, since it cannot win.

use super::rank::Rank;
use crate::time::Instant;
use core::net::Ipv4Addr;

/// Votes kept of one round.
pub const VOTES_MAX: usize = 1_024;

/// A vote as it was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ballot {
    /// Who voted, and what.
    pub rank: Rank,
    /// From an old program: no valid trailer.
    pub old: bool,
    /// From a board's first round since its start, and said in its first 100 ms.
    pub fresh: bool,
    /// When it was heard.
    pub heard: Instant,
}

impl Ballot {
    /// Whether it was heard before the round that began at `begun`: it counts in
    /// that, but its board may have another to say (R2, R5).
    pub fn is_early(&self, begun: Option<Instant>) -> bool {
        self.fresh && begun.is_some_and(|begun| self.heard < begun)
    }
}

/// What became of a vote put into the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The first of its address.
    First,
    /// In place of that address's earlier one.
    Replaced,
    /// The table is full of higher ones.
    Refused,
    /// The first of its address; the lowest was forgotten for it.
    Displaced,
}

/// The votes heard in a round, in the order of their addresses.
#[derive(Clone, Debug, Default)]
pub struct Votes {
    ballots: Vec<Ballot>,
    /// The lowest rank of a full table; none while there is room.
    lowest: Option<Rank>,
}

impl Votes {
    /// Forgets all votes; the memory stays for the next round.
    pub fn clear(&mut self) {
        self.ballots.clear();
        self.lowest = None;
    }

    /// Keeps only the votes that `keep` accepts.
    pub fn retain(&mut self, keep: impl FnMut(&Ballot) -> bool) {
        self.ballots.retain(keep);
        self.lowest = None;
    }

    /// Puts a vote in; the last one of an address stands.
    pub fn insert(&mut self, ballot: Ballot) -> Counted {
        let place = match self.place(ballot.rank.address) {
            Ok(at) => {
                if let Some(standing) = self.ballots.get_mut(at) {
                    *standing = ballot;
                }
                self.lowest = None;
                return Counted::Replaced;
            }
            Err(place) => place,
        };
        if self.ballots.len() < VOTES_MAX {
            self.ballots.insert(place, ballot);
            return Counted::First;
        }
        if ballot.rank < self.find_lowest() {
            return Counted::Refused;
        }
        let lowest = self.find_lowest().address;
        if let Ok(at) = self.place(lowest) {
            self.ballots.remove(at);
        }
        self.lowest = None;
        if let Err(place) = self.place(ballot.rank.address) {
            self.ballots.insert(place, ballot);
        }
        Counted::Displaced
    }

    /// The standing vote of `address`.
    pub fn of(&self, address: Ipv4Addr) -> Option<&Ballot> {
        self.place(address).ok().and_then(|at| self.ballots.get(at))
    }

    /// The highest rank.
    pub fn highest(&self) -> Option<&Ballot> {
        self.ballots.iter().max_by_key(|ballot| ballot.rank)
    }

    /// All votes, in the order of their addresses.
    pub fn iter(&self) -> impl Iterator<Item = &Ballot> {
        self.ballots.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ballots.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ballots.is_empty()
    }

    fn place(&self, address: Ipv4Addr) -> Result<usize, usize> {
        self.ballots
            .binary_search_by_key(&u32::from(address), |ballot| ballot.rank.address.into())
    }

    fn find_lowest(&mut self) -> Rank {
        let ballots = &self.ballots;
        *self.lowest.get_or_insert_with(|| {
            let nobody = Rank {
                vote: 0,
                address: Ipv4Addr::UNSPECIFIED,
            };
            ballots
                .iter()
                .map(|ballot| ballot.rank)
                .min()
                .unwrap_or(nobody)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ballot(vote: u8, address: u32) -> Ballot {
        let rank = Rank {
            vote,
            address: Ipv4Addr::from(address),
        };
        Ballot {
            rank,
            old: false,
            fresh: false,
            heard: Instant::ZERO,
        }
    }

    #[test]
    fn the_last_vote_of_an_address_stands() {
        let mut votes = Votes::default();
        assert_eq!(votes.insert(ballot(9, 7)), Counted::First);
        assert_eq!(votes.insert(ballot(2, 7)), Counted::Replaced);
        assert_eq!(votes.highest().unwrap().rank.vote, 2);
        assert_eq!(votes.len(), 1);
    }

    #[test]
    fn of_a_full_table_the_lowest_goes_first() {
        let mut votes = Votes::default();
        for address in 0..VOTES_MAX as u32 {
            votes.insert(ballot(5, address + 100));
        }
        assert_eq!(votes.insert(ballot(4, 1)), Counted::Refused);
        assert_eq!(votes.insert(ballot(5, 1)), Counted::Refused);
        assert_eq!(votes.insert(ballot(6, 1)), Counted::Displaced);
        assert!(votes.of(Ipv4Addr::from(100)).is_none());
        assert_eq!(votes.insert(ballot(7, 2)), Counted::Displaced);
        assert!(votes.of(Ipv4Addr::from(101)).is_none());
        assert_eq!(votes.len(), VOTES_MAX);
        assert_eq!(votes.highest().unwrap().rank.vote, 7);
        assert!(votes.iter().is_sorted_by_key(|ballot| ballot.rank.address));
    }
}
