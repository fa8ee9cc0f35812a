//! relay: messages stored and forwarded between clients of a line of servers.
