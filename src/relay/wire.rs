//! relay's frames as bytes.
//!
//! A frame is `number/type/source/destination/payload`: exactly four
//! separators, the payload may hold more `/`, no terminator. A list of clients
//! has another shape, `ID/ADDRESS?ID/ADDRESS`: an existing server tells the
//! two apart by the third byte, which is a digit in lists only. So a number
//! of three digits and more goes to own programs alone; it is what makes a
//! message one message wherever it appears ([`IDENTITY_MIN`]).

use core::fmt::{self, Write};
use core::net::Ipv4Addr;

/// The longest frame and list that existing programs read, in bytes.
pub const FRAME_MAX: usize = 256;
/// The longest text in characters.
pub const TEXT_CHARS_MAX: usize = 160;
/// The longest text in bytes: `99/send/SRC/DST/` and it are [`FRAME_MAX`].
pub const TEXT_BYTES_MAX: usize = FRAME_MAX - "99/send/".len() - 2 * (ID_DIGITS + 1);
/// The digits of an id.
pub const ID_DIGITS: usize = 10;
/// The least number that tells a message apart from all others of its source.
/// Smaller ones are given by existing programs and come again and again.
pub const IDENTITY_MIN: u32 = 100;
/// The greatest number: nine digits, so that no frame looks like a list.
pub const IDENTITY_MAX: u32 = 999_999_999;
/// The payload of the handshake by which a client says that it is a new one.
pub const VERSION: &str = "v1";
/// The same of a new client that wants no read receipts.
const VERSION_WITHOUT_RECEIPTS: &str = "v1-";

/// The longest frame between own programs: a text of full length behind a
/// number of nine digits, with hops of three.
pub const OWN_FRAME_MAX: usize = FRAME_MAX + 7 + 3;
/// The most hops a message makes.
pub const HOPS_MAX: u8 = 250;

/// A client's id: ten decimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u64);

impl Id {
    /// The id that every own server lists as its own, so that no existing
    /// neighbour's list becomes empty. Refused to clients.
    pub const PERMANENT: Self = Self(0);

    /// Reads exactly ten digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == ID_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok().map(Self)).flatten()
    }

    /// The id as a number, for the spool.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The id of a number from the spool, if it has at most ten digits.
    pub const fn from_bits(bits: u64) -> Option<Self> {
        if bits < 10_000_000_000 {
            Some(Self(bits))
        } else {
            None
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}", self.0)
    }
}

/// What a client understands, as its handshake says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// Answers to its gets, as existing clients do.
    Old,
    /// Confirmations and pushed messages too (`v1-`).
    New,
    /// Read receipts as well (`v1`).
    Receipts,
}

