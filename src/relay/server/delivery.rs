//! How mail leaves its mailbox: pushed to a new client, fetched by an old one,
//! handed to another server.

use super::from_servers::entry;
use super::{Count, Server};
use crate::relay::clients::IDLE;
use crate::relay::post::{Mail, OLD_MAIL, Sort, repeat_after};
use crate::relay::spool::Gone;
use crate::relay::table::Kind;
use crate::relay::wire::{self, HOPS_MAX, IDENTITY_MIN, Id, Speaks};
use crate::service::{Action, Turn};
use crate::time::{Duration, Instant};
use core::net::{Ipv4Addr, SocketAddrV4};

/// Mail from another server goes on to a third only after this: while routes
/// contradict each other it must not fly in circles.
const HOLD: Duration = Duration::from_secs(1);
/// Mail handed to an existing server is let go of after this time without an
/// error: there is no confirmation.
const UNCONFIRMED: Duration = Duration::from_secs(1);
/// Existing servers are given a few messages at a time, as they buffer little.
const OLD_BURST: usize = 4;
const OLD_PAUSE: Duration = Duration::from_millis(50);

/// What can be done for a mailbox now.
enum Way {
    /// Its owner takes pushes at this address.
    Push(SocketAddrV4),
    /// Its owner is at this new server.
    NewServer(SocketAddrV4),
    /// Its owner is at this existing server.
    OldServer(SocketAddrV4),
    /// Nothing, until something happens.
    Wait,
}

impl Server {
    /// Does for `id`'s mailbox what can be done now.
    pub(super) fn attend(&mut self, id: Id, turn: &mut Turn<'_>) {
        match self.way(id, turn.now) {
            Way::Wait => self.post.wake(id, None),
            Way::Push(address) => self.send_first(id, address, false, turn),
            Way::NewServer(address) => self.send_first(id, address, true, turn),
            Way::OldServer(address) => self.give_to_old_server(id, address, turn),
        }
    }

    fn way(&self, id: Id, now: Instant) -> Way {
        self.way_of_first(id, now)
            .unwrap_or_else(|| self.way_of_owner(id, now))
    }

    /// A message that was offered to a new server is settled with that one
    /// first, wherever its addressee is now: it may have been delivered there.
    /// A server silent for too long is not waited for: twice is better than
    /// never.
    fn way_of_first(&self, id: Id, now: Instant) -> Option<Way> {
        let mail = self
            .post
            .of(id)?
            .mails
            .front()
            .filter(|mail| mail.offered)?;
        let index = self.table.at(mail.noted?)?;
        match self.table.kind(index, now) {
            Kind::New => Some(Way::NewServer(self.table.address(index))),
            Kind::Absent if self.table.is_fresh(now) => Some(Way::Wait),
            _ => None,
        }
    }

    /// Whether the first message is to be settled with another server.
    pub(super) fn first_is_offered(&self, id: Id, now: Instant) -> bool {
        self.way_of_first(id, now).is_some()
    }

    /// The new server that mail for `id` will be offered to, if it stays there.
    pub(super) fn next_server(&self, id: Id, now: Instant) -> Option<Ipv4Addr> {
        match self.way_of_owner(id, now) {
            Way::NewServer(address) => Some(*address.ip()),
            _ => None,
        }
    }

    fn way_of_owner(&self, id: Id, now: Instant) -> Way {
        if let Some(client) = self.clients.here(id) {
            let listens = client.is_new() && !client.refuses && now.since(client.heard) < IDLE;
            return if listens {
                Way::Push(client.address)
            } else {
                Way::Wait
            };
        }
        let Some(client) = self.clients.elsewhere(id) else {
            return Way::Wait;
        };
        let address = self.table.address(client.server);
        match self.table.kind(client.server, now) {
            Kind::New => Way::NewServer(address),
            Kind::Old => Way::OldServer(address),
            Kind::Own | Kind::Absent => Way::Wait,
        }
    }

