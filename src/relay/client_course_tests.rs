//! The course of a client: its patience, what it believes, and its way out.

use super::*;

const WELCOME: &str = "1/taken/server/1111111111/v1";
const HELLO: &str = "1/handshake/1111111111//v1-";
const BYE: &str = "0/terminate/1111111111//";
const NOTHING: &str = "1/send/server/1111111111/";

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn stream(until_read: bool) -> Task {
    Task::Send {
        destination: id("2222222222"),
        text: None,
        until_read,
    }
}

impl Scene {
    /// At a new server.
    fn connected(task: Task) -> Self {
        let mut scene = Self::new(task);
        scene.start();
        scene.hear(WELCOME);
        scene
    }

    /// At an existing server.
    fn connected_to_old(task: Task) -> Self {
        let mut scene = Self::new(task);
        scene.start();
        for _ in 0..OLD_AFTER {
            scene.hear(NOTHING);
            if scene.client.link == Link::Old {
                break;
            }
            scene.wait(KNOCK_EVERY);
        }
        assert_eq!(scene.client.link, Link::Old);
        scene
    }

    fn is_set(&self, timer: Timer) -> bool {
        self.client.timers[timer as usize].is_some()
    }
}

#[test]
fn what_is_for_another_client_is_not_believed() {
    let mut scene = Scene::new(send(true));
    scene.start();
    for frame in [
        "1/taken/server/3333333333/v1",
        "1/refused/server/3333333333/full",
        "100/send/server/3333333333/",
    ] {
        assert!(scene.hear(frame).is_empty(), "{frame}");
        assert!(matches!(scene.client.link, Link::Unknown { .. }), "{frame}");
        assert_eq!(scene.exit, None, "{frame}");
    }
    let sent = scene.hear(WELCOME);
    let number = number_of(&sent[0]).to_string();
    for what in ["taken", "refused", "read"] {
        let frame = format!("{number}/{what}/server/3333333333/2222222222");
        assert!(scene.hear(&frame).is_empty(), "{frame}");
    }
    assert!(scene.client.outgoing.is_some() && scene.said.is_empty());
}

#[test]
fn a_server_taken_for_an_existing_one_may_be_new_after_all() {
    let mut scene = Scene::connected_to_old(Task::Listen { count: None });
    scene.hear("100/send/server/1111111111/");
    assert_eq!(scene.client.link, Link::New);
    // A get goes the old way to every server.
    let mut scene = Scene::new(Task::Get);
    scene.start();
    scene.hear("500/send/2222222222/1111111111/one");
    assert_eq!(scene.client.link, Link::Old);
    scene.wait(millis(500));
    assert_eq!(scene.hear(NOTHING), [BYE]);
}

#[test]
fn a_listener_complains_of_a_silent_server_and_stays() {
    let mut scene = Scene::connected(Task::Listen { count: None });
    assert_eq!(scene.wait(STAY_EVERY), [HELLO]);
    scene.wait(seconds(4));
    assert!(scene.said.is_empty());
    scene.hear(WELCOME);
    scene.wait(seconds(5));
    assert!(scene.said.is_empty(), "it answered");
    scene.wait(seconds(4));
    assert!(scene.said[0].starts_with("! no answer from 10.0.0.1:1025"));
    assert_eq!((scene.said.len(), scene.exit), (1, None));
}

#[test]
fn at_the_menu_only_an_answer_is_waited_for() {
    let mut scene = Scene::connected(Task::Menu);
    scene.wait(seconds(12));
    assert_eq!(scene.said.len(), 1, "{:?}", scene.said);
    scene.line("2");
    scene.wait(seconds(5));
    assert!(scene.said[1].starts_with("! no answer"));
    assert_eq!(
        (scene.said.len(), scene.exit),
        (3, None),
        "and the menu again"
    );
    scene.line("3");
    assert_eq!(scene.exit, Some(1), "something failed");
}

#[test]
fn a_server_that_was_restarted_is_soon_told_who_is_here() {
    let mut scene = Scene::connected(Task::Listen { count: None });
    let other = SocketAddrV4::new([10, 0, 0, 2].into(), 1025);
    scene.event(Event::Refused { to: other });
    assert!(scene.wait(seconds(1)).is_empty());
    scene.event(Event::Refused { to: server() });
    assert!(scene.wait(millis(99)).is_empty());
    assert_eq!(scene.wait(millis(1)), [HELLO]);
    let mut scene = Scene::new(Task::Listen { count: None });
    scene.start();
    scene.event(Event::Refused { to: server() });
    assert!(!scene.is_set(Timer::Stay), "it knocks anyway");
}

#[test]
fn a_listener_asks_an_existing_server_each_second() {
    let mut scene = Scene::connected_to_old(Task::Listen { count: None });
    for _ in 0..3 {
        assert_eq!(scene.wait(seconds(1)), ["1/get/1111111111//"]);
        scene.hear(NOTHING);
    }
}

