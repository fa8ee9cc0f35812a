"""Idle: wake-ups and system calls a second, against keepalived's backup."""

import re
import subprocess
import time

import lab
from chapters.groups import Keepalived, Ours
from figures import wake_ups

# A wake-up or two more or less fall into the time of measuring.
EDGE = 0.25


def measure(figures):
    reason = lab.no_lan()
    if reason:
        return figures.skip("idle", reason)
    seconds = figures.rounds(10, 3)
    plain(figures, seconds)
    for interval in ("1s", "10ms"):
        failover(figures, interval, seconds)
    if not Keepalived.missing(figures):
        vrrp(figures, seconds)


def tell(figures, pids, seconds, bars=None):
    """Wake-ups a second of all at the same time; then system calls a second. `bars`: by name, for (wake-ups, system calls)."""
    before = {name: wake_ups(pid) for name, pid in pids.items()}
    time.sleep(seconds)
    woken = {name: (wake_ups(pid) - before[name]) / seconds for name, pid in pids.items()}
    for name, pid in pids.items():
        # One at a time: who is traced is held up, and the others would ask why.
        tracer = subprocess.Popen(["strace", "-c", "-p", str(pid)], stderr=subprocess.PIPE,
                                  text=True)
        time.sleep(seconds / 2)
        tracer.terminate()
        table = tracer.communicate(timeout=10)[1]
        total = re.search(r"^100\.00\s+\S+\s+\d+\s+(\d+)\s.*total$", table, re.M)
        calls = int(total[1]) / (seconds / 2) if total else 0.0
        bar = (bars or {}).get(name, (None, None))
        figures.add(f"wake-ups: {name}", woken[name], "/s", bar=bar[0])
        figures.add(f"system calls: {name}", calls, "/s", bar=bar[1])


def plain(figures, seconds):
    lan = lab.Lan([1, 2])
    try:
        boards = [host.board() for host in lan.hosts]
        client = lan.hosts[0].client()
        client.send(b"VOTE\n", lan.broadcast, lan.port)
        time.sleep(1)
        names = ("boardroom, plain, one of two", "boardroom, plain, the other")
        tell(figures, {name: board.pid for name, board in zip(names, boards)}, seconds,
             {name: (0, None) for name in names})
    finally:
        lan.close()


def failover(figures, interval, seconds):
    lan = lab.Lan([1, 2, 3, 4, 9])
    try:
        *hosts, watcher = lan.hosts
        observer = watcher.observer()
        group = Ours(hosts, interval)
        time.sleep(4)
        observer.drain()
        watcher.client().send(b"VOTE\n", lan.broadcast, lan.port)
        votes = {}
        for data, (address, _) in observer.gather(1.0):
            word = data.split(b"\0")[0].split()
            if word[:1] == [b"#"]:
                votes[address] = int(word[2])
        places = sorted(hosts, key=lambda host: (votes.get(host.address, 0), host.number),
                        reverse=True)
        names = [f"boardroom at {interval}, {place}"
                 for place in ("master", "runner-up", "third", "fourth")]
        claims = {"1s": 1, "10ms": 100}[interval]
        bars = {names[0]: (claims * (1 + EDGE), 2 * claims * (1 + EDGE)),
                names[1]: (claims * (1 + EDGE), None)}
        bars |= {name: (2 + EDGE, None) for name in names[2:]}
        tell(figures, {name: group.victim(host) for name, host in zip(names, places)}, seconds,
             bars)
        group.close()
    finally:
        lan.close()


def vrrp(figures, seconds):
    lan = lab.Lan([1, 2, 3])
    try:
        group = Keepalived(lan.hosts, "10ms")
        time.sleep(4)
        # The highest priority is the last.
        tell(figures, {"keepalived at 10ms, master": group.victim(lan.hosts[-1]),
                       "keepalived at 10ms, backup": group.victim(lan.hosts[0])}, seconds)
        group.close()
    finally:
        lan.close()
