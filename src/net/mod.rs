//! The only sockets, clocks, files and signals, and the one poll loop.
//!
//! [`reactor`] is the loop; [`host`] drives the services by it.

pub mod clock;
pub mod entropy;
pub mod filter;
pub mod host;
pub mod interfaces;
pub mod log;
pub mod netlink;
pub mod output;
pub mod reactor;
pub mod signals;
pub mod sys;
pub mod tcp;
pub mod udp;
