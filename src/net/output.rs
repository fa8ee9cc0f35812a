//! Standard output and standard error that never block the loop: lines wait in
//! a bounded buffer until poll says that there is room.

use super::files::{self, OFlag};
use super::sys::{self, PollFd};
use crate::outcome::Failure;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::Path;

/// Prints a line to standard output at once, for commands that have no loop to
/// keep going.
pub fn print(line: &str) -> Result<(), Failure> {
    if sys::began_without_stdout() {
        return Err(closed());
    }
    let mut out = io::stdout().lock();
    let done = writeln!(out, "{line}").and_then(|()| out.flush());
    done.map_err(|error| loss_of(&error))
}

fn closed() -> Failure {
    Failure::cannot("cannot write to standard output: it is closed")
}

/// Why nothing more can be printed. A reader that went, as that of `vote | head
/// -n 1` does, has read enough and need not be told.
fn loss_of(error: &io::Error) -> Failure {
    Failure::cannot(match error.kind() {
        ErrorKind::BrokenPipe => String::new(),
        _ => format!("cannot write to standard output: {error}"),
    })
}

/// A text stream on its way out.
#[derive(Debug)]
pub struct Output {
    file: Option<File>,
    buffer: VecDeque<u8>,
    lines_dropped: u64,
    /// Goes on when a disk was full; a result must be whole or fail.
    is_log: bool,
    loss: Option<Failure>,
}

impl Output {
    /// Standard output.
    pub fn stdout() -> Self {
        let mut output = Self::new(io::stdout().as_fd().try_clone_to_owned().map(File::from));
        if sys::began_without_stdout() {
            output.file = None;
            output.loss = Some(closed());
        }
        output
    }

    /// Standard error.
    pub fn stderr() -> Self {
        let mut log = Self::new(io::stderr().as_fd().try_clone_to_owned().map(File::from));
        log.is_log = true;
        log
    }

    fn new(file: io::Result<File>) -> Self {
        let (file, loss) = match file {
            Ok(file) => (Some(own_terminal(&file).unwrap_or(file)), None),
            Err(error) => (None, Some(loss_of(&error))),
        };
        Self {
            file,
            buffer: VecDeque::new(),
            lines_dropped: 0,
            is_log: false,
            loss,
        }
    }

    /// Puts a line in the queue. A full queue drops it whole; the next line
    /// that fits says how many went.
    pub fn line(&mut self, text: &str) {
        if self.file.is_none() {
            return;
        }
        if self.buffer.len() + text.len() > BUFFER_MAX {
            self.lines_dropped += 1;
            return;
        }
        if self.lines_dropped > 0 {
            let note = format!("({} lines dropped)\n", self.lines_dropped);
            self.lines_dropped = 0;
            self.buffer.extend(note.as_bytes());
        }
        self.buffer.extend(text.as_bytes());
        self.buffer.push_back(b'\n');
    }

    /// Puts text without a newline in the queue: a prompt.
    pub fn prompt(&mut self, text: &str) {
        if self.file.is_some() && self.buffer.len() + text.len() <= BUFFER_MAX {
            self.buffer.extend(text.as_bytes());
        }
    }

    /// Writes what goes without blocking. False once the reader is gone: what
    /// is printed from then on is dropped.
    pub fn flush(&mut self) -> bool {
        while let (Some(file), false) = (&self.file, self.buffer.is_empty()) {
            match has_room(file.as_raw_fd()) {
                Room::Some => {}
                Room::None => return true,
                Room::Never => return self.close(&ErrorKind::BrokenPipe.into()),
            }
            // After POLLOUT a pipe has room for PIPE_BUF bytes at least; a
            // longer write could block, since the file is not ours to make
            // non-blocking: it may be shared with the shell.
            let (chunk, _) = self.buffer.as_slices();
            let chunk = chunk.get(..CHUNK).unwrap_or(chunk);
            match (&*file).write(chunk) {
                Ok(written) => drop(self.buffer.drain(..written)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if self.is_log && is_without_room(&error) => self.drop_waiting(),
                Err(error) => return self.close(&error),
            }
        }
        self.file.is_some()
    }

    /// Whether anybody may still read.
    pub const fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Whether half of what may wait does.
    pub fn is_half_full(&self) -> bool {
        self.file.is_some() && self.buffer.len() >= BUFFER_MAX / 2
    }

    /// Whether something waits for room.
    pub fn is_waiting(&self) -> bool {
        self.file.is_some() && !self.buffer.is_empty()
    }

    /// A full disk may have room again: the next line says how many went.
    fn drop_waiting(&mut self) {
        let lines = self.buffer.iter().filter(|&&byte| byte == b'\n').count();
        self.lines_dropped += lines as u64;
        self.buffer.clear();
    }

    /// Why nothing more can be printed to standard output, once it is so.
    pub fn loss(&mut self) -> Option<Failure> {
        self.loss.take()
    }

    fn close(&mut self, error: &io::Error) -> bool {
        self.loss = Some(loss_of(error));
        self.file = None;
        self.buffer = VecDeque::new();
        false
    }
}

impl AsRawFd for Output {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }
}

