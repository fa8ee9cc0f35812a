//! What `whois` and `vote` share: their options, their sockets and how the
//! answers are printed.

use super::options::{self, To};
use super::{Failure, Outcome};
use crate::election::Keys;
use crate::election::client::{Heard, Question, TIMEOUT, Verdict};
use crate::json;
use crate::net::interfaces::{self, Interface};
use crate::net::output;
use crate::net::reactor::{Handler, Interest, Key, Reactor, Ready};
use crate::net::udp::{Shared, Udp};
use crate::text::quoted;
use crate::time::{Duration, Instant};
use core::net::{Ipv4Addr, SocketAddrV4};
use lexopt::Parser;

/// The election's port, unless told.
pub const PORT: u16 = 2000;

/// The options of a client of the election.
pub struct Options {
    pub(super) port: u16,
    pub(super) interface: Option<String>,
    pub(super) to: Option<SocketAddrV4>,
    timeout: Duration,
    newline: bool,
    pub(super) json: bool,
    keys: Option<Keys>,
}

impl Options {
    /// Reads them; `help` is what `--help` prints. `--timeout`, `--key-file` and
    /// `--no-newline` only where the command `asks`.
    pub fn read(parser: &mut Parser, help: &str, asks: bool) -> Result<Self, Failure> {
        let mut to = None;
        let mut timeout = None;
        let mut read = Self {
            port: PORT,
            interface: None,
            to: None,
            timeout: TIMEOUT,
            newline: true,
            json: false,
            keys: None,
        };
        let mut of_askers = [
            ("--timeout", To::Time(&mut timeout, TIMEOUTS)),
            ("--key-file", To::Keys(&mut read.keys)),
            ("--no-newline", To::No(&mut read.newline)),
        ];
        options::read(
            parser,
            help,
            &mut [
                &mut options::boards_port(&mut read.port),
                &mut [
                    ("--interface", To::Text(&mut read.interface)),
                    ("--to", To::Text(&mut to)),
                    ("--json", To::Yes(&mut read.json)),
                ],
                if asks { &mut of_askers } else { &mut [] },
            ],
        )?;
        if to.is_some() && read.interface.is_some() {
            return Err(Failure::usage(
                "--to and --interface are two ways to say where the question goes: give one",
            ));
        }
        if let Some(text) = to {
            read.to = Some(options::address_and_port("--to", &text, read.port)?);
        }
        read.timeout = timeout.unwrap_or(TIMEOUT);
        Ok(read)
    }
}

/// The networks of the interface named, else of every interface but loopback;
/// one at least.
pub fn networks(interface: Option<&str>) -> Result<Vec<Interface>, Failure> {
    let all = interfaces::list()
        .map_err(|error| Failure::cannot(format!("the interfaces cannot be read: {error}")))?;
    let ours: Vec<Interface> = all
        .into_iter()
        .filter(|one| interface.map_or(!one.is_loopback, |name| one.name == name))
        .collect();
    match interface {
        _ if !ours.is_empty() => Ok(ours),
        None => Err(Failure::cannot(
            "no interface is up that can broadcast; give --interface (lo for boards on this \
             machine)",
        )),
        Some(name) if interfaces::exists(name) => Err(Failure::cannot(format!(
            "interface {} is down or has no IPv4 address that can broadcast",
            quoted(name)
        ))),
        Some(name) => Err(Failure::cannot(format!(
            "no interface {} here; `ip addr` lists them",
            quoted(name)
        ))),
    }
}

