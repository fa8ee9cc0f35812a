//! The tracker by script: what peers say, and what each is told, as text.

use super::*;
use crate::matching::script::{NOTHING, Script};

fn tracker(quiet: bool, exercise: Option<usize>) -> Script<Tracker> {
    Script::new(Tracker::new(Options { quiet, exercise }))
}

impl Script<Tracker> {
    fn at(&mut self, millis: u64) -> Vec<String> {
        let until = Instant::ZERO + Duration::from_millis(millis);
        let mut told = Vec::new();
        while let Some(due) = self.role.deadline().filter(|&due| due <= until) {
            self.now = self.now.max(due);
            told.extend(self.tell(Event::Timer));
        }
        self.now = until;
        told
    }

    fn come(&mut self, peer: u32) {
        assert_eq!(self.up(peer), NOTHING);
    }

    fn server(&mut self, peer: u32, name: &str) {
        self.come(peer);
        let told = self.hear(peer, &format!("HELLO {name}|"));
        assert_eq!(told, [format!("{peer} < TRCK 1|")]);
    }

    fn client(&mut self, peer: u32, name: &str) {
        self.come(peer);
        assert!(self.hear(peer, &format!("HI {name}|")).is_empty());
    }
}

#[test]
fn a_search_ends_with_its_last_answer() {
    let mut script = tracker(true, None);
    script.server(1, "S1");
    script.server(2, "S2");
    script.client(3, "C1");
    assert_eq!(script.hear(3, "SRCH 3|"), ["1 < SRCH 3|", "2 < SRCH 3|"]);
    assert_eq!(script.hear(1, "MTCH |"), NOTHING);
    assert_eq!(script.hear(2, "NONE |"), ["3 < RSLT S1|"]);
    assert_eq!(script.hear(3, "SRCH 4|"), ["1 < SRCH 4|", "2 < SRCH 4|"]);
    assert_eq!(script.hear(2, "MTCH |"), ["3 < RSLT S2|"], "S1 holds 3");
    assert_eq!(script.hear(1, "NONE |"), NOTHING);
    assert_eq!(script.role.counters().wrong, 0);
}

#[test]
fn a_search_over_silent_servers_ends_after_two_seconds() {
    let mut script = tracker(true, None);
    script.server(1, "S1");
    script.server(2, "S2");
    script.client(3, "C1");
    script.hear(3, "SRCH 3|");
    script.at(1_999);
    assert_eq!(script.hear(2, "MTCH |"), NOTHING, "S1 may still answer");
    assert_eq!(script.at(2_000), ["3 < RSLT S2|"]);
    script.hear(3, "SRCH 3|");
    assert_eq!(script.at(3_999), NOTHING);
    assert_eq!(script.at(4_000), ["3 < RSLT |"]);
}

#[test]
fn a_search_without_servers_or_number_is_answered_at_once() {
    let mut script = tracker(true, None);
    script.client(1, "C1");
    assert_eq!(script.hear(1, "SRCH 3|"), ["1 < RSLT |"]);
    script.server(2, "S1");
    for request in ["SRCH 0|", "SRCH 11|", "SRCH |", "SRCH C1 3|", "SRCH|"] {
        assert_eq!(script.hear(1, request), ["1 < RSLT |"], "{request}");
    }
    assert_eq!(script.role.counters().no_number, 5);
}

/// A slow old server may have one question at a time: three searches take
/// three times two seconds, and none gets another's answer.
#[test]
fn overlapping_searches_over_old_servers_wait_for_each_other() {
    let mut script = tracker(true, None);
    script.server(1, "S1");
    for peer in 2..=4 {
        script.client(peer, &format!("C{peer}"));
    }
    assert_eq!(script.hear(2, "SRCH 5|"), ["1 < SRCH 5|"]);
    assert_eq!(script.hear(3, "SRCH 6|"), NOTHING);
    assert_eq!(script.hear(4, "SRCH 7|"), NOTHING);
    assert_eq!(script.at(2_000), ["2 < RSLT |", "1 < SRCH 6|"]);
    assert_eq!(script.at(4_000), ["3 < RSLT |", "1 < SRCH 7|"]);
    assert_eq!(script.at(5_999), NOTHING);
    assert_eq!(script.hear(1, "MTCH |"), ["4 < RSLT S1|"]);
}

