"""An election from VOTE to the master's answer, for 2 to 250 boards on one
machine, against the least C program that sends and receives the same votes:
on the same hosts, in turns."""

import contextlib
import re
import statistics
import subprocess
import time
from pathlib import Path

import lab
from figures import ROOT, on_cpu_ns, peer

BARS = {5: 5.0}
AGAINST_VOTES = 1.5
# From so many boards on the votes themselves are most of the work.
MANY = 100
SIMULATED = 1000
SIMULATED_QUICKLY = 250
SHARED = {"core/netdev_max_backlog": 250_000, "ipv4/neigh/default/gc_thresh3": 250_000,
          "ipv4/neigh/default/gc_thresh2": 200_000}


def measure(figures):
    reason = lab.no_lan()
    if reason:
        return figures.skip("election", reason)
    for boards in figures.rounds((2, 5, 20, 100, 250), (2, 5, 20)):
        with as_many_machines(figures, boards):
            on_a_lan(figures, boards, figures.rounds(20, 5) if boards < MANY else 7)
    simulated(figures)


@contextlib.contextmanager
def as_many_machines(figures, boards):
    """All namespaces of a machine share one table of neighbours and one queue
    of packets a CPU, with room for one machine's: as much as so many machines
    would have, for as long as this takes."""
    kept = {}
    for name, room in SHARED.items() if boards >= MANY else ():
        path = Path("/proc/sys/net", name)
        try:
            before = path.read_text()
            path.write_text(str(room))
            kept[path] = before
        except OSError as error:
            figures.note(f"{path} stays as it is: {error}")
    try:
        yield
    finally:
        for path, before in kept.items():
            path.write_text(before)


def on_a_lan(figures, boards, rounds):
    """Milliseconds from VOTE to the answer, among boards that know each other."""
    lan = lab.Lan([*range(1, boards + 1), 254])
    program = peer("storm") if boards >= MANY else None
    ours, theirs, costs, their_costs = [], [], [], []
    try:
        *hosts, asker = lan.hosts
        running = [host.board(bound=False) for host in hosts]
        for board in running:
            board.wait_bound(seconds=60)
        client = asker.client()
        for n in range(rounds + 1):
            before = sum(on_cpu_ns(board.pid) for board in running)
            took = election(client, lan)
            if took is None:
                figures.note(f"{boards} boards: no answer within 10 s")
            elif n > 0:
                # The first is among strangers.
                ours.append(took)
            time.sleep(0.5 + boards / 100)
            if n > 0:
                used = sum(on_cpu_ns(board.pid) for board in running) - before
                costs.append(used / boards / 1000)
            if program and n > 0:
                took, used = storm(program, hosts, asker, lan)
                if took:
                    theirs.append(took)
                    their_costs.append(used)
        client.close()
    finally:
        lan.close()
    if not ours:
        return
    figures.median(f"VOTE to the master's answer, {boards} boards", ours, "ms",
                   bar=BARS.get(boards))
    figures.median(f"CPU time of each board for an election of {boards}", costs, "us")
    if theirs:
        figures.median(f"the bare votes of {boards} boards, by the least C program", theirs, "ms")
        figures.median(f"CPU time of each for the bare votes of {boards}", their_costs, "us")
        figures.versus(f"election of {boards} boards against the bare votes", ours, theirs,
                       unit="ms", peer="the least C program",
                       bar=AGAINST_VOTES if boards == 250 else None)


def election(client, lan):
    client.drain()
    begun = time.monotonic()
    client.send(b"VOTE\n", lan.broadcast, lan.port)
    client.send(b"WHOIS\n", lan.broadcast, lan.port)
    answer = client.receive(10)
    return (time.monotonic() - begun) * 1000 if answer else None


def storm(program, hosts, asker, lan):
    """Milliseconds in which the least C programs have exchanged the votes, and
    the CPU time of each in microseconds. They tell the moment themselves."""
    port = lan.port + 1
    processes = [host.start([program, host.address, lan.broadcast, port, len(hosts)])
                 for host in hosts]
    for process in processes:
        lab.wait_for(lambda p=process: "ready" in p.stdout, 60, "the bare board")
    client = asker.client()
    begun = time.monotonic()
    client.send(b"VOTE\n", lan.broadcast, port)
    client.close()
    deadline = begun + 20
    try:
        for process in processes:
            process.wait(max(deadline - time.monotonic(), 0.001))
        told = [process.stdout.split()[1:] for process in processes]
        return (max(int(end) for _, end in told) / 1e6 - begun * 1000,
                statistics.mean(int(used) for used, _ in told))
    except subprocess.TimeoutExpired:
        return None, None  # votes were lost: this run tells nothing
    finally:
        for host, process in zip(hosts, processes):
            process.kill()
            host.processes.remove(process)


def simulated(figures):
    """What the core alone costs, without a kernel between the boards."""
    simulator = ROOT / "target/sim/boardroom-sim"
    boards = figures.rounds(SIMULATED, SIMULATED_QUICKLY)
    what = f"an election of {boards} boards in the simulator"
    if not simulator.exists():
        return figures.skip(what, "it is not built; `make sim-build`")
    out = subprocess.run([simulator, "crowd", str(boards)], capture_output=True, text=True,
                         check=True, timeout=300).stdout
    for what, value, unit in re.findall(r"^(.+): (\d+) (us|ns)$", out, re.M):
        figures.add(f"{boards} boards in the simulator: {what}", int(value), unit)