fn is_without_room(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
}

/// A terminal opened anew, so that it can be made non-blocking for us alone:
/// after POLLOUT it takes one byte at least, and may block on the second one
/// when its user has stopped it (Ctrl-S).
fn own_terminal(file: &File) -> Option<File> {
    if !file.is_terminal() {
        return None;
    }
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    files::open(Path::new(&path), flags, 0).ok()
}

enum Room {
    Some,
    None,
    Never,
}

fn has_room(fd: RawFd) -> Room {
    let mut set = [PollFd {
        fd,
        events: libc::POLLOUT,
        revents: 0,
    }];
    match sys::poll(&mut set, Some(0)) {
        Ok(0) | Err(_) => Room::None,
        Ok(_) if set.iter().any(|one| one.revents & libc::POLLOUT != 0) => Room::Some,
        Ok(_) => Room::Never,
    }
}

/// What waits at most.
const BUFFER_MAX: usize = 256 * 1024;
/// PIPE_BUF.
const CHUNK: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::OwnedFd;

    fn pipe() -> (File, Output) {
        let (reader, writer) = io::pipe().unwrap();
        (
            OwnedFd::from(reader).into(),
            Output::new(Ok(OwnedFd::from(writer).into())),
        )
    }

    fn read_what_is_there(reader: &mut File) -> String {
        let mut bytes = vec![0; 1 << 20];
        let len = reader.read(&mut bytes).unwrap();
        String::from_utf8(bytes[..len].into()).unwrap()
    }

    #[test]
    fn lines_come_out_whole_and_in_order() {
        let (mut reader, mut output) = pipe();
        output.line("one");
        output.prompt("two> ");
        assert!(output.is_waiting());
        assert!(output.flush());
        assert!(!output.is_waiting());
        assert_eq!(read_what_is_there(&mut reader), "one\ntwo> ");
    }

    #[test]
    fn a_reader_that_sleeps_blocks_nothing_and_is_told_what_it_missed() {
        let (mut reader, mut output) = pipe();
        let line = "x".repeat(1_023);
        for _ in 0..1_000 {
            output.line(&line);
            assert!(output.flush());
        }
        assert!(output.is_waiting());
        let mut all = String::new();
        while output.is_waiting() {
            all.push_str(&read_what_is_there(&mut reader));
            assert!(output.flush());
        }
        output.line("end");
        while !all.ends_with("end\n") {
            assert!(output.flush());
            all.push_str(&read_what_is_there(&mut reader));
        }
        let whole = all.lines().filter(|&got| got == line).count();
        let note = all.lines().rev().nth(1).unwrap();
        assert_eq!(note, format!("({} lines dropped)", 1_000 - whole));
        assert_eq!(all.lines().last(), Some("end"));
        assert_eq!(all.lines().count(), whole + 2, "no line is cut");
    }

    #[test]
    fn a_reader_that_went_ends_the_printing_only() {
        let (reader, mut output) = pipe();
        drop(reader);
        output.line("to nobody");
        assert!(!output.flush());
        output.line("more");
        assert!(!output.is_waiting());
        assert!(!output.flush());
    }
    #[test]
    fn only_a_reader_that_went_is_passed_over_in_silence() {
        let (reader, mut output) = pipe();
        drop(reader);
        output.line("to nobody");
        output.flush();
        assert_eq!(output.loss(), Some(Failure::cannot("")));

        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut output = Output::new(Ok(full));
        output.line("too much");
        assert!(!output.flush());
        let told = &output.loss().unwrap().message;
        assert!(told.ends_with("No space left on device"), "{told}");
    }

    #[test]
    fn an_output_that_cannot_be_had_is_a_loss() {
        let mut output = Output::new(Err(io::Error::from_raw_os_error(libc::EMFILE)));
        assert!(!output.is_open());
        let told = &output.loss().unwrap().message;
        assert!(told.contains("standard output"), "{told}");
    }
}
