//! The rules, one by one, on a LAN of a few boards that loses only what a test
//! tells it to.

use super::super::config::{Answer, Failover};
use super::*;
use crate::rng::Seeded;

const LATENCY: Duration = Duration::from_micros(60);

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

fn at(last: u8, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(ip(last), port)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A source that yields chosen votes, then a seed's.
struct Drawn(VecDeque<u8>, Seeded);

impl Entropy for Drawn {
    fn next_u32(&mut self) -> u32 {
        self.0
            .pop_front()
            .map_or_else(|| self.1.next_u32(), |vote| u32::from(vote) - 1)
    }
}

struct Host {
    board: Board,
    entropy: Drawn,
    alive: bool,
    notices: Vec<Notice>,
}

/// What was on the wire: when, from whom, to whom, which bytes.
type Frame = (Instant, SocketAddrV4, SocketAddrV4, Vec<u8>);
/// Whether a frame from the first board to the second is lost.
type Loss = Box<dyn FnMut(Ipv4Addr, Ipv4Addr, &[u8]) -> bool>;

struct Lan {
    now: Instant,
    hosts: Vec<Host>,
    flying: Vec<Frame>,
    wire: Vec<Frame>,
    lost: Loss,
}

impl Lan {
    /// Boards 10.0.0.1, 10.0.0.2, … that will draw these votes first.
    fn new(votes: &[&[u8]], change: impl Fn(&mut Config)) -> Self {
        let mut lan = Self {
            now: Instant::from_micros(1),
            hosts: Vec::new(),
            flying: Vec::new(),
            wire: Vec::new(),
            lost: Box::new(|_, _, _| false),
        };
        for (i, votes) in votes.iter().enumerate() {
            let mut config = Config {
                name: format!("board{}", i + 1),
                ..Config::default()
            };
            change(&mut config);
            let mut board = Board::new(config);
            let address = ip(i as u8 + 1);
            board.handle_network(
                lan.now,
                Some(Network {
                    address,
                    broadcast: ip(255),
                }),
            );
            let entropy = Drawn(votes.iter().copied().collect(), Seeded::new(i as u64));
            lan.hosts.push(Host {
                board,
                entropy,
                alive: true,
                notices: Vec::new(),
            });
        }
        lan
    }

    fn plain(votes: &[&[u8]]) -> Self {
        Self::new(votes, |_| {})
    }

    fn failover(votes: &[&[u8]], interval_ms: u64) -> Self {
        Self::new(votes, |config| {
            config.failover = Some(Failover::new(millis(interval_ms)))
        })
    }

    fn board(&mut self, number: u8) -> &mut Board {
        &mut self.hosts[usize::from(number) - 1].board
    }

    /// A client's or an old program's datagram.
    fn inject(&mut self, from: SocketAddrV4, to: SocketAddrV4, bytes: &[u8]) {
        self.flying
            .push((self.now + LATENCY, from, to, bytes.to_vec()));
    }

    fn call(&mut self) {
        self.inject(at(99, 5000), at(255, 2000), b"VOTE\n");
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            self.collect();
            let flying = self.flying.iter().map(|frame| frame.0).min();
            let timers = self
                .hosts
                .iter()
                .filter(|host| host.alive)
                .filter_map(|host| host.board.poll_timeout())
                .min();
            let Some(next) = flying
                .into_iter()
                .chain(timers)
                .min()
                .filter(|next| *next <= end)
            else {
                break;
            };
            self.now = next.max(self.now);
            for host in self.hosts.iter_mut().filter(|host| host.alive) {
                host.board.handle_wakeup(self.now);
            }
            self.deliver();
            for host in self.hosts.iter_mut().filter(|host| host.alive) {
                if host.board.poll_timeout().is_some_and(|due| due <= self.now) {
                    host.board.handle_timeout(self.now, &mut host.entropy);
                    assert!(
                        host.board.poll_timeout().is_none_or(|due| due > self.now),
                        "a timer spins"
                    );
                }
                host.board.assert_bounds();
            }
        }
        self.now = end;
    }

    fn collect(&mut self) {
        for i in 0..self.hosts.len() {
            let from = at(i as u8 + 1, 2000);
            while let Some(transmit) = self.hosts[i].board.poll_transmit() {
                self.wire
                    .push((self.now, from, transmit.to, transmit.bytes.to_vec()));
                self.flying.push((
                    self.now + LATENCY,
                    from,
                    transmit.to,
                    transmit.bytes.to_vec(),
                ));
            }
            while let Some(notice) = self.hosts[i].board.poll_notice() {
                self.hosts[i].notices.push(notice);
            }
        }
    }

    fn deliver(&mut self) {
        let (due, rest) = core::mem::take(&mut self.flying)
            .into_iter()
            .partition(|frame| frame.0 <= self.now);
        self.flying = rest;
        let mut due: Vec<Frame> = due;
        due.sort_by_key(|frame| frame.0);
        for (_, from, to, bytes) in due {
            if to.port() != 2000 {
                self.wire.push((self.now, from, to, bytes));
                continue;
            }
            for i in 0..self.hosts.len() {
                let address = ip(i as u8 + 1);
                let addressed = *to.ip() == ip(255) || *to.ip() == address;
                if !addressed || (self.lost)(*from.ip(), address, &bytes) {
                    continue;
                }
                let host = &mut self.hosts[i];
                if host.alive {
                    host.board
                        .handle_datagram(self.now, from, &bytes, &mut host.entropy);
                } else if *to.ip() == address {
                    self.refuse(from, to);
                }
            }
        }
    }

    fn refuse(&mut self, from: SocketAddrV4, to: SocketAddrV4) {
        let now = self.now;
        if let Some(host) = self
            .hosts
            .get_mut(usize::from(from.ip().octets()[3]) - 1)
            .filter(|host| host.alive)
        {
            host.board.handle_refused(now, to, &mut host.entropy);
        }
    }

    /// Asks WHOIS; who answers within 5 ms?
    fn whois(&mut self) -> Vec<String> {
        let before = self.wire.len();
        self.inject(at(99, 6000), at(255, 2000), b"WHOIS\n");
        self.run(millis(5));
        self.wire[before..]
            .iter()
            .filter(|frame| frame.0 > Instant::ZERO && frame.2.port() == 6000 && frame.3[0] != b'!')
            .map(|frame| String::from_utf8_lossy(wire::text_of(&frame.3)).into_owned())
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    fn in_office(&self) -> Vec<u8> {
        (1..)
            .zip(&self.hosts)
            .filter(|(_, host)| host.alive && host.board.in_office())
            .map(|(i, _)| i)
            .collect()
    }

    fn sent(&self, first: u8, since: Instant) -> usize {
        self.wire
            .iter()
            .filter(|frame| frame.3[0] == first && frame.0 >= since && frame.2.port() == 2000)
            .count()
    }

    fn kill(&mut self, number: u8) {
        self.hosts[usize::from(number) - 1].alive = false;
    }
}

#[test]
fn r1_a_board_starts_as_slave_without_a_vote() {
    let mut lan = Lan::plain(&[&[5], &[6]]);
    lan.run(Duration::from_secs(5));
    assert_eq!(lan.whois(), Vec::<String>::new());
    assert_eq!(
        (
            lan.board(1).role(),
            lan.board(1).vote(),
            lan.board(1).epoch()
        ),
        (Role::Slave, None, Epoch::NONE)
    );
    assert_eq!(lan.board(1).poll_timeout(), None, "no timer runs");
}

#[test]
fn r2_each_board_votes_once_for_each_vote_call_and_the_highest_answers() {
    let mut lan = Lan::plain(&[&[5, 1], &[9, 2], &[9, 1], &[3, 1]]);
    lan.call();
    lan.run(millis(300));
    assert_eq!(lan.sent(b'#', Instant::ZERO), 4);
    assert!(lan.wire.iter().all(|frame| frame.3.len() == 40));
    assert_eq!(
        lan.whois(),
        ["board3 on board 10.0.0.3 is the master"],
        "among equal votes the address decides"
    );
    let second = lan.now;
    lan.call();
    lan.run(millis(300));
    assert_eq!(lan.sent(b'#', second), 4);
    assert_eq!(lan.in_office(), [2]);
}

#[test]
fn r2_a_vote_call_within_100_ms_belongs_to_the_round() {
    let mut lan = Lan::plain(&[&[5, 6], &[7, 8]]);
    lan.call();
    lan.run(millis(95));
    lan.call();
    lan.run(millis(300));
    assert_eq!(lan.sent(b'#', Instant::ZERO), 2);
    assert_eq!(lan.board(1).epoch(), Epoch(1));
    lan.call();
    lan.run(millis(300));
    assert_eq!(
        (lan.board(1).epoch(), lan.board(2).vote()),
        (Epoch(2), Some(8))
    );
}

#[test]
fn r3_a_vote_of_a_later_round_begins_it_where_the_call_was_lost() {
    let mut lan = Lan::plain(&[&[5], &[7], &[9]]);
    lan.lost = Box::new(|_, to, bytes| to == ip(3) && bytes.starts_with(b"VOTE"));
    lan.call();
    lan.run(millis(300));
    assert_eq!(lan.in_office(), [3]);
    assert_eq!(lan.sent(b'#', Instant::ZERO), 3);
}

#[test]
fn r3_a_restarted_board_takes_part_without_a_second_broadcast() {
    let mut lan = Lan::plain(&[&[5, 5, 5], &[7, 7, 7], &[9, 9]]);
    for _ in 0..2 {
        lan.call();
        lan.run(millis(300));
    }
    let config = lan.board(3).config().clone();
    let (now, network) = (lan.now, lan.board(3).network());
    *lan.board(3) = Board::new(config);
    lan.board(3).handle_network(now, network);
    lan.hosts[2].entropy.0 = VecDeque::from([10]);
    lan.call();
    lan.run(millis(300));
    assert_eq!(lan.sent(b'#', now), 3);
    assert_eq!(lan.in_office(), [3]);
    assert_eq!(lan.board(3).epoch(), Epoch(3));
}

#[test]
fn r4_an_old_programs_vote_counts_however_late_and_never_begins_a_round() {
    let mut lan = Lan::plain(&[&[5], &[7]]);
    lan.inject(at(50, 2000), at(255, 2000), b"# 10.0.0.50 9");
    lan.run(millis(300));
    assert_eq!(lan.sent(b'#', Instant::ZERO), 0);
    lan.call();
    lan.run(millis(300));
    assert_eq!(
        lan.in_office(),
        [2],
        "a vote 300 ms before the round is another round's"
    );
    let late = lan.now;
    lan.inject(at(50, 2000), at(255, 2000), b"# 10.0.0.50 6");
    lan.run(millis(300));
    assert_eq!(
        (lan.in_office(), lan.sent(b'#', late)),
        (vec![2], 1),
        "the master repeats its vote"
    );
    lan.inject(at(50, 2000), at(255, 2000), b"# 10.0.0.50 8");
    lan.run(millis(300));
    assert_eq!(lan.in_office(), [0u8; 0]);
    assert_eq!(
        lan.board(2).master(),
        Some(Rank {
            vote: 8,
            address: ip(50)
        })
    );
}

#[test]
fn r5_slave_it_stays_until_the_next_round() {
    let mut lan = Lan::plain(&[&[5], &[7]]);
    lan.call();
    lan.run(millis(300));
    lan.inject(at(50, 2000), at(255, 2000), b"# 10.0.0.50 8");
    lan.run(millis(50));
    lan.inject(at(50, 2000), at(255, 2000), b"# 10.0.0.50 1");
    lan.run(millis(300));
    assert!(lan.in_office().is_empty(), "lower votes never promote");
}

#[test]
fn r5_boards_that_know_each_other_decide_when_all_have_voted() {
    let mut lan = Lan::plain(&[&[5, 5], &[7, 7], &[6, 6]]);
    lan.call();
    lan.run(millis(99));
    assert!(lan.in_office().is_empty(), "strangers wait for 100 ms");
    lan.run(millis(200));
    lan.call();
    lan.run(millis(1));
    assert_eq!(lan.in_office(), [2]);
}

#[test]
fn r5_a_lone_board_wins() {
    let mut lan = Lan::plain(&[&[1]]);
    lan.call();
    lan.run(millis(101));
    assert_eq!(lan.whois(), ["board1 on board 10.0.0.1 is the master"]);
}

#[test]
fn r6_a_whois_during_a_round_is_answered_at_its_end_and_32_at_most() {
    let mut lan = Lan::plain(&[&[5], &[7]]);
    lan.call();
    lan.run(millis(50));
    for port in 0..40 {
        lan.inject(at(99, 7000 + port), at(255, 2000), b"WHOIS\n");
    }
    lan.run(millis(300));
    let mut answered: Vec<u16> = lan
        .wire
        .iter()
        .map(|frame| frame.2.port())
        .filter(|port| *port >= 7000)
        .collect();
    answered.sort_unstable();
    answered.dedup();
    assert_eq!(
        answered,
        (7008..7040).collect::<Vec<_>>(),
        "the oldest are dropped"
    );
}

#[test]
fn r6_asking_heals_two_masters() {
    let mut lan = Lan::plain(&[&[5], &[7]]);
    lan.lost = Box::new(|from, to, _| from != ip(99) && from != to);
    lan.call();
    lan.run(millis(300));
    assert_eq!(lan.in_office(), [1, 2], "the link between the two is cut");
    lan.lost = Box::new(|_, _, _| false);
    lan.whois();
    lan.run(millis(200));
    assert_eq!(lan.in_office(), [2]);
}

#[test]
fn r7_a_changed_or_lost_address_makes_a_slave() {
    let mut lan = Lan::plain(&[&[5], &[7]]);
    lan.call();
    lan.run(millis(300));
    let now = lan.now;
    lan.board(2).handle_network(
        now,
        Some(Network {
            address: ip(77),
            broadcast: ip(255),
        }),
    );
    assert_eq!(
        (lan.board(2).role(), lan.board(2).vote()),
        (Role::Slave, None)
    );
    for _ in 0..3 {
        lan.board(2).handle_network(now, None);
    }
    lan.run(millis(1));
    let lost = lan.hosts[1]
        .notices
        .iter()
        .filter(|notice| **notice == Notice::AddressLost)
        .count();
    assert_eq!(lost, 1, "it says so once");
}

#[test]
fn r8_a_flood_of_vote_calls_costs_20_broadcasts_a_second() {
    let mut lan = Lan::plain(&[&[5], &[7]]);
    for _ in 0..5_000 {
        lan.call();
        lan.run(Duration::from_micros(700));
    }
    for host in 1..=2 {
        let times: Vec<Instant> = lan
            .wire
            .iter()
            .filter(|frame| frame.3[0] == b'#' && frame.1 == at(host, 2000))
            .map(|f| f.0)
            .collect();
        assert!(
            times
                .windows(21)
                .all(|window| window[20] - window[0] >= Duration::from_secs(1))
        );
    }
    lan.run(millis(300));
    assert_eq!(lan.whois().len(), 1);
}

#[test]
fn r8_votes_of_100_000_invented_addresses_leave_a_bounded_table() {
    let mut lan = Lan::plain(&[&[10]]);
    lan.call();
    lan.run(millis(300));
    let (now, host) = (lan.now, &mut lan.hosts[0]);
    for n in 0..100_000u32 {
        let address = Ipv4Addr::from(0x0b00_0000 + n);
        let vote = format!("# {address} {}", 1 + n % 9);
        host.board.handle_datagram(
            now,
            SocketAddrV4::new(address, 2000),
            vote.as_bytes(),
            &mut host.entropy,
        );
        while host.board.poll_transmit().is_some() {}
    }
    host.board.assert_bounds();
    assert_eq!(lan.whois(), ["board1 on board 10.0.0.1 is the master"]);
}

#[test]
fn r9_a_lost_vote_is_asked_for() {
    let mut lan = Lan::plain(&[&[5, 5], &[7, 9], &[6, 7]]);
    lan.call();
    lan.run(millis(300));
    let mut lost = 0;
    lan.lost = Box::new(move |from, to, bytes| {
        let hit = from == ip(2) && to == ip(3) && bytes[0] == b'#' && lost < 2;
        lost += u32::from(hit);
        hit
    });
    lan.call();
    lan.run(millis(300));
    assert_eq!(lan.in_office(), [2]);
}

#[test]
fn r9_a_dead_board_is_not_waited_for_once_its_port_refuses() {
    let mut lan = Lan::plain(&[&[5, 5, 5], &[7, 7, 7], &[9, 9, 9]]);
    lan.call();
    lan.run(millis(300));
    lan.kill(3);
    lan.call();
    lan.run(millis(60));
    assert_eq!(lan.in_office(), [2], "asked at 50 ms, refused, decided");
}

#[test]
fn answers_by_broadcast_are_limited_to_one_a_port_and_50_ms() {
    let mut lan = Lan::new(&[&[5]], |config| config.answer = Answer::Broadcast);
    lan.call();
    lan.run(millis(300));
    for _ in 0..10 {
        lan.inject(at(99, 6000), at(255, 2000), b"WHOIS\n");
    }
    lan.run(millis(40));
    let answers = lan.board(1).counters().of(Count::Answered);
    assert_eq!(answers, 1);
}

#[test]
fn an_address_conflict_is_told_and_ignored() {
    let mut lan = Lan::plain(&[&[5]]);
    lan.call();
    lan.run(millis(300));
    for _ in 0..5 {
        lan.inject(at(66, 2000), at(255, 2000), b"# 10.0.0.1 10");
    }
    lan.run(millis(10));
    assert_eq!(lan.in_office(), [1]);
    assert_eq!(
        lan.hosts[0]
            .notices
            .iter()
            .filter(|n| matches!(n, Notice::Conflict(_)))
            .count(),
        1
    );
}

#[test]
fn strict_drops_who_speaks_for_another() {
    for strict in [false, true] {
        let mut lan = Lan::new(&[&[5]], |config| config.strict = strict);
        lan.call();
        lan.run(millis(300));
        lan.inject(at(66, 2000), at(255, 2000), b"# 10.0.0.67 10");
        lan.run(millis(10));
        assert_eq!(lan.in_office().is_empty(), !strict);
    }
}

#[test]
fn junk_changes_nothing_and_is_never_answered() {
    let mut lan = Lan::plain(&[&[5], &[7]]);
    lan.call();
    lan.run(millis(300));
    let before = (lan.wire.len(), lan.board(2).epoch());
    for junk in [
        &b""[..],
        b"\0",
        b"@A",
        b"#",
        b"# 10.0.0.9 0",
        b"# 10.0.0.9 11",
        b"whois",
        &[0xff; 256],
    ] {
        lan.inject(at(66, 2000), at(255, 2000), junk);
        lan.inject(at(66, 2000), at(2, 2000), junk);
    }
    lan.run(millis(300));
    assert_eq!((lan.wire.len(), lan.board(2).epoch()), before);
    assert_eq!(lan.in_office(), [2]);
}

#[test]
fn f1_the_master_claims_every_interval() {
    let mut lan = Lan::failover(&[&[5], &[7]], 50);
    lan.run(Duration::from_secs(1));
    assert_eq!(lan.in_office().len(), 1, "after the start somebody calls");
    let from = lan.now;
    lan.run(Duration::from_secs(2));
    assert_eq!(lan.sent(b'!', from), 40);
    assert_eq!(lan.sent(b'#', from), 0);
}

#[test]
fn f2_the_runner_up_takes_over_from_a_dead_process_within_the_grace() {
    let mut lan = Lan::failover(&[&[9, 9], &[7, 7], &[8, 8]], 100);
    lan.call();
    lan.run(Duration::from_secs(2));
    let master = lan.in_office()[0];
    lan.kill(master);
    lan.run(millis(125));
    assert_eq!(lan.in_office().len(), 1);
    assert_ne!(lan.in_office(), [master]);
}

#[test]
fn f2_a_silent_host_is_replaced_after_the_patience() {
    let mut lan = Lan::failover(&[&[9, 9], &[7, 7], &[8, 8]], 10);
    lan.run(Duration::from_secs(1));
    let master = lan.in_office()[0];
    lan.lost = Box::new(move |from, to, _| from == ip(master) || to == ip(master));
    lan.run(millis(90));
    let others: Vec<u8> = lan
        .in_office()
        .into_iter()
        .filter(|other| *other != master)
        .collect();
    assert_eq!(others.len(), 1, "{:?}", lan.in_office());
}

#[test]
fn f2_lost_claims_are_a_question_and_change_nothing() {
    let mut lan = Lan::failover(&[&[9], &[7], &[8]], 10);
    lan.run(Duration::from_secs(1));
    let (master, epoch) = (lan.in_office()[0], lan.board(1).epoch());
    let mut random = Seeded::new(3);
    lan.lost = Box::new(move |_, _, _| random.below(100) < 20);
    lan.run(Duration::from_secs(60));
    assert_eq!(
        (lan.in_office(), lan.board(1).epoch()),
        (vec![master], epoch)
    );
}

#[test]
fn f3_a_board_that_comes_back_stays_slave() {
    let mut lan = Lan::failover(&[&[9, 9, 9], &[7, 7, 7], &[8, 8, 8]], 100);
    lan.run(Duration::from_secs(2));
    let old = lan.in_office()[0];
    lan.kill(old);
    lan.run(Duration::from_secs(1));
    let master = lan.in_office()[0];
    let config = lan.board(old).config().clone();
    let (now, network) = (lan.now, lan.board(old).network());
    *lan.board(old) = Board::new(config);
    lan.board(old).handle_network(now, network);
    lan.hosts[usize::from(old) - 1].alive = true;
    lan.run(Duration::from_secs(3));
    assert_eq!(lan.in_office(), [master]);
    assert_eq!(lan.board(old).epoch(), lan.board(master).epoch());
}

#[test]
fn f3_a_healed_partition_has_one_master_within_a_claim_and_it_says_so() {
    let mut lan = Lan::failover(&[&[9], &[7], &[8], &[6]], 100);
    lan.lost = Box::new(|from, to, _| (from.octets()[3] <= 2) != (to.octets()[3] <= 2));
    lan.run(Duration::from_secs(3));
    assert_eq!(lan.in_office().len(), 2);
    lan.lost = Box::new(|_, _, _| false);
    lan.run(millis(101));
    let [master] = lan.in_office()[..] else {
        panic!("{:?}", lan.in_office())
    };
    lan.run(millis(300));
    assert!((1..=4).all(|n| lan.board(n).master().map(|rank| rank.address) == Some(ip(master))));
}

#[test]
fn f4_a_hand_over_costs_no_detection() {
    let mut lan = Lan::failover(&[&[9, 9], &[7, 7], &[8, 8]], 1_000);
    lan.run(Duration::from_secs(5));
    let master = lan.in_office()[0];
    let now = lan.now;
    lan.board(master).handle_resign(now);
    lan.run(millis(2));
    assert_eq!(lan.in_office().len(), 1);
    assert_ne!(lan.in_office(), [master]);
    lan.run(Duration::from_secs(5));
    assert_eq!(lan.in_office().len(), 1);
}

#[test]
fn f4_the_guardians_farewell_is_what_the_board_would_say() {
    let mut lan = Lan::failover(&[&[9, 9], &[7, 7], &[8, 8]], 1_000);
    lan.run(Duration::from_secs(5));
    let master = lan.in_office()[0];
    let farewell = lan.board(master).farewell();
    assert_eq!(farewell.len(), 2);
    lan.kill(master);
    for bytes in farewell {
        lan.inject(at(master, 40_000), at(255, 2000), &bytes);
    }
    lan.run(millis(5));
    assert_eq!(lan.in_office().len(), 1);
}

#[test]
fn f5_a_master_that_stood_still_speaks_only_after_listening() {
    let mut lan = Lan::failover(&[&[9, 9], &[7, 7], &[8, 8]], 10);
    lan.run(Duration::from_secs(1));
    let master = lan.in_office()[0];
    lan.kill(master);
    lan.lost = Box::new(move |_, to, _| to == ip(master));
    let epoch = lan.board(master).epoch();
    // Stopped, not dead: nothing is refused, so silence has to decide.
    lan.run(Duration::from_secs(3));
    assert_eq!(lan.in_office().len(), 1);
    lan.lost = Box::new(|_, _, _| false);
    lan.hosts[usize::from(master) - 1].alive = true;
    let thawed = lan.now;
    lan.run(millis(500));
    assert_eq!(lan.in_office().len(), 1);
    assert_ne!(lan.in_office(), [master]);
    let claims = lan
        .wire
        .iter()
        .filter(|f| f.0 >= thawed && f.1 == at(master, 2000) && f.3[0] == b'!')
        .count();
    assert_eq!(claims, 0, "epoch was {epoch}");
}

/// While it asks, the vote of a rival that is behind gets no answer: that would
/// be a word as master before it has listened.
#[test]
fn f5_who_listens_owes_nobody_a_vote() {
    let mut lan = Lan::failover(&[&[9]], 1_000);
    lan.run(Duration::from_secs(4));
    lan.kill(1);
    lan.run(Duration::from_secs(9));
    lan.hosts[0].alive = true;
    lan.run(millis(5));
    let from = lan.now;
    assert!(lan.in_office().is_empty());
    for asking in [0, flag::ASKING] {
        let trailer = wire::Trailer {
            flags: asking,
            ..wire::Trailer::default()
        };
        let rank = Rank {
            vote: 3,
            address: ip(66),
        };
        let vote = wire::build_with_trailer(Text::Vote(rank), trailer, wire::checksum);
        lan.inject(at(66, 2000), at(1, 2000), &vote);
        lan.run(millis(60));
    }
    assert_eq!(lan.sent(b'#', from), 0);
    lan.run(Duration::from_secs(1));
    assert_eq!(lan.in_office(), [1]);
}

#[test]
fn f5_a_lone_master_takes_office_again() {
    let mut lan = Lan::failover(&[&[9]], 10);
    lan.run(Duration::from_secs(1));
    lan.kill(1);
    lan.run(Duration::from_secs(3));
    lan.hosts[0].alive = true;
    lan.run(millis(20));
    assert!(lan.in_office().is_empty());
    lan.run(millis(200));
    assert_eq!(lan.in_office(), [1]);
}

#[test]
fn f6_an_old_program_that_won_is_watched_and_replaced() {
    let mut lan = Lan::failover(&[&[5, 5, 5], &[7, 7, 7]], 50);
    lan.run(Duration::from_secs(1));
    lan.call();
    lan.inject(at(50, 2000), at(255, 2000), b"# 10.0.0.50 10");
    lan.run(millis(50));
    assert!(lan.in_office().is_empty());
    for _ in 0..50 {
        // It answers whoever asks by broadcast.
        lan.run(millis(20));
        for number in 1..=2 {
            lan.inject(
                at(50, 2000),
                at(number, 2000),
                b"Old on board 10.0.0.50 is the master\n",
            );
        }
    }
    assert!(lan.in_office().is_empty());
    lan.run(Duration::from_secs(2));
    assert_eq!(lan.in_office().len(), 1, "it fell silent");
}

#[test]
fn f6_at_the_second_answer_of_an_old_master_ours_yields() {
    let mut lan = Lan::failover(&[&[5]], 100);
    lan.run(Duration::from_secs(3));
    assert_eq!(lan.in_office(), [1]);
    lan.inject(
        at(50, 2000),
        at(1, 2000),
        b"Old on board 10.0.0.50 is the master\n",
    );
    lan.run(millis(50));
    assert_eq!(lan.in_office(), [1], "first it is told our vote");
    lan.inject(
        at(50, 2000),
        at(1, 2000),
        b"Old on board 10.0.0.50 is the master\n",
    );
    lan.run(millis(50));
    assert!(lan.in_office().is_empty());
}

#[test]
fn a_lone_quiet_pair_in_failover_never_changes() {
    let mut lan = Lan::failover(&[&[5], &[6]], 1_000);
    lan.run(Duration::from_secs(10));
    let (master, epoch) = (lan.in_office(), lan.board(1).epoch());
    lan.run(Duration::from_secs(3_600));
    assert_eq!((lan.in_office(), lan.board(1).epoch()), (master, epoch));
}

#[path = "claim_tests.rs"]
mod claims;
#[path = "office_tests.rs"]
mod office;
#[path = "quorum_tests.rs"]
mod quorum;
#[path = "round_tests.rs"]
mod round;
#[path = "seal_tests.rs"]
mod seal;
#[path = "watch_tests.rs"]
mod watch;

#[test]
fn f4_the_last_of_two_takes_over_at_once() {
    let mut lan = Lan::failover(&[&[9, 9], &[7, 7]], 1_000);
    lan.run(Duration::from_secs(5));
    let master = lan.in_office()[0];
    let now = lan.now;
    lan.board(master).handle_resign(now);
    lan.run(millis(1));
    assert_eq!(lan.in_office(), [3 - master]);
    let last = *lan.board(3 - master).history().next_back().unwrap();
    assert_eq!(last.cause, Cause::Resigned(ip(master)));
}
