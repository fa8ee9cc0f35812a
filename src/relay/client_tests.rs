//! A client alone, frame by frame.

use super::*;
use crate::rng::Seeded;

#[path = "client_course_tests.rs"]
mod course;

const A: &str = "1111111111";

struct Scene {
    client: Client,
    now: Instant,
    random: Seeded,
    said: Vec<String>,
    exit: Option<u8>,
}

fn server() -> SocketAddrV4 {
    SocketAddrV4::new([10, 0, 0, 1].into(), 1025)
}

fn id(text: &str) -> Id {
    Id::parse(text).unwrap()
}

impl Scene {
    fn new(task: Task) -> Self {
        Self::at(service::Server::At(server()), task)
    }

    fn at(at: service::Server, task: Task) -> Self {
        Self {
            client: Client::new(Config {
                id: id(A),
                server: at,
                table: vec![server()],
                task,
                timeout: Duration::from_secs(5),
                quiet: false,
                prompts: true,
            }),
            now: Instant::ZERO + Duration::from_secs(1_000),
            random: Seeded::new(1),
            said: Vec::new(),
            exit: None,
        }
    }

    /// What is sent.
    fn event(&mut self, event: Event<'_>) -> Vec<String> {
        let mut actions = Vec::new();
        let mut turn = Turn {
            now: self.now,
            entropy: &mut self.random,
            actions: &mut actions,
        };
        self.client.handle(event, &mut turn);
        let mut sent = Vec::new();
        for action in actions {
            match action {
                Action::Send { to, bytes } => {
                    assert_eq!(to, server());
                    sent.push(String::from_utf8(bytes).unwrap());
                }
                Action::Print(line) => self.said.push(line),
                Action::Complain(line) => self.said.push(format!("! {line}")),
                Action::Prompt(text) => self.said.push(format!("? {text}")),
                Action::Exit(code) => self.exit = Some(code),
                other => self.said.push(format!("{other:?}")),
            }
        }
        sent
    }

    fn start(&mut self) -> Vec<String> {
        self.event(Event::Start { port: 5000 })
    }

    fn hear(&mut self, frame: &str) -> Vec<String> {
        self.event(Event::Datagram {
            from: server(),
            bytes: frame.as_bytes(),
        })
    }

    fn line(&mut self, text: &str) -> Vec<String> {
        self.event(Event::Line {
            text: text.as_bytes(),
        })
    }

    fn wait(&mut self, time: Duration) -> Vec<String> {
        let end = self.now + time;
        let mut sent = Vec::new();
        while let Some(at) = self.client.deadline().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            sent.extend(self.event(Event::Timer));
            assert!(self.client.deadline().is_none_or(|at| at > self.now));
        }
        self.now = end;
        sent
    }
}

fn send(until_read: bool) -> Task {
    Task::Send {
        destination: id("2222222222"),
        text: Some("hi".into()),
        until_read,
    }
}

fn number_of(frame: &str) -> &str {
    frame.split('/').next().unwrap()
}

#[test]
fn a_message_is_repeated_until_a_new_server_takes_it() {
    let mut scene = Scene::new(send(false));
    assert_eq!(
        scene.start(),
        ["1/handshake/1111111111//v1-", "1/get/1111111111//"]
    );
    let sent = scene.hear("1/taken/server/1111111111/v1");
    let number = number_of(&sent[0]).to_string();
    assert!(number.len() > 2, "an identity: {number}");
    let frame = format!("{number}/send/1111111111/2222222222/hi");
    assert_eq!(sent.join(" "), frame);
    // A server that was restarted is shaken hands with again.
    let again = scene.wait(Duration::from_millis(200));
    assert_eq!(again, ["1/handshake/1111111111//v1-".to_string(), frame]);
    scene.hear("1/taken/server/1111111111/2222222222");
    assert_eq!(scene.exit, None, "another message's confirmation");
    let sent = scene.hear(&format!("{number}/taken/server/1111111111/2222222222"));
    assert_eq!(sent, ["0/terminate/1111111111//"]);
    assert_eq!(scene.exit, Some(0));
    assert_eq!(scene.said, ["sent to 2222222222: hi (taken)"]);
}

#[test]
fn reading_is_waited_for_when_asked_for() {
    let mut scene = Scene::new(send(true));
    assert_eq!(scene.start()[0], "1/handshake/1111111111//v1");
    let sent = scene.hear("1/taken/server/1111111111/v1");
    let number = number_of(&sent[0]).to_string();
    scene.hear(&format!("{number}/taken/server/1111111111/2222222222"));
    assert_eq!(scene.exit, None);
    let sent = scene.hear(&format!("{number}/read/server/1111111111/2222222222"));
    let ack = format!("{number}/ack/1111111111/server/2222222222");
    assert_eq!(sent, [ack, "0/terminate/1111111111//".into()]);
    assert_eq!(scene.exit, Some(0));
    assert_eq!(scene.said[1], "read by 2222222222");

    let mut scene = Scene::new(send(true));
    scene.start();
    let sent = scene.hear("1/taken/server/1111111111/v1");
    let number = number_of(&sent[0]).to_string();
    scene.hear(&format!("{number}/taken/server/1111111111/2222222222"));
    scene.wait(Duration::from_secs(6));
    assert_eq!(scene.exit, Some(1));
    assert_eq!(
        scene.said[1],
        "! taken, but 2222222222 has not read it within 5s"
    );
}

