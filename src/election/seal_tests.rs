//! Boards with a key: among themselves as without one, deaf to everybody else.

use super::*;
use crate::election::key::Keyring;
use crate::election::seal::Keys;
use crate::election::wire::{Trailer, build_with_trailer, checksum};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn ring() -> Keyring {
    Keyring::parse(KEY).unwrap()
}

fn lan(boards: u8, quorum: Option<u16>, life: u64) -> Lan {
    let votes: Vec<&[u8]> = vec![&[]; usize::from(boards)];
    let seed = core::cell::Cell::new(life * 1_000);
    Lan::new(&votes, |config| {
        seed.set(seed.get() + 1);
        config.failover = Some(Failover::new(millis(1_000)));
        config.quorum = quorum;
        config.keys = Some(Keys {
            ring: ring(),
            seed: seed.get(),
        });
    })
}

/// All that forged or replayed messages could have changed.
fn state(lan: &Lan) -> Vec<(Role, Epoch, Option<u8>, Option<Rank>)> {
    lan.hosts
        .iter()
        .map(|host| {
            let board = &host.board;
            (board.role(), board.epoch(), board.vote(), board.master())
        })
        .collect()
}

#[test]
fn boards_with_a_key_elect_watch_and_replace_a_master() {
    for quorum in [None, Some(5)] {
        let mut lan = lan(5, quorum, 1);
        lan.run(Duration::from_secs(6));
        let [master] = lan.in_office()[..] else {
            panic!("{:?}", lan.in_office())
        };
        let epoch = lan.board(1).epoch();
        lan.run(Duration::from_secs(60));
        assert_eq!(
            (lan.in_office(), lan.board(1).epoch()),
            (vec![master], epoch)
        );
        assert_eq!(lan.whois().len(), 1, "anyone is answered");
        lan.kill(master);
        lan.run(Duration::from_secs(5));
        assert_eq!(lan.in_office().len(), 1);
        let refused: u64 = lan
            .hosts
            .iter()
            .map(|host| host.board.counters().of(Count::Replayed))
            .sum();
        assert_eq!(refused, 0, "nothing honest is taken for a replay");
    }
}

#[test]
fn unsigned_and_forged_messages_change_nothing() {
    let mut lan = lan(3, None, 1);
    lan.run(Duration::from_secs(6));
    let before = state(&lan);
    let epoch = before[0].1;
    let mut random = Seeded::new(1);
    for round in 0..10_000u32 {
        let from = at(1 + random.below(4) as u8, 2000);
        let rank = Rank {
            vote: random.one_to_ten(),
            address: *from.ip(),
        };
        let text = match random.below(8) {
            0 => Text::Call,
            1 => Text::Vote(rank),
            2 => Text::Claim(rank),
            3 => Text::Resign(rank.address),
            4 => Text::LeaseAsk(rank),
            5 => Text::LeaseGrant(rank.address),
            6 => Text::Whois,
            _ => Text::Answer {
                name: b"Eve",
                address: rank.address,
            },
        };
        let trailer = Trailer {
            flags: random.next_u32() as u8,
            epoch: Epoch(epoch.0.wrapping_add(random.below(3))),
            word: random.next_u32(),
            about: Some(*from.ip()),
        };
        let bytes = match random.below(3) {
            0 => wire::build(text, true).to_vec(),
            1 => build_with_trailer(text, trailer, checksum).to_vec(),
            _ => build_with_trailer(text, trailer, |_| {
                u64::from(random.next_u32()).to_le_bytes()
            })
            .to_vec(),
        };
        let to = [at(255, 2000), at(1 + random.below(3) as u8, 2000)][random.below(2) as usize];
        lan.inject(from, to, &bytes);
        if round % 10 == 0 {
            lan.run(millis(7));
        }
    }
    lan.run(millis(100));
    assert_eq!(state(&lan), before);
    for host in &lan.hosts {
        assert!(host.board.counters().of(Count::Unverified) > 1_000);
        assert!(host.board.counters().of(Count::Unsigned) > 500);
        assert!(host.notices.len() < 10, "{:?}", host.notices);
    }
}

