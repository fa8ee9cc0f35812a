//! `boardroom status`: what the board that runs here has to tell.

use super::{Command, Outcome, local};
use lexopt::Parser;

/// The command.
pub const COMMAND: Command = Command {
    name: "status",
    summary: "role, master, counters and history of the board running here",
    help: HELP,
    run,
};

const HELP: &str = help!(
    "\
Usage: boardroom status [OPTION]... [PORT]

Tells role, round, master, boards, counters and the last changes of the board
that runs on this machine.

Options:
  --port PORT           the board's UDP port, the same as PORT (default: 2000)
  --control PATH        its control socket (default: /run/boardroom/PORT.sock)
  --json                print a JSON object
  -h, --help            print this help

Exit code: 0 told, 2 wrong usage, 4 no board runs here.
"
);

fn run(parser: &mut Parser) -> Outcome {
    let options = local::Options::read(parser, HELP, true)?;
    let question = if options.json {
        "status json"
    } else {
        "status"
    };
    local::print(&options.ask(question)?)
}
