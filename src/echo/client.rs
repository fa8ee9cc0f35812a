//! The echo client: one text a line, one answer each, in order.

use super::wire::{self, Transport};
use crate::service::{Action, Event, Peer, Server, Service, Turn};
use crate::text::visible;
use crate::time::{Duration, Instant};
use core::net::SocketAddrV4;

/// An answer over TCP that is none of the known ones is complete after this
/// silence: another program's server may answer anything.
pub const SILENCE: Duration = Duration::from_millis(50);

/// What the command line decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where the server is.
    pub server: Server,
    /// How to get there.
    pub transport: Transport,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Whether a person sits in front of standard input.
    pub prompt: bool,
}

/// The client's state.
pub struct Client {
    options: Options,
    to: Option<SocketAddrV4>,
    link: Link,
    question: Option<Question>,
    /// The connection has brought an answer: its server may have closed it
    /// before the next text got there.
    link_is_used: bool,
    late_is_told: bool,
    /// Nothing more comes from standard input.
    ended: bool,
    /// Some text got no answer: exit code 1.
    unanswered: bool,
}

/// The connection, over TCP. An old server may close it after each answer;
/// the next text then opens another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    None,
    Opening { until: Instant },
    Open(Peer),
}

/// A text that is on its way.
struct Question {
    text: Vec<u8>,
    answer: Vec<u8>,
    /// When the client gives up, or takes the answer as complete.
    due: Instant,
}

impl Client {
    /// A client that has not started.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            to: None,
            link: Link::None,
            question: None,
            link_is_used: false,
            late_is_told: false,
            ended: false,
            unanswered: false,
        }
    }

    fn server_known(&mut self, to: SocketAddrV4, turn: &mut Turn<'_>) {
        self.to = Some(to);
        if self.options.prompt {
            let road = self.options.transport.name();
            turn.print(format!("each line goes to {to} over {road}; Ctrl-D ends"));
        }
        match self.options.transport {
            Transport::Udp => self.next(turn),
            Transport::Tcp => self.connect(to, turn),
        }
    }

    fn connect(&mut self, to: SocketAddrV4, turn: &mut Turn<'_>) {
        let until = turn.now + self.options.timeout;
        self.link = Link::Opening { until };
        turn.push(Action::Connect { to });
    }

    fn opened(&mut self, peer: Peer, turn: &mut Turn<'_>) {
        self.link = Link::Open(peer);
        self.link_is_used = false;
        match &self.question {
            Some(question) => turn.push(Action::Write {
                peer,
                bytes: question.text.clone(),
            }),
            None => self.next(turn),
        }
    }

    fn is_idle(&self) -> bool {
        self.to.is_some() && self.question.is_none() && !matches!(self.link, Link::Opening { .. })
    }

    /// Ready for the next line: asks for it, or leaves after the last one.
    fn next(&mut self, turn: &mut Turn<'_>) {
        if self.ended {
            turn.push(Action::Exit(u8::from(self.unanswered)));
        } else if self.options.prompt {
            turn.push(Action::Prompt("Text: "));
        }
    }

    fn input_ended(&mut self, turn: &mut Turn<'_>) {
        self.ended = true;
        if self.options.prompt {
            // Ends the prompt's line.
            turn.print("");
        }
        if self.is_idle() {
            turn.push(Action::Exit(u8::from(self.unanswered)));
        }
    }

    fn line(&mut self, line: &[u8], turn: &mut Turn<'_>) {
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        if text.len() > wire::TEXT_MAX {
            self.skip(
                "a text is at most 2,048 bytes long; this one is not sent",
                turn,
            );
        } else if text.is_empty() && self.options.transport == Transport::Tcp {
            self.skip("an empty text cannot be sent over TCP", turn);
        } else {
            self.send(text, turn);
        }
    }

    fn skip(&mut self, why: &str, turn: &mut Turn<'_>) {
        turn.complain(why);
        self.unanswered = true;
        self.next(turn);
    }

    fn send(&mut self, text: &[u8], turn: &mut Turn<'_>) {
        self.late_is_told = false;
        self.question = Some(Question {
            text: text.to_vec(),
            answer: Vec::new(),
            due: turn.now + self.options.timeout,
        });
        let bytes = text.to_vec();
        match (self.to, self.options.transport, self.link) {
            (Some(to), Transport::Udp, _) => turn.push(Action::Send { to, bytes }),
            (Some(to), Transport::Tcp, Link::None) => self.connect(to, turn),
            (_, _, Link::Open(peer)) => turn.push(Action::Write { peer, bytes }),
            _ => {}
        }
    }

    fn answered(&mut self, answer: &[u8], turn: &mut Turn<'_>) {
        self.question = None;
        self.link_is_used = true;
        turn.print(visible(answer));
        self.next(turn);
    }

    fn not_answered(&mut self, why: String, turn: &mut Turn<'_>) {
        self.question = None;
        self.unanswered = true;
        turn.complain(why);
        self.next(turn);
    }

    fn datagram(&mut self, from: SocketAddrV4, bytes: &[u8], turn: &mut Turn<'_>) {
        if Some(from) != self.to {
            return;
        }
        if self.question.is_some() {
            self.answered(bytes, turn);
        } else {
            self.too_late(bytes, turn);
        }
    }

    /// Told once a text, or a server could fill the screen.
    fn too_late(&mut self, bytes: &[u8], turn: &mut Turn<'_>) {
        if !self.late_is_told {
            self.late_is_told = true;
            turn.complain(format!("too late: \"{}\"", visible(bytes)));
        }
    }

    fn bytes(&mut self, peer: Peer, bytes: &[u8], turn: &mut Turn<'_>) {
        let Some(question) = &mut self.question else {
            // More than an answer: this connection's next one would be wrong.
            self.link = Link::None;
            turn.push(Action::Close { peer });
            return self.too_late(bytes, turn);
        };
        let room = wire::TEXT_MAX.saturating_sub(question.answer.len());
        question
            .answer
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        match question.completeness() {
            Completeness::Complete => self.take_answer(turn),
            Completeness::Unknown => question.due = question.due.min(turn.now + SILENCE),
            Completeness::Begun => {}
        }
    }

    fn take_answer(&mut self, turn: &mut Turn<'_>) {
        if let Some(question) = self.question.take() {
            self.answered(&question.answer, turn);
        }
    }

    fn timer(&mut self, turn: &mut Turn<'_>) {
        if matches!(self.link, Link::Opening { until } if until <= turn.now) {
            if let Some(to) = self.to {
                self.leave(4, no_server(to, &self.too_long()), turn);
            }
            return;
        }
        match &self.question {
            Some(question) if question.due > turn.now => {}
            Some(question) if question.answer.is_empty() => {
                // A late answer must not be taken for the next text's.
                if let Link::Open(peer) = self.link {
                    turn.push(Action::Close { peer });
                    self.link = Link::None;
                }
                let why = format!("{} from {}", self.too_long(), self.place());
                self.not_answered(why, turn);
            }
            _ => self.take_answer(turn),
        }
    }

    /// The server has closed the connection, or will send no more.
    fn closed(&mut self, peer: Peer, turn: &mut Turn<'_>) {
        if self.link != Link::Open(peer) {
            return;
        }
        self.link = Link::None;
        turn.push(Action::Close { peer });
        match (&self.question, self.to) {
            (None, _) => {}
            (Some(question), Some(to)) if self.link_is_used && question.answer.is_empty() => {
                self.connect(to, turn);
            }
            (Some(question), _) if question.answer.is_empty() => {
                let why = format!("{} closed the connection without an answer", self.place());
                self.not_answered(why, turn);
            }
            (Some(_), _) => self.take_answer(turn),
        }
    }

    fn too_long(&self) -> String {
        format!("no answer within {}", self.options.timeout)
    }

    fn place(&self) -> String {
        self.to.map(|to| to.to_string()).unwrap_or_default()
    }

    fn leave(&mut self, code: u8, why: String, turn: &mut Turn<'_>) {
        self.link = Link::None;
        self.question = None;
        turn.complain(why);
        turn.push(Action::Exit(code));
    }
}

