//! What runs on a host: the shipped board, an old program, or the plain rule
//! that ours is measured against.

use crate::naive::Naive;
use crate::old::Old;
use crate::packet::Packet;
use boardroom::election::{Board, Network, Notice, Rank};
use boardroom::rng::Entropy;
use boardroom::time::Instant;
use core::net::SocketAddrV4;

/// A process that listens on the election's port.
pub enum Program {
    /// The shipped core.
    Board(Box<Board>),
    /// Somebody's old program.
    Old(Box<Old>),
    /// The rule of three missed claims.
    Naive(Naive),
}

impl Program {
    /// The shipped core, if it is one.
    pub fn board(&self) -> Option<&Board> {
        match self {
            Self::Board(board) => Some(board),
            Self::Old(_) | Self::Naive(_) => None,
        }
    }

    /// Its rank, while it believes to be the master.
    pub fn office(&self) -> Option<Rank> {
        match self {
            Self::Board(board) => {
                let network = board.network().filter(|_| board.in_office())?;
                Some(Rank {
                    vote: board.vote()?,
                    address: network.address,
                })
            }
            Self::Old(old) => old.office(),
            Self::Naive(naive) => naive.office(),
        }
    }

    /// The loop has woken up.
    pub fn wakeup(&mut self, now: Instant) {
        if let Self::Board(board) = self {
            board.handle_wakeup(now);
        }
    }

    /// The host's address is found, changed or lost.
    pub fn network(&mut self, now: Instant, network: Option<Network>) {
        if let Self::Board(board) = self {
            board.handle_network(now, network);
        }
    }

    /// A datagram has come.
    pub fn datagram(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        bytes: &[u8],
        rng: &mut dyn Entropy,
    ) {
        match self {
            Self::Board(board) => board.handle_datagram(now, from, bytes, rng),
            Self::Old(old) => old.datagram(now.micros() / 1_000_000, from, bytes, rng),
            Self::Naive(naive) => naive.datagram(now, bytes),
        }
    }

    /// A datagram that it sent to `to` was refused.
    pub fn refused(&mut self, now: Instant, to: SocketAddrV4, rng: &mut dyn Entropy) {
        if let Self::Board(board) = self {
            board.handle_refused(now, to, rng);
        }
    }

    /// Its deadline has come, and the input is drained.
    pub fn handle_timeout(&mut self, now: Instant, rng: &mut dyn Entropy) {
        match self {
            Self::Board(board) => board.handle_timeout(now, rng),
            Self::Naive(naive) => naive.handle_timeout(now),
            Self::Old(_) => {}
        }
    }

    /// What it has to tell next.
    pub fn notice(&mut self) -> Option<Notice> {
        match self {
            Self::Board(board) => board.poll_notice(),
            Self::Old(_) | Self::Naive(_) => None,
        }
    }

    /// Its deadline.
    pub fn timeout(&self) -> Option<Instant> {
        match self {
            Self::Board(board) => board.poll_timeout(),
            Self::Naive(naive) => Some(naive.timeout()),
            Self::Old(_) => None,
        }
    }

    /// What it wants to send next, from its socket `from`.
    pub fn transmit(&mut self, from: SocketAddrV4) -> Option<Packet> {
        match self {
            Self::Board(board) => {
                let transmit = board.poll_transmit()?;
                Some(Packet::new(from, transmit.to, &transmit.bytes))
            }
            Self::Old(old) => old.transmit(),
            Self::Naive(naive) => {
                let (to, bytes) = naive.transmit()?;
                Some(Packet::new(from, to, &bytes))
            }
        }
    }
}