/// Where to broadcast in these networks, each once.
pub fn broadcasts(networks: &[Interface], port: u16) -> Vec<SocketAddrV4> {
    let mut all: Vec<SocketAddrV4> = networks
        .iter()
        .map(|one| SocketAddrV4::new(one.broadcast, port))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

const TIMEOUTS: &[Duration; 2] = &[Duration::from_millis(1), Duration::from_secs(3_600)];

/// Runs `whois` to its exit code.
pub fn whois(options: &Options) -> Outcome {
    let to = match options.to {
        Some(to) => vec![to],
        None => broadcasts(&networks(options.interface.as_deref())?, options.port),
    };
    let sockets = vec![bind(Ipv4Addr::UNSPECIFIED, 0, Shared(false))?];
    let asked = ask(options, sockets, to, Question::whois)?;
    match asked.verdict() {
        Verdict::Nobody if options.keys.is_some() => Err(Failure::new(
            1,
            format!(
                "nobody with this key says that it is the master within {}",
                options.timeout
            ),
        )),
        Verdict::Nobody => Err(Failure::new(
            1,
            format!(
                "nobody is the master: no answer within {}; `boardroom vote` holds an election",
                options.timeout
            ),
        )),
        Verdict::One(_) => Ok(0),
        Verdict::Several => Err(several("`boardroom vote` holds an election among them")),
    }
}

/// Runs `vote` to its exit code.
pub fn vote(options: &Options) -> Outcome {
    let (to, sockets, hears_votes) = match options.to {
        Some(to) => {
            let socket = bind_or_any(Ipv4Addr::UNSPECIFIED, options.port)?;
            // Whether votes come by here depends on where that is.
            (to, vec![socket], false)
        }
        None => {
            // An election is held on one network: the one that `serve` takes.
            let networks = networks(options.interface.as_deref())?;
            let Some(one) = networks.first() else {
                return Err(Failure::cannot("no interface is up that can broadcast"));
            };
            let mut sockets = vec![bind_or_any(one.address, options.port)?];
            // Votes are broadcast to the election's port: heard here even if a
            // board of this machine owns that port.
            let to = SocketAddrV4::new(one.broadcast, options.port);
            let broadcast = Udp::bind(to, Shared(true));
            let hears_votes = broadcast.is_ok();
            sockets.extend(broadcast);
            sockets.extend(bind(Ipv4Addr::BROADCAST, options.port, Shared(true)));
            (to, sockets, hears_votes)
        }
    };
    let asked = ask(options, sockets, vec![to], Question::vote)?;
    if hears_votes && asked.votes().is_empty() && asked.verdict() != Verdict::Nobody {
        super::tell(&unvoted(options.keys.is_some()));
    }
    match asked.verdict() {
        Verdict::Nobody if !asked.met_somebody() => Err(Failure::new(
            1,
            format!("no board on {to} has this key: nobody can be called upon"),
        )),
        Verdict::Nobody if asked.votes().is_empty() => Err(Failure::new(
            1,
            format!("nobody votes and nobody is the master: no board hears on {to}"),
        )),
        Verdict::Nobody => Err(Failure::new(
            1,
            "there are votes, but nobody says that it is the master",
        )),
        Verdict::One(_) => Ok(0),
        Verdict::Several => Err(several(
            "hold the election again, and see whether all of them hear each other",
        )),
    }
}

/// There is a master, but nobody voted: it is no failure, yet no election.
fn unvoted(with_key: bool) -> Failure {
    let mut told = String::from("no vote was heard: that is the master of an earlier election");
    if !with_key {
        told.push_str(" (boards with a key count only calls signed with it: --key-file)");
    }
    Failure::new(0, told)
}

fn several(what_to_do: &str) -> Failure {
    Failure::new(
        3,
        format!("more than one board says that it is the master; {what_to_do}"),
    )
}

/// A socket for asking or hearing.
pub fn bind(address: Ipv4Addr, port: u16, shared: Shared) -> Result<Udp, Failure> {
    Udp::bind(SocketAddrV4::new(address, port), shared)
        .map_err(|error| Failure::cannot(format!("no UDP socket on {address}:{port}: {error}")))
}

/// Old programs send their votes to the asker's port: it is the election's own
/// where that can be had, else any.
fn bind_or_any(address: Ipv4Addr, port: u16) -> Result<Udp, Failure> {
    bind(address, port, Shared(false)).or_else(|_| bind(Ipv4Addr::UNSPECIFIED, 0, Shared(false)))
}

/// Puts the question from the first of `sockets` to each of `to`, hears on all
/// of them until it is over, and prints what is heard.
fn ask(
    options: &Options,
    sockets: Vec<Udp>,
    to: Vec<SocketAddrV4>,
    question: fn(Instant, Duration, bool) -> Question,
) -> Result<Question, Failure> {
    let mut reactor = Reactor::new(BUSY_TURNS_MAX);
    let mut keys = Vec::new();
    for socket in &sockets {
        keys.push(reactor.watch(socket, Interest::READ));
    }
    let asked = question(reactor.now(), options.timeout, options.newline);
    let mut asker = Asker {
        question: match &options.keys {
            Some(keys) => asked.with_key(reactor.now(), keys),
            None => asked,
        },
        sockets,
        keys,
        to,
        json: options.json,
        failure: None,
    };
    asker.transmit();
    reactor
        .run(&mut asker)
        .map_err(|error| Failure::cannot(format!("waiting for answers failed: {error}")))?;
    match asker.failure {
        Some(failure) => Err(failure),
        None => Ok(asker.question),
    }
}

/// After so many turns with input in a row the timers run all the same.
const BUSY_TURNS_MAX: u32 = 64;

struct Asker {
    question: Question,
    /// The first one sends.
    sockets: Vec<Udp>,
    keys: Vec<Key>,
    to: Vec<SocketAddrV4>,
    json: bool,
    failure: Option<Failure>,
}

impl Asker {
    fn transmit(&mut self) {
        let (Some(outgoing), Some(socket)) = (self.question.poll_transmit(), self.sockets.first())
        else {
            return;
        };
        let mut sent = false;
        let mut why = None;
        let to = outgoing
            .to
            .as_ref()
            .map_or(&*self.to, core::slice::from_ref);
        for &to in to {
            match socket.send(to, &outgoing.bytes) {
                Ok(()) => sent = true,
                Err(error) => why = Some(format!("cannot send to {to}: {error}")),
            }
        }
        if let (false, Some(why)) = (sent, why) {
            self.failure = Some(Failure::cannot(why));
        }
    }

    fn print(&mut self, heard: &Heard) {
        let line = if self.json {
            as_json(heard)
        } else {
            as_text(heard)
        };
        if let Err(failure) = output::print(&line) {
            self.failure = Some(failure);
        }
    }
}

fn as_text(heard: &Heard) -> String {
    match heard {
        Heard::Vote(rank) => format!("{} votes {}", rank.address, rank.vote),
        Heard::Master {
            name,
            address,
            standing,
        } => {
            let mut line = format!("{name} on board {address} is the master");
            if let Some(standing) = standing {
                line.push_str(&format!(" ({})", standing.name()));
            }
            line
        }
    }
}

fn as_json(heard: &Heard) -> String {
    match heard {
        Heard::Vote(rank) => format!(
            r#"{{"event":"vote","address":"{}","vote":{}}}"#,
            rank.address, rank.vote
        ),
        Heard::Master {
            name,
            address,
            standing,
        } => {
            let proof = standing.map_or(String::new(), |standing| {
                format!(r#","proof":"{}""#, standing.name())
            });
            format!(
                r#"{{"event":"master","address":"{address}","name":{}{proof}}}"#,
                json::string(name)
            )
        }
    }
}

impl Handler for Asker {
    fn ready(&mut self, reactor: &mut Reactor, key: Key, _ready: Ready) {
        let at = self.keys.iter().position(|&one| one == key);
        let Some(socket) = at.and_then(|at| self.sockets.get(at)) else {
            return;
        };
        let mut buffer = [0; DATAGRAM_MAX];
        match socket.receive(&mut buffer) {
            Ok(Some((len, from))) => {
                let bytes = buffer.get(..len).unwrap_or_default();
                if let Some(heard) = self.question.handle_datagram(reactor.now(), from, bytes) {
                    self.print(&heard);
                }
            }
            Ok(None) => {}
            Err(error) => {
                self.failure = Some(Failure::cannot(format!("receiving failed: {error}")));
            }
        }
    }

    fn end_turn(&mut self, reactor: &mut Reactor, drained: bool) {
        if drained {
            self.question.handle_timeout(reactor.now());
        }
        while let Some(heard) = self.question.poll_heard() {
            self.print(&heard);
        }
        self.transmit();
    }

    fn deadline(&self) -> Option<Instant> {
        self.question.poll_timeout()
    }

    fn is_finished(&self) -> bool {
        self.failure.is_some() || self.question.poll_timeout().is_none()
    }
}

/// What is read of a datagram: the longest answer seen of old programs has 256
/// bytes.
pub const DATAGRAM_MAX: usize = 512;
