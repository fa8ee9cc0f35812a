//! `boardroom whois`: who is the master?

use super::client::{self, Options};
use super::{Command, Outcome};
use lexopt::Parser;

/// The command.
pub const COMMAND: Command = Command {
    name: "whois",
    summary: "who is the master?",
    help: HELP,
    run,
};

const HELP: &str = help!(
    "\
Usage: boardroom whois [OPTION]... [PORT]

Asks the boards of this network who is the master, and prints the answer.

Options:
  --port PORT           the boards' UDP port, the same as PORT (default: 2000)
  --interface NAME      ask on this interface's network (default: on all but
                        loopback; lo asks boards on this machine)
  --to ADDRESS          ask this address only; ADDRESS:PORT works too
  --timeout TIME        wait this long for the first answer (default: 1.2s)
  --key-file FILE       have the master prove that it has this key: the
                        answer is verified, unsigned or forged, and only a
                        verified one counts
  --no-newline          send WHOIS without a newline behind it
  --json                print a JSON object a line
  -h, --help            print this help

The first answer is printed at once; a second master is listened for 200ms
longer.

Exit code: 0 one master, 1 none, 2 wrong usage, 3 more than one, 4 cannot ask.
"
);

fn run(parser: &mut Parser) -> Outcome {
    client::whois(&Options::read(parser, HELP, true)?)
}
