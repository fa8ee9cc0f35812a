#!/usr/bin/python3
"""Many sequence clients at once, each with its own faults: what share of a CPU
the server takes, and whether it counted anything wrongly.

Usage: service_sequence.py [--clients 1000] [--rate 10] [--seconds 30] [--burst]

Each client sends RATE numbers a second. In its numbers there are one to three
gaps, duplicates, reordered pairs and restarts, drawn by its seed; what the
server says of each client at the end is compared with what was sent. --burst
has all clients send at the same instant. Prints the figures; exit code 1 if
anything was miscounted. Datagrams for which the kernel had no room, because the
machine was too busy to run the server, are lost indeed and told apart.
"""

import argparse
import os
import random
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lan"))
import lab  # noqa: E402
from figures import on_cpu_ns  # noqa: E402


def plan(seed, length):
    """Numbers to send (None: a pause of one step), and what must be counted."""
    draw = random.Random(seed)
    numbers, truth = [], {"lost": 0, "duplicated": 0, "reordered": 0, "restarts": 0}
    number, calm = 0, 0
    while len(numbers) < length:
        number = number % 100 + 1
        fault = draw.random() if calm <= 0 and len(numbers) + 40 < length else 1
        calm -= 1
        if fault < 0.02 and 1 < number < 96:
            gap = draw.randint(1, 3)
            truth["lost"] += gap
            numbers += [None] * gap
            number += gap
        elif fault < 0.04:
            truth["duplicated"] += 1
            numbers.append(number)
        elif fault < 0.06:
            truth["reordered"] += 1
            numbers.append(number % 100 + 1)
        elif fault < 0.07 and 10 < number < 80:
            # As long as a person needs to start a program again.
            truth["restarts"] += 1
            numbers += [None] * 15
            number = 1
        else:
            numbers.append(number)
            continue
        numbers.append(number)
        if 0.04 <= fault < 0.06:
            number = number % 100 + 1
        calm = 8
    return numbers, truth


def summary(text):
    """Port → counts, of the server's last lines."""
    pattern = (r"^(?:127\.0\.0\.1:(\d+)|c[12]): received (\d+), lost (\d+), "
               r"duplicated (\d+), reordered (\d+), restarts (\d+)$")
    return {int(m[0]): dict(zip(
        ("received", "lost", "duplicated", "reordered", "restarts"), map(int, m[1:])))
        for m in re.findall(pattern, text, re.M)}


def drops(port):
    """Datagrams that the kernel had no room for."""
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        if int(line.split()[1].split(":")[1], 16) == port:
            return int(line.split()[-1])
    return 0


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--clients", type=int, default=1000)
    options.add_argument("--rate", type=int, default=10)
    options.add_argument("--seconds", type=int, default=30)
    options.add_argument("--burst", action="store_true")
    options.add_argument("--print", action="store_true", help="the server prints each message")
    options = options.parse_args()

    place = lab.Loopback()
    quiet = [] if options.print else ["--quiet"]
    server = place.boardroom("sequence", "server", "--port", "0", *quiet)
    if os.geteuid() == 0:
        # Else a loaded machine would measure itself.
        os.setpriority(os.PRIO_PROCESS, server.pid, -15)
    told = lab.wait_for(lambda: re.search(r"UDP port (\d+)$", server.stdout, re.M))
    at = ("127.0.0.1", int(told[1]))
    length = options.seconds * options.rate
    clients = [lab.Udp("127.0.0.1") for _ in range(options.clients)]
    plans = [plan(seed, length) for seed in range(options.clients)]

    step = 1 / options.rate
    slot = 0 if options.burst else step / options.clients
    first = began = time.monotonic()
    used = on_cpu_ns(server.pid)
    sent = 0
    for i in range(length):
        for n, client in enumerate(clients):
            number = plans[n][0][i]
            due = began + i * step + n * slot
            while (left := due - time.monotonic()) > 0:
                time.sleep(left)
            if left < -0.02:
                # Real clients that were held up send no burst to catch up.
                began -= left
            if number is not None:
                client.socket.sendto(b"%d" % number, at)
                sent += 1
        for client in clients[i % 10::10]:
            client.drain()
    took = time.monotonic() - first
    time.sleep(0.5)
    used = on_cpu_ns(server.pid) - used
    lost_here = drops(at[1])
    resident = server.resident_kb()
    server.stop()
    counted = summary(server.stdout)
    wrong = []
    for client, (numbers, truth) in zip(clients, plans):
        received = sum(number is not None for number in numbers[:length])
        expected = {"received": received, **truth}
        if counted.get(client.port) != expected:
            wrong.append(f"port {client.port}: {counted.get(client.port)} instead of {expected}")
    faults = {key: sum(truth[key] for _, truth in plans) for key in plans[0][1]}
    place.close()
    print(f"{options.clients} clients, and faults of all kinds among their numbers: "
          + ", ".join(f"{count} {kind}" for kind, count in faults.items()))
    print(f"numbers: {sent}")
    print(f"numbers a second: {sent / took:.0f} 1/s")
    print(f"CPU share of the server: {used / 1e7 / took:.1f} %")
    print(f"CPU time of the server for a number: {used / 1e3 / sent:.1f} us")
    print(f"resident memory of the server: {resident} KiB")
    print(f"numbers for which the kernel had no room: {lost_here}")
    print(f"clients counted wrongly: {len(wrong)}")
    for line in wrong[:10]:
        print(f"  {line}")
    if wrong and lost_here:
        print("the machine was too busy: not a measurement")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
