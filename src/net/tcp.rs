//! TCP without blocking: a listener, and connections with a bounded buffer for
//! what the peer has not taken yet.

use super::reactor::Interest;
use core::net::SocketAddrV4;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

/// What may wait for one peer. A peer that takes longer is closed.
pub const UNSENT_MAX: usize = 256 * 1024;

/// Takes connections in.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
}

impl Listener {
    /// Listens at `at`; port 0 asks for a free one. SO_REUSEADDR: connections
    /// of an earlier run that linger in TIME_WAIT do not hold the port.
    pub fn bind(at: SocketAddrV4) -> io::Result<Self> {
        let socket = stream_socket()?;
        socket.set_reuse_address(true)?;
        socket.bind(&at.into())?;
        socket.listen(BACKLOG)?;
        Ok(Self {
            listener: socket.into(),
        })
    }

    /// The port bound.
    pub fn port(&self) -> u16 {
        self.listener.local_addr().map_or(0, |at| at.port())
    }

    /// Takes one connection, if one waits.
    pub fn accept(&self) -> io::Result<Option<(Connection, SocketAddrV4)>> {
        match self.listener.accept() {
            Ok((stream, SocketAddr::V4(from))) => {
                stream.set_nonblocking(true)?;
                Ok(Some((Connection::new(stream, State::Open), from)))
            }
            Ok((_, SocketAddr::V6(_))) => Ok(None),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.listener.as_raw_fd()
    }
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Asked for, not yet standing.
    Connecting,
    /// Both ways are open.
    Open,
    /// The peer sends no more, and may still read.
    HalfClosed,
    /// Closed by us once the rest has gone out.
    Closing,
    /// All has gone out and the peer knows that no more will come. What it
    /// still sends is read and thrown away: closing with unread bytes would
    /// have the kernel reset the connection and destroy what is on its way.
    Lingering,
}

/// What came of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    /// So many bytes.
    Bytes(usize),
    /// Nothing yet.
    Nothing,
    /// The peer will send no more.
    End,
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    state: State,
    unsent: VecDeque<u8>,
}

impl Connection {
    fn new(stream: TcpStream, state: State) -> Self {
        let _ = stream.set_nodelay(true);
        notice_death(&stream);
        Self {
            stream,
            state,
            unsent: VecDeque::new(),
        }
    }

    /// Begins to connect. Writable means that it stands or has failed:
    /// [`Connection::finish_connect`] tells which.
    pub fn connect(to: SocketAddrV4) -> io::Result<Self> {
        let socket = stream_socket()?;
        match socket.connect(&to.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        Ok(Self::new(socket.into(), State::Connecting))
    }

    /// Whether the connection asked for stands.
    pub fn finish_connect(&mut self) -> io::Result<()> {
        match self.stream.take_error()? {
            Some(error) => Err(error),
            None => {
                self.state = State::Open;
                Ok(())
            }
        }
    }

    /// Reads what is there, at most a buffer full.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Got> {
        match self.stream.read(buffer) {
            Ok(0) => {
                if self.state == State::Open {
                    self.state = State::HalfClosed;
                }
                Ok(Got::End)
            }
            Ok(len) => Ok(Got::Bytes(len)),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                Ok(Got::Nothing)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes, and keeps what does not go now. An error is the connection's
    /// end; so is a peer that leaves more than [`UNSENT_MAX`] waiting.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if matches!(self.state, State::Closing | State::Lingering) {
            return Ok(());
        }
        let mut written = 0;
        if self.unsent.is_empty() && self.state != State::Connecting {
            written = self.write_now(bytes)?;
        }
        let rest = bytes.get(written..).unwrap_or_default();
        if self.unsent.len() + rest.len() > UNSENT_MAX {
            return Err(ErrorKind::QuotaExceeded.into());
        }
        self.unsent.extend(rest);
        Ok(())
    }