/// What a datagram says.
#[allow(missing_docs)] // each variant's text tells its fields
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// `1/handshake/ID//`: here I am.
    Handshake { id: Id, speaks: Speaks },
    /// `N/send/SRC/DST/text`: a message, from a client, a server or to one.
    /// Between own servers `N/send2/…` and so on from the second hop.
    Send {
        number: u32,
        hops: u8,
        source: Id,
        destination: Id,
        text: &'a str,
    },
    /// `1/send/server/ID/`: the answer to a get, nothing is stored. A new
    /// client gets its get's number, 100 at least: so it knows a new server.
    Nothing { number: u32, id: Id },
    /// `1/get/ID//`: the oldest message, please.
    Get { number: u32, id: Id },
    /// `N/ack/ID/SRC/text`: I have it.
    Ack { number: u32, id: Id, source: Id },
    /// `N/ack/ID/server/READER`: I have the receipt.
    AckReceipt { number: u32, id: Id, reader: Id },
    /// `0/terminate/ID//`, and with payload `1` between servers.
    Terminate { id: Id, flooded: bool },
    /// `1/alive/ADDRESS//`, between own servers; with the payload `v1` it asks
    /// for the same in return.
    Alive { address: Ipv4Addr, asks: bool },
    /// `N/taken/server/ID/…`: your message is kept; `about` is its
    /// destination, or `v1` for a handshake.
    Taken { number: u32, id: Id, about: &'a str },
    /// `N/refused/server/ID/…`: your message is not kept, and why.
    Refused { number: u32, id: Id, why: &'a str },
    /// `N/read/server/ID/READER`: the addressee has acknowledged it.
    Read { number: u32, id: Id, reader: Id },
    /// `1/status/0000000000//`: how are you?
    StatusAsk,
    /// `1/status/server//…`: the answer.
    Status { text: &'a str },
    /// `ID/ADDRESS?ID/ADDRESS`.
    List(List<'a>),
}

/// Why a datagram says nothing. Each has its counter; none is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// No byte at all.
    Empty,
    /// Longer than any frame.
    TooLong,
    /// Not UTF-8.
    NotText,
    /// Not five fields, or no number of one to nine digits in front.
    Shape,
    /// A type that nobody knows.
    Type,
    /// An id that is not ten digits, or an address that is none.
    Id,
    /// A message with no text.
    EmptyText,
    /// A message of more than 160 characters.
    LongText,
}

/// Reads a datagram.
pub fn parse(datagram: &[u8]) -> Result<Message<'_>, Invalid> {
    if datagram.is_empty() {
        return Err(Invalid::Empty);
    }
    if datagram.len() > OWN_FRAME_MAX {
        return Err(Invalid::TooLong);
    }
    let text = core::str::from_utf8(datagram).map_err(|_| Invalid::NotText)?;
    if looks_like_a_list(text) {
        return Ok(Message::List(List(text)));
    }
    let mut fields = text.splitn(5, '/');
    let mut field = || fields.next().ok_or(Invalid::Shape);
    let (number, kind, source, destination, payload) =
        (field()?, field()?, field()?, field()?, field()?);
    let number = parse_number(number)?;
    match kind {
        "handshake" => Ok(Message::Handshake {
            id: parse_id(source)?,
            speaks: match payload {
                VERSION => Speaks::Receipts,
                VERSION_WITHOUT_RECEIPTS => Speaks::New,
                _ => Speaks::Old,
            },
        }),
        "send" => parse_send(number, 1, source, destination, payload),
        "get" => Ok(Message::Get {
            number,
            id: parse_id(source)?,
        }),
        "ack" if destination == "server" => Ok(Message::AckReceipt {
            number,
            id: parse_id(source)?,
            reader: parse_id(payload)?,
        }),
        "ack" => Ok(Message::Ack {
            number,
            id: parse_id(source)?,
            source: parse_id(destination)?,
        }),
        "terminate" => Ok(Message::Terminate {
            id: parse_id(source)?,
            flooded: payload == "1",
        }),
        "alive" => Ok(Message::Alive {
            address: source.parse().map_err(|_| Invalid::Id)?,
            asks: payload == VERSION,
        }),
        "taken" => Ok(Message::Taken {
            number,
            id: parse_id(destination)?,
            about: payload,
        }),
        "refused" => Ok(Message::Refused {
            number,
            id: parse_id(destination)?,
            why: payload,
        }),
        "read" => Ok(Message::Read {
            number,
            id: parse_id(destination)?,
            reader: parse_id(payload)?,
        }),
        "status" if source == "server" => Ok(Message::Status { text: payload }),
        "status" => Ok(Message::StatusAsk),
        _ => {
            let digits = kind.strip_prefix("send").unwrap_or_default();
            let hops = parse_number(digits).map(u8::try_from);
            match hops.unwrap_or(Ok(0)) {
                Ok(hops @ 2..=HOPS_MAX) => parse_send(number, hops, source, destination, payload),
                _ => Err(Invalid::Type),
            }
        }
    }
}

/// Whether a text can be sent: 1 to 160 characters within the frame.
pub fn check_text(text: &str) -> Result<(), Invalid> {
    if text.is_empty() {
        Err(Invalid::EmptyText)
    } else if text.len() > TEXT_BYTES_MAX || text.chars().count() > TEXT_CHARS_MAX {
        Err(Invalid::LongText)
    } else {
        Ok(())
    }
}

/// What is wrong with a text that is too long, for people.
pub fn why_too_long(text: &str) -> String {
    format!(
        "the text is too long with {} characters and {} bytes: at most {TEXT_CHARS_MAX} \
         characters and {TEXT_BYTES_MAX} bytes can be sent",
        text.chars().count(),
        text.len(),
    )
}

/// `1/handshake/ID//`, with `v1` or `v1-` behind it from a new client.
pub fn handshake(id: Id, speaks: Speaks) -> Vec<u8> {
    let payload = match speaks {
        Speaks::Old => "",
        Speaks::New => VERSION_WITHOUT_RECEIPTS,
        Speaks::Receipts => VERSION,
    };
    frame(1, "handshake", id, "", payload)
}

/// `N/send/SRC/DST/text`.
pub fn send(number: u32, source: Id, destination: Id, text: &str) -> Vec<u8> {
    frame(number, "send", source, destination, text)
}

/// `N/send/SRC/DST/text` to another server, which it reaches on hop `hops`.
pub fn offer(number: u32, hops: u8, source: Id, destination: Id, text: &str) -> Vec<u8> {
    match hops {
        0 | 1 => send(number, source, destination, text),
        _ => frame(number, &format!("send{hops}"), source, destination, text),
    }
}

/// `1/send/server/ID/`: nothing is stored.
pub fn nothing(number: u32, id: Id) -> Vec<u8> {
    frame(number, "send", "server", id, "")
}

/// `1/get/ID//`; any other number than 1 is for new servers.
pub fn get(number: u32, id: Id) -> Vec<u8> {
    frame(number, "get", id, "", "")
}

/// `N/ack/ID/SRC/text`.
pub fn ack(number: u32, id: Id, source: Id, text: &str) -> Vec<u8> {
    frame(number, "ack", id, source, text)
}

/// `N/ack/ID/server/READER`: the receipt has come.
pub fn ack_receipt(number: u32, id: Id, reader: Id) -> Vec<u8> {
    frame(number, "ack", id, "server", reader)
}

/// `0/terminate/ID//` from a client, with payload `1` between servers.
pub fn terminate(id: Id, flooded: bool) -> Vec<u8> {
    frame(0, "terminate", id, "", if flooded { "1" } else { "" })
}

/// `1/alive/ADDRESS//`, with `v1` behind it to ask for the same.
pub fn alive(address: Ipv4Addr, asks: bool) -> Vec<u8> {
    frame(1, "alive", address, "", if asks { VERSION } else { "" })
}

/// `N/taken/server/ID/…`.
pub fn taken(number: u32, id: Id, about: impl fmt::Display) -> Vec<u8> {
    frame(number, "taken", "server", id, about)
}

/// `N/refused/server/ID/why`.
pub fn refused(number: u32, id: Id, why: &str) -> Vec<u8> {
    frame(number, "refused", "server", id, why)
}

/// `N/read/server/ID/READER`.
pub fn read(number: u32, id: Id, reader: Id) -> Vec<u8> {
    frame(number, "read", "server", id, reader)
}

/// `1/status/0000000000//`.
pub fn status_ask() -> Vec<u8> {
    frame(1, "status", Id::PERMANENT, "", "")
}

/// `1/status/server//text`, cut to [`FRAME_MAX`] (`text` is ASCII).
pub fn status(text: &str) -> Vec<u8> {
    let mut bytes = frame(1, "status", "server", "", text);
    bytes.truncate(FRAME_MAX);
    bytes
}

/// The lists that tell `entries`, each at most [`FRAME_MAX`] bytes; none for
/// no entries, as an empty datagram ends an existing server.
pub fn lists(entries: impl Iterator<Item = (Id, Ipv4Addr)>) -> Vec<Vec<u8>> {
    let mut lists: Vec<Vec<u8>> = Vec::new();
    for (id, address) in entries {
        let entry = format!("{id}/{address}");
        match lists.last_mut() {
            Some(list) if list.len() + 1 + entry.len() <= FRAME_MAX => {
                list.push(b'?');
                list.extend_from_slice(entry.as_bytes());
            }
            _ => lists.push(entry.into_bytes()),
        }
    }
    lists
}

/// A list of clients as it came; see [`List::entries`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List<'a>(&'a str);

impl<'a> List<'a> {
    /// The entries; what is none of them yields `None`. Nothing between two
    /// separators, or behind the last, is no entry at all.
    pub fn entries(self) -> impl Iterator<Item = Option<(Id, Ipv4Addr)>> + 'a {
        self.0
            .split('?')
            .filter(|entry| !entry.is_empty())
            .map(|entry| {
                let (id, address) = entry.split_once('/')?;
                Some((Id::parse(id)?, address.parse().ok()?))
            })
    }
}

