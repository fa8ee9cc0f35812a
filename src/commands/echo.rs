//! `boardroom echo`: the first link test.

use super::options::{self, ListenOptions, ServerOptions, To};
use super::{Command, Outcome};
use crate::echo::client::{Client, Options};
use crate::echo::server::{Mode, Server};
use crate::echo::wire::{PORT, Transport};
use crate::net::host::{self, Setup};
use crate::time::Duration;
use core::net::{Ipv4Addr, SocketAddrV4};
use lexopt::Parser;
use std::io::IsTerminal;

/// The command.
pub const COMMAND: Command = Command {
    name: "echo",
    summary: "first link test: is a text alphanumeric? (server, client)",
    help: HELP,
    run,
};

const HELP: &str = help!(
    "\
Usage: boardroom echo server [OPTION]...
       boardroom echo client [OPTION]... [< FILE]

The first test of a link: the server says of each text, over UDP and TCP,
whether it is nothing but letters and digits; the client sends what is typed.

Server options:
  --port PORT           listen on this UDP and TCP port; 0 takes a free one and
                        prints it (default: 12000)
  --address IP          listen on this address of the machine only (default:
                        on all)
  --mode MODE           judge: answer `Alphanumeric.` or `Not alphanumeric.`;
                        display: print the text and send it back (default:
                        judge)
  --quiet               do not print what is received and sent

Client options:
  --tcp                 ask over TCP (default: UDP)
  --server ADDRESS      the server's IPv4 address, or auto for the network's
                        master (default: 127.0.0.1)
  --port PORT           the server's port (default: 12000)
  --timeout TIME        wait this long for each answer (default: 2s)
  --interface NAME      with auto: ask for the master on this interface only
  --election-port PORT  with auto: the boards' UDP port (default: 2000)
  --key-file FILE       with auto: believe only a master that has this key
  -h, --help            print this help

The client sends each line of its input as one text, without the newline, and
prints the answers in order. Over TCP an answer has no full stop behind
`Alphanumeric`. With two computers, start the server on one and give its
address to the client on the other.

Exit code: 0 all answered, 1 some not, 2 wrong usage, 4 no server, port taken.
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
    let (mut displays, mut quiet) = (false, false);
    options::read(
        parser,
        HELP,
        &mut [
            &mut listen.entries(),
            &mut [
                ("--mode", To::Either(&mut displays, &["judge", "display"])),
                ("--quiet", To::Yes(&mut quiet)),
            ],
        ],
    )?;
    let mode = if displays { Mode::Display } else { Mode::Judge };
    let at = listen.at(PORT);
    let setup = Setup {
        udp: Some(at),
        tcp: Some(at),
        ..Setup::new()
    };
    host::run(vec![(Box::new(Server::new(mode, quiet)), setup)])
}

fn client(parser: &mut Parser) -> Outcome {
    let (mut tcp, mut timeout) = (false, None);
    let mut server = ServerOptions::new(PORT);
    options::read(
        parser,
        HELP,
        &mut [
            &mut server.entries(),
            &mut [
                ("--tcp", To::Yes(&mut tcp)),
                ("--timeout", To::Time(&mut timeout, options::TIMEOUT)),
            ],
        ],
    )?;
    let transport = if tcp { Transport::Tcp } else { Transport::Udp };
    let client = Client::new(Options {
        server: server.server()?,
        transport,
        timeout: timeout.unwrap_or(Duration::from_secs(2)),
        prompt: std::io::stdin().is_terminal(),
    });
    let udp = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
    let setup = Setup {
        udp: (transport == Transport::Udp).then_some(udp),
        input: true,
        master: server.master,
        exit_with_output: true,
        ..Setup::new()
    };
    host::run(vec![(Box::new(client), setup)])
}
