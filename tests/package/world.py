"""A machine to install on: this one's own root file system under an overlay,
with processes, mounts, names and network of its own. What is done to it is
gone when it ends, and whatever runs in it ends with it."""
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

# $P is a folder of this machine; /mnt in there is $P/shared.
ENTER = r"""set -e
mount --make-rprivate /
mkdir -p "$P/disk" "$P/shared"
mount -t tmpfs none "$P/disk"
mkdir "$P/disk/upper" "$P/disk/work" "$P/disk/root"
mount -t overlay none -o "lowerdir=/,upperdir=$P/disk/upper,workdir=$P/disk/work" "$P/disk/root"
R=$P/disk/root
mount -t proc proc "$R/proc"
mount -t sysfs sysfs "$R/sys"
for place in run tmp dev; do mount -t tmpfs none "$R/$place"; done
mkdir "$R/dev/pts" "$R/dev/shm"
for device in null:3 zero:5 full:7 random:8 urandom:9; do
    mknod -m 666 "$R/dev/${device%:*}" c 1 "${device#*:}"
done
mknod -m 666 "$R/dev/tty" c 5 0
mount -t devpts devpts "$R/dev/pts"
ln -s pts/ptmx "$R/dev/ptmx"
ln -s /proc/self/fd "$R/dev/fd"
mount --bind "$P/shared" "$R/mnt"
# Nothing of this machine keeps a service from starting, nor slows dpkg down.
rm -f "$R/usr/sbin/policy-rc.d" "$R/var/lib/man-db/auto-update"
# boardroom may be installed on this machine.
chroot "$R" dpkg --purge boardroom >/dev/null 2>&1 || true
ip link set lo up
cd "$R"
"""

# A machine of sysv-rc, in runlevel 2.
RUN = ENTER + r"""
rm -f "$R/sbin/runlevel"
printf '#!/bin/sh\necho N 2\n' >"$R/sbin/runlevel"
chmod 755 "$R/sbin/runlevel"
""" + 'exec chroot "$R" /bin/sh /mnt/script'

# systemd as process 1, with nothing but what a service needs around it.
BOOT = ENTER + r"""
mount -t cgroup2 none "$R/sys/fs/cgroup"
cat >"$R/etc/systemd/system/default.target" <<END
[Unit]
Requires=sysinit.target script.service
After=sysinit.target
END
cat >"$R/etc/systemd/system/script.service" <<END
[Unit]
After=sysinit.target
[Service]
Type=oneshot
ExecStart=/bin/sh /mnt/script
ExecStopPost=/bin/systemctl --no-block --force poweroff
StandardOutput=file:/mnt/said
StandardError=file:/mnt/said
END
rm -f "$R"/etc/systemd/system/*.wants/*
mkdir old
pivot_root . old
umount -l /old
exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd \
    --log-level=warning --log-target=journal --show-status=0
"""

PRELUDE = """
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive HOME=/root
# eventually COMMAND: until it succeeds, for a minute at most.
eventually() {
    tries=600
    until eval "$1" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { echo "never: $1"; return 1; }
        sleep 0.1
    done
}
"""


def _unshare(place, script, *more, timeout=300):
    # A group of processes of its own: systemd makes others below it.
    return subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--net", "--uts", *more,
         "bash", "-c", script], capture_output=True, text=True, timeout=timeout, check=False,
        stdin=subprocess.DEVNULL, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "P": str(place)})


def _prepare(script, files):
    place = Path(tempfile.mkdtemp(prefix="boardroom-package-"))
    (place / "shared").mkdir()
    (place / "shared/script").write_text(PRELUDE + script)
    for file in files:
        shutil.copy(file, place / "shared")
    return place


def run(script, files=(), timeout=300):
    """What the script says on a machine without systemd; `files` are in /mnt."""
    place = _prepare(script, files)
    try:
        done = _unshare(place, RUN, timeout=timeout)
        return done.stdout + done.stderr
    finally:
        shutil.rmtree(place)


def boot(script, files=(), timeout=300):
    """What the script says on a machine that systemd runs."""
    place = _prepare(script, files)
    group = Path(_cgroups()) / f"br-package-{os.getpid()}"
    try:
        group.mkdir()
        (place / "shared/boot").write_text(BOOT)
        try:
            done = _unshare(place, f'echo 0 >"{group}/cgroup.procs" && exec unshare --cgroup '
                            'bash "$P/shared/boot"', timeout=timeout)
            heard = done.stdout + done.stderr
        except subprocess.TimeoutExpired:
            heard = f"(not at its end after {timeout} s)"
        said = place / "shared/said"
        return (said.read_text() if said.exists() else "") + heard
    finally:
        shutil.rmtree(place)
        _remove(group)


def _remove(group):
    """Removes a cgroup once the last process in it has ended."""
    for _ in range(50):
        try:
            for folder, _, _ in os.walk(group, topdown=False):
                os.rmdir(folder)
            return
        except OSError:
            time.sleep(0.1)


def _cgroups():
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2" and os.access(place, os.W_OK):
            return place
    return None


def impossible():
    """Why there can be no such machine here; None if there can."""
    if os.getuid() != 0:
        return "root is needed to install in a scratch root"
    if not shutil.which("dpkg") or not shutil.which("adduser"):
        return "not Debian: dpkg and adduser are missing"
    if "it runs" not in run("echo it runs"):
        return "no overlay of the root file system can be mounted here"
    return None


def impossible_with_systemd():
    """Why systemd cannot run on such a machine; None if it can."""
    if not Path("/lib/systemd/systemd").exists():
        return "systemd is not installed"
    if not _cgroups():
        return "no cgroup2 hierarchy can be written to"
    if "it runs" not in boot("echo it runs"):
        return "systemd does not boot in namespaces here"
    return None
