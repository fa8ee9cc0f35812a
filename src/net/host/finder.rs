//! A service's question for the master: WHOIS by broadcast, the first answer
//! wins; with a key, the first one that proves to have it too.

use crate::election::Keys;
use crate::election::client::{Heard, Question, TIMEOUT};
use crate::election::proof::Standing;
use crate::net::interfaces;
use crate::net::udp::{Shared, Udp};
use crate::time::Instant;
use core::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, RawFd};

/// Whom [`crate::service::Action::FindMaster`] asks.
#[derive(Clone, Debug)]
pub struct MasterQuestion {
    /// The interface whose network is asked; none: every network but loopback.
    pub interface: Option<String>,
    /// The election's port.
    pub port: u16,
    /// What the master has to have too.
    pub keys: Option<Keys>,
}

impl MasterQuestion {
    /// Asks every network, at the port of boards, for whoever answers.
    pub const fn new() -> Self {
        Self {
            interface: None,
            port: super::ELECTION_PORT,
            keys: None,
        }
    }
}

impl Default for MasterQuestion {
    fn default() -> Self {
        Self::new()
    }
}

/// A question on its way.
pub(super) struct Finder {
    socket: Udp,
    to: Vec<SocketAddrV4>,
    question: Question,
}

impl Finder {
    /// Asks. `None` when no socket can be had.
    pub(super) fn ask(whom: &mut MasterQuestion, now: Instant) -> Option<Self> {
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let question = Question::whois(now, TIMEOUT, true);
        let to = interfaces::broadcasts(whom.interface.as_deref()).into_iter();
        let mut finder = Self {
            socket: Udp::bind(any, Shared(false)).ok()?,
            to: to.map(|to| SocketAddrV4::new(to, whom.port)).collect(),
            question: match &mut whom.keys {
                Some(keys) => {
                    // Another nonce each time.
                    keys.seed = keys.seed.wrapping_add(1);
                    question.with_key(now, keys)
                }
                None => question,
            },
        };
        finder.transmit();
        Some(finder)
    }

    /// The master's address, if the datagram that waits tells it.
    pub(super) fn receive(&mut self, now: Instant) -> Option<Ipv4Addr> {
        let mut buffer = [0; DATAGRAM_MAX];
        let (len, from) = self.socket.receive(&mut buffer).ok()??;
        match self.question.handle_datagram(now, from, buffer.get(..len)?) {
            Some(Heard::Master {
                address,
                standing: None | Some(Standing::Verified),
                ..
            }) => Some(address),
            _ => None,
        }
    }

    /// When to ask again; none: it was asked often enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.question.poll_timeout()
    }

    /// Asks once more if that is due: a lost question costs a part of the time,
    /// not the answer. False when it is over.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        self.question.handle_timeout(now);
        self.transmit();
        self.deadline().is_some()
    }

    fn transmit(&mut self) {
        if let Some(outgoing) = self.question.poll_transmit() {
            for &to in &self.to {
                let _ = self.socket.send(to, &outgoing.bytes);
            }
        }
    }
}

impl AsRawFd for Finder {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Old programs with long names answer so far.
const DATAGRAM_MAX: usize = 512;
