"""Floods: WHOIS is still answered, nothing grows, own broadcasts stay within R8."""

import threading
import time

import pytest

import elections
import lab
import messages


class Flood(threading.Thread):
    """Sends make(n) for n = 0, 1, 2 … as fast as it can, or `rate` a second."""

    def __init__(self, place, make, rate=None, most=None):
        super().__init__(daemon=True)
        self.udp, self.place = place.client(), place
        self.make, self.rate, self.most = make, rate, most
        self.sent, self.stopping = 0, threading.Event()
        self.start()

    def run(self):
        began = time.monotonic()
        while not self.stopping.is_set() and self.sent != self.most:
            try:
                self.udp.send(self.make(self.sent), self.place.broadcast, self.place.port)
            except OSError:
                time.sleep(0.001)
                continue
            self.sent += 1
            if self.rate and (ahead := self.sent / self.rate - (time.monotonic() - began)) > 0:
                time.sleep(ahead)

    def stop(self):
        self.stopping.set()
        self.join()
        self.udp.close()


def invented(n):
    """A vote from an address that nobody has; each one another."""
    return messages.make_vote(f"11.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}", 1 + n % 9)


GARBAGE = [b"", b"\0" * 40, b"\xff" * 1400, b"# 1.2.3.4 99", b"VOTE VOTE", b"whois",
           b"x on board 1.2.3.4 is the master", b"# ", b"!!!!", b"- 0.0.0.0", bytes(range(256))]


def garbage(n):
    return GARBAGE[n % len(GARBAGE)]


@pytest.fixture
def boards(loopback):
    """Three boards with a master, as (boards, its address)."""
    all_of_them = [loopback.board(n) for n in range(2, 5)]
    election = elections.hold(loopback.client(), loopback.observer(), loopback.broadcast,
                              loopback.port, 3, messages.VOTE)
    assert len(election.answers) == 1
    return all_of_them, election.answers[0][1]


def asked(place, times, seconds=2.0):
    """How many of `times` WHOIS are answered, each by exactly one."""
    client, answered = place.client(), 0
    for _ in range(times):
        client.drain()
        client.send(messages.WHOIS, place.broadcast, place.port)
        answered += client.receive(seconds) is not None
    client.close()
    return answered


def is_answered(place):
    """A flood may fill a socket that a busy machine lets wait; else each of
    twenty WHOIS is answered, or one is lost."""
    def attempt():
        assert asked(place, 20) >= 19

    lab.one_of(5, attempt)


def test_garbage_changes_nothing(loopback, boards):
    all_of_them, master = boards
    before = [board.own_kb() for board in all_of_them]
    flood = Flood(loopback, garbage, rate=5_000)
    try:
        lab.wait_for(lambda: flood.sent > 1_000, what="a flood")
        is_answered(loopback)
        lab.wait_for(lambda: flood.sent > 5_000, what="more of it")
        is_answered(loopback)
    finally:
        flood.stop()
    client = loopback.client()

    def answers():
        client.drain()
        client.send(messages.WHOIS, loopback.broadcast, loopback.port)
        return [source[0] for _, source in client.gather(0.3)]

    lab.wait_for(lambda: answers() == [master], what="the same master")
    for board, kb in zip(all_of_them, before):
        assert board.is_running()
        assert board.own_kb() - kb < 256, "nothing grows"


def test_garbage_is_never_answered(loopback, boards):
    client = loopback.client()
    for one in GARBAGE:
        client.send(one, loopback.broadcast, loopback.port)
        client.send(one, boards[1], loopback.port)
    assert client.gather(0.3) == []


