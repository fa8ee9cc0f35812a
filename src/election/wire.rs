//! The election's messages as bytes (docs/protocol.md, section 2).
//!
//! Every datagram sent is exactly 40 bytes, all unused ones zero:
//!
//! ```text
//!  0                                          22 23 24    28    32       40
//! ┌───────────────────────────────┬──────────┬──┬──┬─────┬─────┬────────┐
//! │ text, NUL, zeros              │ about    │B1│fl│epoch│word │ tag    │
//! └───────────────────────────────┴──────────┴──┴──┴─────┴─────┴────────┘
//!                                 18          the trailer, big-endian
//! ```
//!
//! Old programs stop at the NUL and never see the trailer. `about` holds
//! four bytes more in the short texts (`WHOIS`, `VOTE`, `+`); in the long ones
//! the text itself may reach that far.

use super::rank::{Epoch, Rank};
use core::ffi::CStr;
use core::net::Ipv4Addr;

/// The length of every datagram sent, and what counts of one received.
pub const MESSAGE_LEN: usize = 40;
/// The longest text: one byte is left for the NUL.
pub const TEXT_MAX: usize = MESSAGE_LEN - 1;

const ABOUT: usize = 18;
const VERSION: usize = 22;
const FLAGS: usize = 23;
const EPOCH: usize = 24;
const WORD: usize = 28;
const TAG: usize = 32;
const VERSION_1: u8 = 0xb1;

/// What a key's tag covers: all bytes before the tag.
pub const SIGNED_LEN: usize = TAG;
/// The length of the tag.
pub const TAG_LEN: usize = MESSAGE_LEN - TAG;

const _: () = assert!(
    "# 255.255.255.255 10".len() < VERSION,
    "the longest vote ends before the trailer"
);
const _: () = assert!("+ 255.255.255.255".len() < ABOUT);
const _: () = assert!("VOTE\n".len() < ABOUT && "WHOIS\n".len() < ABOUT && ABOUT + 4 == VERSION);
const _: () = assert!(TAG_LEN == 8);

/// A whole datagram as it is sent.
pub type Datagram = [u8; MESSAGE_LEN];

/// What a message says, as old programs read it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text<'a> {
    /// `WHOIS`: who is the master?
    Whois,
    /// `VOTE`: hold an election.
    Call,
    /// `# IP N`: my vote.
    Vote(Rank),
    /// `NAME on board IP is the master`: the answer. The name may be cut and
    /// need not be UTF-8.
    Answer {
        /// The master's name.
        name: &'a [u8],
        /// The master's address.
        address: Ipv4Addr,
    },
    /// `! IP N`: I am the master, with vote N (failover).
    Claim(Rank),
    /// `- IP`: I resign (failover).
    Resign(Ipv4Addr),
    /// `? IP N`: grant me the lease (quorum).
    LeaseAsk(Rank),
    /// `+ IP`: the lease is granted to IP (quorum).
    LeaseGrant(Ipv4Addr),
}

/// Why a datagram is no message. Each has its counter; none is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// No byte at all, or nothing before the first NUL.
    Empty,
    /// None of the texts.
    Unknown,
    /// A vote, claim or resignation without a usable IPv4 address.
    Address,
    /// A vote or claim whose number is not from 1 to 10.
    Number,
}

/// Flag bits of the trailer. (A grant's flags are its quorum's digest.)
pub mod flag {
    /// On a vote: answer me by your own vote, by unicast (R6, R9).
    pub const ASKING: u8 = 0x01;
    /// On a vote: this is my first round since my start, and younger than 100 ms
    /// (R2, R3).
    pub const FRESH: u8 = 0x02;
    /// On a broadcast WHOIS: I miss the claims of the board in `about` (F2).
    pub const SUSPICION: u8 = 0x04;
    /// On a unicast WHOIS: I have heard a claim of the board in `about` (F2).
    pub const WITNESS: u8 = 0x08;
    /// On a VOTE: the board in `about` is dead, and the trailer's epoch is the
    /// one that this VOTE begins (F2).
    pub const VERDICT: u8 = 0x10;
    /// With a key, on an answer: the tag covers the question's nonce too; on a
    /// VOTE: it covers the addressee's session.
    pub const BOUND: u8 = 0x20;
    /// On a unicast WHOIS: I follow you, and my epoch is a later one (F3).
    pub const LATER_EPOCH: u8 = 0x40;
    /// With a key, on a WHOIS: introduce yourself; together with `BOUND`: my
    /// introduction, `about` being my session and `word` my present count.
    pub const INTRODUCE: u8 = 0x80;
    /// On a `?`: I ask no more, and grants for all that I asked are void.
    pub const RELEASE: u8 = 0x80;
}

