//! Each rule by name, then a day of traffic whose faults are known.

use super::*;
use crate::rng::{Entropy, Seeded};

/// Counts numbers that come every `step` milliseconds.
fn counts(numbers: &[u8], step: u64) -> Counts {
    let mut now = Instant::ZERO + Duration::from_secs(1);
    let mut tally = Tally::new(numbers[0], now);
    for &number in &numbers[1..] {
        now += Duration::from_millis(step);
        tally.take(number, now);
    }
    tally.counts()
}

fn expect(numbers: &[u8], lost: u64, duplicated: u64, reordered: u64, restarts: u64) {
    // From a script as fast as it goes, from a hurried client, from the
    // exercise's, from a person's hand.
    for step in [0, 20, 500, 2_000] {
        assert_eq!(
            counts(numbers, step),
            Counts {
                received: numbers.len() as u64,
                lost,
                duplicated,
                reordered,
                restarts
            },
            "{numbers:?} every {step} ms"
        );
    }
}

fn sequence(ranges: &[core::ops::RangeInclusive<u8>]) -> Vec<u8> {
    ranges.iter().cloned().flatten().collect()
}

#[test]
fn one_gap_one_duplicate_and_one_restart_are_told_apart() {
    expect(&[1, 2, 3, 3, 5, 6], 1, 1, 0, 0);
    expect(&[1, 2, 3, 3, 5, 6, 1, 2, 3], 1, 1, 0, 1);
}

#[test]
fn coming_round_is_no_gap() {
    expect(&sequence(&[1..=100, 1..=100, 1..=40]), 0, 0, 0, 0);
    expect(&sequence(&[98..=100, 1..=3]), 0, 0, 0, 0);
}

#[test]
fn a_server_that_starts_late_has_lost_nothing() {
    expect(&[37, 38, 40], 1, 0, 0, 0);
    expect(&[37, 36, 38], 0, 0, 1, 0);
}

#[test]
fn a_late_number_is_not_lost() {
    expect(&[1, 2, 4, 3, 5], 0, 0, 1, 0);
    expect(&[99, 1, 100, 2], 0, 0, 1, 0);
    expect(&[1, 5, 4, 3, 2, 6], 0, 0, 3, 0);
    expect(&[1, 2, 4, 3, 3, 5], 0, 1, 1, 0);
}

#[test]
fn every_number_twice_is_no_restart() {
    expect(&[1, 1, 2, 2, 3, 3, 4, 4, 5, 5], 0, 5, 0, 0);
    expect(&[1, 2, 1, 3, 2, 4, 3, 5, 4], 0, 4, 0, 0);
    expect(&[5, 6, 7, 5, 6, 7, 8], 0, 3, 0, 0);
}

#[test]
fn a_client_that_begins_anew_is_recognised_wherever_it_was() {
    for last in 3..=88 {
        expect(&sequence(&[1..=last, 1..=5]), 0, 0, 0, 1);
    }
    // After one number or two only its second number tells.
    expect(&[1, 2, 1, 2, 3], 0, 0, 0, 1);
    // Its first numbers lost.
    expect(&sequence(&[1..=70, 1..=3]), 0, 0, 0, 1);
    for step in [500, 2_000] {
        assert_eq!(counts(&sequence(&[1..=40, 2..=9]), step).restarts, 1);
        assert_eq!(counts(&sequence(&[1..=40, 2..=9]), step).lost, 1);
    }
    assert_eq!(counts(&sequence(&[1..=40, 2..=9]), 0).restarts, 1);
}

#[test]
fn a_burst_of_loss_is_a_gap() {
    expect(&sequence(&[1..=10, 31..=35]), 20, 0, 0, 0);
    expect(&sequence(&[60..=95, 12..=15]), 16, 0, 0, 0);
    expect(&sequence(&[60..=97, 1..=5]), 3, 0, 0, 0);
}

