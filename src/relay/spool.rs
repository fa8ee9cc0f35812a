//! Mail that survives a restart: an append-only journal of records.
//!
//! ```text
//! ┌────┬────┬─────────┬────────────┬──────────────────────────────┐
//! │0xff│sort│length   │ body       │CRC-32 of sort, length, body  │
//! └────┴────┴─────────┴────────────┴──────────────────────────────┘
//!   1    1    2         length       4        numbers big-endian
//! ```
//!
//! A crash may tear the last record at any byte: what is not whole is skipped,
//! and reading goes on at the next record that is. 0xff is no byte of UTF-8,
//! so no text can pretend to be one. When the journal has grown to more than
//! twice its length after it was last written anew, it is written anew again
//! ([`Spool::is_too_long`]).

use super::post::{Limits, Mail, Post, Sort};
use super::seen::Sources;
use super::wire::{Id, TEXT_BYTES_MAX};
use crate::election::wire::crc32;
use crate::time::Instant;
use core::net::Ipv4Addr;

const MARK: u8 = 0xff;
const STORED: u8 = 1;
const GONE: u8 = 2;
const TAKEN_RUN: u8 = 3;
const HERE_RUN: u8 = 4;
const OFFERED: u8 = 5;
const PASSED: u8 = 6;

const RECEIPT: u8 = 1;
const HANDED_OVER: u8 = 2;

const HEAD: usize = 4;
const CRC: usize = 4;
const KEY: usize = 1 + 1 + 8 + 8 + 4 + 4;
const BODY_MAX: usize = KEY + TEXT_BYTES_MAX;
/// What the journal may have beyond twice its length when written anew.
const SLACK: usize = 64 * 1024;

/// Why a message left its mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// Acknowledged by its addressee, or dropped: it is never taken again.
    Ended,
    /// Kept by another server now: it may come back with its addressee.
    HandedOver,
}

/// The journal as the server writes it.
#[derive(Debug)]
pub struct Spool {
    /// Bytes in the file.
    written: usize,
    /// Bytes in it when it was last written anew.
    compact: usize,
    on: bool,
}

impl Spool {
    /// A spool that keeps nothing.
    pub const fn off() -> Self {
        Self {
            written: 0,
            compact: 0,
            on: false,
        }
    }

    /// A spool whose file has `written` bytes.
    pub const fn on(written: usize) -> Self {
        Self {
            written,
            compact: 0,
            on: true,
        }
    }

    /// Whether anything is kept.
    pub const fn is_on(&self) -> bool {
        self.on
    }

    /// Bytes in the file.
    pub const fn written(&self) -> usize {
        self.written
    }

    /// The record of `mail` for `id`, to be appended; none when it is off.
    pub fn stored(&mut self, id: Id, mail: &Mail) -> Option<Vec<u8>> {
        self.appended(|journal| stored(journal, id, mail))
    }

    /// The record that `mail` has left `id`'s mailbox.
    pub fn gone(&mut self, id: Id, mail: &Mail, how: Gone) -> Option<Vec<u8>> {
        self.appended(|journal| {
            let flags = match how {
                Gone::Ended => flags(mail),
                Gone::HandedOver => flags(mail) | HANDED_OVER,
            };
            record(journal, GONE, |body| key(body, flags, id, mail));
        })
    }

    /// The record that `mail` is offered to another server than noted before,
    /// or to none any more.
    pub fn offered(&mut self, id: Id, mail: &Mail) -> Option<Vec<u8>> {
        self.appended(|journal| {
            record(journal, OFFERED, |body| key(body, flags(mail), id, mail));
        })
    }

    /// The record that `mail` is shown to its addressee here, if it was noted
    /// for another server to which it was not offered after all.
    pub fn shown(&mut self, id: Id, mail: &mut Mail) -> Option<Vec<u8>> {
        mail.noted.take()?;
        self.offered(id, mail)
    }

