//! `boardroom resign`: hand over now.

use super::{Command, Failure, Outcome, local};
use lexopt::Parser;

/// The command.
pub const COMMAND: Command = Command {
    name: "resign",
    summary: "hand over the master's office now",
    help: HELP,
    run,
};

const HELP: &str = help!(
    "\
Usage: boardroom resign [OPTION]... [PORT]

Has the board that runs on this machine hand over the master's office at once.
With --failover the others elect the next master; without, VOTE has to be sent.

Options:
  --port PORT           the board's UDP port, the same as PORT (default: 2000)
  --control PATH        its control socket (default: /run/boardroom/PORT.sock)
  -h, --help            print this help

Exit code: 0 handed over, 1 it is not the master, 2 wrong usage, 4 no board
runs here.
"
);

fn run(parser: &mut Parser) -> Outcome {
    let answer = local::Options::read(parser, HELP, false)?.ask("resign")?;
    match answer.trim_end() {
        "ok" => Ok(0),
        other => Err(Failure::new(
            1,
            other.strip_prefix("error: ").unwrap_or(other),
        )),
    }
}
