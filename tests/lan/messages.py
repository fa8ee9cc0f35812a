"""The election's messages as the protocol's text has them, written anew: the
tests do not read them with the program's own code."""

import re

LENGTH = 40
WHOIS = b"WHOIS\n".ljust(LENGTH, b"\0")
VOTE = b"VOTE\n".ljust(LENGTH, b"\0")

_VOTE = re.compile(rb"# (\d+\.\d+\.\d+\.\d+) (10|[1-9])$")
_ANSWER = re.compile(rb"(.*) on (?:board )?(\d+\.\d+\.\d+\.\d+) is the master$", re.DOTALL)


def text(datagram):
    """What stands before the first NUL."""
    return datagram.split(b"\0", 1)[0].rstrip(b"\r\n ")


def number(address):
    """An address as the number that decides a tie."""
    a, b, c, d = map(int, address.split("."))
    return (a << 24) + (b << 16) + (c << 8) + d


def vote(datagram):
    """(vote, address) of a vote, else None."""
    match = _VOTE.match(text(datagram))
    return (int(match[2]), match[1].decode()) if match else None


def answer(datagram):
    """(name, address) of an answer, else None."""
    match = _ANSWER.match(text(datagram))
    return (match[1].decode(errors="replace"), match[2].decode()) if match else None


def rank(vote_and_address):
    """Orders votes: the number first, then the address as a number."""
    return (vote_and_address[0], number(vote_and_address[1]))


def make_vote(address, its_vote, pad=LENGTH):
    return f"# {address} {its_vote}".encode().ljust(pad, b"\0")


def make_answer(name, address, pad=LENGTH):
    return f"{name} on board {address} is the master".encode().ljust(pad, b"\0")
