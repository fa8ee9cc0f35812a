//! Standard input, cut into lines.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// Standard input. It is read only when poll says so, and once a turn: it may
/// be shared with a shell, so it is not made non-blocking.
#[derive(Debug)]
pub(super) struct Input {
    fd: Option<OwnedFd>,
    lines: Lines,
}

impl Input {
    pub(super) fn stdin() -> Self {
        Self {
            fd: io::stdin().as_fd().try_clone_to_owned().ok(),
            lines: Lines::default(),
        }
    }

    /// Reads once.
    pub(super) fn read(&mut self) {
        let mut buffer = [0; 4_096];
        let Some(fd) = &self.fd else {
            return self.lines.end();
        };
        match nix::unistd::read(fd, &mut buffer) {
            Ok(len) if len > 0 => self.lines.push(buffer.get(..len).unwrap_or_default()),
            Err(nix::errno::Errno::EINTR | nix::errno::Errno::EAGAIN) => {}
            Ok(_) | Err(_) => self.lines.end(),
        }
    }

    /// Whether no more will be read; lines may still wait.
    pub(super) const fn has_ended(&self) -> bool {
        self.lines.ended
    }

    /// The next whole line; after the end, what was left without a newline.
    pub(super) fn next_line(&mut self) -> Option<Vec<u8>> {
        self.lines.next()
    }
}

impl AsRawFd for Input {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }
}

/// Bytes in, lines out.
#[derive(Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
    ended: bool,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn end(&mut self) {
        self.ended = true;
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        let newline = self.bytes.iter().position(|&byte| byte == b'\n');
        let (len, with_newline) = match newline {
            Some(at) => (at, at + 1),
            None if self.bytes.len() >= LINE_MAX => (LINE_MAX, LINE_MAX),
            None if self.ended && !self.bytes.is_empty() => (self.bytes.len(), self.bytes.len()),
            None => return None,
        };
        let mut line: Vec<u8> = self.bytes.drain(..with_newline).collect();
        line.truncate(len);
        Some(line)
    }
}

/// A longer line is given in parts.
const LINE_MAX: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_at_newlines_wherever_the_reads_were() {
        let mut lines = Lines::default();
        lines.push(b"a");
        assert_eq!(lines.next(), None);
        lines.push(b"b\n\nc\xff\nd");
        assert_eq!(lines.next().unwrap(), b"ab");
        assert_eq!(lines.next().unwrap(), b"");
        assert_eq!(lines.next().unwrap(), b"c\xff");
        assert_eq!(lines.next(), None);
        lines.end();
        assert_eq!(lines.next().unwrap(), b"d");
        assert_eq!(lines.next(), None);
    }

    #[test]
    fn a_line_without_end_is_given_in_parts() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; LINE_MAX + 1]);
        assert_eq!(lines.next().unwrap().len(), LINE_MAX);
        assert_eq!(lines.next(), None);
    }
}
