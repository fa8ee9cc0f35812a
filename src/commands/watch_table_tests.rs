use super::*;
use crate::election::Epoch;
use crate::election::rank::Rank;
use crate::election::wire::{Text, Trailer, build, build_with_trailer, checksum};
use core::net::{Ipv4Addr, SocketAddrV4};

fn at(seconds: u64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

fn hear(onlooker: &mut Onlooker, seconds: u64, text: Text<'_>, epoch: u32) {
    let trailer = Trailer {
        epoch: Epoch(epoch),
        ..Trailer::default()
    };
    let bytes = match text {
        Text::Answer { .. } => build(text, false),
        _ => build_with_trailer(text, trailer, checksum),
    };
    let from = SocketAddrV4::new(Ipv4Addr::new(10, 3, 52, 250), 2000);
    let _ = onlooker.handle_datagram(at(seconds), from, &bytes);
}

fn boards(count: u32) -> Onlooker {
    let mut onlooker = Onlooker::new();
    for number in 0..count {
        let address = Ipv4Addr::from(0x0a03_3402 + number);
        let vote = (number % 10) as u8 + 1;
        hear(&mut onlooker, 10, Text::Vote(Rank { vote, address }), 7);
    }
    onlooker
}

fn screen(onlooker: &Onlooker, seconds: u64, columns: usize, rows: usize) -> Vec<String> {
    let events = VecDeque::from(["one".to_string(), "two".into(), "three".into()]);
    let around = Surroundings {
        now: at(seconds),
        port: 2000,
        events: &events,
    };
    let lines = draw(onlooker, &around, columns, rows);
    assert!(lines.len() <= rows);
    for line in &lines {
        assert!(width_of(&line.text) < columns.max(1), "{:?}", line.text);
    }
    lines
        .into_iter()
        .map(|line| line.text.trim_end().into())
        .collect()
}

fn with_master() -> Onlooker {
    let mut onlooker = boards(3);
    let address = Ipv4Addr::new(10, 3, 52, 4);
    let name = b"Peter";
    hear(&mut onlooker, 70, Text::Answer { name, address }, 7);
    onlooker
}

#[test]
fn the_common_screen() {
    assert_eq!(
        screen(&with_master(), 72, 80, 14),
        [
            "boardroom on port 2000: 3 boards, epoch 7",
            "Peter on 10.3.52.4 is the master.",
            "",
            "  ADDRESS         NAME                        ROLE    VOTE      EPOCH HEARD",
            "* 10.3.52.4       Peter                       master     3          7   2 s",
            "  10.3.52.2                                   slave      1          7  62 s",
            "  10.3.52.3                                   slave      2          7  62 s",
            "",
            "one",
            "two",
            "three",
            "",
            "",
            "q ends",
        ]
    );
}

#[test]
fn a_narrow_screen_leaves_out_name_and_epoch() {
    let screen = screen(&with_master(), 72, 40, 15);
    assert_eq!(screen[3], "  ADDRESS         ROLE    VOTE HEARD");
    assert_eq!(screen[4], "* 10.3.52.4       master     3   2 s");
    assert_eq!(screen.last().unwrap(), "q ends");
}

#[test]
fn a_narrow_screen_loses_no_number_and_no_word() {
    let onlooker = with_master();
    assert_eq!(
        screen(&onlooker, 72, 40, 15)[0],
        "port 2000: 3 boards, epoch 7"
    );
    let event = "  12.345  Barbara on 10.3.52.240 is the master";
    assert_eq!(
        fold(event, 39),
        [
            Some("  12.345  Barbara on 10.3.52.240 is the".into()),
            Some("          master".into())
        ]
    );
    assert_eq!(fold(event, 79), [Some(event.into()), None]);
}

#[test]
fn a_low_screen_says_how_many_boards_it_leaves_out() {
    let screen = screen(&boards(40), 20, 40, 15);
    assert_eq!(screen.len(), 15);
    assert_eq!(screen[13], "  and 31 more");
    assert_eq!(screen[14], "q ends");
}

#[test]
fn every_size_fits() {
    let onlooker = boards(30);
    for columns in 0..100 {
        for rows in 0..30 {
            screen(&onlooker, 11, columns, rows);
            screen(&Onlooker::new(), 11, columns, rows);
        }
    }
}

#[test]
fn a_wide_or_wicked_name_keeps_its_column() {
    let mut onlooker = boards(1);
    let address = Ipv4Addr::new(10, 3, 52, 2);
    let name = "会议室\u{7}".as_bytes();
    hear(&mut onlooker, 10, Text::Answer { name, address }, 7);
    let screen = screen(&onlooker, 11, 80, 12);
    let row = &screen[4];
    assert!(row.contains("会议室"), "{row}");
    assert!(!row.contains('\u{7}'));
    let before_role = &row[..row.find("master").unwrap()];
    assert_eq!(width_of(before_role), screen[3].find("ROLE").unwrap());
}

#[test]
fn two_masters_are_said() {
    let mut onlooker = boards(3);
    for last in [2, 3] {
        let address = Ipv4Addr::new(10, 3, 52, last);
        hear(&mut onlooker, 12, Text::Claim(Rank { vote: 9, address }), 7);
    }
    assert_eq!(
        screen(&onlooker, 12, 80, 24)[1],
        "2 boards say that they are the master!"
    );
}

#[test]
fn ages_take_five_columns() {
    for (seconds, text) in [
        (0, "now"),
        (1, "1 s"),
        (99, "99 s"),
        (100, "1 m"),
        (5_999, "99 m"),
        (6_000, "1 h"),
        (359_999, "99 h"),
        (360_000, "4 d"),
        (1 << 40, "999 d"),
    ] {
        assert_eq!(age(Duration::from_secs(seconds)), text);
    }
}
