//! A client: its rounds, its words, and a tracker that fails it.

use super::*;
use crate::matching::lab::CENTRAL;
use crate::matching::script::{NOTHING, Script};

fn client(rounds: u32, find: Option<u8>) -> Script<Client> {
    client_with(rounds, find, Zeal::Return)
}

fn client_with(rounds: u32, find: Option<u8>, zeal: Zeal) -> Script<Client> {
    let mut script = Script::new(Client::new(Options {
        name: "C1".into(),
        rounds,
        find: find.and_then(Number::new),
        place: Place::At(CENTRAL),
        zeal,
        quiet: false,
    }));
    assert_eq!(script.start(), ["connect 127.0.0.1:8080"]);
    script
}

#[test]
fn its_words_are_those_of_the_exercise() {
    let mut script = client(4, Some(5));
    assert_eq!(
        script.up(1),
        [
            "1 < HI C1|",
            "C1: sending \"Hi\" to Central.",
            "1 < SRCH 5|",
            "C1: find match of 5"
        ]
    );
    assert_eq!(
        script.hear(1, "RSLT |"),
        [
            "C1: No match has been found",
            "1 < SRCH 5|",
            "C1: find match of 5"
        ]
    );
    assert_eq!(
        script.hear(1, "RSLT S1|")[0],
        "C1: Match found on servers S1"
    );
    assert_eq!(
        script.hear(1, "RSLT S1 S3|")[0],
        "C1: Match found on servers S1 and S3"
    );
    assert_eq!(
        script.hear(1, "RSLT S1 S3 S5|RSLT S9|"),
        [
            "C1: Match found on servers S1, S3 and S5",
            "1 closed",
            "exit 0"
        ]
    );
}

#[test]
fn only_a_number_asked_for_and_never_found_is_a_negative_answer() {
    let mut script = client(1, Some(5));
    script.up(1);
    assert_eq!(script.hear(1, "RSLT |")[2], "exit 1");
    let mut script = client(1, None);
    script.up(1);
    assert_eq!(script.hear(1, "RSLT |")[2], "exit 0");
}

#[test]
fn numbers_are_drawn_anew_each_round() {
    let mut script = client(101, None);
    script.up(1);
    let mut seen = [0; 11];
    for _ in 0..100 {
        let told = script.hear(1, "RSLT |");
        let number: usize = told[1]
            .strip_prefix("1 < SRCH ")
            .and_then(|rest| rest.strip_suffix('|'))
            .unwrap()
            .parse()
            .unwrap();
        seen[number] += 1;
    }
    assert_eq!(seen[0], 0);
    assert!(seen[1..].iter().all(|&count| count > 0), "{seen:?}");
}

#[test]
fn a_round_that_was_cut_off_is_asked_again() {
    let mut script = client(2, None);
    let asked = script.up(1).remove(2);
    let asked = asked.strip_prefix("1 < ").unwrap();
    script.lose(1);
    assert_eq!(script.wait().1, ["connect 127.0.0.1:8080"]);
    let again = script.up(2).remove(2);
    assert_eq!(again.strip_prefix("2 < "), Some(asked), "the same number");
    assert_eq!(script.hear(1, "RSLT S9|"), NOTHING, "the old connection");
    assert_eq!(
        script.hear(2, "RSLT S1|")[0],
        "C1: Match found on servers S1"
    );
}

#[test]
fn a_tracker_that_gives_no_result_is_left_and_then_given_up() {
    let mut script = client(1, Some(5));
    script.up(1);
    assert_eq!(
        script.wait().1,
        [
            "1 closed",
            "C1: the connection to Central is lost; trying again"
        ]
    );
    assert_eq!(script.now, Instant::ZERO + RESULT_TIME);
    assert_eq!(script.wait().1, ["connect 127.0.0.1:8080"]);
    script.up(2);
    assert_eq!(
        script.wait().1,
        ["2 closed", "C1: Central gives no result", "exit 4"]
    );
}

