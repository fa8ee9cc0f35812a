use super::*;
use crate::rng::{Entropy, Seeded};

const LIMITS: Limits = Limits {
    mailbox: 1_000,
    bytes: 1 << 20,
};

fn id(bits: u64) -> Id {
    Id::from_bits(bits).unwrap()
}

fn mail(number: u32, sort: Sort, forwarded: bool) -> Mail {
    Mail {
        sort,
        source: id(1),
        number,
        short: 0,
        hops: u8::from(forwarded),
        came: Instant::ZERO,
        sent: None,
        shown: None,
        noted: None,
        offered: false,
        text: if sort == Sort::Text {
            format!("grüße {number}/?").into()
        } else {
            "".into()
        },
    }
}

/// A journal of six messages and a receipt, of which two are gone; the second
/// value tells where each record ends.
fn journal() -> (Vec<u8>, Vec<usize>) {
    let mut spool = Spool::on(0);
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    let mut push = |record: Option<Vec<u8>>| {
        bytes.extend(record.unwrap());
        ends.push(bytes.len());
    };
    for number in 500..506 {
        push(spool.stored(id(2), &mail(number, Sort::Text, number == 503)));
    }
    push(spool.stored(id(3), &mail(600, Sort::Receipt, true)));
    push(spool.gone(id(2), &mail(500, Sort::Text, false), Gone::Ended));
    push(spool.gone(id(2), &mail(503, Sort::Text, true), Gone::HandedOver));
    assert_eq!(spool.written(), bytes.len());
    (bytes, ends)
}

fn numbers(recovered: &Recovered, addressee: u64) -> Vec<u32> {
    recovered
        .post
        .of(id(addressee))
        .map_or(Vec::new(), |mailbox| {
            mailbox.mails.iter().map(|mail| mail.number).collect()
        })
}

#[test]
fn what_was_written_is_recovered() {
    let (bytes, _) = journal();
    let mut recovered = recover(&bytes, LIMITS);
    assert_eq!(recovered.damaged, 0);
    assert_eq!(numbers(&recovered, 2), [501, 502, 504, 505]);
    assert_eq!(numbers(&recovered, 3), [600]);
    let text = &recovered.post.of(id(2)).unwrap().mails[0].text;
    assert_eq!(&**text, "grüße 501/?");
    let source = recovered.sources.of(id(1));
    for number in 500..506 {
        assert_eq!(source.here.contains(number), number != 503, "{number}");
        assert_eq!(source.taken.contains(number), number != 503, "{number}");
    }
    assert!(!source.here.contains(600), "a receipt is no message");
}

/// A kill tears the file at any byte: what was whole before is there.
#[test]
fn a_journal_torn_at_any_byte_keeps_all_whole_records() {
    let (bytes, ends) = journal();
    for length in 0..=bytes.len() {
        let whole = ends.iter().filter(|&&end| end <= length).count();
        let torn = recover(&bytes[..length], LIMITS);
        let exact = recover(
            &bytes[..whole.checked_sub(1).map_or(0, |last| ends[last])],
            LIMITS,
        );
        assert_eq!(numbers(&torn, 2), numbers(&exact, 2), "torn at {length}");
        assert_eq!(numbers(&torn, 3), numbers(&exact, 3), "torn at {length}");
        assert_eq!(torn.damaged == 0, ends.contains(&length) || length == 0);
    }
}

/// One damaged byte costs the record it is in, not those behind it.
#[test]
fn a_damaged_byte_costs_one_record() {
    let (bytes, ends) = journal();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        let recovered = recover(&damaged, LIMITS);
        let record = ends.iter().filter(|&&end| end <= at).count();
        let mut expected: Vec<u32> = vec![501, 502, 504, 505];
        match record {
            0..=5 => expected.retain(|&number| number != 500 + record as u32),
            7 => expected.insert(0, 500),
            8 => expected.insert(2, 503),
            _ => {}
        }
        assert_eq!(numbers(&recovered, 2), expected, "damaged at {at}");
        assert!(recovered.damaged > 0);
    }
}

#[test]
fn a_rewritten_journal_says_the_same() {
    let (bytes, _) = journal();
    let first = recover(&bytes, LIMITS);
    let mut spool = Spool::on(bytes.len());
    let shorter = spool.rewritten(&first.post, &first.sources);
    assert_eq!(spool.written(), shorter.len());
    let mut again = recover(&shorter, LIMITS);
    assert_eq!(numbers(&again, 2), numbers(&first, 2));
    assert_eq!(numbers(&again, 3), numbers(&first, 3));
    assert!(again.sources.of(id(1)).here.contains(500));
    assert!(!again.sources.of(id(1)).here.contains(503));
    assert_eq!(snapshot(&again.post, &again.sources), shorter);
}

