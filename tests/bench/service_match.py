#!/usr/bin/python3
"""Figures of `match`, one a line: `what: value unit`.

  tests/bench/service_match.py [--only PART]

BOARDROOM_BIN names the program, else the release build is measured.
"""

import argparse
import os
import re
import resource
import statistics
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lan"))
os.environ.setdefault("BOARDROOM_BIN", str(ROOT / "target/release/boardroom"))

import lab  # noqa: E402
from oldmatch import Crowd, OldClient, OldServer  # noqa: E402


class Bench:
    """A tracker, and what is put around it."""

    def __init__(self):
        self.place = lab.Loopback()
        self.closing = []
        self.tracker = self.place.boardroom("match", "tracker", "--port", "0", "--quiet")
        found = lab.wait_for(lambda: re.search(r"port (\d+)", self.tracker.stdout))
        self.port = int(found.group(1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for thing in self.closing:
            thing.close()
        self.place.close()

    def keep(self, thing):
        self.closing.append(thing)
        return thing

    def own_servers(self, count):
        for i in range(count):
            self.place.boardroom("match", "server", f"S{i}", "--quiet", "--number", i % 10 + 1,
                                 "--server", f"127.0.0.1:{self.port}")
        asker = self.client("warm")
        lab.wait_for(lambda: sum(len(asker.find(n)[0]) for n in range(1, 11)) == count, 30)

    def client(self, name):
        return self.keep(OldClient(self.port, name))

    def own_clients(self, count, rounds):
        """Runs so many at once; the seconds they take."""
        began = time.monotonic()
        clients = [self.place.boardroom(
            "match", "client", f"C{i}", "--quiet", "--rounds", rounds,
            "--server", f"127.0.0.1:{self.port}") for i in range(count)]
        for client in clients:
            assert client.wait(300) == 0, client.stderr
        return time.monotonic() - began


def figure(what, value, unit):
    print(f"{what}: {value:,.3f} {unit}" if isinstance(value, float) else f"{what}: {value:,} {unit}")
    sys.stdout.flush()


def at_the_same_time(count, work):
    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def overlapping():
    """Old servers that answer at once, three old clients at the same time."""
    with Bench() as bench:
        for number in range(1, 9):
            bench.keep(OldServer(bench.port, f"S{number}", number))
        clients = [bench.client(f"C{i}") for i in range(3)]
        right = []

        def work(i):
            for step in range(8):
                number = (step + 3 * i) % 8 + 1
                right.append(clients[i].find(number)[0] == [f"S{number}"])

        at_the_same_time(3, work)
        figure("matches of 24, overlapping searches, old servers that answer at once",
               right.count(True), "found")


def two_hundred_rounds():
    with Bench() as bench:
        for number in range(1, 11):
            bench.keep(OldServer(bench.port, f"S{number}", number))
        clients = [bench.client(f"C{i}") for i in range(3)]
        barrier = threading.Barrier(3)
        right = []

        def work(i):
            for step in range(200):
                barrier.wait()
                number = step * (1, 3, 7)[i] % 10 + 1
                right.append(clients[i].find(number)[0] == [f"S{number}"])

        at_the_same_time(3, work)
        figure("right answers of 600, three clients in 200 rounds, old servers",
               right.count(True), "right")


def latency():
    with Bench() as bench:
        bench.own_servers(100)
        asker = bench.client("C")
        took = sorted(asker.find(i % 10 + 1)[1] for i in range(2000))
        figure("answer, 100 own servers, median", statistics.median(took) * 1000, "ms")
        figure("answer, 100 own servers, 99 of 100", took[len(took) * 99 // 100] * 1000, "ms")
        rounds = 2000
        figure("searches a second, 100 own servers, 1 client",
               round(rounds / bench.own_clients(1, rounds)), "1/s")
        figure("searches a second, 100 own servers, 10 clients",
               round(10 * rounds / bench.own_clients(10, rounds)), "1/s")


def thousands():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 5000:
        print(f"SKIP a thousand peers: only {hard} descriptors may be open here")
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Bench() as bench:
        figure("resident memory of the tracker, nobody there", bench.tracker.resident_kb(), "KiB")
        crowd = bench.keep(Crowd(bench.port, 1000))
        crowd.start()
        lab.wait_for(lambda: crowd.welcomed == 1000, 30)
        before = bench.tracker.cpu_seconds()
        time.sleep(10)
        figure("CPU time of the tracker, 1,000 peers idle for 10 s",
               bench.tracker.cpu_seconds() - before, "s")
        clients = [bench.client(f"C{i}") for i in range(1000)]
        for client in clients:
            client.link.send("SRCH 3")
        for client in clients:
            assert len(client.link.receive().split()) == 101
        figure("resident memory of the tracker, 1,000 servers and 1,000 clients after a search",
               bench.tracker.resident_kb(), "KiB")


if __name__ == "__main__":
    parts = {part.__name__: part for part in (overlapping, two_hundred_rounds, latency, thousands)}
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=list(parts))
    only = parser.parse_args().only
    for part in [parts[only]] if only else parts.values():
        part()
