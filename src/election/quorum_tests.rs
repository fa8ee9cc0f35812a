//! The lease in the board: never two masters, no majority no master.

use super::claims::sealed;
use super::*;
use crate::election::lease::Quorum;

fn lan(boards: u8, quorum: u16, interval_ms: u64) -> Lan {
    let votes: Vec<&[u8]> = vec![&[]; usize::from(boards)];
    let lan = Lan::new(&votes, |config| {
        config.failover = Some(Failover::new(millis(interval_ms)));
        config.quorum = Some(quorum);
    });
    assert_eq!(lan.hosts.len(), usize::from(boards));
    lan
}

impl Lan {
    /// Who may be master at this instant, whatever their timers have noticed.
    fn masters(&self) -> Vec<u8> {
        (1..)
            .zip(&self.hosts)
            .filter(|(_, host)| host.alive && host.board.is_master(self.now))
            .map(|(i, _)| i)
            .collect()
    }

    /// Who is it, when there is to be one.
    fn master(&self) -> u8 {
        let masters = self.masters();
        assert_eq!(masters.len(), 1, "one master: {masters:?}");
        masters[0]
    }

    /// Runs in steps of a millisecond, and looks at each: are there two?
    /// Gives when there was none, at first and at last.
    fn run_watched(&mut self, span: Duration) -> Duration {
        let end = self.now + span;
        let mut without = Duration::ZERO;
        while self.now < end {
            self.run(millis(1));
            let masters = self.masters();
            assert!(masters.len() <= 1, "{masters:?} at {:?}", self.now);
            if masters.is_empty() {
                without = without + millis(1);
            }
        }
        without
    }

    fn cut(&mut self, off: u8) {
        let off = ip(off);
        self.lost = Box::new(move |from, to, _| from != to && (from == off || to == off));
    }

    fn mend(&mut self) {
        self.lost = Box::new(|_, _, _| false);
    }
}

#[test]
fn q2_there_is_no_master_in_the_first_length_and_one_after_it() {
    let mut lan = lan(3, 3, 1_000);
    lan.run(millis(200));
    lan.call();
    lan.run(millis(1_400));
    assert!(lan.in_office().is_empty());
    lan.run(millis(400));
    assert_eq!(lan.in_office().len(), 1);
    assert_eq!(lan.whois().len(), 1);
    let epoch = lan.board(1).epoch();
    lan.run(Duration::from_secs(600));
    assert_eq!(lan.board(1).epoch(), epoch, "and it stays");
}

#[test]
fn a_vote_among_boards_with_a_lease_takes_milliseconds() {
    let mut lan = lan(5, 5, 1_000);
    lan.run(Duration::from_secs(5));
    for _ in 0..20 {
        lan.call();
        let without = lan.run_watched(millis(300));
        assert_eq!(lan.in_office().len(), 1);
        assert!(without <= millis(5), "{without}");
        lan.run(Duration::from_secs(1));
    }
}

#[test]
fn a_master_that_is_cut_off_steps_down_before_the_next_takes_office() {
    let mut lan = lan(5, 5, 1_000);
    lan.run(Duration::from_secs(5));
    for _ in 0..10 {
        let old = lan.master();
        lan.cut(old);
        let without = lan.run_watched(Duration::from_secs(6));
        let new = lan.master();
        assert_ne!(new, old);
        assert!(without <= millis(2_000), "{without}");
        lan.mend();
        lan.run_watched(Duration::from_secs(3));
        assert_eq!(lan.masters(), [new], "the returned one does not preempt");
        assert_eq!(lan.board(old).master().map(|m| m.address), Some(ip(new)));
    }
}

