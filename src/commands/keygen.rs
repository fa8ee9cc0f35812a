//! `boardroom keygen`: a new key.

use super::{Command, Failure, Outcome};
use crate::net::keyfile;
use lexopt::{Arg, Parser};
use std::path::PathBuf;

/// The command.
pub const COMMAND: Command = Command {
    name: "keygen",
    summary: "write a new key for --key-file",
    help: HELP,
    run,
};

const HELP: &str = "\
Usage: boardroom keygen FILE

Writes a new random key into FILE, which must not be there yet and which only
its owner can read. Copy it to every board and give it to `serve`, `whois` and
`vote` as --key-file.

Options:
  -h, --help            print this help

To change the key of a running network, add the new one as second line to the
file of every board, then make it the first on each, then remove the old one.

Exit code: 0 written, 2 wrong usage, 4 cannot.
";

fn run(parser: &mut Parser) -> Outcome {
    let mut path = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Err(Failure::help(HELP)),
            Arg::Value(word) if path.is_none() => path = Some(PathBuf::from(word)),
            other => return Err(other.unexpected().into()),
        }
    }
    let path = path.ok_or_else(|| Failure::usage("no file given; `boardroom keygen FILE`"))?;
    keyfile::create(&path).map_err(Failure::cannot)?;
    Ok(0)
}
