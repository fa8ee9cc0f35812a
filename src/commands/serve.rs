//! `boardroom serve`: be a board.

use super::options::{self, To};
use super::{Command, Failure, Outcome, client};
use crate::election::lease::BOARDS_MAX;
use crate::election::{Answer, Config, Failover, wire};
use crate::net::board::{self, Options, Wish};
use crate::net::log::Target;
use crate::text::quoted;
use crate::time::Duration;
use lexopt::Parser;

/// The command.
pub const COMMAND: Command = Command {
    name: "serve",
    summary: "be a board: take part in elections, answer WHOIS as master",
    help: HELP,
    run,
};

const HELP: &str = help!(
    "\
Usage: boardroom serve [OPTION]... [PORT]

Is a board on this network, in the foreground, until SIGTERM or SIGINT.

Options:
  --port PORT           the boards' UDP port, the same as PORT (default: 2000)
  --name NAME           this board's name in answers (default: the host name)
  --interface NAME      stand on this interface (default: the first that is up
                        and can broadcast; lo for boards on one machine)
  --address ADDRESS     stand at this address of the interface's network
  --wait                wait for an --interface or --address that is not there
                        yet, instead of exiting
  --answer WAY          unicast: answer the asker; broadcast: answer all, at
                        the asker's port (default: unicast)
  --strict              drop votes that name another address than their
                        sender's
  --failover            as master, claim the office at every interval; as
                        slave, call an election when the master is dead
  --interval TIME       between two claims, 10ms to 60s; implies --failover
                        (default: 1s)
  --patience TIME       for how long at least a silent master is asked before
                        an election (default: half the interval, at least
                        50ms)
  --quorum N            of N boards in all: be master only while more than half
                        of them grant it; implies --failover. Give all boards
                        the same N and interval
  --key-file FILE       believe only boards and clients with the same key
                        (`boardroom keygen`); anyone is told the master
  --on-change PROGRAM   run PROGRAM ROLE ADDRESS VOTE EPOCH at each change of
                        this board: ROLE is master, slave, or won (two masters
                        met, this one stays); ADDRESS and VOTE are its own.
                        slave at the start and at the end; 30s at most
  --guardian            have a parent process that, if the board dies unasked,
                        tells the others at once and starts it again
  --control PATH        socket for status, resign and watch
                        (default: /run/boardroom/PORT.sock, if it can be had)
  --pid-file FILE       write the process number here, and hold the file locked
  --log TARGET          stderr or syslog (default: stderr)
  --record FILE         record all that happens, as text, up to 16 MiB
  --check               only look at the options and the key file: exit code 0
                        if a board would take them
  -v, --verbose         log details
  -h, --help            print this help

SIGUSR1 logs the counters.

Exit code: 0 ended by a signal, 2 wrong usage, 4 cannot (port taken, no such
interface or address, no permission).
"
);

/// The longest name that is not taken for a mistake: an answer's whole text.
const NAME_MAX: usize = wire::TEXT_MAX;

fn run(parser: &mut Parser) -> Outcome {
    let options = read(parser)?;
    if options.only_checks {
        return Ok(0);
    }
    board::run(options)
}

fn read(parser: &mut Parser) -> Result<Options, Failure> {
    let (mut name, mut quorum) = (None, None);
    let (mut broadcasts, mut to_syslog) = (false, false);
    let mut failover = Wanted::default();
    let mut found = Options {
        board: Config {
            name: String::new(),
            port: client::PORT,
            ..Config::default()
        },
        wish: Wish::default(),
        waits: false,
        pid_file: None,
        log: Target::Stderr,
        verbose: false,
        record: None,
        control: None,
        on_change: None,
        guardian: false,
        only_checks: false,
    };
    const INTERVALS: &[Duration; 2] = &[Failover::INTERVAL_MIN, Failover::INTERVAL_MAX];
    options::read(
        parser,
        HELP,
        &mut [
            &mut options::boards_port(&mut found.board.port),
            &mut [
                ("--name", To::Text(&mut name)),
                ("--interface", To::Text(&mut found.wish.interface)),
                ("--address", To::Address(&mut found.wish.address)),
                ("--wait", To::Yes(&mut found.waits)),
                (
                    "--answer",
                    To::Either(&mut broadcasts, &["unicast", "broadcast"]),
                ),
                ("--strict", To::Yes(&mut found.board.strict)),
                ("--failover", To::Yes(&mut failover.is_wanted)),
                ("--interval", To::Time(&mut failover.interval, INTERVALS)),
                ("--patience", To::Time(&mut failover.patience, PATIENCES)),
                ("--quorum", To::Number(&mut quorum, &[1, BOARDS_MAX as u64])),
                ("--key-file", To::Keys(&mut found.board.keys)),
                ("--on-change", To::Path(&mut found.on_change)),
                ("--guardian", To::Yes(&mut found.guardian)),
                ("--control", To::Path(&mut found.control)),
                ("--pid-file", To::Path(&mut found.pid_file)),
                ("--log", To::Either(&mut to_syslog, &["stderr", "syslog"])),
                ("--record", To::Path(&mut found.record)),
                ("--check", To::Yes(&mut found.only_checks)),
                ("--verbose", To::Yes(&mut found.verbose)),
                ("-v", To::As("--verbose")),
            ],
        ],
    )?;
    if broadcasts {
        found.board.answer = Answer::Broadcast;
    }
    if to_syslog {
        found.log = Target::Syslog;
    }
    if let Some(boards) = quorum {
        found.board.quorum = Some(boards as u16);
        failover.is_wanted = true;
    }
    found.board.name = match name {
        Some(text) => checked_name(text)?,
        None => host_name(),
    };
    found.board.failover = failover.times()?;
    found.board.has_hook = found.on_change.is_some();
    found.wish.needs_link = found.board.failover.is_some();
    Ok(found)
}

