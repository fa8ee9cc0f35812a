//! Text from outside, made fit for a terminal and a log.

use core::fmt::Write;

/// What bytes from a peer look like in a line of output: UTF-8 as it is, but
/// control characters, characters that turn the writing direction, and bytes
/// that are not UTF-8 as escapes. A peer can so neither forge a second line nor
/// steer the terminal.
pub fn visible(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            // Writing to a `String` cannot fail.
            let _ = match character {
                '\n' => text.write_str("\\n"),
                '\r' => text.write_str("\\r"),
                '\t' => text.write_str("\\t"),
                '\0' => text.write_str("\\0"),
                '\x01'..='\x1f' | '\x7f'..='\u{9f}' => {
                    write!(text, "\\x{:02x}", u32::from(character))
                }
                '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    write!(text, "\\u{{{:x}}}", u32::from(character))
                }
                plain => text.write_char(plain),
            };
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// The same between quotes, for a message about what somebody wrote.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", visible(text.as_bytes()))
}

/// The same without what the standard library puts behind an error of the
/// system: its number in parentheses.
pub fn without_number(text: String) -> String {
    // Not by split_once(" (os error "): a search for text in text is 1 KB.
    let cut = text.match_indices('(').find_map(|(at, _)| {
        let before = text.get(..at)?.strip_suffix(' ')?;
        let number = text.get(at..)?.strip_prefix("(os error ")?;
        Some((before, number.split_once(')')?.1))
    });
    match cut {
        Some((before, after)) => [before, after].concat(),
        None => text,
    }
}

/// Where the second column of a help text begins.
const COLUMN: usize = 24;

/// A text whose blanks in front of its second column are one tab each: of all
/// help texts they are 2.5 KB. Done by the compiler, into `LEN` bytes; gives how
/// many it takes, too. [`wide`] undoes it.
#[allow(clippy::indexing_slicing, reason = "it would not compile")]
pub const fn narrow<const LEN: usize>(text: &str) -> ([u8; LEN], usize) {
    let text = text.as_bytes();
    let mut narrow = [0; LEN];
    let (mut at, mut len, mut column) = (0, 0, 0);
    while at < text.len() {
        let mut end = at;
        while end < text.len() && text[end] == b' ' {
            end += 1;
        }
        column += 1;
        if end - at > 1 && column - 1 + end - at == COLUMN {
            narrow[len] = b'\t';
            (at, column) = (end, COLUMN);
        } else {
            narrow[len] = text[at];
            if text[at] == b'\n' {
                column = 0;
            }
            at += 1;
        }
        len += 1;
    }
    (narrow, len)
}

/// What [`narrow`] made narrow.
pub fn wide(text: &str) -> String {
    let mut wide = String::new();
    let mut column = 0;
    for character in text.chars() {
        match character {
            '\t' => {
                for _ in column..COLUMN {
                    wide.push(' ');
                }
                column = COLUMN;
            }
            '\n' => {
                wide.push('\n');
                column = 0;
            }
            other => {
                wide.push(other);
                column += other.len_utf8();
            }
        }
    }
    wide
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_at_the_end_stay() {
        for (text, len) in [("a  ", 3), (" ", 1), ("", 0)] {
            let (bytes, used) = narrow::<3>(text);
            assert_eq!((&bytes[..used], used), (text.as_bytes(), len));
        }
    }

    #[test]
    fn errors_are_told_without_their_number() {
        let text = "/key: Permission denied (os error 13); close it";
        assert_eq!(
            without_number(text.into()),
            "/key: Permission denied; close it"
        );
        let other = "no (os error here";
        assert_eq!(without_number(other.into()), other);
    }

    #[test]
    fn a_narrow_text_is_the_same_text() {
        let text = "Usage: x\n       y\n  --port PORT           the port\n                        \
                    of all\n  --quiet-and-long-word say less\n é                     no\n";
        let (narrow, len) = narrow::<200>(text);
        let narrow = core::str::from_utf8(&narrow[..len]).unwrap();
        assert_eq!(narrow.matches('\t').count(), 3, "{narrow:?}");
        assert!(narrow.len() < text.len() - 50);
        assert_eq!(wide(narrow), text);
    }

    #[test]
    fn no_peer_can_forge_a_line_or_steer_the_terminal() {
        assert_eq!(visible("Grüße, 世界".as_bytes()), "Grüße, 世界");
        assert_eq!(
            visible(b"a\nb\r\n\t\0\x1b[2J\x7f"),
            "a\\nb\\r\\n\\t\\0\\x1b[2J\\x7f"
        );
        assert_eq!(visible(b"caf\xe9 \xc3"), "caf\\xe9 \\xc3");
        assert_eq!(visible("\u{9b}31m\u{202e}".as_bytes()), "\\x9b31m\\u{202e}");
        assert_eq!(visible(b""), "");
        assert_eq!(quoted("a\n"), "\"a\\n\"");
    }
}
