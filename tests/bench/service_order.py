#!/usr/bin/python3
"""Figures of `order`, one a line: how soon a verdict is there, how many a
second, and how far apart two messages have to be to be told apart.

Usage: service_order.py [--rounds 1000]
"""

import argparse
import ctypes
import socket
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lan"))
import lab  # noqa: E402
from figures import on_cpu_ns  # noqa: E402
from services import Server, Tcp  # noqa: E402

PR_SET_TIMERSLACK = 29
X_FIRST, Y_FIRST = b"X: Ann received before Y: Bob", b"Y: Bob received before X: Ann"


def contestants(server):
    """X and Y, connected in this order, who send without delay."""
    both = Tcp(server.port), Tcp(server.port)
    for one in both:
        one.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return both


def verdicts(*both):
    found = {one.receive_all() for one in both}
    for one in both:
        one.close()
    assert len(found) == 1, found
    return found.pop()


def latency(server, rounds):
    """From the second message to the verdict at the later of both."""
    took = []
    for _ in range(rounds):
        x, y = contestants(server)
        x.send(b"Client X: Ann\n")
        time.sleep(0.001)
        begun = time.monotonic()
        y.send(b"Client Y: Bob\n")
        assert verdicts(x, y) == X_FIRST
        took.append((time.monotonic() - begun) * 1000)
    took.sort()
    print(f"verdict after the second message, median: {statistics.median(took):.3f} ms")
    print(f"verdict after the second message, 99 of 100: {took[len(took) * 99 // 100]:.3f} ms")


def rate(server, rounds):
    """Connecting, sending, and both verdicts, one round after the other."""
    begun, used = time.monotonic(), on_cpu_ns(server.process.pid)
    for _ in range(rounds):
        x, y = contestants(server)
        x.send(b"Client X: Ann\n")
        y.send(b"Client Y: Bob\n")
        verdicts(x, y)
    took = time.monotonic() - begun
    used = on_cpu_ns(server.process.pid) - used
    print(f"verdicts a second, one round after the other: {rounds / took:.0f} 1/s")
    print(f"CPU time of the server for a verdict: {used / 1e3 / rounds:.1f} us", flush=True)


def resolution(server, rounds):
    """Y connects later and sends first: what is no longer told apart is a tie,
    and goes to X."""
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
    for apart_us in (0, 50, 100, 200, 500, 1000):
        right = 0
        for _ in range(rounds):
            x, y = contestants(server)
            y.send(b"Client Y: Bob\n")
            # Asleep, so that the server need not wait for this processor.
            time.sleep(apart_us / 1e6)
            x.send(b"Client X: Ann\n")
            right += verdicts(x, y) == Y_FIRST
        print(f"right of 100 when messages are {apart_us} us apart: {100 * right / rounds:.0f} %",
              flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=1000)
    rounds = parser.parse_args().rounds
    place = lab.Loopback()
    try:
        server = Server(place, "order", "--quiet")
        latency(server, rounds)
        rate(server, rounds)
        resolution(server, max(rounds // 5, 20))
    finally:
        place.close()


if __name__ == "__main__":
    main()
