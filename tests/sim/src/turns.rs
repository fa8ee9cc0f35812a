//! When each host's loop runs next. A turn is put off and brought forward all
//! the time, so it does not lie in the queue of what will happen anyhow.

use crate::queue::Micros;

/// No turn is wanted.
const NEVER: Micros = Micros::MAX;
/// A schedule with more turns does not end.
const TURNS_MAX: u32 = 5_000_000;

/// The next turn of each host.
#[derive(Default)]
pub struct Turns {
    at: Vec<Micros>,
    /// Whose turn is the first one.
    first: usize,
    taken: u32,
}

impl Turns {
    /// One host more, which wants no turn yet.
    pub fn add_host(&mut self) {
        self.at.push(NEVER);
    }

    /// The host's loop runs at `at`, and not before; never, if at none.
    pub fn set(&mut self, host: usize, at: Option<Micros>) {
        let at = at.unwrap_or(NEVER);
        let was = core::mem::replace(&mut self.at[host], at);
        if host == self.first && at > was {
            self.first = self.earliest();
        } else if at < self.at[self.first] {
            self.first = host;
        }
    }

    /// The host's loop runs at `at`, or before if it does so already.
    pub fn bring_forward(&mut self, host: usize, at: Micros) {
        if at < self.at[host] {
            self.set(host, Some(at));
        }
    }

    /// When the next turn of all comes, and whose it is.
    pub fn first(&self) -> Option<(Micros, usize)> {
        let at = self.at.get(self.first).copied()?;
        (at != NEVER).then_some((at, self.first))
    }

    /// Takes the next turn of all, if it comes at `until` or before.
    pub fn take(&mut self, until: Micros) -> Option<(Micros, usize)> {
        let (at, host) = self.first().filter(|&(at, _)| at <= until)?;
        self.taken += 1;
        assert!(self.taken < TURNS_MAX, "a schedule ends: {at} host {host}");
        self.set(host, None);
        Some((at, host))
    }

    fn earliest(&self) -> usize {
        let turns = self.at.iter().enumerate();
        turns.min_by_key(|&(_, at)| at).map_or(0, |(host, _)| host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use boardroom::rng::{Entropy, Seeded};

    #[test]
    fn the_first_turn_is_the_earliest() {
        let mut rng = Seeded::new(3);
        let mut turns = Turns::default();
        let mut plain = [NEVER; 6];
        plain.iter().for_each(|_| turns.add_host());
        for _ in 0..20_000 {
            let (host, at) = (rng.below(6) as usize, u64::from(rng.below(50)));
            match rng.below(4) {
                0 => {
                    turns.set(host, None);
                    plain[host] = NEVER;
                }
                1 => {
                    turns.set(host, Some(at));
                    plain[host] = at;
                }
                2 => {
                    turns.bring_forward(host, at);
                    plain[host] = plain[host].min(at);
                }
                _ => {
                    let earliest = plain.iter().copied().min().filter(|&first| first <= at);
                    let taken = turns.take(at);
                    assert_eq!(taken.map(|(at, _)| at), earliest);
                    if let Some((at, host)) = taken {
                        assert_eq!(core::mem::replace(&mut plain[host], NEVER), at);
                    }
                }
            }
        }
    }
}
