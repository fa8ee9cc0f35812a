//! `boardroom judge`: is somebody's own implementation right?

use super::client::{Options, bind, networks};
use super::{Command, Failure, Outcome};
use crate::election::wire::{self, Text};
use crate::json;
use crate::judge::exams::{Mouth, Target, VOTE_WAIT};
use crate::judge::{Examiner, Finding, Grade};
use crate::net::output;
use crate::net::reactor::{Handler, Interest, Key, Reactor, Ready};
use crate::net::udp::{Shared, Udp};
use crate::time::Instant;
use core::net::{Ipv4Addr, SocketAddrV4};
use lexopt::Parser;
use std::io;

/// The command.
pub const COMMAND: Command = Command {
    name: "judge",
    summary: "test somebody's own implementation, rule by rule",
    help: HELP,
    run,
};

const HELP: &str = help!(
    "\
Usage: boardroom judge [OPTION]... [PORT]

Plays the client and the other boards against one board, and tells rule by
rule what it does right and what it does wrong, with the bytes.

Options:
  --port PORT           the board's UDP port, the same as PORT (default: 2000)
  --interface NAME      judge on this interface's network (default: the first
                        but loopback; lo judges a board on this machine)
  --to ADDRESS          judge this board (default: the only one that votes)
  --json                print a JSON object a line
  -h, --help            print this help

No other board may run on the network and port meanwhile, and a board with a
key cannot be judged: it believes nobody without it. It takes about half a
minute.

Exit code: 0 all rules right, 1 some wrong or no board votes, 2 wrong usage,
4 cannot judge (no interface, port taken).
"
);

fn run(parser: &mut Parser) -> Outcome {
    let options = Options::read(parser, HELP, false)?;
    let mut mouths = Mouths::open(&options)?;
    let mut reactor = Reactor::new(1);
    mouths.watch(&mut reactor);
    let board = match options.to {
        Some(to) => *to.ip(),
        None => find_the_board(&mut reactor, &mut mouths)?,
    };
    let mut session = Session {
        examiner: Examiner::new(reactor.now(), board),
        board,
        mouths,
        json: options.json,
        wrong: 0,
        failure: None,
    };
    session.speak();
    drive(&mut reactor, &mut session)?;
    match (session.failure, session.wrong) {
        (Some(failure), _) => Err(failure),
        (None, 0) => Ok(0),
        (None, wrong) => Err(Failure::new(
            1,
            format!("{wrong} wrong; docs/protocol.md has the rules"),
        )),
    }
}

fn drive(reactor: &mut Reactor, handler: &mut dyn Handler) -> Result<(), Failure> {
    reactor
        .run(handler)
        .map_err(|error| Failure::cannot(format!("waiting for the board failed: {error}")))
}

/// The judge's sockets: two to speak from, and two more to hear broadcasts.
struct Mouths {
    at_port: Udp,
    other: Udp,
    ears: Vec<Udp>,
    /// In the order: the port, the other, the ears.
    keys: Vec<Key>,
    broadcast: Ipv4Addr,
    port: u16,
}

impl Mouths {
    fn open(options: &Options) -> Result<Self, Failure> {
        let networks = networks(options.interface.as_deref())?;
        let network = match options.to {
            Some(to) => networks.iter().find(|one| one.contains(*to.ip())),
            None => networks.first(),
        };
        let Some(network) = network else {
            return Err(Failure::cannot(
                "the board is on no network of this machine; give --interface",
            ));
        };
        let ear = |at| bind(at, options.port, Shared(true));
        Ok(Self {
            at_port: bind(network.address, options.port, Shared(false))?,
            other: bind(network.address, 0, Shared(false))?,
            ears: vec![ear(network.broadcast)?],
            keys: Vec::new(),
            broadcast: network.broadcast,
            port: options.port,
        })
    }

    fn watch(&mut self, reactor: &mut Reactor) {
        let all = [&self.at_port, &self.other];
        let keys = all
            .into_iter()
            .chain(&self.ears)
            .map(|one| reactor.watch(one, Interest::READ));
        self.keys = keys.collect();
    }

    /// One datagram from the socket behind `key`: who sent it, and whether it
    /// came to the election's port.
    fn hear(&self, key: Key, buffer: &mut [u8]) -> Option<(usize, Ipv4Addr, bool)> {
        let at = self.keys.iter().position(|&one| one == key)?;
        let socket = match at {
            0 => &self.at_port,
            1 => &self.other,
            _ => self.ears.get(at - 2)?,
        };
        let (len, from) = socket.receive(buffer).ok().flatten()?;
        Some((len, *from.ip(), at != 1))
    }

