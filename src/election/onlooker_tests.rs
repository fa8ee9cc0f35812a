use super::*;
use crate::election::wire::{Datagram, build, build_with_trailer, checksum};

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 3, 52, last)
}

fn rank(last: u8, vote: u8) -> Rank {
    Rank {
        vote,
        address: ip(last),
    }
}

fn at(millis: u64) -> Instant {
    Instant::from_micros(1_000_000) + Duration::from_millis(millis)
}

fn hear(onlooker: &mut Onlooker, millis: u64, last: u8, bytes: &[u8]) -> Option<Event> {
    onlooker.handle_datagram(at(millis), SocketAddrV4::new(ip(last), 2000), bytes)
}

fn plain(text: Text<'_>) -> Datagram {
    build(text, true)
}

fn in_epoch(text: Text<'_>, epoch: u32) -> Datagram {
    let epoch = Epoch(epoch);
    build_with_trailer(
        text,
        Trailer {
            epoch,
            ..Trailer::default()
        },
        checksum,
    )
}

fn verdict(dead: u8, epoch: u32) -> Datagram {
    let trailer = Trailer {
        flags: flag::VERDICT,
        epoch: Epoch(epoch),
        about: Some(ip(dead)),
        ..Trailer::default()
    };
    build_with_trailer(Text::Call, trailer, checksum)
}

/// The table as text: `2:7 leading, 3:- slave`.
fn table(onlooker: &Onlooker) -> String {
    let rows = onlooker.boards().map(|(row, standing)| {
        let vote = row.vote.map_or("-".into(), |vote| vote.to_string());
        format!("{}:{vote} {}", row.address.octets()[3], standing.word())
    });
    rows.collect::<Vec<_>>().join(", ")
}

#[test]
fn a_plain_election_shows_who_leads_and_then_who_says_so() {
    let mut onlooker = Onlooker::new();
    assert_eq!(
        hear(&mut onlooker, 0, 250, &plain(Text::Call)),
        Some(Event::Call(ip(250)))
    );
    for (last, vote) in [(2, 7), (3, 9), (4, 9)] {
        let vote = rank(last, vote);
        assert_eq!(
            hear(&mut onlooker, 1, last, &plain(Text::Vote(vote))),
            Some(Event::Vote(vote, None))
        );
    }
    assert_eq!(table(&onlooker), "2:7 slave, 3:9 slave, 4:9 leading");
    let answer = plain(Text::Answer {
        name: b"Four",
        address: ip(4),
    });
    assert_eq!(
        hear(&mut onlooker, 200, 4, &answer),
        Some(Event::Master {
            address: ip(4),
            name: Some(b"Four".into())
        })
    );
    assert_eq!(hear(&mut onlooker, 300, 4, &answer), None, "no news");
    assert_eq!(table(&onlooker), "2:7 slave, 3:9 slave, 4:9 master");
}

#[test]
fn a_new_election_forgets_the_last_votes_but_not_those_that_overtook_it() {
    let mut onlooker = Onlooker::new();
    hear(&mut onlooker, 0, 250, &plain(Text::Call));
    hear(&mut onlooker, 1, 2, &plain(Text::Vote(rank(2, 7))));
    hear(&mut onlooker, 1, 3, &plain(Text::Vote(rank(3, 8))));
    hear(&mut onlooker, 5_000, 3, &plain(Text::Vote(rank(3, 4))));
    hear(&mut onlooker, 5_001, 250, &plain(Text::Call));
    assert_eq!(table(&onlooker), "2:- slave, 3:4 leading");
    hear(&mut onlooker, 5_050, 2, &plain(Text::Vote(rank(2, 7))));
    hear(&mut onlooker, 5_060, 250, &plain(Text::Call));
    assert_eq!(
        table(&onlooker),
        "2:7 leading, 3:4 slave",
        "a second VOTE so soon is the same round's"
    );
}

#[test]
fn a_higher_epoch_begins_a_round_without_its_call() {
    let mut onlooker = Onlooker::new();
    hear(&mut onlooker, 0, 2, &in_epoch(Text::Vote(rank(2, 7)), 4));
    hear(&mut onlooker, 0, 3, &in_epoch(Text::Claim(rank(3, 9)), 4));
    assert_eq!(table(&onlooker), "2:7 slave, 3:9 master");
    hear(&mut onlooker, 1, 2, &in_epoch(Text::Vote(rank(2, 1)), 5));
    assert_eq!(table(&onlooker), "2:1 leading, 3:- slave");
    assert_eq!(onlooker.epoch(), Epoch(5));
}

#[test]
fn the_first_epoch_heard_is_no_new_round() {
    let mut onlooker = Onlooker::new();
    let answer = Text::Answer {
        name: b"Peter",
        address: ip(3),
    };
    assert!(hear(&mut onlooker, 0, 3, &plain(answer)).is_some());
    let vote = in_epoch(Text::Vote(rank(3, 7)), 4);
    assert!(hear(&mut onlooker, 5, 3, &vote).is_some());
    let claim = in_epoch(Text::Claim(rank(3, 7)), 4);
    assert_eq!(hear(&mut onlooker, 10, 3, &claim), None, "it was known");
    let next = in_epoch(Text::Claim(rank(2, 9)), 5);
    assert!(hear(&mut onlooker, 20, 2, &next).is_some());
    assert_eq!(table(&onlooker), "2:9 master, 3:- slave");
}

