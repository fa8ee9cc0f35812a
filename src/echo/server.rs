//! The echo server: answers every text over UDP and TCP, and outlives every
//! peer (docs/echo.md).

use super::wire::{self, Transport};
use crate::election::wire::crc32;
use crate::service::{Action, Event, Peer, Service, Turn};
use crate::table::Table;
use crate::text::visible;
use crate::time::{Duration, Instant};
use core::net::SocketAddrV4;
use std::collections::VecDeque;

/// Connections at once. A newcomer to a full table takes the place of the one
/// that has been silent the longest.
pub const PEERS_MAX: usize = 960;
/// How long a read that ends inside a UTF-8 character waits for the rest.
pub const REST_WAIT: Duration = Duration::from_millis(100);
/// The most that is held back while it waits; longer texts are answered as
/// they are.
pub const HELD_MAX: usize = 4_096;
/// Answers a second to requests that read like an answer of such a server:
/// enough for a person, too few for two servers that have been set upon each
/// other by a forged datagram.
pub const ANSWERS_TO_ANSWERS_MAX: u32 = 10;

/// In display mode an answer reads like any text. Two such servers can only be
/// told from a client by their haste: the same text of the same sender is
/// answered at once so often a second. A datagram that bounces between two
/// servers ends with the first answer that fails to come.
pub const SAME_TEXTS_MAX: u32 = 100;
/// From here on systems give ports to clients, which may repeat themselves as
/// fast as they are answered: they are answered this much later instead.
pub const CLIENT_PORTS: u16 = 32_768;
/// See [`CLIENT_PORTS`]. A server with such a port bounces no faster either.
pub const LATER: Duration = Duration::from_millis(10);
/// So many answers wait for their time; further ones never come.
pub const LATE_MAX: usize = 64;
/// So many texts are counted so in a second; those beyond are in the next.
const SAME_TEXTS_KEPT: usize = 32;

/// Below this no client has its port; echo, chargen and their like have.
const SYSTEM_PORTS: u16 = 1_024;

/// What the server does with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Answers whether it is alphanumeric, and prints what came and went.
    Judge,
    /// Prints the text and sends the same bytes back.
    Display,
}

/// The server's state.
pub struct Server {
    mode: Mode,
    quiet: bool,
    port: u16,
    peers: Table<Peer, Connection>,
    peers_max: usize,
    /// Not after the first `due` of any connection.
    next_due: Option<Instant>,
    answers_to_answers: (Instant, u32),
    /// The second that is counted, and whose text came how often in it.
    same_texts: (Instant, Vec<SameText>),
    /// Answers that wait, the next one first.
    late: VecDeque<(Instant, SocketAddrV4, Vec<u8>)>,
    counters: Counters,
}

struct SameText {
    from: SocketAddrV4,
    sum: u32,
    count: u32,
}

struct Connection {
    address: SocketAddrV4,
    heard: Instant,
    /// A read that ended inside a character.
    held: Vec<u8>,
    /// When `held` is answered as it is.
    due: Option<Instant>,
}

/// What the server has seen; printed on SIGUSR1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams received.
    pub datagrams: u64,
    /// Connections opened.
    pub connections: u64,
    /// Connections closed to make room for newcomers.
    pub crowded_out: u64,
    /// Texts received over TCP.
    pub texts: u64,
    /// Datagrams longer than 2,048 bytes.
    pub cut: u64,
    /// Datagrams not answered, because a server like this one sent them.
    pub from_servers: u64,
}