#[test]
fn a_get_is_patient_while_there_are_answers() {
    let mut scene = Scene::new(Task::Get);
    scene.start();
    for number in 1..4 {
        scene.wait(seconds(4));
        scene.hear(&format!("{number}/send/2222222222/1111111111/one"));
    }
    assert_eq!((scene.said.len(), scene.exit), (3, None));
    scene.wait(seconds(5));
    assert_eq!(scene.exit, Some(1));
}

#[test]
fn numbers_that_come_again_are_told_apart_by_the_rest() {
    let mut scene = Scene::new(Task::Get);
    scene.start();
    for frame in [
        "7/send/2222222222/1111111111/one",
        "7/send/3333333333/1111111111/one",
        "7/send/2222222222/1111111111/two",
        "8/send/2222222222/1111111111/one",
    ] {
        let before = scene.said.len();
        scene.hear(frame);
        assert_eq!(scene.said.len(), before + 1, "{frame}");
    }
    scene.hear("7/send/2222222222/1111111111/one");
    assert_eq!(scene.said.len(), 4, "a copy, three later");
    for number in 10..60 {
        scene.hear(&format!("{number}/send/2222222222/1111111111/one"));
    }
    assert!(
        scene.client.latest.len() < 100,
        "fewer than there are numbers"
    );
    assert_eq!(scene.said.len(), 54);
}

#[test]
fn the_least_identity_is_one() {
    let mut scene = Scene::connected(Task::Listen { count: None });
    assert!(scene.hear("99/send/2222222222/1111111111/x").is_empty());
    let sent = scene.hear("100/send/2222222222/1111111111/x");
    assert_eq!(sent, ["100/ack/1111111111/2222222222/x"]);
    assert_eq!(scene.said, ["2222222222: x"]);
}

#[test]
fn whoever_leaves_settles_what_it_has_and_takes_no_more() {
    let mut scene = Scene::connected(Task::Listen { count: Some(1) });
    let first = "500/send/2222222222/1111111111/one";
    scene.hear(first);
    // The acknowledgement was lost: asked again soon, not at once.
    scene.hear(first);
    assert!(scene.wait(millis(24)).is_empty());
    let sent = scene.wait(millis(1));
    assert!(sent[1].contains("/get/"), "{sent:?}");
    let sent = scene.hear("501/send/2222222222/1111111111/two");
    assert_eq!(sent, [BYE], "not acknowledged: it stays at the server");
    assert_eq!((scene.said.len(), scene.exit), (1, Some(0)));
}

#[test]
fn the_menu_tells_what_a_get_brought() {
    let mut scene = Scene::connected(Task::Menu);
    let menu = scene.said[0].clone();
    scene.line("");
    scene.line("2");
    scene.hear("500/send/2222222222/1111111111/one");
    assert_eq!(scene.said, [&menu, &menu, "2222222222: one", &menu]);
    scene.line("1");
    scene.line("0000000000");
    assert!(scene.said[5].starts_with("! an id has exactly"));
    // The end of input waits for the answer.
    scene.line("2");
    scene.event(Event::InputEnded);
    assert_eq!(scene.client.leaving, None);
    scene.hear("100/send/server/1111111111/");
    assert_eq!(scene.client.leaving, Some(0));

    let mut scene = Scene::connected_to_old(Task::Menu);
    scene.line("2");
    scene.hear("7/send/2222222222/1111111111/one");
    scene.hear(NOTHING);
    assert!(!scene.said.contains(&"no messages".into()));
}

#[test]
fn a_refused_line_is_sent_again_after_a_pause() {
    let mut scene = Scene::connected(stream(false));
    let sent = scene.line("one");
    let refused = format!("{}/refused/server/1111111111/full", number_of(&sent[0]));
    scene.wait(millis(150));
    scene.hear(&refused);
    assert!(scene.wait(millis(199)).is_empty());
    assert_eq!(scene.wait(millis(1)).last(), sent.last());
    scene.wait(millis(4_450));
    assert_eq!(scene.exit, None);
    scene.hear(&refused);
    assert_eq!(scene.exit, Some(1), "no time for another");
}

#[test]
fn reading_is_awaited_when_all_was_sent() {
    let mut scene = Scene::connected(stream(true));
    let sent = scene.line("one");
    let number = number_of(&sent[0]).to_string();
    scene.hear(&format!("{number}/taken/server/1111111111/2222222222"));
    scene.wait(seconds(9));
    assert_eq!(scene.exit, None, "more may be written");
    scene.event(Event::InputEnded);
    scene.wait(millis(4_999));
    assert_eq!(scene.exit, None);
    scene.wait(millis(1));
    assert_eq!(scene.exit, Some(1));
}

#[test]
fn why_a_line_cannot_be_sent_is_told() {
    let mut scene = Scene::connected(stream(false));
    scene.line("");
    scene.line(&"x".repeat(161));
    assert_eq!(
        scene.said[0],
        "! an empty message cannot be sent: write something"
    );
    assert!(scene.said[1].contains("too long with 161 characters and 161 bytes"));
}
