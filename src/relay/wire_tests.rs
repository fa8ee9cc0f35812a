use super::*;

fn id(text: &str) -> Id {
    Id::parse(text).unwrap()
}

const A: &str = "1111111111";
const B: &str = "2222222222";

/// The table of the wire, byte for byte.
#[test]
fn what_is_built_is_what_the_table_says() {
    let (a, b) = (id(A), id(B));
    let built: [(Vec<u8>, &str); 19] = [
        (handshake(a, Speaks::Old), "1/handshake/1111111111//"),
        (handshake(a, Speaks::New), "1/handshake/1111111111//v1-"),
        (handshake(a, Speaks::Receipts), "1/handshake/1111111111//v1"),
        (
            send(1, a, b, "hi/there"),
            "1/send/1111111111/2222222222/hi/there",
        ),
        (nothing(1, a), "1/send/server/1111111111/"),
        (nothing(100, a), "100/send/server/1111111111/"),
        (get(1, a), "1/get/1111111111//"),
        (ack(7, b, a, "hi"), "7/ack/2222222222/1111111111/hi"),
        (
            ack_receipt(700, a, b),
            "700/ack/1111111111/server/2222222222",
        ),
        (terminate(a, false), "0/terminate/1111111111//"),
        (terminate(a, true), "0/terminate/1111111111//1"),
        (alive([127, 0, 0, 21].into(), false), "1/alive/127.0.0.21//"),
        (taken(700, a, b), "700/taken/server/1111111111/2222222222"),
        (taken(1, a, VERSION), "1/taken/server/1111111111/v1"),
        (
            refused(700, a, "full"),
            "700/refused/server/1111111111/full",
        ),
        (read(700, a, b), "700/read/server/1111111111/2222222222"),
        (status_ask(), "1/status/0000000000//"),
        (status("clients 3"), "1/status/server//clients 3"),
        (
            send(1, Id::PERMANENT, b, "x"),
            "1/send/0000000000/2222222222/x",
        ),
    ];
    for (bytes, text) in built {
        assert_eq!(core::str::from_utf8(&bytes).unwrap(), text);
        assert!(parse(&bytes).is_ok(), "{text}");
    }
}

#[test]
fn what_was_built_is_read_back() {
    let (a, b) = (id(A), id(B));
    assert_eq!(
        parse(&send(99, a, b, "a/b?c")),
        Ok(Message::Send {
            number: 99,
            hops: 1,
            source: a,
            destination: b,
            text: "a/b?c"
        })
    );
    assert_eq!(
        parse(&ack(IDENTITY_MAX, b, a, "x")),
        Ok(Message::Ack {
            number: IDENTITY_MAX,
            id: b,
            source: a
        })
    );
    assert_eq!(
        parse(&read(100, a, b)),
        Ok(Message::Read {
            number: 100,
            id: a,
            reader: b
        })
    );
    assert_eq!(
        parse(&nothing(100, a)),
        Ok(Message::Nothing { number: 100, id: a })
    );
    assert_eq!(
        parse(b"0/terminate/1111111111//1"),
        Ok(Message::Terminate {
            id: a,
            flooded: true
        })
    );
}

#[test]
fn hops_are_told_from_the_second() {
    let (a, b) = (id(A), id(B));
    assert_eq!(offer(500, 1, a, b, "x"), send(500, a, b, "x"));
    let third = offer(500, 3, a, b, "x");
    assert!(third.starts_with(b"500/send3/"));
    assert!(matches!(parse(&third), Ok(Message::Send { hops: 3, .. })));
    for kind in ["send0", "send1", "send251", "send+2", "sendx", "send300"] {
        let frame = format!("500/{kind}/{A}/{B}/x");
        assert_eq!(parse(frame.as_bytes()), Err(Invalid::Type), "{kind}");
    }
    let longest = "ä".repeat(113);
    assert_eq!(
        offer(IDENTITY_MAX, HOPS_MAX, a, b, &longest).len(),
        OWN_FRAME_MAX
    );
}

#[test]
fn what_ends_an_existing_server_is_only_an_error() {
    for (bytes, why) in [
        (&b""[..], Invalid::Empty),
        (b"1", Invalid::Shape),
        (b"1/", Invalid::Shape),
        (b"hello", Invalid::Shape),
        (b"//", Invalid::Shape),
        (b"////", Invalid::Shape),
        (b"1/get/1111111111/", Invalid::Shape),
        (b"-1/get/1111111111//", Invalid::Shape),
        (b"+1/get/1111111111//", Invalid::Shape),
        (b"999999999999/get/1111111111//", Invalid::Shape),
        (b"1/GET/1111111111//", Invalid::Type),
        (b"1/shout/1111111111//", Invalid::Type),
        (b"1/get/111111111//", Invalid::Id),
        (b"1/get/11111111111//", Invalid::Id),
        (b"1/get/111111111x//", Invalid::Id),
        (b"1/send/1111111111/2222222222/", Invalid::EmptyText),
        (b"1/send/1111111111//x", Invalid::Id),
        (b"1/alive/127.0.0//", Invalid::Id),
        (b"1/get/\xff\xfe//", Invalid::NotText),
        (&[b'1'; 300], Invalid::TooLong),
    ] {
        assert_eq!(
            parse(bytes),
            Err(why),
            "{:?}",
            String::from_utf8_lossy(bytes)
        );
    }
}

