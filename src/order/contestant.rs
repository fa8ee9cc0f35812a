//! One contestant: when its message arrived, and when it is complete.

use super::wire::{self, Kind};
use crate::time::{Duration, Instant};
use core::net::SocketAddrV4;

/// A message that has arrived is complete after this silence.
pub const SILENCE: Duration = Duration::from_millis(50);
/// A text that is only a part of `Client X: ` yet is given longer.
pub const UNDECIDED_MAX: Duration = Duration::from_secs(1);
/// However slowly it drips, a message is complete so long after its first byte.
pub const DRIP_MAX: Duration = Duration::from_secs(2);
/// The longest message; what goes beyond is not read.
pub const MESSAGE_MAX: usize = 1_024;

/// Whoever is silent for so long beside enough others is greeted; one that is
/// silent as long again after that is waited for no more.
pub const GREETING_AFTER: Duration = Duration::from_secs(1);

/// What is known of one connection.
pub struct Contestant {
    /// Where it comes from.
    pub address: SocketAddrV4,
    /// When its patience with the others, or ours with it, ends.
    pub until: Instant,
    /// When it stood beside enough others for a round.
    pub company_at: Option<Instant>,
    /// When, and as what, it was greeted.
    pub greeted: Option<(Instant, u8)>,
    /// It has hung up, at least its half of the line.
    pub hung_up: bool,
    /// The line is gone: nothing can be sent there.
    pub gone: bool,
    /// Its message has been printed.
    pub printed: bool,
    text: Vec<u8>,
    first_byte: Option<Instant>,
    arrived: Option<Instant>,
    /// When what has come becomes complete by itself.
    due: Option<Instant>,
    complete: bool,
}

impl Contestant {
    /// A connection that has just come.
    pub fn new(address: SocketAddrV4, until: Instant) -> Self {
        Self {
            address,
            until,
            company_at: None,
            greeted: None,
            hung_up: false,
            gone: false,
            printed: false,
            text: Vec::new(),
            first_byte: None,
            arrived: None,
            due: None,
            complete: false,
        }
    }

    /// Takes bytes, cut wherever the network cut them; those behind the end of
    /// the message are not looked at.
    pub fn take(&mut self, bytes: &[u8], letters: &[u8], now: Instant) {
        for &byte in bytes {
            if self.complete {
                return;
            }
            match byte {
                // An empty line is no message yet.
                b'\n' | b'\r' | b'\0' if self.text.is_empty() => {}
                b'\n' | b'\0' => self.finish(),
                _ => self.take_byte(byte, letters, now),
            }
        }
        if let Some(first) = self.first_byte {
            let pause = if self.arrived.is_some() {
                SILENCE
            } else {
                UNDECIDED_MAX
            };
            self.due = Some((now + pause).min(first + DRIP_MAX));
        }
    }

    fn take_byte(&mut self, byte: u8, letters: &[u8], now: Instant) {
        let first_byte = *self.first_byte.get_or_insert(now);
        self.text.push(byte);
        if self.arrived.is_none() {
            self.arrived = match wire::kind(&self.text, letters) {
                Kind::Undecided => None,
                Kind::Lettered(_) => Some(now),
                Kind::Bare => Some(first_byte),
            };
        }
        if self.text.len() >= MESSAGE_MAX {
            self.finish();
        }
    }

    /// Nothing more belongs to the message.
    pub fn finish(&mut self) {
        if self.first_byte.is_some() {
            self.complete = true;
            if self.text.last() == Some(&b'\r') {
                self.text.pop();
            }
        }
    }

    /// Completes what has been silent, or has dripped, for long enough.
    pub fn tick(&mut self, now: Instant) {
        if self.due.is_some_and(|due| due <= now) {
            self.finish();
        }
    }

    /// When it is to be greeted.
    pub fn greeting_due(&self) -> Option<Instant> {
        match self.company_at {
            Some(at) if self.is_silent() && self.greeted.is_none() => Some(at + GREETING_AFTER),
            _ => None,
        }
    }

    /// Every moment at which something is due here; some may have passed.
    pub fn dues(&self) -> [Option<Instant>; 4] {
        [
            Some(self.until),
            self.due.filter(|_| !self.complete),
            self.greeting_due(),
            self.greeted.map(|(at, _)| at + GREETING_AFTER),
        ]
    }

