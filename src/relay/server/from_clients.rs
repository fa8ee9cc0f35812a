//! Frames from clients, and from anybody else whose address is not a
//! server's.

use super::{Count, Message, Server};
use crate::relay::clients::{Arrival, Here};
use crate::relay::post::{Full, Mail, Sort};
use crate::relay::wire::{self, IDENTITY_MIN, Id, Speaks};
use crate::service::{Action, Turn};
use core::net::SocketAddrV4;

impl Server {
    pub(super) fn client_says(
        &mut self,
        from: SocketAddrV4,
        message: Message<'_>,
        turn: &mut Turn<'_>,
    ) {
        match message {
            Message::Handshake { id, speaks } => self.handshake(from, id, speaks, turn),
            Message::Send {
                number,
                source,
                destination,
                text,
                hops: 1,
            } => self.submit(from, number, (source, destination), text, turn),
            Message::Get { number, id } => self.get(from, number, id, turn),
            Message::Ack { number, id, source } => {
                self.heard_from(id, from, turn);
                self.acknowledged(from, (Sort::Text, source, number), id, turn);
            }
            Message::AckReceipt { number, id, reader } => {
                self.heard_from(id, from, turn);
                self.acknowledged(from, (Sort::Receipt, reader, number), id, turn);
            }
            Message::Terminate { id, flooded: false } => self.leave(from, id, turn),
            Message::StatusAsk => {
                let status = wire::status(&self.status());
                self.send(from, status, turn);
            }
            _ => self.counters.add(Count::Stranger),
        }
    }

    fn handshake(&mut self, from: SocketAddrV4, id: Id, speaks: Speaks, turn: &mut Turn<'_>) {
        let new = speaks != Speaks::Old;
        let is_repeated = self.clients.here(id).is_some_and(|client| {
            client.address == from && client.speaks == speaks && !client.refuses
        });
        if !self.arrive(from, id, speaks, turn) {
            if new {
                self.send(
                    from,
                    wire::refused(1, id, "no place here for this id"),
                    turn,
                );
            }
            return;
        }
        if new {
            self.send(from, wire::taken(1, id, wire::VERSION), turn);
        }
        if !new {
            self.drop_receipts(id, turn);
        }
        if !is_repeated {
            self.post.begin_anew(id);
        }
        self.attend(id, turn);
    }

    /// Makes `id` a client of this server and tells the others; false when
    /// there is no place for it.
    fn arrive(&mut self, from: SocketAddrV4, id: Id, speaks: Speaks, turn: &mut Turn<'_>) -> bool {
        if id == Id::PERMANENT {
            self.counters.add(Count::PermanentId);
            return false;
        }
        let client = Here {
            address: from,
            speaks,
            heard: turn.now,
            refuses: false,
        };
        let (arrival, replaced) = self.clients.arrive(id, client);
        if let Some(replaced) = replaced {
            self.flood_terminate(replaced, turn);
        }
        match arrival {
            Arrival::Full => {
                self.counters.add(Count::ClientsFull);
                return false;
            }
            // Existing servers keep the route they heard first.
            Arrival::Moved => self.flood_terminate(id, turn),
            Arrival::New | Arrival::Known => {}
        }
        let own = self.table.own();
        self.announce(id, own, arrival != Arrival::Known, None, turn);
        true
    }

    /// A client that is not this server's shakes hands by what it sends.
    fn is_client_here(&mut self, from: SocketAddrV4, id: Id, turn: &mut Turn<'_>) -> bool {
        if self.clients.here(id).is_none() {
            let arrived = self.arrive(from, id, Speaks::Old, turn);
            self.post.begin_anew(id);
            return arrived;
        }
        self.heard_from(id, from, turn);
        true
    }

    /// Notes that `id` spoke. Only an old client is followed to another
    /// address: a new one shakes hands there.
    fn heard_from(&mut self, id: Id, from: SocketAddrV4, turn: &Turn<'_>) {
        if let Some(client) = self.clients.here_mut(id) {
            if !client.is_new() {
                client.address = from;
            }
            if client.address == from {
                client.heard = turn.now;
                client.refuses = false;
            }
        }
    }

