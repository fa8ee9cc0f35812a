//! What a board hears and says: one datagram a turn and socket, and in times
//! of flood many at once.

use super::Driver;
use crate::election::{Transmit, wire};
use crate::net::clock;
use crate::net::log::Level;
use crate::net::reactor::{Interest, Reactor};
use crate::net::sys::{BATCH_BYTES, BATCH_MAX};
use crate::net::udp::Udp;
use crate::text::{visible, without_number};
use crate::time::{Duration, Instant};
use core::net::SocketAddrV4;
use std::os::fd::AsRawFd;

/// A socket that the board hears by.
#[derive(Clone, Copy)]
pub(super) enum Which {
    Own,
    Broadcast,
    Claims,
}

impl Driver {
    /// One datagram of a socket; many in times of flood.
    pub(super) fn receive(&mut self, reactor: &mut Reactor, which: Which) {
        if self.quick_turns >= FLOOD_TURNS && self.receive_batch(reactor, which) {
            return;
        }
        let mut buffer = [0; BATCH_BYTES];
        let Some(socket) = self.socket(which) else {
            return;
        };
        if let Ok(Some((len, from))) = socket.receive(&mut buffer) {
            let bytes = buffer.get(..len).unwrap_or_default();
            self.hear(reactor.now(), from, bytes);
        }
    }

    pub(super) fn receive_batch(&mut self, reactor: &mut Reactor, which: Which) -> bool {
        let mut batch = self.batch.take().unwrap_or_default();
        let Some(fd) = self.socket(which).map(AsRawFd::as_raw_fd) else {
            return false;
        };
        let received = batch.receive(fd);
        if let Ok(count) = received {
            self.counts.batches += 1;
            if count < BATCH_WORTHWHILE {
                self.quick_turns = 0;
            }
            for index in 0..count {
                if let Some((bytes, from)) = batch.received(index) {
                    self.hear(reactor.now(), from, bytes);
                }
            }
        }
        self.batch = Some(batch);
        received.is_ok()
    }

    pub(super) fn receive_limited(&mut self, reactor: &mut Reactor) {
        let mut buffer = [0; BATCH_BYTES];
        let heard = self
            .open
            .as_ref()
            .and_then(|open| open.sockets.receive_limited(&mut buffer));
        if let Some((len, from)) = heard {
            self.hear(reactor.now(), from, buffer.get(..len).unwrap_or_default());
        }
    }

    pub(super) fn hear(&mut self, now: Instant, from: SocketAddrV4, bytes: &[u8]) {
        self.tape(|record| record.datagram(from, bytes, None));
        if self.log.is_verbose() {
            let text = visible(wire::text_of(bytes));
            let line = format!("from {from}: {text}");
            self.log.line(now, Level::Detail, reason(bytes), line);
        }
        self.board
            .handle_datagram(now, from, bytes, &mut self.source);
        self.tape_randoms();
    }

    /// Has poll tell of claims only if this board may not sleep through them.
    pub(super) fn choose_claims(&mut self, reactor: &mut Reactor) {
        let Some(open) = &mut self.open else { return };
        let Some(key) = open.keys.claims else { return };
        let wait = open.sockets.has_stamps && self.board.can_claims_wait();
        if wait != open.claims_wait {
            open.claims_wait = wait;
            let interest = if wait { Interest::NONE } else { Interest::READ };
            reactor.set_interest(key, interest);
        }
    }

    /// Hands in the claims that waited, as of the moments when they came.
    pub(super) fn hear_waiting_claims(&mut self, now: Instant) {
        if !self.open.as_ref().is_some_and(|open| open.claims_wait) {
            return;
        }
        let wall = clock::wall();
        let mut buffer = [0; BATCH_BYTES];
        for _ in 0..CLAIMS_A_TURN_MAX {
            let Some((len, from, stamp)) = self
                .socket(Which::Claims)
                .and_then(|socket| socket.receive_stamped(&mut buffer))
            else {
                return;
            };
            let age = wall.zip(stamp).map(|(wall, stamp)| clock::age(wall, stamp));
            // The wall clock may have stepped: no claim is older than the last
            // look at them.
            let at = (now - age.unwrap_or_default()).max(self.last_turn);
            let bytes = buffer.get(..len).unwrap_or_default();
            self.tape(|record| record.datagram(from, bytes, Some(at)));
            self.board
                .handle_datagram(at, from, bytes, &mut self.source);
            self.tape_randoms();
        }
    }