/// A 1 after a silence: a short gap, unless it took too long.
#[test]
fn time_tells_a_short_gap_before_1_from_a_restart() {
    let after = |silence: Duration, last: u8| {
        let mut now = Instant::ZERO;
        let mut tally = Tally::new(1, now);
        for number in 2..=last {
            now += Duration::from_millis(500);
            tally.take(number, now);
        }
        tally.take(1, now + silence);
        (tally.counts().lost, tally.counts().restarts)
    };
    assert_eq!(after(Duration::from_millis(1_000), 99), (1, 0));
    assert_eq!(after(Duration::from_millis(5_000), 91), (9, 0));
    assert_eq!(after(Duration::from_secs(60), 99), (0, 1));
    assert_eq!(after(Duration::from_secs(60), 91), (0, 1));
    assert_eq!(after(Duration::from_millis(5_500), 90), (0, 1));
}

#[test]
fn a_restart_does_not_hide_what_comes_late_from_before() {
    let mut now = Instant::ZERO;
    let mut tally = Tally::new(96, now);
    for number in [97, 98, 100, 1, 99, 2, 3] {
        now += Duration::from_millis(1);
        tally.take(number, now);
    }
    assert_eq!(tally.counts().reordered, 1);
    assert_eq!(tally.counts().lost, 0);
}

/// What a simulated network did to a client's numbers.
struct Day {
    now: Instant,
    truth: Counts,
    arrivals: Vec<(Instant, u8)>,
}

/// A day of one client at two messages a second: loss one by one and in
/// bursts, copies within 200 ms, late ones by up to 900 ms, restarts after a
/// few seconds.
fn day(seed: u64) -> Day {
    let mut random = Seeded::new(seed);
    let mut day = Day {
        now: Instant::ZERO + Duration::from_secs(10),
        truth: Counts::default(),
        arrivals: Vec::new(),
    };
    let mut number = 0;
    let mut burst = 0;
    let end = day.now + Duration::from_secs(86_400);
    while day.now < end {
        number = next(number);
        let fault = random.below(10_000);
        let transit = Duration::from_micros(random.below(2_000).into());
        if burst == 0 && fault < 5 && number > 5 {
            burst = 2 + random.below(20);
        }
        if burst > 0 || fault < 100 {
            burst = burst.saturating_sub(1);
            // A long gap that ends before a 1 would be read as a restart.
            burst += u32::from(burst == 0 && number == LAST);
            day.truth.lost += 1;
        } else if fault < 150 {
            let copy = Duration::from_micros(random.below(200_000).into());
            day.arrivals.push((day.now + transit, number));
            day.arrivals.push((day.now + transit + copy, number));
            day.truth.duplicated += 1;
        } else if fault < 200 {
            let late = Duration::from_micros(510_000 + u64::from(random.below(390_000)));
            day.arrivals.push((day.now + late, number));
            // The next one overtakes it for certain.
            number = next(number);
            day.now += Duration::from_millis(500);
            day.arrivals.push((day.now, number));
            day.truth.reordered += 1;
        } else {
            day.arrivals.push((day.now + transit, number));
        }
        day.now += Duration::from_millis(500);
        if random.below(2_000) == 0 && burst == 0 && (6..=85).contains(&number) {
            // The last one before and the first one after are heard, or what
            // was lost at the seam could not be known.
            number = next(number);
            day.arrivals.push((day.now, number));
            day.now += Duration::from_millis(1_500 + u64::from(random.below(5_000)));
            day.arrivals.push((day.now, 1));
            day.now += Duration::from_millis(500);
            number = 1;
            day.truth.restarts += 1;
        }
    }
    day.arrivals.push((day.now, next(number)));
    day.arrivals.sort();
    day.truth.received = day.arrivals.len() as u64;
    day
}