    /// Sends the first message of a mailbox, or again when it is time.
    fn send_first(&mut self, id: Id, to: SocketAddrV4, to_server: bool, turn: &mut Turn<'_>) {
        let Some(mailbox) = self.post.of_mut(id) else {
            return;
        };
        let Some(mail) = mailbox.mails.front_mut() else {
            return;
        };
        if to_server && mail.hops >= HOPS_MAX {
            return self.post.wake(id, None);
        }
        if to_server && mail.hops > 0 && turn.now.since(mail.came) < HOLD {
            let at = mail.came + HOLD;
            return self.post.wake(id, Some(at));
        }
        if let Some((last, at)) = mail.sent
            && last == to
        {
            let next = at + repeat_after(mailbox.tries.saturating_sub(1));
            if turn.now < next {
                return self.post.wake(id, Some(next));
            }
            self.counters.add(Count::Repeated);
        }
        let frame = match mail.sort {
            Sort::Text if to_server => {
                let hops = mail.hops + 1;
                wire::offer(mail.number, hops, mail.source, id, &mail.text)
            }
            Sort::Text => wire::send(mail.number, mail.source, id, &mail.text),
            Sort::Receipt => wire::read(mail.number, id, mail.source),
        };
        mail.sent = Some((to, turn.now));
        if !to_server {
            mail.shown = Some(to);
            if let Some(record) = self.spool.shown(id, mail) {
                turn.push(Action::Append(record));
            }
        } else if mail.sort == Sort::Text {
            mail.offered = true;
            if mail.noted != Some(*to.ip()) {
                mail.noted = Some(*to.ip());
                if let Some(record) = self.spool.offered(id, mail) {
                    turn.push(Action::Append(record));
                }
            }
        }
        let next = turn.now + repeat_after(mailbox.tries);
        mailbox.tries = mailbox.tries.saturating_add(1);
        self.post.wake(id, Some(next));
        self.send(to, frame, turn);
    }

    /// Gives mail to an existing server: each after its source's list entry,
    /// or the server would take the source for its own client. It confirms
    /// nothing, so what it did not refuse within a second is let go of.
    fn give_to_old_server(&mut self, id: Id, to: SocketAddrV4, turn: &mut Turn<'_>) {
        while let Some(place) = self.post.of(id).and_then(|mailbox| {
            mailbox.mails.iter().position(|mail| {
                mail.sort == Sort::Receipt
                    || mail
                        .sent
                        .is_some_and(|(last, at)| last == to && turn.now.since(at) >= UNCONFIRMED)
            })
        }) {
            self.let_go(id, place, Gone::HandedOver, turn);
        }
        let mut frames = Vec::new();
        let mut next = None;
        let now = turn.now;
        if let Some(mailbox) = self.post.of_mut(id) {
            for mail in &mut mailbox.mails {
                match mail.sent {
                    Some((last, at)) if last == to => {
                        next = next.or(Some(at + UNCONFIRMED));
                    }
                    _ if mail.hops > 0 && now.since(mail.came) < HOLD => {
                        next = Some(mail.came + HOLD);
                        break;
                    }
                    _ if frames.len() >= OLD_BURST => {
                        next = Some(now + OLD_PAUSE);
                        break;
                    }
                    _ => {
                        mail.sent = Some((to, now));
                        next = next.or(Some(now + UNCONFIRMED));
                        let text = wire::send(mail.short.into(), mail.source, id, &mail.text);
                        frames.push((mail.source, text));
                    }
                }
            }
        }
        for (source, frame) in frames {
            let server = self.clients.elsewhere(source).map(|client| client.server);
            let owner = self.table.address(server.unwrap_or(self.table.own()));
            self.send(to, entry(source, *owner.ip()), turn);
            self.send(to, frame, turn);
        }
        self.post.wake(id, next);
    }

