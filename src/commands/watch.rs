//! `boardroom watch`: a live table of boards, votes and the master.

use super::client::{bind, broadcasts, networks};
use super::options::{self, To};
use super::watch_table::{Surroundings, draw};
use super::{Command, Failure, Outcome, client};
use crate::election::Keys as ElectionKeys;
use crate::election::client::fit_for_terminal;
use crate::election::onlooker::{Event, Onlooker};
use crate::election::verifier::Verifier;
use crate::election::wire::{self, Text};
use crate::json;
use crate::net::output::Output;
use crate::net::reactor::{Handler, Interest, Key, Reactor, Ready};
use crate::net::signals::Signals;
use crate::net::terminal::{self, Keys};
use crate::net::udp::{Shared, Udp};
use crate::time::{Duration, Instant};
use core::net::{Ipv4Addr, SocketAddrV4};
use lexopt::Parser;
use nix::sys::signal::{Signal, raise};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

/// The command.
pub const COMMAND: Command = Command {
    name: "watch",
    summary: "live table of boards, votes and the master",
    help: HELP,
    run,
};

const HELP: &str = help!(
    "\
Usage: boardroom watch [OPTION]... [PORT]

Shows the boards of this network as they vote, win and go: as a live table on a
terminal, else a line for each thing that happens.

Options:
  --port PORT           the boards' UDP port, the same as PORT (default: 2000)
  --interface NAME      listen on this interface's network (default: on all but
                        loopback; lo shows boards on this machine)
  --ask                 ask who is the master, every 2s; without it nothing is
                        sent, and masters without failover stay unnamed
  --key-file FILE       show only what boards with this key say; implies --ask,
                        and has each board prove once that it has the key
  --json                print a JSON object for each thing that happens
  -h, --help            print this help

In the table, * marks what changed in the last 3s; q ends.

Exit code: 0 ended by the user, 2 wrong usage, 4 cannot listen.
"
);

/// The first question of `--key-file` is who is there; this long after it comes
/// who is the master.
const FIRST: Duration = Duration::from_millis(50);
/// How often `--ask` asks.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// The table is drawn this often at most, however much happens.
const FRAME: Duration = Duration::from_millis(100);
/// The ages in it move this often.
const TICK: Duration = Duration::from_secs(1);
/// Events kept for the lines below the table.
const EVENTS_KEPT: usize = 64;

fn run(parser: &mut Parser) -> Outcome {
    let mut port = client::PORT;
    let (mut interface, mut keys) = (None, None);
    let (mut ask, mut as_json) = (false, false);
    options::read(
        parser,
        HELP,
        &mut [
            &mut options::boards_port(&mut port),
            &mut [
                ("--interface", To::Text(&mut interface)),
                ("--ask", To::Yes(&mut ask)),
                ("--key-file", To::Keys(&mut keys)),
                ("--json", To::Yes(&mut as_json)),
            ],
        ],
    )?;
    let to = broadcasts(&networks(interface.as_deref())?, port);
    watch(port, to, ask || keys.is_some(), keys.as_ref(), as_json)
}

fn watch(
    port: u16,
    to: Vec<SocketAddrV4>,
    ask: bool,
    keys: Option<&ElectionKeys>,
    as_json: bool,
) -> Outcome {
    let mut reactor = Reactor::new(BUSY_TURNS_MAX);
    let mut sockets = Vec::new();
    for &at in &to {
        sockets.push(listen(*at.ip(), port)?);
    }
    // Some old programs broadcast to the limited address.
    sockets.extend(Udp::bind(
        SocketAddrV4::new(Ipv4Addr::BROADCAST, port),
        Shared(true),
    ));
    let asker = match ask {
        true => Some(bind(Ipv4Addr::UNSPECIFIED, 0, Shared(false))?),
        false => None,
    };
    let signals = Signals::take(&[
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGWINCH,
        Signal::SIGTSTP,
    ])
    .map_err(|error| Failure::cannot(format!("signals cannot be waited for: {error}")))?;
    let sockets = sockets.into_iter().chain(asker);
    let now = reactor.now();
    let mut watch = Watch {
        sockets: sockets
            .map(|socket| (reactor.watch(&socket, Interest::READ), socket))
            .collect(),
        signals_key: reactor.watch(&signals, Interest::READ),
        signals,
        to,
        ask_at: ask.then_some(now),
        onlooker: Onlooker::new(),
        verifier: keys.map(|keys| Verifier::new(keys, port)),
        began: now,
        port,
        as_json,
        output: Output::stdout(),
        screen: (!as_json && terminal::is_there()).then(|| Screen::enter(&mut reactor)),
        finished: false,
    };
    watch.finished = !watch.output.is_open();
    watch.begin(now);
    let ended = reactor.run(&mut watch);
    watch.end();
    ended.map_err(|error| Failure::cannot(format!("waiting failed: {error}")))?;
    // A reader that went (`watch | head`) is no failure.
    let loss = watch.output.loss();
    loss.filter(|failure| !failure.message.is_empty())
        .map_or(Ok(0), Err)
}

