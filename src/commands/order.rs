//! `boardroom order`: whose message came first?

use super::options::{self, ListenOptions, ServerOptions};
use super::{Command, Failure, Outcome};
use crate::net::host::{self, Setup};
use crate::order::client::{self, Client};
use crate::order::server::{self, Server};
use crate::order::wire::{LETTERS, PORT};
use crate::time::Duration;
use lexopt::{Arg, Parser};
use std::ffi::OsString;

/// The command.
pub const COMMAND: Command = Command {
    name: "order",
    summary: "whose message came first? (server, client)",
    help: HELP,
    run,
};

const HELP: &str = "\
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
        contestants: 2,
        rounds: None,
        timeout: Duration::from_secs(60),
        verbose: false,
        quiet: false,
        tell_port: false,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Err(Failure::help(HELP)),
            Arg::Long(name) if let Some(option) = ListenOptions::option(name) => {
                listen.take(option, parser)?;
            }
            Arg::Long("rounds") => {
                let text = options::text(parser, "--rounds")?;
                wanted.rounds = Some(options::number("--rounds", &text, 1, u64::MAX)?);
            }
            Arg::Long("contestants") => {
                let text = options::text(parser, "--contestants")?;
                let most = LETTERS.len() as u64;
                wanted.contestants = options::number("--contestants", &text, 2, most)? as usize;
            }
            Arg::Long("timeout") => wanted.timeout = options::timeout(parser)?,
            Arg::Long("verbose") => wanted.verbose = true,
            Arg::Long("quiet") => wanted.quiet = true,
            other => return Err(other.unexpected().into()),
        }
    }
    wanted.tell_port = listen.port == 0;
    let setup = Setup {
        tcp: Some(listen.at()),
        ..Setup::new()
    };
    host::run(vec![(Box::new(Server::new(wanted)), setup)])
}

fn client(parser: &mut Parser) -> Outcome {
    let (mut letter, mut name) = (None, None);
    let mut timeout = Duration::from_secs(120);
    let mut server = ServerOptions::new(PORT);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Err(Failure::help(HELP)),
            Arg::Long("timeout") => timeout = options::timeout(parser)?,
            Arg::Value(word) if letter.is_none() => letter = Some(read_letter(&word)?),
            Arg::Value(word) if name.is_none() => name = Some(read_name(word)?),
            Arg::Long(name) if let Some(option) = ServerOptions::option(name) => {
                server.take(option, parser)?;
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let missing = || Failure::usage("give a letter and a name, such as: order client X Ann");
    let client = Client::new(client::Options {
        letter: letter.ok_or_else(missing)?,
        name: name.ok_or_else(missing)?,
        server: server.server()?,
        timeout,
    });
    let setup = Setup {
        master: server.master,
        exit_with_output: true,
        ..Setup::new()
    };
    host::run(vec![(Box::new(client), setup)])
}

fn read_letter(word: &OsString) -> Result<u8, Failure> {
    match word.as_encoded_bytes() {
        &[letter] if LETTERS.contains(&letter) => Ok(letter),
        _ => Err(Failure::value(
            "no client",
            &word.to_string_lossy(),
            "give X or Y (with more contestants any letter from A to Z)",
        )),
    }
}

fn read_name(word: OsString) -> Result<String, Failure> {
    let name = word
        .into_string()
        .map_err(|_| Failure::usage("the name is not UTF-8"))?;
    if name.is_empty() || name.len() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(Failure::usage(format!(
            "a name has 1 to {NAME_MAX} bytes and no control characters"
        )));
    }
    Ok(name)
}

/// `Client X: ` goes in front of it.
const NAME_MAX: usize = 1_000;