    fn submit(
        &mut self,
        from: SocketAddrV4,
        number: u32,
        (source, destination): (Id, Id),
        text: &str,
        turn: &mut Turn<'_>,
    ) {
        if destination == Id::PERMANENT {
            return self.counters.add(Count::PermanentId);
        }
        if !self.is_client_here(from, source, turn) {
            return;
        }
        if self.spool_failed {
            return self.refuse(
                Count::SpoolFailed,
                "the spool cannot be written",
                from,
                number,
                source,
                turn,
            );
        }
        let is_new = self
            .clients
            .here(source)
            .is_some_and(|client| client.is_new());
        let memory = self.sources.of(source);
        let known = number >= IDENTITY_MIN
            && (memory.taken.contains(number) || memory.here.contains(number));
        if known {
            self.counters.add(Count::Repeated);
        } else if let Err(full) = self.post.room(destination, text.len()) {
            self.is_cramped = true;
            let (count, why) = match full {
                Full::Mailbox => (Count::MailboxFull, "the addressee's mailbox is full"),
                Full::Bytes => (Count::BytesFull, "the server is full"),
            };
            return self.refuse(count, why, from, number, source, turn);
        } else {
            let identity = self.identity(number, source, turn);
            self.sources.of(source).taken.add(identity, identity);
            self.keep(destination, identity, source, text, 0, turn);
        }
        if number >= IDENTITY_MIN || is_new {
            self.send(from, wire::taken(number, source, destination), turn);
        }
        if !known {
            self.attend(destination, turn);
        }
    }

    fn refuse(
        &mut self,
        count: Count,
        why: &str,
        from: SocketAddrV4,
        number: u32,
        source: Id,
        turn: &mut Turn<'_>,
    ) {
        self.counters.add(count);
        if number >= IDENTITY_MIN {
            self.send(from, wire::refused(number, source, why), turn);
        }
    }

    fn get(&mut self, from: SocketAddrV4, number: u32, id: Id, turn: &mut Turn<'_>) {
        if !self.is_client_here(from, id, turn) {
            return;
        }
        let client = self.clients.here(id);
        let is_new = client.is_some_and(|client| client.is_new() && client.address == from);
        let is_elsewhere = self.first_is_offered(id, turn.now);
        let oldest = self.post.of_mut(id).and_then(|mailbox| {
            let mut mails = mailbox.mails.iter_mut();
            mails
                .find(|mail| mail.sort == Sort::Text)
                .filter(|mail| !is_elsewhere || mail.shown == Some(from))
        });
        let answer = match oldest {
            Some(mail) => {
                if !is_elsewhere {
                    mail.sent = Some((from, turn.now));
                }
                mail.shown = Some(from);
                if !is_elsewhere && let Some(record) = self.spool.shown(id, mail) {
                    turn.push(Action::Append(record));
                }
                let number = if is_new {
                    mail.number
                } else {
                    u32::from(mail.short)
                };
                wire::send(number, mail.source, id, &mail.text)
            }
            None if is_new => wire::nothing(number.max(IDENTITY_MIN), id),
            None => wire::nothing(1, id),
        };
        self.send(from, answer, turn);
    }

    fn leave(&mut self, from: SocketAddrV4, id: Id, turn: &mut Turn<'_>) {
        let Some(client) = self.clients.here(id) else {
            return;
        };
        let is_its_own = if client.is_new() {
            client.address == from
        } else {
            client.address.ip() == from.ip()
        };
        if !is_its_own {
            return self.counters.add(Count::Stranger);
        }
        self.clients.forget(id);
        self.post.begin_anew(id);
        self.drop_receipts(id, turn);
        self.flood_terminate(id, turn);
        let own = self.table.own();
        self.announce(Id::PERMANENT, own, false, None, turn);
    }

    /// The number by which a message is known from here on.
    pub(super) fn identity(&mut self, number: u32, source: Id, turn: &mut Turn<'_>) -> u32 {
        if number >= IDENTITY_MIN {
            number
        } else {
            self.sources.of(source).number(turn.entropy)
        }
    }

    /// Keeps a message, in the mailbox and in the spool.
    pub(super) fn keep(
        &mut self,
        destination: Id,
        number: u32,
        source: Id,
        text: &str,
        hops: u8,
        turn: &mut Turn<'_>,
    ) {
        self.counters.add(Count::Taken);
        if self.spool.is_on() {
            self.unsure.push((destination, source, number));
        }
        self.sources.of(source).here.add(number, number);
        let mail = Mail {
            sort: Sort::Text,
            source,
            number,
            short: self.next_short(),
            hops,
            came: turn.now,
            sent: None,
            shown: None,
            noted: self.next_server(destination, turn.now),
            offered: false,
            text: text.into(),
        };
        self.store(destination, mail, turn);
    }

    /// Existing programs give the numbers 0–99 in turn.
    pub(super) fn next_short(&mut self) -> u8 {
        self.short = (self.short + 1) % 100;
        self.short
    }
}
