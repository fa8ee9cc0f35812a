//! One file a command: its help text, its options, and how core and net are
//! put together for it.
//!
//! Exit codes are the same everywhere: 0 success, 1 a negative answer, 2 wrong
//! usage, 3 more than one master, 4 cannot (no interface, port taken, no
//! permission).

/// A help text as it is kept in the program: see [`crate::text::narrow`].
macro_rules! help {
    ($text:literal) => {{
        const WIDE: &str = $text;
        const LEN: usize = crate::text::narrow::<{ WIDE.len() }>(WIDE).1;
        const NARROW: [u8; LEN] = crate::text::narrow::<LEN>(WIDE).0;
        match core::str::from_utf8(&NARROW) {
            Ok(text) => text,
            Err(_) => "",
        }
    }};
}

pub mod client;
pub mod echo;
pub mod judge;
pub mod keygen;
mod local;
pub mod matching;
pub mod options;
pub mod order;
pub mod relay;
pub mod resign;
pub mod sequence;
pub mod serve;
pub mod status;
pub mod vote;
pub mod watch;
pub mod watch_table;
pub mod whois;

use crate::net::output;
pub use crate::outcome::{Failure, Outcome};

use crate::text::quoted;
use lexopt::{Arg, Parser};
use std::io::Write;
use std::process::ExitCode;

/// A command as the door knows it.
pub struct Command {
    /// The word on the command line.
    pub name: &'static str,
    /// What it does, in one line of `--help`.
    pub summary: &'static str,
    /// What `--help` prints: usage line first, then the options, one to a line.
    pub help: &'static str,
    /// Reads the arguments behind the command's name, runs it to its end and
    /// gives the exit code.
    pub run: fn(&mut Parser) -> Outcome,
}

/// Every command, in the order of `boardroom --help`.
pub const COMMANDS: &[Command] = &[
    serve::COMMAND,
    whois::COMMAND,
    vote::COMMAND,
    watch::COMMAND,
    status::COMMAND,
    resign::COMMAND,
    judge::COMMAND,
    matching::COMMAND,
    echo::COMMAND,
    sequence::COMMAND,
    relay::COMMAND,
    order::COMMAND,
    // Ends with what is needed least.
    keygen::COMMAND,
];

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        use lexopt::Error::{
            Custom, MissingValue, NonUnicodeValue, ParsingFailed, UnexpectedArgument,
            UnexpectedOption, UnexpectedValue,
        };
        let what = match error {
            MissingValue { option } => match option {
                Some(option) => format!("missing argument for option '{option}'"),
                None => "missing argument".into(),
            },
            UnexpectedOption(option) => format!("invalid option '{option}'"),
            UnexpectedValue { option, value } => {
                let value = quoted(&value.to_string_lossy());
                format!("unexpected argument for option '{option}': {value}")
            }
            UnexpectedArgument(value) | NonUnicodeValue(value) => {
                format!("unexpected argument {}", quoted(&value.to_string_lossy()))
            }
            ParsingFailed { value, .. } => format!("unexpected argument {}", quoted(&value)),
            Custom(error) => error.to_string(),
        };
        Self::usage(format!("{what}; --help tells the options"))
    }
}

/// Runs the program: the command line's command, to its exit code.
pub fn main() -> ExitCode {
    let mut parser = Parser::from_env();
    let code = match run(&mut parser) {
        Ok(code) => code,
        Err(failure) if failure.code == 0 => match output::print(&failure.message) {
            Ok(()) => 0,
            Err(failure) => tell(&failure),
        },
        Err(failure) => tell(&failure),
    };
    ExitCode::from(code)
}

/// Says why the command ended, unless there is nothing to say.
fn tell(failure: &Failure) -> u8 {
    if !failure.message.is_empty() {
        let _ = writeln!(std::io::stderr(), "boardroom: {}", failure.message);
    }
    failure.code
}

fn run(parser: &mut Parser) -> Outcome {
    match parser.next()? {
        None => Err(Failure::usage(
            "no command given; `boardroom --help` lists them",
        )),
        Some(Arg::Long("help") | Arg::Short('h')) => Err(Failure::help(&overview())),
        Some(Arg::Long("version") | Arg::Short('V')) => Err(Failure::help(concat!(
            "boardroom ",
            env!("CARGO_PKG_VERSION")
        ))),
        Some(Arg::Value(word)) => {
            let word = word.to_string_lossy();
            match COMMANDS.iter().find(|command| command.name == word) {
                Some(command) => (command.run)(parser),
                None => Err(Failure::usage(format!(
                    "no command {}; `boardroom --help` lists them",
                    quoted(&word)
                ))),
            }
        }
        Some(other) => Err(other.unexpected().into()),
    }
}

fn overview() -> String {
    let mut text = String::from("Usage: boardroom COMMAND [OPTION]...\n\nCommands:\n");
    for command in COMMANDS {
        text.push_str(&format!("  {:<10} {}\n", command.name, command.summary));
    }
    text.push_str("\n`boardroom COMMAND --help` tells more.\n");
    text
}
