//! Who is where: the clients of this server, and those of the others.

use super::wire::{Id, Speaks};
use crate::table::Table;
use crate::time::{Duration, Instant};
use core::net::{Ipv4Addr, SocketAddrV4};

/// Clients of this server. When it is full, a newcomer replaces the one that
/// has been silent longest, if that is [`IDLE`] at least, or is refused. Where
/// one IPv4 address has more than half of the places, newcomers from elsewhere
/// get those of that address, so that one host cannot lock out the others.
pub const HERE_MAX: usize = 1_024;
/// Clients of the other servers. When it is full, further ones are not known.
pub const ELSEWHERE_MAX: usize = 16_384;
/// A client silent for this long may be replaced; to a new one nothing is
/// pushed any more until it speaks.
pub const IDLE: Duration = Duration::from_secs(60);

/// A client of this server.
#[derive(Clone, Copy, Debug)]
pub struct Here {
    /// Where it spoke from last.
    pub address: SocketAddrV4,
    /// What it understands.
    pub speaks: Speaks,
    /// When it spoke last.
    pub heard: Instant,
    /// Its address refused a datagram; nothing is pushed until it speaks.
    pub refuses: bool,
}

impl Here {
    /// Whether it takes pushes and confirmations.
    pub fn is_new(&self) -> bool {
        self.speaks != Speaks::Old
    }
}

/// A client of another server.
#[derive(Clone, Copy, Debug)]
pub struct Elsewhere {
    /// The server's place in the table.
    pub server: usize,
    /// When the entry was told last.
    pub told: Instant,
}

/// How a client came to be one of this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It was here already.
    Known,
    /// Nobody knew it.
    New,
    /// It was another server's.
    Moved,
    /// No place for it.
    Full,
}

/// All clients known.
#[derive(Debug, Default)]
pub struct Clients {
    here: Table<Id, Here>,
    elsewhere: Table<Id, Elsewhere>,
}

impl Clients {
    /// Makes `id` a client of this server. The second is the client that had
    /// to make room for it.
    pub fn arrive(&mut self, id: Id, client: Here) -> (Arrival, Option<Id>) {
        if let Some(known) = self.here.get_mut(id) {
            *known = client;
            return (Arrival::Known, None);
        }
        let mut replaced = None;
        if self.here.len() >= HERE_MAX {
            let crowd = self.crowd().filter(|crowd| crowd != client.address.ip());
            let idle = self
                .here
                .iter()
                .filter(|(_, here)| crowd.is_none_or(|crowd| crowd == *here.address.ip()))
                .min_by_key(|(_, here)| here.heard);
            match idle {
                Some((idle, here)) if crowd.is_some() || client.heard.since(here.heard) >= IDLE => {
                    self.here.remove(idle);
                    replaced = Some(idle);
                }
                _ => return (Arrival::Full, None),
            }
        }
        self.here.insert(id, client);
        match self.elsewhere.remove(id) {
            Some(_) => (Arrival::Moved, replaced),
            None => (Arrival::New, replaced),
        }
    }

    /// The address that has more than half of the places, if one has.
    fn crowd(&self) -> Option<Ipv4Addr> {
        let addresses = || self.here.values().map(|here| *here.address.ip());
        // Whoever has the majority survives pairwise cancelling.
        let (mut candidate, mut votes) = (None, 0_usize);
        for address in addresses() {
            match votes {
                0 => (candidate, votes) = (Some(address), 1),
                _ if candidate == Some(address) => votes += 1,
                _ => votes -= 1,
            }
        }
        let count = addresses()
            .filter(|address| candidate == Some(*address))
            .count();
        candidate.filter(|_| 2 * count > self.here.len())
    }

    /// The client `id` of this server.
    pub fn here(&self, id: Id) -> Option<&Here> {
        self.here.get(id)
    }

    /// The client `id` of this server, to note something about it.
    pub fn here_mut(&mut self, id: Id) -> Option<&mut Here> {
        self.here.get_mut(id)
    }

    /// The client `id` of another server.
    pub fn elsewhere(&self, id: Id) -> Option<&Elsewhere> {
        self.elsewhere.get(id)
    }

    /// The client is one of `server` now; whether there was room to know it.
    pub fn learn(&mut self, id: Id, server: usize, now: Instant) -> bool {
        if self.elsewhere.len() >= ELSEWHERE_MAX && !self.elsewhere.has(id) {
            return false;
        }
        self.here.remove(id);
        self.elsewhere.insert(id, Elsewhere { server, told: now });
        true
    }

    /// Forgets `id`, wherever it was; whether it was known.
    pub fn forget(&mut self, id: Id) -> bool {
        let here = self.here.remove(id).is_some();
        self.elsewhere.remove(id).is_some() || here
    }

