//! Claims that meet, votes owed, and other details that once could be changed
//! without any test noticing.

use super::*;
use crate::election::wire::{Trailer, build_with_trailer, checksum};

fn sealed(text: Text<'_>, flags: u8, epoch: Epoch) -> Vec<u8> {
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
fn settled() -> (Lan, u8, u8, Epoch) {
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
    for (late, next) in [(millis(300), second), (millis(1_100), millis(2_100))] {
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
