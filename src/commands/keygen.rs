//! `boardroom keygen`: a new key.

use super::options::{self, To};
use super::{Command, Failure, Outcome};
use crate::net::keyfile;
use lexopt::Parser;

/// The command.
pub const COMMAND: Command = Command {
    name: "keygen",
    summary: "write a new key for --key-file",
    help: HELP,
    run,
};

const HELP: &str = help!(
    "\
Usage: boardroom keygen FILE

Writes a new random key into FILE, which must not be there yet and which only
its owner can read. Copy it to every board and give it to `serve`, `whois` and
`vote` as --key-file.

Options:
  -h, --help            print this help

To change the key of a running network, add the new one as second line to the
file of every board, then make it the first on each, then remove the old one.

Exit code: 0 written, 2 wrong usage, 4 cannot.
"
);

fn run(parser: &mut Parser) -> Outcome {
    let mut path = None;
    options::read(parser, HELP, &mut [&mut [("FILE", To::Path(&mut path))]])?;
    let path = path.ok_or_else(|| Failure::usage("no file given; `boardroom keygen FILE`"))?;
    keyfile::create(&path).map_err(Failure::cannot)?;
    Ok(0)
}
