"""The wall clock is set by 50 years, forth and back, around running boards: it
is not their clock, and nothing changes (ask 6)."""

import json
import os
import shutil
import struct
import subprocess
import time
from pathlib import Path

import pytest

import lab
from test_failover import PATIENT, Watcher, hook

YEARS = 50 * 365 * 86_400
STEPS = 64


class WallClock:
    """A wall clock that can be set, for the programs that have it preloaded:
    the machine's own stays as it is."""

    def __init__(self, folder):
        compiler = shutil.which("cc") or shutil.which("gcc")
        if lab.is_emulated() or not compiler:
            pytest.skip("a C compiler for this machine's own programs is needed")
        library, self.path = folder / "wallclock.so", folder / "wallclock"
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library,
                        Path(__file__).with_name("wallclock.c"), "-ldl"], check=True)
        self.path.write_bytes(bytes(8 * (3 + 2 * STEPS)))
        self.env = {"LD_PRELOAD": str(library), "BR_WALLCLOCK": str(self.path)}
        self.steps = 0

    def set(self, ahead):
        """From now on so many seconds ahead of the true time."""
        with open(self.path, "r+b") as file:
            os.pwrite(file.fileno(), struct.pack("=qq", time.time_ns(), ahead),
                      8 * (3 + 2 * self.steps))
            self.steps += 1
            os.pwrite(file.fileno(), struct.pack("=q", self.steps), 16)

    def asked(self):
        """How often it was looked at, and how many stamps were by it."""
        return struct.unpack("=qq", self.path.read_bytes()[:16])

    def date(self, place):
        """What time it is by it."""
        told = place.start(["date", "+%s"], env=self.env)
        told.wait()
        return int(told.stdout)


@pytest.fixture
def clock(tmp_path):
    return WallClock(tmp_path)


def changes(place, path):
    """The history that `status` tells, its times as moments of our own clock:
    not before the first, nor after the second."""
    asked = time.monotonic()
    told = place.run("status", "--json", "--control", path)
    assert told.code == 0, told.stderr
    status, now = json.loads(told.stdout), time.monotonic()
    assert 0 <= status["up_ms"] < 3_600_000, status["up_ms"]
    ago = [(one["ago_ms"] / 1e3, one["role"]) for one in status["changes"]]
    return status, [(asked - it, now - it, role) for it, role in ago]


def test_a_wall_clock_that_is_set_by_fifty_years_changes_nothing(loopback, clock, tmp_path):
    program, told = hook(tmp_path, "told")
    boards = {}
    for number in (2, 3, 4, 5):
        path = tmp_path / f"{number}.sock"
        boards[path] = loopback.board(
            number, "--interval", "50ms", *PATIENT, "--control", path, "--on-change", program,
            env=clock.env)
    for path, board in boards.items():
        board.wait_control(path)
    watcher = Watcher(loopback)
    master = watcher.settled()
    time.sleep(0.5)
    before = {path: changes(loopback, path) for path in boards}

    def logs():
        """That a busy machine let a board wait is no change."""
        return [[line for line in board.stderr.splitlines() if "stood still" not in line]
                for board in boards.values()]

    calls, logged = told(), logs()
    observer = loopback.observer()
    for ahead in (YEARS, 0, -YEARS, YEARS, 0):
        clock.set(ahead)
        assert abs(clock.date(loopback) - time.time() - ahead) < 60, "it is set"
        time.sleep(0.7)
    heard = [data for data, _ in observer.drain()]
    claimed = {data[2:].split(b" ")[0].decode() for data in heard if data.startswith(b"! ")}
    assert claimed == {master}, "one master all the time"
    assert not [data for data in heard if data.startswith(b"VOTE")], "no election"
    assert watcher.settled() == master
    for path in boards:
        (status, found), (_, known) = changes(loopback, path), before[path]
        assert [role for *_, role in found] == [role for *_, role in known], "nothing new"
        # As long ago as it was: by a clock that nobody sets.
        assert all(first < late + 1 and before < last + 1 for (first, last, _), (before, late, _)
                   in zip(found, known)), (found, known)
        assert status["master"]["address"] == master
    assert told() == calls, "no hook was run"
    assert logs() == logged, "nothing to be told"
    looked, stamps = clock.asked()
    assert looked > 10 and stamps > 10, "the boards do look at that clock, for claims that wait"


def test_an_election_while_the_wall_clock_is_set(loopback, clock):
    """A master that dies is replaced as ever."""
    boards = {}
    for number in (2, 3, 4, 5):
        board = loopback.board(number, "--interval", "50ms", env=clock.env)
        boards[board.address] = board
    watcher = Watcher(loopback)
    for ahead in (YEARS, -YEARS):
        master = watcher.settled()
        clock.set(ahead)
        boards[master].kill()
        watcher.first(but=master)
        watcher.settled(but=master)
