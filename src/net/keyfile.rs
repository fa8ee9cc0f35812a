//! Key files: read only if nobody else can, written so that nobody else can.

use super::files::{self, OFlag};
use crate::election::Keys;
use crate::election::key::{KEY_LEN_MIN, Keyring};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The longest key file that is read, in bytes: all keys of the greatest
/// length, and comments.
const FILE_MAX: usize = 16 * 1024;

/// Reads a key file. What is wrong with it, and what to do, is told in a line.
pub fn read(path: &Path) -> Result<Keyring, String> {
    let named = format!("key file {}", path.display());
    let cannot = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => {
            format!("no {named}; `boardroom keygen` writes one, and every board needs the same")
        }
        _ => format!("{named} cannot be read: {error}"),
    };
    // A pipe would block here for ever.
    let file = files::open(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK, 0).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    if !metadata.is_file() {
        return Err(format!("{named} is no regular file"));
    }
    let mode = metadata.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(format!(
            "{named} is open to others (mode {:04o}); close it with `chmod 600 {}`",
            mode & 0o7777,
            path.display()
        ));
    }
    let bytes = files::contents(&file, FILE_MAX + 1).map_err(cannot)?;
    // Cut where the limit is, half a key would be taken for one.
    if bytes.len() > FILE_MAX {
        return Err(format!(
            "{named} is longer than {} KiB; leave only the keys in it",
            FILE_MAX / 1024
        ));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("{named} is no text"))?;
    Keyring::parse(&text).map_err(|error| format!("{named}: {error}"))
}

/// Writes a new key into a new file, which its owner alone can read.
pub fn create(path: &Path) -> Result<(), String> {
    let mut key = [0; KEY_LEN_MIN];
    getrandom::fill(&mut key)
        .map_err(|error| format!("no random numbers from the system: {error}"))?;
    let mut text = String::from("# a key of boardroom: the same file on every board, mode 600\n");
    for byte in key {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
    let file = files::open(path, flags, 0o600).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => format!(
            "{} is there already, and a key is never overwritten; give another name, or remove it",
            path.display()
        ),
        _ => format!("cannot make {}: {error}", path.display()),
    })?;
    fill(file, text.as_bytes()).map_err(|error| {
        // Half a key must not lie around as if it were one.
        let _ = std::fs::remove_file(path);
        format!("cannot write {}: {error}", path.display())
    })
}

/// The mode is set again: a umask can only have made it too strict to be read.
fn fill(mut file: File, text: &[u8]) -> io::Result<()> {
    file.set_permissions(PermissionsExt::from_mode(0o600))?;
    file.write_all(text)?;
    file.sync_all()
}

/// What a board is given: the keys of a file, and random bits out of which its
/// session and nonces grow. These wait until the kernel has some that do not
/// come again at the next boot, which can take a while after this one: a
/// session that was there before would let recordings in.
pub fn keys(path: &Path) -> Result<Keys, String> {
    let ring = read(path)?;
    let seed =
        getrandom::u64().map_err(|error| format!("no random numbers from the system: {error}"))?;
    Ok(Keys { ring, seed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    /// A folder of its own for a test, gone with it.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("br-key-{}-{name}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn file(&self, text: &[u8], mode: u32) -> PathBuf {
            let path = self.0.join("key");
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_new_key_is_read_back_and_never_overwritten() {
        let folder = Folder::new("new");
        let path = folder.0.join("key");
        create(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert_eq!(read(&path).unwrap().count(), 1);
        let before = fs::read(&path).unwrap();
        let error = create(&path).unwrap_err();
        assert!(error.contains("never overwritten"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
        let other = folder.0.join("other");
        create(&other).unwrap();
        assert_ne!(fs::read(&other).unwrap(), before, "keys differ");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let folder = Folder::new("mode");
        let key = "ab".repeat(32);
        for mode in [0o640, 0o604, 0o620, 0o601, 0o644, 0o660] {
            let path = folder.file(key.as_bytes(), mode);
            let error = read(&path).unwrap_err();
            assert!(error.contains(&format!("{mode:04o}")), "{error}");
            assert!(error.contains("chmod 600"), "{error}");
        }
        for mode in [0o600, 0o400, 0o700] {
            assert!(read(&folder.file(key.as_bytes(), mode)).is_ok());
        }
    }

    #[test]
    fn what_is_no_key_file_is_told_apart() {
        let folder = Folder::new("wrong");
        for (text, expected) in [
            (&b"hello\n"[..], "line 1: a key is written in hexadecimal"),
            (b"", "no key in it"),
            (&[0xff; 100], "is no text"),
        ] {
            let error = read(&folder.file(text, 0o600)).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let key = "cd".repeat(64);
        let fits = format!("#{}\n{key}", "x".repeat(FILE_MAX - 2 - key.len()));
        assert_eq!(
            read(&folder.file(fits.as_bytes(), 0o600)).unwrap().count(),
            1
        );
        let error = read(&folder.file(format!("#{fits}").as_bytes(), 0o600)).unwrap_err();
        assert!(error.contains("is longer than 16 KiB"), "{error}");
        let error = read(&folder.0.join("missing")).unwrap_err();
        assert!(error.contains("keygen"), "{error}");
        let error = read(&folder.0).unwrap_err();
        assert!(error.contains("no regular file"), "{error}");
        let error = create(&folder.0.join("no/such/folder")).unwrap_err();
        assert!(error.contains("cannot make"), "{error}");
    }
}