#[test]
fn a_minority_has_no_master_says_so_once_and_is_quiet() {
    let mut lan = lan(2, 5, 100);
    lan.run(Duration::from_secs(60));
    assert!(lan.masters().is_empty());
    assert_eq!(lan.whois(), Vec::<String>::new());
    let told: usize = lan
        .hosts
        .iter()
        .flat_map(|host| &host.notices)
        .filter(|notice| matches!(notice, Notice::NoMajority { granted: 2, .. }))
        .count();
    assert_eq!(told, 1);
    let since = lan.now;
    let calls = lan.sent(b'V', Instant::ZERO);
    lan.run(Duration::from_secs(60));
    assert_eq!(
        lan.sent(b'V', Instant::ZERO),
        calls,
        "no election after another"
    );
    assert!(
        lan.sent(b'?', since) <= 60 * 13,
        "{}",
        lan.sent(b'?', since)
    );
}

#[test]
fn boards_that_were_all_cut_off_find_each_other_again() {
    let mut lan = lan(3, 3, 100);
    lan.run(Duration::from_secs(2));
    assert_eq!(lan.masters().len(), 1);
    lan.lost = Box::new(|from, to, _| from != to);
    lan.run_watched(Duration::from_secs(30));
    assert!(lan.masters().is_empty());
    lan.mend();
    lan.run_watched(Duration::from_secs(5));
    assert_eq!(lan.masters().len(), 1);
}

#[test]
fn a_master_that_resigns_hands_its_lease_over() {
    let mut lan = lan(3, 3, 1_000);
    lan.run(Duration::from_secs(5));
    let old = lan.master();
    let now = lan.now;
    lan.board(old).handle_resign(now);
    let without = lan.run_watched(millis(300));
    assert_eq!(lan.masters().len(), 1);
    assert_ne!(lan.masters(), [old]);
    assert!(without <= millis(5), "{without}");
}

#[test]
fn the_grants_of_a_dead_master_run_out() {
    let mut lan = lan(3, 3, 1_000);
    lan.run(Duration::from_secs(5));
    let old = lan.master();
    lan.kill(old);
    let without = lan.run_watched(Duration::from_secs(4));
    assert_eq!(lan.masters().len(), 1);
    assert!(without <= millis(2_000), "{without}");
    // Back at once, it has forgotten its grants and keeps quiet.
    lan.hosts[usize::from(old) - 1].alive = true;
    lan.run_watched(Duration::from_secs(10));
    assert_eq!(lan.masters().len(), 1);
}

#[test]
fn boards_that_differ_in_their_quorum_count_no_grants_of_each_other() {
    let mut number = 0;
    let votes: [&[u8]; 3] = [&[], &[], &[]];
    let lan = &mut Lan::new(&votes, |_| {});
    for host in &mut lan.hosts {
        number += 1;
        let mut board = Board::new(Config {
            failover: Some(Failover::new(millis(100))),
            quorum: Some(if number == 3 { 5 } else { 3 }),
            ..Config::default()
        });
        board.handle_network(
            lan.now,
            Some(Network {
                address: ip(number),
                broadcast: ip(255),
            }),
        );
        host.board = board;
    }
    lan.run_watched(Duration::from_secs(20));
    assert_ne!(
        lan.masters(),
        [3],
        "five would be needed, and three are there"
    );
    let differs = |host: &Host| {
        host.notices
            .iter()
            .any(|notice| matches!(notice, Notice::QuorumDiffers(_)))
            || host.board.counters().of(Count::QuorumDiffers) > 0
    };
    assert!(lan.hosts.iter().any(differs));
}

// A program that has to let go of the office (Q6).

fn lan_with_hooks(boards: u8, interval_ms: u64) -> Lan {
    let votes: Vec<&[u8]> = vec![&[]; usize::from(boards)];
    Lan::new(&votes, |config| {
        config.failover = Some(Failover::new(millis(interval_ms)));
        config.quorum = Some(boards.into());
        config.has_hook = true;
    })
}

/// Has the others call until another one has won; the old master.
fn depose(lan: &mut Lan) -> u8 {
    let old = lan.master();
    for _ in 0..20 {
        lan.call();
        lan.run_watched(millis(150));
        if lan.masters() != [old] {
            return old;
        }
    }
    panic!("{old} wins each time");
}

