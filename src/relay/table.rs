//! The line of servers: fixed addresses, and what is known of each.

use crate::time::{Duration, Instant};
use core::net::{Ipv4Addr, SocketAddrV4};

/// The longest line.
pub const SERVERS_MAX: usize = 64;
/// How often own servers tell each other that they live, and lists go out.
pub const ALIVE_EVERY: Duration = Duration::from_secs(5);
/// After this silence of an own server its clients are taken off the list.
pub const SILENCE: Duration = Duration::from_secs(20);
/// After this silence of an own server, an existing one that is heard at its
/// address has taken its place.
const REPLACED: Duration = Duration::from_secs(60);
/// How long after it was first heard a server that has not said it is an own
/// one is not yet taken for an existing one: an own one does so within this
/// time, as it is asked every second. One that was never heard is taken for an
/// existing one after [`SILENCE`].
const DOUBT: Duration = Duration::from_secs(6);
/// How often the others are asked during that time.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long mail for an existing server waits after its address refused some.
const REFUSED_FOR: Duration = Duration::from_secs(5);

/// What kind of program is at an address of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This program itself.
    Own,
    /// One that speaks the new frames and is heard.
    New,
    /// An existing one, or one that nobody has heard.
    Old,
    /// One to wait for: a new one gone silent, one that refuses, or one that
    /// had no time yet to say what it is.
    Absent,
}

/// The servers in their order. Neighbours are those beside each other.
#[derive(Clone, Debug)]
pub struct Table {
    servers: Vec<Server>,
    own: usize,
    start: Instant,
}

#[derive(Clone, Debug)]
struct Server {
    address: SocketAddrV4,
    /// Its last `alive`.
    alive: Option<Instant>,
    /// Its first and its last frame of any sort.
    first_heard: Option<Instant>,
    heard: Option<Instant>,
    refused: Option<Instant>,
}

impl Table {
    /// A table of distinct addresses; `own` counts from 0. `None` when there
    /// is no such server, the line is too long or an IPv4 address comes twice:
    /// lists carry no port.
    pub fn new(addresses: &[SocketAddrV4], own: usize) -> Option<Self> {
        let distinct = addresses
            .iter()
            .enumerate()
            .all(|(i, one)| addresses.iter().take(i).all(|other| one.ip() != other.ip()));
        let fits = own < addresses.len() && addresses.len() <= SERVERS_MAX;
        (distinct && fits).then(|| Self {
            servers: addresses
                .iter()
                .map(|&address| Server {
                    address,
                    alive: None,
                    first_heard: None,
                    heard: None,
                    refused: None,
                })
                .collect(),
            own,
            start: Instant::ZERO,
        })
    }

    /// The sockets are open: doubt about the others begins.
    pub fn start(&mut self, now: Instant) {
        self.start = now;
    }

    /// Whether the others had no time yet to say what they are.
    pub fn is_in_doubt(&self, now: Instant) -> bool {
        now.since(self.start) < DOUBT
    }

    /// Whether mail offered to a server before a restart still waits for it.
    pub fn is_fresh(&self, now: Instant) -> bool {
        now.since(self.start) < SILENCE
    }

    /// How long it is until servers and lists are told again.
    pub fn pause(&self, now: Instant) -> Duration {
        if self.is_in_doubt(now) {
            ASK_EVERY
        } else {
            ALIVE_EVERY
        }
    }

    /// This server's place in the line, from 0.
    pub const fn own(&self) -> usize {
        self.own
    }

    /// How many servers there are.
    pub fn len(&self) -> usize {
        self.servers.len()
    }

