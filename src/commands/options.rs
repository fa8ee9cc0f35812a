//! What several commands read from the command line in the same way.

use super::Failure;
use crate::election::Keys;
use crate::net::host::MasterQuestion;
use crate::net::keyfile;
use crate::service::Server;
use crate::time::Duration;
use core::net::{Ipv4Addr, SocketAddrV4};
use lexopt::{Arg, Parser};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A name and where its value goes. The name is an option's as it is typed
/// (`--port`, `-n`); any other stands for a word (`PORT`).
pub type Entry<'a> = (&'static str, To<'a>);

/// What an option's value is, and where it goes.
pub enum To<'a> {
    /// An option without a value: here it is said.
    Yes(&'a mut bool),
    /// An option without a value: here it is denied.
    No(&'a mut bool),
    /// One word or the other; whether it was the second.
    Either(&'a mut bool, &'static [&'static str; 2]),
    /// Any text.
    Text(&'a mut Option<String>),
    /// Whatever comes, again and again.
    Texts(&'a mut Vec<String>),
    /// A file.
    Path(&'a mut Option<PathBuf>),
    /// The keys of a file.
    Keys(&'a mut Option<Keys>),
    /// A UDP or TCP port from 1 to 65535.
    Port(&'a mut u16),
    /// A port from 0 to 65535, where 0 asks for a free one.
    PortOrFree(&'a mut Option<u16>),
    /// An IPv4 address.
    Address(&'a mut Option<Ipv4Addr>),
    /// A whole number from the least to the most.
    Number(&'a mut Option<u64>, &'static [u64; 2]),
    /// A span of time from the least to the most.
    Time(&'a mut Option<Duration>, &'static [Duration; 2]),
    /// The same as another entry.
    As(&'static str),
}

/// A waiting time: a millisecond to a day.
pub const TIMEOUT: &[Duration; 2] = &[Duration::from_millis(1), Duration::from_secs(86_400)];

/// The boards' UDP port, as an option and as a word.
pub fn boards_port(port: &mut u16) -> [Entry<'_>; 2] {
    [("--port", To::Port(port)), ("PORT", To::As("--port"))]
}

/// Reads the rest of the command line into the entries. `help` is what
/// `--help` prints. A word is taken once, unless it was said as an option.
pub fn read(
    parser: &mut Parser,
    help: &str,
    entries: &mut [&mut [Entry<'_>]],
) -> Result<(), Failure> {
    while let Some(argument) = parser.next()? {
        let found = match &argument {
            Arg::Long("help") | Arg::Short('h') => return Err(Failure::help(help)),
            Arg::Long(name) => find(entries, &|one| one.strip_prefix("--") == Some(name)),
            Arg::Short(letter) => find(entries, &|one| one.chars().eq(['-', *letter])),
            Arg::Value(_) => find(entries, &is_word),
        };
        let name = match found {
            Some((_, To::As(other))) => *other,
            Some((name, _)) => *name,
            None => return Err(misplaced(argument, help)),
        };
        let word = match argument {
            Arg::Value(word) => Some(word),
            Arg::Long(_) | Arg::Short(_) => None,
        };
        if let Some((_, to)) = find(entries, &|one| one == name) {
            take(name, to, word, parser)?;
        }
        for (word, to) in entries.iter_mut().flat_map(|some| some.iter_mut()) {
            let is_said = match to {
                To::As(other) => *other == name,
                To::Texts(_) => false,
                _ => *word == name,
            };
            if is_said && is_word(word) {
                *word = "";
            }
        }
    }
    Ok(())
}

fn find<'e, 'a>(
    entries: &'e mut [&mut [Entry<'a>]],
    is_it: &dyn Fn(&str) -> bool,
) -> Option<&'e mut Entry<'a>> {
    let mut all = entries.iter_mut().flat_map(|some| some.iter_mut());
    all.find(|(name, _)| is_it(name))
}

fn is_word(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('-')
}

/// What stands on the command line and has no entry.
fn misplaced(argument: Arg<'_>, help: &str) -> Failure {
    match argument {
        Arg::Long(name) if help.lines().any(|line| tells_of(line, name)) => Failure::usage(
            format!("--{name} is not for this role; --help tells the options"),
        ),
        other => other.unexpected().into(),
    }
}

fn tells_of(line: &str, option: &str) -> bool {
    let rest = line.strip_prefix("  --");
    let rest = rest.and_then(|rest| rest.strip_prefix(option));
    rest.is_some_and(|rest| rest.starts_with([' ', '\t']))
}

/// Takes a value from `word`, else from behind the option.
fn take(
    name: &'static str,
    to: &mut To<'_>,
    word: Option<OsString>,
    parser: &mut Parser,
) -> Result<(), Failure> {
    match to {
        To::Yes(yes) => **yes = true,
        To::No(yes) => **yes = false,
        _ => {
            let value = match word {
                Some(word) => word,
                None => parser.value()?,
            };
            match to {
                To::Path(to) => **to = Some(value.into()),
                To::Keys(to) => {
                    let keys = keyfile::keys(Path::new(&value)).map_err(Failure::cannot)?;
                    **to = Some(keys);
                }
                _ => {
                    let text = value
                        .into_string()
                        .map_err(|_| Failure::usage(format!("{name}: the value is not UTF-8")))?;
                    take_text(name, to, text)?;
                }
            }
        }
    }
    Ok(())
}

fn take_text(name: &'static str, to: &mut To<'_>, text: String) -> Result<(), Failure> {
    match to {
        To::Either(second, words) => match words.iter().position(|word| *word == text) {
            Some(at) => **second = at == 1,
            None => {
                let advice = format!("give {}", words.join(" or "));
                return Err(Failure::value(name, &text, &advice));
            }
        },
        To::Text(to) => **to = Some(text),
        To::Texts(to) => to.push(text),
        To::Port(to) => **to = port(&text)?,
        To::PortOrFree(to) => **to = Some(port_or_free(&text)?),
        To::Address(to) => **to = Some(address(name, &text)?),
        To::Number(to, [least, most]) => **to = Some(number(name, &text, *least, *most)?),
        To::Time(to, [least, most]) => **to = Some(duration(name, &text, *least, *most)?),
        To::Yes(_) | To::No(_) | To::Path(_) | To::Keys(_) | To::As(_) => {}
    }
    Ok(())
}

/// A UDP or TCP port from 1 to 65535.
fn port(text: &str) -> Result<u16, Failure> {
    match text.parse() {
        Ok(0) | Err(_) => Err(Failure::value(
            "no port",
            text,
            "give a number from 1 to 65535",
        )),
        Ok(port) => Ok(port),
    }
}

/// A port from 0 to 65535, where 0 asks for a free one.
fn port_or_free(text: &str) -> Result<u16, Failure> {
    let advice = "give a number from 0 (a free one) to 65535";
    text.parse()
        .map_err(|_| Failure::value("no port", text, advice))
}

/// An IPv4 address.
pub fn address(option: &str, text: &str) -> Result<Ipv4Addr, Failure> {
    let advice = "give an IPv4 address such as 10.3.52.2";
    text.parse()
        .map_err(|_| Failure::value(option, text, advice))
}

/// An IPv4 address, with a port behind a colon if another than `port` is meant.
pub fn address_and_port(option: &str, text: &str, port: u16) -> Result<SocketAddrV4, Failure> {
    match text.parse() {
        Ok(both) => Ok(both),
        Err(_) => Ok(SocketAddrV4::new(address(option, text)?, port)),
    }
}

/// The value of a client's `--server`: `auto` for the LAN's master, or an IPv4
/// address, with a port behind a colon if another than `port` is meant.
fn server(text: &str, port: u16) -> Result<Server, Failure> {
    match text {
        "auto" => Ok(Server::Master { port }),
        _ => Ok(Server::At(address_and_port("--server", text, port)?)),
    }
}

/// A span of time from `least` to `most`.
fn duration(
    option: &str,
    text: &str,
    least: Duration,
    most: Duration,
) -> Result<Duration, Failure> {
    match Duration::parse(text) {
        Some(span) if least <= span && span <= most => Ok(span),
        _ => {
            let advice = format!("give a time from {least} to {most}, such as 50ms or 1s");
            Err(Failure::value(option, text, &advice))
        }
    }
}

/// A whole number from `least` to `most`.
fn number(option: &str, text: &str, least: u64, most: u64) -> Result<u64, Failure> {
    match text.parse() {
        Ok(number) if least <= number && number <= most => Ok(number),
        _ => {
            let advice = format!("give a whole number from {least} to {most}");
            Err(Failure::value(option, text, &advice))
        }
    }
}

/// The word behind a service's name: one of its roles.
pub fn role<'a>(parser: &mut Parser, help: &str, roles: &[&'a str]) -> Result<&'a str, Failure> {
    let wanted = || {
        Failure::usage(format!(
            "give a role: {}; --help tells more",
            roles.join(", ")
        ))
    };
    match parser.next()? {
        Some(Arg::Long("help") | Arg::Short('h')) => Err(Failure::help(help)),
        Some(Arg::Value(word)) => {
            let known = roles.iter().find(|role| word == **role);
            known.copied().ok_or_else(wanted)
        }
        None => Err(wanted()),
        Some(other) => Err(other.unexpected().into()),
    }
}

/// `--server`, `--port`, `--interface`, `--election-port` and `--key-file`: how
/// the clients of the services find their server.
pub struct ServerOptions {
    server: Option<String>,
    port: u16,
    /// Whom `--server auto` asks.
    pub master: MasterQuestion,
}

impl ServerOptions {
    /// Unless told otherwise: this machine, at the service's own port.
    pub const fn new(port: u16) -> Self {
        Self {
            server: None,
            port,
            master: MasterQuestion::new(),
        }
    }

    /// Where the options' values go.
    pub fn entries(&mut self) -> [Entry<'_>; 5] {
        [
            ("--server", To::Text(&mut self.server)),
            ("--port", To::Port(&mut self.port)),
            ("--interface", To::Text(&mut self.master.interface)),
            ("--election-port", To::Port(&mut self.master.port)),
            ("--key-file", To::Keys(&mut self.master.keys)),
        ]
    }

    /// Where the server is.
    pub fn server(&self) -> Result<Server, Failure> {
        let found = server(self.server.as_deref().unwrap_or("127.0.0.1"), self.port)?;
        key_is_for_auto(&found, &self.master)?;
        Ok(found)
    }
}

/// A key proves who is the master, not who is at an address.
pub fn key_is_for_auto(server: &Server, master: &MasterQuestion) -> Result<(), Failure> {
    match server {
        Server::At(_) if master.keys.is_some() => Err(Failure::usage(
            "--key-file is for --server auto: only a master can prove who it is",
        )),
        _ => Ok(()),
    }
}

/// `--port` and `--address`: where a service's server listens.
#[derive(Default)]
pub struct ListenOptions {
    port: Option<u16>,
    address: Option<Ipv4Addr>,
}

impl ListenOptions {
    /// Where the options' values go.
    pub fn entries(&mut self) -> [Entry<'_>; 2] {
        [
            ("--port", To::PortOrFree(&mut self.port)),
            ("--address", To::Address(&mut self.address)),
        ]
    }

    /// Where to listen: unless told otherwise at `port`, on all addresses.
    pub fn at(&self, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(
            self.address.unwrap_or(Ipv4Addr::UNSPECIFIED),
            self.port.unwrap_or(port),
        )
    }
}
