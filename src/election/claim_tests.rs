//! Claims that meet, votes owed, and other details that once could be changed
//! without any test noticing.

use super::*;
use crate::election::wire::{Trailer, build_with_trailer, checksum};

pub(super) fn sealed(text: Text<'_>, flags: u8, epoch: Epoch) -> Vec<u8> {
    let trailer = Trailer {
        flags,
        epoch,
        ..Trailer::default()
    };
    build_with_trailer(text, trailer, checksum).to_vec()
}

/// Another host's claim or vote, to board `to`.
fn says(lan: &mut Lan, to: u8, letter: u8, vote: u8, epoch: Epoch) {
    let rank = Rank {
        vote,
        address: ip(66),
    };
    let text = match letter {
        b'!' => Text::Claim(rank),
        _ => Text::Vote(rank),
    };
    lan.inject(at(66, 2000), at(to, 2000), &sealed(text, 0, epoch));
}

/// Three boards, their master, one of its slaves, and the epoch.
pub(super) fn settled() -> (Lan, u8, u8, Epoch) {
    let mut lan = Lan::failover(&[&[9, 9, 9], &[7, 7, 7], &[8, 8, 8]], 1_000);
    lan.run(Duration::from_secs(5));
    let master = lan.in_office()[0];
    let slave = if master == 1 { 2 } else { 1 };
    let epoch = lan.board(1).epoch();
    (lan, master, slave, epoch)
}

#[test]
fn f3_the_master_that_stays_claims_at_once_and_says_so_once_a_second() {
    let (mut lan, master, _, epoch) = settled();
    lan.run(millis(100));
    let from = lan.now;
    let won = |lan: &Lan| {
        let notices = &lan.hosts[usize::from(master) - 1].notices;
        let is_won = |notice: &&Notice| matches!(notice, Notice::Won(_));
        notices.iter().filter(is_won).count()
    };
    for claims in 1..=2 {
        says(&mut lan, master, b'!', 1, epoch);
        lan.run(millis(1));
        assert_eq!((lan.sent(b'!', from), won(&lan)), (claims, 1));
    }
    assert_eq!(lan.in_office(), [master]);
}

/// A late claim is followed by one in time; beats slept over are left out.
#[test]
fn f1_claims_keep_their_beat() {
    let (mut lan, master, _, _) = settled();
    let second = Duration::from_secs(1);
    for (late, next) in [
        (millis(300), second),
        (second, second * 2),
        (millis(1_100), millis(2_100)),
    ] {
        let board = lan.board(master);
        let due = board.timers.due(Timer::Claim).unwrap();
        board.on_claim_due(due + late, due);
        assert_eq!(board.timers.due(Timer::Claim), Some(due + next));
    }
}

#[test]
fn f3_a_slave_follows_the_higher_of_two_claimants_of_its_epoch() {
    let (mut lan, master, slave, epoch) = settled();
    let follows = |lan: &mut Lan| lan.board(slave).master().map(|rank| rank.address);
    says(&mut lan, slave, b'!', 1, epoch);
    lan.run(millis(1));
    assert_eq!(follows(&mut lan), Some(ip(master)));
    says(&mut lan, slave, b'!', 10, epoch);
    lan.run(millis(1));
    assert_eq!(follows(&mut lan), Some(ip(66)));
}

#[test]
fn f3_a_master_that_is_told_a_later_epoch_goes_on_with_it() {
    let (mut lan, master, _, epoch) = settled();
    let later = epoch.next().next().next();
    let told = sealed(Text::Whois, flag::LATER_EPOCH, later);
    lan.inject(at(66, 2000), at(master, 2000), &told);
    lan.run(Duration::from_secs(2));
    assert_eq!(lan.in_office(), [master]);
    for board in 1..=3 {
        assert_eq!(lan.board(board).epoch(), later, "{board} follows");
    }
}

/// A slave that knows of a later round says so to its master, and all go on with
/// that number.
#[test]
fn f3_a_slave_tells_its_master_of_a_later_epoch() {
    let (mut lan, master, slave, epoch) = settled();
    let later = epoch.next().next();
    lan.board(slave).epoch = later;
    lan.run(Duration::from_secs(2));
    assert_eq!(lan.in_office(), [master]);
    for board in 1..=3 {
        assert_eq!(lan.board(board).epoch(), later, "{board} follows");
    }
}