    /// Forgets the other servers' clients for which `gone` says so.
    pub fn expire(&mut self, gone: impl Fn(&Elsewhere) -> bool) {
        self.elsewhere.retain(|client| !gone(client));
    }

    /// A datagram to `address` was refused: nothing is pushed there until its
    /// client speaks again.
    pub fn refused(&mut self, address: SocketAddrV4) {
        for client in self.here.values_mut() {
            client.refuses |= client.address == address;
        }
    }

    /// Entries of `server` were told by others before it spoke itself: they
    /// live on as if told now.
    pub fn refresh(&mut self, server: usize, now: Instant) {
        for client in self.elsewhere.values_mut() {
            if client.server == server {
                client.told = now;
            }
        }
    }

    /// This server's clients.
    pub fn all_here(&self) -> impl Iterator<Item = Id> + '_ {
        self.here.keys()
    }

    /// The other servers' clients.
    pub fn all_elsewhere(&self) -> impl Iterator<Item = (Id, &Elsewhere)> {
        self.elsewhere.iter()
    }

    /// How many clients are here, and how many elsewhere.
    pub fn count(&self) -> (usize, usize) {
        (self.here.len(), self.elsewhere.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(second: u64) -> Here {
        Here {
            address: SocketAddrV4::new([127, 0, 0, 1].into(), 4000),
            speaks: Speaks::Receipts,
            heard: Instant::ZERO + Duration::from_secs(second),
            refuses: false,
        }
    }

    fn id(bits: u64) -> Id {
        Id::from_bits(bits).unwrap()
    }

    #[test]
    fn a_client_is_in_one_place() {
        let mut clients = Clients::default();
        assert!(clients.learn(id(1), 3, Instant::ZERO));
        assert_eq!(clients.arrive(id(1), client(0)).0, Arrival::Moved);
        assert_eq!(clients.arrive(id(1), client(1)).0, Arrival::Known);
        assert_eq!(clients.count(), (1, 0));
        assert!(clients.learn(id(1), 2, Instant::ZERO));
        assert_eq!(clients.count(), (0, 1));
        assert!(clients.forget(id(1)) && !clients.forget(id(1)));
    }

    #[test]
    fn a_full_table_replaces_only_the_idle() {
        let mut clients = Clients::default();
        for i in 0..HERE_MAX as u64 {
            let second = if i == 7 { 1 } else { 5 };
            assert_eq!(clients.arrive(id(i), client(second)).0, Arrival::New);
        }
        assert_eq!(clients.arrive(id(9_999), client(60)), (Arrival::Full, None));
        assert_eq!(
            clients.arrive(id(9_999), client(61)),
            (Arrival::New, Some(id(7)))
        );
        assert_eq!(clients.count().0, HERE_MAX);
    }

    #[test]
    fn one_host_cannot_lock_out_the_others() {
        let mut clients = Clients::default();
        for i in 0..HERE_MAX as u64 {
            clients.arrive(id(i), client(i));
        }
        let elsewhere = |last| Here {
            address: SocketAddrV4::new([127, 0, 0, last].into(), 4000),
            ..client(1)
        };
        assert_eq!(clients.arrive(id(9_999), client(1)).0, Arrival::Full);
        for i in 0..HERE_MAX as u64 / 2 {
            let last = 2 + (i % 250) as u8;
            let arrived = clients.arrive(id(10_000 + i), elsewhere(last));
            assert_eq!(arrived, (Arrival::New, Some(id(i))), "the silent go first");
        }
        let arrived = clients.arrive(id(20_000), elsewhere(9));
        assert_eq!(arrived.0, Arrival::Full, "half of the places is its share");
    }

    #[test]
    fn the_majority_is_found_behind_others() {
        let at = |last| Here {
            address: SocketAddrV4::new([127, 0, 0, last].into(), 4000),
            ..client(1)
        };
        let mut clients = Clients::default();
        for i in 0..HERE_MAX as u64 {
            clients.arrive(id(i), at(if i < 400 { 2 } else { 3 }));
        }
        let arrived = clients.arrive(id(9_999), at(4));
        assert_eq!(arrived, (Arrival::New, Some(id(400))));
    }

    #[test]
    fn a_full_table_still_learns_where_the_known_have_moved() {
        let mut clients = Clients::default();
        for i in 0..ELSEWHERE_MAX as u64 {
            assert!(clients.learn(id(i), 1, Instant::ZERO));
        }
        assert!(!clients.learn(id(99_999), 1, Instant::ZERO));
        assert!(clients.learn(id(7), 2, Instant::ZERO));
        assert_eq!(clients.elsewhere(id(7)).map(|one| one.server), Some(2));
        assert_eq!(clients.count(), (0, ELSEWHERE_MAX));
    }
}
