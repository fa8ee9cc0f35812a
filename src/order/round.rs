//! One round's messages: their letters, and what is printed of them.

use super::wire::LETTERS;
use crate::service::Peer;
use crate::table::insert_sorted;
use crate::time::Instant;

/// The letter of an [`Entry`] that has none yet.
pub const NO_LETTER: u8 = 0;

/// A message of the round that is being judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who sent it.
    pub peer: Peer,
    /// `X`, `Y`, …, or [`NO_LETTER`].
    pub letter: u8,
    /// By this the round is judged.
    pub arrival: Instant,
    /// As it was sent, in any bytes.
    pub name: Vec<u8>,
}

/// Gives a letter to each who named none: the one of its place in the order of
/// connection, or the first that is free.
pub fn give_letters(entries: &mut [Entry], letters: &[u8]) {
    let mut by_connection = Vec::new();
    for entry in entries.iter() {
        insert_sorted(&mut by_connection, entry.peer);
    }
    for (place, peer) in by_connection.into_iter().enumerate() {
        let taken: Vec<u8> = entries.iter().map(|entry| entry.letter).collect();
        for entry in entries.iter_mut() {
            if entry.peer == peer && entry.letter == NO_LETTER {
                entry.letter = free_letter(letters, place, &taken);
            }
        }
    }
}

/// The letter of a place, or if it is taken the first that is not.
pub fn free_letter(letters: &[u8], place: usize, taken: &[u8]) -> u8 {
    let mut own = letters.get(place).into_iter().chain(letters);
    let free = own.find(|letter| !taken.contains(letter));
    *free.or(letters.get(place)).unwrap_or(&b'X')
}

/// Whether two came at the same instant.
pub fn is_tied(entries: &[Entry]) -> bool {
    entries
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if a.arrival == b.arrival))
}

/// When each came after the first: `X +0s, Y +1.25ms`.
pub fn offsets(entries: &[Entry]) -> String {
    let first = entries.first().map(|entry| entry.arrival);
    let mut line = String::from("Arrived:");
    for Entry {
        letter, arrival, ..
    } in entries
    {
        let comma = if line.ends_with(':') { "" } else { "," };
        let after = *arrival - first.unwrap_or(*arrival);
        line.push_str(&format!("{comma} {} +{after}", char::from(*letter)));
    }
    line
}

/// The line for the verdict's dispatch to these letters.
pub fn acknowledgment(letters: &[u8]) -> String {
    let in_order = LETTERS.iter().filter(|letter| letters.contains(letter));
    let letters: Vec<u8> = in_order.copied().collect();
    let both = if letters.len() == 2 { "both " } else { "" };
    match letters.split_last() {
        None => "All had hung up: no acknowledgment sent".into(),
        Some((last, [])) => format!("Sent acknowledgment to {}", char::from(*last)),
        Some((last, others)) => {
            let others: Vec<String> = others.iter().map(|&l| char::from(l).into()).collect();
            let (others, last) = (others.join(", "), char::from(*last));
            format!("Sent acknowledgment to {both}{others} and {last}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(peer: u32, letter: u8, micros: u64) -> Entry {
        Entry {
            peer: Peer(peer),
            letter,
            arrival: Instant::from_micros(micros),
            name: Vec::new(),
        }
    }

    #[test]
    fn letters_go_by_connection_or_to_what_is_free() {
        for (named, expected) in [
            (&[0, 0, 0][..], b"XYZ"),
            (b"Y\0\0", b"YXZ"),
            (b"\0\0X", b"YZX"),
            (b"\0Z\0", b"XZY"),
            (b"ZYX", b"ZYX"),
        ] {
            // The latest connection's message came first.
            let mut entries: Vec<Entry> = (0..3)
                .rev()
                .map(|i| entry(i, named[i as usize], 9))
                .collect();
            give_letters(&mut entries, b"XYZ");
            let given: Vec<u8> = entries.iter().rev().map(|entry| entry.letter).collect();
            assert_eq!(given, expected, "{named:?}");
        }
    }

    #[test]
    fn what_is_printed_of_a_round() {
        let entries = [
            entry(2, b'Y', 5),
            entry(1, b'X', 1_255),
            entry(3, b'Z', 1_255),
        ];
        assert_eq!(offsets(&entries), "Arrived: Y +0s, X +1.25ms, Z +1.25ms");
        assert!(is_tied(&entries));
        assert!(!is_tied(&entries[..2]));
        assert_eq!(acknowledgment(b"YX"), "Sent acknowledgment to both X and Y");
        assert_eq!(
            acknowledgment(b"YAXZ"),
            "Sent acknowledgment to X, Y, Z and A"
        );
        assert_eq!(acknowledgment(b"Y"), "Sent acknowledgment to Y");
    }
}