/// One flipped bit of any message makes it worthless.
#[test]
fn a_flipped_bit_is_a_forgery() {
    let mut first = lan(2, None, 1);
    first.run(Duration::from_secs(6));
    let [master] = first.in_office()[..] else {
        panic!()
    };
    let slave = 3 - master;
    let claim = first.board(master).farewell()[0];
    for bit in 0..320 {
        let mut flipped = claim;
        flipped[bit / 8] ^= 1 << (bit % 8);
        first.inject(at(master, 2000), at(slave, 2000), &flipped);
    }
    let before = state(&first);
    first.run(millis(50));
    assert_eq!(state(&first), before);
    first.inject(at(master, 2000), at(slave, 2000), &claim);
    first.run(millis(50));
    assert!(state(&first)[0].1 != before[0].1, "unflipped, it counts");
}

#[test]
fn recordings_are_worth_nothing_in_the_same_life_or_the_next() {
    let mut first = lan(3, None, 1);
    first.run(Duration::from_secs(6));
    for _ in 0..5 {
        let [master] = first.in_office()[..] else {
            panic!()
        };
        let now = first.now;
        first.board(master).handle_resign(now);
        first.run(Duration::from_secs(3));
    }
    let recorded: Vec<Frame> = first
        .wire
        .iter()
        .filter(|frame| frame.2.port() == 2000)
        .cloned()
        .collect();
    assert!(recorded.len() > 60, "{}", recorded.len());
    let before = state(&first);
    replay(&mut first, &recorded);
    assert_eq!(state(&first), before, "in the same life");

    // A power cut of all: other sessions, low epochs and counts.
    let mut second = lan(3, None, 2);
    second.run(Duration::from_secs(6));
    let before = state(&second);
    assert!(before[0].1.0 < state(&first)[0].1.0, "epochs begin anew");
    replay(&mut second, &recorded);
    assert_eq!(state(&second), before, "in the next life");

    // One board restarts and is fed before it has heard anybody.
    let mut third = lan(3, None, 3);
    third.lost = Box::new(|_, to, _| to == ip(1));
    replay(&mut third, &recorded);
    third.lost = Box::new(|_, _, _| false);
    let before = state(&third)[0];
    assert_eq!((before.0, before.3), (Role::Slave, None));
}

fn replay(lan: &mut Lan, recorded: &[Frame]) {
    for (i, (_, from, to, bytes)) in recorded.iter().enumerate() {
        lan.inject(*from, *to, bytes);
        if i % 20 == 0 {
            lan.run(millis(1));
        }
    }
    lan.run(millis(10));
}

#[test]
fn a_client_with_the_key_calls_an_election_by_one_boards_session() {
    let mut lan = lan(3, None, 1);
    lan.run(Duration::from_secs(6));
    let epoch = lan.board(1).epoch();
    let question = build_with_trailer(
        Text::Whois,
        Trailer {
            flags: flag::INTRODUCE,
            word: 4_711,
            ..Trailer::default()
        },
        |signed| ring().tag(signed, None),
    );
    lan.inject(at(99, 5000), at(2, 2000), &question);
    lan.run(millis(2));
    let heard = lan
        .wire
        .iter()
        .rfind(|frame| frame.2 == at(99, 5000) && frame.1 == at(2, 2000))
        .unwrap()
        .3
        .clone();
    let (introduction, tag) = wire::trailer(&heard).unwrap();
    let signed = wire::signed_part(&heard).unwrap();
    assert!(ring().verify(signed, Some(4_711), tag));
    let session = introduction.about.map(u32::from);
    let call = build_with_trailer(
        Text::Call,
        Trailer {
            flags: flag::BOUND,
            epoch: introduction.epoch,
            ..Trailer::default()
        },
        |signed| ring().tag(signed, session),
    );
    lan.inject(at(99, 5000), at(1, 2000), &call);
    lan.run(millis(300));
    assert_eq!(lan.board(1).epoch(), epoch, "another board's session");
    lan.inject(at(99, 5000), at(2, 2000), &call);
    lan.run(millis(300));
    assert_eq!(lan.board(1).epoch(), epoch.next());
    assert_eq!(lan.in_office().len(), 1);
    lan.inject(at(99, 5000), at(2, 2000), &call);
    lan.run(millis(300));
    assert_eq!(lan.board(1).epoch(), epoch.next(), "it serves once");
}

