//! How a server or a client comes to the tracker, and back to it: the address
//! is looked up anew each time, since the tracker moves with the master, and
//! each failure doubles the wait up to five seconds. A part of each wait is
//! drawn, so that a thousand peers do not come back in one instant.

use crate::service::{Action, Event, Peer, Server as Place, Turn};
use crate::time::{Duration, Instant};
use core::net::SocketAddrV4;

/// The first wait; each further one is twice as long.
pub const WAIT_FIRST: Duration = Duration::from_millis(200);
/// The longest wait.
pub const WAIT_MAX: Duration = Duration::from_secs(5);
/// How long a connection may take to come to be.
pub const CONNECT_TIME: Duration = Duration::from_secs(5);

/// A way to the tracker.
#[derive(Debug)]
pub struct Link {
    who: String,
    place: Place,
    zeal: Zeal,
    state: State,
    /// In a row, without a word of the tracker between them.
    failures: u32,
    /// The tracker has said something once.
    was_welcome: bool,
    /// Since when there has been no word of the tracker.
    lost_at: Option<Instant>,
}

/// How hard a peer tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zeal {
    /// A tracker that is not there or is lost is the end, with this exit code.
    Once(u8),
    /// A tracker that is not there at the start is the end; a lost one is
    /// looked for.
    Return,
    /// A tracker that is not there is waited for, also at the start.
    Wait,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing is under way, nor will be.
    Idle,
    /// The LAN has been asked for the master.
    Asking,
    Connecting {
        to: SocketAddrV4,
        until: Instant,
    },
    Up(Peer),
    Resting {
        until: Instant,
    },
}

/// What an event means to who holds the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News<'a> {
    /// Nothing.
    Nothing,
    /// The connection stands: greet.
    Up(Peer),
    /// The tracker sends bytes.
    Bytes(Peer, &'a [u8]),
    /// The connection is gone; the link sees to the next one.
    Lost,
}

impl Link {
    /// A way for `who` to the tracker at `place`.
    pub fn new(who: String, place: Place, zeal: Zeal) -> Self {
        Self {
            who,
            place,
            zeal,
            state: State::Idle,
            failures: 0,
            was_welcome: false,
            lost_at: None,
        }
    }

    /// Takes an event; what is no business of a link means nothing.
    pub fn handle<'a>(&mut self, event: &Event<'a>, turn: &mut Turn<'_>) -> News<'a> {
        match (*event, self.state) {
            (Event::Start { .. }, _) => self.look_up(turn),
            (Event::Master { address }, State::Asking) => match (self.place, address) {
                (Place::Master { port }, Some(master)) => {
                    self.connect(SocketAddrV4::new(master, port), turn);
                }
                _ if self.gives_up() => {
                    self.state = State::Idle;
                    let _ = self.place.found(None, turn);
                }
                _ => self.fail("no master answered WHOIS", turn),
            },
            (Event::Opened { peer, .. }, State::Connecting { .. }) => {
                self.state = State::Up(peer);
                return News::Up(peer);
            }
            // One that took too long, and stands all the same.
            (Event::Opened { peer, .. }, _) => turn.push(Action::Close { peer }),
            (Event::ConnectFailed { to, why }, State::Connecting { to: tried, .. })
                if to == tried =>
            {
                self.no_tracker(to, why, turn);
            }
            (Event::Bytes { peer, bytes }, State::Up(mine)) if peer == mine => {
                return News::Bytes(peer, bytes);
            }
            (Event::Closed { peer }, State::Up(mine)) if peer == mine => {
                self.fail("the connection to Central is lost", turn);
                return News::Lost;
            }
            (Event::HalfClosed { peer }, State::Up(mine)) if peer == mine => {
                self.abandon(turn);
                return News::Lost;
            }
            (Event::Timer, State::Connecting { to, until }) if until <= turn.now => {
                self.no_tracker(to, "no answer", turn);
            }
            (Event::Timer, State::Resting { until }) if until <= turn.now => self.look_up(turn),
            _ => {}
        }
        News::Nothing
    }