fn frame(
    number: u32,
    kind: &str,
    source: impl fmt::Display,
    destination: impl fmt::Display,
    payload: impl fmt::Display,
) -> Vec<u8> {
    let mut text = String::with_capacity(OWN_FRAME_MAX);
    // Writing to a `String` cannot fail.
    let _ = write!(text, "{number}/{kind}/{source}/{destination}/{payload}");
    text.into_bytes()
}

/// Ten digits and a slash: no frame begins so, as its number has nine at most.
fn looks_like_a_list(text: &str) -> bool {
    text.split_at_checked(ID_DIGITS).is_some_and(|(id, rest)| {
        id.bytes().all(|byte| byte.is_ascii_digit()) && rest.starts_with('/')
    })
}

fn parse_number(text: &str) -> Result<u32, Invalid> {
    let digits = matches!(text.len(), 1..=9) && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits => Ok(number),
        _ => Err(Invalid::Shape),
    }
}

fn parse_id(text: &str) -> Result<Id, Invalid> {
    Id::parse(text).ok_or(Invalid::Id)
}

fn parse_send<'a>(
    number: u32,
    hops: u8,
    source: &str,
    destination: &str,
    text: &'a str,
) -> Result<Message<'a>, Invalid> {
    let destination = parse_id(destination)?;
    if source == "server" {
        return Ok(Message::Nothing {
            number,
            id: destination,
        });
    }
    let source = parse_id(source)?;
    check_text(text)?;
    Ok(Message::Send {
        number,
        hops,
        source,
        destination,
        text,
    })
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
