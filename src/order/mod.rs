//! order: which of the contestants' messages came first.

pub mod client;
pub mod contestant;
pub mod round;
pub mod server;
pub mod wire;
