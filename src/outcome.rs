//! How a command ends: an exit code, or a failure with one line for people.

use crate::text::{quoted, wide, without_number};

/// How a command ended.
pub type Outcome = Result<u8, Failure>;

/// Why a command ended before its end. As small as a pointer, since nearly all
/// that a command calls can give one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(Box<Told>);

/// An exit code, and one line that says what was wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The exit code.
    pub code: u8,
    /// The line for standard error; none if it is empty.
    pub message: String,
}

impl core::ops::Deref for Failure {
    type Target = Told;

    fn deref(&self) -> &Told {
        &self.0
    }
}

impl Failure {
    /// Ends with `code`, and says why.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Told { code, message }))
    }

    /// The command line is wrong: exit code 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(2, message)
    }

    /// The value of an option, or what stands in its place, is wrong: exit code
    /// 2. `advice` says what would be right.
    pub fn value(option: &str, text: &str, advice: &str) -> Self {
        Self::usage(format!("{option} {}: {advice}", quoted(text)))
    }

    /// The machine does not allow it: exit code 4.
    pub fn cannot(message: impl Into<String>) -> Self {
        Self::new(4, without_number(message.into()))
    }

    /// A command asked for its help text: no failure at all.
    pub fn help(text: &str) -> Self {
        Self::new(0, wide(text.trim_end()))
    }
}
