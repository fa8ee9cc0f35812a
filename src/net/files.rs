//! Opening files by open(2) itself: std's way brings errors that are made of
//! text, and with them 3 KB into a small build.

use nix::errno::Errno;
use nix::fcntl;
use nix::sys::stat::Mode;
use std::fs::File;
use std::io;
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
