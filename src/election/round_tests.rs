//! Votes that come early, late, twice or from before, and what is asked for
//! again.

use super::claims::{sealed, settled};
use super::*;
use crate::election::round::QUIET;

fn rank(last: u8, vote: u8) -> Rank {
    let address = ip(last);
    Rank { vote, address }
}

/// What 10.0.0.66 votes, to all.
fn votes(lan: &mut Lan, who: Rank, flags: u8, epoch: Epoch) {
    let vote = sealed(Text::Vote(who), flags, epoch);
    let from = SocketAddrV4::new(who.address, 2000);
    lan.inject(from, at(255, 2000), &vote);
}

/// A board in the open round 2, 10 ms after its begin; round 1 was alone.
fn in_round_2() -> Lan {
    let mut lan = Lan::plain(&[&[9, 9, 9]]);
    lan.call();
    lan.run(millis(300));
    lan.call();
    lan.run(millis(10));
    assert_eq!(lan.board(1).epoch(), Epoch(2));
    lan
}

/// For an old program a copy of VOTE may be none: it draws again, and has to
/// hear the winner again (R4).
#[test]
fn r4_a_copied_call_has_the_vote_said_again() {
    let mut lan = Lan::plain(&[&[9, 9]]);
    lan.call();
    lan.inject(at(66, 2000), at(255, 2000), b"# 10.0.0.66 3");
    lan.run(millis(300));
    for copies in [0, 1] {
        let from = lan.now;
        lan.call();
        lan.inject(at(66, 2000), at(255, 2000), b"# 10.0.0.66 3");
        lan.run(millis(10));
        (0..copies).for_each(|_| lan.call());
        lan.run(millis(300));
        assert_eq!(lan.sent(b'#', from), 1 + copies);
    }
}

/// A verdict of this round begins none; the master that is not dead says so.
/// Without a verdict a VOTE begins a round whatever its epoch (R2, F2).
#[test]
fn f2_a_master_that_lives_claims_at_a_verdict_of_its_round() {
    let (mut lan, master, _, epoch) = settled();
    lan.run(millis(10));
    let from = lan.now;
    for (flags, begins) in [(flag::VERDICT, false), (0, true)] {
        let call = sealed(Text::Call, flags, epoch);
        lan.inject(at(66, 2000), at(master, 2000), &call);
        lan.run(millis(1));
        assert_eq!(lan.board(master).epoch() == epoch.next(), begins);
        assert_eq!(lan.board(master).epoch() == epoch, !begins);
        if !begins {
            assert_eq!((lan.in_office(), lan.sent(b'!', from)), (vec![master], 1));
        }
    }
}

/// Who restarts within a round has not heard our vote; who only says its own
/// once more has (R3).
#[test]
fn r3_a_board_that_restarts_within_the_round_is_told_the_vote() {
    for (second, told) in [(3, 0), (4, 1)] {
        let mut lan = Lan::plain(&[&[9, 9], &[8, 8]]);
        lan.call();
        votes(&mut lan, rank(66, 7), 0, Epoch(1));
        lan.run(millis(300));
        lan.lost = Box::new(|from, _, _| from == ip(2));
        lan.call();
        lan.run(millis(1));
        votes(&mut lan, rank(66, 3), flag::FRESH, Epoch(2));
        lan.run(millis(9));
        let from = lan.wire.len();
        votes(&mut lan, rank(66, second), flag::FRESH, Epoch(2));
        lan.run(millis(35));
        let to_it = |frame: &&Frame| frame.1 == at(1, 2000) && frame.2 == at(66, 2000);
        assert_eq!(lan.wire[from..].iter().filter(to_it).count(), told);
    }
}

/// A vote of an earlier round counts in a young one if it is fresh, and if its
/// board has said nothing later (R3).
#[test]
fn r3_which_votes_of_an_earlier_round_count() {
    let counted = |lan: &mut Lan| lan.board(1).votes.of(ip(66)).map(|it| it.rank.vote);
    for (flags, expected) in [(flag::FRESH, Some(4)), (0, None)] {
        let mut lan = in_round_2();
        votes(&mut lan, rank(66, 4), flags, Epoch(1));
        lan.run(millis(1));
        assert_eq!(counted(&mut lan), expected);
    }
    let mut lan = in_round_2();
    votes(&mut lan, rank(66, 2), 0, Epoch(2));
    votes(&mut lan, rank(66, 4), flag::FRESH, Epoch(1));
    lan.run(millis(1));
    assert_eq!(counted(&mut lan), Some(2), "its later word stands");
    let mut lan = in_round_2();
    lan.run(millis(200));
    votes(&mut lan, rank(66, 4), flag::FRESH, Epoch(1));
    lan.run(millis(1));
    assert_eq!(counted(&mut lan), None, "the round is old");
}

