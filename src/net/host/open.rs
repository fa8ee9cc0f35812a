//! Opening what the services asked for, with errors that say what to do.

use super::{Finder, Host, Hosted, Input, Interest, Journal, Owner, Setup};
use crate::net::entropy::OsEntropy;
use crate::net::output::Output;
use crate::net::reactor::Reactor;
use crate::net::signals::Signals;
use crate::net::sys;
use crate::net::tcp::Listener;
use crate::net::udp::{Shared, Udp};
use crate::outcome::Failure;
use crate::service::Service;
use crate::table::Table;
use core::net::SocketAddrV4;
use nix::sys::signal::Signal;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};

impl Host {
    pub(super) fn open(
        reactor: &mut Reactor,
        services: Vec<(Box<dyn Service>, Setup)>,
    ) -> Result<Self, Failure> {
        let signals = Signals::take(&[Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR1])
            .map_err(|error| Failure::cannot(format!("signals: {error}")))?;
        let signals_key = reactor.watch(&signals, Interest::READ);
        let mut host = Self {
            services: Vec::new(),
            owners: Vec::new(),
            links: Table::new(),
            last_peer: 0,
            links_max: connections_max(),
            lingering: VecDeque::new(),
            listeners_paused: None,
            is_full_told: false,
            pending: VecDeque::new(),
            signals,
            stdout: Output::stdout(),
            stderr: Output::stderr(),
            stdout_key: None,
            stderr_key: None,
            entropy: OsEntropy,
            buffer: vec![0; DATAGRAM_MAX],
            actions: Vec::new(),
            sends_failed: 0,
            stops: 0,
            code: 0,
            leaving: None,
            last_turn: reactor.now(),
        };
        host.own(signals_key, Owner::Signals);
        for (service, setup) in services {
            host.open_one(reactor, service, setup)?;
        }
        Ok(host)
    }

    fn open_one(
        &mut self,
        reactor: &mut Reactor,
        service: Box<dyn Service>,
        setup: Setup,
    ) -> Result<(), Failure> {
        let index = self.services.len();
        if setup.exit_with_output
            && let Some(failure) = self.stdout.loss()
        {
            return Err(failure);
        }
        let (udp, listener) = open_sockets(&setup)?;
        if let Some(udp) = &udp {
            udp.want_refusals();
            udp.want_room();
            let key = reactor.watch(udp, Interest::READ);
            self.own(key, Owner::Udp(index));
        }
        let listener = listener.map(|listener| {
            let key = reactor.watch(&listener, Interest::READ);
            self.own(key, Owner::Listener(index));
            (key, listener)
        });
        let input = setup.input.then(|| (None, Input::stdin()));
        let journal = setup.journal.clone().map(Journal::open).transpose()?;
        let finder: Option<(_, Finder)> = None;
        self.services.push(Hosted {
            service,
            setup,
            udp,
            listener,
            input,
            journal,
            finder,
            is_done: false,
        });
        Ok(())
    }
}

/// A TCP port of 0 beside a UDP port of 0 takes the number that UDP got; that
/// one may be taken, so it is tried again with another.
fn open_sockets(setup: &Setup) -> Result<(Option<Udp>, Option<Listener>), Failure> {
    let same = |port| match setup.tcp {
        Some(tcp) if tcp.port() == 0 => Some(SocketAddrV4::new(*tcp.ip(), port)),
        tcp => tcp,
    };
    let mut tries = TRIES_MAX;
    loop {
        let udp = match setup.udp {
            Some(at) => Some(
                Udp::bind(at, Shared(false))
                    .map_err(|e| cannot_bind("UDP", setup.port_option, at, &e))?,
            ),
            None => None,
        };
        let Some(at) = same(udp.as_ref().map_or(0, Udp::port)) else {
            return Ok((udp, None));
        };
        match Listener::bind(at) {
            Ok(listener) => return Ok((udp, Some(listener))),
            Err(error) => {
                let both_free = setup.udp.is_some_and(|at| at.port() == 0)
                    && setup.tcp.is_some_and(|at| at.port() == 0);
                tries -= 1;
                if !both_free || tries == 0 || error.kind() != ErrorKind::AddrInUse {
                    return Err(cannot_bind("TCP", setup.port_option, at, &error));
                }
            }
        }
    }
}

/// What to say when a socket cannot be bound; `option` is the one that names
/// its port, if any does.
pub(crate) fn cannot_bind(
    protocol: &str,
    option: Option<&str>,
    at: SocketAddrV4,
    error: &io::Error,
) -> Failure {
    let (ip, port) = (at.ip(), at.port());
    Failure::cannot(match error.kind() {
        ErrorKind::AddrInUse => {
            let taken = format!("{protocol} port {port} on {ip} is taken by another program");
            match option {
                Some(option) => format!("{taken}; stop it or give {option}"),
                None => format!("{taken}; is this server running already?"),
            }
        }
        ErrorKind::AddrNotAvailable => {
            format!("{ip} is no address of this machine; `ip addr` lists them")
        }
        ErrorKind::PermissionDenied => {
            format!("{protocol} port {port}: no permission; give a port above 1023 or run as root")
        }
        _ => format!("{protocol} port {port} on {ip}: {error}"),
    })
}

/// Raises the limit of open descriptors as far as is allowed, and gives how
/// many connections that makes.
pub fn connections_max() -> usize {
    let Some(limit) = sys::raise_descriptors() else {
        return LINKS_IF_UNKNOWN;
    };
    limit.clamp(DESCRIPTORS_KEPT * 2, LINKS_MAX) - DESCRIPTORS_KEPT
}

/// The largest UDP datagram.
const DATAGRAM_MAX: usize = 65_536;
const TRIES_MAX: u32 = 100;
const LINKS_IF_UNKNOWN: usize = 512;
/// Left free for sockets, files and programs.
const DESCRIPTORS_KEPT: usize = 32;
/// Connections at most, whatever the system allows.
const LINKS_MAX: usize = 65_536;
