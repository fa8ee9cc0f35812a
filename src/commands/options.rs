//! What several commands read from the command line in the same way.

use super::Failure;
use crate::election::Keys;
use crate::net::host::MasterQuestion;
use crate::net::keyfile;
use crate::service::Server;
use crate::time::Duration;
use core::net::{Ipv4Addr, SocketAddrV4};
use lexopt::{Arg, Parser};
use std::path::Path;

/// The value of the option just read, as text.
pub fn text(parser: &mut Parser, option: &str) -> Result<String, Failure> {
    parser
        .value()?
        .into_string()
        .map_err(|_| Failure::usage(format!("{option}: the value is not UTF-8")))
}

/// The keys of the file that `--key-file` names.
pub fn keys(parser: &mut Parser) -> Result<Keys, Failure> {
    keyfile::keys(Path::new(&parser.value()?)).map_err(Failure::cannot)
}

/// A UDP or TCP port from 1 to 65535.
pub fn port(text: &str) -> Result<u16, Failure> {
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
pub fn port_or_free(text: &str) -> Result<u16, Failure> {
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
pub fn server(text: &str, port: u16) -> Result<Server, Failure> {
    match text {
        "auto" => Ok(Server::Master { port }),
        _ => Ok(Server::At(address_and_port("--server", text, port)?)),
    }
}

/// A span of time from `least` to `most`.
pub fn duration(
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
pub fn number(option: &str, text: &str, least: u64, most: u64) -> Result<u64, Failure> {
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

    /// The option of that name, if it is one of these.
    pub fn option(name: &str) -> Option<&'static str> {
        let own = [
            "--server",
            "--port",
            "--interface",
            "--election-port",
            "--key-file",
        ];
        own.into_iter()
            .find(|own| own.strip_prefix("--") == Some(name))
    }

    /// Takes the value of that option.
    pub fn take(&mut self, option: &'static str, parser: &mut Parser) -> Result<(), Failure> {
        if option == "--key-file" {
            self.master.keys = Some(keys(parser)?);
            return Ok(());
        }
        let value = text(parser, option)?;
        match option {
            "--server" => self.server = Some(value),
            "--port" => self.port = port(&value)?,
            "--interface" => self.master.interface = Some(value),
            _ => self.master.port = port(&value)?,
        }
        Ok(())
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

/// The value of `--timeout`: a millisecond to a day.
pub fn timeout(parser: &mut Parser) -> Result<Duration, Failure> {
    let value = text(parser, "--timeout")?;
    let (least, most) = (Duration::from_millis(1), Duration::from_secs(86_400));
    duration("--timeout", &value, least, most)
}

/// `--port` and `--address`: where a service's server listens.
pub struct ListenOptions {
    /// 0 takes a free one.
    pub port: u16,
    address: Ipv4Addr,
}

impl ListenOptions {
    /// Unless told otherwise: on all addresses.
    pub const fn new(port: u16) -> Self {
        Self {
            port,
            address: Ipv4Addr::UNSPECIFIED,
        }
    }

    /// The option of that name, if it is one of these.
    pub fn option(name: &str) -> Option<&'static str> {
        match name {
            "port" => Some("--port"),
            "address" => Some("--address"),
            _ => None,
        }
    }

    /// Takes the value of that option.
    pub fn take(&mut self, option: &'static str, parser: &mut Parser) -> Result<(), Failure> {
        let value = text(parser, option)?;
        match option {
            "--port" => self.port = port_or_free(&value)?,
            _ => self.address = address(option, &value)?,
        }
        Ok(())
    }

    /// Where to listen.
    pub const fn at(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.address, self.port)
    }
}