/// A VOTE right behind a round's begin names that round, and so begins the
/// next one; neither can be played again.
#[test]
fn two_calls_behind_one_another_count_once_each() {
    let mut lan = lan(1, None, 1);
    lan.run(Duration::from_secs(6));
    let ask = |lan: &mut Lan, word| {
        let trailer = Trailer {
            flags: flag::INTRODUCE,
            word,
            ..Trailer::default()
        };
        let question = build_with_trailer(Text::Whois, trailer, |signed| ring().tag(signed, None));
        lan.inject(at(99, 5000), at(1, 2000), &question);
        lan.run(millis(1));
        let heard = &lan
            .wire
            .iter()
            .rfind(|frame| frame.2 == at(99, 5000))
            .unwrap()
            .3;
        wire::trailer(heard).unwrap().0
    };
    let call = |introduction: Trailer, word| {
        let trailer = Trailer {
            flags: flag::BOUND,
            epoch: introduction.epoch,
            word,
            ..Trailer::default()
        };
        let session = introduction.about.map(u32::from);
        build_with_trailer(Text::Call, trailer, |signed| ring().tag(signed, session))
    };
    let before = lan.board(1).epoch();
    let first = call(ask(&mut lan, 1), 1);
    lan.inject(at(99, 5000), at(1, 2000), &first);
    lan.run(millis(2));
    let second = call(ask(&mut lan, 2), 2);
    lan.inject(at(99, 5000), at(1, 2000), &second);
    lan.run(millis(500));
    let epoch = lan.board(1).epoch();
    assert_eq!(epoch, before.next().next());
    assert_eq!(lan.board(1).counters().of(Count::Replayed), 0);
    for replayed in [&first, &second] {
        lan.inject(at(99, 5000), at(1, 2000), replayed);
        lan.run(millis(500));
    }
    assert_eq!(lan.board(1).epoch(), epoch);
    assert_eq!(lan.board(1).counters().of(Count::Replayed), 2);
    let mut unborn = ask(&mut lan, 3);
    unborn.epoch = Epoch::NONE;
    lan.inject(at(99, 5000), at(1, 2000), &call(unborn, 3));
    lan.run(millis(500));
    assert_eq!(lan.board(1).epoch(), epoch, "epoch 0 is long over");
    assert_eq!(lan.board(1).counters().of(Count::Replayed), 3);
}

/// Two boards that have met: the numbers of the master and of its slave.
fn master_and_slave() -> (Lan, u8, u8) {
    let mut lan = lan(2, None, 1);
    lan.run(millis(6_300));
    let master = lan.in_office()[0];
    (lan, master, 3 - master)
}

/// The claim that answers a board's own question is a claim, and no VOTE (K2).
#[test]
fn a_claim_bound_to_a_question_counts_as_one() {
    let (mut lan, master, slave) = master_and_slave();
    let now = lan.now;
    let board = lan.board(slave);
    let claims = board.counters().of(Count::Claim);
    board.ask_whois(now, Some(ip(master)), 0, None);
    // There and back, before what the question heals.
    lan.run(LATENCY * 2);
    let counters = lan.board(slave).counters();
    assert_eq!(counters.of(Count::Claim), claims + 1);
    assert_eq!(counters.of(Count::OtherMode), 0);
}

/// A master that could not believe its slave's word of a later epoch hears it
/// again with the introduction, and goes on: a vote alone would depose it (F3).
#[test]
fn an_introduction_to_the_own_master_tells_it_the_epoch_before_the_vote() {
    let (mut lan, master, slave) = master_and_slave();
    let (now, from) = (lan.now, lan.now);
    let later = lan.board(slave).epoch().next();
    lan.board(slave).epoch = later;
    lan.board(master)
        .ask_whois(now, Some(ip(slave)), flag::INTRODUCE, None);
    lan.run(LATENCY * 3);
    assert_eq!(lan.board(master).epoch(), later);
    assert_eq!((lan.in_office(), lan.sent(b'V', from)), (vec![master], 0));
    assert_eq!(lan.board(master).counters().of(Count::Round), 1);
}

/// What the guardian says is behind all else in the session, VOTE the last.
#[test]
fn f4_the_farewell_takes_the_last_counts_in_their_order() {
    let mut lan = lan(1, None, 1);
    lan.run(Duration::from_secs(6));
    let farewell = lan.board(1).farewell();
    let counts = farewell.iter().map(|it| wire::trailer(it).unwrap().0.word);
    assert_eq!(counts.collect::<Vec<u32>>(), [u32::MAX - 1, u32::MAX]);
}