#[test]
fn q6_who_leaves_has_a_fifth_of_the_length_before_the_next_begins() {
    let mut lan = lan_with_hooks(5, 1_000);
    let length = millis(1_700);
    lan.run(Duration::from_secs(5));
    for _ in 0..10 {
        let old = lan.master();
        lan.cut(old);
        let without = lan.run_watched(Duration::from_secs(6));
        assert_ne!(lan.masters(), [old]);
        assert_eq!(lan.masters().len(), 1);
        assert!(without >= length / 5, "{without}");
        lan.mend();
        let now = lan.now;
        lan.board(old).handle_let_go(now);
        lan.run_watched(Duration::from_secs(3));
    }
}

#[test]
fn q6_nobody_is_granted_before_the_program_has_let_go_or_the_length_is_over() {
    let mut lan = lan_with_hooks(3, 1_000);
    lan.run(Duration::from_secs(5));
    let mut lets_go = false;
    for _ in 0..10 {
        let old = depose(&mut lan);
        assert!(lan.masters().is_empty(), "the winner waits");
        assert!(lan.board(old).is_letting_go());
        if lets_go {
            let now = lan.now;
            lan.board(old).handle_let_go(now);
            let without = lan.run_watched(millis(100));
            assert!(without <= millis(5), "{without}");
        } else {
            let without = lan.run_watched(millis(2_000));
            assert!(without >= millis(200), "{without}");
            let now = lan.now;
            lan.board(old).handle_let_go(now);
        }
        lan.run_watched(millis(500));
        assert_eq!(lan.masters().len(), 1);
        lets_go = !lets_go;
    }
}

#[test]
fn q6_who_wins_again_while_its_program_lets_go_releases_nothing() {
    let mut lan = lan_with_hooks(3, 1_000);
    lan.run(Duration::from_secs(5));
    let mut again = 0;
    for _ in 0..10 {
        let old = depose(&mut lan);
        for _ in 0..30 {
            lan.call();
            lan.run_watched(millis(150));
            if lan.masters() == [old] {
                break;
            }
        }
        let (now, since) = (lan.now, lan.wire.len());
        let is_again = lan.masters() == [old];
        again += u32::from(is_again);
        lan.board(old).handle_let_go(now);
        lan.run_watched(Duration::from_secs(3));
        let releases = lan.wire[since..]
            .iter()
            .filter(|frame| frame.3[0] == b'?' && frame.3[23] & flag::RELEASE != 0);
        assert!(
            !is_again || releases.count() == 0,
            "its new lease is no free one"
        );
        assert_eq!(lan.masters().len(), 1);
    }
    assert!(again > 0, "it wins again now and then");
}

#[test]
fn a_hand_over_that_waited_for_its_program_takes_milliseconds() {
    let mut lan = lan_with_hooks(3, 1_000);
    lan.run(Duration::from_secs(5));
    let old = lan.master();
    let now = lan.now;
    lan.board(old).handle_resign(now);
    assert!(!lan.board(old).is_letting_go());
    let without = lan.run_watched(millis(300));
    assert!(without <= millis(5), "{without}");
}

/// What a guardian says frees the lease too, if no program holds the office.
#[test]
fn q5_a_farewell_frees_the_lease_of_who_has_no_program() {
    for has_hook in [false, true] {
        let votes: [&[u8]; 3] = [&[], &[], &[]];
        let mut lan = Lan::new(&votes, |config| {
            config.failover = Some(Failover::new(millis(1_000)));
            config.quorum = Some(3);
            config.has_hook = has_hook;
        });
        lan.run(Duration::from_secs(5));
        let old = lan.master();
        let farewell = lan.board(old).farewell();
        assert_eq!(farewell.len(), if has_hook { 2 } else { 3 });
        lan.kill(old);
        for bytes in farewell {
            lan.inject(at(old, 2000), at(255, 2000), &bytes);
        }
        let without = lan.run_watched(millis(100));
        let masters = lan.masters().len();
        match has_hook {
            false => assert!(masters == 1 && without <= millis(5), "{without}"),
            true => assert_eq!(masters, 0, "the program may still run"),
        }
        lan.run_watched(Duration::from_secs(2));
        assert_eq!(lan.masters().len(), 1);
    }
}

