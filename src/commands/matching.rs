//! `boardroom match`: the tracker, its servers and its clients.

use super::{Command, Failure, Outcome, options};
use crate::matching::client::{self, Client};
use crate::matching::link::Zeal;
use crate::matching::server::{self, Server};
use crate::matching::tracker::{self, Tracker};
use crate::matching::wire::{self, Number};
use crate::matching::{PORT, ROUNDS};
use crate::net::host::{self, Setup};
use crate::service::{Event, Server as Place, Service, Turn};
use crate::time::Instant;
use core::net::{Ipv4Addr, SocketAddrV4};
use lexopt::{Arg, Parser};
use std::cell::Cell;
use std::rc::Rc;

/// The command.
pub const COMMAND: Command = Command {
    name: "match",
    summary: "find the servers that hold a number: tracker, server, client, run",
    help: HELP,
    run,
};

const HELP: &str = "\
Usage: boardroom match run -n N [--rounds R]
       boardroom match tracker [OPTION]...
       boardroom match server NAME [OPTION]...
       boardroom match client NAME [OPTION]...

A tracker tells clients which servers hold the number that they look for: each
server holds one from 1 to 10. `run` is the whole exercise in one process: a
tracker on a free port, N servers S1, S2, ... and N clients C1, C2, ...

Options:
  -n N                  run: so many servers and as many clients, 2 to 1000
  --port PORT           tracker: listen on this port, 0 for a free one
                        server, client: the tracker's port (default: 8080)
  --number N            server: hold this number (default: it is drawn)
  --find N              client: look for this number (default: drawn anew in
                        each round)
  --rounds R            run, client: ask so many times (default: 5)
  --server A            server, client: where the tracker is: an address, with
                        :PORT if need be, or `auto` for the LAN's master
                        (default: 127.0.0.1)
  --interface IFACE     ask for the master on this interface only
  --election-port PORT  the election's port, for `auto` (default: 2000)
  --wait                server, client: wait for a tracker that is not there
                        yet, instead of saying so and ending
  -q, --quiet           print results only, not every message
  -h, --help            print this help

Servers and clients come back to a tracker that they have lost: a server
always, a client for 30 seconds. SIGUSR1 has the tracker print its counters.

Exit code: 0 done, 1 nobody held the number of --find, or no master answered,
2 wrong usage, 4 cannot (no tracker, name taken, port taken).
";

fn run(parser: &mut Parser) -> Outcome {
    let (role, given) = Given::read(parser)?;
    match role {
        Role::Tracker => host::run(vec![given.tracker(PORT, None)]),
        Role::Server => {
            let name = given.name("server")?;
            host::run(vec![given.server(name, given.place()?, given.zeal())])
        }
        Role::Client => {
            let name = given.name("client")?;
            host::run(vec![given.client(name, given.place()?, given.zeal())])
        }
        Role::Run => exercise(given),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Run,
    Tracker,
    Server,
    Client,
}

/// What the command line says.
#[derive(Default)]
struct Given {
    name: Option<String>,
    count: Option<usize>,
    port: Option<u16>,
    number: Option<Number>,
    find: Option<Number>,
    rounds: Option<u32>,
    server: Option<String>,
    interface: Option<String>,
    election_port: Option<u16>,
    wait: bool,
    quiet: bool,
}

impl Given {
    fn read(parser: &mut Parser) -> Result<(Role, Self), Failure> {
        let mut given = Self::default();
        let mut role = None;
        while let Some(argument) = parser.next()? {
            use Role::{Client, Run, Server, Tracker};
            match (argument, role) {
                (Arg::Long("help") | Arg::Short('h'), _) => return Err(Failure::help(HELP)),
                (Arg::Long("quiet") | Arg::Short('q'), _) => given.quiet = true,
                (Arg::Value(word), None) => role = Some(role_of(&word.to_string_lossy())?),
                (Arg::Value(word), Some(Server | Client)) if given.name.is_none() => {
                    given.name = Some(word.to_string_lossy().into());
                }
                (Arg::Short('n'), Some(Run)) => {
                    let text = options::text(parser, "-n")?;
                    given.count = Some(options::number("-n", &text, 2, COUNT_MAX)? as usize);
                }
                (Arg::Long("port"), Some(Tracker)) => {
                    given.port = Some(options::port_or_free(&options::text(parser, "--port")?)?);
                }
                (Arg::Long("port"), Some(Server | Client)) => {
                    given.port = Some(options::port(&options::text(parser, "--port")?)?);
                }
                (Arg::Long("number"), Some(Server)) => {
                    given.number = number("--number", &options::text(parser, "--number")?)?;
                }
                (Arg::Long("find"), Some(Client)) => {
                    given.find = number("--find", &options::text(parser, "--find")?)?;
                }
                (Arg::Long("rounds"), Some(Run | Client)) => {
                    let text = options::text(parser, "--rounds")?;
                    let rounds = options::number("--rounds", &text, 1, ROUNDS_MAX)?;
                    given.rounds = Some(rounds as u32);
                }
                (Arg::Long("server"), Some(Server | Client)) => {
                    given.server = Some(options::text(parser, "--server")?);
                }
                (Arg::Long("interface"), Some(Server | Client)) => {
                    given.interface = Some(options::text(parser, "--interface")?);
                }
                (Arg::Long("election-port"), Some(Server | Client)) => {
                    let text = options::text(parser, "--election-port")?;
                    given.election_port = Some(options::port(&text)?);
                }
                (Arg::Long("wait"), Some(Server | Client)) => given.wait = true,
                (other, _) => return Err(other.unexpected().into()),
            }
        }
        let role = role.ok_or_else(|| no_role("no role given"))?;
        Ok((role, given))
    }

    fn name(&self, role: &str) -> Result<String, Failure> {
        let name = self.name.as_deref().ok_or_else(|| {
            Failure::usage(format!(
                "no name given; `boardroom match {role} NAME`, such as S1"
            ))
        })?;
        if !wire::is_name(name) {
            return Err(Failure::usage(format!(
                "no name {name:?}: give 1 to {} bytes without blanks",
                wire::NAME_MAX
            )));
        }
        Ok(name.into())
    }

    fn place(&self) -> Result<Place, Failure> {
        let port = self.port.unwrap_or(PORT);
        match &self.server {
            Some(text) => options::server(text, port),
            None => Ok(Place::At(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))),
        }
    }

    const fn zeal(&self) -> Zeal {
        if self.wait { Zeal::Wait } else { Zeal::Return }
    }

    fn setup(&self) -> Setup {
        let mut setup = Setup::new();
        setup.master.interface.clone_from(&self.interface);
        setup.master.port = self.election_port.unwrap_or(setup.master.port);
        setup
    }

    fn tracker(&self, port: u16, exercise: Option<usize>) -> Hosted {
        let (address, port) = match exercise {
            Some(_) => (Ipv4Addr::LOCALHOST, 0),
            None => (Ipv4Addr::UNSPECIFIED, self.port.unwrap_or(port)),
        };
        let mut setup = self.setup();
        setup.tcp = Some(SocketAddrV4::new(address, port));
        let tracker = Tracker::new(tracker::Options {
            quiet: self.quiet,
            exercise,
        });
        (Box::new(tracker), setup)
    }

    fn server(&self, name: String, place: Place, zeal: Zeal) -> Hosted {
        let server = Server::new(server::Options {
            name,
            number: self.number,
            place,
            zeal,
            quiet: self.quiet,
        });
        (Box::new(server), self.setup())
    }

    fn client(&self, name: String, place: Place, zeal: Zeal) -> Hosted {
        let client = Client::new(client::Options {
            name,
            rounds: self.rounds.unwrap_or(ROUNDS),
            find: self.find,
            place,
            zeal,
            quiet: self.quiet,
        });
        let mut setup = self.setup();
        setup.exit_with_output = true;
        (Box::new(client), setup)
    }
}

