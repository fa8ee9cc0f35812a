//! echo's texts as bytes (docs/echo.md).
//!
//! ```text
//! UDP   text (to 2,048 bytes) ──►      ◄── "Alphanumeric."  or "Not alphanumeric."
//! TCP   text, one read        ──►      ◄── "Alphanumeric"   or "Not alphanumeric."
//! ```
//!
//! No terminators; only the short answer over TCP has no full stop.

/// The port of the exercise.
pub const PORT: u16 = 12_000;
/// How much of a request over UDP counts; old servers receive no more.
pub const TEXT_MAX: usize = 2_048;

/// The two roads to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One datagram a text.
    Udp,
    /// One read a text.
    Tcp,
}

impl Transport {
    /// As it is printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }
}

/// The answer to a text that is not alphanumeric, over both.
pub const NOT_ALPHANUMERIC: &str = "Not alphanumeric.";

/// The answer to an alphanumeric text.
pub const fn alphanumeric(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "Alphanumeric.",
        Transport::Tcp => "Alphanumeric",
    }
}

/// The answer to a text.
pub fn answer(text: &[u8], transport: Transport) -> &'static str {
    if is_alphanumeric(text) {
        alphanumeric(transport)
    } else {
        NOT_ALPHANUMERIC
    }
}

/// Not empty, and nothing but letters and digits as Unicode knows them. A
/// newline is neither, and bytes that are not UTF-8 are not either.
pub fn is_alphanumeric(text: &[u8]) -> bool {
    match core::str::from_utf8(text) {
        Ok(text) => !text.is_empty() && text.chars().all(char::is_alphanumeric),
        Err(_) => false,
    }
}

/// What of a datagram counts: its first 2,048 bytes, without the beginning of
/// a character that the limit cut through.
pub fn request(datagram: &[u8]) -> &[u8] {
    match datagram.get(..TEXT_MAX) {
        Some(start) if start.len() < datagram.len() => whole_characters(start),
        _ => datagram,
    }
}

/// Whether bytes are UTF-8 so far and end inside a character.
pub fn ends_inside_a_character(bytes: &[u8]) -> bool {
    whole_characters(bytes).len() < bytes.len()
}

/// Bytes without the beginning of a character at their end; all of them when
/// they are not UTF-8 anyway.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    match core::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => {
            bytes.get(..error.valid_up_to()).unwrap_or(bytes)
        }
        _ => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_digits_of_any_script_and_nothing_else() {
        for text in ["a", "0", "Hello123", "Grüße", "世界42", "٣", "éa"] {
            assert!(is_alphanumeric(text.as_bytes()), "{text:?}");
        }
        for text in [
            "", " ", "a b", "a.", "a\n", "a\r\n", "a\0", "_", "-1", "1.5", "a\u{301}",
        ] {
            assert!(!is_alphanumeric(text.as_bytes()), "{text:?}");
        }
        for bytes in [&b"caf\xe9"[..], b"\xff", b"abc\xc3", b"\xed\xa0\x80"] {
            assert!(!is_alphanumeric(bytes), "{bytes:?}");
        }
    }

    #[test]
    fn only_the_short_answer_over_tcp_lacks_its_full_stop() {
        assert_eq!(answer(b"abc", Transport::Udp), "Alphanumeric.");
        assert_eq!(answer(b"abc", Transport::Tcp), "Alphanumeric");
        assert_eq!(answer(b"a c", Transport::Udp), "Not alphanumeric.");
        assert_eq!(answer(b"a c", Transport::Tcp), "Not alphanumeric.");
    }

    #[test]
    fn a_character_cut_by_the_limit_does_not_count() {
        let mut long = vec![b'a'; TEXT_MAX - 1];
        long.extend_from_slice("ß!".as_bytes());
        assert_eq!(request(&long), &long[..TEXT_MAX - 1]);
        long.truncate(TEXT_MAX);
        assert_eq!(request(&long), &long[..], "cut by its sender, not by us");
        assert_eq!(request(b""), b"");
        assert_eq!(request(&[0xff; 3_000]).len(), TEXT_MAX);
    }

    #[test]
    fn the_beginning_of_a_character_is_seen_and_nonsense_is_not_one() {
        for bytes in [&b"a\xc3"[..], b"\xe4\xb8", b"\xf0\x9f\x98"] {
            assert!(ends_inside_a_character(bytes), "{bytes:?}");
        }
        for bytes in [&b""[..], b"a", b"\xff", b"\xc3\xbc", b"\xff\xc3", b"\xc3a"] {
            assert!(!ends_inside_a_character(bytes), "{bytes:?}");
        }
    }
}
