//! What a board in office answers, mends and says, and what one that is not in
//! office keeps to itself.

use super::claims::sealed;
use super::*;

/// A broadcast answer's port is answered anew after 50 ms, and the ports
/// remembered are few (R8).
#[test]
fn r8_a_port_is_answered_by_broadcast_each_50_ms() {
    let mut lan = Lan::new(&[&[5]], |config| config.answer = Answer::Broadcast);
    lan.call();
    lan.run(millis(300));
    for (ask, answers) in [1, 1, 2, 2, 3].into_iter().enumerate() {
        lan.inject(at(99, 6000), at(255, 2000), b"WHOIS\n");
        lan.run(millis(25));
        let answered = lan.board(1).counters().of(Count::Answered);
        assert_eq!(answered, answers, "ask {ask}");
    }
    for port in 0..100 {
        lan.inject(at(99, 7000 + port), at(255, 2000), b"WHOIS\n");
    }
    lan.run(millis(5));
    assert_eq!(lan.board(1).counters().of(Count::Answered), 103);
}

#[test]
fn r6_what_was_asked_of_a_loser_is_dropped_and_never_answered() {
    let mut lan = Lan::plain(&[&[5, 9], &[9, 5]]);
    lan.call();
    lan.run(millis(50));
    assert_eq!(lan.whois(), Vec::<String>::new(), "not decided yet");
    lan.run(millis(300));
    assert_eq!(lan.in_office(), [2]);
    lan.call();
    lan.run(millis(300));
    assert_eq!(lan.in_office(), [1]);
    let counted = |board: &Board, count| board.counters().of(count);
    assert_eq!(counted(lan.board(1), Count::WhoisDropped), 1);
    assert_eq!(counted(lan.board(1), Count::Answered), 0);
    assert_eq!(counted(lan.board(2), Count::Answered), 1);
    assert_eq!(counted(lan.board(2), Count::NotSent), 0);
}

/// A second apart a healing goes to all; with claims only five times in a round.
#[test]
fn r6_asking_heals_by_broadcast_once_a_second() {
    for (mut lan, most) in [
        (Lan::plain(&[&[9]]), 10),
        (Lan::failover(&[&[9]], 1_000), 5),
    ] {
        lan.call();
        lan.run(millis(300));
        let from = lan.now;
        for asks in 1..=10 {
            lan.whois();
            assert_eq!(lan.sent(b'#', from), asks.min(most));
            lan.run(millis(5));
            lan.whois();
            assert_eq!(lan.sent(b'#', from), asks.min(most), "not within a second");
            lan.run(millis(985));
        }
    }
}

/// Who has just said its vote in a round of boards it knows need not say it again.
#[test]
fn r6_a_vote_of_the_last_second_is_not_told_again() {
    let mut lan = Lan::plain(&[&[9, 8], &[3, 2]]);
    for _ in 0..2 {
        lan.call();
        lan.run(millis(300));
    }
    let from = lan.now;
    lan.whois();
    lan.run(millis(600));
    assert_eq!(lan.sent(b'#', from), 0);
    lan.run(millis(150));
    lan.whois();
    lan.run(millis(5));
    assert_eq!(lan.sent(b'#', from), 0, "healed less than a second ago");
    lan.run(millis(300));
    lan.whois();
    lan.run(millis(5));
    assert_eq!(lan.sent(b'#', from), 1);
}

/// A fresh vote from before the round may be the last round's (R6).
#[test]
fn r6_whose_vote_came_before_the_round_is_asked() {
    let mut lan = Lan::plain(&[&[9, 9]]);
    lan.call();
    lan.run(millis(300));
    let rank = Rank {
        vote: 3,
        address: ip(66),
    };
    let vote = sealed(Text::Vote(rank), flag::FRESH, Epoch::NONE);
    lan.inject(at(66, 2000), at(1, 2000), &vote);
    lan.run(millis(50));
    lan.call();
    lan.run(millis(300));
    assert_eq!(lan.board(1).votes.of(ip(66)).map(|it| it.rank), Some(rank));
    let from = lan.wire.len();
    lan.whois();
    let asked = lan.wire[from..].iter().filter(|f| f.2 == at(66, 2000));
    assert_eq!(asked.count(), 1);
}