#[test]
fn a_refused_message_is_a_failure_with_its_reason() {
    let mut scene = Scene::new(send(false));
    scene.start();
    let sent = scene.hear("1/taken/server/1111111111/v1");
    let number = number_of(&sent[0]).to_string();
    scene.hear(&format!(
        "{number}/refused/server/1111111111/the server is full"
    ));
    assert_eq!(scene.exit, Some(1));
    assert_eq!(
        scene.said,
        ["! 10.0.0.1:1025 refused the message: the server is full"]
    );
}

#[test]
fn a_stream_waits_for_room_in_the_mailbox() {
    let mut scene = Scene::new(Task::Send {
        destination: id("2222222222"),
        text: None,
        until_read: false,
    });
    scene.start();
    scene.hear("1/taken/server/1111111111/v1");
    let sent = scene.line("one");
    let refused = format!("{}/refused/server/1111111111/full", number_of(&sent[0]));
    scene.hear(&refused);
    assert!(scene.said.is_empty() && scene.exit.is_none());
    let again = scene.wait(Duration::from_millis(200));
    assert_eq!(again.last(), sent.last());
    scene.wait(Duration::from_millis(4_700));
    scene.hear(&refused);
    assert_eq!(scene.exit, Some(1));
    assert!(scene.said[0].ends_with("refused the message: full"));
}

#[test]
fn an_existing_server_is_recognised_and_spoken_to_the_old_way() {
    let mut scene = Scene::new(send(false));
    scene.start();
    let mut sent = Vec::new();
    for _ in 0..OLD_AFTER {
        sent = scene.hear("1/send/server/1111111111/");
        if scene.client.link == Link::Old {
            break;
        }
        // A second copy of an answer is no second answer.
        scene.hear("1/send/server/1111111111/");
        scene.wait(KNOCK_EVERY);
    }
    assert!(
        sent.contains(&"1/send/1111111111/2222222222/hi".into()),
        "{sent:?}"
    );
    assert!(scene.exit.is_none());
    let sent = scene.hear("1/send/server/1111111111/");
    assert_eq!(sent, ["0/terminate/1111111111//"]);
    assert_eq!(scene.exit, Some(0));
    assert_eq!(
        scene.said,
        ["sent to 2222222222: hi (this server does not confirm)"]
    );
}

#[test]
fn no_answer_at_all_is_told() {
    let mut scene = Scene::new(send(false));
    scene.start();
    scene.wait(Duration::from_secs(6));
    assert_eq!(scene.exit, Some(1));
    assert!(scene.said[0].starts_with("! no answer from 10.0.0.1:1025 within 5s"));
}

#[test]
fn get_prints_what_is_kept_once_and_leaves() {
    let mut scene = Scene::new(Task::Get);
    assert_eq!(
        scene.start(),
        ["1/handshake/1111111111//", "1/get/1111111111//"]
    );
    let first = "7/send/2222222222/1111111111/one";
    let sent = scene.hear(first);
    assert_eq!(
        sent,
        ["7/ack/1111111111/2222222222/one", "1/get/1111111111//"]
    );
    // The acknowledgement was lost: once more, but not printed again.
    assert_eq!(scene.hear(first)[0], "7/ack/1111111111/2222222222/one");
    scene.hear("8/send/2222222222/1111111111/one");
    scene.wait(Duration::from_millis(500));
    scene.hear("1/send/server/1111111111/");
    assert_eq!(scene.said, ["2222222222: one", "2222222222: one"]);
    assert_eq!(scene.exit, Some(0));
}

#[test]
fn get_waits_half_a_second_for_what_other_servers_keep() {
    let mut scene = Scene::new(Task::Get);
    scene.start();
    for _ in 0..5 {
        scene.hear("1/send/server/1111111111/");
        assert_eq!(scene.exit, None);
        let sent = scene.wait(Duration::from_millis(100));
        assert_eq!(sent, ["1/get/1111111111//"]);
    }
    assert!(scene.said.is_empty());
    scene.hear("1/send/server/1111111111/");
    assert_eq!((scene.exit, &scene.said[0][..]), (Some(1), "! no messages"));
}

