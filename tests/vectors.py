#!/usr/bin/python3
"""Prints the test vectors of docs/protocol.md, made with Python's hmac: an
implementation that shares nothing with boardroom's."""

import hmac
import struct

KEY = bytes(range(32)).hex()
LONG = "ff00" * 36
BOUND, INTRODUCE, VERDICT = 0x20, 0x80, 0x10


def signed(text, flags, epoch, word, about=None):
    head = bytearray(22)
    head[: len(text)] = text
    if about is not None:
        head[18:22] = about
    return bytes(head) + struct.pack(">BBII", 0xB1, flags, epoch, word)


def tag(key, message, bound):
    if bound is not None:
        message += struct.pack(">I", bound)
    return hmac.new(bytes.fromhex(key), message, "sha256").digest()[:8]


SESSION, NONCE = 0x5E551011, 0xC0FFEE01
VECTORS = [
    (KEY, signed(b"WHOIS\n", INTRODUCE, 0, NONCE), None),
    (KEY, signed(b"WHOIS\n", INTRODUCE | BOUND, 4, 17, struct.pack(">I", SESSION)), NONCE),
    (KEY, signed(b"# 10.3.52.2 7", 0, 4, 18), SESSION),
    (KEY, signed(b"# 255.255.255.254 10", 1, 0xFFFFFFFF, 0xFFFFFFFF), 0),
    (KEY, signed(b"! 10.3.52.2 7", BOUND, 4, 19), NONCE),
    (KEY, signed(b"- 10.3.52.2", 0, 4, 20), SESSION),
    (KEY, signed(b"VOTE\n", VERDICT, 5, 21, bytes([10, 3, 52, 2])), SESSION),
    (KEY, signed(b"VOTE\n", BOUND, 4, 0), SESSION),
    (LONG, signed(b"? 10.3.52.2 7", 0, 4, 22), SESSION),
    (LONG, signed(b"+ 10.3.52.2", 0x9D, 4, 23, struct.pack(">I", 22)), SESSION),
]

print("| key | bytes 0–31 | bound to | tag |")
print("|---|---|---|---|")
for key, message, bound in VECTORS:
    to = "nothing" if bound is None else f"`{bound:08x}`"
    print(f"| `{key}` | `{message.hex()}` | {to} | `{tag(key, message, bound).hex()}` |")
