//! The pid file: written before there is any address, and locked for as long
//! as the program runs, so that a stale one is known from a live one.

use crate::outcome::Failure;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// A pid file that is ours. It goes with this value.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    _lock: Flock<File>,
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
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).map_err(cannot)?;
        let mut lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((file, _)) => {
                let mut pid = String::new();
                let _ = (&file).take(20).read_to_string(&mut pid);
                return Err(Failure::cannot(format!(
                    "{} is held by process {}: a board runs here already; stop it first",
                    path.display(),
                    pid.trim()
                )));
            }
        };
        let pid = format!("{}\n", std::process::id());
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| lock.write_all(pid.as_bytes()))
            .map_err(cannot)?;
        Ok(Self {
            path: path.into(),
            _lock: lock,
        })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

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
}