#[test]
fn text_is_1_to_160_characters_within_the_frame() {
    assert_eq!(check_text(""), Err(Invalid::EmptyText));
    assert_eq!(check_text(&"x".repeat(160)), Ok(()));
    assert_eq!(check_text(&"x".repeat(161)), Err(Invalid::LongText));
    assert_eq!(check_text(&"ä".repeat(113)), Ok(()));
    assert_eq!(check_text(&"ä".repeat(114)), Err(Invalid::LongText));
    let longest = "ä".repeat(113);
    assert_eq!(send(99, id(A), id(B), &longest).len(), FRAME_MAX);
    assert_eq!(
        send(IDENTITY_MAX, id(A), id(B), &longest).len(),
        OWN_FRAME_MAX - 3
    );
}

#[test]
fn a_list_is_split_and_never_empty() {
    assert_eq!(lists(core::iter::empty()), Vec::<Vec<u8>>::new());
    let entries: Vec<(Id, Ipv4Addr)> = (1..=30)
        .map(|i| (Id::from_bits(i).unwrap(), Ipv4Addr::new(127, 100, 100, 121)))
        .collect();
    let lists = lists(entries.iter().copied());
    assert_eq!(lists.len(), 4, "9 entries of 26 bytes fit 256 bytes");
    let mut read = Vec::new();
    for list in &lists {
        assert!(!list.is_empty() && list.len() <= FRAME_MAX);
        assert!(list[2].is_ascii_digit(), "an old server's test for a list");
        let Ok(Message::List(list)) = parse(list) else {
            panic!("a list")
        };
        read.extend(list.entries().map(Option::unwrap));
    }
    assert_eq!(read, entries);
}

#[test]
fn a_list_with_holes_gives_what_is_whole() {
    let Ok(Message::List(list)) =
        parse(b"1111111111/127.0.0.21??222/1.2.3.4?3333333333/1.2.3?2222222222/127.0.0.22?")
    else {
        panic!("a list")
    };
    let found: Vec<_> = list.entries().collect();
    assert_eq!(
        found,
        [
            Some((id(A), [127, 0, 0, 21].into())),
            None,
            None,
            Some((id(B), [127, 0, 0, 22].into()))
        ]
    );
}

#[test]
fn no_frame_is_taken_for_a_list() {
    for number in [0, 1, 99, 100, IDENTITY_MAX] {
        assert!(!matches!(
            parse(&send(number, id(A), id(B), "1")),
            Ok(Message::List(_)) | Err(_)
        ));
    }
    // Numbers below 100 keep the third byte free of digits.
    assert!(!send(99, id(A), id(B), "1")[2].is_ascii_digit());
}

#[test]
fn nothing_that_comes_panics() {
    use crate::rng::{Entropy, Seeded};
    let mut random = Seeded::new(11);
    let frames = [
        handshake(id(A), Speaks::New),
        send(500, id(A), id(B), "grün/?"),
        b"1111111111/127.0.0.21?2222222222/127.0.0.22".to_vec(),
        read(100, id(A), id(B)),
    ];
    for _ in 0..20_000 {
        let mut bytes = frames[random.below(frames.len() as u32) as usize].clone();
        for _ in 0..random.below(4) {
            let at = random.below(bytes.len() as u32) as usize;
            bytes[at] = random.next_u32() as u8;
        }
        bytes.truncate(random.below(bytes.len() as u32 + 1) as usize);
        if let Ok(Message::List(list)) = parse(&bytes) {
            list.entries().count();
        }
    }
}

#[test]
fn no_list_is_longer_than_a_frame_and_none_is_cut_too_early() {
    let short: Ipv4Addr = [1, 1, 1, 1].into();
    let mut longest = 0;
    for last in [1, 11, 111] {
        for long in 0..40 {
            let address = |i| {
                if i < long {
                    [111, 111, 111, last].into()
                } else {
                    short
                }
            };
            for list in lists((0..40).map(|i| (id(A), address(i)))) {
                assert!(list.len() <= FRAME_MAX);
                longest = longest.max(list.len());
            }
        }
    }
    assert_eq!(longest, FRAME_MAX);
}

#[test]
fn the_longest_frame_and_the_greatest_id_are_read() {
    let longest = send_with(HOPS_MAX);
    assert!(longest.len() <= OWN_FRAME_MAX);
    assert!(parse(&longest).is_ok());
    let mut padded = b"1/handshake/1111111111//".to_vec();
    padded.resize(OWN_FRAME_MAX, b'x');
    assert!(parse(&padded).is_ok());
    padded.push(b'x');
    assert_eq!(parse(&padded), Err(Invalid::TooLong));
    assert!(Id::from_bits(9_999_999_999).is_some());
    assert!(Id::from_bits(10_000_000_000).is_none());
}

fn send_with(hops: u8) -> Vec<u8> {
    let text = "x".repeat(TEXT_CHARS_MAX);
    offer(IDENTITY_MAX, hops, id(A), id(B), &text)
}