fn listen(address: Ipv4Addr, port: u16) -> Result<Udp, Failure> {
    Udp::bind(SocketAddrV4::new(address, port), Shared(true)).map_err(|error| {
        Failure::cannot(format!(
            "cannot listen on {address}:{port}: {error}; a program that shares the port with \
             nobody must end first"
        ))
    })
}

const BUSY_TURNS_MAX: u32 = 64;

/// The table's terminal.
struct Screen {
    keys: Option<(Keys, File, Key)>,
    events: VecDeque<String>,
    draw_at: Instant,
    drawn: Instant,
}

impl Screen {
    fn enter(reactor: &mut Reactor) -> Self {
        let input = io::stdin().as_fd().try_clone_to_owned().map(File::from);
        let keys = match (Keys::take(), input) {
            (Some(keys), Ok(input)) => {
                let key = reactor.watch(&input, Interest::READ);
                Some((keys, input, key))
            }
            _ => None,
        };
        Self {
            keys,
            events: VecDeque::new(),
            draw_at: reactor.now(),
            drawn: Instant::ZERO,
        }
    }
}

struct Watch {
    /// Those that listen, then the one that asks, if any.
    sockets: Vec<(Key, Udp)>,
    signals: Signals,
    signals_key: Key,
    to: Vec<SocketAddrV4>,
    ask_at: Option<Instant>,
    onlooker: Onlooker,
    /// With a key.
    verifier: Option<Verifier>,
    began: Instant,
    port: u16,
    as_json: bool,
    output: Output,
    screen: Option<Screen>,
    finished: bool,
}

impl Watch {
    fn begin(&mut self, now: Instant) {
        if self.screen.is_some() {
            self.output.prompt(terminal::ENTER);
            self.output.flush();
            self.draw(now);
            self.output.flush();
        }
    }

    fn end(&mut self) {
        if self.screen.take().is_some() {
            self.output.prompt(terminal::LEAVE);
        }
        self.output.flush();
    }

    fn tell(&mut self, now: Instant, event: &Event) {
        let since = now - self.began;
        if self.as_json {
            self.output.line(&as_json(since, event));
            return;
        }
        let (seconds, millis) = (since.micros() / 1_000_000, since.micros() / 1_000 % 1_000);
        let line = format!("{seconds:>4}.{millis:03}  {}", as_text(event));
        match &mut self.screen {
            None => self.output.line(&line),
            Some(screen) => {
                if screen.events.len() == EVENTS_KEPT {
                    screen.events.pop_front();
                }
                screen.events.push_back(line);
            }
        }
    }

    fn draw(&mut self, now: Instant) {
        let Some(screen) = &mut self.screen else {
            return;
        };
        (screen.drawn, screen.draw_at) = (now, now + TICK);
        // A terminal that does not keep up gets the next frame instead.
        if self.output.is_waiting() {
            return;
        }
        let (columns, rows) = terminal::size();
        let around = Surroundings {
            now,
            port: self.port,
            events: &screen.events,
        };
        let mut frame = String::from("\x1b[H");
        let styled = terminal::may_be_styled();
        for (number, line) in draw(&self.onlooker, &around, columns, rows)
            .iter()
            .enumerate()
        {
            if number > 0 {
                frame.push_str("\r\n");
            }
            match line.bold && styled {
                true => frame.extend(["\x1b[1m", &line.text, "\x1b[0m"]),
                false => frame.push_str(&line.text),
            }
            frame.push_str("\x1b[K");
        }
        frame.push_str("\x1b[J");
        self.output.prompt(&frame);
    }

    fn handle_signal(&mut self, reactor: &Reactor, signal: Signal) {
        match signal {
            Signal::SIGWINCH => self.draw(reactor.now()),
            Signal::SIGTSTP => self.pause(reactor.now()),
            _ => self.finished = true,
        }
    }

    /// Ctrl-Z: gives the terminal back until the shell wakes us.
    fn pause(&mut self, now: Instant) {
        let keys = self.screen.as_mut().and_then(|screen| screen.keys.take());
        if self.screen.is_some() {
            self.output.prompt(terminal::LEAVE);
            self.output.flush();
        }
        if let Some((keys, input, key)) = keys {
            drop(keys);
            let _ = raise(Signal::SIGSTOP);
            if let (Some(screen), Some(keys)) = (&mut self.screen, Keys::take()) {
                screen.keys = Some((keys, input, key));
            }
        } else {
            let _ = raise(Signal::SIGSTOP);
        }
        self.begin(now);
    }

    fn handle_keys(&mut self, reactor: &mut Reactor) {
        let Some((_, input, key)) = self.screen.as_mut().and_then(|s| s.keys.as_mut()) else {
            return;
        };
        let mut pressed = [0; 64];
        match input.read(&mut pressed) {
            // The terminal is gone.
            Ok(0) | Err(_) => {
                reactor.unwatch(*key);
                self.finished = true;
            }
            Ok(count) => {
                let pressed = pressed.iter().take(count);
                self.finished |= pressed.into_iter().any(|key| matches!(key, b'q' | b'Q'));
            }
        }
    }

