"""Changes of master for nothing: 10 ms between claims and a share of all that
arrives lost, against keepalived on a LAN of its own at the same time."""

import shutil
import time
from functools import partial

import lab
from chapters.groups import Keepalived, Ours
from chapters.scene import Scene, together

BOARDS = 3
BAR = 0.1


def measure(figures):
    reason = lab.no_lan() or (None if shutil.which("nft") else "no nft")
    if reason:
        return figures.skip("changes of master under loss", reason)
    minutes = figures.rounds(2.0, 0.3)
    for percent, boards in figures.rounds(((0, 3), (1, 3), (5, 3), (20, 3), (20, 5)), ((20, 3),)):
        jobs = {kind: partial(changes, kind, boards, percent, minutes * 60)
                for kind in (Ours, Keepalived) if not kind.missing(figures)}
        found = together(jobs)
        what = f"{percent} % loss, {boards} boards"
        for kind, count in found.items():
            if isinstance(count, Exception):
                figures.note(f"{what}, {kind.name}: {count}")
                continue
            figures.add(f"changes of master, {what}: {kind.name}", count / minutes, "/min")
            figures.add(f"  the same an hour, from {minutes:g} min", count / minutes * 60, "/h")
        ours, theirs = found.get(Ours), found.get(Keepalived)
        if isinstance(ours, int) and isinstance(theirs, int) and theirs:
            # A count of few is uncertain by its root.
            figures.add(f"changes of master, {what}: ours / keepalived", ours / theirs, "x",
                        spread=(ours / theirs, (ours + ours ** 0.5) / theirs), samples=1,
                        ours=ours / minutes, theirs=theirs / minutes, their_unit="/min",
                        peer="keepalived", bar=BAR if (percent, boards) == (20, BOARDS) else None)


def changes(kind, boards, percent, seconds):
    with Scene(kind, "10ms", boards) as scene:
        scene.master()
        if percent:
            for host in scene.hosts:
                host.lose(percent)
        # What the network is like is learned first.
        time.sleep(2)
        before = scene.group.changes()
        time.sleep(seconds)
        return scene.group.changes() - before
