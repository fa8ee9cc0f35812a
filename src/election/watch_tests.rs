//! What a slave takes for a sign of life of its master, and what it answers to
//! those who doubt.

use super::claims::{sealed, settled};
use super::*;

const PATIENCE: Duration = Duration::from_millis(500);

/// A WHOIS that says more, from 10.0.0.66.
fn says(lan: &mut Lan, to: u8, flags: u8, epoch: Epoch, about: Ipv4Addr) {
    let trailer = wire::Trailer {
        flags,
        epoch,
        about: Some(about),
        ..wire::Trailer::default()
    };
    let bytes = wire::build_with_trailer(Text::Whois, trailer, wire::checksum);
    lan.inject(at(66, 2000), at(to, 2000), &bytes);
    lan.run(millis(1));
}

/// A silent master is asked for twice as long as its claims have been late, of
/// which those of the last 32 to 64 count, and none for more than 2 s (F2).
#[test]
fn f2_who_has_been_late_is_asked_for_longer() {
    let (mut lan, master, slave, _) = settled();
    let mut now = lan.now;
    let board = lan.board(slave);
    let mut claims = |board: &mut Board, count: u32, late: Duration| {
        for _ in 0..count {
            now = now + Duration::from_secs(1) + late;
            board.note_claim(now);
        }
        now
    };
    claims(board, 1, Duration::ZERO);
    assert_eq!(board.asks_for(), PATIENCE);
    claims(board, 1, millis(800));
    assert_eq!(board.asks_for(), millis(1_600));
    let now_then = claims(board, 25, Duration::ZERO);
    assert_eq!(board.asks_for(), millis(1_600));
    let mut after = board.clone();
    after.end_watch();
    assert_eq!(
        after.asks_for(),
        millis(1_600),
        "nobody else is watched yet"
    );
    after.watch(now_then, ip(master));
    assert_eq!(after.asks_for(), PATIENCE, "whoever it is");
    board.watch(now_then, ip(master));
    assert_eq!(board.asks_for(), millis(1_600), "it is the same network");
    claims(board, 64, Duration::ZERO);
    assert_eq!(board.asks_for(), PATIENCE);
    claims(board, 2, Duration::from_secs(11));
    assert_eq!(board.asks_for(), Duration::from_secs(4));
}

