//! sequence's datagrams (docs/sequence.md): `1` … `100` as decimal text,
//! without padding or newline, and from 100 on to 1 again.

/// The server's port.
pub const PORT: u16 = 12_000;
/// After this number comes 1.
pub const LAST: u8 = 100;
/// What the server answers to each number: a client derived from echo's may
/// wait for it.
pub const ANSWER: &str = "Alphanumeric.";

/// The two clients of the exercise: their names, and the ports by which the
/// server tells them apart.
pub const CLIENTS: [(&str, u16); 2] = [("c1", 11_000), ("c2", 13_000)];

/// The number after this one.
pub const fn next(number: u8) -> u8 {
    if number >= LAST { 1 } else { number + 1 }
}

/// Reads a number. Behind it a newline or NULs are forgiven, since some send
/// their whole buffer; anything else is no number.
pub fn parse(datagram: &[u8]) -> Option<u8> {
    let end = datagram
        .iter()
        .rposition(|byte| !matches!(byte, b'\n' | b'\r' | b'\0'))?;
    let digits = datagram.get(..=end)?;
    if digits.len() > 3 || digits.first() == Some(&b'0') {
        return None;
    }
    let mut number = 0u16;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number * 10 + u16::from(digit - b'0');
    }
    u8::try_from(number).ok().filter(|&number| number <= LAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_read_as_it_is_written() {
        let mut number = 1;
        for expected in 1..=LAST {
            assert_eq!(number, expected);
            assert_eq!(parse(number.to_string().as_bytes()), Some(expected));
            number = next(number);
        }
        assert_eq!(number, 1, "after 100 comes 1");
        assert_eq!(parse(b"37\n"), Some(37));
        assert_eq!(parse(b"100\r\n"), Some(100));
        assert_eq!(parse(b"5\0\0\0\0"), Some(5));
    }

    #[test]
    fn anything_else_is_no_number() {
        for bytes in [
            &b""[..],
            b"\n",
            b"\0",
            b"0",
            b"00",
            b"07",
            b"101",
            b"256",
            b"999",
            b"1000",
            b"-1",
            b"+1",
            b" 1",
            b"1 2",
            b"1\n2",
            b"1a",
            b"one",
            b"\xff",
            "١".as_bytes(),
        ] {
            assert_eq!(parse(bytes), None, "{bytes:?}");
        }
    }
}
