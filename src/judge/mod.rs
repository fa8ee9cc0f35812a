//! judge: is somebody's own implementation of the election right?
//!
//! The judge plays the client and the other boards, as old programs would
//! speak, and tells rule by rule what the board under test did. [`exams`] is
//! the list of what is examined; [`examiner`] is the machine that goes through
//! it.

pub mod examiner;
pub mod exams;

pub use examiner::{Examiner, Finding, Grade};
