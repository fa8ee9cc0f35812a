//! Programs started from this one: the hook's, and the board that a guardian
//! guards. `std::process::Command` can do more than that, with fork, threads
//! and trees, which are 15 KB of the program for a small board.

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawnp};
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What is to be started, and with what.
#[derive(Debug)]
pub struct Start<'a> {
    /// The program; one without a slash is looked for in `PATH`.
    pub program: &'a OsStr,
    /// Its arguments, beginning with its name.
    pub arguments: &'a [&'a OsStr],
    /// Variables that it has besides this program's, or without a value those
    /// that it has not.
    pub variables: &'a [(&'a str, Option<&'a str>)],
    /// Its standard input; none: /dev/null.
    pub input: Option<BorrowedFd<'a>>,
    /// Its standard output and error; none: this program's.
    pub output: Option<BorrowedFd<'a>>,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this exit code.
    Code(i32),
    /// By this signal.
    Signal(Signal),
    /// Nobody knows.
    Unknown,
}

impl core::fmt::Display for End {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status: {code}"),
            Self::Signal(signal) => write!(f, "signal: {}", signal.as_str()),
            Self::Unknown => f.write_str("nobody knows how"),
        }
    }
}

/// A program that was started. It leads a process group of its own.
#[derive(Debug)]
pub struct Child(Pid);

impl Child {
    /// Starts a program, with no signal blocked.
    pub fn start(start: &Start<'_>) -> io::Result<Self> {
        let mut files = PosixSpawnFileActions::init()?;
        match start.input {
            Some(input) => files.add_dup2(input.as_raw_fd(), libc::STDIN_FILENO)?,
            None => {
                let null = c"/dev/null";
                files.add_open(libc::STDIN_FILENO, null, OFlag::O_RDONLY, Mode::empty())?;
            }
        }
        if let Some(output) = start.output {
            files.add_dup2(output.as_raw_fd(), libc::STDOUT_FILENO)?;
            files.add_dup2(output.as_raw_fd(), libc::STDERR_FILENO)?;
        }
        let mut how = PosixSpawnAttr::init()?;
        how.set_flags(
            PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
                | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK
                | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF,
        )?;
        how.set_pgroup(Pid::from_raw(0))?;
        how.set_sigmask(&SigSet::empty())?;
        // Ignored in every Rust program, and that would be inherited.
        let mut broken_pipe = SigSet::empty();
        broken_pipe.add(Signal::SIGPIPE);
        how.set_sigdefault(&broken_pipe)?;
        let arguments: Result<Vec<_>, _> = start.arguments.iter().copied().map(text).collect();
        let program = text(start.program)?;
        let variables = variables(start.variables);
        Ok(Self(posix_spawnp(
            &program,
            &files,
            &how,
            &arguments?,
            &variables,
        )?))
    }

    /// How it ended, if it has. To be asked no more then.
    pub fn try_wait(&self) -> Option<End> {
        match waitpid(self.0, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => Some(End::Code(code)),
            Ok(WaitStatus::Signaled(_, signal, _)) => Some(End::Signal(signal)),
            Ok(_) | Err(Errno::EINTR) => None,
            Err(_) => Some(End::Unknown),
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(self.0, signal);
    }

    /// Ends it and whatever it has started.
    pub fn kill_group(&self) {
        let _ = killpg(self.0, Signal::SIGKILL);
    }
}

/// This program's variables, but for `changes`.
fn variables(changes: &[(&str, Option<&str>)]) -> Vec<CString> {
    let mut all = Vec::new();
    for (name, value) in std::env::vars_os() {
        if !changes.iter().any(|(changed, _)| name == *changed) {
            let mut line = name.into_vec();
            line.push(b'=');
            line.extend_from_slice(value.as_bytes());
            all.extend(CString::new(line));
        }
    }
    for (name, value) in changes {
        if let Some(value) = value {
            all.extend(CString::new(format!("{name}={value}")));
        }
    }
    all
}

fn text(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::soon::soon;
    use std::io::Read;
    use std::os::fd::AsFd;

    /// What a script prints, and how it ends.
    fn run(script: &str, variables: &[(&str, Option<&str>)]) -> (String, End) {
        let (mut reader, writer) = io::pipe().unwrap();
        let child = Child::start(&Start {
            program: OsStr::new("sh"),
            arguments: &["shell", "-c", script].map(OsStr::new),
            variables,
            input: None,
            output: Some(writer.as_fd()),
        })
        .unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        (text, soon(|| child.try_wait()).unwrap())
    }

    #[test]
    fn a_program_has_what_it_was_given() {
        let variables = [("BR_TEST", Some("a b")), ("HOME", None)];
        let (text, end) = run("cat; echo $0 $BR_TEST ${HOME-none} >&2; exit 3", &variables);
        assert_eq!((&*text, end), ("shell a b none\n", End::Code(3)));
    }

    #[test]
    fn a_signal_is_an_end_and_none_is_blocked() {
        let (_, end) = run("kill -TERM $$; sleep 9", &[]);
        assert_eq!(end, End::Signal(Signal::SIGTERM));
        let (_, end) = run("kill -PIPE $$; sleep 9", &[]);
        assert_eq!(end.to_string(), "signal: SIGPIPE");
    }

    #[test]
    fn what_is_not_there_is_not_started() {
        let program = OsStr::new("/nonexistent/program");
        let start = Start {
            program,
            arguments: &[program],
            variables: &[],
            input: None,
            output: None,
        };
        let error = Child::start(&start).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
