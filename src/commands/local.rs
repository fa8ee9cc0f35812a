//! What the commands share that speak to the board on this machine.

use super::{Failure, Outcome, client, options};
use crate::net::{control, output};
use lexopt::{Arg, Parser};
use std::io::ErrorKind;
use std::path::PathBuf;

/// Which board, and how its answer is wanted.
pub(super) struct Options {
    port: u16,
    control: Option<PathBuf>,
    pub(super) json: bool,
}

impl Options {
    /// Reads them; `--json` only where the command has it.
    pub(super) fn read(parser: &mut Parser, help: &str, has_json: bool) -> Result<Self, Failure> {
        let (mut port, mut control, mut json) = (None, None, false);
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("help") | Arg::Short('h') => return Err(Failure::help(help)),
                Arg::Long("port") => port = Some(options::port(&options::text(parser, "--port")?)?),
                Arg::Value(word) if port.is_none() => {
                    port = Some(options::port(&word.to_string_lossy())?);
                }
                Arg::Long("control") => control = Some(PathBuf::from(parser.value()?)),
                Arg::Long("json") if has_json => json = true,
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(Self {
            port: port.unwrap_or(client::PORT),
            control,
            json,
        })
    }

    /// Asks the board.
    pub(super) fn ask(&self, question: &str) -> Result<String, Failure> {
        let path = self
            .control
            .clone()
            .unwrap_or_else(|| control::default_path(self.port));
        control::ask(&path, question).map_err(|error| {
            let path = path.display();
            Failure::cannot(match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                    let board = match self.control {
                        Some(_) => "no board".into(),
                        None => format!("no board runs here on port {}: nothing", self.port),
                    };
                    format!(
                        "{board} answers at {path}; start one with `boardroom serve`, or give \
                         --control as it did"
                    )
                }
                ErrorKind::PermissionDenied => {
                    format!("{path}: {error}; be the board's user or in its group")
                }
                _ => format!("{path}: the board does not answer: {error}"),
            })
        })
    }
}

/// Prints an answer.
pub(super) fn print(text: &str) -> Outcome {
    output::print(text.strip_suffix('\n').unwrap_or(text)).map(|()| 0)
}
