//! The mailboxes: what is kept for whom, in order, and when to try again.

use super::wire::Id;
use crate::table::{Table, insert_sorted, remove_sorted};
use crate::time::{Duration, Instant};
use core::net::{Ipv4Addr, SocketAddrV4};
use std::collections::VecDeque;

/// What a message is counted beyond its text, in bytes.
pub const OVERHEAD: usize = 96;
/// The first repetition of what is not acknowledged comes after this.
const REPEAT_FIRST: Duration = Duration::from_millis(200);
/// Later ones double the time, up to this.
const REPEAT_MOST: Duration = Duration::from_secs(2);
/// Mail this old gives way, within seconds, when there was no room for new mail.
pub const OLD_MAIL: Duration = Duration::from_secs(24 * 3_600);

/// What is kept: words, or the news that words were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// A message.
    Text,
    /// A read receipt for the message `number`; its source is the reader.
    Receipt,
}

/// A message in a mailbox.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Message or receipt.
    pub sort: Sort,
    /// Who sent it.
    pub source: Id,
    /// Tells it apart from all others of its source.
    pub number: u32,
    /// The number 0–99 by which existing programs know it.
    pub short: u8,
    /// How many servers it came through before this one.
    pub hops: u8,
    /// When it came.
    pub came: Instant,
    /// Where it was sent last, and when.
    pub sent: Option<(SocketAddrV4, Instant)>,
    /// To which client's address it was sent last: an acknowledgement counts
    /// from there, even if the mail has another way since.
    pub shown: Option<SocketAddrV4>,
    /// The new server that the spool says it was offered to.
    pub noted: Option<Ipv4Addr>,
    /// Whether it was in fact. Then it goes to that server and nowhere else
    /// until it is taken there: it may have been delivered already.
    pub offered: bool,
    /// The words; empty for a receipt.
    pub text: Box<str>,
}

impl Mail {
    fn cost(&self) -> usize {
        OVERHEAD + self.text.len()
    }

    fn is(&self, sort: Sort, source: Id, number: u32) -> bool {
        self.sort == sort && self.source == source && self.number == number
    }
}

/// One addressee's mail, oldest first.
#[derive(Debug, Default)]
pub struct Mailbox {
    /// The mail. At most its first is on its way to a client or a new server:
    /// so order is kept whatever the network does.
    pub mails: VecDeque<Mail>,
    /// How often the first was sent without an answer.
    pub tries: u32,
    due: Option<Instant>,
}

/// What the mailboxes may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Messages per mailbox.
    pub mailbox: usize,
    /// Bytes in all, each message counted with its [`OVERHEAD`].
    pub bytes: usize,
}

/// Why a message is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// This mailbox has its number of messages.
    Mailbox,
    /// All mailboxes together have their bytes.
    Bytes,
}

/// All mailboxes. An empty one is none.
#[derive(Debug)]
pub struct Post {
    boxes: Table<Id, Mailbox>,
    due: Vec<(Instant, Id)>,
    bytes: usize,
    mails: usize,
    limits: Limits,
}

impl Post {
    /// No mail yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            boxes: Table::new(),
            due: Vec::new(),
            bytes: 0,
            mails: 0,
            limits,
        }
    }

    /// Whether a message of `length` bytes for `id` would be kept.
    pub fn room(&self, id: Id, length: usize) -> Result<(), Full> {
        let waiting = self.boxes.get(id).map_or(0, |mailbox| mailbox.mails.len());
        if waiting >= self.limits.mailbox {
            Err(Full::Mailbox)
        } else if self.bytes + OVERHEAD + length > self.limits.bytes {
            Err(Full::Bytes)
        } else {
            Ok(())
        }
    }

    /// Keeps `mail` for `id`; the caller has asked for [`Post::room`], or
    /// restores what was promised before.
    pub fn keep(&mut self, id: Id, mail: Mail) {
        self.bytes += mail.cost();
        self.mails += 1;
        self.boxes.entry(id, Mailbox::default).mails.push_back(mail);
    }

    /// Where in `id`'s mailbox a message is.
    pub fn find(&self, id: Id, sort: Sort, source: Id, number: u32) -> Option<usize> {
        let mails = &self.boxes.get(id)?.mails;
        mails.iter().position(|mail| mail.is(sort, source, number))
    }

    /// Takes the message at `place` out of `id`'s mailbox.
    pub fn take(&mut self, id: Id, place: usize) -> Option<Mail> {
        let mailbox = self.boxes.get_mut(id)?;
        let mail = mailbox.mails.remove(place)?;
        self.bytes -= mail.cost();
        self.mails -= 1;
        if place == 0 {
            mailbox.tries = 0;
        }
        if mailbox.mails.is_empty() {
            self.wake(id, None);
            self.boxes.remove(id);
        }
        Some(mail)
    }

    /// `id`'s mailbox, if it has mail.
    pub fn of(&self, id: Id) -> Option<&Mailbox> {
        self.boxes.get(id)
    }

    /// `id`'s mailbox, to note what was sent from it.
    pub fn of_mut(&mut self, id: Id) -> Option<&mut Mailbox> {
        self.boxes.get_mut(id)
    }

    /// `id`'s way has changed: nothing is on it, and repetition begins anew.
    pub fn begin_anew(&mut self, id: Id) {
        if let Some(mailbox) = self.boxes.get_mut(id) {
            mailbox.tries = 0;
            for mail in &mut mailbox.mails {
                mail.sent = None;
            }
        }
        self.wake(id, None);
    }

    /// Looks at `id`'s mailbox again at `at`, or not before something happens.
    pub fn wake(&mut self, id: Id, at: Option<Instant>) {
        let Some(mailbox) = self.boxes.get_mut(id) else {
            return;
        };
        if let Some(due) = mailbox.due {
            remove_sorted(&mut self.due, &(due, id));
        }
        mailbox.due = at;
        if let Some(at) = at {
            insert_sorted(&mut self.due, (at, id));
        }
    }

    /// A mailbox to be looked at, and no more until it is woken again.
    pub fn next_due(&mut self, now: Instant) -> Option<Id> {
        let &(at, id) = self.due.first()?;
        if at > now {
            return None;
        }
        self.wake(id, None);
        Some(id)
    }

    /// When the next mailbox is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.due.first().map(|&(at, _)| at)
    }

    /// The addressees that have mail.
    pub fn addressees(&self) -> Vec<Id> {
        self.boxes.keys().collect()
    }

    /// All mailboxes in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (Id, &Mailbox)> {
        self.boxes.iter()
    }

    /// Messages, mailboxes and bytes held, and the bytes that may be.
    pub fn count(&self) -> (usize, usize, usize, usize) {
        (self.mails, self.boxes.len(), self.bytes, self.limits.bytes)
    }
}