/// The trailer's fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trailer {
    /// Bits of [`flag`].
    pub flags: u8,
    /// The sender's epoch.
    pub epoch: Epoch,
    /// The sender's counter, or a nonce.
    pub word: u32,
    /// In `WHOIS` and `VOTE` a third board; in an introduction its sender's
    /// session, in a grant the word of the ask. Elsewhere unspecified.
    pub about: Ipv4AddrOrNone,
}

/// An address field on the wire: all zeros is none.
pub type Ipv4AddrOrNone = Option<Ipv4Addr>;

/// Reads a datagram's text. The first 40 bytes count; the text ends at the
/// first NUL; trailing CR, LF and spaces go.
pub fn parse(datagram: &[u8]) -> Result<Text<'_>, Invalid> {
    let text = text_of(datagram);
    match text {
        b"" => Err(Invalid::Empty),
        b"WHOIS" => Ok(Text::Whois),
        b"VOTE" => Ok(Text::Call),
        [sign @ (b'#' | b'!' | b'?'), rest @ ..] => {
            let rank = parse_rank(rest)?;
            Ok(match sign {
                b'#' => Text::Vote(rank),
                b'!' => Text::Claim(rank),
                _ => Text::LeaseAsk(rank),
            })
        }
        [sign @ (b'-' | b'+'), rest @ ..] => {
            let address = parse_address(skip_blanks(rest))?;
            Ok(match sign {
                b'-' => Text::Resign(address),
                _ => Text::LeaseGrant(address),
            })
        }
        _ => parse_answer(text).ok_or(Invalid::Unknown),
    }
}

/// The text that counts: up to the first NUL of the first 40 bytes, without
/// trailing CR, LF and spaces.
pub fn text_of(datagram: &[u8]) -> &[u8] {
    let counted = datagram.get(..MESSAGE_LEN).unwrap_or(datagram);
    trimmed(before_nul(counted))
}

fn before_nul(bytes: &[u8]) -> &[u8] {
    CStr::from_bytes_until_nul(bytes).map_or(bytes, CStr::to_bytes)
}

/// `text` without trailing CR, LF and spaces.
fn trimmed(text: &[u8]) -> &[u8] {
    let end = text
        .iter()
        .rposition(|byte| !matches!(byte, b'\r' | b'\n' | b' '))
        .map_or(0, |last| last + 1);
    text.get(..end).unwrap_or_default()
}

/// The answer that a client makes of a datagram: name and address. Old
/// programs with long names answer beyond the 40th byte, so a client, other
/// than a board, reads as far as the first NUL.
pub fn answer_of(datagram: &[u8]) -> Option<(&[u8], Ipv4Addr)> {
    match parse_answer(trimmed(before_nul(datagram)))? {
        Text::Answer { name, address } => Some((name, address)),
        _ => None,
    }
}

/// Reads the trailer's fields, if the datagram is long enough to have one and
/// its version is known. Nothing is said yet about its tag: see [`checksum`]
/// and the key.
pub fn trailer(datagram: &[u8]) -> Option<(Trailer, [u8; TAG_LEN])> {
    let datagram: &Datagram = datagram.first_chunk()?;
    if datagram[VERSION] != VERSION_1 {
        return None;
    }
    let about = Ipv4Addr::from(be_u32(datagram, ABOUT));
    let fields = Trailer {
        flags: datagram[FLAGS],
        epoch: Epoch(be_u32(datagram, EPOCH)),
        word: be_u32(datagram, WORD),
        about: (!about.is_unspecified()).then_some(about),
    };
    Some((fields, be_u64(datagram, TAG).to_be_bytes()))
}

/// What a tag covers. Shorter datagrams have no trailer, so no tag.
pub fn signed_part(datagram: &[u8]) -> Option<&[u8; SIGNED_LEN]> {
    datagram.first_chunk()
}

/// The tag of a message without a key: the CRC-32 (IEEE 802.3) of the first 32
/// bytes, then four zeros. A program that leaves our trailer behind its own
/// text fails it.
pub fn checksum(signed: &[u8; SIGNED_LEN]) -> [u8; TAG_LEN] {
    let [a, b, c, d] = crc32(signed).to_be_bytes();
    [a, b, c, d, 0, 0, 0, 0]
}

/// Builds a datagram without a trailer. `newline` puts a newline behind
/// `WHOIS` and `VOTE`, which half of the old programs insist on.
pub fn build(text: Text<'_>, newline: bool) -> Datagram {
    let mut writer = Writer::new();
    match text {
        Text::Whois => writer.bytes(b"WHOIS"),
        Text::Call => writer.bytes(b"VOTE"),
        Text::Vote(rank) => writer.rank(b'#', rank),
        Text::Claim(rank) => writer.rank(b'!', rank),
        Text::LeaseAsk(rank) => writer.rank(b'?', rank),
        Text::Resign(address) => writer.signed_address(b'-', address),
        Text::LeaseGrant(address) => writer.signed_address(b'+', address),
        Text::Answer { name, address } => writer.answer(name, address),
    }
    if newline && matches!(text, Text::Whois | Text::Call) {
        writer.bytes(b"\n");
    }
    writer.datagram
}

