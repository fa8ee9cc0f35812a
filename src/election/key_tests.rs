//! Key files and tags; the vectors of docs/protocol.md are in tests/vectors.rs.

use super::*;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER: &str = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";

fn message() -> [u8; SIGNED_LEN] {
    core::array::from_fn(|i| i as u8 ^ 0xa5)
}

#[test]
fn a_key_file_has_keys_comments_and_empty_lines() {
    let text = format!(
        "# written by hand\n\n{KEY} # old\n  {}\r\n",
        &OTHER.to_uppercase()
    );
    assert_eq!(Keyring::parse(&text).unwrap().count(), 2);
    let spaced = KEY.replace("08", "08 ");
    let (one, same) = (
        Keyring::parse(KEY).unwrap(),
        Keyring::parse(&spaced).unwrap(),
    );
    assert_eq!(one.tag(&message(), None), same.tag(&message(), None));
}

#[test]
fn what_is_no_key_file_is_refused_by_line() {
    for (text, expected) in [
        (String::new(), KeyError::None),
        ("# only this\n\n".into(), KeyError::None),
        (format!("{KEY}\nhello\n"), KeyError::NotHex { line: 2 }),
        (format!("{KEY}é"), KeyError::NotHex { line: 1 }),
        (format!("\n{KEY}0"), KeyError::HalfByte { line: 2 }),
        (KEY[2..].into(), KeyError::Length { line: 1, bytes: 31 }),
        (
            "ab".repeat(129),
            KeyError::Length {
                line: 1,
                bytes: 129,
            },
        ),
        (format!("{KEY}\n").repeat(9), KeyError::TooMany),
    ] {
        let error = Keyring::parse(&text).unwrap_err();
        assert_eq!(error, expected);
        let told = error.to_string();
        assert!(!told.contains("0001"), "no key in {told}");
        assert!(told.len() > 20, "what is wrong and what to do: {told}");
    }
    assert!(Keyring::parse(&"ab".repeat(128)).is_ok());
    assert!(Keyring::parse(&format!("{KEY}\n").repeat(8)).is_ok());
}

#[test]
fn the_first_key_signs_and_each_is_believed() {
    let old = Keyring::parse(KEY).unwrap();
    let new = Keyring::parse(OTHER).unwrap();
    let both = Keyring::parse(&format!("{OTHER}\n{KEY}")).unwrap();
    let message = message();
    assert_eq!(both.tag(&message, Some(7)), new.tag(&message, Some(7)));
    assert!(both.verify(&message, Some(7), old.tag(&message, Some(7))));
    assert!(both.verify(&message, Some(7), new.tag(&message, Some(7))));
    assert!(!old.verify(&message, Some(7), new.tag(&message, Some(7))));
}

#[test]
fn every_bit_of_message_binding_and_tag_counts() {
    let keys = Keyring::parse(KEY).unwrap();
    let message = message();
    for bound in [None, Some(0), Some(0xdead_beef)] {
        let tag = keys.tag(&message, bound);
        assert!(keys.verify(&message, bound, tag));
        for bit in 0..SIGNED_LEN * 8 {
            let mut changed = message;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!keys.verify(&changed, bound, tag), "message bit {bit}");
        }
        for bit in 0..TAG_LEN * 8 {
            let mut changed = tag;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!keys.verify(&message, bound, changed), "tag bit {bit}");
        }
        for other in (0..32).map(|bit| Some(bound.unwrap_or(0) ^ 1 << bit)) {
            assert!(!keys.verify(&message, other, tag), "bound to {other:?}");
        }
        assert_eq!(keys.verify(&message, None, tag), bound.is_none());
    }
}

/// Both digits of a byte are of the key.
#[test]
fn keys_that_differ_in_one_digit_sign_otherwise() {
    let tag = |key: &str| Keyring::parse(key).unwrap().tag(&message(), None);
    let key = "ab".repeat(32);
    for (at, digit) in [(0, "1"), (1, "1"), (62, "1"), (63, "1")] {
        let mut other = key.clone();
        other.replace_range(at..=at, digit);
        assert_ne!(tag(&key), tag(&other), "digit {at}");
    }
}

#[test]
fn a_keyring_tells_nothing_of_its_keys() {
    let keys = Keyring::parse(KEY).unwrap();
    assert_eq!(format!("{keys:?}"), "Keyring of 1");
}
