#!/usr/bin/python3
"""Figures of `echo`, one a line: how soon a text is judged, over UDP and TCP.

Usage: service_echo.py [--rounds 5000]
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lan"))
import lab  # noqa: E402
from figures import on_cpu_ns  # noqa: E402
from services import Server, Tcp  # noqa: E402

TEXT = b"boardroom7250"


def told(what, took, used):
    took.sort()
    print(f"{what}, median: {statistics.median(took) * 1e6:.0f} us")
    print(f"{what}, 99 of 100: {took[len(took) * 99 // 100] * 1e6:.0f} us")
    print(f"{what}, CPU time of the server: {used / 1e3 / len(took):.1f} us", flush=True)


def measured(server, rounds, ask, answer):
    took, used = [], on_cpu_ns(server.process.pid)
    for _ in range(rounds):
        begun = time.monotonic()
        found = ask()
        took.append(time.monotonic() - begun)
        assert found == answer, found
    return took, on_cpu_ns(server.process.pid) - used


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5000)
    rounds = parser.parse_args().rounds
    place = lab.Loopback()
    try:
        server = Server(place, "echo", "--quiet")
        udp, tcp = lab.Udp("127.0.0.1"), Tcp(server.port)

        def by_udp():
            udp.send(TEXT, "127.0.0.1", server.port)
            return udp.receive(2)[0]

        told("a text judged over UDP", *measured(server, rounds, by_udp, b"Alphanumeric."))
        told("a text judged over TCP", *measured(
            server, rounds, lambda: tcp.send(TEXT).receive(), b"Alphanumeric"))
        udp.close()
        tcp.close()
    finally:
        place.close()


if __name__ == "__main__":
    main()
