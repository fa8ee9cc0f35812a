"""Idle: wake-ups and system calls a second, against keepalived's backup."""

import re
import shutil
import subprocess
import time

import lab
from chapters import keepalived
from figures import wake_ups


def measure(figures):
    reason = lab.no_lan()
    if reason:
        return figures.skip("idle", reason)
    seconds = figures.rounds(10, 4)
    plain(figures, seconds)
    for interval in ("1s", "10ms"):
        failover(figures, interval, seconds)
    if shutil.which("keepalived"):
        vrrp(figures, seconds)
    else:
        figures.skip("keepalived", "not installed")


def per_second(pid, seconds):
    """Wake-ups a second; then, in as much time again, system calls a second."""
    before = wake_ups(pid)
    time.sleep(seconds)
    woken = (wake_ups(pid) - before) / seconds
    tracer = subprocess.Popen(["strace", "-c", "-p", str(pid)],
                              stderr=subprocess.PIPE, text=True)
    time.sleep(seconds)
    tracer.terminate()
    total = re.search(r"^100\.00\s+\S+\s+\d+\s+(\d+)\s.*total$", tracer.communicate(timeout=10)[1], re.M)
    return woken, int(total[1]) / seconds if total else 0.0


def tell(figures, what, pid, seconds):
    woken, calls = per_second(pid, seconds)
    figures.add(f"wake-ups: {what}", woken, "/s")
    figures.add(f"system calls: {what}", calls, "/s")


def plain(figures, seconds):
    lan = lab.Lan([1, 2])
    try:
        boards = [host.board() for host in lan.hosts]
        client = lan.hosts[0].client()
        client.send(b"VOTE\n", lan.broadcast, lan.port)
        time.sleep(1)
        for board, role in zip(boards, ("plain, one of two", "plain, the other")):
            tell(figures, role, board.pid, seconds)
    finally:
        lan.close()


def failover(figures, interval, seconds):
    lan = lab.Lan([1, 2, 3, 4, 9])
    try:
        *hosts, watcher = lan.hosts
        observer = watcher.observer()
        boards = {host.address: host.board("--failover", "--interval", interval) for host in hosts}
        time.sleep(4)
        observer.drain()
        watcher.client().send(b"VOTE\n", lan.broadcast, lan.port)
        votes = {}
        for data, _ in observer.gather(1.0):
            word = data.split(b"\0")[0].split()
            if word[:1] == [b"#"]:
                votes[word[1].decode()] = int(word[2])
        places = sorted(votes, key=lambda ip: (votes[ip], int(ip.rsplit(".", 1)[1])), reverse=True)
        for name, address in zip(("master", "runner-up", "third", "fourth"), places):
            tell(figures, f"failover at {interval}, {name}", boards[address].pid, seconds)
    finally:
        lan.close()


def vrrp(figures, seconds):
    lan = lab.Lan([1, 2, 3])
    try:
        group = keepalived.Group(lan.hosts, "0.01")
        master = group.wait_master()
        for name, host in (("master", master), ("backup", group.others(master)[0])):
            tell(figures, f"keepalived at 10ms, {name}", group.vrrp_pid(host), seconds)
        group.close()
    finally:
        lan.close()
