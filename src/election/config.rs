//! What a board is told at its start, and what it is told of its network.

use super::seal::Keys;
use crate::time::Duration;
use core::fmt;
use core::net::Ipv4Addr;

/// How a board behaves. Fixed for its life.
#[derive(Clone, Debug)]
pub struct Config {
    /// The board's name in answers. What does not fit is cut.
    pub name: String,
    /// The UDP port of the election.
    pub port: u16,
    /// Drop votes and claims whose address is not their datagram's source.
    pub strict: bool,
    /// Where answers go.
    pub answer: Answer,
    /// The master claims, and is replaced when it falls silent (F1–F6).
    pub failover: Option<Failover>,
    /// The number of all boards, if a majority of them has to grant the
    /// mastership (Q1–Q5). Needs failover.
    pub quorum: Option<u16>,
    /// A program hears of each change. With a quorum it is given time to let
    /// go of the office before another board can be master (Q6).
    pub has_hook: bool,
    /// The keys, if messages are to be signed (K1–K6).
    pub keys: Option<Keys>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: String::from("board"),
            port: 2000,
            strict: false,
            answer: Answer::Unicast,
            failover: None,
            quorum: None,
            has_hook: false,
            keys: None,
        }
    }
}

/// Where a master sends its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To the asker.
    Unicast,
    /// To the broadcast address at the asker's port, for old clients whose
    /// listener is bound there.
    Broadcast,
}

/// The times of failover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failover {
    /// The master claims this often (F1).
    pub interval: Duration,
    /// A silent master is asked for at least this long before the verdict (F2).
    pub patience: Duration,
}

impl Failover {
    /// The shortest interval that may be asked for.
    pub const INTERVAL_MIN: Duration = Duration::from_millis(10);
    /// The longest.
    pub const INTERVAL_MAX: Duration = Duration::from_secs(60);

    /// Failover at this interval, with the default patience: half an interval,
    /// and at least 50 ms.
    pub fn new(interval: Duration) -> Self {
        Self {
            interval,
            patience: (interval / 2).max(Duration::from_millis(50)),
        }
    }

    /// How long after a claim the next one is missed: 1.2 intervals.
    pub fn grace(&self) -> Duration {
        self.interval + self.interval / 5
    }
}

/// Where a board stands: its address and the broadcast address of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The board's own address.
    pub address: Ipv4Addr,
    /// The directed broadcast address of its interface.
    pub broadcast: Ipv4Addr,
}

/// What a board is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It answers nobody. Every board begins so (R1).
    Slave,
    /// It answers WHOIS.
    Master,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Slave => "slave",
            Role::Master => "master",
        })
    }
}