/// Only with a living master of ours may a slave leave claims unread, and only
/// then does another claimant have to wait (F2, F3).
#[test]
fn claims_may_wait_where_all_is_well_and_nowhere_else() {
    let (mut lan, master, slave, epoch) = settled();
    let now = lan.now;
    assert!(!lan.board(master).can_claims_wait());
    let slave = lan.board(slave).clone();
    assert!(slave.can_claims_wait() && slave.master_is_heard(now));
    let resigns = sealed(Text::Resign(ip(master)), 0, epoch);
    type Change<'a> = &'a dyn Fn(&mut Board);
    let changes: [(bool, Change<'_>); 9] = [
        (false, &|board| board.config.failover = None),
        (true, &|board| board.role = Role::Master),
        (true, &|board| board.round.open = true),
        (true, &|board| board.pause.active = true),
        (true, &|board| board.timers.stop(Timer::Watch)),
        (false, &|board| {
            board.handle_datagram(now, at(master, 2000), &resigns, &mut Seeded::new(1));
        }),
        (false, &|board| {
            board.handle_timeout(now + Duration::from_secs(2), &mut Seeded::new(1));
        }),
        (false, &|board| {
            board.peers.heard(now, ip(master), true, board.rounds)
        }),
        (false, &|board| board.look_for_a_master(now)),
    ];
    for (number, (is_heard, change)) in changes.into_iter().enumerate() {
        let mut board = slave.clone();
        change(&mut board);
        assert!(!board.can_claims_wait(), "change {number}");
        assert_eq!(board.master_is_heard(now), is_heard, "change {number}");
    }
    assert!(!slave.master_is_heard(now + Duration::from_secs(5)));
}

/// After a pause the master is granted its time anew (F5).
#[test]
fn f5_a_slave_that_wakes_up_waits_for_the_next_claim() {
    let (mut lan, _, slave, _) = settled();
    let woken = lan.now + Duration::from_secs(9);
    let board = lan.board(slave);
    board.handle_wakeup(woken);
    board.handle_timeout(woken, &mut Seeded::new(1));
    let grace = Failover::new(millis(1_000)).grace();
    assert!(board.timers.due(Timer::Watch) >= Some(woken + grace));
    assert_eq!(board.poll_transmit(), None, "and it asks nobody yet");
}

/// A late vote may change who acts first, but not what is under way (F2).
#[test]
fn f2_a_late_vote_changes_the_place_of_a_calm_slave_only() {
    let (mut lan, master, slave, epoch) = settled();
    let (now, slave) = (lan.now, lan.board(slave).clone());
    let address = ip(66);
    let vote = sealed(Text::Vote(Rank { vote: 10, address }), 0, epoch);
    let late_vote = |board: &mut Board, now| {
        board.handle_datagram(now, at(66, 2000), &vote, &mut Seeded::new(1));
        board.timers.due(Timer::Watch)
    };
    let mut calm = slave.clone();
    calm.timers.stop(Timer::Watch);
    assert!(late_vote(&mut calm, now).is_some());
    let mut resigned = slave.clone();
    let resigns = sealed(Text::Resign(ip(master)), 0, epoch);
    resigned.handle_datagram(now, at(master, 2000), &resigns, &mut Seeded::new(1));
    let due = resigned.timers.due(Timer::Watch);
    assert_eq!(late_vote(&mut resigned, now), due);
    let mut asking = slave.clone();
    let later = now + Duration::from_secs(2);
    asking.handle_timeout(later, &mut Seeded::new(1));
    let due = asking.timers.due(Timer::Watch);
    assert!(due > Some(later), "it does not spin");
    assert_eq!(late_vote(&mut asking, later), due);
    let much_later = later + Duration::from_secs(9);
    asking.handle_timeout(much_later, &mut Seeded::new(1));
    let due = asking.timers.due(Timer::Watch);
    assert!(due > Some(much_later), "not for a missed question either");
}

/// The suspected master claims at once; of another it says nothing, but answers
/// either question. A slave that has heard it bears witness (F2).
#[test]
fn f2_a_suspicion_is_answered_by_who_knows() {
    let (mut lan, master, slave, epoch) = settled();
    lan.run(millis(10));
    for (about, claims) in [(ip(66), 0), (ip(master), 1)] {
        let (from, answers) = (lan.now, lan.board(master).counters().of(Count::Answered));
        says(&mut lan, master, flag::SUSPICION, epoch, about);
        let answers = lan.board(master).counters().of(Count::Answered) - answers;
        assert_eq!(answers, 1);
        let to_all = |frame: &&Frame| frame.0 >= from && *frame.2.ip() == ip(255);
        let claimed = lan
            .wire
            .iter()
            .filter(to_all)
            .filter(|frame| frame.3[0] == b'!');
        assert_eq!(claimed.count(), claims);
    }
    for (about, witnesses) in [(ip(66), 0), (ip(master), 1)] {
        let from = lan.wire.len();
        says(&mut lan, slave, flag::SUSPICION, epoch, about);
        let said = lan.wire[from..]
            .iter()
            .filter(|frame| frame.1 == at(slave, 2000));
        assert_eq!(said.count(), witnesses);
    }
}

/// That somebody asks about the master is no sign of its life; that it asks
/// itself, or that somebody has heard it, is (F2, F5).
#[test]
fn f2_what_is_a_sign_of_life() {
    let (mut lan, master, slave, epoch) = settled();
    for (from, flags, epoch, alive) in [
        (66, 0, epoch, false),
        (master, 0, Epoch::NONE, false),
        (master, 0, epoch, true),
        (66, flag::WITNESS, epoch, true),
    ] {
        lan.run(millis(7));
        let trailer = wire::Trailer {
            flags,
            epoch,
            about: Some(ip(master)),
            ..wire::Trailer::default()
        };
        let bytes = wire::build_with_trailer(Text::Whois, trailer, wire::checksum);
        let now = lan.now;
        let board = lan.board(slave);
        let due = board.timers.due(Timer::Watch);
        board.handle_datagram(now, at(from, 2000), &bytes, &mut Seeded::new(1));
        assert_eq!(
            board.timers.due(Timer::Watch) > due,
            alive,
            "{from} {flags}"
        );
    }
}

/// Without failover what is said among boards with it asks for no answer, and
/// any other WHOIS does.
#[test]
fn r6_without_failover_a_witness_is_not_answered() {
    let mut lan = Lan::plain(&[&[9]]);
    lan.call();
    lan.run(millis(300));
    for (flags, answers) in [
        (0, 1),
        (flag::SUSPICION, 2),
        (flag::WITNESS, 2),
        (flag::LATER_EPOCH, 2),
    ] {
        says(&mut lan, 1, flags, Epoch(1), ip(1));
        let answered = lan.board(1).counters().of(Count::Answered);
        assert_eq!(answered, answers, "flags {flags}");
    }
}

/// Who answers a board that looks for a master, and claims nothing within 20
/// ms, is an old program: it is followed, and whatever it sends is a sign of
/// its life (F6).
#[test]
fn f6_a_master_that_answers_and_does_not_claim_is_an_old_one() {
    let mut lan = Lan::failover(&[&[9]], 1_000);
    for _ in 0..5_000 {
        if lan.sent(b'W', Instant::ZERO) > 0 {
            break;
        }
        lan.run(millis(1));
    }
    let text = b"Old on board 10.0.0.66 is the master\n";
    lan.inject(at(66, 2000), at(1, 2000), text);
    lan.run(millis(15));
    assert_eq!(lan.board(1).master(), None);
    lan.run(millis(10));
    let followed = |lan: &mut Lan| lan.board(1).master().map(|rank| rank.address);
    assert_eq!(followed(&mut lan), Some(ip(66)));
    lan.run(millis(100));
    let due = lan.board(1).timers.due(Timer::Watch);
    lan.inject(at(66, 4000), at(1, 2000), b"junk");
    lan.run(millis(1));
    assert!(lan.board(1).timers.due(Timer::Watch) > due);
    // Another slave asks it by broadcast: one question is enough, and a board
    // whose turn comes asks by broadcast too.
    let due = lan.board(1).timers.due(Timer::Watch).unwrap();
    lan.run(due - lan.now - millis(10));
    let epoch = lan.board(1).epoch();
    let trailer = wire::Trailer {
        epoch,
        about: Some(ip(66)),
        ..wire::Trailer::default()
    };
    let question = wire::build_with_trailer(Text::Whois, trailer, wire::checksum);
    lan.inject(at(67, 2000), at(255, 2000), &question);
    let from = lan.now;
    lan.run(millis(100));
    assert_eq!(lan.sent(b'W', from), 0);
    lan.run(Duration::from_secs(2));
    let asked = lan.wire.iter().filter(|it| it.0 >= from && it.3[0] == b'W');
    let to: std::collections::BTreeSet<_> = asked.map(|frame| *frame.2.ip()).collect();
    assert_eq!(to.into_iter().collect::<Vec<_>>(), [ip(255)]);
}

/// A dead process is the verdict, but not in an open round, nor for a board
/// that listens after a pause (F2, F5).
#[test]
fn f2_a_refusal_is_a_verdict_of_who_watches() {
    let (mut lan, master, slave, _) = settled();
    let (now, slave) = (lan.now, lan.board(slave).clone());
    type Change<'a> = &'a dyn Fn(&mut Board);
    let changes: [(u64, Change<'_>); 4] = [
        (1, &|_| ()),
        (0, &|board| board.round.open = true),
        (0, &|board| board.pause.active = true),
        (0, &|board| board.config.failover = None),
    ];
    for (verdicts, change) in changes {
        let mut board = slave.clone();
        change(&mut board);
        board.handle_refused(now, at(master, 2000), &mut Seeded::new(1));
        assert_eq!(board.counters().of(Count::Verdict), verdicts);
    }
}

/// The runner-up waits for nobody, the next half a second, and each further one
/// 20 ms more; after a farewell it is 2 ms, and 20 ms for each place (F2, F4).
#[test]
fn f2_each_place_has_its_moment() {
    let mut lan = Lan::failover(&[&[9, 9], &[8, 8], &[7, 7], &[6, 6]], 1_000);
    lan.run(millis(100));
    lan.call();
    lan.run(Duration::from_secs(3));
    assert_eq!(lan.in_office(), [1]);
    let (now, epoch) = (lan.now, lan.board(1).epoch());
    let rank = Rank {
        vote: 9,
        address: ip(1),
    };
    let claim = sealed(Text::Claim(rank), 0, epoch);
    let resigns = sealed(Text::Resign(ip(1)), 0, epoch);
    for (number, silent, resigned) in [(2, 0, 2), (3, 500, 22), (4, 520, 42)] {
        let board = lan.board(number);
        let entropy = &mut Seeded::new(1);
        board.handle_datagram(now, at(1, 2000), &claim, entropy);
        let due = board.timers.due(Timer::Watch);
        assert_eq!(due, Some(now + millis(1_200 + silent)));
        board.handle_datagram(now, at(1, 2000), &resigns, entropy);
        let due = board.timers.due(Timer::Watch);
        assert_eq!(due, Some(now + millis(resigned)));
    }
}

/// Boards that start together call one after the other; who has not claimed yet
/// has a round's time at least, and an old program is asked ten times a second
/// at most (F2, F6).
#[test]
fn f2_how_long_a_sign_of_life_is_waited_for() {
    let mut lan = Lan::failover(&[&[9]], 10);
    let (now, address, broadcast) = (lan.now, ip(128), ip(255));
    let board = lan.board(1);
    board.handle_network(now, Some(Network { address, broadcast }));
    let due = |board: &Board| board.timers.due(Timer::Watch).unwrap() - now;
    // Half of the half interval, for the half of all addresses.
    assert_eq!(due(board), millis(12) + Duration::from_micros(2_500));
    board.watch(now, ip(66));
    assert_eq!(due(board), millis(100));
    board.note_claim(now);
    assert_eq!(due(board), millis(12));
    board.peers.heard(now, ip(67), true, 0);
    board.watch(now, ip(67));
    assert_eq!(due(board), millis(120));
}
