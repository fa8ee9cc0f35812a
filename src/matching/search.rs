//! Which search runs, which waits, and who waits for it.
//!
//! One search for each number runs at most; clients that ask for a number
//! while its search waits share it, and so do those that ask while it runs, as
//! long as no server has come since. There are ten numbers, so there are never
//! more than ten running and ten waiting.

use super::wire::Number;
use crate::service::Peer;
use crate::time::Instant;

/// A search whose `SRCH` has gone out.
#[derive(Clone, Debug)]
pub struct Search {
    /// What it asks for.
    pub number: Number,
    /// When it ends, whoever has answered.
    pub deadline: Instant,
    /// How many servers have still to answer.
    pub pending: usize,
    /// Who wants to know.
    pub clients: Vec<Peer>,
    /// Which servers hold the number.
    pub found: Vec<Peer>,
    /// The count of servers that had come when it began.
    arrivals: u32,
}

/// A search whose `SRCH` has not gone out.
#[derive(Clone, Debug)]
struct Waiting {
    number: Number,
    clients: Vec<Peer>,
}

/// All searches of a tracker.
#[derive(Clone, Debug, Default)]
pub struct Searches {
    running: Vec<Search>,
    waiting: Vec<Waiting>,
}

impl Searches {
    /// `client` asks for `number`; `arrivals` counts the servers that have
    /// come so far. Says whether the search was there already.
    pub fn add(&mut self, number: Number, client: Peer, arrivals: u32) -> bool {
        let running = self
            .running
            .iter_mut()
            .find(|search| search.number == number && search.arrivals == arrivals)
            .map(|search| &mut search.clients);
        let waiting = self
            .waiting
            .iter_mut()
            .find(|search| search.number == number)
            .map(|search| &mut search.clients);
        match running.or(waiting) {
            Some(clients) => {
                clients.push(client);
                true
            }
            None => {
                self.waiting.push(Waiting {
                    number,
                    clients: vec![client],
                });
                false
            }
        }
    }

    /// `client` has left. A search that runs goes on: its answers still come.
    pub fn forget(&mut self, client: Peer) {
        for search in &mut self.running {
            search.clients.retain(|&peer| peer != client);
        }
        for search in &mut self.waiting {
            search.clients.retain(|&peer| peer != client);
        }
        self.waiting.retain(|search| !search.clients.is_empty());
    }

    /// Lets the first search run that may: the one that has waited longest of
    /// those whose number no other asks for. The caller sends its `SRCH` and
    /// tells who has to answer.
    pub fn begin(&mut self, arrivals: u32, deadline: Instant) -> Option<&mut Search> {
        let place = self.waiting.iter().position(|waiting| {
            !self
                .running
                .iter()
                .any(|search| search.number == waiting.number)
        })?;
        let Waiting { number, clients } = self.waiting.remove(place);
        self.running.push(Search {
            number,
            deadline,
            pending: 0,
            clients,
            found: Vec::new(),
            arrivals,
        });
        self.running.last_mut()
    }

    /// The search that runs for `number`.
    pub fn running(&mut self, number: Number) -> Option<&mut Search> {
        self.running
            .iter_mut()
            .find(|search| search.number == number)
    }

    /// Takes out a search that nobody has to answer any more.
    pub fn take_settled(&mut self) -> Option<Search> {
        let place = self.running.iter().position(|search| search.pending == 0)?;
        Some(self.running.remove(place))
    }

    /// A search whose time is over.
    pub fn overdue(&self, now: Instant) -> Option<Number> {
        self.running
            .iter()
            .find(|search| search.deadline <= now && search.pending > 0)
            .map(|search| search.number)
    }

    /// When the first search ends.
    pub fn deadline(&self) -> Option<Instant> {
        self.running.iter().map(|search| search.deadline).min()
    }

    /// How many run, and how many wait.
    pub fn counts(&self) -> (usize, usize) {
        (self.running.len(), self.waiting.len())
    }
}
