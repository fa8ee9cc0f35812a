//! Who wins: one total order (docs/protocol.md, R5).

use core::fmt;
use core::net::Ipv4Addr;

/// A vote with the board that cast it. The higher rank is master: the vote
/// decides, and among equal votes the address as an unsigned 32-bit number
/// (10.0.0.10 is above 10.0.0.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank {
    /// From 1 to 10; an old program's 0 never gets here. First, so that the
    /// derived order is the rule's order.
    pub vote: u8,
    /// The address that the vote claims; `Ipv4Addr` compares byte by byte from
    /// the left, which is the order of the 32-bit number.
    pub address: Ipv4Addr,
}

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with vote {}", self.address, self.vote)
    }
}

/// A round's number. Compared by serial-number arithmetic (RFC 1982), so that
/// it may wrap; 0 is "no round yet" and is never given to a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Epoch(pub u32);

impl Epoch {
    /// Before the first round.
    pub const NONE: Self = Self(0);

    /// The next round's number.
    #[must_use]
    pub const fn next(self) -> Self {
        match self.0.wrapping_add(1) {
            0 => Self(1),
            number => Self(number),
        }
    }

    /// Whether this round comes after `other`. Every round comes after
    /// [`Epoch::NONE`]; of two that lie exactly 2³¹ apart neither does.
    pub const fn is_after(self, other: Self) -> bool {
        match (self.0, other.0) {
            (0, _) => false,
            (_, 0) => true,
            (a, b) => {
                let ahead = a.wrapping_sub(b);
                ahead != 0 && ahead < 1 << 31
            }
        }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(vote: u8, address: [u8; 4]) -> Rank {
        Rank {
            vote,
            address: address.into(),
        }
    }

    #[test]
    fn of_two_epochs_half_of_all_apart_neither_comes_after_the_other() {
        for (first, ahead, after) in [(7, 1 << 31, false), (7, (1 << 31) - 1, true)] {
            let (one, other) = (Epoch(first), Epoch(first.wrapping_add(ahead)));
            assert_eq!(other.is_after(one), after);
            assert!(!one.is_after(other));
        }
    }

    #[test]
    fn the_vote_decides_then_the_address_as_a_number() {
        let ascending = [
            rank(1, [255, 255, 255, 254]),
            rank(9, [10, 0, 0, 200]),
            rank(10, [9, 255, 255, 255]),
            rank(10, [10, 0, 0, 9]),
            rank(10, [10, 0, 0, 10]),
            rank(10, [10, 0, 1, 0]),
        ];
        for (i, low) in ascending.iter().enumerate() {
            for high in &ascending[i + 1..] {
                assert_eq!(low.cmp(high), core::cmp::Ordering::Less, "{low} {high}");
                assert_eq!(high.cmp(low), core::cmp::Ordering::Greater, "{high} {low}");
            }
        }
    }

    #[test]
    fn epochs_wrap_and_skip_zero() {
        assert_eq!(Epoch(u32::MAX).next(), Epoch(1));
        assert!(Epoch(1).is_after(Epoch(u32::MAX)));
        assert!(!Epoch(u32::MAX).is_after(Epoch(1)));
        assert!(Epoch(5).is_after(Epoch::NONE));
        assert!(Epoch(1 << 31).is_after(Epoch::NONE));
        assert!(Epoch(u32::MAX).is_after(Epoch::NONE));
        assert!(!Epoch::NONE.is_after(Epoch(u32::MAX)));
        assert!(!Epoch(7).is_after(Epoch(7)));
    }
}