    fn handle_socket(&mut self, now: Instant, key: Key) {
        let Some((_, socket)) = self.sockets.iter().find(|(one, _)| *one == key) else {
            return;
        };
        let mut buffer = [0; client::DATAGRAM_MAX];
        let Ok(Some((len, from))) = socket.receive(&mut buffer) else {
            return;
        };
        let bytes = buffer.get(..len).unwrap_or_default();
        let heard = match &mut self.verifier {
            None => self.onlooker.handle_datagram(now, from, bytes),
            Some(verifier) => {
                let (heard, ask) = verifier.handle_datagram(&mut self.onlooker, now, from, bytes);
                if let (Some(ask), Some((_, asker))) = (ask, self.sockets.last()) {
                    let _ = asker.send(from, &ask);
                }
                heard
            }
        };
        if let Some(event) = &heard {
            self.tell(now, event);
        }
        if let (Some(screen), Some(_)) = (&mut self.screen, heard) {
            screen.draw_at = screen.draw_at.min(screen.drawn + FRAME);
        }
    }

    fn ask(&mut self, now: Instant) {
        let is_first = self.verifier.is_some() && now == self.began;
        self.ask_at = Some(if is_first {
            now + FIRST
        } else {
            now + ASK_EVERY
        });
        let question = match &mut self.verifier {
            None => wire::build(Text::Whois, true),
            Some(verifier) => verifier.question(now, is_first),
        };
        if let Some((_, socket)) = self.sockets.last() {
            for &to in &self.to {
                // A network that is away for a moment is no reason to end.
                let _ = socket.send(to, &question);
            }
        }
    }
}

impl Handler for Watch {
    fn ready(&mut self, reactor: &mut Reactor, key: Key, _ready: Ready) {
        if key == self.signals_key {
            while let Some(signal) = self.signals.take_next() {
                self.handle_signal(reactor, signal);
            }
            return;
        }
        let keys = self.screen.as_ref().and_then(|screen| screen.keys.as_ref());
        if keys.is_some_and(|(_, _, one)| *one == key) {
            self.handle_keys(reactor);
        } else {
            self.handle_socket(reactor.now(), key);
        }
    }

    fn end_turn(&mut self, reactor: &mut Reactor, _drained: bool) {
        let now = reactor.now();
        if self.ask_at.is_some_and(|at| at <= now) {
            self.ask(now);
        }
        if self
            .screen
            .as_ref()
            .is_some_and(|screen| screen.draw_at <= now)
        {
            self.draw(now);
        }
        self.finished |= !self.output.flush();
    }

    fn deadline(&self) -> Option<Instant> {
        let draw_at = self.screen.as_ref().map(|screen| screen.draw_at);
        draw_at.into_iter().chain(self.ask_at).min()
    }

    fn is_finished(&self) -> bool {
        self.finished
    }
}

fn as_text(event: &Event) -> String {
    match event {
        Event::Call(from) => format!("{from} calls an election"),
        Event::Verdict { from, dead } => {
            format!("{from} calls an election, since {dead} is dead")
        }
        Event::Vote(rank, None) => format!("{} votes {}", rank.address, rank.vote),
        Event::Vote(rank, Some(epoch)) => {
            format!("{} votes {} in epoch {epoch}", rank.address, rank.vote)
        }
        Event::Master { address, name } => match name {
            Some(name) => format!("{} on {address} is the master", fit_for_terminal(name)),
            None => format!("{address} is the master"),
        },
        Event::Resigned(address) => format!("{address} resigns"),
        Event::Suspicion { from, about } => format!("{from} misses the master, {about}"),
    }
}

fn as_json(since: Duration, event: &Event) -> String {
    let micros = since.micros();
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let said = match event {
        Event::Call(from) => format!(r#""event":"call","from":"{from}""#),
        Event::Verdict { from, dead } => {
            format!(r#""event":"verdict","from":"{from}","dead":"{dead}""#)
        }
        Event::Vote(rank, epoch) => {
            let (address, vote) = (rank.address, rank.vote);
            let epoch = epoch.map_or("null".into(), |epoch| epoch.to_string());
            format!(r#""event":"vote","address":"{address}","vote":{vote},"epoch":{epoch}"#)
        }
        Event::Master { address, name } => {
            let name = name
                .as_deref()
                .map_or("null".into(), |name| json::string(&fit_for_terminal(name)));
            format!(r#""event":"master","address":"{address}","name":{name}"#)
        }
        Event::Resigned(address) => format!(r#""event":"resigned","address":"{address}""#),
        Event::Suspicion { from, about } => {
            format!(r#""event":"suspicion","from":"{from}","about":"{about}""#)
        }
    };
    format!(r#"{{"at":{seconds}.{micros:06},{said}}}"#)
}
