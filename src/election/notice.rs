//! What a board tells its surroundings: changes of role, for the log and the
//! hook, and things that someone should look into.

use super::config::Role;
use super::lease::Quorum;
use super::rank::{Epoch, Rank};
use crate::time::{Duration, Instant};
use core::fmt;
use core::net::Ipv4Addr;

/// Why a board changed its role or its master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A round ended, this board's rank or another's being the highest (R5).
    Settled,
    /// A higher vote came after the round (R5).
    HigherVote(Ipv4Addr),
    /// Another master's claim (F3).
    Claim(Ipv4Addr),
    /// The master took its leave (F4).
    Resigned(Ipv4Addr),
    /// The master's port was closed: its process is dead (F2).
    Refused(Ipv4Addr),
    /// The master fell silent (F2).
    Silent(Ipv4Addr),
    /// An old program answered as master, and answered again (R9, F6).
    OldMaster(Ipv4Addr),
    /// This board was asked to hand over (F4).
    HandOver,
    /// This board was paused for so long (F5).
    Paused(Duration),
    /// This board's address changed or is gone (R7).
    Address,
    /// The majority's grants ran out or could not be had (quorum).
    Lease,
}

impl Cause {
    /// Whether it is the end of a master: dead, silent, or resigned.
    pub fn is_end_of_master(&self) -> bool {
        matches!(
            self,
            Cause::Resigned(_) | Cause::Refused(_) | Cause::Silent(_)
        )
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Settled => f.write_str("the votes are in"),
            Cause::HigherVote(from) => write!(f, "a higher vote came from {from}"),
            Cause::Claim(from) => write!(f, "{from} claims to be master"),
            Cause::Resigned(from) => write!(f, "{from} resigned"),
            Cause::Refused(from) => write!(f, "the process on {from} is dead"),
            Cause::Silent(from) => write!(f, "{from} fell silent"),
            Cause::OldMaster(from) => write!(f, "{from} answers as master"),
            Cause::HandOver => f.write_str("asked to hand over"),
            Cause::Paused(span) => write!(f, "this process stood still for {span}"),
            Cause::Address => f.write_str("the own address changed"),
            Cause::Lease => f.write_str("no majority grants the lease"),
        }
    }
}

/// A change of role or of master, as the history keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: Instant,
    /// What this board is from then on.
    pub role: Role,
    /// The round.
    pub epoch: Epoch,
    /// This board's own rank in that round, if it voted.
    pub own: Option<Rank>,
    /// The master as far as this board knows.
    pub master: Option<Rank>,
    /// Why.
    pub cause: Cause,
}

/// What a board has to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The role changed: the hook hears `master` or `slave`.
    Became(Change),
    /// Two masters met and this board stayed: the hook hears `won` (F3).
    Won(Change),
    /// This board won again: master before, and master in this round too.
    Stays(Change),
    /// This board stays slave and has another master than before.
    Follows(Change),
    /// Another host uses this board's address.
    Conflict(Ipv4Addr),
    /// A vote or claim names an address that is not its datagram's source.
    Mismatch {
        /// The address in the text.
        claimed: Ipv4Addr,
        /// The address that sent it.
        source: Ipv4Addr,
    },
    /// This board won, but no majority grants it the lease.
    NoMajority {
        /// How many do, this board among them.
        granted: usize,
        /// Of how many.
        quorum: Quorum,
    },
    /// A board with another `--quorum` or `--interval` grants: that cannot count.
    QuorumDiffers(Ipv4Addr),
    /// This process stood still, or its loop was held up, for so long (F5).
    StoodStill(Duration),
    /// A board without a key votes or claims; told once.
    Unkeyed(Ipv4Addr),
    /// There is an address now.
    AddressFound(Ipv4Addr),
    /// There is no address any more.
    AddressLost,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Became(change) => {
                write!(
                    f,
                    "{} in round {}: {}",
                    change.role, change.epoch, change.cause
                )?;
                follow(f, change)
            }
            Notice::Won(change) => write!(
                f,
                "still master in round {}: {}, and yields",
                change.epoch, change.cause
            ),
            Notice::Stays(change) => write!(
                f,
                "master again in round {}: {}",
                change.epoch, change.cause
            ),
            Notice::Follows(change) => {
                write!(f, "round {}: {}", change.epoch, change.cause)?;
                follow(f, change)
            }
            Notice::Conflict(source) => write!(
                f,
                "address conflict: {source} speaks as this board's own address; give one of \
                 them another"
            ),
            Notice::Mismatch { claimed, source } => write!(f, "{source} speaks for {claimed}"),
            Notice::NoMajority { granted, quorum } => write!(
                f,
                "no master: of {} boards only {granted} grant the lease, and it takes {}",
                quorum.boards,
                quorum.majority()
            ),
            Notice::QuorumDiffers(source) => write!(
                f,
                "{source} has another --quorum or --interval; give all boards the same"
            ),
            Notice::StoodStill(span) => write!(
                f,
                "this process stood still for {}: it listens before it speaks",
                Duration::from_millis(span.micros() / 1_000)
            ),
            Notice::Unkeyed(source) => write!(
                f,
                "{source} has no key and is not believed; it may become a second master: give \
                 all boards the same --key-file"
            ),
            Notice::AddressFound(address) => write!(f, "this board is {address}"),
            Notice::AddressLost => f.write_str("no address; waiting for one"),
        }
    }
}

/// Names the master, where it is another board.
fn follow(f: &mut fmt::Formatter<'_>, change: &Change) -> fmt::Result {
    match (change.role, change.master) {
        (Role::Slave, Some(master)) => write!(f, "; the master is {master}"),
        (Role::Slave, None) => f.write_str("; no master"),
        (Role::Master, _) => change
            .own
            .map_or(Ok(()), |own| write!(f, "; vote {}", own.vote)),
    }
}
