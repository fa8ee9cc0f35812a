//! Frames from the addresses of the table, and what is told to them.

use super::{Count, Message, Server};
use crate::relay::post::{Mail, Sort};
use crate::relay::table::Kind;
use crate::relay::wire::{self, IDENTITY_MIN, Id, List, Speaks};
use crate::service::{Action, Turn};
use crate::time::Duration;

/// A client that spoke here within this time is not given up to another
/// server's list: that list may have crossed the client's move.
const JUST_HEARD: Duration = Duration::from_secs(3);
/// The same for a list that only repeats what an existing server said once.
const HEARSAY_HEARD: Duration = Duration::from_secs(60);

impl Server {
    pub(super) fn server_says(&mut self, index: usize, message: Message<'_>, turn: &mut Turn<'_>) {
        let is_of_new = match message {
            Message::Send { number, .. } => number >= IDENTITY_MIN,
            Message::Taken { .. } | Message::Read { .. } | Message::AckReceipt { .. } => true,
            _ => false,
        };
        if is_of_new {
            self.is_alive(index, false, turn);
        }
        match message {
            Message::List(list) => self.listed(index, list, turn),
            Message::Send {
                number,
                hops,
                source,
                destination,
                text,
            } => self.forwarded(index, (number, hops), (source, destination), text, turn),
            Message::Terminate { id, .. } => {
                if self.clients.forget(id) {
                    self.post.begin_anew(id);
                    self.drop_receipts(id, turn);
                }
            }
            Message::Alive { address, asks } => {
                if address == *self.table.address(index).ip() {
                    self.is_alive(index, asks, turn);
                }
            }
            Message::Taken { number, id, about } => {
                if let Some(destination) = Id::parse(about) {
                    self.handed_over(index, (Sort::Text, id, number), destination, turn);
                }
            }
            Message::Read { number, id, reader } => {
                self.receipt_forwarded(index, number, id, reader, turn);
            }
            Message::AckReceipt { number, id, reader } => {
                self.handed_over(index, (Sort::Receipt, reader, number), id, turn);
            }
            _ => self.counters.add(Count::Stranger),
        }
    }

    fn is_alive(&mut self, index: usize, asks: bool, turn: &mut Turn<'_>) {
        let is_news = self.table.alive(index, turn.now);
        if is_news || asks {
            let own = *self.table.own_address().ip();
            self.send_to_server(index, wire::alive(own, false), turn);
        }
        if !is_news {
            return;
        }
        self.clients.refresh(index, turn.now);
        for list in wire::lists(self.own_entries()) {
            self.send_to_server(index, list, turn);
        }
        for id in self.post.addressees() {
            if self
                .clients
                .elsewhere(id)
                .is_some_and(|client| client.server == index)
            {
                self.post.begin_anew(id);
                self.attend(id, turn);
            }
        }
    }

    fn listed(&mut self, index: usize, list: List<'_>, turn: &mut Turn<'_>) {
        for entry in list.entries() {
            let Some((id, address)) = entry else {
                self.counters.add(Count::BadId);
                continue;
            };
            match self.table.at(address) {
                None => self.counters.add(Count::NoSuchServer),
                Some(owner) if owner == self.table.own() || id == Id::PERMANENT => {}
                Some(owner) => self.told(index, id, owner, turn),
            }
        }
    }

    /// Server `index` says that `id` is a client of `owner`.
    fn told(&mut self, index: usize, id: Id, owner: usize, turn: &mut Turn<'_>) {
        let first_hand = index == owner;
        // A new server speaks for itself, to everybody; what others say about
        // it may be out of date.
        if !first_hand && self.table.kind(owner, turn.now) != Kind::Old && self.table.was_new(owner)
        {
            return;
        }
        let patience = if first_hand {
            JUST_HEARD
        } else {
            HEARSAY_HEARD
        };
        if let Some(client) = self.clients.here(id) {
            if turn.now.since(client.heard) < patience {
                return;
            }
        } else if let Some(client) = self.clients.elsewhere(id) {
            let same = client.server == owner;
            if same || !first_hand {
                if same {
                    self.clients.learn(id, owner, turn.now);
                }
                return;
            }
        }
        if !self.clients.learn(id, owner, turn.now) {
            return self.counters.add(Count::ClientsFull);
        }
        self.announce(id, owner, true, Some(index), turn);
        self.post.begin_anew(id);
        self.attend(id, turn);
    }

