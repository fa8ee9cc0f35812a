//! boardroom: small Linux boards on a LAN elect a master, name it to anyone
//! who asks, take over from a dead one, and carry four socket services that
//! meet at the master.
//!
//! # The map
//!
//! Three layers, each a wall:
//!
//! - **wire**: bytes to values and back, nothing else. One `wire.rs` a system.
//! - **core**: pure state machines. Time, bytes and random numbers come in as
//!   parameters, actions come out. A core never reads a clock, draws from the
//!   operating system or touches a socket; `tests/walls.rs` proves it.
//! - **net**: the only sockets, clocks, files and signals, and the one poll
//!   loop that drives any core.
//!
//! Five systems have the same shape, a folder each with its wire and its
//! core: [`election`] (the heart), [`matching`], [`echo`], [`sequence`],
//! [`relay`] and [`order`]. The four services speak [`service`]'s vocabulary
//! of events and actions. [`commands`] holds one file a command: its help
//! text, its options, and how core and net are put together.
//!
//! Nothing that came from outside (network, kernel, command line) may make
//! this program panic: no `unwrap`, `expect` or indexing there.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod commands;
pub mod election;
pub mod json;
pub mod judge;
pub mod net;
pub mod outcome;
pub mod rng;
pub mod service;
pub mod table;
pub mod text;
pub mod time;

pub mod echo;
pub mod matching;
pub mod order;
pub mod relay;
pub mod sequence;

#[cfg(test)]
mod script;