#[test]
fn overlapping_searches_over_prompt_servers_do_not_wait() {
    let mut script = tracker(true, None);
    script.server(1, "S1");
    script.client(2, "C2");
    script.client(3, "C3");
    script.hear(2, "SRCH 1|");
    script.hear(1, "NONE |");
    assert_eq!(script.hear(2, "SRCH 5|"), ["1 < SRCH 5|"]);
    assert_eq!(script.hear(3, "SRCH 6|"), ["1 < SRCH 6|"]);
    assert_eq!(
        script.hear(1, "NONE |MTCH |"),
        ["2 < RSLT |", "3 < RSLT S1|"]
    );
}

#[test]
fn clients_that_ask_for_the_same_number_share_a_search() {
    let mut script = tracker(true, None);
    script.server(1, "S1");
    for peer in 2..=5 {
        script.client(peer, &format!("C{peer}"));
    }
    assert_eq!(script.hear(2, "SRCH 5|"), ["1 < SRCH 5|"]);
    assert_eq!(script.hear(3, "SRCH 6|"), NOTHING);
    assert_eq!(script.hear(4, "SRCH 6|"), NOTHING, "waits with the other");
    assert_eq!(script.hear(5, "SRCH 5|"), NOTHING, "takes part in it");
    assert_eq!(
        script.hear(1, "MTCH |"),
        [
            "2 < RSLT S1|",
            "5 < RSLT S1|",
            "1 < SRCH 6|",
            "3 < RSLT |",
            "4 < RSLT |"
        ],
        "and 6 needs no answer: S1 holds 5"
    );
    assert_eq!(script.role.counters().shared, 2);
}

#[test]
fn a_server_that_came_after_the_question_is_asked_by_the_next() {
    let mut script = tracker(true, None);
    script.server(1, "S1");
    script.client(2, "C2");
    script.client(3, "C3");
    script.hear(2, "SRCH 5|");
    script.server(4, "S4");
    assert_eq!(script.hear(3, "SRCH 5|"), NOTHING, "not the running one's");
    assert_eq!(
        script.at(2_000),
        ["2 < RSLT |", "1 < SRCH 5|", "4 < SRCH 5|"]
    );
}

#[test]
fn a_server_that_leaves_is_neither_waited_for_nor_named() {
    let mut script = tracker(true, None);
    for peer in 1..=3 {
        script.server(peer, &format!("S{peer}"));
    }
    script.client(4, "C1");
    script.client(5, "C2");
    script.hear(4, "SRCH 5|");
    script.hear(5, "SRCH 6|");
    script.hear(1, "MTCH |");
    script.hear(2, "NONE |");
    assert_eq!(script.lose(1), NOTHING);
    assert_eq!(
        script.lose(3),
        ["4 < RSLT |", "2 < SRCH 6|"],
        "S1 held it, but is gone; the queue moves on"
    );
    assert_eq!(script.lose(2), ["5 < RSLT |"]);
}

#[test]
fn a_client_that_leaves_takes_its_request_along() {
    let mut script = tracker(true, None);
    script.server(1, "S1");
    for peer in 2..=4 {
        script.client(peer, &format!("C{peer}"));
    }
    script.hear(2, "SRCH 5|");
    script.hear(3, "SRCH 6|");
    script.hear(4, "SRCH 7|");
    script.lose(2);
    script.lose(3);
    assert_eq!(script.at(1_000), NOTHING, "5 may still be answered");
    assert_eq!(
        script.hear(1, "MTCH |"),
        ["1 < SRCH 7|", "4 < RSLT |"],
        "6 is not asked; S1 holds 5"
    );
}

#[test]
fn names_are_one_word_and_taken_once_a_role() {
    let mut script = tracker(true, None);
    script.server(1, "A");
    script.client(2, "A");
    for (peer, greeting, why) in [
        (3, "HELLO A|", "name taken"),
        (4, "HI A|", "name taken"),
        (5, "HELLO S 1|", "bad name"),
        (6, "HI |", "bad name"),
        (7, "HI|", "bad name"),
        (8, "HELLO \x1b[2J|", "bad name"),
        (9, "SRCH 3|", "bad greeting"),
        (10, "GET / HTTP/1.1\r\n|", "bad greeting"),
    ] {
        script.come(peer);
        assert_eq!(
            script.hear(peer, greeting),
            [format!("{peer} < FAIL {why}|"), format!("{peer} closed")]
        );
    }
    script.come(11);
    assert_eq!(
        script.bytes(11, b"HELLO \xff\0"),
        ["11 < FAIL bad greeting|", "11 closed"]
    );
    script.lose(1);
    script.server(12, "A");
}

