//! The simulated LAN: for each pair of hosts and direction, what arrives, when
//! and how often.

use crate::options::{Weather, one_in};
use crate::queue::Micros;
use boardroom::rng::{Entropy, Seeded};

/// The most hosts that a LAN can have, the clients' host included.
pub const HOSTS_MAX: usize = 128;

/// What becomes of one datagram on one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// How long it takes; none when it is lost.
    pub delay: Option<Micros>,
    /// When a second copy comes, if one does.
    pub copy: Option<Micros>,
    /// The bit that is flipped, if one is.
    pub flip: Option<usize>,
}

/// The links between hosts, one per direction.
pub struct Lan {
    /// What the network is like now.
    pub weather: Weather,
    /// A bit for each receiver that does not hear this sender.
    cut: Vec<u128>,
    /// When the last datagram arrives, by sender and receiver.
    last: Vec<Vec<Micros>>,
    /// Datagrams that a link will still lose, told by a transcript.
    pub doomed: Vec<(u16, u16)>,
    /// Links that hold what is sent until they are released, told by a
    /// transcript: sender and receiver.
    pub held: Vec<(u16, u16)>,
    /// What they hold: sender, receiver, datagram.
    pub kept: Vec<(u16, u16, u32)>,
}

impl Lan {
    /// A LAN where everybody hears everybody.
    pub fn new(weather: Weather) -> Self {
        Self {
            weather,
            cut: vec![0; HOSTS_MAX],
            last: vec![Vec::new(); HOSTS_MAX],
            doomed: Vec::new(),
            held: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// All links carry again.
    pub fn heal(&mut self) {
        self.cut.fill(0);
    }

    /// `to` no longer hears `from`.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.cut[from] |= 1 << to;
    }

    /// `to` hears `from` again.
    pub fn mend(&mut self, from: usize, to: usize) {
        self.cut[from] &= !(1 << to);
    }

    /// The port of `at` passes nothing, neither in nor out, like a switch's that
    /// has just come up and waits for its spanning tree.
    pub fn block(&mut self, at: usize) {
        self.partition(1 << at, false);
    }

    /// The port of `at` passes frames.
    pub fn unblock(&mut self, at: usize) {
        for (from, cut) in self.cut.iter_mut().enumerate() {
            *cut = if from == at { 0 } else { *cut & !(1 << at) };
        }
    }

    /// Separates the hosts whose bit is set in `group` from the others; one
    /// way only when `one_way` (the group is not heard).
    pub fn partition(&mut self, group: u128, one_way: bool) {
        for (from, cut) in self.cut.iter_mut().enumerate() {
            let inside = group >> from & 1 == 1;
            if inside {
                *cut |= !group;
            } else if !one_way {
                *cut |= group;
            }
        }
    }

    /// Whether a broadcast is lost at the sender's own port.
    pub fn loses_at_sender(&self, rng: &mut Seeded) -> bool {
        self.weather.loss_at_sender > 0 && share(rng.next_u64(), 0, self.weather.loss_at_sender)
    }

    /// What becomes of a datagram from `from` to `to`.
    pub fn fate(&mut self, from: usize, to: usize, now: Micros, rng: &mut Seeded) -> Fate {
        let lost = Fate {
            delay: None,
            copy: None,
            flip: None,
        };
        if self.cut[from] >> to & 1 == 1 || self.is_doomed(from, to) {
            return lost;
        }
        let weather = self.weather;
        let bits = rng.next_u64();
        if share(bits, 0, weather.loss) {
            return lost;
        }
        let spread = ((bits >> 44) * u64::from(weather.spread.max(1))) >> 20;
        let mut delay = u64::from(weather.delay) + spread;
        if share(bits, 20, weather.late) {
            delay += u64::from(rng.below(weather.late_by));
        } else {
            delay = self.behind_the_last(from, to, now, delay);
        }
        let mut fate = Fate {
            delay: Some(delay),
            ..lost
        };
        if weather.duplicate > 0 && share(rng.next_u64(), 0, weather.duplicate) {
            let behind = if one_in(rng, 2) {
                20
            } else {
                weather.late_by.max(1)
            };
            fate.copy = Some(delay + u64::from(rng.below(behind)));
        }
        if weather.flip > 0 && share(rng.next_u64(), 0, weather.flip) {
            fate.flip = Some(rng.below(1 << 16) as usize);
        }
        fate
    }

    /// A wire keeps the order of what one host sends to another, except of
    /// what is held up.
    fn behind_the_last(&mut self, from: usize, to: usize, now: Micros, delay: Micros) -> Micros {
        let last = &mut self.last[from];
        if last.len() <= to {
            last.resize(to + 1, 0);
        }
        last[to] = last[to].max(now + delay);
        last[to] - now
    }

    fn is_doomed(&mut self, from: usize, to: usize) -> bool {
        if self.doomed.is_empty() {
            return false;
        }
        let link = (from as u16, to as u16);
        let found = self.doomed.iter().position(|doomed| *doomed == link);
        found.map(|at| self.doomed.remove(at)).is_some()
    }
}

fn share(bits: u64, shift: u32, share: u32) -> bool {
    share > 0 && ((bits >> shift) as u32 & (crate::options::WHOLE - 1)) < share
}
