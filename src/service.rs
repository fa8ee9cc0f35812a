//! The vocabulary of the four services: what can happen to one, and what it
//! may ask for.
//!
//! A service is a pure state machine. The net layer's host
//! ([`crate::net::host`]) owns its sockets, its standard input and output and
//! its clock; a test plays the same part with a script. Turn by turn:
//!
//! ```text
//! bytes, connections, lines, timers ──► Event ──► Service ──► Actions ──► host
//! ```

use crate::rng::Entropy;
use crate::time::Instant;
use core::net::{Ipv4Addr, SocketAddrV4};

/// A connection's number: given by the host, never used twice in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(pub u32);

/// What happens to a service.
#[allow(missing_docs)] // each variant's text tells its fields
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The first event of all: the sockets are open. `port` is the one bound,
    /// also where port 0 was asked for (0 when the service binds none).
    Start { port: u16 },
    /// The deadline that the service gave has come.
    Timer,
    /// A datagram on the service's UDP socket.
    Datagram { from: SocketAddrV4, bytes: &'a [u8] },
    /// A datagram sent to `to` was refused: nobody listens there.
    Refused { to: SocketAddrV4 },
    /// A connection came in, or one asked for by [`Action::Connect`] stands.
    Opened { peer: Peer, address: SocketAddrV4 },
    /// A connection asked for did not come to be; `why` is for people.
    ConnectFailed { to: SocketAddrV4, why: &'a str },
    /// Bytes from a connection, cut wherever the network cut them.
    Bytes { peer: Peer, bytes: &'a [u8] },
    /// The peer will send no more, but may still read.
    HalfClosed { peer: Peer },
    /// The connection is gone; its number is void. Not told for a connection
    /// that the service itself closed.
    Closed { peer: Peer },
    /// The answer to [`Action::FindMaster`]: the master's address, or none.
    Master { address: Option<Ipv4Addr> },
    /// A line of standard input, without its newline.
    Line { text: &'a [u8] },
    /// Standard input has ended.
    InputEnded,
    /// An [`Action::Append`] or [`Action::Rewrite`] could not be done. None of
    /// the actions was that [`Turn::actions`] had after the event before.
    JournalFailed,
    /// SIGUSR1: print what there is to know.
    Report,
    /// SIGTERM or SIGINT: say goodbye and exit.
    Stop,
}

/// What a service asks of its host, performed in order.
#[allow(missing_docs)] // each variant's text tells its fields
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a datagram. A send that fails is counted by the host, never fatal.
    Send { to: SocketAddrV4, bytes: Vec<u8> },
    /// Open a connection; [`Event::Opened`] or [`Event::ConnectFailed`] tells.
    Connect { to: SocketAddrV4 },
    /// Write to a connection. What it does not take now waits in the host, up
    /// to the host's limit per peer; a peer beyond it is closed.
    Write { peer: Peer, bytes: Vec<u8> },
    /// Close a connection after all that was written has gone out.
    Close { peer: Peer },
    /// Ask the LAN who is the master; [`Event::Master`] tells.
    FindMaster,
    /// Append bytes to the service's journal and have them on disk before any
    /// later action of this turn is performed (relay's spool).
    Append(Vec<u8>),
    /// Replace the whole journal, atomically.
    Rewrite(Vec<u8>),
    /// A line for standard output, without its newline.
    Print(String),
    /// A line for standard error, without its newline.
    Complain(String),
    /// A prompt for standard output: no newline, flushed at once.
    Prompt(&'static str),
    /// Leave the program with this exit code once everything has gone out.
    Exit(u8),
}

/// The actions of one turn, and the source of random numbers for it.
pub struct Turn<'a> {
    /// The present, read once per turn.
    pub now: Instant,
    /// Random numbers, from the operating system or from a seed.
    pub entropy: &'a mut dyn Entropy,
    /// What the service asks for, in order. What earlier events asked for and
    /// is not done yet stands in front.
    pub actions: &'a mut Vec<Action>,
}

impl Turn<'_> {
    /// Asks the host for one more action.
    pub fn push(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Asks for a line on standard output.
    pub fn print(&mut self, line: impl Into<String>) {
        self.push(Action::Print(line.into()));
    }

    /// Asks for a line on standard error.
    pub fn complain(&mut self, line: impl Into<String>) {
        self.push(Action::Complain(line.into()));
    }
}

/// A service: events in, actions out.
pub trait Service {
    /// Takes one event; pushes onto `turn` what is to be done.
    fn handle(&mut self, event: Event<'_>, turn: &mut Turn<'_>);

    /// When [`Event::Timer`] is wanted next. After a `Timer` it must lie in
    /// the future, or be none: a timer that fires for ever is a busy loop.
    fn deadline(&self) -> Option<Instant>;

    /// Told before the first event: how many connections the host can hold. A
    /// service that lets the longest silent go when its own table is full must
    /// do so earlier where descriptors are few, or newcomers would wait.
    fn set_room(&mut self, _connections: usize) {}

    /// Whether a line of standard input may be handed in now. What is not
    /// wanted yet waits unread, so that a client fed from a large file needs
    /// no queue of its own.
    fn wants_line(&self) -> bool {
        true
    }
}

/// Where a client finds its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// At an address that was given.
    At(SocketAddrV4),
    /// At the LAN's master, whoever that is, on this port (`--server auto`).
    Master {
        /// The service's port there.
        port: u16,
    },
}

impl Server {
    /// At the start: the address if it is known, or else asks the LAN.
    pub fn look_up(self, turn: &mut Turn<'_>) -> Option<SocketAddrV4> {
        match self {
            Self::At(address) => Some(address),
            Self::Master { .. } => {
                turn.push(Action::FindMaster);
                None
            }
        }
    }

    /// When the LAN has answered ([`Event::Master`]): the server's address; or
    /// says that there is none, and leaves with exit code 1.
    pub fn found(self, master: Option<Ipv4Addr>, turn: &mut Turn<'_>) -> Option<SocketAddrV4> {
        match (self, master) {
            (Self::At(address), _) => Some(address),
            (Self::Master { port }, Some(master)) => Some(SocketAddrV4::new(master, port)),
            (Self::Master { .. }, None) => {
                turn.complain(
                    "no master answered WHOIS: give --server an address, or start a board \
                     with `boardroom serve` and elect one with `boardroom vote`",
                );
                turn.push(Action::Exit(1));
                None
            }
        }
    }
}
