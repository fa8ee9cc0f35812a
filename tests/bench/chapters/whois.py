"""WHOIS: the round trip and the flood, against the least C programs."""

import subprocess
import time

import lab
from figures import on_cpu_ns, peer

LOOP, POLL_LOOP, OURS = "the least C loop", "the least C poll loop", "boardroom"


def measure(figures):
    loop, ask = peer("loop"), peer("ask")
    if not loop:
        return figures.skip("WHOIS", "no C compiler")
    place = lab.Loopback()
    try:
        board = place.board(2)
        servers = {LOOP: [loop, "127.0.0.30", place.port],
                   POLL_LOOP: [loop, "127.0.0.31", place.port, "poll"]}
        at = {OURS: f"127.0.0.2:{place.port}"}
        pids = {OURS: board.pid}
        for name, arguments in servers.items():
            process = place.start(arguments)
            at[name] = f"{arguments[1]}:{arguments[2]}"
            pids[name] = process.pid
        client = place.client()
        client.send(b"VOTE\n", place.broadcast, place.port)
        time.sleep(0.4)
        client.close()
        round_trips(figures, ask, at)
        flood(figures, ask, at, pids)
    finally:
        place.close()


def round_trips(figures, ask, at):
    names = [LOOP, POLL_LOOP, OURS]
    medians, tails = {name: [] for name in names}, {name: [] for name in names}
    for run in range(figures.rounds(15, 5)):
        # Who is asked first in a block finds colder caches.
        turn = names[run % 3:] + names[:run % 3]
        out = subprocess.run([ask, "rtt", "5000", *(at[name] for name in turn)],
                             capture_output=True, text=True, check=True).stdout
        for name, line in zip(turn, out.splitlines()):
            median, tail, _ = map(float, line.split())
            medians[name].append(median)
            tails[name].append(tail)
    for name in names:
        figures.median(f"WHOIS round trip, median: {name}", medians[name], "us")
        figures.median(f"WHOIS round trip, 99th percentile: {name}", tails[name], "us")
    for what, table, bar in (("median", medians, 1.10), ("99th percentile", tails, 1.2)):
        figures.versus(f"WHOIS round trip, {what}: ours / C loop", table[OURS], table[LOOP],
                       paired=True, unit="us", peer="C loop", bar=bar)
    figures.versus("WHOIS round trip, median: C poll loop / C loop", medians[POLL_LOOP],
                   medians[LOOP], paired=True, unit="us", peer="C loop")


def flood(figures, ask, at, pids):
    rates = {name: [] for name in at}
    for _ in range(figures.rounds(9, 3)):
        for name in at:
            before = on_cpu_ns(pids[name])
            out = subprocess.run([ask, "flood", "1", "64", at[name]],
                                 capture_output=True, text=True, check=True).stdout
            rates[name].append(int(out) / ((on_cpu_ns(pids[name]) - before) / 1e9))
    for name, samples in rates.items():
        figures.median(f"WHOIS flood, answers a CPU second: {name}", samples, "/s")
    figures.versus("WHOIS flood, answers a CPU second: ours / C loop", rates[OURS], rates[LOOP],
                   paired=True, unit="/s", peer="C loop", bar=1.0, at_least=True)
