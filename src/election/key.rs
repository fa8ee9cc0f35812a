//! The shared key: what it signs, and who may be believed by it
//! (docs/protocol.md, K1–K6).
//!
//! A tag is the first 64 bits of HMAC-SHA-256 over the 32 bytes before it and,
//! where the message is bound to something that is not on the wire, over four
//! bytes more:
//!
//! ```text
//! question (WHOIS)     HMAC(key, bytes 0–31)
//! answer to a question HMAC(key, bytes 0–31 ‖ the question's nonce)
//! every other message  HMAC(key, bytes 0–31 ‖ the sender's session)
//! ```
//!
//! `flag::BOUND`, which lies in the bytes that are signed, tells the second
//! from the third, so none can be taken for another.

use super::wire::{SIGNED_LEN, TAG_LEN};
use core::fmt;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The shortest key: 256 bits.
pub const KEY_LEN_MIN: usize = 32;
/// The longest key: a line of 256 hexadecimal digits.
pub const KEY_LEN_MAX: usize = 128;
/// Keys in one file: the present one, the next one, and room for a mistake.
pub const KEYS_MAX: usize = 8;

/// The keys of a file. The first signs, each of them is believed: so a new key
/// is brought in by adding it below, then moving it up, then removing the old.
#[derive(Clone)]
pub struct Keyring {
    /// Never empty. A key is kept as the state of the hash that it begins.
    keys: Vec<Hmac<Sha256>>,
}

impl Keyring {
    /// Reads a key file: hexadecimal digits, one key a line, blanks between
    /// digits allowed; empty lines and what follows a `#` mean nothing.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        for (i, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let Some(key) = parse_line(line, i + 1)? else {
                continue;
            };
            if keys.len() >= KEYS_MAX {
                return Err(KeyError::TooMany);
            }
            // HMAC takes a key of any length: this cannot fail.
            if let Ok(state) = Hmac::<Sha256>::new_from_slice(&key) {
                keys.push(state);
            }
        }
        if keys.is_empty() {
            return Err(KeyError::None);
        }
        Ok(Self { keys })
    }

    /// The tag of a message, by the first key. `bound` is the nonce or the
    /// session that the message is bound to.
    pub fn tag(&self, signed: &[u8; SIGNED_LEN], bound: Option<u32>) -> [u8; TAG_LEN] {
        self.keys
            .first()
            .map_or([0; TAG_LEN], |key| tag_by(key, signed, bound))
    }

    /// Whether one of the keys made this tag. Takes the same time whichever
    /// key fits, and however much of the tag is right.
    pub fn verify(
        &self,
        signed: &[u8; SIGNED_LEN],
        bound: Option<u32>,
        tag: [u8; TAG_LEN],
    ) -> bool {
        let mut fits = false;
        for key in &self.keys {
            fits |= same(tag_by(key, signed, bound), tag);
        }
        fits
    }

    /// How many keys there are.
    pub fn count(&self) -> usize {
        self.keys.len()
    }
}

/// Says nothing of the keys.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring of {}", self.keys.len())
    }
}

/// Why a text is no key file. Says where, and never what the line holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// No key in it.
    None,
    /// More than [`KEYS_MAX`] keys.
    TooMany,
    /// A line with something else than hexadecimal digits.
    NotHex {
        /// Its number, from 1.
        line: usize,
    },
    /// A line with an odd number of digits.
    HalfByte {
        /// Its number, from 1.
        line: usize,
    },
    /// A line with too few or too many digits.
    Length {
        /// Its number, from 1.
        line: usize,
        /// How many bytes it has.
        bytes: usize,
    },
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::None => f.write_str("no key in it; `boardroom keygen FILE` writes one"),
            Self::TooMany => write!(f, "more than {KEYS_MAX} keys; remove the oldest"),
            Self::NotHex { line } => write!(
                f,
                "line {line}: a key is written in hexadecimal digits, 0-9 and a-f"
            ),
            Self::HalfByte { line } => {
                write!(f, "line {line}: an odd number of digits; one is missing")
            }
            Self::Length { line, bytes } => write!(
                f,
                "line {line}: {bytes} bytes; a key has from {KEY_LEN_MIN} to {KEY_LEN_MAX}, two digits each"
            ),
        }
    }
}

/// The key on a line, or none on an empty one.
fn parse_line(line: &str, number: usize) -> Result<Option<Vec<u8>>, KeyError> {
    let mut key = Vec::new();
    let mut high = None;
    for character in line.chars().filter(|c| !c.is_whitespace()) {
        let digit = character
            .to_digit(16)
            .ok_or(KeyError::NotHex { line: number })? as u8;
        match high.take() {
            None => high = Some(digit),
            Some(high) => key.push(high << 4 | digit),
        }
    }
    match (high, key.len()) {
        (Some(_), _) => Err(KeyError::HalfByte { line: number }),
        (None, 0) => Ok(None),
        (None, KEY_LEN_MIN..=KEY_LEN_MAX) => Ok(Some(key)),
        (None, bytes) => Err(KeyError::Length {
            line: number,
            bytes,
        }),
    }
}

fn tag_by(key: &Hmac<Sha256>, signed: &[u8; SIGNED_LEN], bound: Option<u32>) -> [u8; TAG_LEN] {
    let mut state = key.clone();
    state.update(signed);
    if let Some(bound) = bound {
        state.update(&bound.to_be_bytes());
    }
    let whole = state.finalize().into_bytes();
    whole.first_chunk().copied().unwrap_or_default()
}

/// Compares without a branch on the bytes: where the first wrong one is must
/// not be told by the time it takes.
fn same(a: [u8; TAG_LEN], b: [u8; TAG_LEN]) -> bool {
    let difference = u64::from_ne_bytes(a) ^ u64::from_ne_bytes(b);
    core::hint::black_box(difference) == 0
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
