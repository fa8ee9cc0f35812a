use super::*;
use std::io::Write;
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;

/// Counts what it is told, reads one byte a turn, and stops when asked.
#[derive(Default)]
struct Probe {
    streams: Vec<(Key, UnixStream)>,
    read: Vec<usize>,
    turns: Vec<bool>,
    deadline: Option<Instant>,
    fired: Vec<Instant>,
    turns_max: usize,
}

impl Handler for Probe {
    fn ready(&mut self, reactor: &mut Reactor, key: Key, ready: Ready) {
        let at = self.streams.iter().position(|(k, _)| *k == key);
        let Some(at) = at else { return };
        let mut byte = [0];
        let got = std::io::Read::read(&mut self.streams[at].1, &mut byte);
        self.read.push(at);
        if !matches!(got, Ok(1)) || ready.is_gone() {
            reactor.unwatch(key);
            self.streams.remove(at);
        }
    }

    fn end_turn(&mut self, reactor: &mut Reactor, drained: bool) {
        self.turns.push(drained);
        if drained && self.deadline.is_some_and(|at| at <= reactor.now()) {
            self.fired.push(reactor.now());
            self.deadline = None;
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn is_finished(&self) -> bool {
        self.turns.len() >= self.turns_max
    }
}

#[test]
fn what_is_queued_is_read_before_timers_run() {
    let mut reactor = Reactor::new(64);
    let (mut a, b) = UnixStream::pair().unwrap();
    let key = reactor.watch(&b, Interest::READ);
    a.write_all(b"xyz").unwrap();
    let mut probe = Probe {
        streams: vec![(key, b)],
        deadline: Some(reactor.now()),
        turns_max: 4,
        ..Probe::default()
    };
    reactor.run(&mut probe).unwrap();
    assert_eq!(probe.read, [0, 0, 0]);
    assert_eq!(probe.turns, [false, false, false, true]);
    assert_eq!(probe.fired.len(), 1);
}

#[test]
fn a_flood_does_not_stop_the_timers() {
    let mut reactor = Reactor::new(3);
    let (mut a, b) = UnixStream::pair().unwrap();
    let key = reactor.watch(&b, Interest::READ);
    a.write_all(&[b'x'; 100]).unwrap();
    let mut probe = Probe {
        streams: vec![(key, b)],
        deadline: Some(reactor.now()),
        turns_max: 8,
        ..Probe::default()
    };
    reactor.run(&mut probe).unwrap();
    assert_eq!(
        probe.turns,
        [false, false, false, true, false, false, false, true]
    );
    assert_eq!(probe.fired.len(), 1);
}

#[test]
fn a_timer_is_never_early_and_hardly_late() {
    let mut reactor = Reactor::new(64);
    let due = reactor.now() + Duration::from_micros(7_300);
    let mut probe = Probe {
        deadline: Some(due),
        turns_max: 1,
        ..Probe::default()
    };
    reactor.run(&mut probe).unwrap();
    assert_eq!(probe.fired.len(), 1, "one wake-up, not two");
    assert!(probe.fired[0] >= due);
    assert!(probe.fired[0] < due + Duration::from_secs(30));
}

#[test]
fn a_place_given_anew_is_not_the_old_one() {
    let mut reactor = Reactor::new(64);
    let (a, b) = UnixStream::pair().unwrap();
    let first = reactor.watch(&a, Interest::READ);
    reactor.unwatch(first);
    reactor.unwatch(first);
    let again = reactor.watch(&b, Interest::READ);
    let other = reactor.watch(&a, Interest::READ);
    assert_eq!(again, first);
    assert_ne!(other, again, "taken back once, given once");
}

#[test]
fn the_end_of_a_stream_is_seen_once_it_is_unwatched() {
    let mut reactor = Reactor::new(64);
    let (a, b) = UnixStream::pair().unwrap();
    let key = reactor.watch(&b, Interest::READ);
    drop(a);
    let mut probe = Probe {
        streams: vec![(key, b)],
        turns_max: 1,
        ..Probe::default()
    };
    reactor.run(&mut probe).unwrap();
    assert!(probe.streams.is_empty());
    probe.deadline = Some(reactor.now() + Duration::from_millis(1));
    probe.turns_max = 2;
    reactor.run(&mut probe).unwrap();
    assert_eq!(probe.turns, [false, true]);
}

#[test]
fn two_thousand_descriptors_are_one_call() {
    let sockets: Vec<UdpSocket> = (0..200)
        .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
        .collect();
    let mut reactor = Reactor::new(64);
    // Watched ten times each: poll allows it, and descriptors are spared.
    let keys: Vec<Key> = (0..2_000)
        .map(|i| reactor.watch(&sockets[i % 200], Interest::READ))
        .collect();
    assert_eq!(keys.last().unwrap().index(), 1_999);
    let target = sockets[150].local_addr().unwrap();
    sockets[0].send_to(b"x", target).unwrap();
    struct Seen(Vec<usize>);
    impl Handler for Seen {
        fn ready(&mut self, _: &mut Reactor, key: Key, ready: Ready) {
            assert!(ready.has_input() && !ready.has_error());
            self.0.push(key.index());
        }
        fn end_turn(&mut self, _: &mut Reactor, _: bool) {}
        fn deadline(&self) -> Option<Instant> {
            None
        }
        fn is_finished(&self) -> bool {
            !self.0.is_empty()
        }
    }
    let mut seen = Seen(Vec::new());
    reactor.run(&mut seen).unwrap();
    assert_eq!(seen.0, (0..10).map(|i| i * 200 + 150).collect::<Vec<_>>());
}

#[test]
fn who_is_watched_aside_is_heard_as_the_others_are() {
    let mut reactor = Reactor::new(64);
    let ((mut a, b), (mut c, d)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
    let keys = [reactor.watch(&b, Interest::READ), reactor.watch_aside(&d)];
    assert_ne!(keys[0], keys[1]);
    a.write_all(b"x").unwrap();
    c.write_all(b"yz").unwrap();
    let mut probe = Probe {
        streams: vec![(keys[0], b), (keys[1], d)],
        turns_max: 2,
        ..Probe::default()
    };
    reactor.run(&mut probe).unwrap();
    probe.read.sort_unstable();
    assert_eq!(probe.read, [0, 1, 1], "one read a turn");
}

#[test]
fn a_place_aside_can_be_given_anew() {
    let mut reactor = Reactor::new(64);
    let ((mut a, b), (mut c, d)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
    let first = reactor.watch_aside(&b);
    reactor.unwatch(first);
    a.write_all(b"unheard").unwrap();
    let second = reactor.watch_aside(&d);
    assert_eq!(first, second);
    c.write_all(b"x").unwrap();
    let mut probe = Probe {
        streams: vec![(second, d)],
        turns_max: 1,
        ..Probe::default()
    };
    reactor.run(&mut probe).unwrap();
    assert_eq!(probe.read, [0]);
}
