//! Behaviour as text: a transcript holds commands and, below `----`, all that
//! happened because of them. Running it writes the same text again, or shows
//! what has changed.
//!
//! ```text
//! boards 10.0.0.9 10.0.0.10      boards that start now; failover=1s strict answer=broadcast
//! old 10.0.0.5 form=bare counting=sticky towards=server    an old program
//! draws 10.0.0.9 7 3             the votes that it will draw next
//! VOTE | WHOIS [to A] [from A:P] [bare|padded]             a client asks
//! say A TO "bytes"               a datagram from anybody: text with \n, \0, \x7f
//! sealed A TO EPOCH FLAGS "text" the same with a valid trailer
//! lose A B | hold A B | release A B | cut A B | mend A B | heal
//! kill A | off A | start A | stop A SPAN | move A B | unplug N | plug N A | resign A
//! run SPAN | show                time passes; a table of the boards
//! ```
//!
//! Datagrams take exactly 50 µs. A host is named by the address it has at the
//! moment, or by its number (0, 1 …).

use crate::host::Clock;
use crate::old::{Counting, Form, Habits, Old, Towards};
use crate::options::Weather;
use crate::packet::Packet;
use crate::program::Program;
use crate::queue::Micros;
use crate::story::Story;
use crate::world::{Machine, PORT, World};
use boardroom::election::wire::{self, Trailer, flag};
use boardroom::election::{Answer, Board, Config, Epoch, Failover};
use boardroom::time::Duration;
use core::net::{Ipv4Addr, SocketAddrV4};

/// The line between commands and what came of them.
const RULE: &str = "----";
const CLIENTS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const BROADCAST: Ipv4Addr = Ipv4Addr::new(10, 0, 255, 255);

/// A transcript that runs.
pub struct Transcript {
    world: World,
    configs: Vec<Option<Config>>,
}

/// Runs a whole transcript; returns it with what happens now.
pub fn run(text: &str) -> Result<String, String> {
    let mut transcript = Transcript::new();
    let mut written = String::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let line = line.trim_end();
        if line == RULE {
            written += RULE;
            written += "\n";
            for happened in transcript.world.story.take() {
                written += &happened;
                written += "\n";
            }
            written += "\n";
            for (_, old) in lines.by_ref() {
                if old.trim().is_empty() {
                    break;
                }
            }
            continue;
        }
        if !line.is_empty() && !line.starts_with('#') {
            transcript
                .command(line)
                .ok_or_else(|| format!("line {}: no such command: {line}", at + 1))?;
        }
        written += line;
        written += "\n";
        if let Some(violation) = transcript.world.checks.violation.take() {
            return Err(format!(
                "line {}: {}: {}",
                at + 1,
                violation.property,
                violation.what
            ));
        }
    }
    while written.ends_with("\n\n") {
        written.pop();
    }
    Ok(written)
}

impl Transcript {
    fn new() -> Self {
        let exact = Weather {
            spread: 1,
            ..Weather::CLEAR
        };
        let machine = Machine {
            latency: 0,
            coarse_timers: false,
            claims_wait: false,
        };
        let mut world = World::new(1, exact, machine, BROADCAST, CLIENTS);
        world.story = Story::written();
        Self {
            world,
            configs: Vec::new(),
        }
    }

