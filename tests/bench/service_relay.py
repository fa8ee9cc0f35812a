#!/usr/bin/python3
"""relay side by side with mosquitto (QoS 1), and through kills.

Usage: service_relay.py [--messages 10000] [--rounds 3] [--kills 10000] [--only NAME]

Three parts. `speed`: messages a second from one client to another, through one
server and through two (two brokers with a bridge), the two sides taking turns;
ours with a spool too. `crowd`: 20 pairs at once through one server. `kills`:
10,000 messages through two servers with spools, which are killed (SIGKILL) at
random moments; lost and printed twice are counted. Exit code 1 if anything was
lost or printed twice.
"""

import argparse
import contextlib
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lan"))
import lab  # noqa: E402
from figures import on_cpu_ns  # noqa: E402
from relays import Line  # noqa: E402

A, B = "1111111111", "2222222222"
# One run may take this long before it is given up.
PATIENCE = 120
# Room for all, so that the sender need not wait for the addressee.
ROOMY = ("--quiet", "--mailbox", "20000", "--memory", "16384")


def lines(count):
    return "".join(f"message number {i}\n" for i in range(count)).encode()


def timed(place, servers, sender, receiver, count, what):
    """Starts `sender` with `count` lines on its input, and waits for `receiver`
    to have printed them; gives messages a second, and the servers' CPU time
    for one in microseconds, which a busy machine disturbs less."""
    with tempfile.TemporaryFile() as source:
        source.write(lines(count))
        source.seek(0)
        before = cpu(servers)
        start = time.monotonic()
        process = subprocess.Popen(sender, stdin=source, stdout=subprocess.DEVNULL,
                                   preexec_fn=place.enter_child)
        code = receiver.wait(PATIENCE)
        took = time.monotonic() - start
        assert code == 0, (what, code, receiver.stderr)
        process.wait(PATIENCE)
        used = cpu(servers) - before
    found = [line.rsplit(" ", 1)[1] for line in receiver.stdout.splitlines()]
    assert found == [str(i) for i in range(count)], f"{what}: not once and in order"
    return count / took, 1e6 * used / count


def cpu(servers):
    return sum(on_cpu_ns(server.pid) for server in servers) / 1e9


def client(line, name, server, *arguments):
    return [lab.program(), "relay", "client", "--id", name, "--quiet", "--timeout", "60s",
            "--servers", line.list(), "--server", line.servers[server], *map(str, arguments)]


def own(place, servers, count, spool=None):
    """Messages a second through `servers` servers of ours."""
    line = Line(place, servers, spool=spool, options=ROOMY)
    try:
        receiver = place.start(client(line, B, servers - 1, "--count", count, "listen"))
        lab.wait_for(lambda: line.here(servers - 1) == 1, what="the listener")
        time.sleep(0.3)
        return timed(place, line.processes, client(line, A, 0, "send", B), receiver, count, "relay")
    finally:
        line.close()


class Brokers:
    """One mosquitto, or two with a bridge."""

    def __init__(self, place, count):
        self.folder = tempfile.TemporaryDirectory()
        self.ports = [lab.free_port() for _ in range(count)]
        self.processes = []
        for i, port in reversed(list(enumerate(self.ports))):
            text = f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
            if i + 1 < count:
                text += (f"connection bridge\naddress 127.0.0.1:{self.ports[i + 1]}\n"
                         "topic relay out 1\n")
            path = Path(self.folder.name) / f"{i}.conf"
            path.write_text(text)
            self.processes.append(place.start(["mosquitto", "-c", str(path)]))
            lab.wait_for(lambda: listens(port), what="mosquitto")
        time.sleep(1.0 if count > 1 else 0.2)

    def close(self):
        for process in self.processes:
            process.stop(2.0)
        self.folder.cleanup()


def listens(port):
    wanted = f"0100007F:{port:04X}"
    return any(line.split()[1] == wanted and line.split()[3] == "0A"
               for line in Path("/proc/net/tcp").read_text().splitlines()[1:])


def mosquitto(place, brokers, count):
    """The same through one broker, or two."""
    peer = Brokers(place, brokers)
    try:
        receiver = place.start(["mosquitto_sub", "-p", peer.ports[-1], "-q", "1", "-t", "relay",
                                "-C", count, "-i", "receiver"])
        time.sleep(0.5)
        sender = ["mosquitto_pub", "-p", str(peer.ports[0]), "-q", "1", "-t", "relay", "-l",
                  "-i", "sender"]
        return timed(place, peer.processes, sender, receiver, count, "mosquitto")
    finally:
        peer.close()


def own_crowd(place, pairs, count):
    """Messages a second of all pairs together."""
    line = Line(place, 1, options=ROOMY)
    names = [(f"{1_000_000_000 + i}", f"{2_000_000_000 + i}") for i in range(pairs)]
    try:
        receivers = [place.start(client(line, b, 0, "--count", count, "listen")) for _, b in names]
        lab.wait_for(lambda: line.here(0) == pairs, what="the listeners")
        senders = [client(line, a, 0, "send", b) for a, b in names]
        return crowd(place, line.processes, senders, receivers, count)
    finally:
        line.close()


