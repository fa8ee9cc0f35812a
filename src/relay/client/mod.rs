//! A client as a service: it shakes hands, then sends, gets, listens, or shows
//! the menu of the three.
//!
//! It first finds out whom it talks to: a new server answers a handshake with
//! `taken`, an existing one does not, but both answer a get. To a new server
//! each message has its number and is repeated until it is taken; what a new
//! server pushes is printed once and acknowledged as often as it comes.

mod fetching;
mod menu;
mod sending;

use super::seen::{Sources, first_number, following};
use super::wire::{self, IDENTITY_MIN, Id, Message, Speaks, VERSION};
use crate::service::{self, Action, Event, Service, Turn};
use crate::text::visible;
use crate::time::{Duration, Instant};
use core::net::SocketAddrV4;
use menu::Menu;
use sending::Outgoing;
use std::collections::VecDeque;

/// How often the handshake is repeated until the server is known.
const KNOCK_EVERY: Duration = Duration::from_millis(100);
/// The same once it has been told that there is no answer.
const KNOCK_SLOWLY: Duration = Duration::from_secs(1);
/// How often a new client tells its server that it is still there.
const STAY_EVERY: Duration = Duration::from_secs(5);
/// So long a get goes on asking: only now do the other servers hear where this
/// client is, and send on what they have kept for it.
const ARRIVES_WITHIN: Duration = Duration::from_millis(500);
/// Gets that must be answered as an existing server does, and handshakes not at
/// all, before the server is taken for one: some may just have been lost.
const OLD_AFTER: u32 = 8;

/// What a client is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its id.
    pub id: Id,
    /// Its server; of a master only the address counts, and `table` tells the
    /// port.
    pub server: service::Server,
    /// The line of servers.
    pub table: Vec<SocketAddrV4>,
    /// What it is to do.
    pub task: Task,
    /// How long it waits for an answer before it gives up.
    pub timeout: Duration,
    /// Only what others wrote is printed.
    pub quiet: bool,
    /// The menu asks in words: somebody sits at the keyboard.
    pub prompts: bool,
}

/// What a client is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Send one message, or each line of standard input as one.
    Send {
        /// To whom.
        destination: Id,
        /// What; none for standard input.
        text: Option<String>,
        /// Leave only when the addressee has acknowledged it.
        until_read: bool,
    },
    /// Print what is stored, and leave.
    Get,
    /// Print what comes, `count` messages or for ever.
    Listen {
        /// Leave after so many.
        count: Option<u64>,
    },
    /// Ask the person at the keyboard.
    Menu,
}

/// What is known of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// The LAN was asked for it.
    Nowhere,
    /// It has not answered enough yet: of so many rounds of handshake and get
    /// only the get was answered, and whether it was in this round.
    Unknown { answers: u32, answered: bool },
    /// It answers handshakes.
    New,
    /// It answers gets only.
    Old,
}

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    Knock,
    GiveUp,
    Resend,
    Fetch,
    Stay,
    Settle,
}
const TIMERS: [Timer; 6] = [
    Timer::Knock,
    Timer::GiveUp,
    Timer::Resend,
    Timer::Fetch,
    Timer::Stay,
    Timer::Settle,
];

/// A client.
#[derive(Debug)]
pub struct Client {
    config: Config,
    server: SocketAddrV4,
    link: Link,
    /// From when on a get may end.
    has_arrived: Option<Instant>,
    timers: [Option<Instant>; TIMERS.len()],
    /// The number of the next message.
    number: u32,
    /// The message on its way.
    outgoing: Option<Outgoing>,
    /// Numbers taken, whose reading is awaited.
    unread: Vec<(u32, Id)>,
    /// What was printed before, by number.
    seen: Sources,
    /// What was printed last, for servers whose numbers come again.
    latest: VecDeque<(u32, Id, String)>,
    /// Messages printed.
    received: u64,
    menu: Menu,
    input_ended: bool,
    /// The exit code, once it is leaving.
    leaving: Option<u8>,
    /// It has said goodbye.
    has_left: bool,
    worst: u8,
    complained: bool,
}