    /// Tells where `id` is: the neighbours always, and if it is this server's
    /// and `is_news` all other new servers too. Not the one who told it.
    pub(super) fn announce(
        &mut self,
        id: Id,
        owner: usize,
        is_news: bool,
        teller: Option<usize>,
        turn: &mut Turn<'_>,
    ) {
        let own = *self.table.own_address().ip();
        let address = *self.table.address(owner).ip();
        let mut entries = vec![(Id::PERMANENT, own)];
        if id != Id::PERMANENT {
            entries.push((id, address));
        }
        let lists = wire::lists(entries.into_iter());
        for index in self.table.others() {
            let concerned = self.table.is_neighbour(index)
                || is_news
                    && owner == self.table.own()
                    && self.table.kind(index, turn.now) == Kind::New;
            if concerned && teller != Some(index) {
                for list in &lists {
                    self.send_to_server(index, list.clone(), turn);
                }
            }
        }
    }

    pub(super) fn flood_terminate(&mut self, id: Id, turn: &mut Turn<'_>) {
        for index in self.table.others() {
            self.send_to_server(index, wire::terminate(id, true), turn);
        }
    }

    /// Another server hands over a message. A new one repeats it until it is
    /// `taken`; an existing one says it once.
    fn forwarded(
        &mut self,
        index: usize,
        (number, hops): (u32, u8),
        (source, destination): (Id, Id),
        text: &str,
        turn: &mut Turn<'_>,
    ) {
        if destination == Id::PERMANENT {
            return self.counters.add(Count::PermanentId);
        }
        if self.spool_failed {
            return self.counters.add(Count::SpoolFailed);
        }
        let memory = self.sources.of(source);
        let is_here = memory.here.contains(number);
        let known = number >= IDENTITY_MIN && (is_here || memory.has_passed(number, hops));
        if known {
            self.counters.add(Count::Repeated);
            self.take_over((number, hops), source, destination, turn);
        } else if self.post.room(destination, text.len()).is_err() {
            self.is_cramped = true;
            // Not taken: a new server keeps it and tries again.
            return self.counters.add(Count::MailboxFull);
        } else {
            let identity = self.identity(number, source, turn);
            self.keep(destination, identity, source, text, hops, turn);
        }
        if number >= IDENTITY_MIN {
            self.send_to_server(index, wire::taken(number, source, destination), turn);
        }
        self.attend(destination, turn);
    }

    /// A message that waits here has come back from where it was offered: the
    /// other lets go of it, so it is this server's alone, on a later hop, and
    /// whatever the other still says about the earlier one is void.
    fn take_over(
        &mut self,
        (number, hops): (u32, u8),
        source: Id,
        destination: Id,
        turn: &mut Turn<'_>,
    ) {
        let Some(place) = self.post.find(destination, Sort::Text, source, number) else {
            return;
        };
        let mailbox = self.post.of_mut(destination);
        if let Some(mail) = mailbox.and_then(|mailbox| mailbox.mails.get_mut(place))
            && hops > mail.hops
        {
            mail.hops = hops;
            mail.offered = false;
            mail.sent = None;
            mail.noted = None;
            if let Some(record) = self.spool.offered(destination, mail) {
                turn.push(Action::Append(record));
            }
        }
    }

    fn receipt_forwarded(
        &mut self,
        index: usize,
        number: u32,
        id: Id,
        reader: Id,
        turn: &mut Turn<'_>,
    ) {
        if self.spool_failed {
            return self.counters.add(Count::SpoolFailed);
        }
        self.send_to_server(index, wire::ack_receipt(number, id, reader), turn);
        let client = self.clients.here(id);
        let wanted = client.is_some_and(|client| client.speaks == Speaks::Receipts);
        let known = self.post.find(id, Sort::Receipt, reader, number).is_some();
        if !wanted {
            return;
        }
        if self.post.room(id, 0).is_err() {
            self.counters.add(Count::ForgottenReceipt);
        } else if !known {
            self.keep_receipt(id, reader, number, 1, turn);
        }
    }

    /// Keeps the news that `reader` read message `number` of `id`.
    pub(super) fn keep_receipt(
        &mut self,
        id: Id,
        reader: Id,
        number: u32,
        hops: u8,
        turn: &mut Turn<'_>,
    ) {
        let mail = Mail {
            sort: Sort::Receipt,
            source: reader,
            number,
            short: 0,
            hops,
            came: turn.now,
            sent: None,
            shown: None,
            noted: None,
            offered: false,
            text: "".into(),
        };
        self.store(id, mail, turn);
        self.attend(id, turn);
    }
}

/// A list of one entry.
pub(super) fn entry(id: Id, address: core::net::Ipv4Addr) -> Vec<u8> {
    let lists = wire::lists(core::iter::once((id, address)));
    lists.into_iter().next().unwrap_or_default()
}
