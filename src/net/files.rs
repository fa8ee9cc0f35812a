//! Opening and reading by open(2) and read(2) themselves: std's way brings
//! errors that are made of text and a reader for each kind of file, and with
//! them 5 KB into a small build.

use nix::errno::Errno;
use nix::fcntl;
use nix::sys::stat::Mode;
use nix::unistd;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

pub use nix::fcntl::OFlag;

/// The permissions of a new file, before the umask.
pub const PUBLIC: u32 = 0o666;

/// Opens a file that programs started from here do not inherit. `mode` counts
/// if it is made.
pub fn open(path: &Path, flags: OFlag, mode: u32) -> io::Result<File> {
    let mode = Mode::from_bits_truncate(mode as libc::mode_t);
    loop {
        match fcntl::open(path, flags | OFlag::O_CLOEXEC, mode) {
            Ok(file) => return Ok(file.into()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Opens a file to be read.
pub fn read(path: &Path) -> io::Result<File> {
    open(path, OFlag::O_RDONLY, 0)
}

/// What is left to be read, or the first `most` bytes of it.
pub fn contents(file: &dyn AsFd, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut part = [0; 1_024];
    while bytes.len() < most {
        match unistd::read(file.as_fd(), &mut part) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(part.get(..count).unwrap_or_default()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(most);
    Ok(bytes)
}