    /// When the link wants [`Event::Timer`].
    pub const fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Connecting { until, .. } | State::Resting { until } => Some(until),
            State::Idle | State::Asking | State::Up(_) => None,
        }
    }

    /// The tracker has said something sensible: it is one.
    pub const fn praise(&mut self) {
        self.failures = 0;
        self.was_welcome = true;
        self.lost_at = None;
    }

    /// Closes the connection; the next one comes after a wait.
    pub fn abandon(&mut self, turn: &mut Turn<'_>) {
        self.leave(turn);
        self.fail("the connection to Central is lost", turn);
    }

    /// Closes the connection for good.
    pub fn leave(&mut self, turn: &mut Turn<'_>) {
        if let Some(peer) = self.peer() {
            turn.push(Action::Close { peer });
        }
        self.state = State::Idle;
    }

    /// The tracker refuses: the end, unless it knew this peer before and may
    /// just not have noticed yet that its old connection is gone.
    pub fn refused(&mut self, why: &str, turn: &mut Turn<'_>) {
        self.leave(turn);
        if self.was_welcome {
            self.fail(why, turn);
        } else {
            let advice = match why {
                "name taken" => "; give another name",
                _ => "",
            };
            self.give_up(&format!("Central refuses: {why}{advice}"), turn);
        }
    }

    /// The connection, if it stands.
    pub const fn peer(&self) -> Option<Peer> {
        match self.state {
            State::Up(peer) => Some(peer),
            _ => None,
        }
    }

    /// Since when there has been no word of the tracker; none while all is
    /// well.
    pub const fn lost_at(&self) -> Option<Instant> {
        self.lost_at
    }

    /// Complains, and leaves the program.
    pub fn give_up(&mut self, why: &str, turn: &mut Turn<'_>) {
        self.end(why, 4, turn);
    }

    fn end(&mut self, why: &str, code: u8, turn: &mut Turn<'_>) {
        self.leave(turn);
        if code != 0 {
            turn.complain(format!("{}: {why}", self.who));
        }
        turn.push(Action::Exit(code));
    }

    fn look_up(&mut self, turn: &mut Turn<'_>) {
        match self.place.look_up(turn) {
            Some(to) => self.connect(to, turn),
            None => self.state = State::Asking,
        }
    }

    fn connect(&mut self, to: SocketAddrV4, turn: &mut Turn<'_>) {
        let until = turn.now + CONNECT_TIME;
        self.state = State::Connecting { to, until };
        turn.push(Action::Connect { to });
    }

    fn no_tracker(&mut self, to: SocketAddrV4, why: &str, turn: &mut Turn<'_>) {
        if self.gives_up() {
            self.give_up(
                &format!(
                    "no tracker at {to}: {why}; start `boardroom match tracker` there, \
                     or give --server, or --wait"
                ),
                turn,
            );
        } else {
            self.fail(&format!("no tracker at {to}: {why}"), turn);
        }
    }

    /// Whether a tracker that is not there is the end.
    const fn gives_up(&self) -> bool {
        !self.was_welcome && !matches!(self.zeal, Zeal::Wait)
    }

    /// Waits for the next try; the first failure in a row is told.
    fn fail(&mut self, why: &str, turn: &mut Turn<'_>) {
        if let Zeal::Once(code) = self.zeal {
            return self.end(why, code, turn);
        }
        let doubled = WAIT_FIRST * (1 << self.failures.min(8));
        let half = doubled.min(WAIT_MAX).micros() / 2;
        let drawn = u64::from(turn.entropy.below(half as u32));
        self.state = State::Resting {
            until: turn.now + Duration::from_micros(half + drawn),
        };
        if self.failures == 0 {
            turn.complain(format!("{}: {why}; trying again", self.who));
        }
        self.failures = self.failures.saturating_add(1);
        self.lost_at.get_or_insert(turn.now);
    }
}
