//! A crowd: one election of very many boards on a LAN that loses nothing, for
//! what the core itself costs. `World` knows more, and is made for few.

use crate::queue::Micros;
use boardroom::election::wire::{self, Text};
use boardroom::election::{Board, Config, Network, Transmit};
use boardroom::rng::{Entropy, Seeded};
use boardroom::time::{Duration, Instant};
use core::net::{Ipv4Addr, SocketAddrV4};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const PORT: u16 = 2000;
const BROADCAST: Ipv4Addr = Ipv4Addr::new(10, 0, 255, 255);
const ASKER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 254, 1), 40_000);
/// A datagram takes 50 to 70 µs.
const DELAY: Micros = 50;
const SPREAD: u32 = 20;
/// An election and its quiet, and how many are held.
const ROUND: Micros = 3_000_000;
const ROUNDS: u32 = 5;

/// What the elections of a crowd have taken.
#[derive(Debug)]
pub struct Cost {
    /// Simulated time from VOTE to the master's answer, of each but the first,
    /// which is one among strangers.
    pub answered: Vec<Option<Duration>>,
    /// Datagrams that a board has handled, all elections together.
    pub handled: u64,
    /// Elections held.
    pub rounds: u32,
}

/// Holds elections among `boards` boards.
pub fn elect(boards: u16) -> Cost {
    let mut crowd = Crowd::new(boards);
    let mut cost = Cost {
        answered: Vec::new(),
        handled: 0,
        rounds: ROUNDS,
    };
    for round in 0..ROUNDS {
        let begun = crowd.now;
        crowd.answered = None;
        crowd.broadcast(ASKER, b"VOTE\n");
        // What one host sends to another keeps its order.
        crowd.run_until(begun + u64::from(SPREAD));
        crowd.broadcast(ASKER, b"WHOIS\n");
        crowd.run_until(begun + ROUND);
        if round > 0 {
            let took = crowd.answered.map(|at| Duration::from_micros(at - begun));
            cost.answered.push(took);
        }
    }
    cost.handled = crowd.handled;
    cost
}

enum Event {
    Arrival { from: SocketAddrV4, bytes: Vec<u8> },
    Timeout,
}

struct Crowd {
    now: Micros,
    boards: Vec<(Board, SocketAddrV4, Seeded)>,
    order: BinaryHeap<Reverse<(Micros, u64)>>,
    /// What the numbers in `order` stand for: a board, and what comes to it.
    events: std::collections::HashMap<u64, (usize, Event)>,
    put: u64,
    rng: Seeded,
    handled: u64,
    answered: Option<Micros>,
}

impl Crowd {
    fn new(boards: u16) -> Self {
        let mut crowd = Self {
            now: 0,
            boards: Vec::new(),
            order: BinaryHeap::new(),
            events: Default::default(),
            put: 0,
            rng: Seeded::new(1),
            handled: 0,
            answered: None,
        };
        for number in 0..boards {
            let address = Ipv4Addr::from(0x0a00_0101 + u32::from(number));
            let mut board = Board::new(Config::default());
            board.handle_network(
                Instant::ZERO,
                Some(Network {
                    address,
                    broadcast: BROADCAST,
                }),
            );
            let seeded = Seeded::new(crowd.rng.next_u64());
            crowd
                .boards
                .push((board, SocketAddrV4::new(address, PORT), seeded));
        }
        crowd
    }

    fn broadcast(&mut self, from: SocketAddrV4, bytes: &[u8]) {
        for to in 0..self.boards.len() {
            self.bring(to, from, bytes);
        }
    }

    fn bring(&mut self, to: usize, from: SocketAddrV4, bytes: &[u8]) {
        let after = DELAY + u64::from(self.rng.below(SPREAD));
        let bytes = bytes.to_vec();
        self.put(self.now + after, to, Event::Arrival { from, bytes });
    }

    fn put(&mut self, at: Micros, to: usize, event: Event) {
        self.put += 1;
        self.order.push(Reverse((at, self.put)));
        self.events.insert(self.put, (to, event));
    }

    fn run_until(&mut self, until: Micros) {
        while let Some(&Reverse((at, number))) = self.order.peek()
            && at <= until
        {
            self.order.pop();
            self.now = at;
            if let Some((to, event)) = self.events.remove(&number) {
                self.turn(to, &event);
            }
        }
        self.now = until;
    }

    /// One turn of a board's loop.
    fn turn(&mut self, at: usize, event: &Event) {
        let now = Instant::ZERO + Duration::from_micros(self.now);
        let (board, own, rng) = &mut self.boards[at];
        let own = *own;
        let before = board.poll_timeout();
        board.handle_wakeup(now);
        if let Event::Arrival { from, bytes } = event {
            board.handle_datagram(now, *from, bytes, rng);
            self.handled += 1;
        }
        if board.poll_timeout().is_some_and(|due| due <= now) {
            board.handle_timeout(now, rng);
        }
        let said: Vec<Transmit> = core::iter::from_fn(|| board.poll_transmit()).collect();
        let due = board.poll_timeout();
        if let Some(due) = due.filter(|_| due != before || matches!(event, Event::Timeout)) {
            let due = (due - Instant::ZERO).micros();
            self.put(due, at, Event::Timeout);
        }
        for Transmit { to, bytes } in said {
            self.deliver(own, to, &bytes);
        }
    }

    fn deliver(&mut self, from: SocketAddrV4, to: SocketAddrV4, bytes: &[u8]) {
        if to.ip() == &BROADCAST {
            self.broadcast(from, bytes);
        } else if to == ASKER {
            if let Ok(Text::Answer { .. }) = wire::parse(bytes) {
                self.answered.get_or_insert(self.now + DELAY);
            }
        } else if let Some(to) = self.boards.iter().position(|(_, at, _)| *at == to) {
            self.bring(to, from, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_boards_agree_and_one_answers() {
        let cost = elect(100);
        assert!(cost.answered.iter().all(Option::is_some), "{cost:?}");
        // Each hears each vote in each round.
        assert!(cost.handled >= u64::from(ROUNDS) * 100 * 100);
    }
}