    /// Whether it may still be in the next round: it has sent something, or
    /// has not been silent for too long after its greeting.
    pub fn is_present(&self, now: Instant) -> bool {
        match self.greeted {
            Some((at, _)) => !self.is_silent() || now < at + GREETING_AFTER,
            None => true,
        }
    }

    /// The letter that its text names, or that its greeting named.
    pub fn claim(&self, letters: &[u8]) -> Option<u8> {
        match wire::kind(&self.text, letters) {
            Kind::Lettered(letter) => Some(letter),
            _ => self.greeted.map(|(_, letter)| letter),
        }
    }

    /// The arrival, by which the round is judged; of an undecided text its
    /// first byte, since it may turn out to be any other text.
    pub fn arrival(&self) -> Option<Instant> {
        self.arrived.or(self.first_byte)
    }

    /// Whether not a byte of a message has come.
    pub fn is_silent(&self) -> bool {
        self.first_byte.is_none()
    }

    /// The message, once it is complete.
    pub fn message(&self) -> Option<&[u8]> {
        self.complete.then_some(self.text.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Entropy, Seeded};

    const START: Instant = Instant::from_micros(1_000_000);

    fn contestant() -> Contestant {
        let address = SocketAddrV4::new([10, 0, 0, 1].into(), 4_000);
        Contestant::new(address, START)
    }

    fn at(millis: u64) -> Instant {
        START + Duration::from_millis(millis)
    }

    /// However it is cut: the arrival is that of the eleventh byte, the name
    /// is whole, and an end is an end.
    #[test]
    fn segmentation_changes_neither_arrival_nor_name() {
        for (message, end) in [
            ("Client X: Ann", "\n"),
            ("Client Y: Ann Ng", "\r\n"),
            ("Client X: Grüße", "\0\0\0"),
        ] {
            let bytes = [message, end, "junk behind"].concat().into_bytes();
            for seed in 0..100 {
                let mut random = Seeded::new(seed);
                let mut contestant = contestant();
                let (mut sent, mut now, mut arrival) = (0, 0, None);
                while sent < bytes.len() {
                    now += u64::from(random.below(40));
                    let end = (sent + 1 + random.below(6) as usize).min(bytes.len());
                    contestant.tick(at(now));
                    contestant.take(&bytes[sent..end], b"XY", at(now));
                    sent = end;
                    if sent >= 11 {
                        arrival = arrival.or(Some(at(now)));
                    }
                }
                assert_eq!(contestant.message(), Some(message.as_bytes()));
                assert_eq!(contestant.arrival(), arrival, "seed {seed}");
                assert_eq!(contestant.dues()[1], None);
            }
        }
    }

    #[test]
    fn other_text_arrived_with_its_first_byte() {
        let mut contestant = contestant();
        contestant.take(b"Clie", b"XY", at(0));
        contestant.take(b"ntele", b"XY", at(300));
        assert_eq!(contestant.arrival(), Some(at(0)));
        contestant.tick(at(349));
        assert_eq!(contestant.message(), None);
        contestant.tick(at(350));
        assert_eq!(contestant.message(), Some(&b"Clientele"[..]));
    }

    #[test]
    fn a_half_written_prefix_is_waited_for_but_not_for_ever() {
        let mut contestant = contestant();
        contestant.take(b"Client X: ", b"XY", at(0));
        assert_eq!(contestant.dues()[1], Some(at(1_000)));
        contestant.take(b"A", b"XY", at(900));
        assert_eq!(contestant.arrival(), Some(at(900)));
        assert_eq!(contestant.dues()[1], Some(at(950)));
        // A dripping one ends as well.
        let mut now = 900;
        while contestant.message().is_none() {
            now += 45;
            contestant.tick(at(now));
            contestant.take(b"a", b"XY", at(now));
            assert!(now < 2_100, "no end");
        }
        assert!(now >= 2_000);
    }

    #[test]
    fn empty_lines_are_no_message_and_length_has_a_limit() {
        let mut contestant = contestant();
        contestant.take(b"\r\n\0\n", b"XY", at(0));
        contestant.finish();
        assert!(contestant.is_silent());
        assert_eq!(contestant.message(), None);
        contestant.take(&[b'a'; 5_000], b"XY", at(1));
        assert_eq!(contestant.message().map(<[u8]>::len), Some(MESSAGE_MAX));
    }
}
