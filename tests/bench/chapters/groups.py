"""Boards with failover, and their peers keepalived and ucarp, set up as routers
would be: all are started, ended and looked at in the same way."""

import shutil
import tempfile
from pathlib import Path

ADDRESS = "10.3.52.200"

CONFIGURATION = """
global_defs {{
  vrrp_version 3
  script_user root
  enable_script_security
}}
vrrp_instance boards {{
  state BACKUP
  interface eth0
  virtual_router_id 52
  priority {priority}
  advert_int {interval}
  nopreempt
  virtual_ipaddress {{
    {address}/24
  }}
  notify_master "{script} master"
}}
"""


class Group:
    """A program on each of some hosts; `interval` as boardroom takes it."""

    name = program = None
    intervals = ("1s", "100ms", "50ms", "10ms")

    def __init__(self, hosts, interval):
        self.folder = tempfile.TemporaryDirectory(prefix="boardroom-bench-")
        self.hosts, self.interval, self.processes = hosts, interval, {}
        for host in hosts:
            self.start(host)

    @classmethod
    def missing(cls, figures):
        if cls.program and not shutil.which(cls.program):
            figures.skip(cls.name, "not installed")
            return True
        return False

    def note(self, host):
        """A program that writes a line for each time it is run for a master."""
        script = Path(self.folder.name, f"note{host.number}")
        script.write_text('#!/bin/sh\ncase $1 in master|MASTER|INSTANCE|eth0) '
                          f"echo >>{self.folder.name}/changes{host.number};; esac\n:\n")
        script.chmod(0o755)
        return script

    def changes(self):
        """How often anyone has become master so far."""
        return sum(len(path.read_text()) for path in Path(self.folder.name).glob("changes*"))

    def stop(self, host):
        self.processes[host].stop(5)
        host.processes.remove(self.processes.pop(host))

    def victim(self, host):
        """The process that speaks for the host."""
        return self.processes[host].pid

    def pids(self, host):
        """All its processes."""
        first = self.processes[host].pid
        return [first, *children(first)]

    def close(self):
        for process in self.processes.values():
            process.stop(5)
        self.folder.cleanup()


def children(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Ours(Group):
    """Boards with failover."""

    name = "boardroom"
    options = ()

    def start(self, host):
        self.processes[host] = host.board("--failover", "--interval", self.interval, "--control",
                                          Path(self.folder.name, f"control{host.number}"),
                                          "--on-change", self.note(host), *self.options)


class Guarded(Ours):
    """The same under a guardian: the child is killed."""

    name = "boardroom --guardian"
    options = ("--guardian",)

    def victim(self, host):
        return children(self.processes[host].pid)[0]


class Keepalived(Group):
    """VRRP version 3."""

    name = program = "keepalived"

    def start(self, host):
        folder = Path(self.folder.name)
        files = {name: folder / f"{name}{host.number}" for name in ("conf", "pid", "vrrp.pid")}
        seconds = {"1s": "1", "100ms": "0.1", "50ms": "0.05", "10ms": "0.01"}[self.interval]
        files["conf"].write_text(CONFIGURATION.format(
            priority=100 + host.number, interval=seconds, address=ADDRESS, script=self.note(host)))
        self.processes[host] = host.start([
            "keepalived", "--dont-fork", "--log-console", "--vrrp", "--use-file", files["conf"],
            "--pid", files["pid"], "--vrrp_pid", files["vrrp.pid"]])

    def victim(self, host):
        """The process that speaks VRRP is a child of the one started."""
        return int(Path(self.folder.name, f"vrrp.pid{host.number}").read_text())


class Ucarp(Group):
    """CARP, whose interval is whole seconds."""

    name = program = "ucarp"
    intervals = ("1s",)

    def start(self, host):
        self.processes[host] = host.start([
            "ucarp", "--interface=eth0", f"--srcip={host.address}", "--vhid=52", "--pass=boards",
            f"--addr={ADDRESS}", f"--upscript={self.note(host)}", "--downscript=/bin/true",
            "--advbase=1"])
