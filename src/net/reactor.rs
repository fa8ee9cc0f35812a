//! The one poll loop. It knows descriptors, one clock and one deadline; what
//! they mean is the handler's business.
//!
//! A turn: poll, the clock, what is ready, then the end of the turn (timers and
//! output). Timers run when poll found nothing more to read, or after a bounded
//! number of busy turns in a row: a process that was late then hears what is
//! queued before it calls anyone dead, and a flood cannot stop its timers.

use super::aside::Aside;
use super::clock;
use super::sys::{self, PollFd};
use crate::time::{Duration, Instant};
use std::io;
use std::os::fd::AsRawFd;

/// The number of a watched descriptor; given again once it is no longer
/// watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u32);

/// Keys of descriptors that are watched aside have this bit.
const ASIDE: u32 = 1 << 31;

impl Key {
    /// The key as an index: keys are small and dense.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a descriptor is watched for. Errors and hang-ups are always seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest(i16);

impl Interest {
    /// Nothing but errors.
    pub const NONE: Self = Self(0);
    /// Something to read.
    pub const READ: Self = Self(libc::POLLIN);
    /// Room to write.
    pub const WRITE: Self = Self(libc::POLLOUT);
    /// Either.
    pub const BOTH: Self = Self(libc::POLLIN | libc::POLLOUT);

    /// Reading and writing as two questions.
    pub const fn of(read: bool, write: bool) -> Self {
        match (read, write) {
            (false, false) => Self::NONE,
            (true, false) => Self::READ,
            (false, true) => Self::WRITE,
            (true, true) => Self::BOTH,
        }
    }
}

/// What poll said about a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready(i16);

impl Ready {
    /// A read will not block; also so at the end of a stream and on an error.
    pub const fn readable(self) -> bool {
        self.0 & (libc::POLLIN | libc::POLLHUP | libc::POLLERR) != 0
    }

    /// A write will not block; also so on an error.
    pub const fn writable(self) -> bool {
        self.0 & (libc::POLLOUT | libc::POLLHUP | libc::POLLERR) != 0
    }

    /// Input proper, without errors and hang-ups.
    pub const fn has_input(self) -> bool {
        self.0 & libc::POLLIN != 0
    }

    /// An error waits: on a UDP socket it is to be taken off the error queue.
    pub const fn has_error(self) -> bool {
        self.0 & libc::POLLERR != 0
    }

    /// The descriptor is not open. The reactor watches it no more.
    pub const fn is_gone(self) -> bool {
        self.0 & libc::POLLNVAL != 0
    }
}

/// What a reactor drives.
pub trait Handler {
    /// Poll has returned and the clock was read; nothing has been read yet.
    fn woken(&mut self, _reactor: &mut Reactor) {}

    /// A descriptor is ready. One read (or write) and back: the others wait.
    fn ready(&mut self, reactor: &mut Reactor, key: Key, ready: Ready);

    /// The turn's end: output, and, when `drained`, what is due. After that
    /// the deadline must lie in the future.
    fn end_turn(&mut self, reactor: &mut Reactor, drained: bool);

    /// When the handler wants to be woken at the latest.
    fn deadline(&self) -> Option<Instant>;

    /// Whether the loop is to end, asked after each turn.
    fn is_finished(&self) -> bool;
}

/// The descriptors and the present.
#[derive(Debug)]
pub struct Reactor {
    /// Dense; a free place has descriptor −1, which poll passes over.
    set: Vec<PollFd>,
    free: Vec<Key>,
    /// Who is seldom ready, with the place in `set` that stands for all.
    aside: Option<(Key, Aside)>,
    now: Instant,
    busy_turns: u32,
    busy_turns_max: u32,
}

impl Reactor {
    /// A loop that runs timers after `busy_turns_max` turns with input in a
    /// row, if input does not end before.
    pub fn new(busy_turns_max: u32) -> Self {
        Self {
            set: Vec::new(),
            free: Vec::new(),
            aside: None,
            now: clock::now(),
            busy_turns: 0,
            busy_turns_max,
        }
    }

    /// The present: the clock as it was right after poll returned.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Watches a descriptor. It must stay open until [`Reactor::unwatch`].
    pub fn watch(&mut self, fd: &impl AsRawFd, interest: Interest) -> Key {
        let entry = PollFd {
            fd: fd.as_raw_fd(),
            events: interest.0,
            revents: 0,
        };
        if let Some(key) = self.free.pop()
            && let Some(place) = self.set.get_mut(key.index())
        {
            *place = entry;
            return key;
        }
        self.set.push(entry);
        Key(self.set.len() as u32 - 1)
    }

