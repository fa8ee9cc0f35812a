//! The deterministic simulator of the election: the shipped core and codec,
//! any number of boards and old programs, and a network that loses, doubles,
//! delays, reorders and cuts. One thread and one seed tell the whole story.
//!
//! - `options`: what a seed stands for; `lan`, `host`, `program`: the parts
//! - `queue`, `turns`: what happens next; `world`: events in order; `story`: what happened, as text
//! - `checks`: what must hold at every moment; `schedule`: faults, healing,
//!   quiet, and what must hold then
//! - `crowd`: what one election of very many boards costs
//! - `schedule::scenarios`: what happens in the field, by name
//! - `driver`: many schedules, the count, and how to see one again

/// Prints a line; a reader that goes away ends the program, without a word.
#[macro_export]
macro_rules! say {
    ($($what:tt)*) => { $crate::output(format_args!("{}\n", format_args!($($what)*))) };
}

/// The same without the line's end.
#[macro_export]
macro_rules! tell {
    ($($what:tt)*) => { $crate::output(format_args!($($what)*)) };
}

/// See [`say`].
pub fn output(what: std::fmt::Arguments<'_>) {
    use std::io::Write;
    if std::io::stdout().write_fmt(what).is_err() {
        std::process::exit(1);
    }
}

pub mod checks;
pub mod client;
pub mod crowd;
pub mod driver;
pub mod explore;
pub mod fuzz;
pub mod host;
pub mod lan;
pub mod mutants;
pub mod naive;
pub mod old;
pub mod options;
pub mod packet;
pub mod program;
pub mod queue;
pub mod replay;
pub mod report;
pub mod schedule;
pub mod story;
pub mod transcript;
pub mod turns;
pub mod world;