/// All votes of the 100 ms before VOTE count, and none from before (R2).
#[test]
fn r2_votes_that_overtake_their_call_count() {
    let mut lan = Lan::plain(&[&[9, 9]]);
    lan.call();
    lan.run(millis(300));
    for (last, pause) in [(61, 60), (62, 30), (63, 30), (64, 10)] {
        votes(&mut lan, rank(last, 4), flag::FRESH, Epoch(0));
        lan.run(millis(pause));
    }
    lan.call();
    lan.run(millis(1));
    let counted: Vec<u8> = lan
        .board(1)
        .votes
        .iter()
        .map(|it| it.rank.address.octets()[3])
        .collect();
    assert_eq!(counted, [62, 63, 64]);
}

/// A board in whose settled round 1 these and 10.0.0.66 voted, and which is about
/// to hear that the latter has restarted: its vote is a first one.
fn with_an_early_vote(others: &[Rank]) -> Lan {
    let mut lan = Lan::plain(&[&[9, 5]]);
    lan.call();
    votes(&mut lan, rank(66, 7), 0, Epoch(1));
    for &other in others {
        votes(&mut lan, other, 0, Epoch(1));
    }
    lan.run(millis(300));
    votes(&mut lan, rank(66, 8), flag::FRESH, Epoch(0));
    lan
}

/// Its sender may have drawn anew for this VOTE, and that vote be on its way
/// (R5).
#[test]
fn r5_a_vote_from_before_the_round_does_not_decide_it_at_once() {
    let mut lan = with_an_early_vote(&[]);
    lan.run(millis(90));
    lan.call();
    lan.run(millis(10));
    assert!(lan.board(1).round.open && lan.board(1).epoch() == Epoch(2));
    votes(&mut lan, rank(66, 3), 0, Epoch(2));
    lan.run(millis(100));
    assert_eq!(lan.in_office(), [1]);
}

/// Nor when the round turns out to be a later one (R3).
#[test]
fn r5_an_early_vote_decides_no_later_round_at_once() {
    let mut lan = with_an_early_vote(&[rank(67, 6)]);
    lan.run(millis(50));
    votes(&mut lan, rank(67, 3), flag::ASKING, Epoch(2));
    lan.run(millis(60));
    votes(&mut lan, rank(67, 2), 0, Epoch(3));
    lan.run(millis(1));
    votes(&mut lan, rank(66, 3), 0, Epoch(3));
    lan.run(millis(150));
    assert_eq!((lan.in_office(), lan.board(1).epoch()), (vec![1], Epoch(3)));
}

/// The vote that its board has said since may be lost: it is asked for (R9).
#[test]
fn r9_a_board_that_voted_before_the_round_is_asked_for_its_vote() {
    let mut lan = with_an_early_vote(&[]);
    lan.run(millis(50));
    let from = lan.wire.len();
    lan.call();
    lan.run(millis(60));
    let to_it = |frame: &&Frame| frame.1 == at(1, 2000) && frame.2 == at(66, 2000);
    assert!(lan.wire[from..].iter().any(|frame| to_it(&frame)));
    votes(&mut lan, rank(66, 3), 0, Epoch(2));
    lan.run(millis(5));
    assert_eq!(lan.in_office(), [1], "all have voted");
}

/// Others may count it in whichever round they are in (R2, R3).
#[test]
fn r2_a_fresh_number_stands_as_long_as_it_is_young() {
    for (age, number) in [(90, 9), (110, 5)] {
        let mut lan = Lan::failover(&[&[9, 5]], 1_000);
        lan.call();
        lan.run(millis(age));
        let verdict = sealed(Text::Call, flag::VERDICT, Epoch(2));
        lan.inject(at(66, 2000), at(255, 2000), &verdict);
        lan.run(millis(1));
        let board = lan.board(1);
        assert_eq!((board.epoch(), board.vote()), (Epoch(2), Some(number)));
    }
}

/// Said again when it is old, a first vote is one of its round only (R3).
#[test]
fn r3_a_vote_is_fresh_as_long_as_it_is_young() {
    let mut lan = Lan::plain(&[&[9]]);
    lan.call();
    lan.run(millis(300));
    lan.whois();
    lan.run(millis(5));
    let is_vote = |frame: &&Frame| frame.3.first() == Some(&b'#');
    let flags = |frame: &Frame| wire::trailer(&frame.3).map(|(trailer, _)| trailer.flags);
    let said: Vec<_> = lan.wire.iter().filter(is_vote).map(flags).collect();
    assert_eq!(said, [Some(flag::FRESH), Some(0)]);
}