    fn say(&self, mouth: Mouth, to: Ipv4Addr, bytes: &[u8]) -> io::Result<()> {
        let socket = match mouth {
            Mouth::Port => &self.at_port,
            Mouth::Other => &self.other,
        };
        socket.send(SocketAddrV4::new(to, self.port), bytes)
    }
}

/// Holds one election to see who votes.
fn find_the_board(reactor: &mut Reactor, mouths: &mut Mouths) -> Result<Ipv4Addr, Failure> {
    let call = wire::build(Text::Call, true);
    mouths
        .say(Mouth::Port, mouths.broadcast, &call)
        .map_err(|error| {
            Failure::cannot(format!("cannot send to {}: {error}", mouths.broadcast))
        })?;
    let mut census = Census {
        mouths,
        voters: Vec::new(),
        until: Some(reactor.now() + VOTE_WAIT),
    };
    drive(reactor, &mut census)?;
    match census.voters[..] {
        [board] => Ok(board),
        [] => Err(Failure::new(
            1,
            format!(
                "nobody votes: no board hears VOTE on port {}, or its vote does not reach the \
                 broadcast address",
                mouths.port
            ),
        )),
        [first, second, ..] => Err(Failure::cannot(format!(
            "more than one board votes ({first} and {second} among them); stop all but the one \
             to be judged"
        ))),
    }
}

struct Census<'a> {
    mouths: &'a Mouths,
    voters: Vec<Ipv4Addr>,
    until: Option<Instant>,
}

impl Handler for Census<'_> {
    fn ready(&mut self, _reactor: &mut Reactor, key: Key, _ready: Ready) {
        let mut buffer = [0; DATAGRAM_MAX];
        if let Some((len, from, _)) = self.mouths.hear(key, &mut buffer)
            && let Ok(Text::Vote(_)) = wire::parse(buffer.get(..len).unwrap_or_default())
            && !self.voters.contains(&from)
        {
            self.voters.push(from);
        }
    }

    fn end_turn(&mut self, reactor: &mut Reactor, _drained: bool) {
        self.until = self.until.filter(|until| *until > reactor.now());
    }

    fn deadline(&self) -> Option<Instant> {
        self.until
    }

    fn is_finished(&self) -> bool {
        self.until.is_none()
    }
}

struct Session {
    examiner: Examiner,
    board: Ipv4Addr,
    mouths: Mouths,
    json: bool,
    wrong: u32,
    failure: Option<Failure>,
}

impl Session {
    fn speak(&mut self) {
        while let Some(saying) = self.examiner.poll_saying() {
            let to = match saying.target {
                Target::All => self.mouths.broadcast,
                Target::Limited => Ipv4Addr::BROADCAST,
                Target::Board => self.board,
            };
            // What cannot be said here is not heard, and told as such.
            let _ = self.mouths.say(saying.mouth, to, &saying.bytes);
        }
        while let Some(finding) = self.examiner.poll_finding() {
            self.wrong += u32::from(finding.grade == Grade::Wrong);
            let line = if self.json {
                as_json(&finding)
            } else {
                as_text(&finding)
            };
            if let Err(failure) = output::print(&line) {
                self.failure = Some(failure);
            }
        }
    }
}

fn as_text(finding: &Finding) -> String {
    let Finding {
        rule, title, why, ..
    } = finding;
    match finding.grade {
        Grade::Right => format!("right   {rule:<5} {title}"),
        Grade::Wrong => format!("WRONG   {rule:<5} {title}\n              {why}"),
        Grade::Advice => format!("advice  {rule:<5} {title}\n              {why}"),
    }
}

fn as_json(finding: &Finding) -> String {
    let grade = match finding.grade {
        Grade::Right => "right",
        Grade::Wrong => "wrong",
        Grade::Advice => "advice",
    };
    format!(
        r#"{{"grade":"{grade}","rule":"{}","title":{},"why":{}}}"#,
        finding.rule,
        json::string(finding.title),
        json::string(&finding.why)
    )
}

impl Handler for Session {
    fn ready(&mut self, _reactor: &mut Reactor, key: Key, _ready: Ready) {
        let mut buffer = [0; DATAGRAM_MAX];
        if let Some((len, from, at_port)) = self.mouths.hear(key, &mut buffer) {
            self.examiner
                .handle_datagram(from, at_port, buffer.get(..len).unwrap_or_default());
        }
    }

    fn end_turn(&mut self, reactor: &mut Reactor, drained: bool) {
        if drained {
            self.examiner.handle_timeout(reactor.now());
        }
        self.speak();
    }

    fn deadline(&self) -> Option<Instant> {
        self.examiner.poll_timeout()
    }

    fn is_finished(&self) -> bool {
        self.failure.is_some() || self.examiner.poll_timeout().is_none()
    }
}

/// The longest reply of an old program that was seen is 256 bytes.
const DATAGRAM_MAX: usize = 512;
