//! `boardroom sequence`: who sent which number, and what got lost.

use super::options::{self, ListenOptions, ServerOptions};
use super::{Command, Failure, Outcome};
use crate::net::host::{self, Setup};
use crate::sequence::client::{self, Client};
use crate::sequence::server::{self, Server};
use crate::sequence::wire::{CLIENTS, PORT};
use crate::time::Duration;
use core::net::{Ipv4Addr, SocketAddrV4};
use lexopt::{Arg, Parser};

/// The command.
pub const COMMAND: Command = Command {
    name: "sequence",
    summary: "who sent which number, and what got lost (server, client)",
    help: HELP,
    run,
};

const HELP: &str = "\
Usage: boardroom sequence server [OPTION]...
       boardroom sequence client c1|c2 [OPTION]...

Clients send 1 to 100 by UDP, again and again; the server prints who sent what,
and counts for each client what was lost, duplicated or reordered on the way.

Server options:
  --port PORT           listen on this UDP port; 0 takes a free one and prints
                        it (default: 12000)
  --address IP          listen on this address of the machine only (default:
                        on all)
  --summary SECONDS     print every client's counts this often; they are also
                        printed at the end and on SIGUSR1 (default: not)
  --no-reply            do not answer the numbers (default: each is answered
                        by `Alphanumeric.`)
  --quiet               print the counts only

Client options:
  --server ADDRESS      the server's IPv4 address, or auto for the network's
                        master (default: 127.0.0.1)
  --port PORT           the server's port (default: 12000)
  --bind-port PORT      send from this port, by which the server knows the
                        client (default: 11000 for c1, 13000 for c2)
  --delay TIME          the time between two numbers (default: 500ms)
  --count N             end after so many numbers (default: never)
  --quiet               do not print what is sent
  --interface NAME      with auto: ask for the master on this interface only
  --election-port PORT  with auto: the boards' UDP port (default: 2000)
  --key-file FILE       with auto: believe only a master that has this key
  -h, --help            print this help

The server prints `c1: 37` for port 11000, `c2: 37` for port 13000, and address
and port for any other; two computers with the same port are two clients.

Exit code: 0 ended, 1 no master found, 2 wrong usage, 4 port taken.
";

fn run(parser: &mut Parser) -> Outcome {
    match options::role(parser, HELP, &["server", "client"])? {
        "server" => server(parser),
        _ => client(parser),
    }
}

fn server(parser: &mut Parser) -> Outcome {
    let mut listen = ListenOptions::new(PORT);
    let mut wanted = server::Options {
        answer: true,
        ..server::Options::default()
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Err(Failure::help(HELP)),
            Arg::Long(name) if let Some(option) = ListenOptions::option(name) => {
                listen.take(option, parser)?;
            }
            Arg::Long("summary") => {
                let text = options::text(parser, "--summary")?;
                let (least, most) = (Duration::from_millis(100), Duration::from_secs(86_400));
                wanted.summary = Some(options::duration("--summary", &text, least, most)?);
            }
            Arg::Long("no-reply") => wanted.answer = false,
            Arg::Long("quiet") => wanted.quiet = true,
            other => return Err(other.unexpected().into()),
        }
    }
    let setup = Setup {
        udp: Some(listen.at()),
        ..Setup::new()
    };
    host::run(vec![(Box::new(Server::new(wanted)), setup)])
}

fn client(parser: &mut Parser) -> Outcome {
    let mut who = None;
    let (mut bind_port, mut count, mut quiet) = (None, None, false);
    let mut delay = Duration::from_millis(500);
    let mut server = ServerOptions::new(PORT);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Err(Failure::help(HELP)),
            Arg::Long("bind-port") => {
                let text = options::text(parser, "--bind-port")?;
                bind_port = Some(options::port_or_free(&text)?);
            }
            Arg::Long("delay") => {
                let text = options::text(parser, "--delay")?;
                let (least, most) = (Duration::from_millis(1), Duration::from_secs(3_600));
                delay = options::duration("--delay", &text, least, most)?;
            }
            Arg::Long("count") => {
                let text = options::text(parser, "--count")?;
                count = Some(options::number("--count", &text, 1, u64::MAX)?);
            }
            Arg::Long("quiet") => quiet = true,
            Arg::Value(word) if who.is_none() => {
                let known = CLIENTS.into_iter().find(|(name, _)| word == *name);
                who = Some(known.ok_or_else(which_client)?);
            }
            Arg::Long(name) if let Some(option) = ServerOptions::option(name) => {
                server.take(option, parser)?;
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let (name, usual_port) = who.ok_or_else(which_client)?;
    let client = Client::new(client::Options {
        name,
        server: server.server()?,
        delay,
        count,
        quiet,
    });
    let port = bind_port.unwrap_or(usual_port);
    let setup = Setup {
        udp: Some(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)),
        master: server.master,
        ..Setup::new()
    };
    // The port to be had is the client's own here, not the server's.
    host::run(vec![(Box::new(client), setup)]).map_err(|failure| Failure {
        message: failure.message.replace("--port", "--bind-port"),
        ..failure
    })
}

fn which_client() -> Failure {
    Failure::usage("say which client this is: c1 or c2")
}
