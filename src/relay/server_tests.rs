//! A server alone, frame by frame: what comes in, and all that goes out.

use super::*;
use crate::relay::clients::HERE_MAX;
use crate::relay::post::OLD_MAIL;
use crate::relay::table::ALIVE_EVERY;
use crate::rng::Seeded;
use crate::time::Duration;

#[path = "handover_tests.rs"]
mod handover;

const A: &str = "1111111111";
const B: &str = "2222222222";

/// The second of three servers, and the world around it.
struct Scene {
    server: Server,
    now: Instant,
    random: Seeded,
    journal: Vec<u8>,
    rewrites: u32,
    others: Vec<Action>,
}

fn line() -> Vec<SocketAddrV4> {
    (1..=3)
        .map(|i| SocketAddrV4::new([10, 0, 0, i].into(), 1024 + u16::from(i)))
        .collect()
}

const LIMITS: Limits = Limits {
    mailbox: 3,
    bytes: 1_000,
};

fn client(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new([10, 0, 9, 9].into(), port)
}

impl Scene {
    fn new() -> Self {
        Self::with_spool(None)
    }

    fn with_spool(spool: Option<Vec<u8>>) -> Self {
        let mut scene = Self {
            server: Server::new(Config {
                table: Table::new(&line(), 1).unwrap(),
                limits: LIMITS,
                spool,
                quiet: true,
            }),
            now: Instant::ZERO + Duration::from_secs(1_000),
            random: Seeded::new(1),
            journal: Vec::new(),
            rewrites: 0,
            others: Vec::new(),
        };
        scene.event(Event::Start { port: 1026 });
        scene
    }

    /// What is sent, as `TO FRAME`: 1 and 3 are the neighbours.
    fn event(&mut self, event: Event<'_>) -> Vec<String> {
        let mut actions = Vec::new();
        let mut turn = Turn {
            now: self.now,
            entropy: &mut self.random,
            actions: &mut actions,
        };
        self.server.handle(event, &mut turn);
        let mut sent = Vec::new();
        for action in actions {
            match action {
                Action::Send { to, bytes } => {
                    let frame = String::from_utf8(bytes).unwrap();
                    let name = match to.ip().octets() {
                        [10, 0, 0, server] => format!("{server}"),
                        _ => format!(":{}", to.port()),
                    };
                    sent.push(format!("{name} {frame}"));
                }
                Action::Append(bytes) => self.journal.extend(bytes),
                Action::Rewrite(bytes) => {
                    self.journal = bytes;
                    self.rewrites += 1;
                }
                other => self.others.push(other),
            }
        }
        sent
    }

    fn client_says(&mut self, port: u16, frame: &str) -> Vec<String> {
        self.event(Event::Datagram {
            from: client(port),
            bytes: frame.as_bytes(),
        })
    }

    fn server_says(&mut self, number: usize, frame: &str) -> Vec<String> {
        self.event(Event::Datagram {
            from: line()[number - 1],
            bytes: frame.as_bytes(),
        })
    }

    fn wait(&mut self, time: Duration) -> Vec<String> {
        let end = self.now + time;
        let mut sent = Vec::new();
        while let Some(at) = self.server.deadline().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            sent.extend(self.event(Event::Timer));
            assert!(self.server.deadline().is_none_or(|at| at > self.now));
        }
        self.now = end;
        sent
    }

    fn count(&self, count: Count) -> u32 {
        self.server.counters.of(count)
    }

    /// Waits until the others, who only spoke the old way, count as existing.
    fn with_old_neighbours() -> Self {
        let mut scene = Self::new();
        scene.server_says(1, "3333333333/10.0.0.1");
        scene.server_says(3, "4444444444/10.0.0.3");
        scene.wait(Duration::from_secs(10));
        scene
    }
}

