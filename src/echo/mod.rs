//! echo, the first link test: is this text alphanumeric?

pub mod client;
pub mod server;
pub mod wire;
