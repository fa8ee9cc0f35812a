"""A group of boards on a LAN of its own with one who watches, and what can
happen to its master. Each scene runs in a process of its own, so that several
can be played at the same time where they mostly wait."""

import multiprocessing
import os
import random
import signal
import time

import lab
from chapters.wiretap import Wiretap

WATCHER = 99
# Nobody has spoken as master for so long: there is none.
GIVEN_UP = 20.0
SECONDS = {"1s": 1.0, "100ms": 0.1, "50ms": 0.05, "10ms": 0.01}


class NoMaster(Exception):
    """A group that has none: the scene is not played."""


class Scene:
    """`kind` is a Group."""

    def __init__(self, kind, interval, boards=5):
        self.lan = lab.Lan([*range(1, boards + 1), WATCHER])
        *self.hosts, watcher = self.lan.hosts
        self.tap = Wiretap(watcher)
        self.seconds = SECONDS[interval]
        self.group = kind(self.hosts, interval)
        time.sleep(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tap.close()
        self.group.close()
        self.lan.close()

    def master(self):
        """The host that alone has spoken as master for a while, now at any
        moment between two of its words."""
        self.tap.drain()
        heard, since = None, time.time()
        for moment, address in self.tap.masters(GIVEN_UP):
            if address != heard:
                heard, since = address, moment
            if moment - since > max(0.6, 2.2 * self.seconds):
                break
        if heard is None:
            raise NoMaster(f"no master for {GIVEN_UP:.0f} s")
        time.sleep(random.uniform(0, self.seconds))
        self.tap.drain()
        return next(host for host in self.hosts if host.address == heard)

    def gap(self, begun, old):
        """Milliseconds since `begun` until another master spoke, or None."""
        moment = self.tap.next_other(old.address, GIVEN_UP, begun)
        return (moment - begun) * 1000 if moment else None

    def overlap(self):
        """Milliseconds from the first to the last moment at which the speaker
        changed; none if it did once, or not at all."""
        speaker, first, last = None, None, time.time()
        end = last + 8
        for moment, address in self.tap.masters(8):
            if speaker not in (None, address):
                first, last = first or moment, moment
            speaker = address
            if moment - last > max(1.5, 2.2 * self.seconds) or moment > end:
                break
        return (last - first) * 1000 if first else 0.0


def ended_by(number):
    def way(scene):
        master = scene.master()
        begun = time.time()
        os.kill(scene.group.victim(master), number)
        gap = scene.gap(begun, master)
        scene.group.stop(master)
        scene.group.start(master)
        return {"gap": gap}
    return way


def guarded(scene):
    """The guardian starts the board again by itself."""
    master = scene.master()
    begun = time.time()
    os.kill(scene.group.victim(master), signal.SIGKILL)
    gap = scene.gap(begun, master)
    time.sleep(1)
    return {"gap": gap}


def cut_off(cut, mend):
    def way(scene):
        master = scene.master()
        begun = time.time()
        cut(master)
        gap = scene.gap(begun, master)
        mend(master)
        return {"gap": gap}
    return way


def at_switch(host, *words):
    lab.ip("-n", host.lan.switch, "link", "set", f"p{host.number}", *words)


def frozen(scene):
    """Stopped until another has been master for a while, then continued."""
    master = scene.master()
    victim = scene.group.victim(master)
    begun = time.time()
    os.kill(victim, signal.SIGSTOP)
    gap = scene.gap(begun, master)
    time.sleep(max(1.0, begun + 4 * scene.seconds - time.time()))
    scene.tap.drain()
    os.kill(victim, signal.SIGCONT)
    return {"gap": gap, "overlap": scene.overlap()}


WAYS = {
    "kill -9": ended_by(signal.SIGKILL),
    "guardian": guarded,
    "SIGTERM": ended_by(signal.SIGTERM),
    "link down": cut_off(lambda host: host.link("down"), lambda host: host.link("up")),
    "cable pulled": cut_off(lambda host: host.cable("down"), lambda host: host.cable("up")),
    "partition": cut_off(lambda host: at_switch(host, "nomaster"),
                         lambda host: at_switch(host, "master", "br0")),
    "freeze": frozen,
}


def play(kind, interval, way, runs):
    """Samples by name, of so many runs of a way that a master ends."""
    found = {"failed": 0}
    with Scene(kind, interval) as scene:
        for _ in range(runs):
            for name, sample in WAYS[way](scene).items():
                if sample is None:
                    found["failed"] += 1
                else:
                    found.setdefault(name, []).append(sample)
    return found


def together(jobs):
    """Runs functions at the same time, each in a process; their results by
    name. What fails gives an exception."""
    context = multiprocessing.get_context("fork")
    running = {}
    for name, job in jobs.items():
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=tell, args=(theirs, job))
        process.start()
        theirs.close()
        running[name] = (process, ours)
    found = {}
    for name, (process, pipe) in running.items():
        try:
            found[name] = pipe.recv()
        except EOFError:
            found[name] = RuntimeError("its process ended")
        process.join()
    return found


def tell(pipe, job):
    random.seed(os.getpid())
    try:
        pipe.send(job())
    except Exception as error:  # noqa: BLE001 it is told, and the others go on
        told = str(error) if isinstance(error, NoMaster) else f"{type(error).__name__}: {error}"
        pipe.send(RuntimeError(told))