#[test]
fn r7_the_answer_names_the_new_address() {
    let mut lan = Lan::plain(&[&[9, 9]]);
    lan.call();
    lan.run(millis(300));
    assert_eq!(lan.whois(), ["board1 on board 10.0.0.1 is the master"]);
    let (now, address, broadcast) = (lan.now, ip(44), ip(255));
    let elsewhere = Some(Network { address, broadcast });
    lan.board(1).handle_network(now, elsewhere);
    lan.call();
    lan.run(millis(300));
    assert_eq!(lan.whois(), ["board1 on board 10.0.0.44 is the master"]);
}

/// A refusal is a board's only from its own port, and an old program's is none.
#[test]
fn r9_what_a_client_or_an_old_program_refuses_is_no_death() {
    let mut lan = Lan::plain(&[&[9], &[5]]);
    lan.call();
    lan.inject(at(66, 2000), at(255, 2000), b"# 10.0.0.66 5");
    lan.run(millis(300));
    let now = lan.now;
    for (who, port, refused) in [(2, 6000, 0), (66, 2000, 0), (2, 2000, 1)] {
        let board = lan.board(1);
        board.handle_refused(now, at(who, port), &mut Seeded::new(1));
        assert_eq!(board.counters().of(Count::Refused), refused);
    }
    let gone = |board: &mut Board, who| board.peers.of(ip(who)).unwrap().gone;
    assert!(gone(lan.board(1), 2) && !gone(lan.board(1), 66));
}

/// Who hands over leaves the next half second to the others (F4).
#[test]
fn f4_who_handed_over_does_not_look_for_a_master_at_once() {
    let mut lan = Lan::failover(&[&[9]], 1_000);
    lan.run(Duration::from_secs(4));
    assert_eq!(lan.in_office(), [1]);
    let now = lan.now;
    lan.board(1).handle_resign(now);
    let grace = Failover::new(millis(1_000)).grace();
    let next = lan.board(1).poll_timeout().unwrap();
    assert!(next >= now + millis(500) + grace, "{next:?}");
}

#[test]
fn f4_only_a_master_with_failover_says_farewell() {
    for failover in [false, true] {
        let mut lan = match failover {
            false => Lan::plain(&[&[9], &[5]]),
            true => Lan::failover(&[&[9], &[5]], 1_000),
        };
        lan.run(millis(100));
        lan.call();
        lan.run(Duration::from_secs(3));
        let master = lan.in_office()[0];
        let now = lan.now;
        for board in 1..=2 {
            let is_master = board == master;
            assert_eq!(lan.board(board).is_master(now), is_master);
            let says = lan.board(board).farewell().len();
            assert_eq!(says, if is_master && failover { 2 } else { 0 });
        }
    }
}

/// A slave that comes back from a pause keeps no question of the queue: it
/// would answer it when it is master one day.
#[test]
fn f5_a_slave_that_listens_keeps_no_question() {
    let (mut lan, _, slave, _) = super::claims::settled();
    let woken = lan.now + Duration::from_secs(9);
    let board = lan.board(slave);
    board.handle_wakeup(woken);
    assert!(board.pause.active);
    board.handle_datagram(woken, at(99, 6000), b"WHOIS\n", &mut Seeded::new(1));
    assert!(board.office.kept.is_empty());
}

/// What `boardroom status` lists: who was heard, and what it voted.
#[test]
fn every_board_heard_is_listed_with_its_vote() {
    let (mut lan, master, slave, _) = super::claims::settled();
    let board = lan.board(master);
    let listed = board.boards().find(|(peer, _)| peer.address == ip(slave));
    let (_, ballot) = listed.unwrap();
    assert_eq!(ballot, board.votes().of(ip(slave)));
    assert!(ballot.is_some());
}
