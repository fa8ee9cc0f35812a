//! A service's journal: bytes that are on disk before anything is said about
//! them.

use crate::net::files::{self, OFlag};
use crate::outcome::Failure;
use nix::unistd::ftruncate;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Reads a journal before the start; one that does not exist is empty.
pub fn read_journal(path: &Path) -> Result<Vec<u8>, Failure> {
    match files::read(path).and_then(|file| files::contents(&file, usize::MAX)) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Failure::cannot(format!(
            "{}: {error}; give another place or its permissions",
            path.display()
        ))),
    }
}

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// The bytes known to be whole.
    len: u64,
}

impl Journal {
    pub(super) fn open(path: PathBuf) -> Result<Self, Failure> {
        let open = || -> io::Result<(File, u64)> {
            let flags = OFlag::O_WRONLY | OFlag::O_CREAT;
            let mut file = files::open(&path, flags, files::PUBLIC)?;
            let len = file.seek(SeekFrom::End(0))?;
            Ok((file, len))
        };
        match open() {
            Ok((file, len)) => Ok(Self { path, file, len }),
            Err(error) => Err(Failure::cannot(format!(
                "{}: {error}; give a place that can be written",
                path.display()
            ))),
        }
    }

    /// Appends, and returns once it is on disk. After a failure the journal is
    /// what it was before.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let done = self
            .file
            .write_all(bytes)
            .and_then(|()| self.file.sync_data());
        match done {
            Ok(()) => {
                self.len += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                let _ = ftruncate(&self.file, self.len as libc::off_t);
                let _ = self.file.seek(SeekFrom::Start(self.len));
                Err(error)
            }
        }
    }

    /// Replaces the whole: the old one stays until the new one is on disk.
    pub(super) fn rewrite(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let beside = PathBuf::from(name);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC;
        let mut file = files::open(&beside, flags, files::PUBLIC)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        fs::rename(&beside, &self.path)?;
        // The rename itself is on disk when its directory is.
        let path = self.path.as_os_str().as_bytes();
        let slash = path.iter().rposition(|&byte| byte == b'/');
        if let Some(folder) = slash.and_then(|at| path.get(..=at)) {
            files::read(Path::new(OsStr::from_bytes(folder)))?.sync_all()?;
        }
        self.file = file;
        self.len = bytes.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_keeps_what_was_appended_and_rewritten() {
        let folder = std::env::temp_dir().join(format!("br-net-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("journal");
        assert_eq!(read_journal(&path).unwrap(), b"");
        let mut journal = Journal::open(path.clone()).unwrap();
        journal.append(b"one").unwrap();
        journal.append(b"two").unwrap();
        assert_eq!(read_journal(&path).unwrap(), b"onetwo");
        journal.rewrite(b"2").unwrap();
        journal.append(b"3").unwrap();
        drop(journal);
        let mut again = Journal::open(path.clone()).unwrap();
        again.append(b"4").unwrap();
        assert_eq!(read_journal(&path).unwrap(), b"234");
        assert_eq!(read_journal(&folder).unwrap_err().code, 4);
        fs::remove_dir_all(&folder).unwrap();
    }
}
