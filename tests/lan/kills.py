#!/usr/bin/python3
"""Kills the master again and again (kill -9), starts it anew, and judges by
what is on the wire alone: from a bound after each kill on (L1) WHOIS is
answered, and by one board only.

  tests/lan/kills.py [--kills 1000] [--interval 20] [--boards 5] [--keep DIR]

The boards are 127.0.0.2 and so on. Each writes a record; those of a kill that
went wrong stay in DIR. The records also tell whether the machine let a board
wait: all boards hear each WHOIS, so none is without a turn for long.
"""

import argparse
import dataclasses
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import lab
import messages

# Between two questions, in seconds.
EVERY = 0.004
# How long the quiet time after the bound is watched.
QUIET = 0.15
# So long answers may be missing in it: a few may be late.
MISSING = 0.03
# A machine that lets this program or a board wait so long at a stretch leaves
# no quiet time: a master that is later than half its patience of 50 ms listens
# before it speaks (F5).
LATE = 0.025


@dataclasses.dataclass
class Kill:
    """What followed a kill."""

    took: float = None         # until another one answered
    several: int = 0           # how often, in the quiet time, two did
    nobody: float = 0.0        # the longest, in the quiet time, that nobody did
    machine_late: float = 0.0  # the longest that this program or a board had to wait

    def is_wrong(self):
        return self.took is None or self.several > 0 or self.nobody > MISSING

    def is_the_boards_fault(self):
        return self.is_wrong() and self.machine_late <= LATE


class Asker:
    """Asks WHOIS steadily and keeps who answered which question."""

    def __init__(self, place):
        self.place, self.client = place, place.client()
        self.asked = time.monotonic()
        self.late = 0.0

    def ask(self):
        """One question: (when, the boards that answer it)."""
        now = time.monotonic()
        self.late = max(self.late, now - self.asked - EVERY)
        self.asked = now
        self.client.send(messages.WHOIS, self.place.broadcast, self.place.port)
        found = set()
        while (left := now + EVERY - time.monotonic()) > 0:
            one = self.client.receive(left)
            if one and (answer := messages.answer(one[0])):
                found.add(answer[1])
        return now, found


def bound(interval):
    """L1: so long after the kill there is one master, known to all."""
    return 3 * interval + 0.3


def one_kill(asker, boards, interval, again):
    """Kills the master; `again` starts it anew as soon as another answers."""
    (master,) = settled(asker)
    asker.late = 0.0
    boards[master].kill()
    killed, kill, starting = time.monotonic(), Kill(), 0.0
    answered = 0.0
    while time.monotonic() < killed + bound(interval) + starting + QUIET:
        when, found = asker.ask()
        if kill.took is None and found - {master}:
            kill.took = time.monotonic() - killed
            began = time.monotonic()
            again(master)
            # That is this program's own doing.
            asker.asked = time.monotonic()
            starting = time.monotonic() - began
            continue
        is_quiet = when >= killed + bound(interval) + starting
        if found or not is_quiet:
            answered = when
        kill.several += is_quiet and len(found) > 1
        kill.nobody = max(kill.nobody, when - answered)
    kill.machine_late = asker.late
    return kill


def longest_wait(path, since):
    """The longest time without a turn of the board that writes this record."""
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    turns = [int(line[5:]) / 1e6 for line in path.read_text().splitlines()
             if line.startswith("turn ")]
    turns = [max(since, turn) for turn in turns] + [now]
    return max(after - before for before, after in zip(turns, turns[1:]))


def settled(asker, seconds=10.0):
    """Who answers, as soon as only one has for a while."""
    end, run, last = time.monotonic() + seconds, 0, set()
    while time.monotonic() < end:
        _, found = asker.ask()
        run = run + 1 if len(found) == 1 and found == last else 0
        last = found or last
        if run == 10:
            return last
    raise AssertionError(f"not one master within {seconds} s")


def kill_many(place, kills, interval, keep, count=5, tell=lambda line: None):
    """Kills the master `kills` times; gives what followed each. Records are
    written into the folder `keep`, and those of wrong ones stay there."""
    folder = Path(keep)
    lives, boards = {}, {}

    def record(address, ago=0):
        return folder / f"{address}-{lives[address] - ago}.record"

    def start(address):
        number = int(address.rsplit(".", 1)[1])
        lives[address] = lives.get(address, 0) + 1
        options = ["--interval", f"{interval * 1000:.0f}ms", "--record", record(address)]
        if address in boards:
            place.processes.remove(boards[address])
        boards[address] = place.board(number, *options, bound=False)

    for number in range(2, 2 + count):
        start(f"127.0.0.{number}")
    for board in boards.values():
        board.wait_bound()
    asker = Asker(place)
    found = []
    for number in range(1, kills + 1):
        since = time.clock_gettime(time.CLOCK_BOOTTIME)
        kill = one_kill(asker, boards, interval, start)
        found.append(kill)
        waits = [longest_wait(record(address), since) for address in boards]
        kill.machine_late = max(kill.machine_late, *waits)
        if kill.is_wrong():
            tell(f"kill {number}: {kill}")
            kept = folder / f"wrong-{number}"
            kept.mkdir()
            for path in folder.glob("*.record"):
                shutil.copy(path, kept)
        for address in boards:
            record(address, ago=1).unlink(missing_ok=True)
        if number % 100 == 0:
            tell(line_of(found, interval))
    return found


def line_of(found, interval):
    """The figures, in a line."""
    took = sorted(kill.took for kill in found if kill.took is not None)
    wrong = [kill for kill in found if kill.is_wrong()]
    late = [kill for kill in wrong if not kill.is_the_boards_fault()]
    all_late = sum(kill.machine_late > LATE for kill in found)
    return (f"{len(found)} kills at {interval * 1e3:.0f} ms: next master's answer after "
            f"{statistics.median(took) * 1e3:.0f} ms median, {took[-1] * 1e3:.0f} at most; "
            f"two masters in quiet time {sum(kill.several > 0 for kill in found)}, none "
            f"{sum(kill.nobody > MISSING for kill in found)}; the machine was late in {all_late} "
            f"of all, in {len(late)} of the wrong {len(wrong)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--interval", type=float, default=20, help="milliseconds")
    parser.add_argument("--boards", type=int, default=5)
    parser.add_argument("--keep", help="a folder for the records")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    options = parser.parse_args()
    random.seed(options.seed)
    keep = options.keep or tempfile.mkdtemp(prefix="br-kills-")
    os.makedirs(keep, exist_ok=True)
    place = lab.Loopback()
    try:
        found = kill_many(place, options.kills, options.interval / 1e3, keep,
                          options.boards, lambda line: print(line, flush=True))
    finally:
        place.close()
    if not options.keep and not any(kill.is_wrong() for kill in found):
        shutil.rmtree(keep)
    print(line_of(found, options.interval / 1e3))
    return 1 if any(kill.is_the_boards_fault() for kill in found) else 0


if __name__ == "__main__":
    sys.exit(main())
