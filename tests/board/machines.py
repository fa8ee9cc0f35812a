#!/usr/bin/env python3
"""Usage: tests/board/machines.py [NUMBER]

Boots NUMBER (3) emulated ARM boards and one more from each flashable image,
deploys to them by `make deploy`, restarts them all, and sees them elect one
master. One line a check: `ok`, `not ok`, or `SKIP … : why`; at the end
`N passed, N failed, N skipped`. All is in a network namespace of its own.
"""
import gzip
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / "target/machines"
PREFIX = f"br-board-{os.getpid()}-"
NETWORK = "10.3.52."

KERNEL = "linux-image-armmp:armhf"
PACKAGES = ("busybox-static:armel", "dropbear-bin:armel", "libc6:armel", "libcrypt1:armel",
            "libtomcrypt1:armel", "libtommath1:armel", "libgmp10:armel", "zlib1g:armel",
            "openssh-client:armel")
# What ext4 asks for by itself, without saying so in its file, comes before it.
MODULES = ("virtio_mmio", "virtio_blk", "virtio_net", "crc32c_generic", "ext4")
FLASH_MODULES = ("nandsim", "jffs2", "overlay")

# NAND as on the boards: what `nandsim` calls it, and the image made for it.
CHIPS = {"nand32": "first_id_byte=0x20,second_id_byte=0x35",
         "nand128": "first_id_byte=0x20,second_id_byte=0xa1,third_id_byte=0x00,"
                    "fourth_id_byte=0x15"}

# What an ARM920T tells of itself, in the place of the emulated core's words.
ARM920T = """Processor\t: ARM920T rev 0 (v4l)
BogoMIPS\t: 99.73
Features\t: swp half thumb crunch
CPU implementer\t: 0x41
CPU architecture: 4T
CPU variant\t: 0x1
CPU part\t: 0x920
CPU revision\t: 0

Hardware\t: Technologic Systems TS-72xx SBC
"""

# Of the armv4t build with all commands, as board.
RESIDENT_KB = 400


def sh(*command, check=True, timeout=300, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=timeout, **options)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
    return done


class Skip(Exception):
    """Why the machines cannot be had here."""


class Stop(Exception):
    """Nothing that comes after can succeed."""


# ----------------------------------------------------------------- packages

