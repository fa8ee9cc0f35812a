//! A terminal as a screen: keys as they are pressed, no echo, lines drawn in
//! place. Left as it was found.

use super::sys;
use nix::sys::termios::{self, LocalFlags, SetArg, Termios};
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

/// What the screen is put into before the first frame, and out of at the end:
/// the alternate screen, without a cursor.
pub const ENTER: &str = "\x1b[?1049h\x1b[?25l";
/// The way back.
pub const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// Whether standard output is a terminal that can move its cursor.
pub fn is_there() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|name| name == "dumb" || name.is_empty());
    io::stdout().is_terminal() && !is_dumb
}

/// Whether the user lets programs use colours and weights.
pub fn may_be_styled() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The size in columns and rows; 80 by 24 where the terminal does not tell.
pub fn size() -> (usize, usize) {
    match sys::window_size(io::stdout().as_fd()) {
        Some((columns, rows)) if columns > 0 && rows > 0 => (columns.into(), rows.into()),
        _ => (80, 24),
    }
}

/// Keys one by one and without echo, until dropped.
pub struct Keys {
    before: Termios,
}

impl Keys {
    /// None where standard input is no terminal.
    pub fn take() -> Option<Self> {
        let before = termios::tcgetattr(io::stdin()).ok()?;
        let mut ours = before.clone();
        ours.local_flags &= !(LocalFlags::ICANON | LocalFlags::ECHO);
        termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &ours).ok()?;
        Some(Self { before })
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
    }
}