#[test]
fn claims_are_news_once() {
    let mut onlooker = Onlooker::new();
    let claim = in_epoch(Text::Claim(rank(3, 9)), 4);
    assert!(hear(&mut onlooker, 0, 3, &claim).is_some());
    for millis in 1..100 {
        assert_eq!(hear(&mut onlooker, millis * 1_000, 3, &claim), None);
    }
    assert_eq!(onlooker.boards().next().unwrap().0.changed, at(0));
    assert_eq!(onlooker.boards().next().unwrap().0.heard, at(99_000));
}

#[test]
fn two_masters_show_until_one_falls_silent() {
    let mut onlooker = Onlooker::new();
    hear(&mut onlooker, 0, 2, &in_epoch(Text::Claim(rank(2, 9)), 4));
    hear(&mut onlooker, 500, 3, &in_epoch(Text::Claim(rank(3, 8)), 4));
    assert_eq!(table(&onlooker), "2:9 master, 3:8 master");
    hear(
        &mut onlooker,
        3_500,
        3,
        &in_epoch(Text::Claim(rank(3, 8)), 4),
    );
    assert_eq!(table(&onlooker), "2:9 slave, 3:8 master");
}

#[test]
fn a_resignation_and_a_verdict_take_the_board_off() {
    let mut onlooker = Onlooker::new();
    hear(&mut onlooker, 0, 2, &in_epoch(Text::Claim(rank(2, 9)), 4));
    let resign = plain(Text::Resign(ip(2)));
    assert_eq!(
        hear(&mut onlooker, 1, 2, &resign),
        Some(Event::Resigned(ip(2)))
    );
    assert_eq!(hear(&mut onlooker, 2, 2, &resign), None);
    assert_eq!(table(&onlooker), "2:9 left");
    hear(&mut onlooker, 9, 3, &in_epoch(Text::Claim(rank(3, 8)), 5));
    assert_eq!(
        hear(&mut onlooker, 500, 4, &verdict(3, 6)),
        Some(Event::Verdict {
            from: ip(4),
            dead: ip(3)
        })
    );
    assert!(
        table(&onlooker).ends_with("3:- left"),
        "{}",
        table(&onlooker)
    );
    hear(&mut onlooker, 600, 3, &in_epoch(Text::Vote(rank(3, 1)), 6));
    assert!(table(&onlooker).ends_with("3:1 leading"));
}

#[test]
fn the_table_is_bounded_and_the_longest_silent_goes() {
    let mut onlooker = Onlooker::new();
    hear(&mut onlooker, 0, 2, &plain(Text::Vote(rank(2, 10))));
    for number in 0..3 * BOARDS_MAX as u32 {
        let address = Ipv4Addr::from(0x0b00_0001 + number);
        let vote = Rank { vote: 5, address };
        hear(
            &mut onlooker,
            1 + u64::from(number),
            9,
            &plain(Text::Vote(vote)),
        );
        hear(
            &mut onlooker,
            1 + u64::from(number),
            9,
            &plain(Text::Vote(rank(2, 10))),
        );
    }
    assert_eq!(onlooker.boards().count(), BOARDS_MAX);
    assert!(onlooker.boards().any(|(row, _)| row.address == ip(2)));
}

#[test]
fn junk_and_foreign_trailers_are_no_news() {
    let mut onlooker = Onlooker::new();
    for bytes in [
        &b""[..],
        b"\0",
        b"WHOIS\n",
        b"# 1.2.3.4 11",
        b"hello",
        &[0xff; 99],
    ] {
        assert_eq!(hear(&mut onlooker, 0, 2, bytes), None);
    }
    assert_eq!(onlooker.boards().count(), 0);
    let mut vote = in_epoch(Text::Vote(rank(2, 7)), 4);
    vote[39] ^= 1;
    assert_eq!(
        hear(&mut onlooker, 1, 2, &vote),
        Some(Event::Vote(rank(2, 7), None)),
        "a vote whose tag does not fit is a plain one"
    );
}

/// What is said of a board is a suspicion or a verdict only where it says so.
#[test]
fn a_question_about_a_board_is_no_suspicion_and_a_call_no_verdict() {
    let mut onlooker = Onlooker::new();
    let about = |text, flags| {
        let trailer = Trailer {
            flags,
            epoch: Epoch(3),
            about: Some(ip(9)),
            ..Trailer::default()
        };
        build_with_trailer(text, trailer, checksum)
    };
    let (from, dead) = (ip(2), ip(9));
    let suspicion = Event::Suspicion { from, about: dead };
    for (text, flags, expected) in [
        (Text::Whois, 0, None),
        (Text::Whois, flag::SUSPICION, Some(suspicion)),
        (Text::Call, 0, Some(Event::Call(from))),
        (
            Text::Call,
            flag::VERDICT,
            Some(Event::Verdict { from, dead }),
        ),
    ] {
        assert_eq!(hear(&mut onlooker, 1, 2, &about(text, flags)), expected);
    }
}

/// The same number in a later round is another vote.
#[test]
fn a_vote_said_again_is_news_only_in_another_round() {
    let mut onlooker = Onlooker::new();
    for (epoch, is_news) in [(3, true), (3, false), (4, true), (4, false)] {
        let vote = in_epoch(Text::Vote(rank(2, 7)), epoch);
        assert_eq!(hear(&mut onlooker, 1, 2, &vote).is_some(), is_news);
    }
}