#[test]
fn the_next_server_beyond_the_limit_is_refused() {
    let mut script = tracker(true, None);
    for peer in 0..SERVERS_MAX as u32 {
        script.server(peer, &format!("S{peer}"));
    }
    script.come(5_000);
    assert_eq!(
        script.hear(5_000, "HELLO S5000|"),
        ["5000 < FAIL tracker full|", "5000 closed"]
    );
    for peer in 10_000..10_000 + CLIENTS_MAX as u32 {
        script.client(peer, &format!("C{peer}"));
    }
    script.come(20_000);
    assert_eq!(
        script.hear(20_000, "HI C|"),
        ["20000 < FAIL tracker full|", "20000 closed"]
    );
    script.lose(7);
    script.server(5_001, "S5000");
}

#[test]
fn silent_connections_end_and_keep_nobody_out() {
    let mut script = tracker(true, None);
    for peer in 0..UNGREETED_MAX as u32 {
        script.come(peer);
    }
    let told = script.up(3_000);
    assert_eq!(told, ["0 closed"], "the oldest makes room");
    script.hear(3_000, "HI C1|");
    assert_eq!(script.at(9_999), NOTHING);
    assert_eq!(script.at(10_000).len(), UNGREETED_MAX - 1);
    assert_eq!(script.hear(3_000, "SRCH 1|"), ["3000 < RSLT |"]);
    assert_eq!(script.role.deadline(), None, "at rest");
    assert!(script.role.streams.len() == 1 && script.role.ungreeted.is_empty());
}

#[test]
fn a_client_may_ask_ahead_but_not_without_end() {
    let mut script = tracker(true, None);
    script.server(1, "S1");
    script.client(2, "C1");
    script.hear(2, "SRCH 3|SRCH 4|SRCH 99|SRCH 3|");
    assert_eq!(
        script.hear(1, "NONE |"),
        ["2 < RSLT |", "1 < SRCH 4|"],
        "one after the other"
    );
    assert_eq!(
        script.hear(1, "MTCH |"),
        ["2 < RSLT S1|", "2 < RSLT |", "1 < SRCH 3|", "2 < RSLT |"]
    );
    script.hear(2, "SRCH 4|");
    let ahead = "SRCH 1|".repeat(AHEAD_MAX);
    assert_eq!(script.hear(2, &ahead), NOTHING);
    assert_eq!(
        script.hear(2, "SRCH 1|SRCH 1|SRCH 1|"),
        ["2 < FAIL too many searches|", "2 closed"]
    );
}

#[test]
fn a_half_closed_client_gets_what_it_asked_for() {
    let mut script = tracker(true, None);
    script.server(1, "S1");
    script.client(2, "C1");
    script.hear(2, "SRCH 3|SRCH 5|");
    assert_eq!(script.half_close(2), NOTHING);
    assert_eq!(
        script.hear(1, "MTCH |"),
        ["2 < RSLT S1|", "1 < SRCH 5|", "2 < RSLT |", "2 closed"]
    );
    script.client(3, "C1");
    assert_eq!(script.half_close(3), ["3 closed"]);
    assert_eq!(
        script.half_close(1),
        ["1 closed"],
        "a server that cannot answer"
    );
    script.come(4);
    assert_eq!(script.half_close(4), ["4 closed"]);
}

#[test]
fn rude_frames_are_counted_and_end_in_time() {
    let mut script = tracker(true, None);
    script.server(1, "S1");
    script.client(2, "C1");
    for frame in [
        "HI C9|",
        "HELLO S9|",
        "MTCH |",
        "NONE |",
        "XYZ|",
        "RSLT S1|",
    ] {
        assert_eq!(script.hear(2, frame), NOTHING, "{frame}");
    }
    assert_eq!(script.bytes(2, b"SRCH \xff\0"), NOTHING);
    for frame in ["SRCH 3|", "MTCH |", "NONE |", "HELLO S1|"] {
        assert_eq!(script.hear(1, frame), NOTHING, "{frame}");
    }
    assert_eq!(script.role.counters().wrong, 11);
    let rest = "XYZ|".repeat(usize::from(WRONG_MAX) - 8);
    assert_eq!(script.hear(2, &rest), NOTHING);
    assert_eq!(
        script.hear(2, "XYZ|XYZ|"),
        ["2 < FAIL too many wrong frames|", "2 closed"]
    );
    let endless = vec![b'x'; 4_096];
    assert_eq!(
        script.bytes(1, &endless),
        ["1 < FAIL frame too long|", "1 closed"]
    );
    assert_eq!(script.bytes(1, &endless), NOTHING, "it is gone");
    script.come(3);
    assert_eq!(
        script.bytes(3, &endless),
        ["3 < FAIL frame too long|", "3 closed"]
    );
}

