//! The four kinds of wire test: view, build, parse, round trip.

use super::*;

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

fn rank(vote: u8, address: &str) -> Rank {
    Rank {
        vote,
        address: ip(address),
    }
}

fn padded(text: &[u8]) -> Datagram {
    let mut datagram = [0; MESSAGE_LEN];
    datagram[..text.len()].copy_from_slice(text);
    datagram
}

#[test]
fn every_text_is_built_as_the_table_says() {
    let answer = Text::Answer {
        name: b"Peter",
        address: ip("10.3.52.2"),
    };
    for (text, expected) in [
        (Text::Whois, &b"WHOIS\n"[..]),
        (Text::Call, b"VOTE\n"),
        (Text::Vote(rank(7, "10.3.52.2")), b"# 10.3.52.2 7"),
        (
            Text::Vote(rank(10, "255.255.255.254")),
            b"# 255.255.255.254 10",
        ),
        (Text::Claim(rank(1, "10.0.0.100")), b"! 10.0.0.100 1"),
        (Text::LeaseAsk(rank(3, "1.2.3.4")), b"? 1.2.3.4 3"),
        (Text::Resign(ip("10.3.52.2")), b"- 10.3.52.2"),
        (Text::LeaseGrant(ip("10.3.52.2")), b"+ 10.3.52.2"),
        (answer, b"Peter on board 10.3.52.2 is the master"),
    ] {
        assert_eq!(build(text, true), padded(expected));
        assert_eq!(parse(&build(text, true)), Ok(text), "round trip");
    }
    assert_eq!(build(Text::Whois, false), padded(b"WHOIS"));
}

#[test]
fn an_answer_always_fits_and_keeps_address_and_phrase() {
    for (name, address, expected) in [
        (
            "Christopher",
            "10.3.52.2",
            "Christopher on 10.3.52.2 is the master",
        ),
        (
            "Peter",
            "192.168.100.100",
            "Peter on 192.168.100.100 is the master",
        ),
        (
            "Maximiliane",
            "192.168.100.100",
            "Maximi on 192.168.100.100 is the master",
        ),
        (
            "Grüße",
            "192.168.100.100",
            "Grüß on 192.168.100.100 is the master",
        ),
        (
            "ééééé",
            "192.168.100.100",
            "ééé on 192.168.100.100 is the master",
        ),
        (
            "xééééé",
            "192.168.100.100",
            "xéé on 192.168.100.100 is the master",
        ),
        ("", "10.3.52.2", " on board 10.3.52.2 is the master"),
    ] {
        let built = build(
            Text::Answer {
                name: name.as_bytes(),
                address: ip(address),
            },
            true,
        );
        assert_eq!(core::str::from_utf8(text_of(&built)), Ok(expected));
        assert_eq!(built[TEXT_MAX], 0);
        assert!(matches!(parse(&built), Ok(Text::Answer { address: a, .. }) if a == ip(address)));
    }
}

#[test]
fn old_programs_forms_are_read() {
    for (bytes, expected) in [
        (&b"WHOIS"[..], Text::Whois),
        (b"WHOIS\r\n", Text::Whois),
        (b"WHOIS \n", Text::Whois),
        (b"VOTE\n", Text::Call),
        (b"VOTE\0garbage", Text::Call),
        (b"# 10.3.52.2 7", Text::Vote(rank(7, "10.3.52.2"))),
        (b"# 10.3.52.2 7\n", Text::Vote(rank(7, "10.3.52.2"))),
        (b"#10.3.52.2  10", Text::Vote(rank(10, "10.3.52.2"))),
        (
            b"#\t10.3.52.2\t1\0\xff\xfe",
            Text::Vote(rank(1, "10.3.52.2")),
        ),
        (
            b"# 128.206.19.1 10# 128.206.19.1",
            Text::Vote(rank(10, "128.206.19.1")),
        ),
        (
            b"# 128.206.19.1 4 6.19.1",
            Text::Vote(rank(4, "128.206.19.1")),
        ),
    ] {
        assert_eq!(parse(bytes), Ok(expected), "{bytes:?}");
    }
    let mut long = [b'x'; 256];
    long[..19].copy_from_slice(b"# 10.3.52.2 5\0xxxxx");
    assert_eq!(parse(&long), Ok(Text::Vote(rank(5, "10.3.52.2"))));
}

