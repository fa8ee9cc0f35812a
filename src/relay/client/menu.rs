//! The menu of three, and lines of standard input.

use super::{Client, Task, Timer};
use crate::relay::wire::{self, Id};
use crate::service::{Action, Turn};

/// What the next line of the person at the keyboard means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Menu {
    /// One of the three.
    Choice,
    /// To whom a message goes.
    Destination,
    /// What it says.
    Text(Id),
    /// Nothing now: a get is under way.
    Getting {
        /// Whether it has brought a message.
        some: bool,
    },
}

impl Client {
    pub(super) fn line(&mut self, line: &[u8], turn: &mut Turn<'_>) {
        let Ok(line) = core::str::from_utf8(line) else {
            turn.complain("the line is not UTF-8: nothing was sent");
            self.worst = 1;
            return;
        };
        match self.config.task {
            Task::Send { destination, .. } => self.submit(destination, line.into(), turn),
            Task::Menu => self.menu_line(line, turn),
            Task::Get | Task::Listen { .. } => {}
        }
    }

    pub(super) fn show_menu(&mut self, turn: &mut Turn<'_>) {
        self.menu = Menu::Choice;
        self.ask("1 send, 2 get, 3 quit: ", turn);
    }

    fn ask(&self, question: &'static str, turn: &mut Turn<'_>) {
        if self.config.prompts {
            turn.push(Action::Prompt(question));
        }
    }

    fn menu_line(&mut self, line: &str, turn: &mut Turn<'_>) {
        match self.menu {
            Menu::Choice | Menu::Getting { .. } => match line.trim() {
                "1" | "send" | "s" => {
                    self.menu = Menu::Destination;
                    self.ask("to (10 digits): ", turn);
                }
                "2" | "get" | "g" => {
                    self.menu = Menu::Getting { some: false };
                    self.send(wire::get(1, self.config.id), turn);
                    self.set(Timer::GiveUp, Some(turn.now + self.config.timeout));
                }
                "3" | "quit" | "q" => self.leave(self.worst, turn),
                "" => self.show_menu(turn),
                _ => {
                    turn.complain("choose 1 (send), 2 (get) or 3 (quit)");
                    self.show_menu(turn);
                }
            },
            Menu::Destination => match Id::parse(line.trim()) {
                Some(id) if id != Id::PERMANENT => {
                    self.menu = Menu::Text(id);
                    self.ask("text: ", turn);
                }
                _ => {
                    turn.complain("an id has exactly 10 digits, such as 2222222222");
                    self.show_menu(turn);
                }
            },
            Menu::Text(destination) => self.submit(destination, line.into(), turn),
        }
    }

    /// A get has brought a message.
    pub(super) fn menu_has_some(&mut self) {
        if let Menu::Getting { some } = &mut self.menu {
            *some = true;
        }
    }

    /// A get has brought all there is.
    pub(super) fn menu_has_all(&mut self, turn: &mut Turn<'_>) {
        if let Menu::Getting { some } = self.menu {
            self.set(Timer::GiveUp, None);
            if !some {
                turn.print("no messages");
            }
            self.show_menu(turn);
            self.leave_if_done(turn);
        }
    }
}
