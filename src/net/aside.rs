//! Descriptors that are seldom ready, watched aside: they stand in an epoll
//! set, of which the poll loop sees one descriptor. Each one that stood in
//! poll's own set would cost every WHOIS an eighth of a microsecond (measured
//! on x86-64: six instead of one make a round trip 7 % longer).

use super::sys;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollTimeout};
use std::io;
use std::os::fd::{AsRawFd, RawFd};

/// Events taken at once; what is left is ready at the next turn.
const EVENTS_MAX: usize = 8;

/// The set.
#[derive(Debug)]
pub(super) struct Aside {
    epoll: Epoll,
    /// By number; a place is free where there is none.
    watched: Vec<Option<RawFd>>,
}

impl Aside {
    /// An empty set; an error where the kernel has none.
    pub(super) fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self {
            epoll,
            watched: Vec::new(),
        })
    }

    /// Watches a descriptor for `events` (bits of poll, which are epoll's
    /// too); its number. It must stay open until it is no longer watched.
    pub(super) fn watch(&mut self, fd: RawFd, events: i16) -> io::Result<usize> {
        let free = self.watched.iter().position(Option::is_none);
        let number = free.unwrap_or(self.watched.len());
        sys::epoll_add(self.as_raw_fd(), fd, events, number as u64)?;
        if free.is_none() {
            self.watched.push(None);
        }
        if let Some(place) = self.watched.get_mut(number) {
            *place = Some(fd);
        }
        Ok(number)
    }

    /// Watches it no more.
    pub(super) fn unwatch(&mut self, number: usize) {
        if let Some(fd) = self.watched.get_mut(number).and_then(Option::take) {
            sys::epoll_remove(self.as_raw_fd(), fd);
        }
    }

    /// Who is ready, and for what: `(number, bits of poll)`.
    pub(super) fn ready(&self) -> impl Iterator<Item = (usize, i16)> + use<> {
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        let count = self
            .epoll
            .wait(&mut events, EpollTimeout::ZERO)
            .unwrap_or(0);
        events
            .into_iter()
            .take(count)
            .map(|event| (event.data() as usize, event.events().bits() as i16))
    }
}

impl AsRawFd for Aside {
    fn as_raw_fd(&self) -> RawFd {
        self.epoll.0.as_raw_fd()
    }
}
