//! The board's network as it comes and goes: an address found, changed or
//! lost, and the sockets that go with it.

use super::Driver;
use super::place::{self, Absence, Place};
use super::sockets::{CannotBind, Sockets};
use crate::election::{Network, wire};
use crate::net::host::cannot_bind;
use crate::net::interfaces;
use crate::net::log::Level;
use crate::net::reactor::{Interest, Key, Reactor};
use crate::outcome::Failure;
use crate::text::quoted;
use crate::time::{Duration, Instant};
use core::fmt;
use std::io::ErrorKind;

/// The place where the board stands, and its sockets.
pub(super) struct Open {
    pub(super) place: Place,
    pub(super) sockets: Sockets,
    pub(super) keys: Keys,
    /// Claims are left in their socket until the next timeout.
    pub(super) claims_wait: bool,
}

/// Which key is whose.
#[derive(Clone, Copy)]
pub(super) struct Keys {
    pub(super) own: Key,
    pub(super) broadcast: Key,
    pub(super) claims: Option<Key>,
    pub(super) limited: Option<Key>,
}

impl Keys {
    fn all(self) -> impl Iterator<Item = Key> {
        [
            Some(self.own),
            Some(self.broadcast),
            self.claims,
            self.limited,
        ]
        .into_iter()
        .flatten()
    }
}

/// Why there is no network.
pub(super) enum Absent {
    /// There is no place.
    Nowhere(Absence),
    /// There is, but its port cannot be had.
    Taken(Failure, ErrorKind),
    /// The machine does not tell its addresses.
    Unknown(String),
}

impl Absent {
    /// What to say at the start, if this is wrong then.
    pub(super) fn failure(&self, waits: bool) -> Option<Failure> {
        match self {
            Self::Taken(_, ErrorKind::AddrNotAvailable) if waits => None,
            Self::Taken(failure, _) => Some(failure.clone()),
            Self::Unknown(why) => Some(Failure::cannot(why.clone())),
            Self::Nowhere(absence) if absence.is_wrong_at_start() && !waits => {
                Some(Failure::cannot(format!(
                    "{absence}; `ip addr` lists what there is, --wait waits for it"
                )))
            }
            Self::Nowhere(_) => None,
        }
    }
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere(absence) => absence.fmt(f),
            Self::Taken(failure, _) => f.write_str(&failure.message),
            Self::Unknown(why) => f.write_str(why),
        }
    }
}

impl Driver {
    /// Looks at the machine's addresses at `at`, or a little later if that was
    /// only just done: one change rings several times.
    pub(super) fn scan_soon(&mut self, at: Instant) {
        let earliest = self.scanned.map_or(at, |last| (last + SCANS_APART).max(at));
        let at = self.scan_at.map_or(earliest, |at| at.min(earliest));
        self.scan_at = Some(at);
    }

    /// What this turn sent may have failed, and asked for a look that this turn
    /// is too late for: a timer is never left in the past.
    pub(super) fn scan_after_this_turn(&mut self, now: Instant) {
        let next = now + Duration::from_micros(1);
        self.scan_at = self.scan_at.map(|at| at.max(next));
    }

    /// Looks at the machine's addresses, and follows them.
    pub(super) fn scan(&mut self, reactor: &mut Reactor) {
        let now = reactor.now();
        self.scanned = Some(now);
        self.counts.scans += 1;
        let found = match interfaces::list() {
            Ok(all) => {
                let present = self.open.as_ref().map(|open| open.place.address);
                place::choose(&all, interfaces::exists, &self.wish, present)
                    .map_err(Absent::Nowhere)
            }
            Err(error) => Err(Absent::Unknown(format!(
                "the interfaces cannot be read: {error}"
            ))),
        };
        let result = found.and_then(|place| self.move_to(reactor, place));
        let absent = result.err();
        if let Some(absent) = &absent {
            self.leave_place(reactor);
            self.tell_absent(now, absent);
        }
        self.absent = absent;
        self.scan_at = self.next_scan(now);
    }

