//! `boardroom relay`: messages stored and forwarded.

use super::options::{self, Entry, To};
use super::{Command, Failure, Outcome};
use crate::net::host::{self, MasterQuestion, Setup};
use crate::relay::client::{Client, Config as ClientConfig, Task};
use crate::relay::post::Limits;
use crate::relay::server::{Config, Server};
use crate::relay::status::Status;
use crate::relay::table::{SERVERS_MAX, Table};
use crate::relay::wire::{self, Id, Invalid};
use crate::service;
use crate::text::quoted;
use crate::time::Duration;
use core::net::{Ipv4Addr, SocketAddrV4};
use lexopt::Parser;
use std::io::IsTerminal;
use std::path::PathBuf;

/// The command.
pub const COMMAND: Command = Command {
    name: "relay",
    summary: "messages kept and forwarded (server, client, status)",
    help: HELP,
    run,
};

const HELP: &str = help!(
    "\
Usage: boardroom relay server --index N [OPTION]...
       boardroom relay client --id ID [OPTION]... [send ID [TEXT]|get|listen]
       boardroom relay status [OPTION]...

Carries messages between clients, each known by an ID of 10 digits, over a line
of servers that keep what cannot be delivered yet.

Options of all:
  --servers LIST        the line: ADDRESS:PORT,ADDRESS:PORT and so on, the same
                        for all servers (default: 127.0.0.21:1025 to
                        127.0.0.25:1029, five on this machine)
  --quiet               server: do not print what is received and sent;
                        client: print messages only
  -h, --help            print this help

Server options:
  --index N             which server of the line this is: 1 is the first
  --spool DIR           keep mail in this directory too, so that it survives a
                        restart; each message is on disk before it is confirmed
                        (default: in memory only, which spares flash)
  --mailbox N           keep at most N messages for one client (default: 1000)
  --memory KIB          keep at most so much mail in all (default: 1024)

Client and status options:
  --id ID               who the client is: 10 digits, such as 1111111111
  --server ADDRESS      its server: ADDRESS:PORT, or an ADDRESS of --servers,
                        or auto for the network's master, which must be in
                        --servers (default: the first of --servers)
  --timeout TIME        wait this long for the server (default: 5s)
  --count N             listen: leave after N messages
  --until-read          send: leave only when the addressee has acknowledged,
                        or with exit code 1 after the timeout
  --interface NAME      with auto: ask for the master on this interface only
  --election-port PORT  with auto: the boards' UDP port (default: 2000)
  --key-file FILE       with auto: believe only a master that has this key

send sends TEXT, or each line of its input as a message; get prints what is
kept and leaves; listen prints what comes. Without one of them a menu asks. A
text has 1 to 160 characters and at most 226 bytes. SIGUSR1 makes a server
print its neighbours and counters; status asks a server for one line of them.

Exit code: 0 done, 1 not confirmed, no message or no answer, 2 wrong usage,
4 port taken or no such file.
"
);

fn run(parser: &mut Parser) -> Outcome {
    let role = options::role(parser, HELP, &["server", "client", "status"])?;
    let mut options = Options::default();
    let mut words = Vec::new();
    options.read(parser, role, &mut words)?;
    match role {
        "server" => options.server(),
        "client" => options.client(words),
        _ => options.status(),
    }
}

/// Datagrams taken a turn: many clients, and one write to disk for all.
const DATAGRAMS: u32 = 32;

/// What the command line said.
struct Options {
    servers: Vec<SocketAddrV4>,
    quiet: bool,
    index: Option<usize>,
    spool: Option<PathBuf>,
    limits: Limits,
    id: Option<Id>,
    server: Option<String>,
    timeout: Duration,
    count: Option<u64>,
    until_read: bool,
    master: MasterQuestion,
}

impl Default for Options {
    fn default() -> Self {
        let line = (0..5)
            .map(|i| SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 21 + i), 1025 + u16::from(i)));
        Self {
            servers: line.collect(),
            quiet: false,
            index: None,
            spool: None,
            limits: Limits {
                mailbox: 1_000,
                bytes: 1_024 * 1_024,
            },
            id: None,
            server: None,
            timeout: Duration::from_secs(5),
            count: None,
            until_read: false,
            master: Setup::new().master,
        }
    }
}

