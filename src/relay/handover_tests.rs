//! What passes between servers, and what a client's own frames change: each
//! rule on both of its sides.

use super::*;
use crate::relay::wire::HOPS_MAX;

const OFFER: &str = "3 500/send/1111111111/2222222222/hi";
const PUSH: &str = ":5000 500/send/1111111111/2222222222/hi";
const MESSAGE: &str = "500/send/1111111111/2222222222/hi";

fn id(text: &str) -> Id {
    Id::parse(text).unwrap()
}

impl Scene {
    /// The first of three servers: the third is no neighbour.
    fn at_the_end() -> Self {
        let mut scene = Self::new();
        scene.server.table = Table::new(&line(), 0).unwrap();
        scene.event(Event::Start { port: 1025 });
        scene
    }

    /// `id` is a client of server 3, which is a new one.
    fn with_new_third(spool: Option<Vec<u8>>) -> Self {
        let mut scene = Self::with_spool(spool);
        scene.server_says(3, "1/alive/10.0.0.3//");
        scene.server_says(3, "2222222222/10.0.0.3");
        scene
    }

    fn kept(&self) -> usize {
        self.server.post.count().0
    }

    fn place(&self, id: Id) -> Option<usize> {
        let client = self.server.clients.elsewhere(id);
        client.map(|client| client.server)
    }

    /// Nothing is due that is over already.
    fn assert_awaits(&self) {
        let at = self.server.deadline();
        assert!(at.is_some_and(|at| at > self.now), "{at:?}");
    }
}