/// Of boards that had lost each other, only what counts in every round stands
/// when a later one is entered in its first 100 ms (R3).
#[test]
fn r3_a_young_round_that_turns_out_later_keeps_fresh_and_old_votes() {
    let mut lan = in_round_2();
    votes(&mut lan, rank(61, 2), 0, Epoch(2));
    votes(&mut lan, rank(62, 2), flag::FRESH, Epoch(2));
    lan.inject(at(63, 2000), at(255, 2000), b"# 10.0.0.63 3");
    lan.run(millis(1));
    votes(&mut lan, rank(64, 2), 0, Epoch(3));
    lan.run(millis(1));
    let board = lan.board(1);
    let counted: Vec<u8> = board
        .votes
        .iter()
        .map(|it| it.rank.address.octets()[3])
        .collect();
    assert_eq!((board.epoch(), counted), (Epoch(3), vec![62, 63, 64]));
}

/// As long as votes come a round is not decided, nor are the missing asked (R5,
/// R9).
#[test]
fn r5_a_vote_is_followed_by_20_ms_of_quiet() {
    let mut lan = in_round_2();
    votes(&mut lan, rank(61, 1), 0, Epoch(1));
    lan.run(millis(30));
    votes(&mut lan, rank(62, 1), 0, Epoch(2));
    lan.run(millis(1));
    let begun = lan.board(1).round.begun.unwrap();
    let heard = lan.board(1).round.last_vote;
    assert_eq!(heard - begun, millis(40));
    lan.run(millis(10));
    assert_eq!(lan.board(1).timers.due(Timer::Ask), Some(heard + QUIET));
    lan.run(millis(44));
    votes(&mut lan, rank(63, 1), 0, Epoch(2));
    lan.run(millis(15));
    assert!(lan.board(1).round.open);
    lan.run(millis(10));
    assert!(!lan.board(1).round.open);
}

/// Of many missing boards 16 are asked at once, each board beginning with
/// those behind it (R9).
#[test]
fn r9_of_many_the_next_sixteen_are_asked_each_time() {
    let mut lan = Lan::plain(&[&[9, 9]]);
    let (now, address, broadcast) = (lan.now, ip(20), ip(255));
    let middle = Some(Network { address, broadcast });
    lan.board(1).handle_network(now, middle);
    let others = || (1..=41).filter(|&last| last != 20);
    lan.call();
    others().for_each(|last| votes(&mut lan, rank(last, 1), 0, Epoch(1)));
    lan.run(millis(300));
    let from = lan.wire.len();
    lan.call();
    lan.run(millis(170));
    let asked: Vec<u8> = lan.wire[from..]
        .iter()
        .filter(|frame| frame.1 == at(1, 2000) && *frame.2.ip() != ip(255))
        .map(|frame| frame.2.ip().octets()[3])
        .collect();
    let behind: Vec<u8> = others().filter(|&last| last > 20).collect();
    let turn = behind.into_iter().chain(others().filter(|&last| last < 20));
    assert_eq!(asked, turn.cycle().take(48).collect::<Vec<u8>>());
    let late = lan.now + Duration::from_secs(1);
    let board = lan.board(1);
    board.round.asked = 0;
    board.ask_the_missing(late);
    assert!(
        board.timers.due(Timer::Ask) > Some(late),
        "it does not spin"
    );
}

/// Votes are owed to 32 boards at most, each 20 ms after its own word (R3, R8).
#[test]
fn r3_votes_are_owed_for_20_ms_each() {
    let mut lan = in_round_2();
    lan.run(millis(300));
    let from = lan.now;
    votes(&mut lan, rank(61, 1), 0, Epoch(1));
    lan.run(millis(10));
    let due = lan.board(1).timers.due(Timer::Reply);
    assert_eq!(due, Some(from + LATENCY + millis(20)));
    votes(&mut lan, rank(62, 1), 0, Epoch(1));
    lan.run(millis(15));
    assert_eq!(lan.sent(b'#', from), 1);
    lan.run(millis(10));
    assert_eq!(lan.sent(b'#', from), 2);
    (100..150).for_each(|last| votes(&mut lan, rank(last, 1), 0, Epoch(1)));
    lan.run(millis(1));
    assert_eq!(lan.board(1).replies.len(), 32);
}

/// A board that has no address has nothing to wait for (R7).
#[test]
fn r7_without_an_address_no_timer_runs() {
    let (mut lan, master, slave, _) = settled();
    let now = lan.now;
    for number in [master, slave] {
        let board = lan.board(number);
        board.handle_network(now, None);
        for timer in [Timer::Claim, Timer::Settle, Timer::Ask] {
            assert_eq!(board.timers.due(timer), None);
        }
    }
}

