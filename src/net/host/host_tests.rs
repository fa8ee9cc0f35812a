use super::*;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};

/// A service that is a closure; it may set its deadline.
struct Scripted<F>(F, Option<Instant>);

impl<F: FnMut(Event<'_>, &mut Turn<'_>, &mut Option<Instant>)> Service for Scripted<F> {
    fn handle(&mut self, event: Event<'_>, turn: &mut Turn<'_>) {
        self.0(event, turn, &mut self.1);
    }

    fn deadline(&self) -> Option<Instant> {
        self.1
    }
}

fn any(port: u16) -> Option<SocketAddrV4> {
    Some(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}

fn quiet() -> Setup {
    Setup {
        quiet: true,
        ..Setup::new()
    }
}

fn run_one(
    setup: Setup,
    script: impl FnMut(Event<'_>, &mut Turn<'_>, &mut Option<Instant>) + 'static,
) -> Outcome {
    run(vec![(Box::new(Scripted(script, None)), setup)])
}

/// Runs a service in a thread of its own; its port comes first.
fn spawn(
    setup: Setup,
    mut script: impl FnMut(Event<'_>, &mut Turn<'_>) + Send + 'static,
) -> (u16, JoinHandle<Outcome>) {
    let (tx, rx): (_, Receiver<u16>) = channel();
    let thread = thread::spawn(move || {
        run_one(setup, move |event, turn, _| {
            if let Event::Start { port } = event {
                tx.send(port).unwrap();
            }
            script(event, turn);
        })
    });
    (rx.recv().unwrap(), thread)
}

#[test]
fn udp_and_tcp_with_port_0_get_one_number() {
    let setup = Setup {
        udp: any(0),
        tcp: any(0),
        ..quiet()
    };
    let (port, thread) = spawn(setup, |event, turn| match event {
        Event::Datagram { from, bytes } => turn.push(Action::Send {
            to: from,
            bytes: bytes.to_ascii_uppercase(),
        }),
        Event::Bytes { peer, bytes } => {
            let bytes = bytes.to_ascii_uppercase();
            turn.push(Action::Write { peer, bytes });
        }
        Event::HalfClosed { peer } => {
            turn.push(Action::Close { peer });
            turn.push(Action::Exit(3));
        }
        _ => {}
    });
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"udp", ("127.0.0.1", port)).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(socket.recv(&mut buffer).unwrap(), 3);
    assert_eq!(&buffer[..3], b"UDP");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"tcp").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    assert_eq!(all, "TCP");
    assert_eq!(thread.join().unwrap(), Ok(3));
}

#[test]
fn a_port_that_is_taken_is_told_with_what_to_do() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let setup = Setup {
        udp: any(port),
        ..quiet()
    };
    let failure = run_one(setup, |_, _, _| {}).unwrap_err();
    assert_eq!(failure.code, 4);
    assert_eq!(
        failure.message,
        format!("UDP port {port} on 127.0.0.1 is taken by another program; stop it or give --port")
    );
    let setup = Setup {
        tcp: Some(SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 9)),
        ..quiet()
    };
    let failure = run_one(setup, |_, _, _| {}).unwrap_err();
    assert!(failure.message.contains("no address of this machine"));
}

#[test]
fn a_closed_tcp_port_and_a_closed_udp_port_are_told() {
    // No other test can be given a port of this address.
    let to = SocketAddrV4::new(Ipv4Addr::new(127, 83, 0, 3), 9);
    let mut told = (false, false);
    let setup = Setup {
        udp: any(0),
        ..quiet()
    };
    let code = run_one(setup, move |event, turn, deadline| {
        match event {
            Event::Start { .. } => {
                *deadline = Some(turn.now + Duration::from_secs(30));
                turn.push(Action::Connect { to });
                let bytes = b"?".to_vec();
                turn.push(Action::Send { to, bytes });
            }
            Event::ConnectFailed { to: at, why } => {
                told.0 = at == to && why == "connection refused";
            }
            Event::Refused { to: at } => told.1 = at == to,
            Event::Timer => turn.push(Action::Exit(9)),
            _ => {}
        }
        if told == (true, true) {
            turn.push(Action::Exit(7));
        }
    });
    assert_eq!(code, Ok(7));
}

#[test]
fn services_of_one_loop_meet_and_each_ends_by_itself() {
    let (tx, rx) = channel();
    let server = Scripted(
        move |event: Event<'_>, turn: &mut Turn<'_>, _: &mut Option<Instant>| match event {
            Event::Start { port } => tx.send(port).unwrap(),
            Event::Opened { peer, .. } => {
                let bytes = b"welcome".to_vec();
                turn.push(Action::Write { peer, bytes });
                turn.push(Action::Close { peer });
                turn.push(Action::Exit(0));
            }
            _ => {}
        },
        None,
    );
    let mut got = Vec::new();
    let client = Scripted(
        move |event: Event<'_>, turn: &mut Turn<'_>, _: &mut Option<Instant>| match event {
            Event::Start { .. } => {
                let port = rx.recv().unwrap();
                let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
                turn.push(Action::Connect { to });
            }
            Event::Bytes { bytes, .. } => got.extend_from_slice(bytes),
            Event::HalfClosed { .. } => {
                turn.push(Action::Exit(if got == b"welcome" { 5 } else { 6 }))
            }
            _ => {}
        },
        None,
    );
    let tcp = Setup {
        tcp: any(0),
        ..quiet()
    };
    let outcome = run(vec![(Box::new(server), tcp), (Box::new(client), quiet())]);
    assert_eq!(outcome, Ok(5));
}