/// In an open round a claim of an earlier one is no news, however loud.
#[test]
fn f3_a_claim_of_an_earlier_round_does_not_end_an_open_one() {
    let (mut lan, _, slave, epoch) = settled();
    lan.lost = Box::new(move |from, to, _| from != to && to == ip(slave) && from != ip(66));
    let call = sealed(Text::Call, flag::VERDICT, epoch.next());
    lan.inject(at(66, 2000), at(slave, 2000), &call);
    says(&mut lan, slave, b'!', 10, epoch);
    lan.run(millis(20));
    let board = lan.board(slave);
    assert!(board.round.open);
    assert_eq!(board.epoch(), epoch.next());
    assert_eq!(board.counters().of(Count::ClaimBeaten), 1);
}

/// A claim tells the vote of a master that was known without it.
#[test]
fn f3_a_masters_claim_corrects_its_vote() {
    let (mut lan, master, slave, epoch) = settled();
    let rank = Rank {
        vote: 2,
        address: ip(master),
    };
    assert_ne!(lan.board(slave).master(), Some(rank));
    let claim = sealed(Text::Claim(rank), 0, epoch);
    lan.inject(at(master, 2000), at(slave, 2000), &claim);
    lan.run(millis(1));
    assert_eq!(lan.board(slave).master(), Some(rank));
}

/// Only the master's own sealed farewell calls for an election.
#[test]
fn f4_the_farewell_of_a_slave_or_without_a_trailer_is_none() {
    let (mut lan, master, slave, epoch) = settled();
    let other = 6 - master - slave;
    let not_master = sealed(Text::Resign(ip(other)), 0, epoch);
    lan.inject(at(other, 2000), at(255, 2000), &not_master);
    let text = format!("- 10.0.0.{master}\n");
    lan.inject(at(master, 2000), at(255, 2000), text.as_bytes());
    lan.run(millis(500));
    assert_eq!(
        (lan.in_office(), lan.board(1).epoch()),
        (vec![master], epoch)
    );
    assert_eq!(lan.board(slave).counters().of(Count::OtherMode), 1);
}

/// The verdict on a board that is not our master is no end of our master.
#[test]
fn f2_a_verdict_on_another_board_has_no_cause_of_ours() {
    let (mut lan, master, slave, epoch) = settled();
    for (dead, cause) in [
        (ip(66), Cause::Settled),
        (ip(master), Cause::Silent(ip(master))),
    ] {
        let trailer = Trailer {
            flags: flag::VERDICT,
            epoch: epoch.next(),
            about: Some(dead),
            ..Trailer::default()
        };
        let call = build_with_trailer(Text::Call, trailer, checksum);
        let mut board = lan.board(slave).clone();
        board.handle_datagram(lan.now, at(99, 2000), &call, &mut Seeded::new(1));
        assert_eq!(board.round.cause, cause);
    }
}

/// An old program that is heard makes the master look for old ones with each
/// claim.
#[test]
fn f6_the_master_probes_more_often_once_it_hears_an_old_program() {
    let (mut lan, master, _, _) = settled();
    lan.run(Duration::from_secs(10));
    let from = lan.now;
    let text = b"# 10.0.0.66 1";
    lan.inject(at(66, 2000), at(master, 2000), text);
    lan.run(millis(1_001));
    assert_eq!(lan.sent(b'W', from), 1, "with the next claim");
    lan.run(Duration::from_secs(4));
    assert_eq!(lan.sent(b'W', from), 5, "and with each");
}

/// However many speak, 50 of them are told in a second (R8).
#[test]
fn r8_claims_to_single_boards_are_limited_too() {
    let (mut lan, master, _, epoch) = settled();
    let from = lan.wire.len();
    for last in 100..200 {
        let rank = Rank {
            vote: 1,
            address: ip(last),
        };
        let vote = sealed(Text::Vote(rank), flag::ASKING, epoch);
        lan.inject(at(last, 2000), at(master, 2000), &vote);
    }
    lan.run(millis(500));
    let told = lan.wire[from..]
        .iter()
        .filter(|f| f.2.ip().octets()[3] < 255);
    let told = told.filter(|f| f.1 == at(master, 2000) && f.3[0] == b'!');
    assert_eq!(told.count(), 50);
}

/// What waited in the queue of a frozen master tells of a later round.
#[test]
fn f5_a_frozen_master_that_hears_of_a_later_epoch_is_slave_without_asking() {
    let (mut lan, master, _, epoch) = settled();
    let woken = lan.now + Duration::from_secs(9);
    let rank = Rank {
        vote: 1,
        address: ip(66),
    };
    let vote = sealed(Text::Vote(rank), 0, epoch.next());
    let board = lan.board(master);
    board.handle_wakeup(woken);
    board.handle_datagram(woken, at(66, 2000), &vote, &mut Seeded::new(1));
    board.handle_timeout(woken, &mut Seeded::new(1));
    assert_eq!((board.role(), board.epoch()), (Role::Slave, epoch.next()));
    assert_eq!(board.poll_transmit(), None);
}