impl Client {
    /// A client that has not started yet.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            server: SocketAddrV4::new(core::net::Ipv4Addr::UNSPECIFIED, 0),
            link: Link::Nowhere,
            has_arrived: None,
            timers: [None; TIMERS.len()],
            number: 0,
            outgoing: None,
            unread: Vec::new(),
            seen: Sources::default(),
            latest: VecDeque::new(),
            received: 0,
            menu: Menu::Choice,
            input_ended: false,
            leaving: None,
            has_left: false,
            worst: 0,
            complained: false,
        }
    }

    fn begin(&mut self, turn: &mut Turn<'_>) {
        self.number = first_number(turn.entropy);
        if let Some(server) = self.config.server.look_up(turn) {
            self.connect(server, turn);
        }
    }

    fn found(&mut self, master: Option<core::net::Ipv4Addr>, turn: &mut Turn<'_>) {
        let Some(found) = self.config.server.found(master, turn) else {
            return;
        };
        let table = &self.config.table;
        match table.iter().find(|server| server.ip() == found.ip()) {
            Some(&server) => self.connect(server, turn),
            None => {
                turn.complain(format!(
                    "the master {} is not among --servers: give the line's addresses, or \
                     --server ADDRESS:PORT",
                    found.ip()
                ));
                turn.push(Action::Exit(1));
            }
        }
    }

    fn connect(&mut self, server: SocketAddrV4, turn: &mut Turn<'_>) {
        self.server = server;
        self.link = Link::Unknown {
            answers: 0,
            answered: false,
        };
        self.set(Timer::GiveUp, Some(turn.now + self.config.timeout));
        if self.config.task == Task::Get {
            self.has_arrived = Some(turn.now + ARRIVES_WITHIN);
            // The old way does for every server: one answer to each get.
            self.send(wire::handshake(self.config.id, Speaks::Old), turn);
            self.link = Link::Old;
            self.fetch(turn);
        } else {
            self.knock(turn);
        }
    }

    /// Shakes hands, and asks for something that every server answers.
    fn knock(&mut self, turn: &mut Turn<'_>) {
        if let Link::Unknown { answered, .. } = &mut self.link {
            *answered = false;
        }
        self.shake_hands(turn);
        self.send(wire::get(1, self.config.id), turn);
        let pause = if self.complained {
            KNOCK_SLOWLY
        } else {
            KNOCK_EVERY
        };
        self.set(Timer::Knock, Some(turn.now + pause));
    }

    /// Receipts are asked for by whoever waits for them.
    pub(super) fn shake_hands(&self, turn: &mut Turn<'_>) {
        let speaks = match self.config.task {
            Task::Menu
            | Task::Send {
                until_read: true, ..
            } => Speaks::Receipts,
            _ => Speaks::New,
        };
        self.send(wire::handshake(self.config.id, speaks), turn);
    }

    fn knows_server(&mut self, link: Link, turn: &mut Turn<'_>) {
        self.link = link;
        self.complained = false;
        self.set(Timer::Knock, None);
        self.set(Timer::GiveUp, None);
        // An existing server does not mind, and it may be a new one after all.
        self.set(Timer::Stay, Some(turn.now + STAY_EVERY));
        if link == Link::Old {
            self.fetch(turn);
        }
        match self.config.task.clone() {
            Task::Send {
                destination,
                text: Some(text),
                ..
            } => self.submit(destination, text, turn),
            Task::Menu => self.show_menu(turn),
            _ => {}
        }
        self.leave_if_done(turn);
    }

    fn message(&mut self, message: Message<'_>, turn: &mut Turn<'_>) {
        match message {
            Message::Taken { id, about, .. } if id == self.config.id && about == VERSION => {
                self.complained = false;
                if matches!(self.config.task, Task::Listen { .. }) {
                    self.set(Timer::GiveUp, None);
                }
                self.is_new_server(turn);
            }
            Message::Taken { number, id, .. } if id == self.config.id => {
                self.taken(number, turn);
            }
            Message::Refused { number, id, why } if id == self.config.id => {
                self.is_refused(number, why, turn);
            }
            Message::Read { number, id, reader } if id == self.config.id => {
                self.read(number, reader, turn);
            }
            Message::Send {
                number,
                source,
                destination,
                text,
                ..
            } if destination == self.config.id => self.arrived(number, source, text, turn),
            Message::Nothing { number, id } if id == self.config.id => {
                if number >= IDENTITY_MIN {
                    self.is_new_server(turn);
                }
                self.nothing(number, turn);
            }
            _ => {}
        }
    }

    fn is_new_server(&mut self, turn: &mut Turn<'_>) {
        if matches!(self.link, Link::Unknown { .. }) {
            self.knows_server(Link::New, turn);
        } else if self.link == Link::Old && self.config.task != Task::Get {
            self.link = Link::New;
        }
    }

    /// An answer to a get, while it is not known whether the server is new.
    fn answered_unknown(&mut self, turn: &mut Turn<'_>) {
        let Link::Unknown { answers, answered } = &mut self.link else {
            return;
        };
        if !*answered {
            *answered = true;
            *answers += 1;
        }
        if *answers >= OLD_AFTER {
            self.knows_server(Link::Old, turn);
        }
    }

    fn fire(&mut self, timer: Timer, turn: &mut Turn<'_>) {
        match timer {
            Timer::Knock => self.knock(turn),
            Timer::GiveUp => self.give_up(turn),
            Timer::Resend => self.resend(turn),
            Timer::Fetch => self.fetch(turn),
            Timer::Settle => self.settle(turn),
            Timer::Stay => {
                self.set(Timer::Stay, Some(turn.now + STAY_EVERY));
                if self.link == Link::New && matches!(self.config.task, Task::Listen { .. }) {
                    self.set(Timer::GiveUp, Some(turn.now + self.config.timeout));
                }
                self.shake_hands(turn);
            }
        }
    }

    fn give_up(&mut self, turn: &mut Turn<'_>) {
        if let Some(code) = self.leaving {
            return self.leave_now(code, turn);
        }
        if !self.complained {
            self.complained = true;
            turn.complain(self.what_failed());
        }
        match self.config.task {
            // Whoever listens waits for the server to come back.
            Task::Listen { .. } => {}
            Task::Menu => {
                self.worst = 1;
                self.outgoing = None;
                self.show_menu(turn);
                self.leave_if_done(turn);
            }
            _ => self.leave_now(1, turn),
        }
    }

    fn what_failed(&self) -> String {
        let (server, timeout) = (self.server, self.config.timeout);
        match (self.outgoing.is_some(), self.unread.first()) {
            (false, Some((_, reader))) if self.link == Link::New => {
                format!("taken, but {reader} has not read it within {timeout}")
            }
            _ => format!(
                "no answer from {server} within {timeout}: is a relay server running there, \
                 and is --server right?"
            ),
        }
    }

    /// Leaves once a new server has all acknowledgements: it is asked, and
    /// answers with something else than what was acknowledged.
    fn leave(&mut self, code: u8, turn: &mut Turn<'_>) {
        if self.leaving.is_some() {
            return;
        }
        self.leaving = Some(code);
        self.number = following(self.number);
        if self.link == Link::New && self.received > 0 {
            self.set(Timer::GiveUp, Some(turn.now + self.config.timeout));
            self.settle(turn);
        } else {
            self.leave_now(code, turn);
        }
    }

    fn settle(&mut self, turn: &mut Turn<'_>) {
        // A server that was restarted does not know its clients.
        self.shake_hands(turn);
        // A number of its own, that no answer to an earlier get can have.
        self.send(wire::get(self.number, self.config.id), turn);
        self.set(Timer::Settle, Some(turn.now + KNOCK_EVERY));
    }

    fn leave_now(&mut self, code: u8, turn: &mut Turn<'_>) {
        self.has_left = true;
        self.timers = [None; TIMERS.len()];
        if self.link != Link::Nowhere {
            self.send(wire::terminate(self.config.id, false), turn);
        }
        turn.push(Action::Exit(code));
    }

    fn set(&mut self, timer: Timer, at: Option<Instant>) {
        if let Some(entry) = self.timers.get_mut(timer as usize) {
            *entry = at;
        }
    }

    fn due(&mut self, now: Instant) -> Option<Timer> {
        TIMERS.into_iter().find(|&timer| {
            let at = self.timers.get(timer as usize).copied().flatten();
            at.is_some_and(|at| at <= now)
        })
    }

    fn send(&self, bytes: Vec<u8>, turn: &mut Turn<'_>) {
        turn.push(Action::Send {
            to: self.server,
            bytes,
        });
    }

    /// Tells what the client did; not with `quiet`.
    fn tell(&self, line: String, turn: &mut Turn<'_>) {
        if !self.config.quiet {
            turn.print(line);
        }
    }
}