    fn command(&mut self, line: &str) -> Option<()> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (&verb, arguments) = words.split_first()?;
        match (verb, arguments) {
            ("boards", arguments) => self.boards(arguments),
            ("old", [address, ways @ ..]) => self.old(address.parse().ok()?, ways),
            ("draws", [host, votes @ ..]) => self.draws(host, votes),
            ("VOTE" | "WHOIS", arguments) => self.ask(verb, arguments),
            ("say", [from, to, ..]) => {
                let bytes = quoted(line)?;
                self.say(from, to, &bytes)
            }
            ("sealed", [from, to, epoch, flags, ..]) => {
                let bytes = seal(&quoted(line)?, epoch, flags)?;
                self.say(from, to, &bytes)
            }
            ("run", [span]) => {
                self.world.run_for(micros(span)?);
                Some(())
            }
            ("show", []) => self.show(),
            ("heal", []) => {
                self.world.lan.heal();
                Some(())
            }
            (_, [from, to]) if LINKS.contains(&verb) => self.link(verb, from, to),
            (_, [host, rest @ ..]) => self.host(verb, host, rest),
            _ => None,
        }
    }

    fn boards(&mut self, arguments: &[&str]) -> Option<()> {
        let mut config = Config {
            port: PORT,
            ..Config::default()
        };
        let is_option = |word: &&&str| word.parse::<Ipv4Addr>().is_err();
        for word in arguments.iter().filter(is_option) {
            match word.split_once('=').unwrap_or((word, "")) {
                ("strict", "") => config.strict = true,
                ("answer", "broadcast") => config.answer = Answer::Broadcast,
                ("failover", interval) => {
                    let interval = Duration::parse(interval)?;
                    self.world.checks.interval = interval.micros();
                    config.failover = Some(Failover {
                        interval,
                        patience: crate::schedule::patience(interval.micros()),
                    });
                }
                _ => return None,
            }
        }
        for address in arguments.iter().filter_map(|word| word.parse().ok()) {
            let number = self.configs.len();
            let config = Config {
                name: format!("board{number}"),
                ..config.clone()
            };
            let board = Program::Board(Box::new(Board::new(config.clone())));
            self.configs.push(Some(config));
            self.add(address, board);
        }
        Some(())
    }

    fn add(&mut self, address: Ipv4Addr, program: Program) {
        let seed = self.world.hosts.len() as u64 + 1;
        // A clock that began somewhere: nothing may count from zero.
        let clock = Clock::new(seed * 1_000_000_007, 0);
        self.world.add(address, program, clock, seed);
    }

    fn old(&mut self, address: Ipv4Addr, ways: &[&str]) -> Option<()> {
        let mut habits = Habits::PLAIN;
        for way in ways {
            match *way {
                "counting=sticky" => habits.counting = Counting::Sticky,
                "counting=last" => habits.counting = Counting::LastWins,
                "towards=server" => habits.towards = Towards::ServerPort,
                "towards=asker" => habits.towards = Towards::AskersPort,
                "form=bare" => habits.form = Form::Bare,
                "form=newline" => habits.form = Form::Newline,
                "form=uncleared" => habits.form = Form::Uncleared,
                "form=fifty" => habits.form = Form::Fifty,
                "form=junk" => habits.form = Form::JunkBehindDigits,
                "newline-only" => habits.newline_only = true,
                "zero-based" => habits.zero_based = true,
                _ => return None,
            }
        }
        let old = Old::new(habits, PORT, address, BROADCAST);
        self.configs.push(None);
        self.add(address, Program::Old(Box::new(old)));
        Some(())
    }

    fn draws(&mut self, host: &str, votes: &[&str]) -> Option<()> {
        let at = self.place(host)?;
        for vote in votes {
            let vote: u32 = vote.parse().ok()?;
            self.world.hosts[at]
                .draws
                .told
                .push_back(vote.checked_sub(1)?);
        }
        Some(())
    }

    fn ask(&mut self, word: &str, arguments: &[&str]) -> Option<()> {
        let mut bytes = format!("{word}\n").into_bytes();
        let mut to = self.world.everybody();
        let mut from = None;
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match *argument {
                "bare" => bytes.truncate(word.len()),
                "padded" => {
                    bytes.truncate(word.len());
                    bytes.resize(wire::MESSAGE_LEN, 0);
                }
                "to" => to = SocketAddrV4::new(arguments.next()?.parse().ok()?, PORT),
                "from" => from = Some(arguments.next()?.parse().ok()?),
                _ => return None,
            }
        }
        let from = from.unwrap_or_else(|| {
            if word == "VOTE" {
                SocketAddrV4::new(CLIENTS, PORT)
            } else {
                self.world.clients.ask(self.world.now)
            }
        });
        self.world.client_sends(from, to, &bytes);
        Some(())
    }

    fn say(&mut self, from: &str, to: &str, bytes: &[u8]) -> Option<()> {
        let from = SocketAddrV4::new(from.parse().ok()?, PORT);
        let to = match to {
            "all" => self.world.everybody(),
            address => SocketAddrV4::new(address.parse().ok()?, PORT),
        };
        let packet = Packet::new(from, to, bytes);
        self.world.send(self.world.clients_at(), packet);
        Some(())
    }

    fn link(&mut self, verb: &str, from: &str, to: &str) -> Option<()> {
        let (senders, receivers) = (self.places(from)?, self.places(to)?);
        for &from in &senders {
            for &to in receivers.iter().filter(|&&to| to != from) {
                let link = (from as u16, to as u16);
                match verb {
                    "lose" => self.world.lan.doomed.push(link),
                    "hold" => self.world.lan.held.push(link),
                    "release" => self.world.release(from, to),
                    "cut" => self.world.lan.cut(from, to),
                    _ => self.world.lan.mend(from, to),
                }
            }
        }
        Some(())
    }

    fn host(&mut self, verb: &str, host: &str, rest: &[&str]) -> Option<()> {
        let at = self.place(host)?;
        match (verb, rest) {
            ("kill", []) => self.world.kill(at, false),
            ("off", []) => self.world.kill(at, true),
            ("start", []) => {
                let config = self.configs[at].clone()?;
                self.world
                    .start(at, Program::Board(Box::new(Board::new(config))));
            }
            ("stop", [span]) => self.world.stop(at, micros(span)?),
            ("move" | "plug", [address]) => {
                self.world.set_address(at, Some(address.parse().ok()?));
            }
            ("unplug", []) => self.world.set_address(at, None),
            ("resign", []) => self.world.resign(at),
            _ => return None,
        }
        Some(())
    }

    fn show(&mut self) -> Option<()> {
        for at in 0..self.world.hosts.len() {
            let host = &self.world.hosts[at];
            let Some(board) = host.program.board() else {
                let office = host.program.office();
                let line = office.map_or_else(
                    || "old, slave".into(),
                    |rank| format!("old, master ({rank})"),
                );
                self.world.note(at, format_args!("{line}"));
                continue;
            };
            let vote = board
                .vote()
                .map_or_else(|| "-".into(), |vote| vote.to_string());
            let master = board
                .master()
                .map_or_else(|| "nobody".into(), |rank| rank.address.to_string());
            let line = format!(
                "{} epoch {} vote {vote}, master {master}, {:?}",
                board.role(),
                board.epoch(),
                host.state
            );
            self.world.note(at, format_args!("{line}"));
        }
        Some(())
    }

    fn place(&self, host: &str) -> Option<usize> {
        if host == "client" {
            return Some(self.world.clients_at());
        }
        if let Ok(number) = host.parse::<usize>() {
            return (number < self.world.hosts.len()).then_some(number);
        }
        let address: Ipv4Addr = host.parse().ok()?;
        self.world
            .hosts
            .iter()
            .position(|host| host.address == Some(address))
    }

    fn places(&self, host: &str) -> Option<Vec<usize>> {
        match host {
            "all" => Some((0..self.world.hosts.len()).collect()),
            host => Some(vec![self.place(host)?]),
        }
    }
}

