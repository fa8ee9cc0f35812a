//! sequence: which client sent which number, and what got lost.

pub mod client;
pub mod server;
pub mod tally;
pub mod wire;
