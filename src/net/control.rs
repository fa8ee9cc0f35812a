//! The control socket: a board's door for programs of its own machine, by
//! lines of text. A client sends one line and reads until the end:
//!
//! | line | answer |
//! |---|---|
//! | `status` | role, master, counters and history, for people |
//! | `status json` | the same as one JSON object |
//! | `resign` | hands over; `ok` or why not |
//! | `watch` | what becomes of the board, a line each, without an end |

use crate::net::files;
use crate::net::reactor::{Interest, Key, Reactor, Ready};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::sys::stat::{Mode, umask};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The control socket of the board on `port`, unless told.
pub fn default_path(port: u16) -> PathBuf {
    default_directory().join(format!("{port}.sock"))
}

fn default_directory() -> PathBuf {
    let run = Path::new("/run");
    let base = if run.is_dir() {
        run
    } else {
        Path::new("/var/run")
    };
    base.join("boardroom")
}

/// Makes the directory of the usual path, for whoever may: elsewhere the init
/// script has made it.
pub fn make_default_directory() {
    let _ = fs::create_dir(default_directory());
}

/// Asks the board behind `path`; its whole answer.
pub fn ask(path: &Path, line: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{line}\n").as_bytes())?;
    let answer = files::contents(&stream, ANSWER_MAX)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// What a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// `status`
    Status,
    /// `status json`
    StatusJson,
    /// `resign`
    Resign,
    /// `watch`
    Watch,
}

impl Request {
    fn parse(line: &[u8]) -> Option<Self> {
        match line.trim_ascii() {
            b"status" => Some(Self::Status),
            b"status json" => Some(Self::StatusJson),
            b"resign" => Some(Self::Resign),
            b"watch" => Some(Self::Watch),
            _ => None,
        }
    }
}

/// The open control socket.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    /// None once it is no longer heard.
    key: Option<Key>,
    listener: UnixListener,
    /// Given up to turn a client away when there is no other descriptor.
    spare: Option<File>,
    /// In the order of their coming, bounded.
    clients: Vec<Client>,
}

#[derive(Debug)]
struct Client {
    key: Key,
    stream: UnixStream,
    line: Vec<u8>,
    unsent: VecDeque<u8>,
    /// Stays for what comes; else it ends once all is sent.
    watches: bool,
    asked: bool,
}

/// Why there is no control socket.
#[derive(Debug)]
pub enum Closed {
    /// Another board answers there.
    Another,
    /// The place cannot be used.
    Cannot(io::Error),
}

impl Control {
    /// Opens the socket at `path`, for the owner and the group only. One that
    /// a dead board left behind is replaced.
    pub fn open(reactor: &mut Reactor, path: &Path) -> Result<Self, Closed> {
        clear(path)?;
        let before = umask(Mode::from_bits_truncate(0o117));
        let listener = UnixListener::bind(path);
        umask(before);
        let listener = listener.map_err(Closed::Cannot)?;
        listener.set_nonblocking(true).map_err(Closed::Cannot)?;
        Ok(Self {
            path: path.into(),
            key: Some(reactor.watch_aside(&listener)),
            listener,
            spare: spare(),
            clients: Vec::new(),
        })
    }

    /// Whether a key is the socket's or a client's.
    pub fn owns(&self, key: Key) -> bool {
        Some(key) == self.key || self.clients.iter().any(|client| client.key == key)
    }

    /// A descriptor of ours is ready; the request, if one is complete. It is
    /// answered by [`Control::answer`].
    pub fn handle(&mut self, reactor: &mut Reactor, key: Key, ready: Ready) -> Option<Request> {
        if Some(key) == self.key {
            self.take_in(reactor);
            return None;
        }
        let client = self.clients.iter_mut().find(|client| client.key == key)?;
        if ready.writable() && client.flush().is_err() {
            self.drop_client(reactor, key);
            return None;
        }
        let request = if ready.readable() {
            client.read()
        } else {
            Ok(None)
        };
        match request {
            Ok(Some(line)) => match Request::parse(&line) {
                Some(request) => return Some(request),
                None => self.answer(
                    reactor,
                    key,
                    "error: send status, status json, resign or watch\n",
                    false,
                ),
            },
            Ok(None) => self.settle(reactor, key),
            Err(_) => self.drop_client(reactor, key),
        }
        None
    }

    /// Answers a client; it stays if it `watches`.
    pub fn answer(&mut self, reactor: &mut Reactor, key: Key, text: &str, watches: bool) {
        let watching = self.clients.iter().filter(|client| client.watches).count();
        let (text, watches) = match watches && watching >= WATCHING_MAX {
            true => ("error: enough watch already; ask for status\n", false),
            false => (text, watches),
        };
        if let Some(client) = self.clients.iter_mut().find(|client| client.key == key) {
            client.watches = watches;
            client.unsent.extend(text.as_bytes());
            let _ = client.flush();
        }
        self.settle(reactor, key);
    }