#[test]
fn a_day_of_traffic_is_counted_as_it_was() {
    let mut wrong = Vec::new();
    for seed in 0..20 {
        let day = day(seed);
        let mut arrivals = day.arrivals.iter();
        let &(at, number) = arrivals.next().unwrap();
        let mut tally = Tally::new(number, at);
        for &(at, number) in arrivals {
            tally.take(number, at);
        }
        assert!(day.truth.lost > 1_000 && day.truth.restarts > 10 && day.truth.reordered > 500);
        if tally.counts() != day.truth {
            wrong.push(format!("seed {seed}: {} of {}", tally.counts(), day.truth));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn how_old_a_number_is_tells_late_from_begun_anew() {
    // 35 behind: 0.7 s old, or 1.75 s.
    let numbers = sequence(&[1..=40, 5..=5, 41..=42]);
    assert_eq!(counts(&numbers, 20).duplicated, 1);
    assert_eq!(counts(&numbers, 20).restarts, 0);
    assert_eq!(counts(&numbers, 50).restarts, 1);
}

#[test]
fn what_came_before_the_server_was_never_counted_as_lost() {
    expect(&[37, 39, 36, 40], 1, 0, 1, 0);
}

/// Four in sequence that were read as duplicates were a long gap (rule 3); its
/// first numbers count as heard from then on, those before them as lost.
#[test]
fn four_duplicates_in_sequence_from_above_10_were_a_long_gap() {
    let gap = sequence(&[1..=60, 11..=14]);
    assert_eq!((counts(&gap, 0).lost, counts(&gap, 0).duplicated), (50, 0));
    let again = [gap.clone(), vec![13, 11, 12, 14]].concat();
    assert_eq!(
        counts(&again, 0),
        Counts {
            received: 68,
            lost: 50,
            duplicated: 4,
            ..Counts::default()
        }
    );
    let late = counts(&[gap, vec![66]].concat(), 0);
    assert_eq!((late.lost, late.duplicated, late.reordered), (49, 0, 1));
    let from_1 = [sequence(&[1..=40, 1..=3]), vec![2, 1, 3]].concat();
    let from_1 = counts(&from_1, 0);
    assert_eq!((from_1.restarts, from_1.lost), (1, 0));
    assert_eq!((from_1.duplicated, from_1.reordered), (3, 0));
}

/// What was never followed and comes in sequence is no reordering either.
#[test]
fn four_in_sequence_from_before_the_server_were_a_long_gap() {
    let numbers = sequence(&[60..=61, 31..=34]);
    assert_eq!(
        counts(&numbers, 0),
        Counts {
            received: 6,
            lost: 69,
            ..Counts::default()
        }
    );
}

/// The pace is that of many numbers: one that took longer changes it little.
#[test]
fn a_pause_does_not_make_old_what_came_before() {
    let mut now = Instant::ZERO;
    let mut tally = Tally::new(1, now);
    for number in 2..=40 {
        now += Duration::from_millis(if number == 40 { 60 } else { 20 });
        tally.take(number, now);
    }
    tally.take(5, now);
    assert_eq!((tally.counts().duplicated, tally.counts().restarts), (1, 0));
}

/// Rule 4 at its edges: twice as long as the gap and a second more is a gap
/// still; a pace that is too fast, or of too few numbers, proves nothing.
#[test]
fn a_short_gap_before_1_has_its_time_to_the_microsecond() {
    let after = |first: u8, step: u64, silence: u64| {
        let mut now = Instant::ZERO;
        let mut tally = Tally::new(first, now);
        for number in first + 1..=97 {
            now += Duration::from_millis(step);
            tally.take(number, now);
        }
        tally.take(1, now + Duration::from_micros(silence));
        (tally.counts().lost, tally.counts().restarts)
    };
    assert_eq!(after(1, 500, 5_000_000), (3, 0));
    assert_eq!(after(1, 500, 5_000_001), (0, 1));
    assert_eq!(after(90, 500, 60_000_000), (0, 1));
    assert_eq!(after(91, 500, 60_000_000), (3, 0), "7 numbers");
    assert_eq!(after(1, 9, 60_000_000), (3, 0));
    assert_eq!(after(1, 10, 60_000_000), (0, 1));
}
