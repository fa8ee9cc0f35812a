//! A datagram on its way, and the bytes of it that count.

use core::fmt;
use core::net::SocketAddrV4;

/// The longest datagram that anybody here sends: an old program's 64 bytes.
pub const PACKET_MAX: usize = 64;

/// A datagram with its addresses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// The sender's address and port.
    pub from: SocketAddrV4,
    /// Where it goes; may be a broadcast address.
    pub to: SocketAddrV4,
    len: u8,
    bytes: [u8; PACKET_MAX],
}

impl Packet {
    /// A datagram of `bytes`, cut at [`PACKET_MAX`].
    pub fn new(from: SocketAddrV4, to: SocketAddrV4, bytes: &[u8]) -> Self {
        let len = bytes.len().min(PACKET_MAX);
        let mut packet = Self {
            from,
            to,
            len: len as u8,
            bytes: [0; PACKET_MAX],
        };
        packet.bytes[..len].copy_from_slice(&bytes[..len]);
        packet
    }

    /// What is in it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The same with one bit flipped.
    #[must_use]
    pub fn flipped(mut self, bit: usize) -> Self {
        if self.len > 0 {
            let bit = bit % (usize::from(self.len) * 8);
            self.bytes[bit / 8] ^= 1 << (bit % 8);
        }
        self
    }
}

/// Bytes as a story shows them: text, then the trailer's fields if it has one;
/// `keyed` when its tag is not the checksum.
pub struct Shown<'a>(pub &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use boardroom::election::wire;
        let text = self.0.split(|&byte| byte == 0).next().unwrap_or_default();
        write!(f, "{}", text.escape_ascii())?;
        let Some((trailer, tag)) = wire::trailer(self.0) else {
            return Ok(());
        };
        let sealed = wire::signed_part(self.0).map(wire::checksum) == Some(tag);
        write!(f, " [epoch {}", trailer.epoch)?;
        let parsed = wire::parse(self.0);
        if let Ok(wire::Text::LeaseGrant(_)) = parsed {
            // Its flags are a digest, `about` is the ask's word (Q3).
            write!(f, " for ask {}", trailer.about.map_or(0, u32::from))?;
        } else {
            for (bit, name) in FLAG_NAMES {
                if trailer.flags & bit != 0 {
                    write!(f, " {name}")?;
                }
            }
        }
        match parsed {
            Ok(wire::Text::Whois) if trailer.flags & INTRODUCE != 0 => f.write_str(" introduce")?,
            Ok(wire::Text::LeaseAsk(_)) => {
                let release = trailer.flags & RELEASE != 0;
                let what = if release { "release before" } else { "ask" };
                write!(f, " {what} {}", trailer.word)?;
            }
            _ => {}
        }
        let short = matches!(parsed, Ok(wire::Text::Whois | wire::Text::Call));
        if let (true, Some(about)) = (short, trailer.about) {
            write!(f, " about {about}")?;
        }
        f.write_str(if sealed { "]" } else { " keyed]" })
    }
}

use boardroom::election::wire::flag::{INTRODUCE, RELEASE};

const FLAG_NAMES: [(u8, &str); 7] = {
    use boardroom::election::wire::flag;
    [
        (flag::ASKING, "asking"),
        (flag::FRESH, "fresh"),
        (flag::SUSPICION, "suspicion"),
        (flag::WITNESS, "witness"),
        (flag::VERDICT, "verdict"),
        (flag::BOUND, "bound"),
        (flag::LATER_EPOCH, "later-epoch"),
    ]
};