#[test]
fn everything_else_has_its_reason() {
    for (bytes, expected) in [
        (&b""[..], Invalid::Empty),
        (b"\0WHOIS", Invalid::Empty),
        (b" \r\n", Invalid::Empty),
        (b"whois", Invalid::Unknown),
        (b" WHOIS", Invalid::Unknown),
        (b"WHOIS?", Invalid::Unknown),
        (b"@A", Invalid::Unknown),
        (b"$ 10.0.0.1 5", Invalid::Unknown),
        (b"I LOST, 10.0.0.1", Invalid::Unknown),
        (b"Peter on board 10.3.52 is the master", Invalid::Unknown),
        (b"#", Invalid::Address),
        (b"# 10.3.52.2", Invalid::Address),
        (b"# 10.3.52.256 4", Invalid::Address),
        (b"# 10.3.52 4", Invalid::Address),
        (b"# 0.0.0.0 4", Invalid::Address),
        (b"# 255.255.255.255 4", Invalid::Address),
        (b"# 224.0.0.1 4", Invalid::Address),
        (b"- ", Invalid::Address),
        (b"# 10.3.52.2 0", Invalid::Number),
        (b"# 10.3.52.2 11", Invalid::Number),
        (b"# 10.3.52.2 100", Invalid::Number),
        (b"# 10.3.52.2 07", Invalid::Number),
        (b"# 10.3.52.2 7x", Invalid::Number),
        (b"# 10.3.52.2 -7", Invalid::Number),
        (b"! 10.3.52.2 x", Invalid::Number),
    ] {
        assert_eq!(parse(bytes), Err(expected), "{bytes:?}");
    }
}

#[test]
fn a_trailer_makes_the_round_trip_over_a_dirty_buffer() {
    let fields = Trailer {
        flags: flag::ASKING | flag::FRESH,
        epoch: Epoch(0xdead_beef),
        word: 0x0102_0304,
        about: Some(ip("10.0.0.9")),
    };
    let mut dirty = [0xa5; MESSAGE_LEN];
    dirty.copy_from_slice(&build_with_trailer(Text::Call, fields, checksum));
    let (read, tag) = trailer(&dirty).unwrap();
    assert_eq!(read, fields);
    assert_eq!(tag, checksum(signed_part(&dirty).unwrap()));
    assert_eq!(dirty[..5], *b"VOTE\n");
    assert_eq!(dirty[5..18], [0; 13]);
    assert_eq!(
        dirty[22..32],
        [0xb1, 0x03, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4]
    );
    assert_eq!(parse(&dirty), Ok(Text::Call));
}

#[test]
fn a_trailer_behind_another_text_does_not_fit_its_tag() {
    let mut datagram = build_with_trailer(
        Text::Vote(rank(7, "10.0.0.1")),
        Trailer::default(),
        checksum,
    );
    datagram[..14].copy_from_slice(b"# 10.0.0.1 8\0\0");
    let (_, tag) = trailer(&datagram).unwrap();
    assert_ne!(tag, checksum(signed_part(&datagram).unwrap()));
    assert_eq!(trailer(&datagram[..39]), None);
    datagram[22] = 0xb2;
    assert_eq!(trailer(&datagram), None);
}

#[test]
fn an_answer_is_never_given_a_trailer() {
    let answer = Text::Answer {
        name: b"Peter",
        address: ip("10.3.52.2"),
    };
    assert_eq!(
        build_with_trailer(answer, Trailer::default(), checksum),
        build(answer, true)
    );
}

/// What is an address is what the standard library takes for one.
#[test]
fn addresses_are_read_as_the_standard_library_reads_them() {
    use crate::rng::{Entropy, Seeded};
    let mut random = Seeded::new(11);
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..50_000 {
        let mut octet = || match random.below(4) {
            0 => random.below(4).to_string(),
            1 => random.below(300).to_string(),
            _ => random.below(256).to_string(),
        };
        let mut text = [octet(), octet(), octet(), octet()].join(".").into_bytes();
        if random.below(2) == 0 {
            let place = random.below(text.len() as u32) as usize;
            match random.below(3) {
                0 => text[place] = b"0./:x\xff"[random.below(6) as usize],
                1 => text.insert(place, b"019. "[random.below(5) as usize]),
                _ => drop(text.remove(place)),
            }
        }
        let standard = std::str::from_utf8(&text).ok();
        let standard = standard.and_then(|text| text.parse::<Ipv4Addr>().ok());
        let usable =
            |ip: &Ipv4Addr| !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast();
        assert_eq!(
            parse_address(&text).ok(),
            standard.filter(usable),
            "{text:?}"
        );
        *if standard.is_some() {
            &mut taken
        } else {
            &mut refused
        } += 1;
    }
    assert!(taken > 10_000 && refused > 10_000, "{taken} {refused}");
    for odd in [
        "",
        ".",
        "1",
        "1.2.3",
        "1.2.3.",
        ".1.2.3",
        "1..2.3",
        "1.2.3.4.",
        "1.2.3.4.5",
        "01.2.3.4",
    ] {
        assert_eq!(
            parse_address(odd.as_bytes()),
            Err(Invalid::Address),
            "{odd}"
        );
    }
}

/// The check value of the common CRC-32, from its catalogue entry.
#[test]
fn the_checksum_is_the_common_crc_32() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    // Bit by bit, for each length of what is left behind whole words.
    let bytes: Vec<u8> = (0..40u8).map(|n| n.wrapping_mul(197) ^ 0x5a).collect();
    for len in 0..bytes.len() {
        let slow = bytes[..len].iter().fold(!0u32, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 * (crc & 1))
            })
        });
        assert_eq!(crc32(&bytes[..len]), !slow, "{len} bytes");
    }
}
