//! `boardroom match`: the tracker, its servers and its clients.

use super::options::{self, ListenOptions, ServerOptions, To};
use super::{Command, Failure, Outcome};
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
use lexopt::Parser;
use std::cell::Cell;
use std::rc::Rc;

/// The command.
pub const COMMAND: Command = Command {
    name: "match",
    summary: "find who holds a number (tracker, server, client, or run them all)",
    help: HELP,
    run,
};

const HELP: &str = help!(
    "\
Usage: boardroom match run -n N [OPTION]...
       boardroom match tracker [OPTION]...
       boardroom match server NAME [OPTION]...
       boardroom match client NAME [OPTION]...

Each server holds a number from 1 to 10; clients ask the tracker who holds the
number that they look for. `run` is the whole exercise in one process: a
tracker on a free port, N servers S1, S2, ... and N clients C1, C2, ...

Run options:
  -n N                  so many servers and as many clients, from 2 to 1000
  --rounds N            each client asks so many times (default: 5)
  --quiet               print results only, not every message

Tracker options:
  --port PORT           listen on this TCP port, 0 for a free one (default:
                        8080)
  --address IP          listen on this address of the machine only (default:
                        on all)
  --quiet               do not print what is received and sent

Server and client options:
  --number N            server: hold this number (default: it is drawn)
  --find N              client: look for this number (default: drawn anew in
                        each round)
  --rounds N            client: ask so many times (default: 5)
  --server ADDRESS      the tracker's IPv4 address, or auto for the network's
                        master (default: 127.0.0.1)
  --port PORT           the tracker's port (default: 8080)
  --interface NAME      with auto: ask for the master on this interface only
  --election-port PORT  with auto: the boards' UDP port (default: 2000)
  --key-file FILE       with auto: believe only a master that has this key
  --wait                wait for a tracker that is not there yet, instead of
                        saying so and ending
  --quiet               print results only, not every message
  -h, --help            print this help

Servers and clients come back to a tracker that they have lost: a server
always, a client for 30 seconds. On SIGUSR1 a tracker prints its counters.

Exit code: 0 done, 1 nobody held the number of --find, or no master answered,
2 wrong usage, 4 no tracker, name taken, port taken.
"
);

fn run(parser: &mut Parser) -> Outcome {
    match options::role(parser, HELP, &["run", "tracker", "server", "client"])? {
        "run" => exercise(parser),
        "tracker" => tracker(parser),
        "server" => server(parser),
        _ => client(parser),
    }
}

fn tracker(parser: &mut Parser) -> Outcome {
    let mut listen = ListenOptions::default();
    let mut wanted = tracker::Options::default();
    options::read(
        parser,
        HELP,
        &mut [
            &mut listen.entries(),
            &mut [("--quiet", To::Yes(&mut wanted.quiet))],
        ],
    )?;
    let setup = Setup {
        tcp: Some(listen.at(PORT)),
        ..Setup::new()
    };
    host::run(vec![(Box::new(Tracker::new(wanted)), setup)])
}

fn server(parser: &mut Parser) -> Outcome {
    let given = PeerOptions::read(parser, false)?;
    let server = Server::new(server::Options {
        name: given.name("server", "S1")?,
        number: given.number(),
        place: given.tracker.server()?,
        zeal: given.zeal(),
        quiet: given.quiet,
    });
    host::run(vec![(Box::new(server), given.setup())])
}

fn client(parser: &mut Parser) -> Outcome {
    let given = PeerOptions::read(parser, true)?;
    let client = Client::new(client::Options {
        name: given.name("client", "C1")?,
        rounds: rounds(given.rounds),
        find: given.number(),
        place: given.tracker.server()?,
        zeal: given.zeal(),
        quiet: given.quiet,
    });
    let setup = Setup {
        exit_with_output: true,
        ..given.setup()
    };
    host::run(vec![(Box::new(client), setup)])
}

/// What servers and clients are told.
struct PeerOptions {
    name: Option<String>,
    /// A server's `--number`, a client's `--find`.
    number: Option<u64>,
    rounds: Option<u64>,
    tracker: ServerOptions,
    waits: bool,
    quiet: bool,
}

impl PeerOptions {
    fn read(parser: &mut Parser, is_client: bool) -> Result<Self, Failure> {
        let mut given = Self {
            name: None,
            number: None,
            rounds: None,
            tracker: ServerOptions::new(PORT),
            waits: false,
            quiet: false,
        };
        let number = if is_client { "--find" } else { "--number" };
        let mut client_only = [("--rounds", To::Number(&mut given.rounds, ROUNDS_ALLOWED))];
        options::read(
            parser,
            HELP,
            &mut [
                &mut given.tracker.entries(),
                &mut [
                    ("NAME", To::Text(&mut given.name)),
                    (
                        number,
                        To::Number(&mut given.number, &[1, Number::COUNT as u64]),
                    ),
                    ("--wait", To::Yes(&mut given.waits)),
                    ("--quiet", To::Yes(&mut given.quiet)),
                ],
                if is_client { &mut client_only } else { &mut [] },
            ],
        )?;
        Ok(given)
    }