def test_a_hundred_thousand_invented_votes(loopback, boards):
    """Higher votes make the master a slave, as they must; nothing else breaks."""
    all_of_them, _ = boards
    before = [board.own_kb() for board in all_of_them]
    flood = Flood(loopback, invented, most=100_000)
    began = time.monotonic()
    while flood.is_alive() and time.monotonic() < began + 600:
        asked(loopback, 1, 0.1)
    flood.stop()
    took = time.monotonic() - began
    assert flood.sent == 100_000
    time.sleep(0.3)
    for board, kb in zip(all_of_them, before):
        assert board.is_running()
        assert board.own_kb() < kb + 1_024
        assert len(board.stderr.splitlines()) < 200 + 10 * took, "a line a second per reason"
    # The invented ones are gone with the round: the next election is theirs alone.
    election = elections.hold(loopback.client(), loopback.observer(), loopback.broadcast,
                              loopback.port, 3, messages.VOTE)
    assert election.faults([board.address for board in all_of_them]) == [], election.line()


def test_lower_invented_votes_leave_the_master_in_place(loopback):
    """It answers all the while."""
    loopback.board(2)
    client, observer = loopback.client(), loopback.observer()
    for _ in range(100):
        election = elections.hold(client, observer, loopback.broadcast, loopback.port, 1,
                                  messages.VOTE, quiet=0.15)
        if election.votes[0][0] >= 5:
            break
    flood = Flood(loopback, lambda n: messages.make_vote(
        f"11.0.{n >> 8 & 255}.{n & 255}", 1 + n % 4), rate=10_000)
    try:
        is_answered(loopback)
    finally:
        flood.stop()


def test_a_flood_of_calls_is_answered_and_stays_within_the_limit(loopback, boards):
    """A VOTE every moment: WHOIS is answered all the while, and no board sends
    more than 20 votes a second (R8)."""
    observer = loopback.observer()
    flood = Flood(loopback, lambda n: messages.VOTE, rate=2_000)
    began = time.monotonic()
    times = answered = 0
    while times < 20 or flood.sent < 1_000:
        times += 1
        answered += asked(loopback, 1)
        time.sleep(0.1)
    flood.stop()
    took = time.monotonic() - began
    votes = {}
    for data, _ in observer.drain():
        if vote := messages.vote(data):
            votes[vote[1]] = votes.get(vote[1], 0) + 1
    assert answered >= times / 2, f"{answered} of {times} answered"
    assert set(votes) == {board.address for board in boards[0]}
    for address, count in votes.items():
        assert count <= 20 * took + 20, f"{address} sent {count} votes in {took} s"
    lab.wait_for(lambda: asked(loopback, 3) == 3, what="one master when the flood is over")


def test_a_flood_of_whois_is_answered_and_ends(loopback, boards):
    client = loopback.client(buffer=8 << 20)
    for _ in range(5_000):
        client.send(messages.WHOIS, boards[1], loopback.port)
    answers = client.gather(5, enough=5_000)
    # What the kernel's buffer could not hold is lost; the rest is answered.
    assert len(answers) > 100
    assert {source[0] for _, source in answers} == {boards[1]}


def test_nothing_spins_afterwards(loopback, boards):
    all_of_them, _ = boards
    flood = Flood(loopback, garbage, most=10_000)
    flood.join(30)
    flood.stop()

    def idle():
        before = [board.cpu_seconds() for board in all_of_them]
        time.sleep(1)
        return all(board.cpu_seconds() - seconds <= 0.01
                   for board, seconds in zip(all_of_them, before))

    # What is left to do is done soon; who spins never comes to an end.
    lab.wait_for(idle, what="rest")


def test_a_frozen_board_holds_nobody_up(loopback, boards):
    import signal
    all_of_them, _ = boards
    all_of_them[0].signal(signal.SIGSTOP)
    try:
        election = elections.hold(loopback.client(), loopback.observer(), loopback.broadcast,
                                  loopback.port, 2, messages.VOTE)
        assert election.faults([b.address for b in all_of_them[1:]]) == [], election.line()
    finally:
        all_of_them[0].signal(signal.SIGCONT)
    lab.wait_for(lambda: asked(loopback, 1) == 1, what="one master after the thaw")