const LINKS: [&str; 5] = ["lose", "hold", "release", "cut", "mend"];

fn micros(span: &str) -> Option<Micros> {
    Some(Duration::parse(span)?.micros())
}

/// The bytes between the quotes of a command.
fn quoted(line: &str) -> Option<Vec<u8>> {
    let text = line.split_once('"')?.1.strip_suffix('"')?;
    let mut bytes = Vec::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            let mut buffer = [0; 4];
            bytes.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
            continue;
        }
        bytes.push(match characters.next()? {
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            '0' => 0,
            'x' => {
                let (high, low) = (
                    characters.next()?.to_digit(16)?,
                    characters.next()?.to_digit(16)?,
                );
                (high * 16 + low) as u8
            }
            '\\' => b'\\',
            _ => return None,
        });
    }
    Some(bytes)
}

/// A text with a valid trailer behind it.
fn seal(text: &[u8], epoch: &str, flags: &str) -> Option<Vec<u8>> {
    let mut bits = 0;
    for name in flags.split(',').filter(|name| *name != "-") {
        bits |= match name {
            "asking" => flag::ASKING,
            "fresh" => flag::FRESH,
            "suspicion" => flag::SUSPICION,
            "witness" => flag::WITNESS,
            "verdict" => flag::VERDICT,
            _ => return None,
        };
    }
    let trailer = Trailer {
        flags: bits,
        epoch: Epoch(epoch.parse().ok()?),
        word: 0,
        about: None,
    };
    let text = wire::parse(text).ok()?;
    Some(wire::build_with_trailer(text, trailer, wire::checksum).to_vec())
}