#[test]
fn an_old_client_is_served_as_the_table_says() {
    let mut scene = Scene::new();
    assert_eq!(
        scene.client_says(4000, "1/handshake/1111111111//"),
        [
            "1 0000000000/10.0.0.2?1111111111/10.0.0.2",
            "3 0000000000/10.0.0.2?1111111111/10.0.0.2"
        ]
    );
    scene.client_says(5000, "1/handshake/2222222222//");
    let nothing = [":5000 1/send/server/2222222222/"];
    assert_eq!(scene.client_says(5000, "1/get/2222222222//"), nothing);
    assert!(
        scene
            .client_says(4000, "1/send/1111111111/2222222222/a/b")
            .is_empty()
    );
    assert!(
        scene
            .client_says(4000, "1/send/1111111111/2222222222/c")
            .is_empty()
    );
    for _ in 0..5 {
        let first = [":5000 1/send/1111111111/2222222222/a/b"];
        assert_eq!(scene.client_says(5000, "1/get/2222222222//"), first);
    }
    assert!(
        scene
            .client_says(5000, "1/ack/2222222222/1111111111/a/b")
            .is_empty()
    );
    let second = [":5000 2/send/1111111111/2222222222/c"];
    assert_eq!(scene.client_says(5000, "1/get/2222222222//"), second);
    scene.client_says(5000, "2/ack/2222222222/1111111111/c");
    assert_eq!(scene.client_says(5000, "1/get/2222222222//"), nothing);
    assert_eq!(
        scene.client_says(4000, "0/terminate/1111111111//"),
        [
            "1 0/terminate/1111111111//1",
            "3 0/terminate/1111111111//1",
            "1 0000000000/10.0.0.2",
            "3 0000000000/10.0.0.2"
        ]
    );
}

#[test]
fn a_new_client_is_confirmed_to_pushed_to_and_told_of_reading() {
    let mut scene = Scene::new();
    let sent = scene.client_says(4000, "1/handshake/1111111111//v1");
    assert!(sent.contains(&":4000 1/taken/server/1111111111/v1".into()));
    scene.client_says(5000, "1/handshake/2222222222//v1");
    assert_eq!(
        scene.client_says(4000, "500/send/1111111111/2222222222/hi"),
        [
            ":4000 500/taken/server/1111111111/2222222222",
            ":5000 500/send/1111111111/2222222222/hi"
        ]
    );
    // The confirmation was lost: once more, but no second message.
    assert_eq!(
        scene.client_says(4000, "500/send/1111111111/2222222222/hi"),
        [":4000 500/taken/server/1111111111/2222222222"]
    );
    assert_eq!(
        scene.wait(Duration::from_millis(200)),
        [":5000 500/send/1111111111/2222222222/hi"],
        "pushed again"
    );
    assert_eq!(
        scene.client_says(5000, "500/ack/2222222222/1111111111/hi"),
        [":4000 500/read/server/1111111111/2222222222"]
    );
    assert!(
        scene
            .client_says(4000, "500/ack/1111111111/server/2222222222")
            .is_empty()
    );
    assert_eq!(scene.server.post.count().0, 0);
    assert_eq!(
        scene.client_says(4000, "500/send/1111111111/2222222222/hi"),
        [":4000 500/taken/server/1111111111/2222222222"],
        "a copy that comes after the reading"
    );
    assert_eq!(scene.server.post.count().0, 0);
}

#[test]
fn a_client_that_wants_no_receipts_gets_none() {
    let mut scene = Scene::new();
    scene.client_says(4000, "1/handshake/1111111111//v1-");
    scene.client_says(5000, "1/handshake/2222222222//v1-");
    scene.client_says(4000, "500/send/1111111111/2222222222/hi");
    let sent = scene.client_says(5000, "500/ack/2222222222/1111111111/hi");
    assert!(sent.is_empty(), "{sent:?}");
    assert_eq!(scene.count(Count::ForgottenReceipt), 0);
    scene.server_says(3, "600/read/server/1111111111/2222222222");
    assert_eq!(scene.server.post.count().0, 0);
}

#[test]
fn an_ack_counts_only_from_the_addressee_for_its_own_message() {
    let mut scene = Scene::new();
    scene.client_says(4000, "1/handshake/1111111111//v1");
    scene.client_says(5000, "1/handshake/2222222222//v1");
    scene.client_says(4000, "500/send/1111111111/2222222222/hi");
    for (port, frame) in [
        (6000, "500/ack/2222222222/1111111111/hi"),
        (4000, "500/ack/1111111111/1111111111/hi"),
        (5000, "501/ack/2222222222/1111111111/hi"),
        (5000, "500/ack/2222222222/3333333333/hi"),
        (5000, "1/ack/2222222222/3333333333/hi"),
    ] {
        scene.client_says(port, frame);
        assert_eq!(scene.server.post.count().0, 1, "{frame} from {port}");
    }
    assert_eq!(scene.count(Count::StaleAck), 5);
    scene.client_says(5000, "500/ack/2222222222/1111111111/hi");
    assert_eq!(scene.count(Count::Delivered), 1);
}

