"""An election from VOTE to the master's answer, for 2 to 250 boards on one
machine, against the least C program that sends and receives the same votes."""

import statistics
import time

import lab
from figures import peer


def measure(figures):
    reason = lab.no_lan()
    if reason:
        return figures.skip("election", reason)
    for boards in figures.rounds((2, 5, 20, 100, 250), (2, 5, 20)):
        rounds = figures.rounds(10, 3) if boards <= 20 else figures.rounds(5, 2)
        ours = elections(figures, boards, rounds)
        if boards >= 100 and ours:
            theirs = storm(figures, boards, rounds)
            if theirs:
                figures.ratio(f"election of {boards} boards against the bare votes",
                              statistics.median(ours), statistics.median(theirs), "1.5")


def elections(figures, boards, rounds):
    """Milliseconds from VOTE to the answer, among boards that know each other."""
    lan, samples = lab.Lan([*range(1, boards + 1), 254]), []
    try:
        *hosts, asker = lan.hosts
        for host in hosts:
            host.board(bound=False)
        for host in hosts:
            host.processes[0].wait_bound(seconds=60)
        client = asker.client()
        for n in range(rounds + 1):
            client.drain()
            begun = time.monotonic()
            client.send(b"VOTE\n", lan.broadcast, lan.port)
            client.send(b"WHOIS\n", lan.broadcast, lan.port)
            answer = client.receive(10)
            took = (time.monotonic() - begun) * 1000
            if answer is None:
                figures.note(f"{boards} boards: no answer within 10 s")
            elif n > 0:
                # The first is among strangers.
                samples.append(took)
            time.sleep(0.5 + boards / 100)
        client.close()
    finally:
        lan.close()
    if samples:
        figures.median(f"VOTE to the answer, {boards} boards", samples, "ms")
        figures.add(f"  the same for each board, {boards} boards",
                    statistics.median(samples) * 1000 / boards, "us")
    return samples


def storm(figures, boards, rounds):
    """Milliseconds in which the least C programs have exchanged the votes."""
    program = peer("storm")
    if not program:
        figures.skip("the bare votes", "no C compiler")
        return []
    lan, samples = lab.Lan([*range(1, boards + 1), 254]), []
    try:
        *hosts, asker = lan.hosts
        for _ in range(rounds):
            processes = [host.start([program, host.address, lan.broadcast, lan.port, boards])
                         for host in hosts]
            for process in processes:
                lab.wait_for(lambda p=process: "ready" in p.stdout, 60, "the bare board")
            client = asker.client()
            begun = time.monotonic()
            client.send(b"VOTE\n", lan.broadcast, lan.port)
            deadline = begun + 30
            for process in processes:
                try:
                    process.wait(max(deadline - time.monotonic(), 0.001))
                except Exception:  # noqa: BLE001 votes were lost: this run tells nothing
                    break
            took = (time.monotonic() - begun) * 1000
            if all(not process.is_running() for process in processes):
                samples.append(took)
            for process in processes:
                process.kill()
            for host in hosts:
                host.processes.clear()
            client.close()
    finally:
        lan.close()
    if samples:
        figures.median(f"the bare votes of {boards} boards", samples, "ms")
    return samples