fn no_server(to: SocketAddrV4, why: &str) -> String {
    format!("cannot reach {to}: {why}; `boardroom echo server` starts a server")
}

/// How much of an answer over TCP is there.
enum Completeness {
    Complete,
    /// The beginning of an answer that is known: worth waiting for the rest.
    Begun,
    Unknown,
}

impl Question {
    fn completeness(&self) -> Completeness {
        let known = [
            wire::alphanumeric(Transport::Tcp).as_bytes(),
            wire::alphanumeric(Transport::Udp).as_bytes(),
            wire::NOT_ALPHANUMERIC.as_bytes(),
            &self.text,
        ];
        if known.contains(&self.answer.as_slice()) {
            Completeness::Complete
        } else if known.iter().any(|text| text.starts_with(&self.answer)) {
            Completeness::Begun
        } else {
            Completeness::Unknown
        }
    }
}

impl Service for Client {
    fn handle(&mut self, event: Event<'_>, turn: &mut Turn<'_>) {
        match event {
            Event::Start { .. } => {
                if let Some(to) = self.options.server.look_up(turn) {
                    self.server_known(to, turn);
                }
            }
            Event::Master { address } => {
                if let Some(to) = self.options.server.found(address, turn) {
                    self.server_known(to, turn);
                }
            }
            Event::Opened { peer, .. } => self.opened(peer, turn),
            Event::ConnectFailed { to, why } => {
                self.leave(4, no_server(to, why), turn);
            }
            Event::Line { text } => self.line(text, turn),
            Event::InputEnded => self.input_ended(turn),
            Event::Datagram { from, bytes } => self.datagram(from, bytes, turn),
            Event::Refused { to } => {
                if Some(to) == self.to && self.question.is_some() {
                    self.not_answered(no_server(to, "nobody listens there"), turn);
                }
            }
            Event::Bytes { peer, bytes } if self.link == Link::Open(peer) => {
                self.bytes(peer, bytes, turn);
            }
            Event::Bytes { .. } => {}
            Event::HalfClosed { peer } | Event::Closed { peer } => self.closed(peer, turn),
            Event::Timer => self.timer(turn),
            Event::Stop => turn.push(Action::Exit(u8::from(self.unanswered))),
            Event::JournalFailed | Event::Report => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match (self.link, &self.question) {
            (Link::Opening { until }, _) => Some(until),
            (_, question) => question.as_ref().map(|question| question.due),
        }
    }

    fn wants_line(&self) -> bool {
        self.is_idle() && !self.ended
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
