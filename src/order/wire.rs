//! order's texts as bytes (docs/order.md).
//!
//! ```text
//! client ──►  Client X: NAME                          no terminator
//!        ◄──  Client X connected                      to the silent, after a second
//!        ◄──  X: NAME received before Y: NAME         then the close
//!        ◄──  Error: WHY                              then the close
//! ```

/// The port of the exercise.
pub const PORT: u16 = 12_000;
/// The letters in the order in which they are given out; a round of two knows
/// X and Y only.
pub const LETTERS: &[u8; 26] = b"XYZABCDEFGHIJKLMNOPQRSTUVW";
/// What the server's errors begin with.
pub const ERROR: &str = "Error: ";

const PREFIX: &[u8] = b"Client ";
const COLON: &[u8] = b": ";
const BETWEEN: &str = " received before ";

/// What a text is, as far as it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `Client X: ` so far, or only a part of it.
    Undecided,
    /// `Client X: ` and at least one character of the name.
    Lettered(u8),
    /// Any other text; all of it is the name.
    Bare,
}

/// Looks at a text that may not be complete; `letters` are the round's.
pub fn kind(text: &[u8], letters: &[u8]) -> Kind {
    match split(text, letters) {
        Some((letter, name)) if !name.is_empty() => Kind::Lettered(letter),
        Some(_) => Kind::Undecided,
        None if could_become_lettered(text, letters) => Kind::Undecided,
        None => Kind::Bare,
    }
}

/// The letter and the name of a complete text.
pub fn read<'a>(text: &'a [u8], letters: &[u8]) -> (Option<u8>, &'a [u8]) {
    match split(text, letters) {
        Some((letter, name)) => (Some(letter), name),
        None => (None, text),
    }
}

fn split<'a>(text: &'a [u8], letters: &[u8]) -> Option<(u8, &'a [u8])> {
    let (&letter, rest) = text.strip_prefix(PREFIX)?.split_first()?;
    let name = rest.strip_prefix(COLON)?;
    letters.contains(&letter).then_some((letter, name))
}

fn could_become_lettered(text: &[u8], letters: &[u8]) -> bool {
    match text.strip_prefix(PREFIX) {
        None => PREFIX.starts_with(text),
        Some([]) => true,
        Some([letter, rest @ ..]) => letters.contains(letter) && COLON.starts_with(rest),
    }
}

/// A client's message.
pub fn message(letter: u8, name: &str) -> String {
    format!("Client {}: {name}", char::from(letter))
}

/// What a client that waits for it is greeted with.
pub fn greeting(letter: u8) -> String {
    format!("Client {} connected", char::from(letter))
}

/// The verdict: letters and names in the order of their arrival.
pub fn verdict<'a>(ranking: impl Iterator<Item = (u8, &'a [u8])>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (letter, name) in ranking {
        if !bytes.is_empty() {
            bytes.extend_from_slice(BETWEEN.as_bytes());
        }
        bytes.extend_from_slice(&[letter, b':', b' ']);
        bytes.extend_from_slice(name);
    }
    bytes
}

/// What a client makes of all that a server has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Greetings at most.
    Nothing,
    /// The verdict.
    Verdict(Vec<u8>),
    /// The server says why there is none.
    Error(Vec<u8>),
    /// Some text that is neither.
    Other(Vec<u8>),
}

/// Reads what any of the servers sends: some greet first, some put `From
/// Server: ` in front, misspell `recieved`, or pad with NULs.
pub fn reply(bytes: &[u8]) -> Reply {
    let clean: Vec<u8> = bytes.iter().copied().filter(|&byte| byte != 0).collect();
    let mut text = clean.trim_ascii();
    while let Some(rest) = without_decoration(text) {
        text = rest.trim_ascii_start();
    }
    let misspelt = b" recieved before ";
    if text.is_empty() {
        Reply::Nothing
    } else if let Some(at) = find(text, misspelt) {
        let (before, after) = text.split_at(at);
        let after = after.strip_prefix(misspelt).unwrap_or(after);
        Reply::Verdict([before, BETWEEN.as_bytes(), after].concat())
    } else if find(text, BETWEEN.as_bytes()).is_some() {
        Reply::Verdict(text.to_vec())
    } else if let Some(why) = text.strip_prefix(ERROR.as_bytes()) {
        Reply::Error(why.to_vec())
    } else {
        Reply::Other(text.to_vec())
    }
}

/// The text behind a `From Server: ` or a greeting.
fn without_decoration(text: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = text.strip_prefix(b"From Server:") {
        return Some(rest);
    }
    let (_, rest) = text.strip_prefix(PREFIX)?.split_first()?;
    let rest = rest.strip_prefix(b" connected")?;
    Some(rest.strip_prefix(b".").unwrap_or(rest))
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
