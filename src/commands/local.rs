//! What the commands share that speak to the board on this machine.

use super::options::{self, To};
use super::{Failure, Outcome, client};
use crate::net::{control, output};
use lexopt::Parser;
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
        let mut read = Self {
            port: client::PORT,
            control: None,
            json: false,
        };
        let mut asks_json = [("--json", To::Yes(&mut read.json))];
        options::read(
            parser,
            help,
            &mut [
                &mut options::boards_port(&mut read.port),
                &mut [("--control", To::Path(&mut read.control))],
                if has_json { &mut asks_json } else { &mut [] },
            ],
        )?;
        Ok(read)
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
