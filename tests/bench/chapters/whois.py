"""WHOIS: the round trip and the flood, against the least C programs."""

import os
import re
import subprocess
import time

import lab
from figures import on_cpu_ns, peer


def measure(figures):
    loop, ask = peer("loop"), peer("ask")
    if not loop:
        return figures.skip("WHOIS", "no C compiler")
    place = lab.Loopback()
    try:
        board = place.board(2)
        ours = f"127.0.0.2:{place.port}"
        servers = {"the least C loop": [loop, "127.0.0.30", place.port],
                   "the least C poll loop": [loop, "127.0.0.31", place.port, "poll"]}
        at = {"boardroom": ours}
        pids = {"boardroom": board.pid}
        for name, arguments in servers.items():
            process = place.start(arguments)
            at[name] = f"{arguments[1]}:{arguments[2]}"
            pids[name] = process.pid
        elect(place)
        round_trips(figures, ask, at)
        flood(figures, ask, at, pids)
        per_answer(figures, place, ask, board, ours)
    finally:
        place.close()


def elect(place):
    with place.inside():
        client = place.client()
        client.send(b"VOTE\n", place.broadcast, place.port)
        time.sleep(0.4)
        client.close()


def round_trips(figures, ask, at):
    names = ["the least C loop", "the least C poll loop", "boardroom"]
    medians, tails = {name: [] for name in names}, {name: [] for name in names}
    for _ in range(figures.rounds(11, 3)):
        out = subprocess.run([ask, "rtt", "5000", *(at[name] for name in names)],
                             capture_output=True, text=True, check=True).stdout
        for name, line in zip(names, out.splitlines()):
            median, tail, _ = map(float, line.split())
            medians[name].append(median)
            tails[name].append(tail)
    for name in names:
        figures.median(f"WHOIS round trip, median: {name}", medians[name], "us")
        figures.median(f"WHOIS round trip, 99th percentile: {name}", tails[name], "us")
    base = names[0]
    for what, table, bar in (("median", medians, "1.10"), ("p99", tails, "1.2")):
        pairs = [a / b for a, b in zip(table["boardroom"], table[base])]
        figures.median(f"WHOIS round trip {what}: ours / C loop (bar {bar})", pairs, "x")
    pairs = [a / b for a, b in zip(medians[names[1]], medians[base])]
    figures.median("WHOIS round trip median: C poll loop / C loop", pairs, "x")


def flood(figures, ask, at, pids):
    rates = {name: [] for name in at}
    for _ in range(figures.rounds(7, 3)):
        for name in at:
            before = on_cpu_ns(pids[name])
            out = subprocess.run([ask, "flood", "1", "64", at[name]],
                                 capture_output=True, text=True, check=True).stdout
            rates[name].append(int(out) / ((on_cpu_ns(pids[name]) - before) / 1e9))
    for name, samples in rates.items():
        figures.median(f"WHOIS flood, answers per CPU second: {name}", samples, "/s")
    pairs = [a / b for a, b in zip(rates["boardroom"], rates["the least C loop"])]
    figures.median("WHOIS flood: ours / C loop (bar 1.0)", pairs, "x")


def become_master(place, client, port):
    """Holds elections until the only board answers: it may be slow."""
    def answers():
        client.send(b"VOTE\n", place.broadcast, port)
        time.sleep(0.5)
        client.drain()
        client.send(b"WHOIS\n", place.broadcast, port)
        return any(b"is the master" in data for data, _ in client.gather(0.5))

    lab.wait_for(answers, 30, "the board's answer")


def per_answer(figures, place, ask, board, at):
    """System calls an answer, by strace; instructions, by callgrind."""
    count = 2000
    try:
        tracer = subprocess.Popen(["strace", "-c", "-f", "-p", str(board.pid)],
                                  stderr=subprocess.PIPE, text=True)
    except FileNotFoundError:
        return figures.skip("system calls per answer", "no strace")
    time.sleep(0.5)
    subprocess.run([ask, "rtt", str(count), at], capture_output=True, check=True)
    tracer.terminate()
    table = tracer.communicate(timeout=10)[1]
    total = re.search(r"^100\.00\s+\S+\s+\d+\s+(\d+)\s.*total$", table, re.M)
    if total:
        # 50 more to warm up.
        figures.add("system calls per answered WHOIS", int(total[1]) / (count + 50), "calls")
    instructions(figures, place, ask)


def instructions(figures, place, ask):
    """The difference of two runs: what start and end cost falls out."""
    counts = {}
    for asked in (1000, 3000):
        port = lab.free_port()
        out = f"target/bench/callgrind.{asked}"
        try:
            process = place.start(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
                                   lab.program(), "serve", port, "--name", "B", "--interface", "lo",
                                   "--address", "127.0.0.9"])
        except FileNotFoundError:
            return figures.skip("instructions per answer", "no valgrind")
        lab.wait_for(lambda: ("127.0.0.9", port) in process.udp_sockets(), 30, "the board")
        client = place.client()
        become_master(place, client, port)
        subprocess.run([ask, "rtt", str(asked), f"127.0.0.9:{port}"],
                       capture_output=True, check=True, timeout=60)
        client.close()
        process.stop(20)
        with open(out) as file:
            found = re.search(r"^(?:summary|totals): (\d+)", file.read(), re.M)
        os.unlink(out)
        counts[asked] = int(found[1])
    figures.add("instructions per answered WHOIS", (counts[3000] - counts[1000]) / 2000, "instr")