/// One of ours that answers our probe as master is in another round: it is
/// asked to join, and nobody yields to it (R6).
#[test]
fn r6_a_board_of_ours_that_answers_a_probe_is_asked_for_its_vote() {
    let (mut lan, master, slave, _) = settled();
    let now = lan.now;
    lan.board(master).probe(now);
    lan.run(millis(1));
    let from = lan.wire.len();
    let text = format!("It on board 10.0.0.{slave} is the master\n");
    for _ in 0..2 {
        lan.inject(at(slave, 2000), at(master, 2000), text.as_bytes());
        lan.run(millis(1));
    }
    let to_it = |frame: &&Frame| frame.2 == at(slave, 2000) && frame.3[0] == b'#';
    assert_eq!(lan.wire[from..].iter().filter(to_it).count(), 2);
    assert_eq!(lan.in_office(), [master]);
}

/// Who asks is answered at once, and who has voted in this round, and speaks of
/// an earlier one, has restarted: it is told, though its vote is here (R3).
#[test]
fn r3_who_speaks_of_an_earlier_round_is_told_of_this_one() {
    let mut lan = in_round_2();
    votes(&mut lan, rank(61, 1), 0, Epoch(2));
    lan.run(millis(300));
    let from = lan.now;
    votes(&mut lan, rank(61, 1), 0, Epoch(1));
    lan.run(millis(30));
    assert_eq!(lan.sent(b'#', from), 1);
    votes(&mut lan, rank(61, 1), flag::ASKING, Epoch(1));
    lan.run(millis(1));
    assert_eq!(lan.sent(b'#', from), 2);
    // Whose vote of this round comes meanwhile has heard ours.
    votes(&mut lan, rank(62, 1), 0, Epoch(1));
    lan.run(millis(10));
    votes(&mut lan, rank(62, 1), 0, Epoch(2));
    lan.run(millis(30));
    assert_eq!(lan.sent(b'#', from), 3);
}

/// A master with failover claims to whoever is behind, asked or not (F3).
#[test]
fn f3_who_speaks_of_an_earlier_round_hears_a_claim() {
    let (mut lan, master, _, _) = settled();
    let from = lan.wire.len();
    votes(&mut lan, rank(66, 1), 0, Epoch::NONE);
    lan.run(millis(1));
    let to_it = |frame: &&Frame| frame.2 == at(66, 2000) && frame.1 == at(master, 2000);
    let told: Vec<u8> = lan.wire[from..]
        .iter()
        .filter(to_it)
        .map(|f| f.3[0])
        .collect();
    assert_eq!(told, [b'!']);
}

/// A slave without failover has no question of its own that an answer could be
/// one to, though it may have probed when it was master (R6).
#[test]
fn r6_an_answer_makes_nobody_but_a_master_yield() {
    let mut lan = Lan::plain(&[&[5], &[9]]);
    lan.call();
    lan.run(millis(300));
    let now = lan.now;
    lan.board(1).probe(now);
    let text = b"Old on board 10.0.0.66 is the master\n";
    lan.inject(at(66, 2000), at(1, 2000), text);
    lan.run(millis(5));
    assert_eq!(lan.board(1).master().map(|it| it.address), Some(ip(2)));
}

/// A board that has found the epoch of its LAN, and begun no round yet, takes
/// part in a round of that epoch, and in none before it (K3).
#[test]
fn k3_the_first_round_may_be_that_of_the_epoch_found() {
    let mut lan = Lan::plain(&[&[9]]);
    lan.board(1).epoch = Epoch(4);
    votes(&mut lan, rank(66, 3), 0, Epoch(3));
    lan.run(millis(1));
    assert_eq!(lan.board(1).vote(), None, "it is over");
    votes(&mut lan, rank(66, 3), 0, Epoch(4));
    lan.run(millis(1));
    let board = lan.board(1);
    assert_eq!((board.epoch(), board.vote()), (Epoch(4), Some(9)));
}

/// A newcomer's vote above that of a master that stays is answered to it by a
/// claim, and is no news the second time (R6, F3).
#[test]
fn f3_a_higher_vote_is_answered_to_its_voter_once() {
    let (mut lan, master, _, epoch) = settled();
    let answers = |lan: &Lan| {
        let to_it = |frame: &&Frame| frame.2 == at(66, 2000) && frame.3[0] == b'!';
        lan.wire.iter().filter(to_it).count()
    };
    for heard in 1..=2 {
        let vote = sealed(Text::Vote(rank(66, 10)), 0, epoch);
        lan.inject(at(66, 2000), at(master, 2000), &vote);
        lan.run(millis(10));
        assert_eq!(answers(&lan), 1, "vote {heard}");
    }
    assert_eq!(lan.in_office(), [master]);
}