type Hosted = (Box<dyn Service>, Setup);

fn role_of(word: &str) -> Result<Role, Failure> {
    match word {
        "run" => Ok(Role::Run),
        "tracker" => Ok(Role::Tracker),
        "server" => Ok(Role::Server),
        "client" => Ok(Role::Client),
        _ => Err(no_role(&format!("no role {word:?}"))),
    }
}

fn no_role(what: &str) -> Failure {
    Failure::usage(format!(
        "{what}; give run, tracker, server or client, then the options"
    ))
}

fn number(option: &str, text: &str) -> Result<Option<Number>, Failure> {
    let value = options::number(option, text, 1, Number::COUNT as u64)?;
    Ok(Number::new(value as u8))
}

/// Tracker, servers and clients in one process. The host starts them in this
/// order, so the tracker's port is known when the others start.
fn exercise(given: Given) -> Outcome {
    let Some(count) = given.count else {
        return Err(Failure::usage(
            "run: give -n, how many servers and clients there are, at least 2",
        ));
    };
    let port = Rc::new(Cell::new(0));
    let (tracker, mut setup) = given.tracker(0, Some(count));
    let told = Rc::clone(&port);
    setup.exit_with_output = true;
    setup.lossless = true;
    let all = setup.clone();
    let mut services: Vec<Hosted> = vec![(Box::new(Announced(tracker, told)), setup)];
    let given = Rc::new(given);
    for (letter, make) in [("S", Given::server as Make), ("C", Given::client)] {
        for i in 1..=count {
            let later = Later {
                name: format!("{letter}{i}"),
                given: Rc::clone(&given),
                make,
                port: Rc::clone(&port),
                service: None,
            };
            let mut setup = all.clone();
            setup.tcp = None;
            services.push((Box::new(later), setup));
        }
    }
    host::run(services)
}

type Make = fn(&Given, String, Place, Zeal) -> Hosted;

/// A service whose port others want to know.
struct Announced(Box<dyn Service>, Rc<Cell<u16>>);

impl Service for Announced {
    fn handle(&mut self, event: Event<'_>, turn: &mut Turn<'_>) {
        if let Event::Start { port } = event {
            self.1.set(port);
        }
        self.0.handle(event, turn);
    }

    fn deadline(&self) -> Option<Instant> {
        self.0.deadline()
    }
}

/// A server or client of an exercise, made when it starts: only then is the
/// tracker's port known.
struct Later {
    name: String,
    given: Rc<Given>,
    make: Make,
    port: Rc<Cell<u16>>,
    service: Option<Box<dyn Service>>,
}

impl Service for Later {
    fn handle(&mut self, event: Event<'_>, turn: &mut Turn<'_>) {
        let (name, port) = (&self.name, self.port.get());
        let service = self.service.get_or_insert_with(|| {
            let place = Place::At(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
            (self.make)(&self.given, name.clone(), place, Zeal::Once).0
        });
        service.handle(event, turn);
    }

    fn deadline(&self) -> Option<Instant> {
        self.service.as_ref()?.deadline()
    }
}

const COUNT_MAX: u64 = 1_000;
const ROUNDS_MAX: u64 = 1_000_000_000;