def mosquitto_crowd(place, pairs, count):
    peer = Brokers(place, 1)
    try:
        common = ["-p", str(peer.ports[0]), "-q", "1"]
        receivers = [place.start(["mosquitto_sub", *common, "-t", f"relay{i}", "-C", count])
                     for i in range(pairs)]
        time.sleep(1)
        senders = [["mosquitto_pub", *common, "-t", f"relay{i}", "-l"] for i in range(pairs)]
        return crowd(place, peer.processes, senders, receivers, count)
    finally:
        peer.close()


def crowd(place, servers, senders, receivers, count):
    with contextlib.ExitStack() as stack:
        sources = []
        for _ in senders:
            source = stack.enter_context(tempfile.TemporaryFile())
            source.write(lines(count))
            source.seek(0)
            sources.append(source)
        before = cpu(servers)
        start = time.monotonic()
        processes = [subprocess.Popen(sender, stdin=source, stdout=subprocess.DEVNULL,
                                      preexec_fn=place.enter_child)
                     for sender, source in zip(senders, sources)]
        for receiver in receivers:
            assert receiver.wait(PATIENCE) == 0, receiver.stderr
        took = time.monotonic() - start
        for process in processes:
            process.wait(PATIENCE)
    total = len(receivers) * count
    return total / took, 1e6 * (cpu(servers) - before) / total


def kills(place, count):
    """Kills servers while messages go through; gives (kills, lost, twice)."""
    with tempfile.TemporaryDirectory() as folder:
        line = Line(place, 2, spool=folder, options=ROOMY)
        receiver = place.start(client(line, B, 1, "--count", count, "listen"))
        lab.wait_for(lambda: line.here(1) == 1, what="the listener")
        with tempfile.TemporaryFile() as source:
            source.write(lines(count))
            source.seek(0)
            sender = subprocess.Popen(client(line, A, 0, "send", B), stdin=source,
                                      stdout=subprocess.DEVNULL, preexec_fn=place.enter_child)
        done, end = 0, time.monotonic() + 900
        while receiver.is_running() and time.monotonic() < end:
            time.sleep(random.uniform(0.05, 2.0))
            victim = random.randrange(2)
            line.processes[victim].kill()
            time.sleep(random.uniform(0, 0.2))
            line.restart(victim)
            done += 1
        receiver.stop()
        sender.terminate()
        sender.wait(10)
        line.close()
    printed = [line.rsplit(" ", 1)[1] for line in receiver.stdout.splitlines()]
    lost = count - len(set(printed))
    in_order = printed == sorted(printed, key=int)
    return done, lost, len(printed) - len(set(printed)), in_order


def speed(place, count, rounds):
    for servers in (1, 2):
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(own(place, servers, count))
            if shutil.which("mosquitto") and shutil.which("mosquitto_pub"):
                theirs.append(mosquitto(place, servers, count))
        name = "one server" if servers == 1 else "two servers"
        tell(f"{name}, relay", ours)
        if theirs:
            tell(f"{name}, mosquitto QoS 1", theirs)
            ratio(name, ours, theirs)
        else:
            print(f"SKIP {name}, mosquitto: it is not installed")
        with tempfile.TemporaryDirectory() as folder:
            tell(f"{name}, relay with spool", [own(place, servers, count // 5, folder)])


def crowds(place, count, rounds):
    ours = [own_crowd(place, 20, count // 10) for _ in range(rounds)]
    tell("20 pairs, one server, relay", ours)
    if shutil.which("mosquitto") and shutil.which("mosquitto_pub"):
        theirs = [mosquitto_crowd(place, 20, count // 10) for _ in range(rounds)]
        tell("20 pairs, one server, mosquitto QoS 1", theirs)
        ratio("20 pairs, one server", ours, theirs)


def tell(what, samples):
    rates, costs = zip(*samples)
    print(f"{what}, least: {min(rates):.0f} messages/s")
    print(f"{what}, median of {len(rates)}: {statistics.median(rates):.0f} messages/s")
    print(f"{what}, most: {max(rates):.0f} messages/s")
    print(f"{what}, the servers' CPU time for one: {statistics.median(costs):.1f} us", flush=True)


def ratio(what, ours, theirs):
    rate, cost = ([statistics.median(one[i] for one in side) for side in (ours, theirs)]
                  for i in (0, 1))
    print(f"{what}, messages a second, ours / theirs: {rate[0] / rate[1]:.2f} x")
    print(f"{what}, CPU time, ours / theirs: {cost[0] / cost[1]:.2f} x")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(2)))
    parser.add_argument("--only", choices=["speed", "crowd", "kills"])
    options = parser.parse_args()
    random.seed(options.seed)
    place = lab.Loopback()
    try:
        if options.only in (None, "speed"):
            speed(place, options.messages, options.rounds)
        if options.only in (None, "crowd"):
            crowds(place, options.messages, options.rounds)
        if options.only in (None, "kills"):
            done, lost, twice, in_order = kills(place, options.kills)
            print(f"{options.kills:,} messages, {done} kills of servers with spools "
                  f"(seed {options.seed}): lost {lost}, twice {twice}, "
                  f"{'in order' if in_order else 'not in order'}")
            return 1 if lost or twice else 0
    finally:
        place.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
