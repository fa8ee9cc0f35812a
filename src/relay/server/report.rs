//! What the server counts, and how it tells.

use super::Server;
use crate::relay::table::Kind;
use crate::relay::wire::Invalid;
use crate::service::Turn;

/// Everything counted, in the order of [`NAMES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    Received,
    Sent,
    Taken,
    Delivered,
    HandedOver,
    Repeated,
    Empty,
    TooLong,
    NotText,
    Shape,
    Type,
    BadId,
    EmptyText,
    LongText,
    Stranger,
    PermanentId,
    NoSuchServer,
    StaleAck,
    MailboxFull,
    BytesFull,
    ClientsFull,
    SpoolFailed,
    ForgottenReceipt,
    OldMail,
}

/// What [`Count`] counts; the first six are traffic, the others drops.
const NAMES: [&str; 24] = [
    "received",
    "sent",
    "taken",
    "delivered",
    "handed over",
    "repeated",
    "empty datagram",
    "frame too long",
    "not UTF-8",
    "not a frame",
    "unknown type",
    "bad id or address",
    "empty text",
    "text too long",
    "a server's frame from a stranger",
    "the permanent id",
    "list entry of no server",
    "acknowledgement of nothing",
    "mailbox full",
    "all mailboxes full",
    "no place for a client",
    "spool not written",
    "receipt for nobody",
    "old mail made room",
];
const TRAFFIC: usize = 6;

const _: () = assert!(Count::OldMail as usize + 1 == NAMES.len());

impl From<Invalid> for Count {
    fn from(why: Invalid) -> Self {
        match why {
            Invalid::Empty => Self::Empty,
            Invalid::TooLong => Self::TooLong,
            Invalid::NotText => Self::NotText,
            Invalid::Shape => Self::Shape,
            Invalid::Type => Self::Type,
            Invalid::Id => Self::BadId,
            Invalid::EmptyText => Self::EmptyText,
            Invalid::LongText => Self::LongText,
        }
    }
}

/// The counters; each stands still at its greatest value.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters([u32; NAMES.len()]);

impl Counters {
    pub(super) fn add(&mut self, count: Count) {
        if let Some(counter) = self.0.get_mut(count as usize) {
            *counter = counter.saturating_add(1);
        }
    }

    /// What was counted last did not come to be.
    pub(super) fn take_back(&mut self, count: Count) {
        if let Some(counter) = self.0.get_mut(count as usize) {
            *counter = counter.saturating_sub(1);
        }
    }

    pub(super) fn of(&self, count: Count) -> u32 {
        self.0.get(count as usize).copied().unwrap_or_default()
    }

    fn dropped(&self) -> u32 {
        let drops = self.0.iter().skip(TRAFFIC);
        drops.fold(0, |sum, &count| sum.saturating_add(count))
    }
}

impl Server {
    /// The server in one line, for `relay status`.
    pub(super) fn status(&self) -> String {
        let (here, elsewhere) = self.clients.count();
        let (mails, boxes, bytes, _) = self.post.count();
        format!(
            "server {} of {}, clients {here} here {elsewhere} elsewhere, kept {mails} in {boxes} \
             mailboxes {bytes} bytes, taken {} delivered {} handed over {} dropped {}",
            self.table.own() + 1,
            self.table.len(),
            self.counters.of(Count::Taken),
            self.counters.of(Count::Delivered),
            self.counters.of(Count::HandedOver),
            self.counters.dropped(),
        )
    }

    /// All there is to know, on SIGUSR1.
    pub(super) fn report(&self, turn: &mut Turn<'_>) {
        turn.print(self.status());
        for index in self.table.others() {
            let kind = match self.table.kind(index, turn.now) {
                Kind::Own | Kind::New => "new",
                Kind::Old => "existing program, or none",
                Kind::Absent => "absent",
            };
            let heard = match self.table.last_heard(index) {
                Some(at) => format!("heard {} s ago", turn.now.since(at).micros() / 1_000_000),
                None => "never heard".into(),
            };
            let address = self.table.address(index);
            turn.print(format!("server {} {address}: {kind}, {heard}", index + 1));
        }
        for (i, name) in NAMES.iter().enumerate() {
            let count = self.counters.0.get(i).copied().unwrap_or_default();
            if i < TRAFFIC {
                turn.print(format!("{name}: {count}"));
            } else if count > 0 {
                turn.print(format!("dropped, {name}: {count}"));
            }
        }
        if self.spool.is_on() {
            turn.print(format!("spool: {} bytes", self.spool.written()));
        }
    }
}