/// Without failover a board that starts waits for the next VOTE, as it does
/// without a key; but it finds the others' epoch, so that a VOTE which comes to
/// it alone begins a round that is new to all.
#[test]
fn a_started_board_finds_the_epoch_and_does_not_vote_in_a_settled_round() {
    let keys = |seed| Some(Keys { ring: ring(), seed });
    let mut lan = Lan::new(&[&[9, 9, 9], &[3, 3, 3]], |config| config.keys = keys(7));
    lan.board(1).begin_round(
        Instant::from_micros(1),
        Epoch(4),
        Cause::Settled,
        &mut Seeded::new(1),
    );
    lan.run(millis(500));
    assert_eq!(
        lan.board(2).epoch(),
        Epoch(4),
        "it was there when it settled"
    );
    let old = lan.board(2).config().clone();
    let network = lan.board(2).network();
    *lan.board(2) = Board::new(Config {
        keys: keys(8),
        ..old
    });
    let from = lan.now;
    lan.board(2).handle_network(from, network);
    lan.run(millis(500));
    assert_eq!(
        (lan.board(2).epoch(), lan.board(2).vote()),
        (Epoch(4), None)
    );
    assert_eq!(lan.sent(b'#', from), 0);
    let now = lan.now;
    lan.board(1)
        .begin_round(now, Epoch(5), Cause::Settled, &mut Seeded::new(2));
    lan.run(millis(500));
    assert!(lan.board(2).vote().is_some(), "the next one is its own too");
    assert_eq!(lan.in_office().len(), 1);
}

/// Four greetings, at growing distances, while nobody introduces itself (K4).
#[test]
fn who_meets_nobody_greets_four_times() {
    let mut lan = lan(1, None, 1);
    lan.run(Duration::from_secs(30));
    let greets = |frame: &&Frame| {
        let flags = wire::trailer(&frame.3).map_or(0, |(trailer, _)| trailer.flags);
        frame.3[0] == b'W' && flags & flag::INTRODUCE != 0
    };
    let first = Instant::from_micros(1);
    let greeted: Vec<Duration> = lan
        .wire
        .iter()
        .filter(greets)
        .map(|f| f.0 - first)
        .collect();
    assert_eq!(greeted, [0, 100, 400, 900].map(millis));
}

/// A board that takes part without a key is told once; a client that asks
/// without one is none, and who has another key is another matter.
#[test]
fn a_board_without_a_key_is_told_once() {
    let mut lan = lan(1, None, 1);
    lan.run(Duration::from_secs(6));
    let told = |lan: &Lan| {
        let is_told = |notice: &&Notice| matches!(notice, Notice::Unkeyed(_));
        lan.hosts[0].notices.iter().filter(is_told).count()
    };
    let mut other_key = build_with_trailer(
        Text::Claim(Rank {
            vote: 3,
            address: ip(66),
        }),
        Trailer::default(),
        checksum,
    );
    other_key[39] ^= 1;
    for (bytes, expected) in [
        (&b"VOTE\n"[..], 0),
        (&other_key[..], 0),
        (b"# 10.0.0.66 3", 1),
        (b"# 10.0.0.66 3", 1),
    ] {
        lan.inject(at(66, 2000), at(255, 2000), bytes);
        lan.run(millis(1));
        assert_eq!(told(&lan), expected);
    }
}

#[test]
fn a_refusal_is_no_verdict_since_anyone_can_send_one() {
    let mut lan = lan(3, None, 1);
    lan.run(Duration::from_secs(6));
    let [master] = lan.in_office()[..] else {
        panic!()
    };
    let before = state(&lan);
    for number in 1..=3u8 {
        let now = lan.now;
        let host = &mut lan.hosts[usize::from(number) - 1];
        host.board
            .handle_refused(now, at(master, 2000), &mut host.entropy);
    }
    lan.run(Duration::from_secs(5));
    assert_eq!(state(&lan), before);
    lan.kill(master);
    lan.run(Duration::from_secs(4));
    assert_eq!(lan.in_office().len(), 1, "silence is one");
}

