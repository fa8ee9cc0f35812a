//! The only sockets, clocks, files and signals, and the one poll loop.
//!
//! [`reactor`] is the loop; [`host`] drives the services by it, [`board`] the
//! election.

mod aside;
pub mod board;
pub mod child;
pub mod clock;
pub mod control;
pub mod entropy;
pub mod files;
pub mod filter;
pub mod guardian;
pub mod hook;
pub mod host;
pub mod interfaces;
pub mod keyfile;
pub mod log;
pub mod netlink;
pub mod output;
pub mod pidfile;
pub mod reactor;
pub mod record;
pub mod signals;
#[cfg(test)]
mod soon;
pub mod sys;
pub mod tcp;
pub mod terminal;
pub mod udp;