impl Options {
    fn read(
        &mut self,
        parser: &mut Parser,
        role: &str,
        words: &mut Vec<String>,
    ) -> Result<(), Failure> {
        let (mut servers, mut index, mut id, mut timeout) = (None, None, None, None);
        let (mut mailbox, mut memory) = (None, None);
        let of_all = &mut [("--servers", To::Text(&mut servers))];
        let quiet = &mut [("--quiet", To::Yes(&mut self.quiet))];
        let of_servers = &mut [
            ("--index", To::Number(&mut index, &[1, SERVERS_MAX as u64])),
            ("--spool", To::Path(&mut self.spool)),
            ("--mailbox", To::Number(&mut mailbox, &[1, 1_000_000])),
            ("--memory", To::Number(&mut memory, &[1, 1 << 20])),
        ];
        let of_askers = &mut [
            ("--server", To::Text(&mut self.server)),
            ("--timeout", To::Time(&mut timeout, options::TIMEOUT)),
        ];
        let of_clients = &mut [
            ("--id", To::Text(&mut id)),
            ("--count", To::Number(&mut self.count, &[1, u64::MAX])),
            ("--until-read", To::Yes(&mut self.until_read)),
            ("--interface", To::Text(&mut self.master.interface)),
            ("--election-port", To::Port(&mut self.master.port)),
            ("--key-file", To::Keys(&mut self.master.keys)),
            ("WORD", To::Texts(words)),
        ];
        let entries: &mut [&mut [Entry<'_>]] = match role {
            "server" => &mut [of_all, quiet, of_servers],
            "client" => &mut [of_all, quiet, of_askers, of_clients],
            _ => &mut [of_all, of_askers],
        };
        options::read(parser, HELP, entries)?;
        if let Some(text) = servers {
            self.servers = line_of_servers(&text)?;
        }
        if let Some(text) = id {
            self.id = Some(id_of("--id", &text)?);
        }
        self.index = index.map(|index| index as usize);
        self.timeout = timeout.unwrap_or(self.timeout);
        if let Some(messages) = mailbox {
            self.limits.mailbox = messages as usize;
        }
        if let Some(kib) = memory {
            self.limits.bytes = kib as usize * 1_024;
        }
        Ok(())
    }

    fn server(self) -> Outcome {
        let count = self.servers.len();
        let Some(index) = self.index.filter(|&index| index <= count) else {
            return Err(Failure::usage(format!(
                "which server of the line is this? give --index from 1 to {count}"
            )));
        };
        let Some(table) = Table::new(&self.servers, index - 1) else {
            return Err(Failure::usage("--servers: every address once"));
        };
        let own = table.own_address();
        let journal = self
            .spool
            .map(|folder| folder.join(format!("relay-{}-{}.spool", own.ip(), own.port())));
        let spool = journal.as_deref().map(host::read_journal).transpose()?;
        let server = Server::new(Config {
            table,
            limits: self.limits,
            spool,
            quiet: self.quiet,
        });
        let setup = Setup {
            udp: Some(own),
            port_option: None,
            datagrams: DATAGRAMS,
            journal,
            ..Setup::new()
        };
        host::run(vec![(Box::new(server), setup)])
    }

    fn client(self, words: Vec<String>) -> Outcome {
        let Some(id) = self.id else {
            return Err(Failure::usage(
                "who is the client? give --id with 10 digits, such as --id 1111111111",
            ));
        };
        let task = self.task(words)?;
        if self.until_read && !matches!(task, Task::Send { .. }) {
            return Err(Failure::usage("--until-read is for send"));
        }
        if self.count.is_some() && !matches!(task, Task::Listen { .. }) {
            return Err(Failure::usage("--count is for listen"));
        }
        let has_input = match &task {
            Task::Send { text, .. } => text.is_none(),
            Task::Menu => true,
            Task::Get | Task::Listen { .. } => false,
        };
        let server = match self.server.as_deref() {
            Some("auto") => service::Server::Master { port: 0 },
            _ => service::Server::At(self.server_address()?),
        };
        options::key_is_for_auto(&server, &self.master)?;
        let setup = Setup {
            udp: Some(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)),
            datagrams: DATAGRAMS,
            input: has_input,
            master: self.master,
            exit_with_output: true,
            ..Setup::new()
        };
        let client = Client::new(ClientConfig {
            id,
            server,
            table: self.servers,
            task,
            timeout: self.timeout,
            quiet: self.quiet,
            prompts: std::io::stdin().is_terminal(),
        });
        host::run(vec![(Box::new(client), setup)])
    }

