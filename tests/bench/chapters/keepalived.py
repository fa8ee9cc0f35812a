"""keepalived and ucarp, set up as routers would be: the peers of failover."""

import subprocess
import tempfile
import time
from pathlib import Path

import lab

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
  notify_master "{script} {folder}/changes"
}}
"""


class Group:
    """One keepalived a host; `interval` is in seconds."""

    def __init__(self, hosts, interval):
        self.folder = tempfile.TemporaryDirectory(prefix="boardroom-bench-")
        self.folders = {host: Path(self.folder.name, str(host.number)) for host in hosts}
        self.hosts, self.interval, self.processes = hosts, interval, {}
        for host in hosts:
            self.folders[host].mkdir()
            self.start(host)

    def start(self, host):
        folder = self.folders[host]
        script = folder / "note"
        script.write_text('#!/bin/sh\necho master >>"$1"\n')
        script.chmod(0o755)
        (folder / "conf").write_text(CONFIGURATION.format(
            priority=100 + host.number, interval=self.interval, address=ADDRESS,
            script=script, folder=folder))
        self.processes[host] = host.start([
            "keepalived", "--dont-fork", "--log-console", "--vrrp",
            "--use-file", folder / "conf", "--pid", folder / "pid",
            "--vrrp_pid", folder / "vrrp.pid"])

    def master(self):
        """The host that holds the address, or None."""
        for host in self.hosts:
            shown = subprocess.run(["ip", "-n", host.namespace, "-4", "addr", "show", "dev", "eth0"],
                                   capture_output=True, text=True, check=True).stdout
            if ADDRESS in shown:
                return host
        return None

    def wait_master(self, seconds=20.0):
        master = lab.wait_for(self.master, seconds, "a keepalived master")
        time.sleep(1)
        return master

    def others(self, master):
        return [host for host in self.hosts if host is not master]

    def vrrp_pid(self, host):
        """The process that speaks VRRP: a child of the one started."""
        return int((self.folders[host] / "vrrp.pid").read_text())

    def changes(self):
        """How often anyone has become master so far."""
        return sum(path.read_text().count("master")
                   for folder in self.folders.values()
                   for path in [folder / "changes"] if path.exists())

    def close(self):
        for process in self.processes.values():
            process.stop(5)
        self.folder.cleanup()
