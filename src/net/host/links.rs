//! The services' TCP connections.

use super::{Host, Interest, Key, Owner, Pending, Reactor};
use crate::net::reactor::Ready;
use crate::net::tcp::{Connection, Got};
use crate::service::{Event, Peer};
use crate::text::without_number;
use crate::time::Duration;
use core::net::SocketAddrV4;

/// A connection and whose it is.
pub(super) struct Link {
    pub(super) service: usize,
    key: Key,
    address: SocketAddrV4,
    connection: Connection,
    /// The peer's end of sending was told.
    has_ended: bool,
    /// What was unsent when the connection was closed, or last looked at.
    left: usize,
}

impl Link {
    /// How many bytes wait for the peer to take them.
    pub(super) fn unsent_len(&self) -> usize {
        self.connection.unsent_len()
    }
}

impl Host {
    /// Takes waiting connections in. When none can be had any more the
    /// listeners rest, or poll would call them ready for ever.
    pub(super) fn take_in(&mut self, reactor: &mut Reactor, index: usize) {
        for _ in 0..ACCEPTED_A_TURN_MAX {
            if !self.has_room(reactor) {
                return self.pause_listeners(reactor);
            }
            let hosted = self.services.get(index);
            let Some((_, listener)) = hosted.and_then(|one| one.listener.as_ref()) else {
                return;
            };
            match listener.accept() {
                Ok(Some((connection, address))) => {
                    let peer = self.add_link(reactor, index, address, connection);
                    self.tell(reactor, index, Event::Opened { peer, address });
                }
                Ok(None) => return,
                Err(error) => match error.raw_os_error() {
                    Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                        return self.pause_listeners(reactor);
                    }
                    // The peer went before it was taken in: the next one.
                    _ => continue,
                },
            }
        }
    }

    /// Whether one more connection can be had. Those that were closed here and
    /// only wait for their peers' ends give way, the oldest first.
    fn has_room(&mut self, reactor: &mut Reactor) -> bool {
        while self.links.len() >= self.links_max {
            let Some((_, peer)) = self.lingering.pop_front() else {
                return false;
            };
            self.drop_link(reactor, peer);
        }
        true
    }

    pub(super) fn connect(&mut self, reactor: &mut Reactor, index: usize, to: SocketAddrV4) {
        match Connection::connect(to) {
            Ok(connection) => {
                self.add_link(reactor, index, to, connection);
            }
            Err(error) => {
                let why = reason(&error);
                let failed = Pending::ConnectFailed { to, why };
                self.pending.push_back((index, failed));
            }
        }
    }

    pub(super) fn write(&mut self, reactor: &mut Reactor, peer: Peer, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(peer) else {
            return;
        };
        match link.connection.write(bytes) {
            Ok(()) => reactor.set_interest(link.key, link.connection.interest()),
            Err(_) => return self.lose(reactor, peer),
        }
        // Many that do not read are bounded together too.
        if link.unsent_len() > UNSENT_CROWDED_MAX {
            let all = self.links.values().map(Link::unsent_len);
            if all.sum::<usize>() > UNSENT_ALL_MAX {
                self.lose(reactor, peer);
            }
        }
    }

    pub(super) fn close(&mut self, reactor: &mut Reactor, peer: Peer) {
        let Some(link) = self.links.get_mut(peer) else {
            return;
        };
        if link.connection.is_closed() {
            return;
        }
        if link.connection.is_connecting() || link.connection.close().is_err() {
            return self.drop_link(reactor, peer);
        }
        link.left = link.connection.unsent_len();
        reactor.set_interest(link.key, link.connection.interest());
        self.lingering.push_back((reactor.now() + LINGER, peer));
    }

    pub(super) fn handle_link(&mut self, reactor: &mut Reactor, peer: Peer, ready: Ready) {
        let Some(link) = self.links.get_mut(peer) else {
            return;
        };
        if link.connection.is_connecting() {
            return self.finish_connect(reactor, peer);
        }
        if ready.writable() && link.connection.is_waiting() && link.connection.flush().is_err() {
            return self.lose(reactor, peer);
        }
        reactor.set_interest(link.key, link.connection.interest());
        if ready.readable() {
            self.read(reactor, peer);
        }
    }

    fn read(&mut self, reactor: &mut Reactor, peer: Peer) {
        let Some(link) = self.links.get_mut(peer) else {
            return;
        };
        let index = link.service;
        let mut buffer = core::mem::take(&mut self.buffer);
        let chunk = buffer.get_mut(..READ_A_TURN_MAX).unwrap_or_default();
        let got = link.connection.read(chunk);
        let is_closed = link.connection.is_closed();
        match got {
            Ok(Got::Bytes(_)) if is_closed => {}
            Ok(Got::Bytes(len)) => {
                let bytes = buffer.get(..len).unwrap_or_default();
                self.tell(reactor, index, Event::Bytes { peer, bytes });
            }
            Ok(Got::Nothing) => {}
            Ok(Got::End) if is_closed => self.end_closed(reactor, peer),
            Ok(Got::End) => self.handle_end(reactor, peer),
            Err(_) => self.lose(reactor, peer),
        }
        self.buffer = buffer;
    }

    /// The peer sends no more: told once. A second end is a hang-up: it reads
    /// no more either.
    fn handle_end(&mut self, reactor: &mut Reactor, peer: Peer) {
        let Some(link) = self.links.get_mut(peer) else {
            return;
        };
        if core::mem::replace(&mut link.has_ended, true) {
            return self.lose(reactor, peer);
        }
        reactor.set_interest(link.key, link.connection.interest());
        let index = link.service;
        self.tell(reactor, index, Event::HalfClosed { peer });
    }

    /// The peer of a connection that was closed here has ended too.
    fn end_closed(&mut self, reactor: &mut Reactor, peer: Peer) {
        match self.links.get_mut(peer) {
            Some(link) if link.connection.is_waiting() => {
                reactor.set_interest(link.key, Interest::WRITE);
            }
            _ => self.drop_link(reactor, peer),
        }
    }

    fn finish_connect(&mut self, reactor: &mut Reactor, peer: Peer) {
        let Some(link) = self.links.get_mut(peer) else {
            return;
        };
        let (index, address) = (link.service, link.address);
        match link.connection.finish_connect() {
            Ok(()) => {
                reactor.set_interest(link.key, link.connection.interest());
                self.tell(reactor, index, Event::Opened { peer, address });
            }
            Err(error) => {
                self.drop_link(reactor, peer);
                let (to, why) = (address, &*reason(&error));
                self.tell(reactor, index, Event::ConnectFailed { to, why });
            }
        }
    }

    /// The connection broke: the service is told, unless it had closed it.
    fn lose(&mut self, reactor: &mut Reactor, peer: Peer) {
        if let Some(link) = self.links.get(peer)
            && !link.connection.is_closed()
        {
            let closed = Pending::Closed { peer };
            self.pending.push_back((link.service, closed));
        }
        self.drop_link(reactor, peer);
    }

    fn drop_link(&mut self, reactor: &mut Reactor, peer: Peer) {
        if let Some(link) = self.links.remove(peer) {
            self.disown(reactor, link.key);
            if self.listeners_paused.is_some() {
                self.resume_listeners(reactor);
            }
        }
    }

    fn add_link(
        &mut self,
        reactor: &mut Reactor,
        service: usize,
        address: SocketAddrV4,
        connection: Connection,
    ) -> Peer {
        self.last_peer = self.last_peer.wrapping_add(1);
        let peer = Peer(self.last_peer);
        let key = reactor.watch(&connection, connection.interest());
        self.own(key, Owner::Link(peer));
        let link = Link {
            service,
            key,
            address,
            connection,
            has_ended: false,
            left: 0,
        };
        self.links.insert(peer, link);
        peer
    }

    /// Closed connections whose peers have not ended in time are dropped; a
    /// peer that still takes what was written is given more time.
    pub(super) fn end_lingering(&mut self, reactor: &mut Reactor) {
        while let Some(&(until, peer)) = self.lingering.front()
            && until <= reactor.now()
        {
            self.lingering.pop_front();
            match self.links.get_mut(peer) {
                Some(link) if link.connection.unsent_len() < link.left => {
                    link.left = link.connection.unsent_len();
                    self.lingering.push_back((reactor.now() + LINGER, peer));
                }
                _ => self.drop_link(reactor, peer),
            }
        }
    }

    /// Whether every connection has taken what was written to it.
    pub(super) fn are_links_written(&self) -> bool {
        self.links
            .values()
            .all(|link| !link.connection.is_waiting())
    }

    fn pause_listeners(&mut self, reactor: &mut Reactor) {
        if !self.is_full_told {
            self.is_full_told = true;
            self.stderr.line(&format!(
                "boardroom: {} connections are all that the limit of open files allows \
                 (`ulimit -n`); the next ones wait",
                self.links.len()
            ));
        }
        self.listeners_paused = Some(reactor.now() + PAUSE);
        self.watch_listeners(reactor, Interest::NONE);
    }

    pub(super) fn resume_listeners(&mut self, reactor: &mut Reactor) {
        self.listeners_paused = None;
        self.watch_listeners(reactor, Interest::READ);
    }

    fn watch_listeners(&self, reactor: &mut Reactor, interest: Interest) {
        for (key, _) in self.services.iter().filter_map(|one| one.listener.as_ref()) {
            reactor.set_interest(*key, interest);
        }
    }
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".into(),
        std::io::ErrorKind::TimedOut => "no answer".into(),
        _ => without_number(error.to_string()),
    }
}

/// What may wait for all peers together; beyond it, a peer may leave
/// [`UNSENT_CROWDED_MAX`] waiting and is closed when it is written more.
const UNSENT_ALL_MAX: usize = 4 * 1024 * 1024;
const UNSENT_CROWDED_MAX: usize = 4 * 1024;
/// What one peer may bring in one turn, so that the others have theirs.
const READ_A_TURN_MAX: usize = 4_096;
const ACCEPTED_A_TURN_MAX: u32 = 64;
/// How long a connection closed here waits for the peer's end.
const LINGER: Duration = Duration::from_secs(2);
/// How long listeners rest at most when no descriptor is left.
const PAUSE: Duration = Duration::from_secs(1);