impl Server {
    /// A server that has not started.
    pub fn new(mode: Mode, quiet: bool) -> Self {
        Self {
            mode,
            quiet,
            port: 0,
            peers: Table::new(),
            peers_max: PEERS_MAX,
            next_due: None,
            answers_to_answers: (Instant::ZERO, 0),
            same_texts: (Instant::ZERO, Vec::new()),
            late: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    fn datagram(&mut self, from: SocketAddrV4, bytes: &[u8], turn: &mut Turn<'_>) {
        self.counters.datagrams += 1;
        let text = wire::request(bytes);
        if text.len() < bytes.len() {
            self.counters.cut += 1;
        }
        if self.comes_from_a_server(from, text, turn.now) {
            self.counters.from_servers += 1;
            return;
        }
        let is_hasty = self.mode == Mode::Display && self.bounces(from, text, turn.now);
        if is_hasty && (from.port() < CLIENT_PORTS || self.late.len() >= LATE_MAX) {
            self.counters.from_servers += 1;
            return;
        }
        let bytes = self.answer(from, Transport::Udp, text, turn);
        if is_hasty {
            self.late.push_back((turn.now + LATER, from, bytes));
        } else {
            turn.push(Action::Send { to: from, bytes });
        }
    }

    /// Two servers that answer everything would talk for ever: who sends from
    /// this server's port number, or from a port of the system's services, is
    /// taken for one.
    fn comes_from_a_server(&mut self, from: SocketAddrV4, text: &[u8], now: Instant) -> bool {
        if from.port() == self.port || from.port() < SYSTEM_PORTS {
            return true;
        }
        let reads_like_an_answer = self.mode == Mode::Judge
            && (text == wire::NOT_ALPHANUMERIC.as_bytes()
                || text == wire::alphanumeric(Transport::Udp).as_bytes());
        if !reads_like_an_answer {
            return false;
        }
        if now - self.answers_to_answers.0 >= Duration::from_secs(1) {
            self.answers_to_answers = (now, 0);
        }
        self.answers_to_answers.1 = self.answers_to_answers.1.saturating_add(1);
        self.answers_to_answers.1 > ANSWERS_TO_ANSWERS_MAX
    }

    /// Whether this text comes from this sender as fast as a bounce.
    fn bounces(&mut self, from: SocketAddrV4, text: &[u8], now: Instant) -> bool {
        let (since, kept) = &mut self.same_texts;
        if now - *since >= Duration::from_secs(1) {
            *since = now;
            kept.clear();
        }
        let sum = crc32(text);
        let same = |one: &&mut SameText| one.from == from && one.sum == sum;
        if let Some(known) = kept.iter_mut().find(same) {
            known.count = known.count.saturating_add(1);
            return known.count > SAME_TEXTS_MAX;
        }
        if kept.len() < SAME_TEXTS_KEPT {
            kept.push(SameText {
                from,
                sum,
                count: 1,
            });
        }
        false
    }

    /// Prints the text and gives the bytes that answer it.
    fn answer(
        &self,
        from: SocketAddrV4,
        transport: Transport,
        text: &[u8],
        turn: &mut Turn<'_>,
    ) -> Vec<u8> {
        let road = transport.name();
        match self.mode {
            Mode::Display => {
                if !self.quiet {
                    turn.print(visible(text));
                }
                text.to_vec()
            }
            Mode::Judge => {
                let answer = wire::answer(text, transport);
                if !self.quiet {
                    turn.print(format!("{road} {from}: received \"{}\"", visible(text)));
                    turn.print(format!("{road} {from}: sent \"{answer}\""));
                }
                answer.as_bytes().to_vec()
            }
        }
    }

    fn opened(&mut self, peer: Peer, address: SocketAddrV4, turn: &mut Turn<'_>) {
        self.counters.connections += 1;
        if self.peers.len() >= self.peers_max {
            let silent = self.peers.iter().min_by_key(|(_, c)| c.heard);
            if let Some((silent, _)) = silent {
                self.peers.remove(silent);
                self.counters.crowded_out += 1;
                turn.push(Action::Close { peer: silent });
            }
        }
        let connection = Connection {
            address,
            heard: turn.now,
            held: Vec::new(),
            due: None,
        };
        self.peers.insert(peer, connection);
    }

    fn bytes(&mut self, peer: Peer, bytes: &[u8], turn: &mut Turn<'_>) {
        let Some(connection) = self.peers.get_mut(peer) else {
            return;
        };
        connection.heard = turn.now;
        connection.held.extend_from_slice(bytes);
        if connection.held.len() <= HELD_MAX && wire::ends_inside_a_character(&connection.held) {
            connection.due = connection.due.or(Some(turn.now + REST_WAIT));
            self.next_due = self.next_due.or(connection.due);
        } else {
            self.answer_held(peer, turn);
        }
    }

    /// Answers what has come, complete or not.
    fn answer_held(&mut self, peer: Peer, turn: &mut Turn<'_>) {
        let Some(connection) = self.peers.get_mut(peer) else {
            return;
        };
        connection.due = None;
        let text = core::mem::take(&mut connection.held);
        if text.is_empty() {
            return;
        }
        let address = connection.address;
        self.counters.texts += 1;
        let bytes = self.answer(address, Transport::Tcp, &text, turn);
        turn.push(Action::Write { peer, bytes });
    }

    fn timer(&mut self, turn: &mut Turn<'_>) {
        while self.late.front().is_some_and(|late| late.0 <= turn.now)
            && let Some((_, to, bytes)) = self.late.pop_front()
        {
            turn.push(Action::Send { to, bytes });
        }
        let due: Vec<Peer> = self
            .peers
            .iter()
            .filter(|(_, connection)| connection.due.is_some_and(|due| due <= turn.now))
            .map(|(peer, _)| peer)
            .collect();
        for peer in due {
            self.answer_held(peer, turn);
        }
        self.next_due = self.peers.iter().filter_map(|(_, c)| c.due).min();
    }

    fn report(&self, turn: &mut Turn<'_>) {
        let Counters {
            datagrams,
            connections,
            crowded_out,
            texts,
            cut,
            from_servers,
        } = self.counters;
        let open = self.peers.len();
        turn.print(format!(
            "UDP: texts {datagrams}, cut at {} bytes {cut}, from servers {from_servers}",
            wire::TEXT_MAX
        ));
        turn.print(format!(
            "TCP: connections {connections}, open {open}, crowded out {crowded_out}, texts {texts}"
        ));
    }
}

impl Service for Server {
    fn handle(&mut self, event: Event<'_>, turn: &mut Turn<'_>) {
        match event {
            Event::Start { port } => {
                self.port = port;
                turn.print(format!("listening on UDP and TCP port {port}"));
            }
            Event::Datagram { from, bytes } => self.datagram(from, bytes, turn),
            Event::Opened { peer, address } => self.opened(peer, address, turn),
            Event::Bytes { peer, bytes } => self.bytes(peer, bytes, turn),
            Event::HalfClosed { peer } => {
                self.answer_held(peer, turn);
                if self.peers.remove(peer).is_some() {
                    turn.push(Action::Close { peer });
                }
            }
            Event::Closed { peer } => {
                self.peers.remove(peer);
            }
            Event::Timer => self.timer(turn),
            Event::Report => self.report(turn),
            Event::Stop => turn.push(Action::Exit(0)),
            Event::Refused { .. }
            | Event::ConnectFailed { .. }
            | Event::Master { .. }
            | Event::Line { .. }
            | Event::InputEnded
            | Event::JournalFailed => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let late = self.late.front().map(|late| late.0);
        late.into_iter().chain(self.next_due).min()
    }

    fn set_room(&mut self, connections: usize) {
        // Those that were let go take a while to leave.
        self.peers_max = PEERS_MAX.min(connections - connections / 8);
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