#[test]
fn a_lost_tracker_is_not_looked_for_for_ever() {
    let mut script = client(2, Some(5));
    script.up(1);
    script.hear(1, "RSLT |");
    script.lose(1);
    let mut told = Vec::new();
    for _ in 0..40 {
        told = script.wait().1;
        if told.last().is_some_and(|line| line == "exit 4") {
            break;
        }
        assert_eq!(told, ["connect 127.0.0.1:8080"]);
        script.refuse();
    }
    assert!(
        told.contains(&"C1: no tracker for 30 s; is one running?".into()),
        "{told:?}"
    );
    let waited = script.now.since(Instant::ZERO);
    assert!(waited < Duration::from_secs(36), "{waited:?}");
}

#[test]
fn names_from_a_tracker_cannot_steer_the_terminal() {
    let mut script = client(2, Some(5));
    script.up(1);
    assert_eq!(
        script.hear(1, "RSLT \x1b[2J S2|")[0],
        "C1: Match found on servers \\x1b[2J and S2"
    );
    assert_eq!(script.hear(1, &"x".repeat(RESULT_MAX + 1))[0], "1 closed");
}

#[test]
fn a_refusal_says_why() {
    let mut script = client(2, Some(5));
    script.up(1);
    assert_eq!(
        script.hear(1, "FAIL name taken|RSLT S1|"),
        [
            "1 closed",
            "C1: Central refuses: name taken; give another name",
            "exit 4"
        ]
    );
}

#[test]
fn in_an_exercise_a_lost_tracker_is_the_end() {
    let mut script = client_with(1, None, Zeal::Once(4));
    script.up(1);
    assert_eq!(
        script.half_close(1),
        [
            "1 closed",
            "C1: the connection to Central is lost",
            "exit 4"
        ]
    );
    let mut script = client_with(1, None, Zeal::Once(4));
    script.up(1);
    assert_eq!(script.wait().1.last().unwrap(), "exit 4", "no result");
    let mut script = client_with(1, None, Zeal::Once(4));
    assert_eq!(script.refuse().last().unwrap(), "exit 4", "no tracker");
    assert_eq!(script.role.deadline(), None);
}

/// What comes of another connection, or too early, is no news.
#[test]
fn only_its_own_connection_and_its_own_time_count() {
    let elsewhere = "127.0.0.1:8081".parse().unwrap();
    let mut script = client(2, Some(5));
    let why = "refused";
    let failed = Event::ConnectFailed { to: elsewhere, why };
    assert_eq!(script.tell(failed), NOTHING, "no connection of ours");
    assert_eq!(script.tell(Event::Timer), NOTHING, "it may still come");
    script.up(1);
    assert_eq!(script.hear(2, "RSLT S1|"), NOTHING);
    assert_eq!(script.tell(Event::HalfClosed { peer: Peer(2) }), NOTHING);
    assert_eq!(script.tell(Event::Closed { peer: Peer(2) }), NOTHING);
    assert_eq!(script.tell(Event::Timer), NOTHING, "the result may come");
    script.lose(1);
    assert_eq!(script.tell(Event::Timer), NOTHING, "it rests");
    assert_eq!(script.wait().1, ["connect 127.0.0.1:8080"]);
    assert_eq!(script.tell(Event::Stop), ["exit 1"]);
}

/// The largest tracker's longest result is taken: each server's name at its
/// longest.
#[test]
fn a_result_may_name_as_many_servers_as_there_can_be() {
    let mut script = client(2, Some(5));
    script.up(1);
    let name = "x".repeat(wire::NAME_MAX);
    let names = vec![name; crate::matching::tracker::SERVERS_MAX].join(" ");
    let told = script.hear(1, &format!("RSLT {names}|"));
    assert!(told[0].starts_with("C1: Match found on servers xxx"));
    assert_eq!(told[0].matches('x').count(), 32 * 1_024);
}
