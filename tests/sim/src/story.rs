//! What happened, as text: written only when somebody wants to read it.

use crate::queue::Micros;
use core::fmt;

/// A list of lines, or nothing at all.
#[derive(Default)]
pub struct Story {
    lines: Option<Vec<String>>,
}

impl Story {
    /// A story that is written down.
    pub const fn written() -> Self {
        Self {
            lines: Some(Vec::new()),
        }
    }

    /// Whether anybody wants to read it.
    pub const fn is_written(&self) -> bool {
        self.lines.is_some()
    }

    /// Adds a line.
    pub fn tell(&mut self, at: Micros, line: fmt::Arguments<'_>) {
        if let Some(lines) = &mut self.lines {
            let (ms, us) = (at / 1_000, at % 1_000);
            lines.push(format!("{ms:6}.{us:03} {line}"));
        }
    }

    /// The lines since the last call.
    pub fn take(&mut self) -> Vec<String> {
        self.lines.as_mut().map(core::mem::take).unwrap_or_default()
    }
}

/// A panic in the middle of a story is told with what led to it.
impl Drop for Story {
    fn drop(&mut self) {
        if let (true, Some(lines)) = (std::thread::panicking(), &self.lines) {
            for line in &lines[lines.len().saturating_sub(40)..] {
                eprintln!("  {line}");
            }
        }
    }
}