impl Service for Client {
    fn handle(&mut self, event: Event<'_>, turn: &mut Turn<'_>) {
        match event {
            Event::Start { .. } => self.begin(turn),
            Event::Master { address } => self.found(address, turn),
            Event::Datagram { from, bytes } if from == self.server => {
                if let Ok(message) = wire::parse(bytes)
                    && !self.has_left
                {
                    self.message(message, turn);
                }
            }
            Event::Timer => {
                while let Some(timer) = self.due(turn.now) {
                    self.set(timer, None);
                    self.fire(timer, turn);
                }
            }
            Event::Line { text } => self.line(text, turn),
            Event::InputEnded => {
                self.input_ended = true;
                self.leave_if_done(turn);
            }
            // A server that was restarted is soon told who is here.
            Event::Refused { to } if to == self.server && self.link == Link::New => {
                self.set(Timer::Stay, Some(turn.now + KNOCK_EVERY));
            }
            Event::Stop => {
                let undone = matches!(self.config.task, Task::Send { .. } | Task::Get);
                self.leave(if undone { 1 } else { self.worst }, turn);
            }
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.timers.iter().flatten().min().copied()
    }

    fn wants_line(&self) -> bool {
        matches!(self.link, Link::New | Link::Old)
            && self.outgoing.is_none()
            && self.leaving.is_none()
            && !matches!(self.menu, Menu::Getting { .. })
    }
}

fn shown(text: &str) -> String {
    visible(text.as_bytes())
}

#[cfg(test)]
#[path = "../client_tests.rs"]
mod tests;