    /// Tells a line to everybody who watches. Who does not read is dropped.
    pub fn tell(&mut self, reactor: &mut Reactor, line: &str) {
        let watching = self.clients.iter_mut().filter(|client| client.watches);
        let mut lost = Vec::new();
        for client in watching {
            client.unsent.extend(line.as_bytes());
            client.unsent.push_back(b'\n');
            if client.unsent.len() > UNSENT_MAX || client.flush().is_err() {
                lost.push(client.key);
            }
            reactor.set_interest(client.key, client.interest());
        }
        for key in lost {
            self.drop_client(reactor, key);
        }
    }

    /// Whether anybody watches.
    pub fn is_watched(&self) -> bool {
        self.clients.iter().any(|client| client.watches)
    }

    fn take_in(&mut self, reactor: &mut Reactor) {
        let stream = match self.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if is_out_of_descriptors(&error) => return self.turn_away(reactor),
            Err(_) => return,
        };
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        if self.clients.len() >= CLIENTS_MAX {
            // Whoever has been silent longest makes room; those who watch stay.
            let silent = self.clients.iter().find(|client| !client.asked);
            let Some(key) = silent.map(|client| client.key) else {
                return;
            };
            self.drop_client(reactor, key);
        }
        self.clients.push(Client {
            key: reactor.watch(&stream, Interest::READ),
            stream,
            line: Vec::new(),
            unsent: VecDeque::new(),
            watches: false,
            asked: false,
        });
    }

    /// No descriptor is left for a client. One that went on waiting would wake
    /// the loop without an end.
    fn turn_away(&mut self, reactor: &mut Reactor) {
        drop(self.spare.take());
        let turned_away = self.listener.accept();
        let is_over = turned_away.as_ref().is_err_and(is_out_of_descriptors);
        drop(turned_away);
        self.spare = spare();
        if let Some(key) = self.key.take_if(|_| is_over) {
            // The machine has none either: this door stays shut.
            reactor.unwatch(key);
        }
    }

    /// A client that has its answer is let go.
    fn settle(&mut self, reactor: &mut Reactor, key: Key) {
        let Some(client) = self.clients.iter().find(|client| client.key == key) else {
            return;
        };
        if client.asked && !client.watches && client.unsent.is_empty() {
            self.drop_client(reactor, key);
        } else {
            reactor.set_interest(key, client.interest());
        }
    }

    fn drop_client(&mut self, reactor: &mut Reactor, key: Key) {
        reactor.unwatch(key);
        self.clients.retain(|client| client.key != key);
    }
}

impl Client {
    fn interest(&self) -> Interest {
        Interest::of(true, !self.unsent.is_empty())
    }

    /// A whole line, if one has come. The end of the stream is an error: nobody
    /// is left to be answered.
    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = [0; LINE_MAX];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) if self.asked => return Ok(None),
            Ok(len) => self.line.extend(buffer.get(..len).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        let is_whole = self.line.contains(&b'\n');
        if !is_whole && self.line.len() < LINE_MAX {
            return Ok(None);
        }
        self.asked = true;
        let line = self.line.split(|&byte| byte == b'\n').next();
        Ok(Some(line.unwrap_or_default().to_vec()))
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            let (front, _) = self.unsent.as_slices();
            match self.stream.write(front) {
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl AsRawFd for Control {
    fn as_raw_fd(&self) -> RawFd {
        self.listener.as_raw_fd()
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn spare() -> Option<File> {
    files::read(Path::new("/dev/null")).ok()
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Makes room for the socket: one that nobody answers at is removed. Anything
/// but a socket is left alone.
fn clear(path: &Path) -> Result<(), Closed> {
    match fs::symlink_metadata(path) {
        Ok(there) if !there.file_type().is_socket() => {
            return Err(Closed::Cannot(io::Error::from_raw_os_error(libc::ENOTSOCK)));
        }
        Ok(_) => {}
        Err(_) => return Ok(()),
    }
    // Without blocking: a board whose queue is full lives.
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let connected = socket(AddressFamily::Unix, SockType::Stream, flags, None)
        .and_then(|socket| connect(socket.as_raw_fd(), &UnixAddr::new(path)?));
    match connected {
        Err(Errno::ECONNREFUSED) => fs::remove_file(path).map_err(Closed::Cannot),
        Err(error @ (Errno::EACCES | Errno::EPERM)) => Err(Closed::Cannot(error.into())),
        _ => Err(Closed::Another),
    }
}

/// How long a client waits for its answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest answer that a client reads.
const ANSWER_MAX: usize = 1 << 20;
const CLIENTS_MAX: usize = 8;
/// So many may watch: the rest of the places is for who asks and goes.
const WATCHING_MAX: usize = 6;
const LINE_MAX: usize = 64;
/// What may wait for one client that watches.
const UNSENT_MAX: usize = 64 * 1024;

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;
