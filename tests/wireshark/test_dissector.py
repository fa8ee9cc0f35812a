"""The dissector under tshark, on captures made here byte by byte."""

import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "board/wireshark/boardroom.lua"

pytestmark = pytest.mark.skipif(not shutil.which("tshark"), reason="no tshark here")


def padded(text):
    return text.ljust(40, b"\0")


def sealed(text, flags=0, epoch=0, word=0, about=None):
    """A message with a trailer, built from the protocol's text alone."""
    head = bytearray(text.ljust(22, b"\0"))
    if about:
        head[18:22] = bytes(map(int, about.split(".")))
    head += bytes([0xb1, flags]) + struct.pack(">II", epoch, word)
    return bytes(head) + struct.pack(">I", zlib.crc32(bytes(head))) + bytes(4)


def checksum(header):
    total = sum(struct.unpack(f">{len(header) // 2}H", header))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff


def packet(payload, source="10.3.52.2", target="10.3.52.255", port=2000):
    udp = struct.pack(">HHHH", 2000, port, 8 + len(payload), 0) + payload
    parts = [bytes(map(int, one.split("."))) for one in (source, target)]
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) + b"".join(parts)
    return header[:10] + struct.pack(">H", checksum(header)) + header[12:] + udp


def capture(folder, packets):
    """A pcap file of raw IPv4 packets, a millisecond apart."""
    path = folder / "capture.pcap"
    data = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 228)
    for i, one in enumerate(packets):
        data += struct.pack("<IIII", 1_000_000 + i // 1000, i % 1000 * 1000, len(one), len(one)) + one
    path.write_bytes(data)
    return path


def tshark(path, *options):
    done = subprocess.run(["tshark", "-n", "-X", f"lua_script:{SCRIPT}", "-r", path, *options],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "Lua: Error" not in done.stderr, done.stderr
    assert "lua" not in done.stderr.lower() or "running as user" in done.stderr.lower(), done.stderr
    return done.stdout


def fields(tmp_path, packets, *names):
    """One tuple a packet."""
    options = ["-T", "fields", "-E", "separator=|"]
    for name in names:
        options += ["-e", name]
    out = tshark(capture(tmp_path, packets), *options)
    return [tuple(line.split("|")) for line in out.splitlines()]


def test_every_message_is_named_with_its_parts(tmp_path):
    rows = fields(tmp_path, [
        packet(padded(b"WHOIS\n")), packet(padded(b"VOTE\n")),
        packet(sealed(b"# 10.3.52.2 7", flags=2, epoch=1)),
        packet(sealed(b"! 10.3.52.2 7", epoch=5)), packet(sealed(b"- 10.3.52.2", epoch=5)),
        packet(sealed(b"? 10.3.52.2 7", epoch=5)), packet(sealed(b"+ 10.3.52.9", epoch=5)),
        packet(padded(b"Peter on board 10.3.52.2 is the master")),
    ], "boardroom.kind", "boardroom.address", "boardroom.vote", "boardroom.epoch", "boardroom.name")
    assert rows == [
        ("WHOIS", "", "", "", ""), ("VOTE", "", "", "", ""),
        ("vote", "10.3.52.2", "7", "1", ""), ("claim", "10.3.52.2", "7", "5", ""),
        ("resignation", "10.3.52.2", "", "5", ""), ("lease asked for", "10.3.52.2", "7", "5", ""),
        ("lease granted", "10.3.52.9", "", "5", ""), ("answer", "10.3.52.2", "", "", "Peter"),
    ]


def test_a_verdict_names_the_dead_board_and_its_flag(tmp_path):
    verdict = sealed(b"VOTE\n", flags=0x10, epoch=9, about="10.3.52.4")
    rows = fields(tmp_path, [packet(verdict)], "boardroom.about", "boardroom.flags.verdict",
                  "boardroom.flags.fresh", "boardroom.tag.is")
    assert rows[0][0] == "10.3.52.4" and rows[0][1] in ("1", "True") and rows[0][2] in ("0", "False")
    assert "checksum" in rows[0][3]


def test_a_tag_that_no_checksum_fits_is_noted(tmp_path):
    message = bytearray(sealed(b"# 10.3.52.2 7", epoch=1))
    message[39] ^= 1
    rows = fields(tmp_path, [packet(bytes(message))], "boardroom.tag.is", "_ws.expert.message")
    assert "signed" in rows[0][0] and "checksum" in rows[0][1]


@pytest.mark.parametrize("payload, why", [
    (b"@A", "unknown text"), (b"\0WHOIS", "no text"), (b"#", "no usable address"),
    (b"# 10.3.52.2 0", "not from 1 to 10"), (b"# 10.3.52.2 11", "not from 1 to 10"),
    (b"# 10.3.999.2 1", "no usable address"), (b"whois", "unknown text"),
    (b"Eve on board nowhere is the master", "unknown text"),
])
def test_what_is_no_message_has_an_expert_note(tmp_path, payload, why):
    rows = fields(tmp_path, [packet(payload)], "boardroom.kind", "_ws.expert.message")
    assert rows[0][0] == "" and why in rows[0][1]


@pytest.mark.parametrize("payload, vote, odd", [
    (b"# 10.3.52.2 7", "7", "13 bytes"), (b"# 10.3.52.2 7\n", "7", "14 bytes"),
    (b"# 10.3.52.2 10# 128.206.19.1 4", "10", "old buffer"),
    ((b"# 10.3.52.2 5\0" + b"\x7fstack" * 9)[:50], "5", "garbage behind the NUL"),
    (padded(b"# 10.3.52.2 5"), "5", "no trailer"),
])
def test_odd_forms_of_old_programs_are_shown_as_what_they_are(tmp_path, payload, vote, odd):
    rows = fields(tmp_path, [packet(payload)], "boardroom.vote", "boardroom.old")
    assert rows[0][0] == vote and odd in rows[0][1]


def test_a_sender_that_speaks_for_another_is_noted(tmp_path):
    rows = fields(tmp_path, [packet(padded(b"# 10.3.52.7 5"))], "_ws.expert.message")
    assert "not the sender's" in rows[0][0]


def test_the_summary_line_tells_the_story(tmp_path):
    out = tshark(capture(tmp_path, [packet(sealed(b"# 10.3.52.2 7", epoch=3))]))
    assert "BOARDROOM" in out and "vote 10.3.52.2: 7, epoch 3" in out


def test_another_port_is_decoded_when_told(tmp_path):
    out = tshark(capture(tmp_path, [packet(b"VOTE", port=3999)]), "-d", "udp.port==3999,boardroom")
    assert "Hold an election" in out
