//! relay: messages stored and forwarded between clients of a line of servers.
//!
//! One room, read in this order: [`wire`] (bytes), [`table`] (the line of
//! servers), [`clients`] (who is where), [`seen`] (what arrived before),
//! [`post`] (the mailboxes), [`spool`] (mail that survives a restart),
//! [`server`] and [`client`] (the two roles as services). The rules and the
//! wire are told in `docs/relay.md`.

pub mod client;
pub mod clients;
pub mod post;
pub mod seen;
pub mod server;
pub mod spool;
pub mod status;
pub mod table;
pub mod wire;

#[cfg(test)]
mod old_tests;
#[cfg(test)]
mod simulation_tests;
