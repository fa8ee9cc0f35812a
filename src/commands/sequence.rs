//! `boardroom sequence`: who sent which number, and what got lost.

use super::options::{self, ListenOptions, ServerOptions, To};
use super::{Command, Failure, Outcome};
use crate::net::host::{self, Setup};
use crate::sequence::client::{self, Client};
use crate::sequence::server::{self, Server};
use crate::sequence::wire::{CLIENTS, PORT};
use crate::time::Duration;
use core::net::{Ipv4Addr, SocketAddrV4};
use lexopt::Parser;

/// The command.
pub const COMMAND: Command = Command {
    name: "sequence",
    summary: "who sent which number, and what got lost (server, client)",
    help: HELP,
    run,
};

const HELP: &str = help!(
    "\
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
"
);

fn run(parser: &mut Parser) -> Outcome {
    match options::role(parser, HELP, &["server", "client"])? {
        "server" => server(parser),
        _ => client(parser),
    }
}

fn server(parser: &mut Parser) -> Outcome {
    let mut listen = ListenOptions::default();
    let mut wanted = server::Options {
        answer: true,
        ..server::Options::default()
    };
    const SPANS: &[Duration; 2] = &[Duration::from_millis(100), Duration::from_secs(86_400)];
    options::read(
        parser,
        HELP,
        &mut [
            &mut listen.entries(),
            &mut [
                ("--summary", To::Time(&mut wanted.summary, SPANS)),
                ("--no-reply", To::No(&mut wanted.answer)),
                ("--quiet", To::Yes(&mut wanted.quiet)),
            ],
        ],
    )?;
    let setup = Setup {
        udp: Some(listen.at(PORT)),
        ..Setup::new()
    };
    host::run(vec![(Box::new(Server::new(wanted)), setup)])
}

fn client(parser: &mut Parser) -> Outcome {
    let (mut who, mut delay, mut count) = (None, None, None);
    let (mut bind_port, mut quiet) = (None, false);
    let mut server = ServerOptions::new(PORT);
    const DELAYS: &[Duration; 2] = &[Duration::from_millis(1), Duration::from_secs(3_600)];
    options::read(
        parser,
        HELP,
        &mut [
            &mut server.entries(),
            &mut [
                ("c1|c2", To::Text(&mut who)),
                ("--bind-port", To::PortOrFree(&mut bind_port)),
                ("--delay", To::Time(&mut delay, DELAYS)),
                ("--count", To::Number(&mut count, &[1, u64::MAX])),
                ("--quiet", To::Yes(&mut quiet)),
            ],
        ],
    )?;
    let who = who.unwrap_or_default();
    let known = CLIENTS.into_iter().find(|(name, _)| who == *name);
    let (name, usual_port) =
        known.ok_or_else(|| Failure::usage("say which client this is: c1 or c2"))?;
    let client = Client::new(client::Options {
        name,
        server: server.server()?,
        delay: delay.unwrap_or(Duration::from_millis(500)),
        count,
        quiet,
    });
    let port = bind_port.unwrap_or(usual_port);
    let setup = Setup {
        udp: Some(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)),
        port_option: Some("--bind-port"),
        master: server.master,
        ..Setup::new()
    };
    host::run(vec![(Box::new(client), setup)])
}