    fn appended(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Option<Vec<u8>> {
        if !self.on {
            return None;
        }
        let mut journal = Vec::new();
        write(&mut journal);
        self.written += journal.len();
        Some(journal)
    }

    /// Whether the file should be written anew.
    pub const fn is_too_long(&self) -> bool {
        self.on && self.written > 2 * self.compact + SLACK
    }

    /// The whole journal anew.
    pub fn rewritten(&mut self, post: &Post, sources: &Sources) -> Vec<u8> {
        let journal = snapshot(post, sources);
        self.written = journal.len();
        self.compact = journal.len();
        journal
    }
}

/// What a journal says.
#[derive(Debug)]
pub struct Recovered {
    /// The mail.
    pub post: Post,
    /// What was seen.
    pub sources: Sources,
    /// Bytes that are no whole record.
    pub damaged: usize,
    /// Bytes in all.
    pub length: usize,
    shorts: u8,
}

/// Reads a journal. `limits` are for new mail: what was promised is kept.
pub fn recover(journal: &[u8], limits: Limits) -> Recovered {
    let mut recovered = Recovered {
        post: Post::new(limits),
        sources: Sources::default(),
        damaged: 0,
        length: journal.len(),
        shorts: 0,
    };
    let mut rest = journal;
    while !rest.is_empty() {
        let used = match next_record(rest) {
            Some((sort, body, length)) if recovered.apply(sort, body).is_some() => length,
            _ => {
                recovered.damaged += 1;
                1
            }
        };
        rest = rest.get(used..).unwrap_or_default();
    }
    recovered
}

impl Recovered {
    fn apply(&mut self, sort: u8, body: &[u8]) -> Option<()> {
        let mut fields = Fields(body);
        if sort == TAKEN_RUN || sort == HERE_RUN {
            let source = self.sources.of(fields.id()?);
            let runs = if sort == TAKEN_RUN {
                &mut source.taken
            } else {
                &mut source.here
            };
            runs.add(fields.word()?, fields.word()?);
            return Some(());
        }
        if sort == PASSED {
            let source = self.sources.of(fields.id()?);
            source.pass(fields.word()?, fields.byte()?);
            return Some(());
        }
        let (flags, hops) = (fields.byte()?, fields.byte()?);
        let (id, source, number) = (fields.id()?, fields.id()?, fields.word()?);
        let noted = Ipv4Addr::from(fields.word()?);
        let noted = (!noted.is_unspecified()).then_some(noted);
        let text = core::str::from_utf8(fields.0).ok()?;
        let sort_of_mail = if flags & RECEIPT == 0 {
            Sort::Text
        } else {
            Sort::Receipt
        };
        let memory = (sort_of_mail == Sort::Text).then(|| self.sources.of(source));
        match sort {
            STORED => {
                if let Some(memory) = memory {
                    memory.here.add(number, number);
                    if hops == 0 {
                        memory.taken.add(number, number);
                    }
                }
                self.shorts = (self.shorts + 1) % 100;
                let mail = Mail {
                    sort: sort_of_mail,
                    source,
                    number,
                    short: self.shorts,
                    hops,
                    came: Instant::ZERO,
                    sent: None,
                    shown: None,
                    noted,
                    offered: noted.is_some(),
                    text: text.into(),
                };
                self.post.keep(id, mail);
            }
            GONE => {
                if let (Some(memory), true) = (memory, flags & HANDED_OVER != 0) {
                    memory.here.remove(number);
                    memory.pass(number, hops.saturating_add(1));
                }
                if let Some(place) = self.post.find(id, sort_of_mail, source, number) {
                    self.post.take(id, place);
                }
            }
            OFFERED => {
                let place = self.post.find(id, sort_of_mail, source, number);
                let mailbox = self.post.of_mut(id);
                if let (Some(place), Some(mailbox)) = (place, mailbox)
                    && let Some(mail) = mailbox.mails.get_mut(place)
                {
                    mail.hops = hops;
                    mail.noted = noted;
                    mail.offered = noted.is_some();
                }
            }
            _ => return None,
        }
        Some(())
    }
}

fn snapshot(post: &Post, sources: &Sources) -> Vec<u8> {
    let mut journal = Vec::new();
    for (id, source) in sources.iter() {
        for (sort, runs) in [(TAKEN_RUN, &source.taken), (HERE_RUN, &source.here)] {
            for (first, last) in runs.iter() {
                record(&mut journal, sort, |body| {
                    body.extend_from_slice(&id.bits().to_be_bytes());
                    body.extend_from_slice(&first.to_be_bytes());
                    body.extend_from_slice(&last.to_be_bytes());
                });
            }
        }
    }
    for (id, source) in sources.iter() {
        for (number, hops) in source.passed() {
            record(&mut journal, PASSED, |body| {
                body.extend_from_slice(&id.bits().to_be_bytes());
                body.extend_from_slice(&number.to_be_bytes());
                body.push(hops);
            });
        }
    }
    for (id, mailbox) in post.iter() {
        for mail in &mailbox.mails {
            stored(&mut journal, id, mail);
        }
    }
    journal
}

fn stored(journal: &mut Vec<u8>, id: Id, mail: &Mail) {
    record(journal, STORED, |body| {
        key(body, flags(mail), id, mail);
        body.extend_from_slice(mail.text.as_bytes());
    });
}

const fn flags(mail: &Mail) -> u8 {
    match mail.sort {
        Sort::Text => 0,
        Sort::Receipt => RECEIPT,
    }
}

fn key(body: &mut Vec<u8>, flags: u8, id: Id, mail: &Mail) {
    body.extend_from_slice(&[flags, mail.hops]);
    body.extend_from_slice(&id.bits().to_be_bytes());
    body.extend_from_slice(&mail.source.bits().to_be_bytes());
    body.extend_from_slice(&mail.number.to_be_bytes());
    let noted = mail.noted.unwrap_or(Ipv4Addr::UNSPECIFIED);
    body.extend_from_slice(&noted.octets());
}

fn record(journal: &mut Vec<u8>, sort: u8, write: impl FnOnce(&mut Vec<u8>)) {
    let mut body = Vec::with_capacity(BODY_MAX);
    write(&mut body);
    let start = journal.len();
    journal.extend_from_slice(&[MARK, sort]);
    journal.extend_from_slice(&(body.len() as u16).to_be_bytes());
    journal.extend_from_slice(&body);
    let crc = crc32(journal.get(start + 1..).unwrap_or_default());
    journal.extend_from_slice(&crc.to_be_bytes());
}

/// The record at the beginning of `bytes`: sort, body, and length in all.
fn next_record(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (&[mark, sort, high, low], rest) = bytes.split_first_chunk::<HEAD>()?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if mark != MARK || length > BODY_MAX {
        return None;
    }
    let (body, rest) = rest.split_at_checked(length)?;
    let crc = u32::from_be_bytes(*rest.first_chunk()?);
    let covered = bytes.get(1..HEAD + length)?;
    (crc32(covered) == crc).then_some((sort, body, HEAD + length + CRC))
}

/// A record's body, read from its beginning.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    fn word(&mut self) -> Option<u32> {
        let (&bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(bytes))
    }

    fn id(&mut self) -> Option<Id> {
        let (&bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Id::from_bits(u64::from_be_bytes(bytes))
    }
}

#[cfg(test)]
#[path = "spool_tests.rs"]
mod tests;