#[test]
fn what_is_a_servers_is_believed_from_the_table_only() {
    let mut scene = Scene::new();
    scene.client_says(4000, "1/handshake/1111111111//");
    for frame in [
        "2222222222/10.0.0.3",
        "0/terminate/1111111111//1",
        "1/alive/10.0.0.3//",
        "500/taken/server/1111111111/2222222222",
        "500/send2/1111111111/2222222222/x",
    ] {
        assert!(scene.client_says(1027, frame).is_empty(), "{frame}");
        // The right address with another port is a stranger too.
        let from = SocketAddrV4::new([10, 0, 0, 3].into(), 9);
        let bytes = frame.as_bytes();
        assert!(scene.event(Event::Datagram { from, bytes }).is_empty());
    }
    assert_eq!(scene.count(Count::Stranger), 10);
    assert_eq!(scene.server.clients.count(), (1, 0));
    scene.server_says(3, "1/alive/10.0.0.1//");
    assert!(
        !scene.server.table.was_new(2),
        "an alive for another address"
    );
}

#[test]
fn the_permanent_id_is_refused_to_clients() {
    let mut scene = Scene::new();
    assert!(
        scene
            .client_says(4000, "1/handshake/0000000000//")
            .is_empty()
    );
    assert!(
        scene
            .client_says(4000, "1/send/0000000000/1111111111/x")
            .is_empty()
    );
    assert!(
        scene
            .client_says(4000, "1/send/1111111111/0000000000/x")
            .is_empty()
    );
    assert!(
        scene
            .client_says(4000, "0/terminate/0000000000//")
            .is_empty()
    );
    assert_eq!(scene.server.clients.count(), (0, 0));
    assert_eq!(scene.count(Count::PermanentId), 3);
}

#[test]
fn held_mail_goes_to_an_existing_server_when_its_addressee_appears() {
    let mut scene = Scene::with_old_neighbours();
    scene.client_says(4000, "1/handshake/1111111111//v1");
    assert_eq!(
        scene.client_says(4000, "500/send/1111111111/2222222222/hi"),
        [":4000 500/taken/server/1111111111/2222222222"]
    );
    assert_eq!(
        scene.server_says(3, "2222222222/10.0.0.3"),
        [
            "1 0000000000/10.0.0.2?2222222222/10.0.0.3",
            // Its source first, or it would take the source for its own.
            "3 1111111111/10.0.0.2",
            "3 1/send/1111111111/2222222222/hi"
        ]
    );
    assert!(
        scene.wait(Duration::from_millis(900)).is_empty(),
        "said once"
    );
    scene.event(Event::Refused { to: line()[2] });
    assert_eq!(scene.server.post.count().0, 1, "refused: kept after all");
    let again = scene.wait(Duration::from_secs(12));
    assert!(again.contains(&"3 1/send/1111111111/2222222222/hi".into()));
    scene.wait(Duration::from_secs(2));
    assert_eq!(scene.server.post.count().0, 0);
}

#[test]
fn a_new_server_is_given_mail_until_it_takes_it() {
    let mut scene = Scene::new();
    scene.server_says(3, "1/alive/10.0.0.3//");
    scene.server_says(3, "0000000000/10.0.0.3?2222222222/10.0.0.3");
    let offer = "3 1/send/1111111111/2222222222/hi";
    let sent = scene.client_says(4000, "1/send/1111111111/2222222222/hi");
    let offer_of = |sent: &[String]| {
        let offer = sent.iter().find(|one| one.contains("/send/")).unwrap();
        offer.clone()
    };
    let first = offer_of(&sent);
    assert_ne!(first, offer, "with an identity of its own");
    assert_eq!(scene.wait(Duration::from_millis(200)).join(" "), first);
    // It moves there meanwhile; only the one who was offered it may settle it.
    let number = first[2..].split('/').next().unwrap().to_string();
    let taken = format!("{number}/taken/server/1111111111/2222222222");
    scene.server_says(1, &taken);
    assert_eq!(scene.server.post.count().0, 1);
    scene.server_says(3, &taken);
    assert_eq!(scene.server.post.count().0, 0);
}

