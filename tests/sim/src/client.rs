//! The clients: programs on one further host that send VOTE and WHOIS and
//! remember what came back. Each question has a port of its own.

use crate::packet::Packet;
use crate::queue::Micros;
use boardroom::election::client::Question;
use boardroom::election::wire::{self, Text};
use core::net::{Ipv4Addr, SocketAddrV4};

/// The first port of a question.
pub const FIRST_PORT: u16 = 40_000;

/// What clients have asked and heard.
pub struct Clients {
    /// Their host's address.
    pub address: Ipv4Addr,
    /// When each question was asked.
    pub asked: Vec<Micros>,
    /// What came: when, and the datagram.
    pub heard: Vec<(Micros, Packet)>,
    /// Who is about to call an election with the key, on the election's port,
    /// and has not met a board yet (K5).
    pub caller: Option<Question>,
}

impl Clients {
    /// Clients on a host at `address`.
    pub const fn new(address: Ipv4Addr) -> Self {
        Self {
            address,
            asked: Vec::new(),
            heard: Vec::new(),
            caller: None,
        }
    }

    /// A socket for a new question.
    pub fn ask(&mut self, at: Micros) -> SocketAddrV4 {
        let port = FIRST_PORT + self.asked.len() as u16;
        self.asked.push(at);
        SocketAddrV4::new(self.address, port)
    }

    /// Whether a client listens on `port`.
    pub fn listens(&self, port: u16) -> bool {
        (FIRST_PORT..FIRST_PORT + self.asked.len() as u16).contains(&port)
    }

    /// The masters named in answer to the question asked from `socket`.
    pub fn answers(&self, socket: SocketAddrV4) -> impl Iterator<Item = Ipv4Addr> {
        self.heard
            .iter()
            .filter(move |(_, packet)| packet.to.port() == socket.port())
            .filter_map(|(_, packet)| match wire::parse(packet.bytes()) {
                Ok(Text::Answer { address, .. }) => Some(address),
                _ => None,
            })
    }
}
