//! The wire: every frame as the description has it, and streams cut anywhere.

use super::*;
use crate::rng::{Entropy, Seeded};

fn number(value: u8) -> Option<Number> {
    Some(Number::new(value).unwrap())
}

#[test]
fn every_message_is_built_as_described_and_read_back() {
    for (message, bytes) in [
        (Message::Hello("S1"), &b"HELLO S1\0"[..]),
        (Message::Hi("C1"), b"HI C1\0"),
        (Message::Search(number(3)), b"SRCH 3\0"),
        (Message::Search(number(10)), b"SRCH 10\0"),
        (Message::Match, b"MTCH \0"),
        (Message::None, b"NONE \0"),
        (Message::Result("S1 S2"), b"RSLT S1 S2\0"),
        (Message::Result(""), b"RSLT \0"),
        (Message::Track, b"TRCK 1\0"),
        (Message::Fail("name taken"), b"FAIL name taken\0"),
    ] {
        assert_eq!(build(message), bytes);
        assert_eq!(parse(&bytes[..bytes.len() - 1]), Ok(message), "round trip");
    }
}

#[test]
fn only_the_ten_numbers_are_numbers() {
    for text in [
        "", "0", "11", "03", "+3", "-3", " 3", "3 ", "3.0", "3\n", "x", "10 ", "100", "C1 3", "٣",
    ] {
        let frame = format!("SRCH {text}");
        assert_eq!(
            parse(frame.as_bytes()),
            Ok(Message::Search(None)),
            "{text:?}"
        );
    }
    assert_eq!(Number::new(0), None);
    assert_eq!(Number::new(11), None);
}

#[test]
fn a_missing_space_is_forgiven_and_nothing_else() {
    assert_eq!(parse(b"MTCH"), Ok(Message::Match));
    assert_eq!(parse(b"HI"), Ok(Message::Hi("")));
    assert_eq!(parse(b"mtch "), Err(Invalid::Unknown));
    assert_eq!(parse(b" MTCH"), Err(Invalid::Unknown));
    assert_eq!(parse(b"HIC1"), Err(Invalid::Unknown));
    assert_eq!(parse(b""), Err(Invalid::Unknown));
    assert_eq!(parse(b"HI \xff"), Err(Invalid::NotText));
}

#[test]
fn a_name_is_one_visible_word() {
    for good in ["S1", "C1000", "Zürich", "a", &"x".repeat(NAME_MAX)] {
        assert!(is_name(good), "{good:?}");
    }
    for bad in [
        "",
        " ",
        "S 1",
        "S\t1",
        "S\u{a0}1",
        "S\n",
        "\x1b[2J",
        "S\u{202e}1",
        &"x".repeat(NAME_MAX + 1),
    ] {
        assert!(!is_name(bad), "{bad:?}");
    }
}

/// All frames of `stream`, fed in pieces as `cuts` says.
fn split(stream: &[u8], longest: usize, mut cuts: impl FnMut() -> usize) -> Vec<String> {
    let mut splitter = Splitter::new(longest);
    let mut frames = Vec::new();
    let mut left = stream;
    while !left.is_empty() {
        let (mut piece, behind) = left.split_at(cuts().clamp(1, left.len()));
        left = behind;
        while let Some(frame) = splitter.next(&mut piece) {
            match frame {
                Ok(frame) => frames.push(String::from_utf8_lossy(&frame).into_owned()),
                Err(TooLong) => {
                    frames.push("too long".into());
                    return frames;
                }
            }
        }
        assert!(piece.is_empty(), "all is taken");
    }
    frames
}

#[test]
fn frames_are_the_same_wherever_the_network_cuts() {
    let stream = "HELLO S1\0\0\0MTCH \0RSLT Zürich S2\0NONE \0\0unfinished".as_bytes();
    let expected = ["HELLO S1", "MTCH ", "RSLT Zürich S2", "NONE "];
    assert_eq!(split(stream, 64, || stream.len()), expected);
    assert_eq!(split(stream, 64, || 1), expected);
    for seed in 0..500 {
        let mut source = Seeded::new(seed);
        assert_eq!(
            split(stream, 64, || source.below(9) as usize + 1),
            expected,
            "seed {seed}"
        );
    }
}

#[test]
fn a_frame_without_end_is_told_and_not_kept() {
    let stream = [b"HI C1\0".as_slice(), &[b'x'; 65], b"\0HI C2\0"].concat();
    for cut in [1, 7, 64, 65, 66, 200] {
        assert_eq!(
            split(&stream, 64, || cut),
            ["HI C1", "too long"],
            "cut {cut}"
        );
    }
    let exactly = [[b'x'; 64].as_slice(), b"\0"].concat();
    assert_eq!(split(&exactly, 64, || 3), ["x".repeat(64)]);
}