#[test]
fn a_client_that_moves_is_terminated_first_and_then_listed() {
    let mut scene = Scene::with_old_neighbours();
    scene.server_says(3, "2222222222/10.0.0.3");
    assert_eq!(
        scene.client_says(5000, "1/handshake/2222222222//"),
        [
            "1 0/terminate/2222222222//1",
            "3 0/terminate/2222222222//1",
            "1 0000000000/10.0.0.2?2222222222/10.0.0.2",
            "3 0000000000/10.0.0.2?2222222222/10.0.0.2"
        ]
    );
}

#[test]
fn entries_of_a_silent_new_server_expire_and_those_of_an_old_one_stay() {
    let mut scene = Scene::with_old_neighbours();
    scene.server_says(3, "1/alive/10.0.0.3//");
    scene.server_says(3, "0000000000/10.0.0.3?2222222222/10.0.0.3");
    let known = |scene: &Scene, id| {
        scene
            .server
            .clients
            .elsewhere(Id::parse(id).unwrap())
            .is_some()
    };
    assert!(known(&scene, B) && known(&scene, "3333333333"));
    scene.wait(Duration::from_secs(18));
    assert!(known(&scene, B));
    scene.wait(Duration::from_secs(8));
    assert!(!known(&scene, B), "silent for 20 s");
    assert!(
        known(&scene, "3333333333"),
        "told by an existing server once"
    );
    scene.server_says(1, "0/terminate/3333333333//1");
    assert!(!known(&scene, "3333333333"));
    // Others cannot bring it back while its server is silent.
    scene.server_says(1, "2222222222/10.0.0.3");
    assert!(!known(&scene, B));
}

#[test]
fn lists_and_signs_of_life_go_out_periodically() {
    let mut scene = Scene::with_old_neighbours();
    let sent = scene.wait(ALIVE_EVERY);
    assert_eq!(
        sent,
        [
            "1 1/alive/10.0.0.2//",
            "1 0000000000/10.0.0.2?3333333333/10.0.0.1?4444444444/10.0.0.3",
            "3 1/alive/10.0.0.2//",
            "3 0000000000/10.0.0.2?3333333333/10.0.0.1?4444444444/10.0.0.3"
        ]
    );
}

#[test]
fn a_full_mailbox_refuses_and_keeps_what_it_promised() {
    let mut scene = Scene::new();
    scene.client_says(4000, "1/handshake/1111111111//v1");
    for number in 500..503 {
        let sent = scene.client_says(4000, &format!("{number}/send/{A}/{B}/x"));
        assert_eq!(sent, [format!(":4000 {number}/taken/server/{A}/{B}")]);
    }
    assert_eq!(
        scene.client_says(4000, "503/send/1111111111/2222222222/x"),
        [":4000 503/refused/server/1111111111/the addressee's mailbox is full"]
    );
    let long = "y".repeat(160);
    for number in 510..514 {
        scene.client_says(4000, &format!("{number}/send/{A}/3333333333/{long}"));
    }
    assert_eq!(
        scene.client_says(4000, &format!("515/send/{A}/4444444444/{long}")),
        [":4000 515/refused/server/1111111111/the server is full"]
    );
    // A day later what nobody fetched makes room.
    scene.wait(OLD_MAIL);
    let sent = scene.client_says(4000, "503/send/1111111111/2222222222/x");
    assert!(sent[0].contains("refused"));
    scene.wait(ALIVE_EVERY);
    assert!(scene.count(Count::OldMail) > 0);
    let sent = scene.client_says(4000, "503/send/1111111111/2222222222/x");
    assert!(sent.contains(&format!(":4000 503/taken/server/{A}/{B}")));
}

#[test]
fn clients_are_bounded() {
    let mut scene = Scene::new();
    for i in 0..HERE_MAX {
        scene.client_says(4000, &format!("1/handshake/{:010}//v1", i + 1));
    }
    assert_eq!(
        scene.client_says(4000, "1/handshake/9999999999//v1"),
        [":4000 1/refused/server/9999999999/no place here for this id"]
    );
    scene.wait(Duration::from_secs(61));
    let sent = scene.client_says(4000, "1/handshake/9999999999//v1");
    assert_eq!(sent[0], "1 0/terminate/0000000001//1", "the idle one goes");
    assert!(sent.contains(&":4000 1/taken/server/9999999999/v1".into()));
}