    fn number(&self) -> Option<Number> {
        self.number.and_then(|number| Number::new(number as u8))
    }

    fn zeal(&self) -> Zeal {
        if self.waits { Zeal::Wait } else { Zeal::Return }
    }

    fn name(&self, role: &str, such_as: &str) -> Result<String, Failure> {
        let name = self.name.as_ref().ok_or_else(|| {
            Failure::usage(format!("give a name, such as: match {role} {such_as}"))
        })?;
        if wire::is_name(name) {
            return Ok(name.clone());
        }
        let advice = format!("give 1 to {} bytes without blanks", wire::NAME_MAX);
        Err(Failure::value("no name", name, &advice))
    }

    fn setup(&self) -> Setup {
        Setup {
            master: self.tracker.master.clone(),
            ..Setup::new()
        }
    }
}

const ROUNDS_ALLOWED: &[u64; 2] = &[1, u32::MAX as u64];

fn rounds(given: Option<u64>) -> u32 {
    given.map_or(ROUNDS, |rounds| rounds as u32)
}

/// Tracker, servers and clients in one process. The host starts them in this
/// order, so the tracker's port is known when the others start.
fn exercise(parser: &mut Parser) -> Outcome {
    let (mut count, mut wanted, mut quiet) = (None, None, false);
    options::read(
        parser,
        HELP,
        &mut [&mut [
            ("-n", To::Number(&mut count, &[2, COUNT_MAX])),
            ("--rounds", To::Number(&mut wanted, ROUNDS_ALLOWED)),
            ("--quiet", To::Yes(&mut quiet)),
        ]],
    )?;
    let rounds = rounds(wanted);
    let count = count.ok_or_else(|| {
        Failure::usage("give -n, how many servers and clients there are: match run -n 3")
    })? as usize;
    check_descriptors(count)?;
    let tracker = Tracker::new(tracker::Options {
        quiet,
        exercise: Some(count),
    });
    let port = Rc::new(Cell::new(0));
    let setup = Setup {
        exit_with_output: true,
        lossless: true,
        ..Setup::new()
    };
    let listening = Setup {
        tcp: Some(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)),
        ..setup.clone()
    };
    let tracker = Announced(tracker, Rc::clone(&port));
    let mut services: Vec<(Box<dyn Service>, Setup)> = vec![(Box::new(tracker), listening)];
    for kind in [Kind::Server, Kind::Client { rounds }] {
        for number in 1..=count {
            let later = Later {
                kind,
                number,
                quiet,
                port: Rc::clone(&port),
                service: None,
            };
            services.push((Box::new(later), setup.clone()));
        }
    }
    host::run(services)
}

/// Each of the connections has both its ends here.
fn check_descriptors(count: usize) -> Result<(), Failure> {
    let (wanted, allowed) = (4 * count + 1, host::connections_max());
    if wanted > allowed {
        return Err(Failure::cannot(format!(
            "-n {count}: this takes {wanted} connections and only {allowed} are allowed here; \
             give less, or raise the limit of open files (`ulimit -n`)"
        )));
    }
    Ok(())
}

/// A tracker whose port others want to know.
struct Announced(Tracker, Rc<Cell<u16>>);

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

#[derive(Clone, Copy)]
enum Kind {
    Server,
    Client { rounds: u32 },
}

/// A server or client of an exercise, made when it starts: only then is the
/// tracker's port known.
struct Later {
    kind: Kind,
    number: usize,
    quiet: bool,
    port: Rc<Cell<u16>>,
    service: Option<Box<dyn Service>>,
}

impl Later {
    fn make(&self) -> Box<dyn Service> {
        let place = Place::At(SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.port.get()));
        let quiet = self.quiet;
        match self.kind {
            Kind::Server => Box::new(Server::new(server::Options {
                name: format!("S{}", self.number),
                number: None,
                place,
                zeal: Zeal::Once(0),
                quiet,
            })),
            Kind::Client { rounds } => Box::new(Client::new(client::Options {
                name: format!("C{}", self.number),
                rounds,
                find: None,
                place,
                zeal: Zeal::Once(4),
                quiet,
            })),
        }
    }
}

impl Service for Later {
    fn handle(&mut self, event: Event<'_>, turn: &mut Turn<'_>) {
        let mut service = self.service.take().unwrap_or_else(|| self.make());
        service.handle(event, turn);
        self.service = Some(service);
    }

    fn deadline(&self) -> Option<Instant> {
        self.service.as_ref()?.deadline()
    }
}

const COUNT_MAX: u64 = 1_000;
