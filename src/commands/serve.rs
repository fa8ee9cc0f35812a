//! `boardroom serve`: be a board.

use super::{Command, Failure, Outcome, client, options};
use crate::election::lease::BOARDS_MAX;
use crate::election::{Answer, Config, Failover, wire};
use crate::net::board::{self, Options, Wish};
use crate::net::log::Target;
use crate::text::quoted;
use crate::time::Duration;
use lexopt::{Arg, Parser};
use std::path::PathBuf;

/// The command.
pub const COMMAND: Command = Command {
    name: "serve",
    summary: "be a board: take part in elections, answer WHOIS as master",
    help: HELP,
    run,
};

const HELP: &str = "\
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
";

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
    let mut port = None;
    let mut failover = Wanted::default();
    let mut found = Options {
        board: Config {
            name: String::new(),
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
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Err(Failure::help(HELP)),
            Arg::Long("port") => port = Some(options::port(&options::text(parser, "--port")?)?),
            Arg::Value(word) if port.is_none() => {
                port = Some(options::port(&word.to_string_lossy())?);
            }
            Arg::Long("name") => found.board.name = name(options::text(parser, "--name")?)?,
            Arg::Long("interface") => {
                found.wish.interface = Some(options::text(parser, "--interface")?);
            }
            Arg::Long("address") => {
                let text = options::text(parser, "--address")?;
                found.wish.address = Some(options::address("--address", &text)?);
            }
            Arg::Long("wait") => found.waits = true,
            Arg::Long("answer") => found.board.answer = answer(parser)?,
            Arg::Long("strict") => found.board.strict = true,
            Arg::Long("failover") => failover.is_wanted = true,
            Arg::Long("interval") => failover.read_interval(parser)?,
            Arg::Long("patience") => failover.read_patience(parser)?,
            Arg::Long("quorum") => {
                let text = options::text(parser, "--quorum")?;
                let boards = options::number("--quorum", &text, 1, BOARDS_MAX.into())?;
                found.board.quorum = Some(boards as u16);
                failover.is_wanted = true;
            }
            Arg::Long("key-file") => found.board.keys = Some(options::keys(parser)?),
            Arg::Long("pid-file") => found.pid_file = Some(PathBuf::from(parser.value()?)),
            Arg::Long("log") => found.log = target(parser)?,
            Arg::Long("record") => found.record = Some(PathBuf::from(parser.value()?)),
            Arg::Long("on-change") => found.on_change = Some(PathBuf::from(parser.value()?)),
            Arg::Long("guardian") => found.guardian = true,
            Arg::Long("check") => found.only_checks = true,
            Arg::Long("control") => found.control = Some(PathBuf::from(parser.value()?)),
            Arg::Long("verbose") | Arg::Short('v') => found.verbose = true,
            other => return Err(other.unexpected().into()),
        }
    }
    found.board.port = port.unwrap_or(client::PORT);
    found.board.failover = failover.times()?;
    found.board.has_hook = found.on_change.is_some();
    found.wish.needs_link = found.board.failover.is_some();
    if found.board.name.is_empty() {
        found.board.name = host_name();
    }
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
    fn read_interval(&mut self, parser: &mut Parser) -> Result<(), Failure> {
        let text = options::text(parser, "--interval")?;
        let (least, most) = (Failover::INTERVAL_MIN, Failover::INTERVAL_MAX);
        self.interval = Some(options::duration("--interval", &text, least, most)?);
        Ok(())
    }

    fn read_patience(&mut self, parser: &mut Parser) -> Result<(), Failure> {
        let text = options::text(parser, "--patience")?;
        let span = options::duration("--patience", &text, PATIENCE_MIN, PATIENCE_MAX)?;
        self.patience = Some(span);
        Ok(())
    }

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
const PATIENCE_MIN: Duration = Duration::from_millis(5);
const PATIENCE_MAX: Duration = Duration::from_secs(60);

fn name(text: String) -> Result<String, Failure> {
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

fn answer(parser: &mut Parser) -> Result<Answer, Failure> {
    match &*options::text(parser, "--answer")? {
        "unicast" => Ok(Answer::Unicast),
        "broadcast" => Ok(Answer::Broadcast),
        other => Err(Failure::value(
            "--answer",
            other,
            "give unicast or broadcast",
        )),
    }
}

fn target(parser: &mut Parser) -> Result<Target, Failure> {
    match &*options::text(parser, "--log")? {
        "stderr" => Ok(Target::Stderr),
        "syslog" => Ok(Target::Syslog),
        other => Err(Failure::value("--log", other, "give stderr or syslog")),
    }
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
