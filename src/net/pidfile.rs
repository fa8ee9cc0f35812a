//! The pid file: written before there is any address, and locked for as long
//! as the program runs, so that a stale one is known from a live one.

use super::files::{self, OFlag};
use crate::outcome::Failure;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::ftruncate;
use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A pid file that is ours. It goes with this value.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    lock: Flock<File>,
}

impl PidFile {
    /// Writes the file, or says which process holds it.
    pub fn write(path: &Path) -> Result<Self, Failure> {
        let cannot = |error: io::Error| {
            Failure::cannot(format!(
                "{}: {error}; give a --pid-file that can be written",
                path.display()
            ))
        };
        let mut lock = take(path, cannot)?;
        let pid = format!("{}\n", std::process::id());
        ftruncate(&*lock, 0)
            .map_err(io::Error::from)
            .and_then(|()| lock.rewind())
            .and_then(|()| lock.write_all(pid.as_bytes()))
            .map_err(cannot)?;
        Ok(Self {
            path: path.into(),
            lock,
        })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // While the lock is held; what somebody else has put there stays.
        if is_at(&self.lock, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Opens the file and locks it. Who holds it may end in between and take its
/// name away: a file without a name holds nobody off, so it is made anew.
fn take(path: &Path, cannot: impl Fn(io::Error) -> Failure) -> Result<Flock<File>, Failure> {
    for _ in 0..TRIES_MAX {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT;
        let file = files::open(path, flags, files::PUBLIC).map_err(&cannot)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) if is_at(&lock, path) => return Ok(lock),
            Ok(_) => {}
            Err((file, _)) => {
                let pid = files::contents(&file, PID_MAX).unwrap_or_default();
                let pid = String::from_utf8_lossy(&pid);
                return Err(Failure::cannot(format!(
                    "{} is held by process {}: a board runs here already; stop it first",
                    path.display(),
                    pid.trim()
                )));
            }
        }
    }
    Err(cannot(io::ErrorKind::ResourceBusy.into()))
}

/// Whether this open file is the one of that name.
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |data: io::Result<fs::Metadata>| data.ok().map(|data| (data.dev(), data.ino()));
    let own = identity(file.metadata());
    own.is_some() && own == identity(fs::metadata(path))
}

/// Of a pid file no more is read.
const PID_MAX: usize = 20;
/// So often somebody may take the name away.
const TRIES_MAX: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_pid_file_is_held_and_a_stale_one_is_taken_over() {
        let path = std::env::temp_dir().join(format!("br-net-pid-{}", std::process::id()));
        fs::write(&path, "99999999 and a longer rest\n").unwrap();
        let held = PidFile::write(&path).unwrap();
        let own = format!("{}\n", std::process::id());
        assert_eq!(fs::read_to_string(&path).unwrap(), own);
        let failure = PidFile::write(&path).unwrap_err();
        assert_eq!(failure.code, 4);
        assert!(failure.message.contains(own.trim()), "{}", failure.message);
        drop(held);
        assert!(!path.exists());
        let failure = PidFile::write(Path::new("/br-no-such/pid")).unwrap_err();
        assert!(failure.message.contains("--pid-file"));
    }

    #[test]
    fn a_file_that_somebody_else_has_put_there_stays() {
        let path = std::env::temp_dir().join(format!("br-net-pid-b-{}", std::process::id()));
        let held = PidFile::write(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another's\n").unwrap();
        drop(held);
        assert_eq!(fs::read_to_string(&path).unwrap(), "another's\n");
        fs::remove_file(&path).unwrap();
    }

    /// Threads that take and give back the file as fast as they can: who has it
    /// finds its own file at that name, each time.
    #[test]
    fn who_holds_it_finds_it_there_however_fast_it_changes_hands() {
        let path = std::env::temp_dir().join(format!("br-net-pid-c-{}", std::process::id()));
        let take_and_look = || {
            (0..300)
                .filter_map(|_| PidFile::write(&path).ok())
                .map(|held| assert!(is_at(&held.lock, &path)))
                .count()
        };
        let held: usize = std::thread::scope(|scope| {
            let others = [(); 3].map(|()| scope.spawn(take_and_look));
            others.map(|one| one.join().unwrap()).iter().sum()
        });
        assert!(held > 0);
        assert!(!path.exists());
    }
}
