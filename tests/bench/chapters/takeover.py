"""Take-over: how long a LAN is without a master, against keepalived (VRRP v3)
and ucarp at the same interval, in the same run."""

import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import lab
from chapters.keepalived import Group
from chapters.wiretap import Wiretap

BOARDS = [1, 2, 3]
WATCHER = 9


def measure(figures):
    reason = lab.no_lan()
    if reason:
        return figures.skip("take-over", reason)
    runs = figures.rounds(20, 4)
    for interval in figures.rounds(("1s", "100ms", "50ms", "10ms"), ("1s", "10ms")):
        ours, theirs = {}, {}
        for way in ("kill -9", "SIGTERM"):
            ours[way] = gaps(figures, Ours, f"boardroom at {interval}", interval, way, runs)
            theirs[way] = gaps(figures, Keepalived, f"keepalived at {interval}", interval, way, runs)
            if ours[way] and theirs[way]:
                bar = {"1s": "0.5", "10ms": "0.7"}.get(interval) if way == "kill -9" else None
                figures.ratio(f"take-over, {way} at {interval}", statistics.median(ours[way]),
                              statistics.median(theirs[way]), bar)
    gaps(figures, Guarded, "boardroom with --guardian at 1s", "1s", "kill -9", runs)
    gaps(figures, Ucarp, "ucarp at 1s", "1s", "kill -9", figures.rounds(5, 2))
    for kind, name in ((Ours, "boardroom"), (Keepalived, "keepalived")):
        cut(figures, kind, f"{name} at 100ms", "100ms", figures.rounds(10, 2))
        frozen(figures, kind, f"{name} at 10ms", "10ms", figures.rounds(10, 2))
    losses(figures)


class Ours:
    """Boards with failover."""

    options = ()

    def __init__(self, hosts, interval):
        self.folder = tempfile.TemporaryDirectory(prefix="boardroom-bench-")
        self.hook = Path(self.folder.name, "hook")
        self.hook.write_text(f'#!/bin/sh\n[ "$1" = master ] && echo >>{self.folder.name}/changes\n:\n')
        self.hook.chmod(0o755)
        self.hosts, self.interval, self.processes = hosts, interval, {}
        for host in hosts:
            self.start(host)

    def start(self, host):
        self.processes[host] = host.board("--failover", "--interval", self.interval,
                                          "--on-change", self.hook, *self.options)

    def victim(self, host):
        return self.processes[host].pid

    def changes(self):
        path = Path(self.folder.name, "changes")
        return len(path.read_text()) if path.exists() else 0

    def close(self):
        for process in self.processes.values():
            process.stop(5)
        self.folder.cleanup()


class Guarded(Ours):
    """The same under a guardian: the child is killed."""

    options = ("--guardian",)

    def victim(self, host):
        guardian = self.processes[host].pid
        children = Path(f"/proc/{guardian}/task/{guardian}/children").read_text().split()
        return int(children[0])


class Keepalived(Group):
    """keepalived."""

    program = "keepalived"

    def __init__(self, hosts, interval):
        super().__init__(hosts, {"1s": "1", "100ms": "0.1", "50ms": "0.05", "10ms": "0.01"}[interval])

    def victim(self, host):
        return self.vrrp_pid(host)


class Ucarp:
    """ucarp, whose interval is whole seconds."""

    program = "ucarp"

    def __init__(self, hosts, _interval):
        self.hosts, self.processes = hosts, {}
        for host in hosts:
            self.start(host)

    def start(self, host):
        self.processes[host] = host.start([
            "ucarp", "--interface=eth0", f"--srcip={host.address}", "--vhid=52", "--pass=boards",
            "--addr=10.3.52.200", "--upscript=/bin/true", "--downscript=/bin/true", "--advbase=1"])

    def victim(self, host):
        return self.processes[host].pid

    def close(self):
        for process in self.processes.values():
            process.stop(5)


class Scene:
    """A group on a LAN of its own, and one who watches."""

    def __init__(self, kind, interval):
        self.lan = lab.Lan([*BOARDS, WATCHER])
        *self.hosts, watcher = self.lan.hosts
        self.tap = Wiretap(watcher)
        self.group = kind(self.hosts, interval)
        time.sleep(1)

    def master(self, seconds=15.0):
        """The host that alone has spoken as master for a while."""
        self.tap.drain()
        heard, since, last = None, time.monotonic(), time.monotonic()
        for moment, address in self.tap.masters(seconds):
            if address != heard:
                heard, since = address, moment
            last = moment
            if moment - since > 2.2:
                break
        if heard is None:
            raise AssertionError(f"no master since {time.monotonic() - last:.1f} s")
        return next(host for host in self.hosts if host.address == heard)

    def close(self):
        self.tap.close()
        self.group.close()
        self.lan.close()


