//! `boardroom vote`: hold an election.

use super::client::{self, Options};
use super::{Command, Outcome};
use lexopt::Parser;

/// The command.
pub const COMMAND: Command = Command {
    name: "vote",
    summary: "hold an election, show the votes and the master",
    help: HELP,
    run,
};

const HELP: &str = help!(
    "\
Usage: boardroom vote [OPTION]... [PORT]

Has the boards of this network elect a master; prints each vote as it comes,
and then the master.

Options:
  --port PORT           the boards' UDP port, the same as PORT (default: 2000)
  --interface NAME      hold it on this interface's network (default: the first
                        but loopback; lo is for boards on this machine)
  --to ADDRESS          send to this address only; ADDRESS:PORT works too
  --timeout TIME        wait this long for the master to tell itself, once the
                        votes are over (default: 1.2s)
  --key-file FILE       sign the call with this key; only signed votes and a
                        verified master count
  --no-newline          send VOTE and WHOIS without a newline behind them
  --json                print a JSON object a line
  -h, --help            print this help

Exit code: 0 one master, 1 none, 2 wrong usage, 3 more than one, 4 cannot ask.
"
);

fn run(parser: &mut Parser) -> Outcome {
    client::vote(&Options::read(parser, HELP, true)?)
}
