//! Asks a server how it is: one question, one line.

use super::wire::{self, Message};
use crate::service::{Action, Event, Service, Turn};
use crate::text::visible;
use crate::time::{Duration, Instant};
use core::net::SocketAddrV4;

/// The question is repeated this often until it is answered.
const ASK_EVERY: Duration = Duration::from_millis(300);

/// The question, as a service of its own.
#[derive(Debug)]
pub struct Status {
    server: SocketAddrV4,
    timeout: Duration,
    give_up: Instant,
    next: Option<Instant>,
}

impl Status {
    /// Asks `server`, for `timeout` at most.
    pub const fn new(server: SocketAddrV4, timeout: Duration) -> Self {
        Self {
            server,
            timeout,
            give_up: Instant::ZERO,
            next: None,
        }
    }

    fn ask(&mut self, turn: &mut Turn<'_>) {
        turn.push(Action::Send {
            to: self.server,
            bytes: wire::status_ask(),
        });
        self.next = Some((turn.now + ASK_EVERY).min(self.give_up));
    }
}

impl Service for Status {
    fn handle(&mut self, event: Event<'_>, turn: &mut Turn<'_>) {
        match event {
            Event::Start { .. } => {
                self.give_up = turn.now + self.timeout;
                self.ask(turn);
            }
            Event::Datagram { from, bytes } if from == self.server => {
                if let Ok(Message::Status { text }) = wire::parse(bytes) {
                    turn.print(visible(text.as_bytes()));
                    turn.push(Action::Exit(0));
                }
            }
            Event::Timer if turn.now >= self.give_up => {
                self.next = None;
                turn.complain(format!(
                    "no answer from {} within {}: no relay server runs there, or an existing \
                     program, which tells nothing",
                    self.server, self.timeout
                ));
                turn.push(Action::Exit(1));
            }
            Event::Timer => self.ask(turn),
            Event::Stop => turn.push(Action::Exit(1)),
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seeded;
    use core::net::Ipv4Addr;

    const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 9), 5000);

    fn at(millis: u64) -> Instant {
        Instant::from_micros(1) + Duration::from_millis(millis)
    }

    fn told(status: &mut Status, now: Instant, event: Event<'_>) -> Vec<Action> {
        let mut actions = Vec::new();
        status.handle(
            event,
            &mut Turn {
                now,
                entropy: &mut Seeded::new(1),
                actions: &mut actions,
            },
        );
        actions
    }

    #[test]
    fn it_asks_until_it_is_answered_or_the_time_is_over() {
        let mut status = Status::new(SERVER, Duration::from_millis(700));
        let asks = vec![Action::Send {
            to: SERVER,
            bytes: wire::status_ask(),
        }];
        assert_eq!(told(&mut status, at(0), Event::Start { port: 0 }), asks);
        for due in [300, 600] {
            assert_eq!(status.deadline(), Some(at(due)));
            assert_eq!(told(&mut status, at(due), Event::Timer), asks);
        }
        assert_eq!(status.deadline(), Some(at(700)));
        let end = told(&mut status, at(700), Event::Timer);
        assert!(matches!(&end[..], [Action::Complain(_), Action::Exit(1)]));
        assert_eq!(status.deadline(), None);
    }

    #[test]
    fn the_line_of_the_server_that_was_asked_ends_it() {
        let mut status = Status::new(SERVER, Duration::from_secs(1));
        told(&mut status, at(0), Event::Start { port: 0 });
        let bytes = &wire::status("3 mails")[..];
        let from = SocketAddrV4::new(*SERVER.ip(), 5001);
        assert_eq!(
            told(&mut status, at(1), Event::Datagram { from, bytes }),
            []
        );
        let from = SERVER;
        let line = Action::Print("3 mails".into());
        let heard = told(&mut status, at(1), Event::Datagram { from, bytes });
        assert_eq!(heard, [line, Action::Exit(0)]);
        assert_eq!(told(&mut status, at(2), Event::Stop), [Action::Exit(1)]);
    }
}
