//! docs/protocol.md holds tags made by another implementation (Python's hmac,
//! by tests/vectors.py): each must come out here too, and each message must be
//! one that the codec builds.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use boardroom::election::key::Keyring;
use boardroom::election::wire;

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}

/// The rows `| key | bytes 0–31 | bound to | tag |` of the document.
fn rows() -> Vec<[String; 4]> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/protocol.md");
    let cell = |cell: &str| cell.trim().trim_matches('`').to_string();
    std::fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| line.split('|').map(cell).collect::<Vec<_>>())
        .filter(|cells| cells.len() == 6 && cells[2].len() == 64)
        .map(|cells| core::array::from_fn(|i| cells[i + 1].clone()))
        .collect()
}

#[test]
fn the_tags_of_the_document_come_out() {
    let rows = rows();
    assert!(rows.len() >= 8, "{} vectors in the document", rows.len());
    for [key, signed, bound, tag] in rows {
        let signed: [u8; wire::SIGNED_LEN] = bytes(&signed).try_into().unwrap();
        let bound = match bound.as_str() {
            "nothing" => None,
            hex => Some(u32::from_str_radix(hex, 16).unwrap()),
        };
        let keys = Keyring::parse(&key).unwrap();
        assert_eq!(keys.tag(&signed, bound).to_vec(), bytes(&tag), "{signed:?}");
        assert!(keys.verify(&signed, bound, bytes(&tag).try_into().unwrap()));
    }
}

#[test]
fn the_messages_of_the_document_are_what_the_codec_builds() {
    for [_, signed, _, tag] in rows() {
        let datagram = [bytes(&signed), bytes(&tag)].concat();
        let text = wire::parse(&datagram).unwrap();
        let (trailer, tag) = wire::trailer(&datagram).unwrap();
        let built = wire::build_with_trailer(text, trailer, |_| tag);
        assert_eq!(built.to_vec(), datagram, "{text:?}");
    }
}