fn has(sent: &[String], frame: &str) -> bool {
    sent.iter().any(|one| one == frame)
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn what_was_offered_is_settled_there_until_that_server_is_silent() {
    let mut scene = Scene::with_new_third(None);
    assert!(has(&scene.client_says(4000, MESSAGE), OFFER));
    scene.assert_awaits();
    // Its addressee comes here: it may have it already.
    let sent = scene.client_says(5000, "1/handshake/2222222222//v1");
    assert!(!has(&sent, PUSH), "{sent:?}");
    let sent = scene.client_says(5000, "1/get/2222222222//");
    assert_eq!(sent, [":5000 100/send/server/2222222222/"]);
    let sent = scene.wait(Duration::from_secs(19));
    assert!(has(&sent, OFFER) && !has(&sent, PUSH));
    let sent = scene.wait(Duration::from_secs(7));
    assert!(has(&sent, PUSH), "twice is better than never");
}

#[test]
fn what_was_offered_before_a_restart_waits_for_that_server() {
    let mut scene = Scene::with_spool(Some(Vec::new()));
    scene.client_says(4000, MESSAGE);
    // It was stored for nobody's server: the offer is noted with a record.
    scene.server_says(3, "1/alive/10.0.0.3//");
    assert!(has(&scene.server_says(3, "2222222222/10.0.0.3"), OFFER));
    let mut scene = Scene::with_spool(Some(scene.journal));
    let sent = scene.client_says(5000, "1/handshake/2222222222//v1");
    assert!(!has(&sent, PUSH));
    assert!(!has(&scene.wait(Duration::from_secs(19)), PUSH));
    assert!(has(&scene.wait(Duration::from_secs(6)), PUSH));
}

#[test]
fn a_message_that_is_offered_at_once_costs_one_record() {
    let mut scene = Scene::with_new_third(Some(Vec::new()));
    scene.journal.clear();
    scene.client_says(4000, "499/send/1111111111/7777777777/hi");
    let one = scene.journal.len();
    scene.client_says(4000, MESSAGE);
    assert_eq!(scene.journal.len(), 2 * one);
}

#[test]
fn what_is_shown_here_is_no_longer_noted_for_another_server() {
    let mut scene = Scene::with_new_third(Some(Vec::new()));
    scene.client_says(4000, MESSAGE);
    // Behind the first: noted, but not offered.
    scene.client_says(4000, "501/send/1111111111/2222222222/two");
    scene.client_says(5000, "1/handshake/2222222222//");
    scene.wait(Duration::from_secs(6));
    scene.server_says(3, "500/taken/server/1111111111/2222222222");
    let sent = scene.client_says(5000, "1/get/2222222222//");
    assert_eq!(sent, [":5000 2/send/1111111111/2222222222/two"]);
    let mut scene = Scene::with_spool(Some(scene.journal));
    let sent = scene.client_says(5000, "1/get/2222222222//");
    assert!(sent.last().unwrap().ends_with("/two"), "{sent:?}");
}

#[test]
fn only_the_first_is_on_its_way_and_paced() {
    let mut scene = Scene::with_new_third(None);
    scene.client_says(4000, MESSAGE);
    let second = "501/send/1111111111/2222222222/two";
    assert_eq!(
        scene.client_says(4000, second),
        [":4000 501/taken/server/1111111111/2222222222"]
    );
    assert!(scene.wait(millis(199)).is_empty());
    assert_eq!(scene.wait(millis(1)), [OFFER]);
    assert_eq!(scene.count(Count::Repeated), 1);
    let sent = scene.server_says(3, "500/taken/server/1111111111/2222222222");
    assert_eq!(sent, [format!("3 {second}")]);
}

#[test]
fn mail_of_another_server_is_held_a_second_and_goes_on_as_a_second_hop() {
    let mut scene = Scene::with_new_third(None);
    let mail = "600/send/1111111111/2222222222/hi";
    let taken = "1 600/taken/server/1111111111/2222222222";
    assert!(scene.server_says(1, mail).contains(&taken.to_owned()));
    assert!(!scene.wait(millis(999)).concat().contains("/send"));
    let offer = "3 600/send2/1111111111/2222222222/hi";
    assert!(has(&scene.wait(millis(1)), offer));
    // The confirmation was lost: a copy of the same hop changes nothing.
    assert_eq!(scene.server_says(1, mail), [taken]);
    assert_eq!(scene.count(Count::Repeated), 1);
    // A client is told nothing of hops.
    let mut scene = Scene::new();
    scene.client_says(5000, "1/handshake/2222222222//v1");
    assert!(has(&scene.server_says(1, mail), &format!(":5000 {mail}")));
}

#[test]
fn mail_that_flew_too_far_stays() {
    let mut scene = Scene::with_new_third(None);
    let mail = format!("600/send{HOPS_MAX}/1111111111/2222222222/hi");
    scene.server_says(1, &mail);
    let sent = scene.wait(Duration::from_secs(4)).concat();
    assert!(!sent.contains("/hi"), "{sent}");
    assert_eq!(scene.kept(), 1);
}

#[test]
fn what_comes_back_is_this_servers_again() {
    let mut scene = Scene::with_new_third(None);
    scene.client_says(4000, MESSAGE);
    scene.client_says(5000, "1/handshake/2222222222//v1");
    let sent = scene.server_says(3, "500/send2/1111111111/2222222222/hi");
    assert!(has(&sent, PUSH), "{sent:?}");
    // What it said about the earlier hop is void.
    scene.server_says(3, "500/taken/server/1111111111/2222222222");
    assert_eq!(scene.kept(), 1);
}

#[test]
fn what_was_read_is_not_taken_again_by_a_longer_way() {
    let mut scene = Scene::new();
    scene.client_says(5000, "1/handshake/2222222222//v1");
    scene.server_says(3, MESSAGE);
    scene.client_says(5000, "500/ack/2222222222/1111111111/hi");
    assert_eq!(scene.count(Count::HandedOver), 0);
    let sent = scene.server_says(3, "500/send9/1111111111/2222222222/hi");
    assert_eq!(sent, ["3 500/taken/server/1111111111/2222222222"]);
    assert_eq!(scene.kept(), 0);
}

#[test]
fn an_existing_server_is_given_a_second_to_refuse() {
    let mut scene = Scene::with_old_neighbours();
    scene.server_says(3, "2222222222/10.0.0.3");
    let given = "3 1/send/1111111111/2222222222/hi";
    assert!(has(&scene.client_says(4000, MESSAGE), given));
    scene.assert_awaits();
    scene.wait(millis(500));
    scene.client_says(4000, "501/send/1111111111/2222222222/two");
    assert_eq!(scene.kept(), 2, "the first may still be refused");
    scene.wait(millis(499));
    assert_eq!(scene.kept(), 2);
    scene.wait(millis(1));
    assert_eq!(scene.kept(), 1);
    scene.wait(millis(500));
    assert_eq!((scene.kept(), scene.count(Count::HandedOver)), (0, 2));
}

#[test]
fn an_existing_server_is_given_mail_of_others_after_a_second() {
    let mut scene = Scene::with_old_neighbours();
    scene.server_says(3, "2222222222/10.0.0.3");
    scene.server_says(1, "7/send/3333333333/2222222222/hi");
    assert!(!scene.wait(millis(999)).concat().contains("/hi"));
    let given = "3 1/send/3333333333/2222222222/hi";
    assert!(has(&scene.wait(millis(1)), given));
}

#[test]
fn an_existing_server_is_given_four_messages_at_a_time() {
    let mut scene = Scene::with_old_neighbours();
    let limits = Limits {
        mailbox: 9,
        bytes: 9_999,
    };
    scene.server.post = crate::relay::post::Post::new(limits);
    for number in 500..506 {
        scene.client_says(4000, &format!("{number}/send/{A}/{B}/hi"));
    }
    let given = |sent: Vec<String>| sent.iter().filter(|one| one.ends_with("/hi")).count();
    assert_eq!(given(scene.server_says(3, "2222222222/10.0.0.3")), 4);
    scene.assert_awaits();
    assert_eq!(given(scene.wait(millis(49))), 0);
    assert_eq!(given(scene.wait(millis(1))), 2);
    scene.wait(Duration::from_secs(2));
    assert_eq!(scene.kept(), 0);
}

#[test]
fn a_server_that_turns_out_to_be_new_is_offered_what_it_was_given() {
    let mut scene = Scene::with_old_neighbours();
    scene.server_says(3, "2222222222/10.0.0.3");
    scene.client_says(4000, MESSAGE);
    scene.wait(Duration::from_secs(30));
    scene.client_says(4000, "501/send/1111111111/2222222222/two");
    let sent = scene.server_says(3, "1/alive/10.0.0.3//");
    assert_eq!(sent[0], "3 1/alive/10.0.0.2//");
    assert!(has(&sent, "3 501/send/1111111111/2222222222/two"));
    // What was told before it spoke lives on as if told now.
    scene.wait(Duration::from_secs(6));
    assert_eq!(scene.place(id("4444444444")), Some(2));
    // Only news and questions are answered.
    assert!(scene.server_says(3, "1/alive/10.0.0.3//").is_empty());
    let sent = scene.server_says(3, "1/alive/10.0.0.3//v1");
    assert_eq!(sent, ["3 1/alive/10.0.0.2//"]);
}

#[test]
fn what_only_a_new_server_says_shows_it() {
    for (frame, is_new) in [
        ("100/send/1111111111/2222222222/x", true),
        ("500/taken/server/1111111111/2222222222", true),
        ("500/read/server/1111111111/2222222222", true),
        ("500/ack/1111111111/server/2222222222", true),
        ("99/send/1111111111/2222222222/x", false),
        ("0/terminate/1111111111//1", false),
    ] {
        let mut scene = Scene::new();
        scene.server_says(3, frame);
        assert_eq!(scene.server.table.was_new(2), is_new, "{frame}");
    }
}

#[test]
fn a_list_says_nothing_of_this_server_and_of_the_permanent_id() {
    let mut scene = Scene::with_old_neighbours();
    scene.client_says(5000, "1/handshake/2222222222//v1");
    scene.wait(Duration::from_secs(70));
    scene.server_says(3, "2222222222/10.0.0.2?5555555555/10.0.0.2");
    scene.server_says(3, "0000000000/10.0.0.3?0000000000/10.0.0.2");
    assert_eq!(scene.server.clients.count(), (1, 2));
}

#[test]
fn who_spoke_here_just_now_is_not_given_up_to_a_list() {
    let mut scene = Scene::with_old_neighbours();
    scene.client_says(5000, "1/handshake/2222222222//v1");
    scene.wait(millis(2_999));
    scene.server_says(3, "2222222222/10.0.0.3");
    assert_eq!(scene.place(id(B)), None);
    scene.wait(millis(1));
    scene.server_says(1, "2222222222/10.0.0.3");
    assert_eq!(scene.place(id(B)), None, "hearsay takes longer");
    scene.server_says(3, "2222222222/10.0.0.3");
    assert_eq!(scene.place(id(B)), Some(2));
    // Only its own server says that it is there now.
    scene.server_says(3, "2222222222/10.0.0.1");
    assert_eq!(scene.place(id(B)), Some(2));
    scene.server_says(1, "2222222222/10.0.0.1");
    assert_eq!(scene.place(id(B)), Some(0));
}

#[test]
fn only_new_servers_further_off_are_told_and_only_news_of_here() {
    let mut scene = Scene::at_the_end();
    let told = |sent: Vec<String>| sent.iter().any(|one| one.starts_with("3 "));
    assert!(!told(scene.client_says(4000, "1/handshake/1111111111//")));
    scene.server_says(3, "1/alive/10.0.0.3//");
    assert!(!told(scene.client_says(4000, "1/handshake/1111111111//")));
    assert!(told(scene.client_says(5000, "1/handshake/2222222222//")));
    assert!(!told(scene.server_says(2, "5555555555/10.0.0.2")));
}

#[test]
fn entries_of_a_server_that_was_never_new_stay_while_it_is_away() {
    let mut scene = Scene::with_old_neighbours();
    scene.wait(Duration::from_secs(29));
    for _ in 0..3 {
        scene.event(Event::Refused { to: line()[2] });
        scene.wait(Duration::from_secs(4));
    }
    assert_eq!(scene.place(id("4444444444")), Some(2));
}

#[test]
fn a_handshake_again_changes_nothing_and_another_begins_anew() {
    let mut scene = Scene::new();
    let mut knock = |frame: &str, port: u16| {
        let sent = scene.client_says(port, frame);
        scene.client_says(4000, MESSAGE);
        sent.iter().any(|one| one.ends_with("/hi"))
    };
    let hello = "1/handshake/2222222222//v1-";
    assert!(!knock(hello, 5000));
    assert!(!knock(hello, 5000), "pushed just now");
    assert!(knock("1/handshake/2222222222//v1", 5000), "says other");
    scene.event(Event::Refused { to: client(5000) });
    let mut knock = |frame: &str, port: u16| scene.client_says(port, frame);
    assert!(has(&knock("1/handshake/2222222222//v1", 5000), PUSH));
    knock("1/handshake/2222222222//v1", 5001);
    scene.wait(millis(199));
    assert_eq!(scene.wait(millis(1)).len(), 1, "repeated as the first time");
}

#[test]
fn receipts_are_for_whoever_is_there_and_wants_them() {
    let pending = || {
        let mut scene = Scene::new();
        scene.client_says(4000, "1/handshake/1111111111//v1");
        scene.client_says(5000, "1/handshake/2222222222//v1");
        scene.client_says(4000, MESSAGE);
        scene.client_says(5000, "500/ack/2222222222/1111111111/hi");
        assert_eq!(scene.kept(), 1);
        scene
    };
    let forgotten = |scene: &Scene| (scene.kept(), scene.count(Count::ForgottenReceipt));
    let mut scene = pending();
    scene.client_says(4000, "1/handshake/1111111111//v1");
    assert_eq!(forgotten(&scene), (1, 0));
    scene.client_says(4000, "1/handshake/1111111111//");
    assert_eq!(forgotten(&scene), (0, 1), "now the old way");
    let mut scene = pending();
    scene.client_says(4000, "0/terminate/1111111111//");
    assert_eq!(forgotten(&scene), (0, 1), "it left");
    let mut scene = pending();
    scene.server_says(3, "0/terminate/1111111111//1");
    assert_eq!(forgotten(&scene), (0, 1), "another server says so");
}

#[test]
fn an_ack_from_another_port_counts_by_an_old_number_only() {
    let mut scene = Scene::new();
    scene.client_says(5000, "1/handshake/2222222222//v1");
    scene.client_says(4000, "100/send/1111111111/2222222222/hi");
    scene.client_says(5001, "100/ack/2222222222/1111111111/hi");
    assert_eq!(scene.kept(), 1);
    scene.client_says(5001, "1/ack/2222222222/1111111111/hi");
    assert_eq!(scene.kept(), 0);
}

#[test]
fn an_old_client_is_followed_to_its_next_port_and_a_new_one_is_not() {
    let mut scene = Scene::new();
    scene.client_says(4000, "1/handshake/1111111111//");
    scene.client_says(5000, "1/handshake/2222222222//v1");
    scene.wait(Duration::from_secs(1));
    scene.client_says(4001, "1/get/1111111111//");
    let sent = scene.client_says(5001, "77/get/2222222222//");
    assert_eq!(sent, [":5001 1/send/server/2222222222/"]);
    let of = |scene: &Scene, id| *scene.server.clients.here(id).unwrap();
    let (old, new) = (of(&scene, id(A)), of(&scene, id(B)));
    assert_eq!((old.address, old.heard), (client(4001), scene.now));
    assert_eq!(new.address, client(5000));
    assert!(new.heard < scene.now);
    scene.event(Event::Refused { to: client(5000) });
    let sent = scene.client_says(5000, "177/get/2222222222//");
    assert_eq!(sent, [":5000 177/send/server/2222222222/"]);
    let new = of(&scene, id(B));
    assert!(new.heard == scene.now && !new.refuses);
}

#[test]
fn nothing_is_pushed_to_whoever_is_silent_nor_beside_an_answer() {
    let mut scene = Scene::new();
    scene.client_says(5000, "1/handshake/2222222222//v1");
    scene.wait(Duration::from_secs(60));
    assert!(!has(&scene.client_says(4000, MESSAGE), PUSH));
    assert_eq!(scene.client_says(5000, "1/get/2222222222//"), [PUSH]);
    let sent = scene.client_says(4000, "501/send/1111111111/2222222222/two");
    assert!(!has(&sent, PUSH), "answered just now");
}

#[test]
fn a_refused_turn_is_taken_when_its_sender_tries_again() {
    let mut scene = Scene::with_spool(Some(Vec::new()));
    scene.client_says(4000, MESSAGE);
    scene.event(Event::JournalFailed);
    scene.wait(ALIVE_EVERY);
    let taken = ":4000 500/taken/server/1111111111/2222222222";
    assert!(has(&scene.client_says(4000, MESSAGE), taken));
    assert_eq!(scene.kept(), 1, "confirmed, so it is there");
}

#[test]
fn the_spool_is_written_anew_when_it_is_new_or_damaged_only() {
    let told = |scene: &Scene| {
        let complaints = scene.others.iter();
        complaints
            .filter(|one| matches!(one, Action::Complain(_)))
            .count()
    };
    let scene = Scene::with_spool(Some(Vec::new()));
    assert_eq!((scene.rewrites, told(&scene)), (1, 0));
    let mut scene = Scene::with_spool(Some(Vec::new()));
    scene.client_says(4000, MESSAGE);
    let journal = scene.journal.clone();
    let scene = Scene::with_spool(Some(journal.clone()));
    assert_eq!((scene.rewrites, told(&scene)), (0, 0));
    let scene = Scene::with_spool(Some([&journal[..], b"torn"].concat()));
    assert_eq!((scene.rewrites, told(&scene)), (1, 1));
    assert_eq!(Scene::new().rewrites, 0, "there is none");
}

#[test]
fn what_comes_and_goes_is_told_unless_quiet() {
    let told = |scene: &Scene, what: &str| {
        let lines = scene.others.iter();
        lines
            .filter(|one| matches!(one, Action::Print(line) if line.starts_with(what)))
            .count()
    };
    let mut scene = Scene::new();
    scene.client_says(4000, "1/get/2222222222//");
    assert_eq!((told(&scene, "received "), told(&scene, "sent ")), (0, 0));
    scene.server.quiet = false;
    let sent = scene.client_says(4000, "1/get/2222222222//");
    assert_eq!(
        (told(&scene, "received "), told(&scene, "sent ")),
        (1, sent.len())
    );
    scene.event(Event::Stop);
    assert_eq!(scene.others.pop(), Some(Action::Exit(0)));
}

#[test]
fn the_report_tells_all_traffic_and_only_the_drops_there_were() {
    let mut scene = Scene::new();
    scene.client_says(4000, "nonsense");
    scene.client_says(4000, "nonsense");
    scene.client_says(4000, "");
    scene.others.clear();
    scene.event(Event::Report);
    let lines: Vec<String> = scene
        .others
        .iter()
        .filter_map(|action| match action {
            Action::Print(line) => Some(line.clone()),
            _ => None,
        })
        .collect();
    assert!(lines[0].ends_with(" dropped 3"), "{}", lines[0]);
    assert_eq!(
        lines[3..],
        [
            "received: 3",
            "sent: 4",
            "taken: 0",
            "delivered: 0",
            "handed over: 0",
            "repeated: 0",
            "dropped, empty datagram: 1",
            "dropped, not a frame: 2",
        ]
    );
}

#[test]
fn want_of_room_is_no_reason_to_drop_mail_before_a_day_is_over() {
    let mut scene = Scene::new();
    for number in 500..503 {
        scene.client_says(4000, &format!("{number}/send/{A}/{B}/x"));
    }
    scene.wait(Duration::from_secs(23 * 3_600));
    scene.client_says(4000, "503/send/1111111111/2222222222/x");
    scene.wait(ALIVE_EVERY);
    assert_eq!((scene.kept(), scene.count(Count::OldMail)), (3, 0));
}