#[test]
fn a_peer_that_goes_is_told_once() {
    let mut said = String::new();
    let setup = Setup {
        tcp: any(0),
        ..quiet()
    };
    let (gone, is_gone) = channel();
    let (port, thread) = spawn(setup, move |event, turn| {
        match event {
            Event::Opened { peer, .. } => {
                said.push('o');
                let bytes = vec![0; 10];
                turn.push(Action::Write { peer, bytes });
            }
            Event::HalfClosed { .. } => said.push('h'),
            Event::Closed { .. } => {
                said.push('c');
                let _ = gone.send(());
            }
            Event::Bytes { bytes: b"end", .. } => {
                turn.push(Action::Exit(if said == "oco" { 0 } else { 1 }));
            }
            _ => {}
        };
    });
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    // Unread bytes: closing resets the connection.
    stream.peek(&mut [0; 10]).unwrap();
    drop(stream);
    is_gone.recv().unwrap();
    let mut again = TcpStream::connect(("127.0.0.1", port)).unwrap();
    again.write_all(b"end").unwrap();
    assert_eq!(thread.join().unwrap(), Ok(0));
}

/// A master that listens where broadcasts of loopback arrive.
#[test]
fn the_master_is_found() {
    let lan = UdpSocket::bind("127.255.255.255:0").unwrap();
    let port = lan.local_addr().unwrap().port();
    let master = thread::spawn(move || {
        let mut buffer = [0; 64];
        let (len, from) = lan.recv_from(&mut buffer).unwrap();
        assert_eq!((len, &buffer[..6]), (40, &b"WHOIS\n"[..]));
        let answers = UdpSocket::bind("127.0.0.1:0").unwrap();
        answers.send_to(b"noise", from).unwrap();
        answers
            .send_to(b"Peter on board 10.3.52.2 is the master", from)
            .unwrap();
    });
    let mut setup = quiet();
    setup.master = MasterQuestion {
        interface: Some("lo".into()),
        port,
        keys: None,
    };
    let found = run_one(setup, |event, turn, _| match event {
        Event::Start { .. } => turn.push(Action::FindMaster),
        Event::Master { address } => {
            let peter = Some(Ipv4Addr::new(10, 3, 52, 2));
            turn.push(Action::Exit(if address == peter { 0 } else { 1 }));
        }
        _ => {}
    });
    assert_eq!(found, Ok(0));
    master.join().unwrap();
}

#[test]
fn where_nobody_is_master_nobody_is_found() {
    let mut setup = quiet();
    setup.master.interface = Some("br-none".into());
    let mut asked = Instant::ZERO;
    let outcome = run_one(setup, move |event, turn, _| match event {
        Event::Start { .. } => {
            asked = turn.now;
            turn.push(Action::FindMaster);
        }
        Event::Master { address: None } => {
            let took = turn.now - asked;
            let waited = took >= Duration::from_millis(1_200);
            turn.push(Action::Exit(if waited { 1 } else { 2 }));
        }
        _ => {}
    });
    assert_eq!(outcome, Ok(1));
}

/// What the journal cannot keep must not be promised.
#[test]
fn after_a_failed_append_nothing_is_sent() {
    let listener = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, at.port());
    let setup = Setup {
        udp: any(0),
        journal: Some("/dev/full".into()),
        ..quiet()
    };
    let outcome = run_one(setup, move |event, turn, deadline| match event {
        Event::Start { .. } => {
            *deadline = Some(turn.now + Duration::from_millis(1));
            turn.push(Action::Append(b"mail".to_vec()));
            let bytes = b"taken".to_vec();
            turn.push(Action::Send { to, bytes });
        }
        Event::JournalFailed => {
            let bytes = b"failed".to_vec();
            turn.push(Action::Send { to, bytes });
        }
        Event::Timer => {
            let bytes = b"later".to_vec();
            turn.push(Action::Send { to, bytes });
            turn.push(Action::Exit(0));
        }
        _ => {}
    });
    assert_eq!(outcome, Ok(0));
    let mut buffer = [0; 16];
    for expected in [&b"failed"[..], b"later"] {
        let len = listener.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], expected);
    }
}

/// Each peer alone stays under its own limit, all together do not.
#[test]
fn peers_that_do_not_read_are_bounded_together() {
    let mut peers = Vec::new();
    let service = Scripted(
        move |event: Event<'_>, turn: &mut Turn<'_>, deadline: &mut Option<Instant>| match event {
            Event::Opened { peer, .. } => {
                peers.push(peer);
                *deadline = Some(turn.now + Duration::from_millis(1));
            }
            Event::Timer => {
                *deadline = Some(turn.now + Duration::from_micros(10));
                for &peer in &peers {
                    let bytes = vec![0; 16 * 1024];
                    turn.push(Action::Write { peer, bytes });
                }
            }
            _ => {}
        },
        None,
    );
    let setup = Setup {
        tcp: any(0),
        ..quiet()
    };
    let mut reactor = Reactor::new(BUSY_TURNS_MAX);
    let mut host = Host::open(&mut reactor, vec![(Box::new(service), setup)]).unwrap();
    host.start(&mut reactor);
    let port = host.services[0].listener.as_ref().unwrap().1.port();
    let deaf: Vec<TcpStream> = (0..40)
        .map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap())
        .collect();
    let mut most = 0;
    for _ in 0..20_000 {
        reactor.turn(&mut host).unwrap();
        let waiting = |link: &Link| link.unsent_len();
        most = most.max(host.links.values().map(waiting).sum());
        if most > 0 && host.links.len() < deaf.len() / 2 {
            break;
        }
    }
    assert!(host.links.len() < deaf.len(), "some were closed");
    let bounds = 3 * 1024 * 1024..5 * 1024 * 1024;
    assert!(bounds.contains(&most), "{most} bytes waited");
}