    /// Watches a descriptor that is seldom ready for input: it costs a turn
    /// nothing until it is. Never for a regular file, and its interest stays.
    pub fn watch_aside(&mut self, fd: &impl AsRawFd) -> Key {
        if self.aside.is_none()
            && let Ok(aside) = Aside::new()
        {
            let key = self.watch(&aside, Interest::READ);
            self.aside = Some((key, aside));
        }
        let watched = self
            .aside
            .as_mut()
            .and_then(|(_, aside)| aside.watch(fd.as_raw_fd(), Interest::READ.0).ok());
        match watched {
            Some(number) => Key(ASIDE | number as u32),
            None => self.watch(fd, Interest::READ),
        }
    }

    /// Watches a descriptor for something else.
    pub fn set_interest(&mut self, key: Key, interest: Interest) {
        if let Some(entry) = self.set.get_mut(key.index()) {
            entry.events = interest.0;
        }
    }

    /// Watches a descriptor no more; the key is void.
    pub fn unwatch(&mut self, key: Key) {
        if key.0 & ASIDE != 0 {
            if let Some((_, aside)) = &mut self.aside {
                aside.unwatch((key.0 & !ASIDE) as usize);
            }
            return;
        }
        if let Some(entry) = self.set.get_mut(key.index())
            && entry.fd != FREE.fd
        {
            *entry = FREE;
            self.free.push(key);
        }
    }

    /// Turns until the handler is finished.
    pub fn run(&mut self, handler: &mut dyn Handler) -> io::Result<()> {
        while !handler.is_finished() {
            self.turn(handler)?;
        }
        Ok(())
    }

    /// One turn: waits until the handler's deadline at the latest.
    pub fn turn(&mut self, handler: &mut dyn Handler) -> io::Result<()> {
        let ready = self.wait(handler.deadline())?;
        self.now = clock::now();
        handler.woken(self);
        self.dispatch(handler, ready);
        let drained = ready == 0 || self.busy_turns >= self.busy_turns_max;
        self.busy_turns = if drained { 0 } else { self.busy_turns + 1 };
        handler.end_turn(self, drained);
        debug_assert!(
            !drained || handler.is_finished() || handler.deadline().is_none_or(|at| at > self.now),
            "a timer that fires and is not set anew is a busy loop"
        );
        Ok(())
    }

    fn wait(&mut self, deadline: Option<Instant>) -> io::Result<usize> {
        let timeout = deadline.map(|at| (at - self.now).min(WAIT_MAX).micros());
        match sys::poll(&mut self.set, timeout) {
            Ok(ready) => Ok(ready),
            // The turn is taken as an empty one, and the timeout reckoned anew.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                for entry in &mut self.set {
                    entry.revents = 0;
                }
                Ok(0)
            }
            Err(error) => Err(error),
        }
    }

    /// A handler may watch and unwatch as it goes: a place given anew has
    /// nothing ready, so it is not mistaken for the old one.
    fn dispatch(&mut self, handler: &mut dyn Handler, ready: usize) {
        let (mut left, mut at) = (ready, 0);
        while left > 0 {
            let Some(entry) = self.set.get_mut(at) else {
                return;
            };
            let key = Key(at as u32);
            at += 1;
            if entry.revents == 0 {
                continue;
            }
            let said = Ready(core::mem::take(&mut entry.revents));
            left -= 1;
            if said.is_gone() {
                entry.fd = NOT_OPEN;
            }
            match &self.aside {
                Some((all, aside)) if *all == key => {
                    for (number, bits) in aside.ready() {
                        handler.ready(self, Key(ASIDE | number as u32), Ready(bits));
                    }
                }
                _ => handler.ready(self, key, said),
            }
        }
    }
}

const FREE: PollFd = PollFd {
    fd: -1,
    events: 0,
    revents: 0,
};

/// Poll passes over any negative descriptor; the place is still its owner's.
const NOT_OPEN: i32 = -2;

/// The longest wait of one poll; a later deadline is waited for in parts.
const WAIT_MAX: Duration = Duration::from_secs(sys::POLL_SECONDS_MAX);

#[cfg(test)]
#[path = "reactor_tests.rs"]
mod tests;