def missing(figures, kind):
    program = getattr(kind, "program", None)
    if program and not shutil.which(program):
        figures.skip(program, "not installed")
        return True
    return False


def gaps(figures, kind, name, interval, way, runs):
    """Milliseconds from the master's end to the next master's first word."""
    if missing(figures, kind):
        return []
    scene, samples = Scene(kind, interval), []
    try:
        for _ in range(runs):
            master = scene.master()
            scene.tap.drain()
            # Not in step with the claims.
            time.sleep(0.137 + 0.0411 * len(samples) % 1.0)
            scene.tap.drain()
            begun = time.monotonic()
            number = "-KILL" if way == "kill -9" else "-TERM"
            subprocess.run(["kill", number, str(scene.group.victim(master))], check=True)
            moment = scene.tap.next_other(master.address, 20)
            if moment is None:
                figures.note(f"{name}: no take-over within 20 s")
                continue
            samples.append((moment - begun) * 1000)
            if kind is not Guarded:
                scene.group.processes[master].stop(5)
                scene.group.start(master)
            time.sleep(0.5)
    finally:
        scene.close()
    if samples:
        figures.median(f"{way} to the next master: {name}", samples, "ms")
    return samples


def cut(figures, kind, name, interval, runs):
    """The same when the master's cable is pulled: silence has to decide."""
    if missing(figures, kind):
        return
    scene, samples = Scene(kind, interval), []
    try:
        for _ in range(runs):
            master = scene.master()
            scene.tap.drain()
            begun = time.monotonic()
            master.cable("down")
            moment = scene.tap.next_other(master.address, 20)
            master.cable("up")
            if moment:
                samples.append((moment - begun) * 1000)
            time.sleep(1)
    finally:
        scene.close()
    if samples:
        figures.median(f"cable pulled to the next master: {name}", samples, "ms")


def frozen(figures, kind, name, interval, runs):
    """For how long the thawed master still speaks beside the new one."""
    if missing(figures, kind):
        return
    scene, samples = Scene(kind, interval), []
    try:
        for _ in range(runs):
            master = scene.master()
            pid = str(scene.group.victim(master))
            subprocess.run(["kill", "-STOP", pid], check=True)
            time.sleep(3)
            scene.tap.drain()
            subprocess.run(["kill", "-CONT", pid], check=True)
            samples.append(overlap(scene.tap, 6) * 1000)
    finally:
        scene.close()
    if samples:
        figures.median(f"two masters after a freeze of 3 s: {name}", samples, "ms")


def overlap(tap, seconds):
    """From the first to the last moment at which the speaker changed."""
    speaker, first, last = None, None, None
    for moment, address in tap.masters(seconds):
        if speaker not in (None, address):
            first, last = first or moment, moment
        speaker = address
    return (last - first) if first else 0.0


def losses(figures):
    """Changes of master in a minute at 10 ms, 0 to 20 % of all packets lost."""
    if not shutil.which("nft"):
        return figures.skip("changes of master under loss", "no nft")
    minutes = figures.rounds(1.0, 0.2)
    for percent in (0, 5, 20):
        counts = {}
        for kind, name in ((Ours, "boardroom"), (Keepalived, "keepalived")):
            if missing(figures, kind):
                continue
            counts[name] = changes_under_loss(kind, percent, minutes * 60) / minutes
            figures.add(f"changes of master at 10ms and {percent} % loss: {name}",
                        counts[name], "/min")
        if len(counts) == 2 and counts["keepalived"]:
            figures.ratio(f"changes of master at {percent} % loss", counts["boardroom"],
                          counts["keepalived"], "0.1")


def changes_under_loss(kind, percent, seconds):
    scene = Scene(kind, "10ms")
    try:
        scene.master()
        before = scene.group.changes()
        if percent:
            for host in scene.hosts:
                lose(host, percent)
        time.sleep(seconds)
        return scene.group.changes() - before
    finally:
        scene.close()


def lose(host, percent):
    rules = f"""table ip loss {{
        chain in {{
            type filter hook input priority 0
            numgen random mod 100 < {percent} drop
        }}
    }}
    """
    subprocess.run(["ip", "netns", "exec", host.namespace, "nft", "-f", "-"], input=rules,
                   text=True, check=True)