    /// A message's addressee, or whoever speaks for it, acknowledges it.
    pub(super) fn acknowledged(
        &mut self,
        from: SocketAddrV4,
        (sort, source, number): (Sort, Id, u32),
        id: Id,
        turn: &mut Turn<'_>,
    ) {
        let place = self.post.of(id).and_then(|mailbox| {
            mailbox.mails.iter().position(|mail| {
                let known_as = if number >= IDENTITY_MIN {
                    mail.number
                } else {
                    mail.short.into()
                };
                let was_sent_there = mail
                    .shown
                    .is_some_and(|to| to == from || number < IDENTITY_MIN && to.ip() == from.ip());
                mail.sort == sort && mail.source == source && known_as == number && was_sent_there
            })
        });
        let Some(mail) = place.and_then(|place| self.let_go(id, place, Gone::Ended, turn)) else {
            return self.counters.add(Count::StaleAck);
        };
        if mail.sort == Sort::Text {
            self.counters.add(Count::Delivered);
            self.tell_read(mail.source, id, mail.number, turn);
        }
        self.attend(id, turn);
    }

    /// Another server has taken a message or a receipt.
    pub(super) fn handed_over(
        &mut self,
        index: usize,
        (sort, source, number): (Sort, Id, u32),
        id: Id,
        turn: &mut Turn<'_>,
    ) {
        let address = self.table.address(index);
        let place = self.post.find(id, sort, source, number).filter(|&place| {
            let mail = self
                .post
                .of(id)
                .and_then(|mailbox| mailbox.mails.get(place));
            mail.and_then(|mail| mail.sent)
                .is_some_and(|(to, _)| to == address)
        });
        let Some(place) = place else {
            return self.counters.add(Count::StaleAck);
        };
        self.let_go(id, place, Gone::HandedOver, turn);
        self.attend(id, turn);
    }

    /// Sends news of a reading to the message's source, if that is a new
    /// client, here or at another new server.
    fn tell_read(&mut self, source: Id, reader: Id, number: u32, turn: &mut Turn<'_>) {
        let reachable = match (self.clients.here(source), self.clients.elsewhere(source)) {
            (Some(client), _) => client.speaks == Speaks::Receipts,
            (None, Some(client)) => self.table.kind(client.server, turn.now) == Kind::New,
            (None, None) => false,
        };
        if !reachable {
            return;
        }
        if self.post.room(source, 0).is_ok() {
            self.keep_receipt(source, reader, number, 0, turn);
        } else {
            self.counters.add(Count::ForgottenReceipt);
        }
    }

    /// Receipts are for a client that is there.
    pub(super) fn drop_receipts(&mut self, id: Id, turn: &mut Turn<'_>) {
        while let Some(place) = self.post.of(id).and_then(|mailbox| {
            let mut mails = mailbox.mails.iter();
            mails.position(|mail| mail.sort == Sort::Receipt)
        }) {
            self.let_go(id, place, Gone::Ended, turn);
            self.counters.add(Count::ForgottenReceipt);
        }
    }

    pub(super) fn store(&mut self, id: Id, mail: Mail, turn: &mut Turn<'_>) {
        if let Some(record) = self.spool.stored(id, &mail) {
            turn.push(Action::Append(record));
        }
        self.post.keep(id, mail);
    }

    fn let_go(&mut self, id: Id, place: usize, how: Gone, turn: &mut Turn<'_>) -> Option<Mail> {
        let mail = self.post.take(id, place)?;
        if how == Gone::HandedOver && mail.sort == Sort::Text {
            let memory = self.sources.of(mail.source);
            memory.here.remove(mail.number);
            memory.pass(mail.number, mail.hops.saturating_add(1));
            self.counters.add(Count::HandedOver);
        }
        if let Some(record) = self.spool.gone(id, &mail, how) {
            turn.push(Action::Append(record));
        }
        Some(mail)
    }

    /// There was no room: mail that nobody fetched for a day goes.
    pub(super) fn drop_old_mail(&mut self, turn: &mut Turn<'_>) {
        for id in self.post.addressees() {
            while self
                .post
                .of(id)
                .and_then(|mailbox| mailbox.mails.front())
                .is_some_and(|mail| turn.now.since(mail.came) >= OLD_MAIL)
            {
                self.let_go(id, 0, Gone::Ended, turn);
                self.counters.add(Count::OldMail);
            }
        }
    }
}