/// What the command line says about failover.
#[derive(Default)]
struct Wanted {
    is_wanted: bool,
    interval: Option<Duration>,
    patience: Option<Duration>,
}

impl Wanted {
    fn times(&self) -> Result<Option<Failover>, Failure> {
        if !self.is_wanted && self.interval.is_none() {
            return match self.patience {
                Some(_) => Err(Failure::usage("--patience is for --failover: give both")),
                None => Ok(None),
            };
        }
        let mut times = Failover::new(self.interval.unwrap_or(INTERVAL));
        times.patience = self.patience.unwrap_or(times.patience);
        Ok(Some(times))
    }
}

/// Between two claims, unless told.
const INTERVAL: Duration = Duration::from_secs(1);
/// Less would take the network's own delay for death.
const PATIENCES: &[Duration; 2] = &[Duration::from_millis(5), Duration::from_secs(60)];

fn checked_name(text: String) -> Result<String, Failure> {
    let why = if text.is_empty() {
        "is empty"
    } else if text.len() > NAME_MAX {
        "is longer than an answer"
    } else if text.chars().any(char::is_control) {
        "has control characters in it"
    } else {
        return Ok(text);
    };
    Err(Failure::usage(format!(
        "--name {} {why}: give a short name such as Peter",
        quoted(&text)
    )))
}

/// The host's name as far as it can stand in an answer.
fn host_name() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default();
    let name = name.to_string_lossy();
    let short = name.split('.').next().unwrap_or_default();
    let clean: String = short.chars().filter(|c| !c.is_control()).collect();
    if clean.is_empty() {
        "board".into()
    } else {
        clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Options, Failure> {
        read(&mut Parser::from_args(arguments))
    }

    #[test]
    fn the_port_is_a_word_or_an_option() {
        assert_eq!(parsed(&[]).unwrap().board.port, 2000);
        assert_eq!(parsed(&["3000"]).unwrap().board.port, 3000);
        assert_eq!(parsed(&["--port", "3000"]).unwrap().board.port, 3000);
        for wrong in [&["0"][..], &["70000"], &["--port=x"], &["1", "2"]] {
            assert_eq!(parsed(wrong).unwrap_err().code, 2, "{wrong:?}");
        }
    }

    #[test]
    fn a_name_fits_an_answer() {
        assert_eq!(parsed(&["--name", "Peter"]).unwrap().board.name, "Peter");
        assert!(!parsed(&[]).unwrap().board.name.is_empty());
        for wrong in ["", "a\nb", "a\0b", &"x".repeat(60)] {
            let failure = parsed(&["--name", wrong]).unwrap_err();
            assert_eq!(failure.code, 2, "{wrong:?}");
            assert!(!failure.message.contains('\n'), "one line: {failure:?}");
        }
    }

    #[test]
    fn failover_has_its_times() {
        let times = |arguments: &[&str]| parsed(arguments).unwrap().board.failover;
        assert_eq!(times(&[]), None);
        let whole = Failover::new(Duration::from_secs(1));
        assert_eq!(times(&["--failover"]), Some(whole));
        let short = Failover {
            interval: Duration::from_millis(10),
            patience: Duration::from_millis(30),
        };
        let given = ["--interval", "10ms", "--patience=30ms"];
        assert_eq!(times(&given), Some(short));
        for wrong in ["--interval=9ms", "--interval=61s", "--patience=30ms"] {
            assert_eq!(parsed(&[wrong]).unwrap_err().code, 2, "{wrong:?}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for wrong in [
            &["--answer", "loudly"][..],
            &["--log", "paper"],
            &["--address", "10.3.52"],
            &["--nonsense"],
        ] {
            assert_eq!(parsed(wrong).unwrap_err().code, 2, "{wrong:?}");
        }
    }

    #[test]
    fn options_reach_their_places() {
        let all = parsed(&[
            "--interface",
            "lo",
            "--address",
            "127.0.0.2",
            "--wait",
            "--answer",
            "broadcast",
            "--strict",
            "--pid-file",
            "/run/b.pid",
            "--log",
            "syslog",
            "--record",
            "r",
            "-v",
            "--control",
            "c",
        ])
        .unwrap();
        assert_eq!(all.wish.interface.as_deref(), Some("lo"));
        assert_eq!(all.wish.address, Some([127, 0, 0, 2].into()));
        assert!(all.waits && all.board.strict && all.verbose);
        assert_eq!(all.board.answer, Answer::Broadcast);
        assert_eq!(all.log, Target::Syslog);
        assert_eq!(all.pid_file, Some("/run/b.pid".into()));
        assert_eq!(all.record, Some("r".into()));
        assert_eq!(all.control, Some("c".into()));
    }
}