def fetch():
    """Debian's packages for the boards, fetched without touching this system's
    own list of architectures."""
    store = WORK / "packages"
    if (store / "complete").exists():
        return store
    shutil.rmtree(store, ignore_errors=True)
    state = WORK / "apt"
    for folder in ("lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    store.mkdir(parents=True)
    options = ["-o", f"Dir::State={state}", "-o", f"Dir::State::lists={state}/lists",
               "-o", f"Dir::State::status={state}/status", "-o", f"Dir::Cache={state}/cache",
               "-o", "APT::Architecture=armhf", "-o", "APT::Architectures::=armhf",
               "-o", "APT::Architectures::=armel", "-o", "APT::Sandbox::User=root",
               "-o", "Acquire::Languages=none"]
    # One source that fails, of those that this system has, is no reason to stop.
    sh("apt-get", *options, "update", "-q", check=False, timeout=600)
    depends = sh("apt-cache", *options, "depends", KERNEL, check=False).stdout
    kernel = re.search(r"Depends: (linux-image-\S+)", depends)
    if not kernel:
        raise Skip("Debian's packages for armhf cannot be had here")
    name = kernel[1] if ":" in kernel[1] else kernel[1] + ":armhf"
    done = sh("apt-get", *options, "download", name, *PACKAGES, check=False, cwd=store,
              timeout=600)
    if done.returncode != 0:
        raise Skip(f"a package cannot be had: {done.stderr.strip().splitlines()[-1]}")
    for package in store.glob("*.deb"):
        sh("dpkg-deb", "-x", package, store / "files")
        package.unlink()
    (store / "complete").touch()
    return store


def module_files(packages, names):
    """The modules named and all they need, each after what it needs."""
    found = {path.name.removesuffix(".ko").replace("-", "_"): path
             for path in (packages / "files").glob("lib/modules/**/*.ko")}
    order = []

    def add(name):
        name = name.replace("-", "_")
        if name not in found or found[name] in order:
            return  # built into the kernel, or there already
        depends = re.search(rb"\0depends=([^\0]*)\0", found[name].read_bytes())
        for other in depends[1].decode().split(",") if depends else ():
            if other:
                add(other)
        order.append(found[name])

    for name in names:
        add(name)
    return order


def initial_ram_disk(packages):
    tree = WORK / "initrd"
    shutil.rmtree(tree, ignore_errors=True)
    (tree / "bin").mkdir(parents=True)
    (tree / "modules").mkdir()
    shutil.copy(packages / "files/bin/busybox", tree / "bin/busybox")
    shutil.copy(HERE / "guest/init", tree / "init")
    order = module_files(packages, MODULES)
    late = module_files(packages, FLASH_MODULES)
    for path in order + late:
        shutil.copy(path, tree / "modules" / path.name)
    # Modules of the flash come when their machine asks: the last of each kind.
    last = {f"{name}.ko" for name in FLASH_MODULES}
    names = [path.name for path in order] + [p.name for p in late if p.name not in last]
    (tree / "modules/order").write_text("".join(f"{name}\n" for name in dict.fromkeys(names)))
    archive = subprocess.run("find . | cpio -o -H newc --quiet -R 0:0", shell=True, cwd=tree,
                             capture_output=True, check=True).stdout
    (WORK / "initrd.gz").write_bytes(gzip.compress(archive, 1))


# -------------------------------------------------------------------- roots

def needed(path):
    text = sh("arm-linux-gnueabi-readelf", "-d", path).stdout
    return re.findall(r"NEEDED.*\[(.*)\]", text)


def root_tree(packages, board):
    """A board's root: busybox, dropbear, and libc for it."""
    tree = WORK / f"root-{board.name}"
    shutil.rmtree(tree, ignore_errors=True)
    for folder in ("bin", "sbin", "usr/sbin", "usr/bin", "lib", "etc/init.d", "etc/default",
                   "root/.ssh", "proc", "sys", "dev", "run", "tmp", "var"):
        (tree / folder).mkdir(parents=True)
    shutil.copy(packages / "files/bin/busybox", tree / "bin/busybox")
    for applet in sh("busybox", "--list").stdout.split():
        if applet not in (*board.without, "busybox"):
            (tree / "bin" / applet).symlink_to("busybox")
    (tree / "sbin/init").symlink_to("../bin/busybox")
    programs = ["usr/sbin/dropbear"] + (["usr/bin/scp"] if board.scp else [])
    for name in programs:
        shutil.copy(packages / "files" / name, tree / name)
    libraries = {path.name: path for path in (packages / "files").glob("**/*.so*")}
    wanted = [name for program in programs for name in needed(tree / program)]
    for name in wanted:
        if not (tree / "lib" / name).exists() and name in libraries:
            shutil.copy(libraries[name].resolve(), tree / "lib" / name)
            wanted += needed(libraries[name].resolve())
    for name in ("rcS", "rcK"):
        shutil.copy(HERE / "guest" / name, tree / "etc/init.d" / name)
    shutil.copy(HERE / "guest/inittab", tree / "etc/inittab")
    shutil.copy(HERE / "guest/udhcpc", tree / "etc/udhcpc")
    if board.levels:
        for level in range(7):
            (tree / f"etc/rc{level}.d").mkdir()
    (tree / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n"
                                     "nobody:x:65534:65534:nobody:/:/bin/false\n")
    (tree / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (tree / "etc/hostname").write_text(board.name + "\n")
    if board.cpu:
        (tree / "etc/cpuinfo").write_text(board.cpu)
    shutil.copy(WORK / "dropbear.key", tree / "etc/dropbear.key")
    shutil.copy(WORK / "key.pub", tree / "root/.ssh/authorized_keys")
    for folder in ("root", "root/.ssh"):
        (tree / folder).chmod(0o700)
    return tree


class Board:
    """One emulated machine."""

    def __init__(self, number, cpu=None, scp=True, levels=False, without=(), chip=None):
        self.number, self.cpu, self.scp, self.levels = number, cpu, scp, levels
        self.without, self.chip = without, chip
        self.name = f"board{number}"
        self.address = f"{NETWORK}{number}"
        self.mac = f"00:d0:69:00:00:{number:02x}"
        self.console = WORK / f"{self.name}.console"
        self.process = None
        self.seen = 0  # of the console, in characters

    def make_disk(self, packages):
        tree = root_tree(packages, self)
        disk = WORK / f"{self.name}.ext4"
        disk.unlink(missing_ok=True)
        sh("/usr/sbin/mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0",
           "-d", tree, disk, "24M")

    def start(self, kernel):
        self.console.write_text("")
        words = ["console=ttyAMA0", "quiet", "panic=1"]
        drives = [f"{self.name}.ext4"]
        if self.chip:
            words.append(f"image={CHIPS[self.chip]}")
            drives.append(f"../firmware/armv4t/boardroom-{self.chip}.jffs2")
        command = ["qemu-system-arm", "-M", "virt", "-cpu", "cortex-a7", "-m", "128",
                   "-display", "none", "-monitor", "none", "-rtc", "base=1970-01-01",
                   "-kernel", kernel, "-initrd", WORK / "initrd.gz", "-append", " ".join(words),
                   "-serial", f"file:{self.console}",
                   "-netdev", f"tap,id=lan,ifname={PREFIX[-9:]}{self.number},script=no,"
                              "downscript=no",
                   "-device", f"virtio-net-device,netdev=lan,mac={self.mac}"]
        # The last drive named comes first on this machine's bus.
        for index, drive in reversed(list(enumerate(drives))):
            command += ["-drive", f"file={WORK / drive},if=none,format=raw,id=d{index},"
                                  f"snapshot={'on' if index else 'off'}",
                        "-device", f"virtio-blk-device,drive=d{index}"]
        self.process = subprocess.Popen([str(word) for word in command],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=open(WORK / f"{self.name}.qemu", "w"))

    def wait(self, pattern, seconds=300):
        """Waits for a line on the console, later than the one waited for before."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            text = self.console.read_text(errors="replace")
            if found := re.search(pattern, text[self.seen:]):
                self.seen += found.end()
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        return None

    def text(self):
        return self.console.read_text(errors="replace")


# -------------------------------------------------------------------- world

class Lan:
    """A bridge in this (own) network namespace, a tap for each board, and a DHCP
    server that can be late."""

    def __init__(self, boards):
        self.boards = boards
        self.dhcp = None
        sh("ip", "link", "set", "lo", "up")
        sh("ip", "link", "add", "lan", "type", "bridge")
        sh("ip", "addr", "add", NETWORK + "1/24", "broadcast", "+", "dev", "lan")
        sh("ip", "link", "set", "lan", "up")
        for board in boards:
            tap = f"{PREFIX[-9:]}{board.number}"
            sh("ip", "tuntap", "add", "dev", tap, "mode", "tap")
            sh("ip", "link", "set", tap, "master", "lan", "up")

    def offer_addresses(self):
        leases = "".join(f"static_lease {b.mac} {b.address}\n" for b in self.boards)
        (WORK / "leases").write_text("")
        (WORK / "udhcpd.conf").write_text(
            f"interface lan\nstart {NETWORK}100\nend {NETWORK}110\nlease_file {WORK}/leases\n"
            f"pidfile {WORK}/udhcpd.pid\noption subnet 255.255.255.0\n{leases}")
        self.dhcp = subprocess.Popen(["busybox", "udhcpd", "-f", str(WORK / "udhcpd.conf")],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def offer_none(self):
        if self.dhcp:
            self.dhcp.terminate()
            self.dhcp.wait()
            self.dhcp = None


class Report:
    """The checks, as they are made."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def check(self, what, good, why=""):
        if good:
            self.passed += 1
            print(f"ok {what}", flush=True)
        else:
            self.failed += 1
            print(f"{why}\nnot ok {what}", flush=True)
        return bool(good)

    def skip(self, what, why):
        self.skipped += 1
        print(f"SKIP {what}: {why}", flush=True)


def host_program():
    for kind in ("release", "debug"):
        if (path := ROOT / f"target/{kind}/boardroom").exists():
            return path
    raise Skip("no program for this host: make build")


def ask(command, *words):
    done = sh(host_program(), command, "--interface", "lan", *words, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def make(door, boards):
    return sh("make", "-s", "-C", ROOT, door,
              "BOARDS=" + " ".join(f"root@{board.address}" for board in boards),
              f"SSH_OPTIONS=-i {WORK}/key -o UserKnownHostsFile={WORK}/known_hosts "
              "-o IdentitiesOnly=yes", check=False, timeout=600)


def prepare(boards):
    for tool in ("qemu-system-arm", "dropbearkey", "ssh-keygen", "busybox", "cpio", "ip"):
        if not shutil.which(tool):
            raise Skip(f"{tool} is not installed")
    packages = WORK / "packages"
    for name in ("key", "key.pub", "dropbear.key", "known_hosts"):
        (WORK / name).unlink(missing_ok=True)
    sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", WORK / "key")
    sh("dropbearkey", "-t", "ed25519", "-f", WORK / "dropbear.key")
    initial_ram_disk(packages)
    for board in boards:
        board.make_disk(packages)
    return next((packages / "files").glob("boot/vmlinuz-*"))


def boot(report, boards, kernel):
    began = time.monotonic()
    for board in boards:
        board.start(kernel)
    good = [report.check(f"{board.name} boots: a read-only root, in 1970",
                         board.wait(r"guest: armv7l, year 1970, root (ext4 ro|overlay ro)", 600)
                         and board.wait("guest: booted"), board.text()[-3000:])
            for board in boards]
    if not all(good):
        raise Stop
    print(f"# booted in {time.monotonic() - began:.1f} s", flush=True)


def with_images(report, flashed):
    for board in flashed:
        text = board.text()
        report.check(f"{board.name} starts the board from its {board.chip} image, before any "
                     "address", re.search(r"S90boardroom 0 at \S+ addresses: 0", text),
                     text[-2000:])
        report.check(f"{board.name} takes the address that comes later",
                     board.wait(f"guest: address {board.address}"), board.text()[-2000:])


def deployment(report, boards):
    for board in boards:
        board.wait(f"guest: address {board.address}")
    began = time.monotonic()
    done = make("deploy", boards)
    print(done.stdout + done.stderr, flush=True)
    report.check(f"make deploy to {len(boards)} boards", done.returncode == 0
                 and f"{len(boards)} of {len(boards)} boards done" in done.stdout)
    print(f"# deployed in {time.monotonic() - began:.1f} s", flush=True)
    report.check("the ARMv4T build went to the ARM920T, the ARMv5TE one to the others",
                 done.stdout.count("(armv4t)") == sum(1 for b in boards if b.cpu)
                 and done.stdout.count("(armv5te)") == sum(1 for b in boards if not b.cpu))
    again = make("deploy", boards)
    report.check("again is harmless", again.returncode == 0
                 and again.stdout.count("unchanged") == len(boards), again.stdout + again.stderr)


def one_master(report, what, boards):
    # A vote that comes later than 150 ms behind the others is not shown.
    for _ in range(10):
        code, said = ask("vote")
        voted = {b.address for b in boards if b.address in said}
        voters = len(re.findall(r"votes \d", said))
        if code == 0 and len(voted) == voters == len(boards):
            break
        time.sleep(1)
    report.check(f"{what}: the {len(boards)} vote, one is the master",
                 code == 0 and len(voted) == voters == len(boards), said)
    code, said = ask("whois", "--timeout", "20s")
    report.check(f"{what}: one answers to WHOIS", code == 0, said)


def on(board, *command):
    return sh("ssh", "-i", WORK / "key", "-o", f"UserKnownHostsFile={WORK}/known_hosts",
              "-o", "BatchMode=yes", f"root@{board.address}", *command).stdout


def memory(report, boards):
    """What is resident is told by the machine itself; an emulator on this
    machine would count its own."""
    for board in boards:
        said = on(board, "cat /proc/$(cat /run/boardroom/boardroom.pid)/status")
        parts = dict(re.findall(r"^(VmRSS|RssAnon|RssFile):\s+(\d+) kB", said, re.M))
        print(f"# {board.name}: resident {parts.get('VmRSS')} kB, its own {parts.get('RssAnon')}, "
              f"of the program's file {parts.get('RssFile')}", flush=True)
        # Of the ARMv5TE one most is the C library, which all programs share.
        if board.cpu:
            report.check(f"{board.name} takes no more than {RESIDENT_KB} kB",
                         0 < int(parts.get("VmRSS", 0)) <= RESIDENT_KB, said)


GUARDED = 2100  # the port of boards that have a guardian


def guardian(report, boards):
    """The master is killed: its guardian tells the other, which takes over long
    before the silence would tell it, and starts the board again."""
    for board in boards:
        on(board, f"/usr/sbin/boardroom serve --guardian --interval 2s --port {GUARDED} "
                  "--pid-file /run/guarded.pid </dev/null >/run/guarded.log 2>&1 &")

    def master():
        code, said = ask("whois", "--port", GUARDED)
        return next((b for b in boards if code == 0 and f" {b.address} " in said), None)

    def is_true(condition, seconds=120):
        end = time.monotonic() + seconds
        while not (found := condition()) and time.monotonic() < end:
            time.sleep(0.1)
        return found

    if not report.check("boards with a guardian elect a master", dead := is_true(master)):
        return
    began = time.monotonic()
    on(dead, "kill -9 $(cat /proc/$(cat /run/guarded.pid)/task/*/children)")
    if len(boards) > 1:
        other = is_true(lambda: (now := master()) and now is not dead and now)
        took = time.monotonic() - began
        report.check("the other takes over when the master's board is killed", other)
        print(f"# asked by ssh and WHOIS: {took:.1f} s", flush=True)

    def log():
        return on(dead, "cat /run/guarded.log")

    is_true(lambda: log().count(" on board ") > 1)
    report.check(f"the guardian on {dead.name} tells the others, and starts its board again",
                 re.search(r"has died \(signal.*\), the others know; it is started again.*\n"
                           r"(.*\n)*.* on board ", log()), log())
    for board in boards:
        on(board, "kill $(cat /run/guarded.pid)")


def restart(report, lan, boards, deployed):
    lan.offer_none()
    for board in deployed:
        board.seen = len(board.text())
        on(board, "reboot")
    for board in deployed:
        report.check(f"{board.name} stops the board as it goes down",
                     board.wait(r"boardroom: stopped"), board.text()[-2000:])
        report.check(f"{board.name} starts it at boot, before any address",
                     board.wait(r"S90boardroom 0 at \S+ addresses: 0"), board.text()[-2000:])
        report.check(f"{board.name} still has a read-only root",
                     "root ext4 ro" in board.text()[-2000:])
    lan.offer_addresses()
    for board in deployed:
        report.check(f"{board.name} gets its address afterwards",
                     board.wait(f"guest: address {board.address}"), board.text()[-2000:])
    one_master(report, "after the restart", boards)


def go_back(report, boards, flashed):
    done = make("status", boards)
    report.check("make status names version and process of each",
                 done.returncode == 0 and len(re.findall(r"boardroom [\d.]+, process \d+",
                                                         done.stdout)) == len(boards),
                 done.stdout + done.stderr)
    done = make("undeploy", boards[:1])
    report.check("make undeploy", done.returncode == 0 and "removed" in done.stdout,
                 done.stdout + done.stderr)
    one_master(report, "with one board gone", boards[1:] + flashed)


def play(report, number):
    kinds = [dict(cpu=ARM920T), dict(levels=True, without=("start-stop-daemon",)),
             dict(scp=False), dict(cpu=ARM920T, levels=True, scp=False)]
    deployed = [Board(2 + i, **kinds[i % len(kinds)]) for i in range(number)]
    flashed = [Board(2 + number + i, chip=chip) for i, chip in enumerate(CHIPS)]
    if number == 1:
        flashed = flashed[:1]
    boards = deployed + flashed
    kernel = prepare(boards)
    lan = Lan(boards)
    try:
        boot(report, boards, kernel)
        lan.offer_addresses()
        with_images(report, flashed)
        deployment(report, deployed)
        one_master(report, "after deployment", boards)
        memory(report, deployed)
        guardian(report, deployed[:2])
        restart(report, lan, boards, deployed)
        go_back(report, deployed, flashed)
    finally:
        lan.offer_none()
        for board in boards:
            if board.process and board.process.poll() is None:
                board.process.kill()
                board.process.wait()


def main(arguments):
    number = int(arguments[0]) if arguments else 3
    if os.environ.get("BOARDROOM_MACHINES") != "inside":
        try:
            WORK.mkdir(parents=True, exist_ok=True)
            fetch()
        except Skip as why:
            print(f"SKIP emulated boards: {why}\n0 passed, 0 failed, 1 skipped")
            return 0
        # Network, mounts and processes of its own: nothing is left behind.
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        return subprocess.call(["unshare", *user, "--net", "--pid", "--fork", "--kill-child",
                                "--mount-proc", sys.executable, __file__, str(number)],
                               env={**os.environ, "BOARDROOM_MACHINES": "inside"})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    report = Report()
    try:
        play(report, number)
    except Skip as why:
        report.skip("emulated boards", why)
    except Stop:
        pass
    print(f"{report.passed} passed, {report.failed} failed, {report.skipped} skipped")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
