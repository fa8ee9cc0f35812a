#!/usr/bin/python3
"""Holds elections among boards and judges them by what is on the wire alone:
each VOTE draws exactly one vote of 40 bytes from every board, and WHOIS then
exactly one answer, from the highest (vote, address).

  tests/lan/elections.py [--lan] [--boards 5] [--rounds 20]

Without --lan the boards are 127.0.0.2 and so on; with it, each is a host of
its own on a virtual LAN.
"""

import argparse
import dataclasses
import os
import random
import sys

import lab
import messages

# Later than this, in seconds, nobody votes or answers any more. Forty boards on
# a busy machine can together stand still for a second.
LATE = 10.0

CALLS = [messages.VOTE, b"VOTE\n", b"VOTE"]

JUNK = [
    b"", b"\0", b"\n", b"VOTES", b"vote", b"WHO IS", b"whois\n", b"#", b"# ", b"# 10.3.52.9",
    b"# 10.3.52.9 11", b"# 10.3.52.9 0", b"# 999.3.52.9 9", b"# 10.3.52.9 -1", b"@A", b"$ 1",
    b"I LOST, you are the master", b"Nobody on board here is the master", b"\xff" * 40,
    b"A" * 1400, b"VOTE\x00".rjust(41, b" "),
]


@dataclasses.dataclass
class Election:
    """What was seen of one election."""

    call: bytes
    votes: list      # (vote, address, length, source) as broadcast
    answers: list    # (name, address, length, source)

    def winner(self):
        """The highest of each board's last vote."""
        last = {address: vote for vote, address, _, _ in self.votes}
        return max(((vote, address) for address, vote in last.items()),
                   key=messages.rank, default=None)

    def one_vote_each(self, boards):
        """Exactly one vote of 40 bytes from every board."""
        return sorted(address for _, address, _, _ in self.votes) == sorted(boards)

    def faults(self, boards):
        """What is wrong with it; how often each board voted aside."""
        found = []
        if {address for _, address, _, _ in self.votes} != set(boards):
            found.append("not every board voted")
        if any(length != messages.LENGTH for _, _, length, _ in self.votes + self.answers):
            found.append("a datagram is not 40 bytes long")
        if any(address != source for _, address, _, source in self.votes + self.answers):
            found.append("a datagram came from an address that it does not tell")
        if len(self.answers) != 1:
            found.append(f"{len(self.answers)} answers")
        elif self.votes and self.answers[0][1] != self.winner()[1]:
            found.append("the answer is not from the highest (vote, address)")
        return found

    def line(self):
        votes = " ".join(f"{address.rsplit('.', 1)[1]}:{vote}"
                         for vote, address, _, _ in self.votes)
        answers = ", ".join(f"{name} on {address}" for name, address, _, _ in self.answers)
        return f"{self.call[:7]!r:12} {len(self.votes)} votes  {votes} -> {answers or 'nobody'}"


def hold(client, observer, broadcast, port, boards, call, quiet=0.2):
    """One election, called by `call`: the votes, then the answers to WHOIS."""
    observer.drain()
    client.drain()
    client.send(call, broadcast, port)
    # All that come until none has come for a while; one that is still missing
    # is waited for longer, since a board may be emulated and its machine busy.
    heard, voters = [], set()
    while len(heard) <= 100 * boards and (
            one := observer.receive(quiet if len(voters) >= boards else LATE)):
        heard.append(one)
        if one[0][:1] == b"#" and one[1][1] == port:
            voters.add(one[1])
    votes = [(*messages.vote(data), len(data), source[0])
             for data, source in heard if messages.vote(data)]
    client.send(messages.WHOIS, broadcast, port)
    told = [one] if (one := client.receive(LATE)) else []
    told += client.gather(quiet)
    answers = [(*messages.answer(data), len(data), source[0])
               for data, source in told if messages.answer(data)]
    return Election(call, votes, answers)


def throw_junk(client, broadcast, port, draw):
    for data in draw.sample(JUNK, 5):
        client.send(data, broadcast, port)


def hold_many(client, observer, broadcast, port, boards, rounds, seed=1, tell=lambda line: None):
    """`rounds` elections with the three forms of VOTE in turn and junk in between."""
    draw = random.Random(seed)
    elections = []
    for number in range(rounds):
        throw_junk(client, broadcast, port, draw)
        election = hold(client, observer, broadcast, port, len(boards),
                        CALLS[number % len(CALLS)])
        elections.append(election)
        faults = election.faults(boards)
        tell(f"{number + 1:3} {election.line()}" + "".join(f"  WRONG: {f}" for f in faults))
    return elections


def set_up(count, lan):
    """Starts the boards; gives (what to close, client's place, broadcast, port, addresses)."""
    if lan:
        wire = lab.Lan([*range(2, 2 + count), 250])
        *hosts, client = wire.hosts
        for host in hosts:
            host.board(bound=False)
        for host in hosts:
            host.processes[-1].wait_bound()
        return wire, client, wire.broadcast, wire.port, [host.address for host in hosts]
    place = lab.Loopback()
    boards = [place.board(2 + n, bound=False) for n in range(count)]
    for board in boards:
        board.wait_bound()
    return place, place, place.broadcast, place.port, [board.address for board in boards]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--lan", action="store_true")
    parser.add_argument("--boards", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    options = parser.parse_args()
    if options.lan and (why := lab.no_lan()):
        print(f"SKIP: {why}")
        return 0
    place, client, broadcast, port, boards = set_up(options.boards, options.lan)
    try:
        elections = hold_many(client.client(), client.observer(), broadcast, port, boards,
                              options.rounds, options.seed, print)
    finally:
        place.close()
    right = sum(not e.faults(boards) for e in elections)
    once = sum(e.one_vote_each(boards) for e in elections)
    print(f"{right} of {options.rounds} elections right, in {once} of them exactly one vote "
          f"a board (seed {options.seed})")
    return 0 if right == options.rounds and once >= 0.9 * options.rounds else 1


if __name__ == "__main__":
    sys.exit(main())
