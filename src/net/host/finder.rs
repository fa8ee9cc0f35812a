//! A service's question for the master: WHOIS by broadcast, the first answer
//! wins.

use crate::election::wire::{self, Text};
use crate::net::interfaces;
use crate::net::udp::{Shared, Udp};
use crate::time::{Duration, Instant};
use core::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, RawFd};

/// Whom [`crate::service::Action::FindMaster`] asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterQuestion {
    /// The interface whose network is asked; none: every network but loopback.
    pub interface: Option<String>,
    /// The election's port.
    pub port: u16,
}

/// A question on its way.
#[derive(Debug)]
pub(super) struct Finder {
    socket: Udp,
    question: MasterQuestion,
    asked: u32,
    next: Instant,
}

impl Finder {
    /// Asks. `None` when no socket can be had.
    pub(super) fn ask(question: &MasterQuestion, now: Instant) -> Option<Self> {
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let mut finder = Self {
            socket: Udp::bind(any, Shared(false)).ok()?,
            question: question.clone(),
            asked: 0,
            next: now,
        };
        finder.ask_again(now);
        Some(finder)
    }

    /// The master's address, if the datagram that waits tells it.
    pub(super) fn receive(&mut self) -> Option<Ipv4Addr> {
        let mut buffer = [0; 64];
        let (len, _) = self.socket.receive(&mut buffer).ok()??;
        match wire::parse(buffer.get(..len)?) {
            Ok(Text::Answer { address, .. }) => Some(address),
            _ => None,
        }
    }

    /// When to ask again, or to give up.
    pub(super) const fn deadline(&self) -> Instant {
        self.next
    }

    /// Asks once more; false when that was the last time. A lost question
    /// costs a part of the time, not the answer.
    pub(super) fn ask_again(&mut self, now: Instant) -> bool {
        if self.asked == ASKED_MAX {
            return false;
        }
        self.asked += 1;
        self.next = now + BETWEEN;
        let datagram = wire::build(Text::Whois, true);
        for broadcast in interfaces::broadcasts(self.question.interface.as_deref()) {
            let to = SocketAddrV4::new(broadcast, self.question.port);
            let _ = self.socket.send(to, &datagram);
        }
        true
    }
}

impl AsRawFd for Finder {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Together with [`BETWEEN`]: 1.2 s until "nobody".
const ASKED_MAX: u32 = 3;
const BETWEEN: Duration = Duration::from_millis(400);