    /// With the doorbell nothing need be done by the clock, unless something is
    /// missing that the bell does not tell of.
    fn next_scan(&self, now: Instant) -> Option<Instant> {
        let after = match (&self.absent, &self.doorbell) {
            (Some(Absent::Taken(..)), _) => SCAN_TAKEN,
            (Some(_), Some(_)) => SCAN_SLOWLY,
            (_, None) => SCAN_WITHOUT_BELL,
            (None, Some(_)) => return None,
        };
        Some(now + after)
    }

    fn move_to(&mut self, reactor: &mut Reactor, place: Place) -> Result<(), Absent> {
        if let Some(open) = &mut self.open
            && open.place == place
        {
            // The same address, perhaps on an interface that was made anew.
            open.sockets.find_interface(&place);
            return Ok(());
        }
        // First the farewell, by the old sockets, then the new ones: the old
        // ones may hold the very port.
        self.leave_place(reactor);
        let (port, has_claims) = (
            self.board.config().port,
            self.board.config().failover.is_some(),
        );
        let sockets =
            Sockets::open(&place, port, has_claims).map_err(|CannotBind { at, error }| {
                Absent::Taken(cannot_bind("UDP", Some("--port"), at, &error), error.kind())
            })?;
        let keys = Keys {
            own: reactor.watch(&sockets.own, Interest::READ),
            broadcast: reactor.watch(&sockets.broadcast, Interest::READ),
            claims: sockets
                .claims
                .as_ref()
                .map(|claims| reactor.watch(claims, Interest::READ)),
            limited: sockets
                .limited()
                .map(|limited| reactor.watch_aside(limited)),
        };
        let now = reactor.now();
        let network = Network {
            address: place.address,
            broadcast: place.broadcast,
        };
        self.tell_place(now, &place);
        self.open = Some(Open {
            place,
            sockets,
            keys,
            claims_wait: false,
        });
        self.tell_board(now, Some(network));
        Ok(())
    }

    /// Takes leave of the network while its sockets are still open.
    pub(super) fn leave_place(&mut self, reactor: &mut Reactor) {
        if self.open.is_none() {
            return;
        }
        let now = reactor.now();
        self.tell_board(now, None);
        self.transmit(reactor);
        if let Some(open) = self.open.take() {
            open.keys.all().for_each(|key| reactor.unwatch(key));
        }
    }

    fn tell_place(&mut self, now: Instant, place: &Place) {
        let config = self.board.config();
        let text = format!(
            "{} on board {} ({}), UDP port {}",
            config.name, place.address, place.interface, config.port
        );
        let room = wire::name_room(place.address);
        let too_long = config.name.len() > room && {
            let whole = wire::build(
                wire::Text::Answer {
                    name: config.name.as_bytes(),
                    address: place.address,
                },
                false,
            );
            !whole.starts_with(config.name.as_bytes())
        };
        let warning = too_long.then(|| {
            format!(
                "the name {} is cut in answers: from {} there is room for {room} bytes; give a shorter --name",
                quoted(&config.name),
                place.address
            )
        });
        self.log.line(now, Level::Info, "address", text);
        if let Some(text) = warning {
            self.log.line(now, Level::Warning, "name", text);
        }
    }

    fn tell_absent(&mut self, now: Instant, absent: &Absent) {
        let text = format!("no network: {absent}; waiting");
        let told = self.absent.as_ref().map(ToString::to_string);
        if told.as_deref() != Some(&*absent.to_string()) {
            let level = match absent {
                Absent::Nowhere(_) => Level::Info,
                Absent::Taken(..) | Absent::Unknown(_) => Level::Warning,
            };
            self.log.line(now, level, "address", text);
        }
    }
}

/// Scans are at least this far apart.
const SCANS_APART: Duration = Duration::from_millis(100);
/// A port that is taken is tried again so often.
const SCAN_TAKEN: Duration = Duration::from_secs(1);
/// Without a network, besides the doorbell.
const SCAN_SLOWLY: Duration = Duration::from_secs(60);
/// On a kernel that has no doorbell.
const SCAN_WITHOUT_BELL: Duration = Duration::from_secs(5);
