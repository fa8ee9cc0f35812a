//! `boardroom order`: whose message came first?

use super::options::{self, ListenOptions, ServerOptions, To};
use super::{Command, Failure, Outcome};
use crate::net::host::{self, Setup};
use crate::order::client::{self, Client};
use crate::order::server::{self, Server};
use crate::order::wire::{LETTERS, PORT};
use crate::time::Duration;
use lexopt::Parser;

/// The command.
pub const COMMAND: Command = Command {
    name: "order",
    summary: "whose message came first? (server, client)",
    help: HELP,
    run,
};

const HELP: &str = help!(
    "\
Usage: boardroom order server [OPTION]...
       boardroom order client X|Y NAME [OPTION]...

Two clients, X and Y, connect by TCP and send their names; the server tells
both whose message came first.

Server options:
  --port PORT           listen on this TCP port; 0 takes a free one and prints
                        it (default: 12000)
  --address IP          listen on this address of the machine only (default:
                        on all)
  --rounds N            end after so many verdicts (default: never)
  --contestants N       rank so many clients, 2 to 26; the third is Z, then
                        come A, B and so on (default: 2)
  --timeout TIME        how long one waits for the others (default: 60s)
  --verbose             print when each message came after the first
  --quiet               do not print messages

Client options:
  --server ADDRESS      the server's IPv4 address, or auto for the network's
                        master (default: 127.0.0.1)
  --port PORT           the server's port (default: 12000)
  --timeout TIME        wait this long for the verdict (default: 120s)
  --interface NAME      with auto: ask for the master on this interface only
  --election-port PORT  with auto: the boards' UDP port (default: 2000)
  --key-file FILE       with auto: believe only a master that has this key
  -h, --help            print this help

A message came when its name began, whoever connected first; it ends with a
newline, a NUL, the end of the sending side or 50ms of silence. Messages of
the same instant are in the order of connection.

Exit code: 0 verdict, 1 none, 2 wrong usage, 4 no server, port taken.
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
    let (mut contestants, mut timeout) = (None, None);
    let mut wanted = server::Options {
        contestants: 2,
        rounds: None,
        timeout: Duration::from_secs(60),
        verbose: false,
        quiet: false,
        tell_port: false,
    };
    const COUNTS: &[u64; 2] = &[2, LETTERS.len() as u64];
    options::read(
        parser,
        HELP,
        &mut [
            &mut listen.entries(),
            &mut [
                ("--rounds", To::Number(&mut wanted.rounds, &[1, u64::MAX])),
                ("--contestants", To::Number(&mut contestants, COUNTS)),
                ("--timeout", To::Time(&mut timeout, options::TIMEOUT)),
                ("--verbose", To::Yes(&mut wanted.verbose)),
                ("--quiet", To::Yes(&mut wanted.quiet)),
            ],
        ],
    )?;
    wanted.contestants = contestants.map_or(wanted.contestants, |count| count as usize);
    wanted.timeout = timeout.unwrap_or(wanted.timeout);
    let at = listen.at(PORT);
    wanted.tell_port = at.port() == 0;
    let setup = Setup {
        tcp: Some(at),
        ..Setup::new()
    };
    host::run(vec![(Box::new(Server::new(wanted)), setup)])
}

fn client(parser: &mut Parser) -> Outcome {
    let (mut letter, mut name, mut timeout) = (None, None, None);
    let mut server = ServerOptions::new(PORT);
    options::read(
        parser,
        HELP,
        &mut [
            &mut server.entries(),
            &mut [
                ("X|Y", To::Text(&mut letter)),
                ("NAME", To::Text(&mut name)),
                ("--timeout", To::Time(&mut timeout, options::TIMEOUT)),
            ],
        ],
    )?;
    let (Some(letter), Some(name)) = (letter, name) else {
        return Err(Failure::usage(
            "give a letter and a name, such as: order client X Ann",
        ));
    };
    let client = Client::new(client::Options {
        letter: read_letter(&letter)?,
        name: read_name(name)?,
        server: server.server()?,
        timeout: timeout.unwrap_or(Duration::from_secs(120)),
    });
    let setup = Setup {
        master: server.master,
        exit_with_output: true,
        ..Setup::new()
    };
    host::run(vec![(Box::new(client), setup)])
}

fn read_letter(word: &str) -> Result<u8, Failure> {
    match word.as_bytes() {
        &[letter] if LETTERS.contains(&letter) => Ok(letter),
        _ => Err(Failure::value(
            "no client",
            word,
            "give X or Y (with more contestants any letter from A to Z)",
        )),
    }
}

fn read_name(name: String) -> Result<String, Failure> {
    if name.is_empty() || name.len() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(Failure::usage(format!(
            "a name has 1 to {NAME_MAX} bytes and no control characters"
        )));
    }
    Ok(name)
}

/// `Client X: ` goes in front of it.
const NAME_MAX: usize = 1_000;