#[test]
fn the_journal_is_bounded() {
    let mut spool = Spool::on(0);
    let mut recovered = recover(&[], LIMITS);
    let mut longest = 0;
    for number in 100..20_000 {
        let mail = mail(number, Sort::Text, false);
        spool.stored(id(2), &mail).unwrap();
        recovered.sources.of(id(1)).here.add(number, number);
        spool.gone(id(2), &mail, Gone::Ended).unwrap();
        longest = longest.max(spool.written());
        if spool.is_too_long() {
            spool.rewritten(&recovered.post, &recovered.sources);
            assert!(spool.written() < 100);
        }
    }
    assert!(longest < SLACK + 4 * (HEAD + BODY_MAX + CRC), "{longest}");
}

/// To whom a mail was offered is known after a crash, until it is shown here
/// after all.
#[test]
fn to_whom_a_mail_was_offered_is_recovered() {
    let noted = |bytes: &[u8]| {
        let recovered = recover(bytes, LIMITS);
        assert_eq!(recovered.damaged, 0);
        recovered.post.of(id(2)).unwrap().mails[0].noted
    };
    let mut spool = Spool::on(0);
    let mut mail = mail(500, Sort::Text, false);
    let mut bytes = spool.stored(id(2), &mail).unwrap();
    assert_eq!(noted(&bytes), None);
    mail.noted = Some(Ipv4Addr::new(10, 0, 0, 9));
    bytes.extend(spool.offered(id(2), &mail).unwrap());
    assert_eq!(noted(&bytes), mail.noted);
    bytes.extend(spool.shown(id(2), &mut mail).unwrap());
    assert_eq!(noted(&bytes), None);
    assert_eq!(spool.shown(id(2), &mut mail), None, "nothing is new");
    assert_eq!((spool.is_on(), spool.written()), (true, bytes.len()));
    let mut off = Spool::off();
    assert_eq!(off.offered(id(2), &mail), None);
    assert!(!off.is_on() && off.written() == 0);
}

/// The file may grow to twice what it says, and 64 KiB (from its start, or from
/// when it was last written anew).
#[test]
fn a_journal_is_too_long_beyond_twice_its_worth() {
    let mails = recover(&journal().0, LIMITS);
    let mut spool = Spool::on(0);
    let compact = spool.rewritten(&mails.post, &mails.sources).len();
    let mail = mail(500, Sort::Text, false);
    let mut off = Spool::off();
    for _ in 0..3_000 {
        let too_long = spool.written() > 2 * compact + SLACK;
        assert_eq!((spool.is_too_long(), off.is_too_long()), (too_long, false));
        spool.stored(id(2), &mail);
        off.stored(id(2), &mail);
    }
    assert!(spool.is_too_long());
}

#[test]
fn junk_is_no_record() {
    let mut random = Seeded::new(5);
    let (whole, _) = journal();
    for _ in 0..2_000 {
        let mut bytes: Vec<u8> = (0..random.below(80))
            .map(|_| {
                if random.below(4) == 0 {
                    MARK
                } else {
                    random.next_u32() as u8
                }
            })
            .collect();
        bytes.extend(&whole);
        let recovered = recover(&bytes, LIMITS);
        assert_eq!(numbers(&recovered, 2), [501, 502, 504, 505]);
        assert_eq!(recovered.damaged, bytes.len() - whole.len());
    }
}

#[test]
fn the_longest_text_is_kept_whole() {
    let text = "x".repeat(TEXT_BYTES_MAX);
    let mail = Mail {
        text: text.as_str().into(),
        ..mail(500, Sort::Text, false)
    };
    let journal = Spool::on(0).stored(id(2), &mail).unwrap();
    let recovered = recover(&journal, LIMITS);
    assert_eq!(recovered.damaged, 0);
    let kept = &recovered.post.of(id(2)).unwrap().mails[0];
    assert_eq!(*kept.text, *text);
}

/// A number taken here and one only kept here are two lists.
#[test]
fn runs_come_back_to_the_list_they_are_of() {
    let mut sources = Sources::default();
    sources.of(id(1)).taken.add(500, 509);
    sources.of(id(1)).here.add(700, 700);
    let journal = Spool::on(0).rewritten(&Post::new(LIMITS), &sources);
    let mut recovered = recover(&journal, LIMITS);
    let source = recovered.sources.of(id(1));
    assert_eq!(source.taken.iter().collect::<Vec<_>>(), [(500, 509)]);
    assert_eq!(source.here.iter().collect::<Vec<_>>(), [(700, 700)]);
}
