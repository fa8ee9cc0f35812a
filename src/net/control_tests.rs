use super::*;
use crate::net::reactor::Handler;
use crate::time::Instant;
use std::os::unix::fs::PermissionsExt;
use std::thread;

/// Answers every request with its name, until it has answered `left`.
struct Door {
    control: Control,
    left: usize,
    told: bool,
}

impl Handler for Door {
    fn ready(&mut self, reactor: &mut Reactor, key: Key, ready: Ready) {
        assert!(self.control.owns(key));
        if let Some(request) = self.control.handle(reactor, key, ready) {
            let text = format!("{request:?}\n");
            let watches = request == Request::Watch;
            self.control.answer(reactor, key, &text, watches);
            self.left -= usize::from(!watches);
        }
        if self.control.is_watched() && !self.told {
            self.told = true;
            self.control.tell(reactor, "news");
        }
    }

    fn end_turn(&mut self, _: &mut Reactor, _: bool) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn is_finished(&self) -> bool {
        self.left == 0
    }
}

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("br-net-{name}-{}.sock", std::process::id()))
}

fn open(path: &Path, requests: usize) -> thread::JoinHandle<()> {
    let mut reactor = Reactor::new(64);
    let control = Control::open(&mut reactor, path).unwrap();
    thread::spawn(move || {
        let mut door = Door {
            control,
            left: requests,
            told: false,
        };
        reactor.run(&mut door).unwrap();
    })
}

#[test]
fn each_line_has_its_answer_and_strange_ones_an_error() {
    let path = path("lines");
    let thread = open(&path, 4);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert_eq!(ask(&path, "status").unwrap(), "Status\n");
    assert!(ask(&path, "dance").unwrap().starts_with("error:"));
    assert!(ask(&path, &"x".repeat(60)).unwrap().starts_with("error:"));
    // A line beyond the limit is cut off; the connection may be reset by it.
    let _ = ask(&path, &"x".repeat(5_000));
    assert_eq!(ask(&path, "status json").unwrap(), "StatusJson\n");
    // Clients that vanish, with and without a word.
    drop(UnixStream::connect(&path).unwrap());
    let mut rude = UnixStream::connect(&path).unwrap();
    rude.write_all(b"status\n").unwrap();
    drop(rude);
    assert_eq!(ask(&path, "resign").unwrap(), "Resign\n");
    thread.join().unwrap();
    assert!(!path.exists());
}

#[test]
fn a_watcher_stays_and_others_are_served_beside_it() {
    let path = path("watch");
    let thread = open(&path, 1);
    let mut watcher = UnixStream::connect(&path).unwrap();
    watcher.write_all(b"watch\n").unwrap();
    let mut text = [0; 11];
    watcher.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"Watch\nnews\n");
    assert_eq!(ask(&path, "status").unwrap(), "Status\n");
    thread.join().unwrap();
    assert_eq!(watcher.read(&mut text).unwrap(), 0);
}

#[test]
fn idlers_keep_nobody_out() {
    let path = path("idle");
    let thread = open(&path, 1);
    let mut idlers: Vec<_> = (0..CLIENTS_MAX + 3)
        .map(|_| UnixStream::connect(&path).unwrap())
        .collect();
    let oldest = idlers.first_mut().unwrap();
    assert_eq!(oldest.read(&mut [0; 8]).unwrap(), 0, "made room");
    let newest = idlers.last_mut().unwrap();
    newest.write_all(b"status\n").unwrap();
    let mut text = String::new();
    newest.read_to_string(&mut text).unwrap();
    assert_eq!(text, "Status\n");
    thread.join().unwrap();
}

#[test]
fn a_live_socket_is_respected_and_a_dead_one_replaced() {
    let path = path("live");
    let mut reactor = Reactor::new(64);
    let live = UnixListener::bind(&path).unwrap();
    let refused = Control::open(&mut reactor, &path).unwrap_err();
    assert!(matches!(refused, Closed::Another), "{refused:?}");
    drop(live);
    assert!(path.exists());
    drop(Control::open(&mut reactor, &path).unwrap());
    fs::write(&path, "precious").unwrap();
    let refused = Control::open(&mut reactor, &path).unwrap_err();
    assert!(matches!(refused, Closed::Cannot(_)), "{refused:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    fs::remove_file(&path).unwrap();
    let nowhere = Path::new("/br-no-such/deep/x.sock");
    let refused = Control::open(&mut reactor, nowhere).unwrap_err();
    assert!(matches!(refused, Closed::Cannot(_)), "{refused:?}");
}