/// Builds a datagram with a trailer, sealed by `tag`. `about` is written for
/// `WHOIS`, `VOTE` and a grant only. An answer has no room for a trailer: it is built
/// without.
pub fn build_with_trailer(
    text: Text<'_>,
    trailer: Trailer,
    tag: impl FnOnce(&[u8; SIGNED_LEN]) -> [u8; TAG_LEN],
) -> Datagram {
    let mut datagram = build(text, true);
    if matches!(text, Text::Answer { .. }) {
        return datagram;
    }
    let short = matches!(text, Text::Whois | Text::Call | Text::LeaseGrant(_));
    if let (true, Some(about)) = (short, trailer.about) {
        datagram[ABOUT..VERSION].copy_from_slice(&about.octets());
    }
    datagram[VERSION] = VERSION_1;
    datagram[FLAGS] = trailer.flags;
    datagram[EPOCH..WORD].copy_from_slice(&trailer.epoch.0.to_be_bytes());
    datagram[WORD..TAG].copy_from_slice(&trailer.word.to_be_bytes());
    if let Some(signed) = datagram.first_chunk() {
        let tag = tag(signed);
        datagram[TAG..].copy_from_slice(&tag);
    }
    datagram
}

/// How many bytes of a name fit into an answer from `address`, once
/// ` on board ` has become ` on `.
pub fn name_room(address: Ipv4Addr) -> usize {
    TEXT_MAX - (ON.len() + decimal_len(address) + IS_THE_MASTER.len())
}

const ON_BOARD: &[u8] = b" on board ";
const ON: &[u8] = b" on ";
const IS_THE_MASTER: &[u8] = b" is the master";

const _: () = assert!(ON.len() + "255.255.255.255".len() + IS_THE_MASTER.len() + 6 <= TEXT_MAX);

fn parse_rank(rest: &[u8]) -> Result<Rank, Invalid> {
    let (address, rest) = split_address(skip_blanks(rest))?;
    if rest.is_empty() {
        return Err(Invalid::Address);
    }
    let (vote, behind) = match skip_blanks(rest) {
        [b'1', b'0', behind @ ..] => (10, behind),
        [one @ b'1'..=b'9', behind @ ..] => (one - b'0', behind),
        _ => return Err(Invalid::Number),
    };
    // Some old programs never clear their buffer: `10# 128.206…` is a 10.
    match behind.first() {
        None | Some(b'#') => Ok(Rank { vote, address }),
        Some(byte) if byte.is_ascii_whitespace() => Ok(Rank { vote, address }),
        Some(_) => Err(Invalid::Number),
    }
}

fn parse_address(quad: &[u8]) -> Result<Ipv4Addr, Invalid> {
    match split_address(quad)? {
        (address, []) => Ok(address),
        _ => Err(Invalid::Address),
    }
}

/// Reads a dotted quad that can be a host's: not 0.0.0.0, not multicast, not
/// the limited broadcast; it ends at a blank. Every datagram has one; the
/// standard library's reader backtracks, and wants UTF-8.
fn split_address(text: &[u8]) -> Result<(Ipv4Addr, &[u8]), Invalid> {
    let (first, mut rest) = split_octet(text)?;
    let mut address = first;
    for _ in 0..3 {
        let [b'.', behind @ ..] = rest else {
            return Err(Invalid::Address);
        };
        let (octet, behind) = split_octet(behind)?;
        (address, rest) = (address << 8 | octet, behind);
    }
    let address = Ipv4Addr::from(address);
    let host = !(address.is_unspecified() || address.is_multicast() || address.is_broadcast());
    match rest {
        [] | [b' ' | b'\t', ..] if host => Ok((address, rest)),
        _ => Err(Invalid::Address),
    }
}

/// Reads a number up to 255, which does not begin with a zero unless that is
/// all of it.
fn split_octet(text: &[u8]) -> Result<(u32, &[u8]), Invalid> {
    let (mut octet, mut rest) = match text {
        [digit @ b'0'..=b'9', rest @ ..] => (u32::from(digit - b'0'), rest),
        _ => return Err(Invalid::Address),
    };
    while let [digit @ b'0'..=b'9', behind @ ..] = rest {
        let with_digit = octet * 10 + u32::from(digit - b'0');
        if octet == 0 || with_digit > 255 {
            return Err(Invalid::Address);
        }
        (octet, rest) = (with_digit, behind);
    }
    Ok((octet, rest))
}