#[test]
fn junk_is_counted_and_answered_by_nothing() {
    use crate::rng::Entropy;
    let mut scene = Scene::new();
    let mut random = Seeded::new(9);
    for i in 0..5_000u32 {
        let length = random.below(300) as usize;
        let bytes: Vec<u8> = (0..length).map(|_| random.next_u32() as u8).collect();
        let from = if i % 2 == 0 { client(4000) } else { line()[2] };
        let bytes = &bytes;
        assert!(scene.event(Event::Datagram { from, bytes }).is_empty());
    }
    assert_eq!(scene.server.clients.count(), (0, 0));
    assert!(scene.count(Count::NotText) > 4_000 && scene.count(Count::Empty) > 0);
    assert!(
        scene
            .client_says(4000, "1/send/1111111111/2222222222/")
            .is_empty()
    );
    assert_eq!(scene.count(Count::EmptyText), 1);
}

#[test]
fn a_leaving_needs_the_clients_own_address() {
    let mut scene = Scene::new();
    scene.client_says(4000, "1/handshake/1111111111//v1");
    assert!(
        scene
            .client_says(4001, "0/terminate/1111111111//")
            .is_empty()
    );
    assert_eq!(scene.server.clients.count(), (1, 0));
    assert!(
        !scene
            .client_says(4000, "0/terminate/1111111111//")
            .is_empty()
    );
    assert_eq!(scene.server.clients.count(), (0, 0));
}

#[test]
fn a_client_whose_port_is_closed_is_left_in_peace_until_it_speaks() {
    let mut scene = Scene::new();
    scene.client_says(4000, "1/handshake/1111111111//v1");
    scene.event(Event::Refused { to: client(4000) });
    scene.client_says(5000, "500/send/2222222222/1111111111/hi");
    let sent = scene.wait(Duration::from_secs(20));
    assert!(sent.iter().all(|one| !one.starts_with(":4000")), "{sent:?}");
    let sent = scene.client_says(4000, "1/handshake/1111111111//v1");
    assert!(sent.contains(&":4000 500/send/2222222222/1111111111/hi".into()));
}

#[test]
fn what_is_taken_is_in_the_spool_first_and_there_after_a_restart() {
    let mut scene = Scene::with_spool(Some(Vec::new()));
    scene.client_says(4000, "1/handshake/1111111111//v1");
    scene.client_says(4000, "500/send/1111111111/2222222222/hi");
    let journal = scene.journal.clone();
    assert!(!journal.is_empty());
    let mut scene = Scene::with_spool(Some(journal));
    assert_eq!(
        scene
            .client_says(4000, "500/send/1111111111/2222222222/hi")
            .last()
            .unwrap(),
        ":4000 500/taken/server/1111111111/2222222222"
    );
    let sent = scene.client_says(5000, "1/get/2222222222//");
    assert_eq!(
        sent.last().unwrap(),
        ":5000 1/send/1111111111/2222222222/hi"
    );
    scene.client_says(5000, "1/ack/2222222222/1111111111/hi");
    let mut scene = Scene::with_spool(Some(scene.journal));
    let sent = scene.client_says(5000, "1/get/2222222222//");
    assert_eq!(sent.last().unwrap(), ":5000 1/send/server/2222222222/");
}

#[test]
fn nothing_is_confirmed_while_the_spool_cannot_be_written() {
    let mut scene = Scene::with_spool(Some(Vec::new()));
    scene.client_says(4000, "1/handshake/1111111111//v1");
    scene.event(Event::JournalFailed);
    assert_eq!(
        scene.client_says(4000, "500/send/1111111111/2222222222/hi"),
        [":4000 500/refused/server/1111111111/the spool cannot be written"]
    );
    scene.server_says(1, "1/alive/10.0.0.1//");
    assert!(
        scene
            .server_says(1, "600/send/3333333333/2222222222/hi")
            .is_empty()
    );
    scene.wait(ALIVE_EVERY);
    assert_eq!(
        scene.client_says(4000, "500/send/1111111111/2222222222/hi"),
        [":4000 500/taken/server/1111111111/2222222222"]
    );
}

