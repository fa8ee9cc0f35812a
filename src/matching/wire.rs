//! The frames of match as bytes: UTF-8 text ended by one NUL, a command word,
//! a space that is always there, and what belongs to the command.
//!
//! ```text
//! server  ──► tracker   HELLO S1␀      MTCH ␀      NONE ␀ (own trackers only)
//! client  ──► tracker   HI C1␀         SRCH 3␀
//! tracker ──► server    SRCH 3␀        TRCK 1␀ (own tracker)
//! tracker ──► client    RSLT S1 S3␀    RSLT ␀
//! tracker ──► both      FAIL why␀      and the connection's end
//! ```

use crate::text::visible;
use std::borrow::Cow;

/// The longest name, in bytes.
pub const NAME_MAX: usize = 32;

/// The longest frame that a tracker or a server takes, without its NUL: far
/// above what any of them is sent.
pub const FRAME_MAX: usize = 128;

/// The longest frame that a client takes: a result with as many names as the
/// largest tracker has servers, and the same again for trackers with longer
/// names.
pub const RESULT_MAX: usize = 64 * 1024;

/// A number that a server can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(u8);

impl Number {
    /// How many numbers there are: 1 to 10.
    pub const COUNT: usize = 10;

    /// The number `value`, if it is from 1 to 10.
    pub fn new(value: u8) -> Option<Self> {
        (1..=Self::COUNT as u8)
            .contains(&value)
            .then_some(Self(value))
    }

    /// Its value, from 1 to 10.
    pub const fn value(self) -> u8 {
        self.0
    }

    /// Its place in a table, from 0 to 9.
    pub const fn index(self) -> usize {
        self.0 as usize - 1
    }

    /// Reads exactly what this program would write: no sign, no zero in front,
    /// no blank.
    fn parse(text: &str) -> Option<Self> {
        match text.as_bytes() {
            b"10" => Some(Self(10)),
            [digit @ b'1'..=b'9'] => Some(Self(digit - b'0')),
            _ => None,
        }
    }
}

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// `HELLO name`: a server is there.
    Hello(&'a str),
    /// `HI name`: a client is there.
    Hi(&'a str),
    /// `SRCH n`: who holds n? None where it is not a number from 1 to 10.
    Search(Option<Number>),
    /// `MTCH `: I hold it.
    Match,
    /// `NONE `: I do not hold it.
    None,
    /// `RSLT names`: these hold it, with a space between each two.
    Result(&'a str),
    /// `TRCK 1`: this tracker loses no early answer.
    Track,
    /// `FAIL why`: you are not wanted.
    Fail(&'a str),
}

/// Why a frame is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// It is not UTF-8.
    NotText,
    /// Its command is none of ours.
    Unknown,
}

/// A frame without an end: longer than its receiver takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Reads a frame, without its NUL. A missing space is forgiven.
pub fn parse(frame: &[u8]) -> Result<Message<'_>, Invalid> {
    let text = core::str::from_utf8(frame).map_err(|_| Invalid::NotText)?;
    let (command, rest) = text.split_once(' ').unwrap_or((text, ""));
    Ok(match command {
        "HELLO" => Message::Hello(rest),
        "HI" => Message::Hi(rest),
        "SRCH" => Message::Search(Number::parse(rest)),
        "MTCH" => Message::Match,
        "NONE" => Message::None,
        "RSLT" => Message::Result(rest),
        "TRCK" => Message::Track,
        "FAIL" => Message::Fail(rest),
        _ => return Err(Invalid::Unknown),
    })
}

/// Builds a frame, NUL and all.
pub fn build(message: Message<'_>) -> Vec<u8> {
    let digits: [u8; 2];
    let (command, rest) = match message {
        Message::Hello(name) => ("HELLO ", name.as_bytes()),
        Message::Hi(name) => ("HI ", name.as_bytes()),
        Message::Search(number) => (
            "SRCH ",
            match number.map(Number::value) {
                None => &b""[..],
                Some(10) => b"10",
                Some(digit) => {
                    digits = [b'0' + digit, 0];
                    digits.split_at(1).0
                }
            },
        ),
        Message::Match => ("MTCH ", &b""[..]),
        Message::None => ("NONE ", &b""[..]),
        Message::Result(names) => ("RSLT ", names.as_bytes()),
        Message::Track => ("TRCK ", &b"1"[..]),
        Message::Fail(why) => ("FAIL ", why.as_bytes()),
    };
    let mut frame = Vec::with_capacity(command.len() + rest.len() + 1);
    frame.extend_from_slice(command.as_bytes());
    frame.extend_from_slice(rest);
    frame.push(0);
    frame
}

/// Whether a peer may have this name: 1 to 32 bytes, no blank (the result has
/// one between each two names), nothing that a terminal would not just show.
pub fn is_name(name: &str) -> bool {
    (1..=NAME_MAX).contains(&name.len())
        && !name.contains(char::is_whitespace)
        && visible(name.as_bytes()) == name
}

/// Cuts a stream into frames, wherever the network cut it.
#[derive(Clone, Debug)]
pub struct Splitter {
    /// The beginning of a frame whose NUL has not come.
    begun: Vec<u8>,
    longest: usize,
}

impl Splitter {
    /// For frames of up to `longest` bytes.
    pub const fn new(longest: usize) -> Self {
        Self {
            begun: Vec::new(),
            longest,
        }
    }

    /// The next frame of the stream, taken off `bytes`, the newest of it; none
    /// when all of `bytes` is taken. Frames without a byte are skipped: some
    /// programs send their whole buffer. After [`TooLong`] the stream has no
    /// meaning any more.
    pub fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> Option<Result<Cow<'a, [u8]>, TooLong>> {
        loop {
            if bytes.is_empty() {
                return None;
            }
            let end = bytes.iter().position(|&byte| byte == 0);
            let (part, behind) = bytes.split_at_checked(end.unwrap_or(bytes.len()))?;
            if self.begun.len() + part.len() > self.longest {
                *bytes = &[];
                self.begun = Vec::new();
                return Some(Err(TooLong));
            }
            let Some((_, behind)) = behind.split_first() else {
                self.begun.extend_from_slice(part);
                *bytes = &[];
                return None;
            };
            *bytes = behind;
            if self.begun.is_empty() {
                if !part.is_empty() {
                    return Some(Ok(Cow::Borrowed(part)));
                }
            } else {
                let mut frame = core::mem::take(&mut self.begun);
                frame.extend_from_slice(part);
                return Some(Ok(Cow::Owned(frame)));
            }
        }
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