fn parse_answer(text: &[u8]) -> Option<Text<'_>> {
    let head = text.strip_suffix(IS_THE_MASTER)?;
    let quad_at = head.iter().rposition(|&byte| byte == b' ')? + 1;
    let (before, quad) = head.split_at_checked(quad_at)?;
    let before = before.strip_suffix(b" ")?;
    let name = before
        .strip_suffix(b" on board")
        .or_else(|| before.strip_suffix(b" on"))?;
    Some(Text::Answer {
        name,
        address: parse_address(quad).ok()?,
    })
}

fn skip_blanks(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

fn be_u32(datagram: &Datagram, at: usize) -> u32 {
    datagram
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn be_u64(datagram: &Datagram, at: usize) -> u64 {
    datagram
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn decimal_len(address: Ipv4Addr) -> usize {
    let digits = |octet: u8| match octet {
        0..=9 => 1,
        10..=99 => 2,
        100..=255 => 3,
    };
    address.octets().into_iter().map(digits).sum::<usize>() + 3
}

/// The common CRC-32: reflected, polynomial 0x04C11DB7, as in Ethernet. Of a
/// word the eight digits are looked up independently of each other, by tables
/// of 512 bytes; what is left behind the words goes digit by digit.
#[allow(clippy::indexing_slicing)] // a digit indexes sixteen entries
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let of = |place: usize, digits: u32| CRC_OF_DIGIT[place][(digits & 15) as usize];
    let (words, rest) = bytes.as_chunks();
    let crc = words.iter().fold(!0, |crc, &word| {
        let mixed = crc ^ u32::from_le_bytes(word);
        (0..8).fold(0, |sum, place| sum ^ of(place, mixed >> (4 * place)))
    });
    let step = |crc: u32| (crc >> 4) ^ of(7, crc);
    !rest
        .iter()
        .fold(crc, |crc, &byte| step(step(crc ^ u32::from(byte))))
}

/// What a digit at each place of a word is at the word's end; the lowest is
/// taken in first.
#[allow(clippy::indexing_slicing)] // at compile time
const CRC_OF_DIGIT: [[u32; 16]; 8] = {
    let mut table = [[0; 16]; 8];
    let mut entry = 0;
    while entry < 8 * 16 {
        let (place, digit) = (entry / 16, entry % 16);
        let mut crc = (digit as u32) << (4 * place);
        let mut bit = 0;
        while bit < 32 {
            crc = (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1));
            bit += 1;
        }
        table[place][digit] = crc;
        entry += 1;
    }
    table
};

/// Writes text into a datagram of zeros; what does not fit is dropped, and the
/// last byte stays zero.
struct Writer {
    datagram: Datagram,
    len: usize,
}

impl Writer {
    const fn new() -> Self {
        Self {
            datagram: [0; MESSAGE_LEN],
            len: 0,
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if let Some(place) = self
                .datagram
                .get_mut(self.len)
                .filter(|_| self.len < TEXT_MAX)
            {
                *place = byte;
                self.len += 1;
            }
        }
    }

    fn decimal(&mut self, number: u8) {
        if number >= 100 {
            self.bytes(&[b'0' + number / 100]);
        }
        if number >= 10 {
            self.bytes(&[b'0' + number / 10 % 10]);
        }
        self.bytes(&[b'0' + number % 10]);
    }

    fn address(&mut self, address: Ipv4Addr) {
        for (i, octet) in address.octets().into_iter().enumerate() {
            if i > 0 {
                self.bytes(b".");
            }
            self.decimal(octet);
        }
    }

    fn signed_address(&mut self, sign: u8, address: Ipv4Addr) {
        self.bytes(&[sign, b' ']);
        self.address(address);
    }

    fn rank(&mut self, sign: u8, rank: Rank) {
        self.signed_address(sign, rank.address);
        self.bytes(b" ");
        self.decimal(rank.vote);
    }

    /// Too long: first ` on board ` becomes ` on `, then the name is cut, at a
    /// character's boundary where it is UTF-8.
    fn answer(&mut self, name: &[u8], address: Ipv4Addr) {
        let whole =
            name.len() + ON_BOARD.len() + decimal_len(address) + IS_THE_MASTER.len() <= TEXT_MAX;
        self.bytes(if whole {
            name
        } else {
            cut(name, name_room(address))
        });
        self.bytes(if whole { ON_BOARD } else { ON });
        self.address(address);
        self.bytes(IS_THE_MASTER);
    }
}

fn cut(name: &[u8], room: usize) -> &[u8] {
    let is_continuation = |byte: &u8| byte & 0xc0 == 0x80;
    let mut end = room.min(name.len());
    while end > 0 && name.get(end).is_some_and(is_continuation) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default()
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
