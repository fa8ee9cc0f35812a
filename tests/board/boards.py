"""What the tests of the board share: the ARM builds, and a scratch root to run in."""
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "target/firmware"
BUILDS = ("armv4t", "armv5te")


def run(*command, timeout=300, **options):
    """Runs a command to its end, with its output as text."""
    return subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=timeout, check=False, **options)


def program():
    """The host's program, a file of its own: a scratch root has no emulator."""
    for kind in ("debug", "release"):
        path = ROOT / f"target/{kind}/boardroom"
        if path.exists():
            return path
    raise RuntimeError("no program to test: run 'make build'")


class ScratchRoot:
    """A root file system of busybox and little else, and a way to run in it.

    Every run is its own world: process numbers, mounts and network of its own,
    and whatever is left running ends with it.
    """

    def __init__(self, place, shell="busybox", without=()):
        self.path = place
        for folder in ("bin", "sbin", "usr/sbin", "usr/lib/boardroom", "etc/init.d",
                       "etc/default", "proc", "run", "var", "tmp", "dev", "sys"):
            (place / folder).mkdir(parents=True)
        (place / "var/run").symlink_to("/run")
        self.copy("/bin/busybox", "bin/busybox")
        for applet in run("busybox", "--list").stdout.split():
            if applet not in without and not (place / "bin" / applet).exists():
                (place / "bin" / applet).symlink_to("busybox")
        if shell == "dash":
            (place / "bin/sh").unlink()
            self.copy("/bin/dash", "bin/sh")
        self.write("etc/passwd", "root:x:0:0::/:/bin/sh\nboardroom:x:77:77::/:/bin/false\n")
        self.write("etc/group", "root:x:0:\nboardroom:x:77:\n")
        (place / "dev/null").touch()

    def write(self, name, text, mode=0o644):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def copy(self, source, name, mode=0o755):
        """Copies a file, and the libraries it needs if it is a program."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_bytes(pathlib.Path(source).read_bytes())
        target.chmod(mode)
        for library in re.findall(r"(/\S+) \(0x", run("ldd", source).stdout):
            if not (self.path / library[1:]).exists():
                self.copy(library, library[1:])

    def run(self, script, before="", timeout=300):
        """Runs a script in this root, as root of its own world; `before` runs
        there after the mounts, with $R the root."""
        world = f"""set -e
R={self.path}
mount --bind $R $R; mount -t proc proc $R/proc; mount --bind /dev/null $R/dev/null
{before}
exec chroot $R /bin/sh -c "$SCRIPT"
"""
        return run("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c",
                   world, timeout=timeout,
                   env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SCRIPT": script})