    /// Never: a table has its own server at least.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// The address of server `index`; its own for none.
    pub fn address(&self, index: usize) -> SocketAddrV4 {
        let server = self.servers.get(index).or(self.servers.get(self.own));
        server.map_or(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0), |server| {
            server.address
        })
    }

    /// The own address.
    pub fn own_address(&self) -> SocketAddrV4 {
        self.address(self.own)
    }

    /// The server that sends from `address` and its port, unless it is this.
    pub fn sender(&self, address: SocketAddrV4) -> Option<usize> {
        let index = self
            .servers
            .iter()
            .position(|server| server.address == address)?;
        (index != self.own).then_some(index)
    }

    /// The server at an address of a list.
    pub fn at(&self, address: Ipv4Addr) -> Option<usize> {
        self.servers
            .iter()
            .position(|server| *server.address.ip() == address)
    }

    /// All servers but this one.
    pub fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let own = self.own;
        (0..self.servers.len()).filter(move |&index| index != own)
    }

    /// Whether server `index` stands beside this one.
    pub const fn is_neighbour(&self, index: usize) -> bool {
        index.abs_diff(self.own) == 1
    }

    /// A frame came from server `index`.
    pub fn heard(&mut self, index: usize, now: Instant) {
        if let Some(server) = self.servers.get_mut(index) {
            server.first_heard = server.first_heard.or(Some(now));
            server.heard = Some(now);
            server.refused = None;
        }
    }

    /// An `alive` came from server `index`; whether it is news.
    pub fn alive(&mut self, index: usize, now: Instant) -> bool {
        let news = self.kind(index, now) != Kind::New;
        if let Some(server) = self.servers.get_mut(index) {
            server.alive = Some(now);
        }
        news
    }

    /// A datagram to `address` was refused; whether it is a server's.
    pub fn refused(&mut self, address: SocketAddrV4, now: Instant) -> bool {
        let Some(index) = self.sender(address) else {
            return false;
        };
        if let Some(server) = self.servers.get_mut(index) {
            server.refused = Some(now);
        }
        true
    }

    /// What kind of program server `index` is at the moment.
    pub fn kind(&self, index: usize, now: Instant) -> Kind {
        let Some(server) = self.servers.get(index) else {
            return Kind::Absent;
        };
        let within = |moment: Option<Instant>, span| moment.is_some_and(|at| now.since(at) < span);
        if index == self.own {
            return Kind::Own;
        }
        if within(server.alive, SILENCE) {
            return Kind::New;
        }
        let is_old = match (server.alive, server.first_heard) {
            (Some(_), _) => within(server.heard, SILENCE) && !within(server.alive, REPLACED),
            (None, Some(at)) => now.since(at) >= DOUBT,
            (None, None) => now.since(self.start) >= SILENCE,
        };
        if is_old && !within(server.refused, REFUSED_FOR) {
            Kind::Old
        } else {
            Kind::Absent
        }
    }

    /// When server `index` last sent anything.
    pub fn last_heard(&self, index: usize) -> Option<Instant> {
        self.servers.get(index).and_then(|server| server.heard)
    }

    /// Whether server `index` ever said that it is an own one.
    pub fn was_new(&self, index: usize) -> bool {
        self.servers
            .get(index)
            .is_some_and(|server| server.alive.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> SocketAddrV4 {
        SocketAddrV4::new([127, 0, 0, last].into(), 1000 + u16::from(last))
    }

    fn second(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_table_has_distinct_addresses_and_its_own() {
        assert!(Table::new(&[], 0).is_none());
        assert!(Table::new(&[address(1)], 1).is_none());
        let twice = SocketAddrV4::new(*address(1).ip(), 9);
        assert!(Table::new(&[address(1), twice], 0).is_none());
        assert_eq!(Table::new(&[address(1), address(2)], 1).unwrap().own(), 1);
    }

    #[test]
    fn only_address_and_port_together_are_a_server() {
        let table = Table::new(&[address(1), address(2), address(3)], 0).unwrap();
        assert_eq!(table.sender(address(2)), Some(1));
        assert_eq!(table.sender(address(1)), None, "itself");
        assert_eq!(table.sender(SocketAddrV4::new(*address(2).ip(), 5)), None);
        assert!(table.is_neighbour(1) && !table.is_neighbour(2));
    }

    #[test]
    fn a_server_is_old_only_after_it_had_time_to_say_otherwise() {
        let mut table = Table::new(&[address(1), address(2)], 0).unwrap();
        table.start(second(100));
        assert_eq!(table.kind(1, second(119)), Kind::Absent);
        assert_eq!(table.kind(1, second(120)), Kind::Old, "never heard");
        table.heard(1, second(101));
        assert_eq!(table.kind(1, second(106)), Kind::Absent);
        assert_eq!(table.kind(1, second(107)), Kind::Old);
        assert!(table.alive(1, second(107)));
        assert!(!table.alive(1, second(108)));
        assert_eq!(table.kind(1, second(127)), Kind::New);
        assert_eq!(table.kind(1, second(128)), Kind::Absent, "silent");
        // An existing program was started in its place.
        table.heard(1, second(160));
        assert_eq!(table.kind(1, second(167)), Kind::Absent);
        assert_eq!(table.kind(1, second(168)), Kind::Old);
        assert!(table.refused(address(2), second(169)));
        assert_eq!(table.kind(1, second(173)), Kind::Absent);
        assert_eq!(table.kind(1, second(174)), Kind::Old);
    }

    #[test]
    fn doubt_and_freshness_have_an_end() {
        let mut table = Table::new(&[address(1), address(2)], 0).unwrap();
        table.start(second(100));
        assert!(table.is_in_doubt(second(105)) && !table.is_in_doubt(second(106)));
        assert_eq!(table.pause(second(105)), ASK_EVERY);
        assert_eq!(table.pause(second(106)), ALIVE_EVERY);
        assert!(table.is_fresh(second(119)) && !table.is_fresh(second(120)));
        assert_eq!(table.last_heard(1), None);
        table.heard(1, second(101));
        assert_eq!(table.last_heard(1), Some(second(101)));
        assert!(!table.is_empty());
    }
}