    fn task(&self, words: Vec<String>) -> Result<Task, Failure> {
        let mut words = words.into_iter();
        let task = match words.next().as_deref() {
            None => Task::Menu,
            Some("get") => Task::Get,
            Some("listen") => Task::Listen { count: self.count },
            Some("send") => {
                let to = words.next().unwrap_or_default();
                let destination = id_of("send", &to)?;
                let text = words.by_ref().collect::<Vec<_>>().join(" ");
                let text = (!text.is_empty()).then_some(text);
                check_text(text.as_deref())?;
                Task::Send {
                    destination,
                    text,
                    until_read: self.until_read,
                }
            }
            Some(other) => {
                return Err(Failure::usage(format!(
                    "no {}; give send, get or listen, or nothing for the menu",
                    quoted(other)
                )));
            }
        };
        match words.next() {
            Some(word) => Err(Failure::usage(format!(
                "{} is one word too many",
                quoted(&word)
            ))),
            None => Ok(task),
        }
    }

    fn status(self) -> Outcome {
        let server = self.server_address()?;
        let setup = Setup {
            udp: Some(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)),
            exit_with_output: true,
            ..Setup::new()
        };
        host::run(vec![(Box::new(Status::new(server, self.timeout)), setup)])
    }

    /// The server's address; its port is the one beside it in the line.
    fn server_address(&self) -> Result<SocketAddrV4, Failure> {
        let Some(text) = self.server.as_deref() else {
            return self
                .servers
                .first()
                .copied()
                .ok_or_else(|| Failure::usage("--servers: at least one"));
        };
        if let Ok(address) = text.parse() {
            return Ok(address);
        }
        let ip = options::address("--server", text)?;
        let server = self.servers.iter().find(|server| *server.ip() == ip);
        server.copied().ok_or_else(|| {
            Failure::usage(format!(
                "--server {text}: it is not in --servers, so give its port too: {text}:PORT"
            ))
        })
    }
}

/// `ADDRESS:PORT,ADDRESS:PORT`, every address once.
fn line_of_servers(text: &str) -> Result<Vec<SocketAddrV4>, Failure> {
    let mut servers: Vec<SocketAddrV4> = Vec::new();
    for part in text.split(',') {
        let server: SocketAddrV4 = part.trim().parse().map_err(|_| {
            Failure::usage(format!(
                "--servers: {} is no ADDRESS:PORT, such as 10.3.52.2:1025",
                quoted(part)
            ))
        })?;
        if server.port() == 0 || server.ip().is_unspecified() {
            return Err(Failure::usage(format!(
                "--servers: {server} is not where others find a server"
            )));
        }
        if servers.iter().any(|other| other.ip() == server.ip()) {
            return Err(Failure::usage(format!(
                "--servers: {} comes twice; every server needs an address of its own, \
                 as servers tell each other addresses without ports",
                server.ip()
            )));
        }
        servers.push(server);
    }
    if servers.len() > SERVERS_MAX {
        return Err(Failure::usage(format!(
            "--servers: {} are too many, at most {SERVERS_MAX}",
            servers.len()
        )));
    }
    Ok(servers)
}

fn id_of(option: &str, text: &str) -> Result<Id, Failure> {
    match Id::parse(text) {
        Some(Id::PERMANENT) => Err(Failure::usage(format!(
            "{option}: {text} is the servers' own; take another id"
        ))),
        Some(id) => Ok(id),
        None => Err(Failure::value(
            option,
            text,
            "an id has exactly 10 digits, such as 1111111111",
        )),
    }
}

fn check_text(text: Option<&str>) -> Result<(), Failure> {
    match text.map(|text| (text, wire::check_text(text))) {
        Some((text, Err(Invalid::LongText))) => Err(Failure::usage(wire::why_too_long(text))),
        _ => Ok(()),
    }
}
