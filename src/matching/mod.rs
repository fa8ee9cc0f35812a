//! match: a tracker that finds the servers which hold a number.
//!
//! ```text
//! client ──HI, SRCH n──► tracker ──SRCH n──► every server
//! client ◄──RSLT names── tracker ◄──MTCH──── those that hold n
//! ```
//!
//! [`wire`] is the bytes. [`tracker`], [`server`] and [`client`] are the three
//! roles, each a [`crate::service::Service`]. The tracker's reasoning lives
//! apart from its peers: [`holder`] is what is known of one server, [`search`]
//! is which search may run when. [`link`] is how servers and clients come to
//! the tracker, and back to it.

pub mod client;
pub mod counters;
pub mod holder;
pub mod link;
pub mod search;
pub mod server;
pub mod tracker;
pub mod wire;

use crate::time::Duration;

/// The port of the tracker.
pub const PORT: u16 = 8080;

/// How many times a client asks, unless told.
pub const ROUNDS: u32 = 5;

/// How long a server may take to answer a search.
pub const ANSWER_TIME: Duration = Duration::from_secs(2);

#[cfg(test)]
mod lab;
#[cfg(test)]
mod script;

#[cfg(test)]
#[path = "exercise_tests.rs"]
mod exercise_tests;