// One board among others that the test speaks for.

/// Board 10.0.0.1 of three, 1 s interval, in round 1 with a vote of 5; others
/// that have voted, and the time: nobody's grant is given yet.
fn alone(votes: &[(u8, u8)]) -> Lan {
    let mut lan = Lan::new(&[&[5, 5]], |config| {
        config.failover = Some(Failover::new(millis(1_000)));
        config.quorum = Some(3);
    });
    lan.run(millis(100));
    for &(last, vote) in votes {
        let vote = sealed(Text::Vote(rank(last, vote)), 0, Epoch(1));
        lan.inject(at(last, 2000), at(1, 2000), &vote);
    }
    lan.run(millis(300));
    lan
}

fn rank(last: u8, vote: u8) -> Rank {
    let address = ip(last);
    Rank { vote, address }
}

/// Another board's ask for the lease; whether it was granted.
fn asks(lan: &mut Lan, asker: Rank, epoch: Epoch) -> bool {
    let before = lan.board(1).counters().of(Count::LeaseGiven);
    let ask = sealed(Text::LeaseAsk(asker), 0, epoch);
    let from = SocketAddrV4::new(asker.address, 2000);
    lan.inject(from, at(255, 2000), &ask);
    lan.run(millis(1));
    lan.board(1).counters().of(Count::LeaseGiven) > before
}

/// Who is outranked is granted nothing, but for the master that is followed: a
/// vote above its own may have come late.
#[test]
fn q1_the_winner_is_granted_and_nobody_below_it() {
    let mut lan = alone(&[(2, 9), (3, 7)]);
    lan.run(millis(1_400));
    let follows = |lan: &mut Lan| lan.board(1).master.map(|it| it.address);
    assert_eq!(follows(&mut lan), Some(ip(2)));
    let epoch = lan.board(1).epoch();
    let mut later = lan.board(1).clone();
    assert!(!asks(&mut lan, rank(3, 7), epoch), "it is beaten");
    assert_eq!(follows(&mut lan), Some(ip(2)), "and not followed");
    assert!(!asks(&mut lan, rank(2, 9), Epoch::NONE), "it is behind");
    let vote = sealed(Text::Vote(rank(4, 10)), 0, epoch);
    lan.inject(at(4, 2000), at(1, 2000), &vote);
    assert!(asks(&mut lan, rank(2, 9), epoch), "it is followed");
    // Of a board of another round it is not known who is above it.
    let now = lan.now;
    let ask = sealed(Text::LeaseAsk(rank(3, 7)), 0, epoch.next());
    later.handle_datagram(now, at(3, 2000), &ask, &mut Seeded::new(1));
    assert_eq!(later.counters().of(Count::LeaseGiven), 1);
}

/// Of two winners the lower one yields to the other, and not the other way.
#[test]
fn q1_of_two_winners_the_lower_one_yields() {
    for (vote, yields) in [(4, false), (6, true)] {
        let mut lan = alone(&[]);
        lan.call();
        lan.run(millis(300));
        assert!(lan.board(1).is_candidate());
        let epoch = lan.board(1).epoch();
        asks(&mut lan, rank(2, vote), epoch);
        assert_eq!(lan.board(1).is_candidate(), !yields, "vote {vote}");
    }
}

