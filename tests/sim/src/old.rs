//! Old programs, as about 27 of them were seen to behave: they take office at
//! VOTE, draw a number for each, and give way to any higher vote they hear.

use crate::packet::Packet;
use boardroom::election::Rank;
use boardroom::election::wire::{self, Text};
use boardroom::rng::{Entropy, Seeded};
use core::net::{Ipv4Addr, SocketAddrV4};
use std::collections::VecDeque;
use std::io::Write;

/// What becomes of an old program's office at another's vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// A higher vote demotes it until the next VOTE.
    Sticky,
    /// The last vote heard decides, in both directions.
    LastWins,
}

/// Where it sends its votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Towards {
    /// The broadcast address at the asker's port.
    AskersPort,
    /// The broadcast address at the server port.
    ServerPort,
}

/// What its votes look like on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The text and nothing behind it: 15 to 20 bytes.
    Bare,
    /// The text and a newline.
    Newline,
    /// The text, NUL, and what its buffer held before, 40 bytes in all: our
    /// own trailer comes back.
    Uncleared,
    /// 50 bytes, zeros behind the text.
    Fifty,
    /// Junk right behind the digits: `10# 128.206…`.
    JunkBehindDigits,
}

/// One old program's ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Habits {
    /// See [`Counting`].
    pub counting: Counting,
    /// See [`Towards`].
    pub towards: Towards,
    /// See [`Form`].
    pub form: Form,
    /// Understands `VOTE\n` and `WHOIS\n` only.
    pub newline_only: bool,
    /// Draws from 0 to 9 instead of 1 to 10.
    pub zero_based: bool,
    /// The same numbers for ever.
    pub seeded_by_second: bool,
}

impl Habits {
    /// The plainest of them.
    pub const PLAIN: Self = Self {
        counting: Counting::Sticky,
        towards: Towards::ServerPort,
        form: Form::Bare,
        newline_only: false,
        zero_based: false,
        seeded_by_second: false,
    };

    /// Some old program.
    pub fn draw(rng: &mut Seeded) -> Self {
        let mut coin = || rng.below(2) == 0;
        Self {
            counting: if coin() {
                Counting::Sticky
            } else {
                Counting::LastWins
            },
            towards: if coin() {
                Towards::AskersPort
            } else {
                Towards::ServerPort
            },
            newline_only: coin(),
            seeded_by_second: coin() && coin(),
            zero_based: coin() && coin() && coin(),
            form: match rng.below(5) {
                0 => Form::Bare,
                1 => Form::Newline,
                2 => Form::Uncleared,
                3 => Form::Fifty,
                _ => Form::JunkBehindDigits,
            },
        }
    }
}

/// An old program that runs.
pub struct Old {
    habits: Habits,
    port: u16,
    address: Ipv4Addr,
    broadcast: Ipv4Addr,
    /// Its vote in the last election it heard of.
    vote: Option<u8>,
    master: bool,
    buffer: [u8; 40],
    out: VecDeque<Packet>,
}

impl Old {
    /// Starts on `address`.
    pub const fn new(habits: Habits, port: u16, address: Ipv4Addr, broadcast: Ipv4Addr) -> Self {
        Self {
            habits,
            port,
            address,
            broadcast,
            vote: None,
            master: false,
            buffer: [0; 40],
            out: VecDeque::new(),
        }
    }

    /// Its vote, while it believes to be the master.
    pub fn office(&self) -> Option<Rank> {
        let vote = self.vote.filter(|_| self.master)?;
        Some(Rank {
            vote,
            address: self.address,
        })
    }

    /// Its rank in the last election it heard of.
    pub fn rank(&self) -> Option<Rank> {
        let vote = self.vote?;
        Some(Rank {
            vote,
            address: self.address,
        })
    }

    /// A datagram has come, at `second` of its clock.
    pub fn datagram(
        &mut self,
        second: u64,
        from: SocketAddrV4,
        bytes: &[u8],
        rng: &mut dyn Entropy,
    ) {
        let len = bytes.len().min(self.buffer.len());
        self.buffer[..len].copy_from_slice(&bytes[..len]);
        let with_newline = bytes.contains(&b'\n') || !self.habits.newline_only;
        match wire::parse(bytes) {
            Ok(Text::Call) if with_newline => {
                let number = if self.habits.seeded_by_second {
                    (second * 7 % 10) as u8 + 1
                } else {
                    rng.one_to_ten()
                };
                self.vote = Some(number - u8::from(self.habits.zero_based));
                self.master = true;
                self.cast(from.port());
            }
            Ok(Text::Vote(rank)) if rank.address != self.address => self.count(rank),
            Ok(Text::Whois) if with_newline && self.master => {
                let text = format!("Old on board {} is the master\n", self.address);
                self.send(from, text.as_bytes());
            }
            _ => {}
        }
    }

    /// What it wants to send.
    pub fn transmit(&mut self) -> Option<Packet> {
        self.out.pop_front()
    }

    fn count(&mut self, other: Rank) {
        let Some(own) = self.rank() else { return };
        if other > own {
            self.master = false;
        } else if self.habits.counting == Counting::LastWins {
            self.master = true;
        }
    }

    fn cast(&mut self, askers_port: u16) {
        let Some(vote) = self.vote else { return };
        let text = format!("# {} {vote}", self.address);
        let port = match self.habits.towards {
            Towards::AskersPort => askers_port,
            Towards::ServerPort => self.port,
        };
        let to = SocketAddrV4::new(self.broadcast, port);
        let mut bytes = Vec::with_capacity(50);
        let _ = write!(bytes, "{text}");
        match self.habits.form {
            Form::Bare => {}
            Form::Newline => bytes.push(b'\n'),
            Form::Fifty => bytes.resize(50, 0),
            Form::Uncleared => {
                bytes.push(0);
                let len = bytes.len();
                bytes.extend_from_slice(&self.buffer[len..]);
            }
            Form::JunkBehindDigits => bytes.extend_from_slice(b"# 128.206.20.79 4"),
        }
        self.send(to, &bytes);
    }

    fn send(&mut self, to: SocketAddrV4, bytes: &[u8]) {
        let from = SocketAddrV4::new(self.address, self.port);
        self.out.push_back(Packet::new(from, to, bytes));
    }
}
