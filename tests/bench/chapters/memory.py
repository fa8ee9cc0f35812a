"""Memory of the static build at the start and after a million messages, with
keepalived's and ucarp's beside it, and what a datagram allocates: nothing."""

import re
import subprocess
import time
from pathlib import Path

import lab
from chapters.groups import Keepalived, Ucarp
from figures import build, peer, status

BAR_KB = 400
PARTS = ("VmRSS", "RssAnon", "RssFile")


def measure(figures):
    static = build("host")
    if static:
        resident(figures, static)
    else:
        figures.skip("memory of the static build", "not built; `board/tools/build host`")
    resident(figures, lab.program(), "this machine's dynamic build", bar=None)
    peers(figures)
    allocations(figures)


def resident(figures, program, name="the static build", bar=BAR_KB):
    place = lab.Loopback()
    try:
        port = lab.free_port()
        board = place.start([program, "serve", port, "--name", "B", "--interface", "lo",
                             "--address", "127.0.0.2"])
        lab.wait_for(lambda: ("127.0.0.2", port) in board.udp_sockets(), 5, "the board")
        elect(place, port)
        tell(figures, f"resident at the start, {name}", board.pid, bar)
        asked = figures.rounds(1_000_000, 100_000)
        subprocess.run([peer("ask"), "rtt", str(asked), f"127.0.0.2:{port}"],
                       check=True, stdout=subprocess.DEVNULL)
        subprocess.run([peer("ask"), "flood", "2", "64", f"127.0.0.2:{port}"],
                       check=True, stdout=subprocess.DEVNULL)
        tell(figures, f"resident after {asked:,} messages and a flood, {name}", board.pid, bar)
        if bar:
            touched(figures, board, port)
    finally:
        place.close()


def elect(place, port):
    client = place.client()
    client.send(b"VOTE\n", place.broadcast, port)
    time.sleep(0.5)
    client.close()


def tell(figures, what, pid, bar=None):
    whole, own, file = status(pid, *PARTS)
    figures.add(what, whole, "KiB", bar=bar)
    figures.add("  of it the process' own", own, "KiB")
    figures.add("  of it pages of the program's file, which the kernel may drop", file, "KiB")


def touched(figures, board, port):
    """The kernel maps the neighbours of a page that is touched; which pages
    are, it tells when asked to forget."""
    Path(f"/proc/{board.pid}/clear_refs").write_text("1\n")
    subprocess.run([peer("ask"), "rtt", "10000", f"127.0.0.2:{port}"],
                   check=True, stdout=subprocess.DEVNULL)
    rollup = Path(f"/proc/{board.pid}/smaps_rollup").read_text()
    used = int(re.search(r"^Referenced:\s+(\d+)", rollup, re.M)[1])
    figures.add("  of it in use while it answers 10,000 WHOIS", used, "KiB")


def peers(figures):
    if lab.no_lan():
        return figures.skip("memory of keepalived and ucarp", lab.no_lan())
    for kind in (Keepalived, Ucarp):
        if kind.missing(figures):
            continue
        lan = lab.Lan([1, 2])
        try:
            group = kind(lan.hosts, "1s")
            time.sleep(5)
            tell(figures, f"resident: {kind.program}", group.victim(lan.hosts[0]))
            parents = [pid for pid in group.pids(lan.hosts[0]) if pid != group.victim(lan.hosts[0])]
            for pid in parents:
                tell(figures, f"resident: {kind.program}'s parent process", pid)
            group.close()
        finally:
            lan.close()


def allocations(figures):
    """malloc, counted by valgrind, for N and 2N questions; one board, then a
    flood's batches are taken once."""
    counts = {}
    for asked in (1000, 3000):
        place = lab.Loopback()
        try:
            port = lab.free_port()
            process = place.start(["valgrind", "--undef-value-errors=no", lab.program(), "serve",
                                   port, "--name", "B", "--interface", "lo",
                                   "--address", "127.0.0.9"])
            lab.wait_for(lambda: ("127.0.0.9", port) in process.udp_sockets(), 60, "the board")
            elect(place, port)
            lab.wait_for(lambda: answers(place, port), 30, "the answer")
            subprocess.run([peer("ask"), "rtt", str(asked), f"127.0.0.9:{port}"],
                           capture_output=True, check=True, timeout=60)
            process.stop(20)
            found = re.search(r"total heap usage: ([\d,]+) allocs", process.stderr)
            counts[asked] = int(found[1].replace(",", ""))
        except FileNotFoundError:
            return figures.skip("allocations for a WHOIS", "no valgrind")
        finally:
            place.close()
    figures.add("allocations for 2,000 WHOIS more", max(counts[3000] - counts[1000], 0),
                "allocations", bar=0)


def answers(place, port):
    client = place.client()
    client.send(b"WHOIS\n", place.broadcast, port)
    told = client.receive(0.5)
    client.close()
    return told