/// A board whose grants end: what it does depends on who won its round.
#[test]
fn q4_who_loses_the_lease_waits_for_it_or_looks_for_the_winner() {
    for outranked in [false, true] {
        let mut lan = lan(3, 3, 1_000);
        lan.run(Duration::from_secs(5));
        let master = lan.master();
        let epoch = lan.board(master).epoch();
        if outranked {
            let above = sealed(Text::Vote(rank(254, 10)), 0, epoch);
            lan.inject(at(254, 2000), at(master, 2000), &above);
            lan.run(millis(1));
            assert_eq!(lan.master(), master, "a late vote deposes nobody");
        }
        lan.cut(master);
        let end = lan.now + Duration::from_secs(3);
        while lan.board(master).role() == Role::Master && lan.now < end {
            lan.run(millis(1));
        }
        let board = lan.board(master);
        assert_eq!(board.role(), Role::Slave);
        assert_eq!(board.is_candidate(), !outranked);
        assert_eq!(board.timers.due(Timer::Watch).is_some(), outranked);
    }
}

/// In an open round nobody takes office, whatever the lease says.
#[test]
fn q3_a_grant_that_comes_in_the_next_round_is_no_office() {
    let mut lan = alone(&[]);
    lan.run(millis(1_400));
    lan.call();
    lan.run(millis(300));
    assert!(lan.board(1).is_candidate());
    let now = lan.now;
    let status = lan.board(1).lease(now).unwrap();
    assert_eq!((status.boards, status.granted, status.waits), (3, 1, true));
    let asked = lan.wire.iter().rev().find(|frame| frame.3[0] == b'?');
    let word = wire::trailer(&asked.unwrap().3).unwrap().0.word;
    let grant = |to: u8, word: u32, lan: &Lan| {
        let quorum = Quorum::new(3, millis(1_000));
        let trailer = wire::Trailer {
            flags: quorum.digest(),
            epoch: lan.hosts[0].board.epoch(),
            about: Some(Ipv4Addr::from(word)),
            ..wire::Trailer::default()
        };
        wire::build_with_trailer(Text::LeaseGrant(ip(to)), trailer, wire::checksum)
    };
    for (to, word) in [(3, word), (1, word ^ 0x8000_0000)] {
        let useless = grant(to, word, &lan);
        lan.inject(at(2, 2000), at(1, 2000), &useless);
    }
    lan.run(millis(1));
    assert_eq!(lan.board(1).counters().of(Count::LeaseUseless), 2);
    assert!(lan.masters().is_empty());
    // One that votes 1 keeps the round open for 100 ms.
    let granted = grant(1, word, &lan);
    lan.call();
    lan.run(millis(1));
    assert!(lan.board(1).round.open);
    lan.inject(at(2, 2000), at(1, 2000), &granted);
    lan.run(millis(10));
    assert_eq!(lan.board(1).counters().of(Count::LeaseGranted), 1);
    assert_eq!(lan.board(1).role(), Role::Slave);
    lan.run(millis(300));
    assert_eq!(lan.masters(), [1], "with the round's end");
}

/// A board that hears nobody asks every four lengths only.
#[test]
fn a_candidate_that_is_cut_off_asks_seldom() {
    let mut lan = lan(1, 3, 1_000);
    lan.run(Duration::from_secs(30));
    assert!(lan.board(1).is_candidate());
    assert_eq!(lan.board(1).candidate_grace(), millis(850));
    let since = lan.now;
    lan.run(Duration::from_secs(68));
    assert_eq!(lan.sent(b'?', since), 10);
}

/// A winner is told of only once it has claimed, and no more when it has not
/// claimed for long, however alive it is.
#[test]
fn a_winner_is_known_as_master_by_its_claims() {
    let mut lan = alone(&[(2, 9)]);
    let epoch = lan.board(1).epoch();
    let known = |lan: &mut Lan| lan.board(1).master();
    assert_eq!(known(&mut lan), None);
    let claim = sealed(Text::Claim(rank(2, 9)), 0, epoch);
    lan.inject(at(2, 2000), at(1, 2000), &claim);
    lan.run(millis(1));
    for asked in 1..=20 {
        assert_eq!(known(&mut lan).is_some(), asked <= 14, "ask {asked}");
        lan.run(millis(299));
        asks(&mut lan, rank(2, 9), epoch);
    }
    assert_eq!(lan.board(1).master, Some(rank(2, 9)), "but it is followed");
}
