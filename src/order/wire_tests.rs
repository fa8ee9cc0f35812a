use super::*;

#[test]
fn a_message_has_arrived_with_the_first_character_of_its_name() {
    let text = b"Client X: Ann";
    for len in 0..=10 {
        assert_eq!(kind(&text[..len], b"XY"), Kind::Undecided, "{len} bytes");
    }
    for len in 11..=text.len() {
        assert_eq!(kind(&text[..len], b"XY"), Kind::Lettered(b'X'));
    }
    assert_eq!(read(text, b"XY"), (Some(b'X'), &b"Ann"[..]));
    assert_eq!(read(b"Client Y: ", b"XY"), (Some(b'Y'), &b""[..]));
}

#[test]
fn other_text_is_known_by_the_byte_that_differs() {
    for bare in [
        &b"A"[..],
        b"client X: Ann",
        b"Client Z",
        b"Client Z: Ann",
        b"Client X:A",
        b"Client XY",
        b"Clients",
        b"\xff",
    ] {
        assert_eq!(kind(bare, b"XY"), Kind::Bare, "{bare:?}");
        assert_eq!(read(bare, b"XY"), (None, bare));
    }
    assert_eq!(kind(b"Client Z: A", b"XYZ"), Kind::Lettered(b'Z'));
}

#[test]
fn texts_are_as_old_programs_know_them() {
    assert_eq!(message(b'X', "Ann"), "Client X: Ann");
    assert_eq!(greeting(b'Y'), "Client Y connected");
    let two = [(b'Y', &b"Bob"[..]), (b'X', b"Ann")];
    assert_eq!(verdict(two.into_iter()), b"Y: Bob received before X: Ann");
    let three = [(b'Z', &b"\xff"[..]), (b'X', b""), (b'Y', b"B")];
    assert_eq!(
        verdict(three.into_iter()),
        b"Z: \xff received before X:  received before Y: B"
    );
}

#[test]
fn the_client_reads_every_kind_of_server() {
    let verdict = Reply::Verdict(b"X: Ann received before Y: Bob".to_vec());
    for text in [
        "X: Ann received before Y: Bob",
        "X: Ann recieved before Y: Bob",
        "From Server: X: Ann received before Y: Bob",
        "From Server:  X: Ann recieved before Y: Bob\0\0\0\0",
        "Client X connected\0\0\0X: Ann received before Y: Bob\n",
        "Client X connectedFrom Server: X: Ann recieved before Y: Bob",
        "From Server: Client Y connected.\r\nX: Ann received before Y: Bob\r\n",
    ] {
        assert_eq!(reply(text.as_bytes()), verdict, "{text:?}");
    }
    for text in [
        "",
        "\0\0",
        "Client X connected",
        "From Server: Client Y connected\n",
    ] {
        assert_eq!(reply(text.as_bytes()), Reply::Nothing, "{text:?}");
    }
    assert_eq!(reply(b"Error: no"), Reply::Error(b"no".to_vec()));
    assert_eq!(reply(b"Welcome\xff"), Reply::Other(b"Welcome\xff".to_vec()));
}