/// A master that freezes in an open round is slave when it wakes up, and tells
/// for how long it stood still.
#[test]
fn f5_a_master_frozen_in_an_open_round_is_slave() {
    let (mut lan, master, _, epoch) = settled();
    let call = sealed(Text::Call, flag::VERDICT, epoch.next());
    let (now, nine) = (lan.now, Duration::from_secs(9));
    let entropy = &mut Seeded::new(1);
    let board = lan.board(master);
    board.handle_wakeup(now);
    board.handle_datagram(now, at(66, 2000), &call, entropy);
    assert!(board.round.open && board.role() == Role::Master);
    board.handle_wakeup(now + nine);
    board.handle_timeout(now + nine, entropy);
    assert_eq!((board.role(), board.vote()), (Role::Slave, None));
    let told = board.history().next_back().map(|change| change.cause);
    assert_eq!(told, Some(Cause::Paused(nine)));
}

/// One pause behind another is noticed, whether the first one is over or not.
#[test]
fn f5_each_pause_is_noticed() {
    for is_over in [false, true] {
        let (mut lan, _, slave, _) = settled();
        let mut now = lan.now;
        for pauses in 1..=3 {
            now += Duration::from_secs(9);
            let board = lan.board(slave);
            board.handle_wakeup(now);
            if is_over {
                board.handle_timeout(now, &mut Seeded::new(1));
            }
            assert_eq!(board.pause.active, !is_over);
            assert_eq!(board.counters().of(Count::Paused), pauses);
        }
    }
}

/// 20 ms later and once: its next word may be on its way.
#[test]
fn r3_a_vote_of_an_earlier_round_is_answered_once_after_20_ms() {
    let mut lan = Lan::plain(&[&[9, 9], &[7, 7]]);
    for _ in 0..2 {
        lan.call();
        lan.run(millis(300));
    }
    assert_eq!(lan.in_office(), [1]);
    let from = lan.now;
    for _ in 0..3 {
        says(&mut lan, 1, b'#', 4, Epoch(1));
        lan.run(millis(5));
    }
    assert_eq!(lan.sent(b'#', from), 0, "not yet");
    lan.run(millis(50));
    assert_eq!(lan.sent(b'#', from), 1);
}

/// An old program that draws again is told again, 20 ms later.
#[test]
fn r4_the_vote_is_repeated_to_an_old_program_after_20_ms() {
    let mut lan = Lan::plain(&[&[9]]);
    lan.call();
    lan.run(millis(300));
    let from = lan.now;
    lan.inject(at(66, 2000), at(255, 2000), b"# 10.0.0.66 5");
    lan.run(millis(19));
    assert_eq!(lan.sent(b'#', from), 0);
    lan.run(millis(10));
    assert_eq!(lan.sent(b'#', from), 1);
}

#[test]
fn r9_the_missing_are_asked_four_times_50_ms_apart() {
    let mut lan = Lan::plain(&[&[9, 9], &[7, 7]]);
    lan.call();
    lan.run(millis(300));
    lan.lost = Box::new(|from, _, _| from == ip(2));
    let from = lan.now;
    lan.call();
    lan.run(millis(600));
    let begun = from + LATENCY;
    let asked: Vec<Duration> = lan
        .wire
        .iter()
        .filter(|frame| frame.0 > begun && frame.1 == at(1, 2000) && frame.2 == at(2, 2000))
        .map(|frame| frame.0 - begun)
        .collect();
    assert_eq!(asked, [50, 100, 150, 200].map(millis));
}

#[test]
fn each_counter_has_a_name_of_its_own() {
    let mut counters = Counters::default();
    counters.add(Count::Round);
    let names: Vec<&str> = counters.all().map(|(name, _)| name).collect();
    let different: std::collections::BTreeSet<&&str> = names.iter().collect();
    assert!(names.len() > 30 && different.len() == names.len());
    assert_eq!(counters.all().map(|(_, count)| count).sum::<u64>(), 1);
}

#[test]
fn each_kind_of_junk_has_its_counter() {
    let mut counters = Counters::default();
    for (number, (invalid, count)) in [
        (wire::Invalid::Empty, Count::Empty),
        (wire::Invalid::Unknown, Count::Unknown),
        (wire::Invalid::Address, Count::BadAddress),
        (wire::Invalid::Number, Count::BadNumber),
    ]
    .into_iter()
    .enumerate()
    {
        (0..=number).for_each(|_| counters.add_invalid(invalid));
        assert_eq!(counters.of(count), number as u64 + 1);
    }
}