    /// Writes what waits, as far as the peer takes it.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() && self.state != State::Connecting {
            let (front, _) = self.unsent.as_slices();
            let written = match (&self.stream).write(front) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                written => written?,
            };
            self.unsent.drain(..written);
        }
        if self.state == State::Closing {
            self.state = State::Lingering;
            return self.stream.shutdown(Shutdown::Write);
        }
        Ok(())
    }

    /// Ends the connection once what waits has gone out.
    pub fn close(&mut self) -> io::Result<()> {
        self.state = State::Closing;
        self.flush()
    }

    /// Whether it was asked for and does not stand yet.
    pub fn is_connecting(&self) -> bool {
        self.state == State::Connecting
    }

    /// Whether it was closed from this side: what comes is thrown away.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closing | State::Lingering)
    }

    /// Whether something waits for the peer to take it.
    pub fn is_waiting(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// How many bytes wait for the peer to take them.
    pub fn unsent_len(&self) -> usize {
        self.unsent.len()
    }

    /// What poll should watch for.
    pub fn interest(&self) -> Interest {
        let read = matches!(self.state, State::Open | State::Closing | State::Lingering);
        Interest::of(read, self.is_connecting() || self.is_waiting())
    }

    fn write_now(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.stream.write(bytes) {
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                Ok(0)
            }
            written => written,
        }
    }
}

impl AsRawFd for Connection {
    fn as_raw_fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }
}

/// A peer that lost its power says nothing: the kernel asks after it when
/// nothing is under way, and else gives up what it does not acknowledge. Best
/// effort: without it the connection just stands longer.
fn notice_death(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(15))
        .with_interval(Duration::from_secs(5))
        .with_retries(3);
    let _ = socket.set_tcp_keepalive(&keepalive);
    let _ = socket.set_tcp_user_timeout(Some(Duration::from_secs(30)));
}

fn stream_socket() -> io::Result<Socket> {
    Socket::new(
        Domain::IPV4,
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )
}

/// Connections that wait to be taken in.
const BACKLOG: i32 = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::soon::soon;
    use core::net::Ipv4Addr;

    fn pair() -> (Connection, TcpStream) {
        let listener = Listener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
        let peer = TcpStream::connect((Ipv4Addr::LOCALHOST, listener.port())).unwrap();
        (accept(&listener), peer)
    }

    fn accept(listener: &Listener) -> Connection {
        let accepted = soon(|| listener.accept().unwrap());
        accepted.expect("a connection within ten seconds").0
    }

    fn read(connection: &mut Connection, buffer: &mut [u8]) -> io::Result<Got> {
        let got = soon(|| match connection.read(buffer) {
            Ok(Got::Nothing) => None,
            got => Some(got),
        });
        got.unwrap_or(Ok(Got::Nothing))
    }

    #[test]
    fn what_was_written_arrives_before_the_close_though_bytes_are_unread() {
        let (mut ours, mut peer) = pair();
        peer.write_all(b"never read by the service").unwrap();
        let long = vec![7; 200_000];
        ours.write(&long).unwrap();
        ours.close().unwrap();
        let mut got = Vec::new();
        let mut buffer = [0; 65_536];
        for _ in 0..10_000 {
            ours.flush().unwrap();
            let _ = ours.read(&mut [0; 64]);
            match peer.read(&mut buffer).unwrap() {
                0 => break,
                len => got.extend_from_slice(&buffer[..len]),
            }
        }
        assert_eq!(got, long);
        assert!(ours.is_closed() && !ours.is_waiting());
    }

    #[test]
    fn a_peer_that_does_not_read_is_bounded() {
        let (mut ours, _peer) = pair();
        let chunk = [0; 64 * 1024];
        let error = (0..1_000).find_map(|_| ours.write(&chunk).err()).unwrap();
        assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
        assert!(ours.unsent.len() <= UNSENT_MAX);
    }

    #[test]
    fn a_half_closed_peer_can_still_be_answered() {
        let (mut ours, mut peer) = pair();
        peer.write_all(b"q").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(read(&mut ours, &mut buffer).unwrap(), Got::Bytes(1));
        assert_eq!(read(&mut ours, &mut buffer).unwrap(), Got::End);
        assert_eq!(ours.interest(), Interest::NONE);
        ours.write(b"a").unwrap();
        ours.close().unwrap();
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"a");
    }

    #[test]
    fn a_connection_refused_says_so() {
        // Nobody else uses this address: no other test's port can be this one.
        let closed = SocketAddrV4::new(Ipv4Addr::new(127, 83, 0, 2), 9);
        // What stands has a peer; what is still on its way has none.
        let refused = |mut connection: Connection| {
            soon(|| connection.finish_connect().err()).map_or(Ok(()), Err)
        };
        let failed = Connection::connect(closed).and_then(refused).unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::ConnectionRefused);
    }
}