#[test]
fn a_listener_prints_each_message_once_and_leaves_when_all_is_settled() {
    let mut scene = Scene::new(Task::Listen { count: Some(2) });
    scene.start();
    scene.hear("1/taken/server/1111111111/v1");
    let first = "500/send/2222222222/1111111111/a\x1b[2Jb";
    assert_eq!(
        scene.hear(first),
        ["500/ack/1111111111/2222222222/a\x1b[2Jb"]
    );
    scene.hear(first);
    assert_eq!(scene.said, ["2222222222: a\\x1b[2Jb"]);
    let sent = scene.hear("501/send/2222222222/1111111111/c");
    assert_eq!(sent[0], "501/ack/1111111111/2222222222/c");
    let asked = sent.iter().find(|frame| frame.contains("/get/")).unwrap();
    let number = number_of(asked).to_string();
    // The acknowledgement was lost: it is given again, and asked again.
    assert_eq!(scene.hear("501/send/2222222222/1111111111/c").len(), 1);
    assert_eq!(scene.exit, None);
    scene.hear("100/send/server/1111111111/");
    assert_eq!(scene.exit, None, "the answer to an earlier get");
    scene.hear(&format!("{number}/send/server/1111111111/"));
    assert_eq!(scene.exit, Some(0));
    assert_eq!(scene.said.len(), 2);
}

#[test]
fn a_listener_does_not_mind_strangers() {
    let mut scene = Scene::new(Task::Listen { count: None });
    scene.start();
    scene.hear("1/taken/server/1111111111/v1");
    let sent = scene.event(Event::Datagram {
        from: SocketAddrV4::new([10, 0, 0, 2].into(), 1025),
        bytes: b"500/send/2222222222/1111111111/forged",
    });
    assert!(sent.is_empty() && scene.said.is_empty());
    assert!(
        scene
            .hear("500/send/2222222222/3333333333/for another")
            .is_empty()
    );
    assert!(scene.hear("junk").is_empty());
    scene.event(Event::Stop);
    assert_eq!(scene.exit, Some(0));
}

#[test]
fn the_menu_sends_gets_and_quits() {
    let mut scene = Scene::new(Task::Menu);
    scene.start();
    scene.hear("1/taken/server/1111111111/v1");
    assert_eq!(scene.said, ["? 1 send, 2 get, 3 quit: "]);
    scene.line("1");
    scene.line("2222222222");
    let sent = scene.line("hello");
    let number = number_of(&sent[0]).to_string();
    assert!(!scene.client.wants_line(), "one at a time");
    scene.hear(&format!("{number}/taken/server/1111111111/2222222222"));
    scene.line("4");
    scene.line("1");
    scene.line("22");
    assert_eq!(scene.line("2"), ["1/get/1111111111//"]);
    assert!(!scene.client.wants_line(), "the answer first");
    scene.hear("100/send/server/1111111111/");
    assert_eq!(scene.line("3"), ["0/terminate/1111111111//"]);
    assert_eq!(scene.exit, Some(0));
    assert_eq!(
        scene.said,
        [
            "? 1 send, 2 get, 3 quit: ",
            "? to (10 digits): ",
            "? text: ",
            "sent to 2222222222: hello (taken)",
            "? 1 send, 2 get, 3 quit: ",
            "! choose 1 (send), 2 (get) or 3 (quit)",
            "? 1 send, 2 get, 3 quit: ",
            "? to (10 digits): ",
            "! an id has exactly 10 digits, such as 2222222222",
            "? 1 send, 2 get, 3 quit: ",
            "no messages",
            "? 1 send, 2 get, 3 quit: ",
        ]
    );
}

#[test]
fn lines_that_cannot_be_sent_are_told_and_the_others_go() {
    let mut scene = Scene::new(Task::Send {
        destination: id("2222222222"),
        text: None,
        until_read: false,
    });
    scene.start();
    assert!(!scene.client.wants_line(), "the server is not known yet");
    scene.hear("1/taken/server/1111111111/v1");
    assert!(scene.line("").is_empty());
    assert!(scene.line(&"x".repeat(161)).is_empty());
    scene.event(Event::Line { text: b"\xff" });
    assert_eq!(scene.said.len(), 3);
    let sent = scene.line("good");
    scene.event(Event::InputEnded);
    assert_eq!(scene.exit, None, "not taken yet");
    let number = number_of(&sent[0]).to_string();
    scene.hear(&format!("{number}/taken/server/1111111111/2222222222"));
    assert_eq!(scene.exit, Some(1), "some were not sent");
}

#[test]
fn the_masters_port_is_the_one_beside_it_in_the_line() {
    let mut scene = Scene::at(service::Server::Master { port: 0 }, Task::Get);
    assert!(scene.start().is_empty());
    assert_eq!(scene.said, ["FindMaster"]);
    let sent = scene.event(Event::Master {
        address: Some(*server().ip()),
    });
    assert_eq!(sent[0], "1/handshake/1111111111//");

    let mut scene = Scene::at(service::Server::Master { port: 0 }, Task::Get);
    scene.start();
    scene.event(Event::Master {
        address: Some([10, 9, 9, 9].into()),
    });
    assert_eq!(scene.exit, Some(1));
    assert!(scene.said[1].contains("10.9.9.9 is not among --servers"));
}
