//! The election: which board is master, and who says so.

pub mod client;
pub mod rank;
pub mod wire;