    /// Datagrams of ours that were refused: their addressee's process is dead.
    pub(super) fn hear_refusals(&mut self, reactor: &mut Reactor) {
        for _ in 0..REFUSALS_A_TURN_MAX {
            let refusal = self
                .open
                .as_ref()
                .and_then(|open| open.sockets.own.refused());
            let Some(refusal) = refusal else { return };
            if refusal.port_closed {
                self.tape(|record| record.refused(refusal.to));
                self.board
                    .handle_refused(reactor.now(), refusal.to, &mut self.source);
                self.tape_randoms();
            }
        }
    }

    pub(super) fn socket(&self, which: Which) -> Option<&Udp> {
        let sockets = &self.open.as_ref()?.sockets;
        match which {
            Which::Own => Some(&sockets.own),
            Which::Broadcast => Some(&sockets.broadcast),
            Which::Claims => sockets.claims.as_ref(),
        }
    }

    /// Sends what the board has to say.
    pub(super) fn transmit(&mut self, reactor: &Reactor) {
        while let Some(transmit) = self.board.poll_transmit() {
            if self.quick_turns >= FLOOD_TURNS && self.batch.is_some() {
                self.transmit_batch(reactor.now(), transmit);
            } else {
                self.send(reactor.now(), &transmit);
            }
        }
    }

    pub(super) fn send(&mut self, now: Instant, transmit: &Transmit) {
        self.tape(|record| record.sent(transmit));
        let sent = match &self.open {
            Some(open) => open.sockets.own.send(transmit.to, &transmit.bytes),
            None => return,
        };
        if let Err(error) = sent {
            self.send_failed(now, transmit.to, &error);
        }
    }

    pub(super) fn transmit_batch(&mut self, now: Instant, first: Transmit) {
        let (Some(mut batch), Some(fd)) = (
            self.batch.take(),
            self.socket(Which::Own).map(AsRawFd::as_raw_fd),
        ) else {
            return;
        };
        let mut to = [first.to; BATCH_MAX];
        let mut count = 0;
        let mut next = Some(first);
        while let Some(transmit) = next {
            self.tape(|record| record.sent(&transmit));
            batch.put(count, transmit.to, &transmit.bytes);
            if let Some(place) = to.get_mut(count) {
                *place = transmit.to;
            }
            count += 1;
            next = (count < BATCH_MAX)
                .then(|| self.board.poll_transmit())
                .flatten();
        }
        let mut sent = 0;
        while sent < count {
            match batch.send(fd, sent, count) {
                Ok(more) => sent += more.max(1),
                Err(error) => {
                    let to = to.get(sent).copied().unwrap_or(first.to);
                    self.send_failed(now, to, &error);
                    sent += 1;
                }
            }
        }
        self.batch = Some(batch);
    }

    /// A send that fails is normal on a network that comes and goes; it may
    /// mean that our address went.
    pub(super) fn send_failed(&mut self, now: Instant, to: SocketAddrV4, error: &std::io::Error) {
        self.counts.sends_failed += 1;
        if self.send_told.is_none_or(|at| now - at >= SEND_TOLD_APART) {
            self.send_told = Some(now);
            let text = without_number(format!("cannot send to {to}: {error}"));
            self.log.line(now, Level::Warning, "send", text);
            // The look at the addresses of this turn is over.
            self.scan_soon(now + SCAN_AFTER);
        }
    }
}

/// By what lines about datagrams are limited: their kind.
fn reason(bytes: &[u8]) -> &'static str {
    match bytes.first() {
        Some(b'W') => "heard WHOIS",
        Some(b'V') => "heard VOTE",
        Some(b'#') => "heard vote",
        Some(b'!') => "heard claim",
        Some(b'-') => "heard resignation",
        Some(b'?' | b'+') => "heard lease",
        _ => "heard other",
    }
}

/// From so many quick turns in a row on, it may be a flood: a batch is tried.
const FLOOD_TURNS: u32 = 32;
/// If a batch brings less, it is no flood but one busy client.
const BATCH_WORTHWHILE: usize = 4;
/// Claims that waited and are read at once; more than a slave sleeps through.
const CLAIMS_A_TURN_MAX: u32 = 512;
const REFUSALS_A_TURN_MAX: u32 = 16;
const SCAN_AFTER: Duration = Duration::from_millis(1);
const SEND_TOLD_APART: Duration = Duration::from_secs(60);
