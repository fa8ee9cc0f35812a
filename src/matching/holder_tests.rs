//! What a `MTCH` means, case by case.

use super::*;
use crate::rng::{Entropy, Seeded};

fn n(value: u8) -> Number {
    Number::new(value).unwrap()
}

fn server() -> Holder {
    Holder::new("S1".into())
}

#[test]
fn an_answer_at_once_proves_the_number() {
    let mut server = server();
    assert!(server.ask(n(3)));
    assert!(server.blocks(), "a second question would be ambiguous");
    assert_eq!(server.take_match(), Meaning::Holds(n(3)));
    assert!(!server.blocks());
    assert!(!server.ask(n(5)), "nobody waits for it at 5");
    assert!(!server.blocks(), "and it may be asked for 3 at once");
    assert!(server.ask(n(3)));
    assert_eq!(server.take_match(), Meaning::Holds(n(3)));
}

#[test]
fn once_known_a_match_to_another_number_is_stale() {
    let mut server = server();
    server.ask(n(3));
    server.take_match();
    server.ask(n(3));
    assert!(server.give_up(n(3)), "late");
    assert!(!server.ask(n(5)));
    assert_eq!(server.take_match(), Meaning::Holds(n(3)), "the late one");
    assert!(server.ask(n(3)));
    assert_eq!(server.take_match(), Meaning::Holds(n(3)));
}

#[test]
fn a_late_match_while_nothing_else_was_asked_tells_the_number() {
    let mut server = server();
    server.ask(n(3));
    server.give_up(n(3));
    assert_eq!(server.take_match(), Meaning::Holds(n(3)));
    assert!(!server.ask(n(5)), "it is known to hold 3");
}

/// The one case that cannot be told apart, and that it heals.
#[test]
fn a_late_first_match_is_taken_for_the_next_number_until_the_next_true_one() {
    let mut server = server();
    server.ask(n(3));
    server.give_up(n(3));
    server.ask(n(5));
    assert_eq!(server.take_match(), Meaning::Holds(n(5)), "in fact 3, late");
    assert!(server.ask(n(5)), "5 is believed");
    server.give_up(n(5));
    assert!(!server.ask(n(3)));
    assert_eq!(
        server.take_match(),
        Meaning::Holds(n(5)),
        "two MTCH, two asked for 5: it may be"
    );
    server.ask(n(3));
    assert_eq!(
        server.take_match(),
        Meaning::Holds(n(3)),
        "three MTCH, but only two asked for 5: it was 3 all along"
    );
    assert!(!server.ask(n(5)));
    assert!(server.ask(n(3)));
}

#[test]
fn a_prompt_server_answers_in_order_however_many_are_out() {
    let mut server = server();
    server.ask(n(1));
    assert_eq!(server.take_none(), Meaning::HoldsNot);
    for value in 2..=9 {
        assert!(server.ask(n(value)));
        assert!(!server.blocks());
    }
    for _ in 2..=6 {
        assert_eq!(server.take_none(), Meaning::HoldsNot);
    }
    assert_eq!(server.take_match(), Meaning::Holds(n(7)));
    assert!(server.awaited().is_empty(), "8 and 9 it cannot hold");
    assert_eq!(server.take_none(), Meaning::HoldsNot);
    assert_eq!(server.take_none(), Meaning::HoldsNot);
    assert_eq!(server.take_none(), Meaning::Wrong, "one too many");
    assert_eq!(server.take_match(), Meaning::Wrong);
}

/// Others answer, searches follow each other, and this one is slow.
#[test]
fn a_prompt_server_far_behind_is_still_understood() {
    let mut server = server();
    server.ask(n(1));
    server.take_none();
    server.ask(n(6));
    server.take_match();
    assert!(server.ask(n(6)));
    for _ in 0..10 * RECENT {
        assert!(!server.ask(n(2)));
    }
    assert_eq!(server.take_match(), Meaning::Holds(n(6)));
    assert!(server.awaited().is_empty());
    for _ in 0..10 * RECENT {
        assert_ne!(server.take_none(), Meaning::Wrong);
    }
    server.ask(n(6));
    assert_eq!(server.take_match(), Meaning::Holds(n(6)));
}

#[test]
fn a_prompt_server_that_froze_is_not_waited_for_until_it_speaks() {
    let mut server = server();
    server.ask(n(1));
    server.take_none();
    server.ask(n(2));
    server.give_up(n(2));
    assert!(!server.ask(n(4)), "mute");
    assert_eq!(server.take_none(), Meaning::HoldsNot, "that was for 2");
    assert!(server.ask(n(5)), "it is back");
    assert_eq!(server.take_match(), Meaning::Holds(n(4)));
    assert_eq!(server.take_none(), Meaning::HoldsNot);
}

#[test]
fn a_first_none_behind_a_late_match_tells_what_the_match_meant() {
    let mut server = server();
    server.ask(n(3));
    server.give_up(n(3));
    server.ask(n(5));
    assert_eq!(server.take_match(), Meaning::Holds(n(5)), "in fact 3");
    assert_eq!(server.take_none(), Meaning::HoldsNot, "prompt: so it was 3");
    assert!(!server.ask(n(5)));
    server.ask(n(3));
    assert!(server.awaited().has(n(3)));
}

#[test]
fn a_liar_gains_nothing() {
    let mut server = server();
    assert_eq!(server.take_match(), Meaning::Wrong, "nothing was asked");
    server.ask(n(3));
    assert_eq!(server.take_match(), Meaning::Holds(n(3)));
    for value in [5, 6, 7] {
        server.ask(n(value));
        assert_eq!(server.take_match(), Meaning::Wrong);
    }
    server.ask(n(3));
    assert_eq!(server.take_match(), Meaning::Holds(n(3)), "still itself");
    server.ask(n(3));
    server.give_up(n(3));
    assert_eq!(
        server.take_match(),
        Meaning::Holds(n(3)),
        "late, but honest"
    );
}

/// An honest server that answers late at random is never taken for a liar,
/// and once its number is proven, it is the right one.
#[test]
fn what_is_proven_is_true() {
    let mut proven = 0;
    for seed in 0..3_000 {
        let mut source = Seeded::new(seed);
        let mut server = server();
        let own = n(source.one_to_ten());
        let mut owed = 0;
        for _ in 0..40 {
            let number = n(source.one_to_ten());
            server.ask(number);
            owed += u32::from(number == own);
            for _ in 0..2 {
                if owed > 0 && source.below(3) > 0 {
                    owed -= 1;
                    assert_ne!(server.take_match(), Meaning::Wrong, "seed {seed}");
                }
            }
            server.give_up(number);
            if let Some(number) = server.possible.single() {
                assert_eq!(number, own, "seed {seed}");
                proven += 1;
            }
        }
    }
    assert!(proven > 20_000, "the test tests something: {proven}");
}

#[test]
fn a_prompt_server_that_matches_another_number_lies() {
    let mut server = server();
    server.ask(n(3));
    assert_eq!(server.take_match(), Meaning::Holds(n(3)));
    server.ask(n(5));
    assert_eq!(server.take_none(), Meaning::HoldsNot, "so it is prompt");
    server.ask(n(6));
    assert_eq!(server.take_match(), Meaning::Wrong);
    server.ask(n(3));
    assert_eq!(server.take_match(), Meaning::Holds(n(3)));
}

#[test]
fn what_is_asked_twice_is_awaited_still() {
    let mut server = server();
    server.ask(n(3));
    assert!(server.ask(n(3)));
    assert!(server.awaited().has(n(3)) && server.blocks());
}