#[test]
fn a_board_that_comes_back_is_believed_again_at_once() {
    let mut lan = lan(3, None, 1);
    lan.run(Duration::from_secs(6));
    let [master] = lan.in_office()[..] else {
        panic!()
    };
    let back = if master == 1 { 2 } else { 1 };
    let config = Config {
        failover: Some(Failover::new(millis(1_000))),
        keys: Some(Keys {
            ring: ring(),
            seed: 77,
        }),
        ..Config::default()
    };
    let mut board = Board::new(config);
    let network = Network {
        address: ip(back),
        broadcast: ip(255),
    };
    board.handle_network(lan.now, Some(network));
    lan.hosts[usize::from(back) - 1].board = board;
    lan.run(millis(5));
    let introduced = lan.board(back).counters().of(Count::Introduced);
    assert_eq!(introduced, 2, "both others introduced themselves");
    assert_eq!(
        lan.board(back).master().map(|m| m.address),
        Some(ip(master))
    );
    let epoch = lan.board(master).epoch();
    lan.run(Duration::from_secs(10));
    assert_eq!(lan.in_office(), [master]);
    assert_eq!(lan.board(back).epoch(), epoch);
}

/// Boards 10.0.0.1, 10.0.0.2, … with a key and without failover.
fn plain(boards: usize) -> Lan {
    let votes: Vec<&[u8]> = vec![&[]; boards];
    let seed = core::cell::Cell::new(0);
    Lan::new(&votes, |config| {
        seed.set(seed.get() + 1);
        config.keys = Some(Keys {
            ring: ring(),
            seed: seed.get(),
        });
    })
}

/// What is found first stands until the next round (K3).
#[test]
fn an_epoch_is_found_once() {
    let mut lan = plain(3);
    lan.board(1).epoch = Epoch(4);
    lan.board(2).epoch = Epoch(3);
    lan.run(Duration::from_secs(1));
    let epochs = [1, 2, 3].map(|number| lan.board(number).epoch());
    assert_eq!(epochs[..2], [Epoch(4), Epoch(3)]);
    assert_ne!(epochs[2], Epoch::NONE);
}

/// A client that was told of no round yet calls the first one, though the board
/// has found its epoch since (K5).
#[test]
fn a_call_for_no_round_counts_until_the_first_one() {
    let mut lan = plain(1);
    let question = Trailer {
        flags: flag::INTRODUCE,
        word: 7,
        ..Trailer::default()
    };
    let question = build_with_trailer(Text::Whois, question, |signed| ring().tag(signed, None));
    lan.inject(at(99, 5000), at(1, 2000), &question);
    lan.run(millis(1));
    let heard = lan.wire.iter().rfind(|frame| frame.2 == at(99, 5000));
    let introduction = wire::trailer(&heard.unwrap().3).unwrap().0;
    assert_eq!(introduction.epoch, Epoch::NONE);
    lan.board(1).epoch = Epoch(4);
    let call = Trailer {
        flags: flag::BOUND,
        ..Trailer::default()
    };
    let session = introduction.about.map(u32::from);
    let call = build_with_trailer(Text::Call, call, |signed| ring().tag(signed, session));
    for _ in 0..2 {
        lan.inject(at(99, 5000), at(1, 2000), &call);
        lan.run(millis(300));
        assert_eq!(lan.board(1).epoch(), Epoch(5), "and once");
    }
    assert_eq!(lan.board(1).counters().of(Count::Replayed), 1);
}

/// A question for a claim does not stand in the way of one for an introduction,
/// as another one for that would (K4).
#[test]
fn who_is_asked_for_its_claim_may_be_asked_for_its_introduction() {
    for (flags, asked) in [(0, 1), (flag::INTRODUCE, 0)] {
        let mut lan = plain(1);
        let now = lan.now;
        lan.board(1).ask_whois(now, Some(ip(66)), flags, None);
        let rank = Rank {
            vote: 7,
            address: ip(66),
        };
        let vote = build_with_trailer(Text::Vote(rank), Trailer::default(), |signed| {
            ring().tag(signed, Some(5))
        });
        lan.inject(at(66, 2000), at(1, 2000), &vote);
        lan.run(millis(1));
        let counters = lan.board(1).counters();
        assert_eq!(counters.of(Count::IntroductionAsked), asked);
    }
}
