//! Tests only: plays the host's part for a [`Service`], event by event, in
//! simulated time.

use crate::rng::Seeded;
use crate::service::{Action, Event, Peer, Service, Turn};
use crate::time::{Duration, Instant};
use core::net::SocketAddrV4;

/// A service under test, its clock, and what it has asked for so far.
pub(crate) struct Script<S: Service> {
    pub(crate) service: S,
    pub(crate) now: Instant,
    entropy: Seeded,
    actions: Vec<Action>,
}

impl<S: Service> Script<S> {
    /// A service that has had its first event, at second 1,000.
    pub(crate) fn start(service: S) -> Self {
        let mut script = Self {
            service,
            now: Instant::ZERO + Duration::from_secs(1_000),
            entropy: Seeded::new(1),
            actions: Vec::new(),
        };
        script.event(Event::Start { port: 12_000 });
        script
    }

    /// Hands in one event at the present moment.
    pub(crate) fn event(&mut self, event: Event<'_>) -> &mut Self {
        let mut turn = Turn {
            now: self.now,
            entropy: &mut self.entropy,
            actions: &mut self.actions,
        };
        self.service.handle(event, &mut turn);
        self
    }

    pub(crate) fn open(&mut self, peer: u32) -> &mut Self {
        let address = SocketAddrV4::new([10, 0, 0, 1].into(), 40_000 + (peer % 20_000) as u16);
        self.event(Event::Opened {
            peer: Peer(peer),
            address,
        })
    }

    pub(crate) fn bytes(&mut self, peer: u32, bytes: &[u8]) -> &mut Self {
        self.event(Event::Bytes {
            peer: Peer(peer),
            bytes,
        })
    }

    pub(crate) fn half_close(&mut self, peer: u32) -> &mut Self {
        self.event(Event::HalfClosed { peer: Peer(peer) })
    }

    pub(crate) fn datagram(&mut self, from: &str, bytes: &[u8]) -> &mut Self {
        let from = from.parse().unwrap();
        self.event(Event::Datagram { from, bytes })
    }

    /// Lets time pass, with every timer on its way fired when it is due.
    pub(crate) fn pass(&mut self, span: Duration) -> &mut Self {
        let end = self.now + span;
        for _ in 0..100_000 {
            match self.service.deadline().filter(|&due| due <= end) {
                Some(due) => {
                    self.now = self.now.max(due);
                    self.event(Event::Timer);
                    let next = self.service.deadline();
                    assert!(
                        next.is_none_or(|next| next > self.now),
                        "a timer that fires for ever: {next:?} at {:?}",
                        self.now
                    );
                }
                None => {
                    self.now = end;
                    return self;
                }
            }
        }
        panic!("the timers never end");
    }

    pub(crate) fn pass_millis(&mut self, millis: u64) -> &mut Self {
        self.pass(Duration::from_millis(millis))
    }

    /// What was asked for since the last call, with what is due by now.
    pub(crate) fn take(&mut self) -> Vec<Action> {
        self.pass(Duration::ZERO);
        core::mem::take(&mut self.actions)
    }

    /// The lines printed since the last call; all else is dropped.
    pub(crate) fn printed(&mut self) -> Vec<String> {
        self.take()
            .into_iter()
            .filter_map(|action| match action {
                Action::Print(line) => Some(line),
                _ => None,
            })
            .collect()
    }

    /// What was written, sent and closed since the last call, as text: `1 <
    /// hello` to connection 1, `10.0.0.1:5 < hello` as a datagram, `1 closed`,
    /// `exit 0`; what was printed is dropped.
    pub(crate) fn sent(&mut self) -> Vec<String> {
        let text = |bytes: &[u8]| crate::text::visible(bytes);
        self.take()
            .into_iter()
            .filter_map(|action| match action {
                Action::Write { peer, bytes } => Some(format!("{} < {}", peer.0, text(&bytes))),
                Action::Send { to, bytes } => Some(format!("{to} < {}", text(&bytes))),
                Action::Close { peer } => Some(format!("{} closed", peer.0)),
                Action::Connect { to } => Some(format!("connect {to}")),
                Action::FindMaster => Some("find master".into()),
                Action::Exit(code) => Some(format!("exit {code}")),
                _ => None,
            })
            .collect()
    }
}