/// A frozen prompt server costs one search two seconds, not each of them.
#[test]
fn a_frozen_server_is_waited_for_once() {
    let mut script = tracker(true, None);
    script.server(1, "S1");
    script.server(2, "S2");
    script.client(3, "C1");
    script.hear(3, "SRCH 1|");
    script.hear(1, "NONE |");
    script.hear(2, "NONE |");
    script.hear(3, "SRCH 2|");
    script.hear(1, "NONE |");
    assert_eq!(script.at(2_000), ["3 < RSLT |"]);
    script.hear(3, "SRCH 3|");
    assert_eq!(script.hear(1, "MTCH |"), ["3 < RSLT S1|"], "S2 is mute");
    script.hear(2, "NONE |");
    script.hear(3, "SRCH 4|");
    assert_eq!(script.at(3_999), NOTHING, "S2 is back, and waited for");
    assert_eq!(script.hear(2, "NONE |MTCH |"), ["3 < RSLT S2|"]);
}

#[test]
fn the_trace_is_word_for_word() {
    let mut script = tracker(false, None);
    let mut told = script.start();
    script.come(1);
    told.extend(script.hear(1, "HELLO S1|"));
    script.come(2);
    told.extend(script.hear(2, "HI C1|"));
    told.extend(script.hear(2, "SRCH 5|"));
    told.extend(script.hear(1, "NONE |"));
    told.extend(script.lose(2));
    told.extend(script.lose(1));
    script.come(3);
    told.extend(script.hear(3, "HI a\n\x1b[2J|"));
    assert_eq!(
        told,
        [
            "Central: listening on port 8080.",
            "1 < TRCK 1|",
            "Central: received \"Hello\" from Server S1.",
            "Central: sending \"Track\" to Server S1.",
            "Central: received \"Hi\" from Client C1.",
            "Central: process match request from C1",
            "1 < SRCH 5|",
            "Central: sending search of 5 to 1 server.",
            "Central: received \"None\" from Server S1.",
            "2 < RSLT |",
            "Central: send match reply to C1",
            "Central: Client C1 has left.",
            "Central: Server S1 has left.",
            "Central: refused \"a\\n\\x1b[2J\": bad name.",
            "3 < FAIL bad name|",
            "3 closed",
        ]
    );
}

#[test]
fn an_exercise_begins_with_its_last_server_and_ends_with_its_last_client() {
    let mut script = tracker(true, Some(2));
    script.client(1, "C1");
    script.client(2, "C2");
    assert_eq!(script.hear(1, "SRCH 3|"), NOTHING);
    script.server(3, "S1");
    script.come(4);
    assert_eq!(
        script.hear(4, "HELLO S2|"),
        ["4 < TRCK 1|", "3 < SRCH 3|", "4 < SRCH 3|"]
    );
    assert_eq!(script.lose(1), NOTHING);
    assert_eq!(script.lose(2), ["exit 0"]);
}

#[test]
fn one_question_too_many_ahead_is_the_end() {
    let mut script = tracker(true, None);
    script.server(1, "S1");
    script.client(2, "C1");
    script.hear(2, "SRCH 4|");
    assert_eq!(script.hear(2, &"SRCH 1|".repeat(AHEAD_MAX)), NOTHING);
    assert_eq!(
        script.hear(2, "SRCH 1|"),
        ["2 < FAIL too many searches|", "2 closed"]
    );
}

/// On request it tells what runs, and what has happened; then it ends.
#[test]
fn the_report_tells_what_runs_and_what_waits() {
    let mut script = tracker(true, None);
    script.server(1, "S1");
    script.client(2, "C1");
    script.client(3, "C2");
    script.client(4, "C3");
    script.come(5);
    script.hear(2, "SRCH 3|");
    script.hear(3, "SRCH 4|");
    script.hear(4, "SRCH 5|");
    assert_eq!(
        script.tell(Event::Report),
        [
            "Central: 1 servers, 3 clients, 1 yet to greet; 1 searches running, 2 waiting; \
          searches 1, shared 0, for no number 0; answers out of time 0; wrong frames 0; \
          peers refused 0, too long without a greeting 0"
        ]
    );
    assert_eq!(script.tell(Event::Stop), ["exit 0"]);
}

/// Whoever drew the port has to be told; an exercise knows it.
#[test]
fn the_port_is_told_but_in_a_quiet_exercise() {
    for (quiet, exercise, told) in [
        (false, None, 1),
        (true, None, 1),
        (false, Some(1), 1),
        (true, Some(1), 0),
    ] {
        let mut script = tracker(quiet, exercise);
        let port = "Central: listening on port 8080.";
        assert_eq!(script.tell(Event::Start { port: 8_080 }), vec![port; told]);
    }
}