/// What the failed turn took is not there: neither counted nor delivered, and
/// taken once when its sender tries again.
#[test]
fn what_the_spool_did_not_take_was_not_taken() {
    let mut scene = Scene::with_spool(Some(Vec::new()));
    scene.client_says(4000, "1/handshake/1111111111//v1");
    scene.server_says(1, "1/alive/10.0.0.1//");
    scene.client_says(4000, "500/send/1111111111/2222222222/kept");
    scene.client_says(4000, "501/send/1111111111/2222222222/lost");
    scene.event(Event::JournalFailed);
    assert_eq!(scene.count(Count::Taken), 1, "the one before is");
    let refused = [":4000 501/refused/server/1111111111/the spool cannot be written"];
    let again = "501/send/1111111111/2222222222/lost";
    assert_eq!(scene.client_says(4000, again), refused);
    scene.wait(ALIVE_EVERY);
    // Another server's is not confirmed either, and taken when it is repeated.
    let offer = "600/send/3333333333/2222222222/from 1";
    scene.server_says(1, offer);
    scene.event(Event::JournalFailed);
    scene.wait(ALIVE_EVERY);
    assert_eq!(scene.count(Count::Taken), 1);
    let taken = ["1 600/taken/server/3333333333/2222222222"];
    assert_eq!(scene.server_says(1, offer), taken);
    let mut texts = Vec::new();
    for _ in 0..3 {
        let sent = scene.client_says(5000, "1/get/2222222222//").pop().unwrap();
        let frame = sent.strip_prefix(":5000 ").unwrap().to_owned();
        let fields: Vec<&str> = frame.split('/').collect();
        texts.push(fields[4..].join("/"));
        let ack = format!("{}/ack/2222222222/{}/{}", fields[0], fields[2], fields[4]);
        scene.client_says(5000, &ack);
    }
    assert_eq!(texts, ["kept", "from 1", ""]);
    assert_eq!(
        scene.client_says(4000, again),
        [":4000 501/taken/server/1111111111/2222222222"]
    );
}

/// Several datagrams are one turn: all of them are taken, or none.
#[test]
fn a_turn_that_the_spool_did_not_take_is_withdrawn_as_a_whole() {
    let mut scene = Scene::with_spool(Some(Vec::new()));
    let mut actions = Vec::new();
    for number in 500..503 {
        let frame = format!("{number}/send/1111111111/2222222222/hi");
        let mut turn = Turn {
            now: scene.now,
            entropy: &mut scene.random,
            actions: &mut actions,
        };
        let bytes = frame.as_bytes();
        let from = client(4000);
        scene
            .server
            .handle(Event::Datagram { from, bytes }, &mut turn);
    }
    assert_eq!(scene.count(Count::Taken), 3);
    scene.event(Event::JournalFailed);
    assert_eq!(scene.count(Count::Taken), 0);
    assert_eq!(scene.server.post.count().0, 0);
}

/// An existing server confirms nothing: what did not go out to it must not be
/// let go of a second later.
#[test]
fn what_was_not_sent_because_the_spool_failed_is_kept() {
    let mut scene = Scene::with_spool(Some(Vec::new()));
    scene.client_says(4000, "500/send/1111111111/3333333333/hi");
    scene.server_says(1, "0000000000/10.0.0.1");
    scene.wait(Duration::from_secs(10));
    scene.server_says(1, "3333333333/10.0.0.1");
    scene.event(Event::JournalFailed);
    let sent = scene.wait(Duration::from_secs(10));
    let frame = "1 1/send/1111111111/3333333333/hi".to_owned();
    assert!(sent.contains(&frame), "{sent:?}");
}

#[test]
fn the_report_tells_neighbours_and_counters() {
    let mut scene = Scene::with_old_neighbours();
    scene.client_says(4000, "nonsense");
    scene.others.clear();
    scene.event(Event::Report);
    let lines: Vec<String> = scene
        .others
        .iter()
        .map(|action| match action {
            Action::Print(line) => line.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(lines[0].starts_with("server 2 of 3, clients 0 here 2 elsewhere, kept 0"));
    assert!(lines[1].starts_with("server 1 10.0.0.1:1025: existing program, or none, heard"));
    assert!(lines.contains(&"dropped, not a frame: 1".into()));
    let answer = scene.client_says(4000, "1/status/0000000000//");
    assert!(answer[0].starts_with(":4000 1/status/server//server 2 of 3,"));
    assert!(answer[0].len() <= 262);
}
