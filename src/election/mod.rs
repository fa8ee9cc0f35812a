//! The election: which board is master, and who says so.
//!
//! [`Board`] is the whole machine: datagrams, time and random numbers in,
//! datagrams and notices out. Its rules carry the numbers of
//! `docs/protocol.md` and live in one place each:
//!
//! | rules | file |
//! |---|---|
//! | messages, trailer | [`wire`] |
//! | rank and epoch | [`rank`] |
//! | R1, R7: what a board is, what happens to it | [`board`] |
//! | R2–R5: a round from VOTE to its decision | `round.rs` |
//! | R6, R9: answers, and mending what was lost | `answer.rs`, `repair.rs` |
//! | R8: bounds | [`limits`], [`votes`], [`peers`], [`outbox`] |
//! | F1, F3, F4: claims and leave | `claim.rs` |
//! | F2, F6: is the master alive? | `watch.rs` |
//! | F5: after a pause | `pause.rs` |
//! | Q1–Q6: the lease of a majority | [`lease`], `quorum.rs` |
//! | K1–K6: the key, and whom to believe | [`key`], [`replay`], [`seal`], [`proof`], [`verifier`] |

mod answer;
pub mod board;
mod claim;
pub mod client;
pub mod config;
pub mod counters;
pub mod key;
pub mod lease;
pub mod limits;
pub mod notice;
pub mod onlooker;
pub mod outbox;
mod pause;
pub mod peers;
pub mod proof;
mod quorum;
pub mod rank;
mod repair;
pub mod replay;
mod round;
pub mod seal;
mod send;
pub mod timers;
pub mod verifier;
pub mod votes;
mod watch;
pub mod wire;

pub use board::Board;
pub use config::{Answer, Config, Failover, Network, Role};
pub use counters::{Count, Counters};
pub use notice::{Cause, Change, Notice};
pub use outbox::Transmit;
pub use quorum::LeaseStatus;
pub use rank::{Epoch, Rank};
pub use seal::Keys;
