"""Size, memory, and how soon a board is there."""

import shutil
import subprocess
import time
from pathlib import Path

import lab
from chapters import keepalived
from figures import ROOT, peer

FIRMWARE = ROOT / "target/firmware"


def measure(figures):
    for build in ("armv4t", "armv5te"):
        binary = FIRMWARE / build / "boardroom"
        if binary.exists():
            figures.add(f"size of the {build} build", binary.stat().st_size / 1024, "KB")
        else:
            figures.skip(f"size of {build}", "not built; run `make firmware`")
    figures.add("size of this machine's build", Path(lab.program()).stat().st_size / 1024, "KB")
    memory(figures)
    start(figures)


def memory(figures):
    place = lab.Loopback()
    try:
        board = place.board(2)
        client = place.client()
        client.send(b"VOTE\n", place.broadcast, place.port)
        time.sleep(0.5)
        figures.add("resident at the start: this machine's build", board.resident_kb(), "KB")
        ask = peer("ask")
        if ask:
            asked = figures.rounds(1_000_000, 100_000)
            subprocess.run([ask, "rtt", str(asked), f"127.0.0.2:{place.port}"],
                           check=True, stdout=subprocess.DEVNULL)
            figures.add(f"resident after {asked:,} messages", board.resident_kb(), "KB")
    finally:
        place.close()
    if lab.no_lan() or not shutil.which("keepalived"):
        return figures.skip("keepalived's memory", "no keepalived or no namespaces")
    lan = lab.Lan([1, 2])
    try:
        group = keepalived.Group(lan.hosts, "1")
        master = group.wait_master()
        status = Path(f"/proc/{group.vrrp_pid(master)}/status").read_text()
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        figures.add("resident: keepalived's VRRP process", resident, "KB")
        group.close()
    finally:
        lan.close()


def start(figures):
    """From exec to the first answer: VOTE is sent as soon as the port is open."""
    samples = []
    for _ in range(figures.rounds(10, 3)):
        place = lab.Loopback()
        try:
            client = place.client()
            begun = time.monotonic()
            place.board(2)
            samples.append((time.monotonic() - begun) * 1000)
            client.close()
        finally:
            place.close()
    figures.median("start to a bound port", samples, "ms")