/// How long after a sending for the `tries`-th time the next one comes.
pub fn repeat_after(tries: u32) -> Duration {
    let span = REPEAT_FIRST * (1 << tries.min(8));
    span.min(REPEAT_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(bits: u64) -> Id {
        Id::from_bits(bits).unwrap()
    }

    fn mail(number: u32, text: &str) -> Mail {
        Mail {
            sort: Sort::Text,
            source: id(1),
            number,
            short: 0,
            hops: 0,
            came: Instant::ZERO,
            sent: None,
            shown: None,
            noted: None,
            offered: false,
            text: text.into(),
        }
    }

    #[test]
    fn mailboxes_are_bounded_each_and_together() {
        let mut post = Post::new(Limits {
            mailbox: 2,
            bytes: 3 * OVERHEAD + 10,
        });
        assert_eq!(post.room(id(2), 3), Ok(()));
        post.keep(id(2), mail(100, "abc"));
        post.keep(id(2), mail(101, "abc"));
        assert_eq!(post.room(id(2), 1), Err(Full::Mailbox));
        assert_eq!(post.room(id(3), 4), Ok(()));
        assert_eq!(post.room(id(3), 5), Err(Full::Bytes));
        post.take(id(2), 0).unwrap();
        assert_eq!(post.room(id(2), 1), Ok(()));
        post.take(id(2), 0).unwrap();
        assert_eq!(post.count(), (0, 0, 0, 3 * OVERHEAD + 10));
    }

    #[test]
    fn a_mailbox_is_due_once_and_not_when_it_is_gone() {
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        let mut post = Post::new(Limits {
            mailbox: 9,
            bytes: 9_999,
        });
        for i in 2..5 {
            post.keep(id(i), mail(100, "x"));
            post.wake(id(i), Some(at(i)));
        }
        post.wake(id(2), Some(at(9)));
        assert_eq!(post.deadline(), Some(at(3)));
        post.take(id(3), 0).unwrap();
        assert_eq!(post.next_due(at(8)), Some(id(4)));
        assert_eq!(post.next_due(at(8)), None);
        assert_eq!(post.deadline(), Some(at(9)));
    }

    #[test]
    fn repetition_slows_down_to_its_bound() {
        let spans: Vec<u64> = (0..6).map(|n| repeat_after(n).micros() / 1_000).collect();
        assert_eq!(spans, [200, 400, 800, 1_600, 2_000, 2_000]);
        assert_eq!(repeat_after(u32::MAX), REPEAT_MOST);
    }

    #[test]
    fn mail_is_found_by_all_that_tells_it_apart() {
        let mut post = Post::new(Limits {
            mailbox: 9,
            bytes: 9_999,
        });
        post.keep(id(2), mail(100, "abc"));
        assert_eq!(post.find(id(2), Sort::Text, id(1), 100), Some(0));
        assert_eq!(post.find(id(2), Sort::Text, id(1), 101), None);
        assert_eq!(post.find(id(2), Sort::Text, id(3), 100), None);
        assert_eq!(post.find(id(2), Sort::Receipt, id(1), 100), None);
        assert_eq!(post.find(id(3), Sort::Text, id(1), 100), None);
    }

    #[test]
    fn repetition_begins_anew_with_the_next_first_or_the_next_way() {
        let mut post = Post::new(Limits {
            mailbox: 9,
            bytes: 9_999,
        });
        let to = SocketAddrV4::new([127, 0, 0, 1].into(), 1);
        for number in 100..104 {
            let sent = Some((to, Instant::ZERO));
            let text = "abc";
            post.keep(
                id(2),
                Mail {
                    sent,
                    ..mail(number, text)
                },
            );
        }
        let bytes = post.count().2;
        let tries = |post: &Post| post.of(id(2)).unwrap().tries;
        post.of_mut(id(2)).unwrap().tries = 5;
        post.take(id(2), 1).unwrap();
        assert_eq!((tries(&post), post.count().2), (5, bytes / 4 * 3));
        post.take(id(2), 0).unwrap();
        assert_eq!((tries(&post), post.count().2), (0, bytes / 2));
        post.of_mut(id(2)).unwrap().tries = 5;
        post.wake(id(2), Some(Instant::ZERO));
        post.begin_anew(id(2));
        let mailbox = post.of(id(2)).unwrap();
        assert_eq!(mailbox.tries, 0);
        assert!(mailbox.mails.iter().all(|mail| mail.sent.is_none()));
        assert_eq!(post.deadline(), None);
    }
}
