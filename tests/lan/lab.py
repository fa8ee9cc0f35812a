"""Boards, clients and wires for tests with the real program.

Two kinds of place to put them: this machine's loopback, where 127.0.0.2 and so
on are boards and no root is needed, and a virtual LAN, where each host is a
network namespace behind one switch. Only the standard library is used, and
nothing of the program's own code: what is tested is not what tests.
"""

import contextlib
import ctypes
import json
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def program():
    """The program under test: BOARDROOM_BIN, else what was built last."""
    named = os.environ.get("BOARDROOM_BIN")
    choices = [Path(named)] if named else [
        ROOT / "target/debug/boardroom", ROOT / "target/release/boardroom"]
    for path in choices:
        if path.exists():
            return str(path.resolve())
    raise RuntimeError("no program to test: run `make build`, or set BOARDROOM_BIN")


def is_emulated():
    """Whether the program is an ARM build, that target/firmware/run-* runs."""
    return Path(program()).name.startswith("run-")


# So long, in seconds, a test waits for what comes at once on an idle machine,
# before it fails. How fast things are is measured by the benchmarks.
LONG = 30.0


def wait_for(condition, seconds=LONG, what="the condition"):
    """Waits until condition() is true and gives its value; fails after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.005)


def one_of(tries, attempt):
    """What attempt() gives at the first try that meets its assertions. For what
    needs the processor at the right moment: a fault fails every try, a busy
    machine some."""
    for _ in range(tries - 1):
        try:
            return attempt()
        except AssertionError:
            pass
    return attempt()


def is_still(pid):
    """Whether that process is stopped, or has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "TZX"
    except OSError:
        return True


@contextlib.contextmanager
def standing_still(process):
    """The process does nothing meanwhile, and finds what came when it goes on."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGSTOP)
    try:
        wait_for(lambda: is_still(process.pid), what="it to stop")
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)


class Udp:
    """A raw UDP socket that may broadcast."""

    def __init__(self, address="0.0.0.0", port=0, shared=False, buffer=None):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if shared:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.bind((address, port))
        self.port = self.socket.getsockname()[1]

    def send(self, data, address, port):
        self.socket.sendto(data, (address, port))

    def receive(self, seconds):
        """One datagram as (bytes, (address, port)), or None in time."""
        self.socket.settimeout(max(seconds, 0.000001))
        try:
            return self.socket.recvfrom(4096)
        except (TimeoutError, socket.timeout, BlockingIOError):
            return None
        except ConnectionRefusedError:
            return self.receive(seconds)

    def gather(self, seconds, enough=None):
        """All datagrams of the next `seconds`, or until `enough` have come."""
        end = time.monotonic() + seconds
        found = []
        while (left := end - time.monotonic()) > 0:
            one = self.receive(left)
            if one is not None:
                found.append(one)
                if enough is not None and len(found) >= enough:
                    break
        return found

    def drain(self):
        """What has come already."""
        found = []
        self.socket.setblocking(False)
        while True:
            try:
                found.append(self.socket.recvfrom(4096))
            except (BlockingIOError, ConnectionRefusedError):
                return found

    def close(self):
        self.socket.close()


class Process:
    """A running program, its output kept in files."""

    def __init__(self, place, arguments, env=None):
        self.arguments = [str(a) for a in arguments]
        self.place = place
        self._out = tempfile.TemporaryFile()
        self._err = tempfile.TemporaryFile()
        self.popen = subprocess.Popen(
            self.arguments, stdin=subprocess.DEVNULL, stdout=self._out,
            stderr=self._err, preexec_fn=place.enter_child,
            env={**os.environ, **(env or {})})
        self.pid = self.popen.pid

    @staticmethod
    def _text(file):
        return os.pread(file.fileno(), 1 << 24, 0).decode(errors="replace")

    @property
    def stdout(self):
        return self._text(self._out)

    @property
    def stderr(self):
        return self._text(self._err)

    def signal(self, number):
        if self.popen.poll() is None:
            self.popen.send_signal(number)

    def is_running(self):
        return self.popen.poll() is None

    def wait(self, seconds=LONG):
        """Its exit code; fails if it does not end in time."""
        return self.popen.wait(seconds)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.popen.wait()

    def stop(self, seconds=LONG):
        """Ends it in good order, by force if need be; gives the exit code."""
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL

    def cpu_seconds(self):
        """User and system time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_kb(self):
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        return 0

    def own_kb(self):
        """The memory that is its own, wherever the kernel has put it: what is
        resident of its file comes and goes with the machine's need."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        return sum(int(line.split()[1]) for line in text.splitlines()
                   if line.startswith(("RssAnon:", "VmSwap:")))

    def inodes(self):
        """The inodes of its sockets, and of those of a board that it guards."""
        found = set()
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
            for pid in (self.pid, *children.split()):
                for entry in os.scandir(f"/proc/{pid}/fd"):
                    name = os.readlink(entry.path)
                    if name.startswith("socket:["):
                        found.add(name[8:-1])
        return found

    def udp_sockets(self, inodes=None):
        """(address, port) of every UDP socket bound in its network, or only of
        those with these inodes."""
        found = set()
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self.pid}/net/udp").read_text().splitlines()[1:]:
                fields = line.split()
                address, port = fields[1].split(":")
                if inodes is None or fields[9] in inodes:
                    number = int(address, 16).to_bytes(4, "little")
                    found.add((socket.inet_ntoa(number), int(port, 16)))
        return found


class Board(Process):
    """`boardroom serve`."""

    def __init__(self, place, address, port, name, options=(), bound=True, env=None):
        self.address, self.port, self.name = address, port, name
        super().__init__(place, [
            program(), "serve", port, "--name", name, *options], env=env)
        if bound:
            self.wait_bound()

    def wait_bound(self, address=None, seconds=LONG):
        """Waits until it hears at its address."""
        address = address or self.address

        def bound():
            assert self.is_running(), f"the board ended: {self.stderr}"
            # The broadcast's comes after its own.
            there = self.udp_sockets(self.inodes())
            return (address, self.port) in there and len(there) > 1

        wait_for(bound, seconds, f"a board on {address}:{self.port}")

    def wait_control(self, path, seconds=LONG):
        """Waits until it, and no other, answers at its control socket, which
        comes after the address; gives the board."""

        def answers():
            assert self.is_running(), f"the board ended: {self.stderr}"
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(seconds)
                try:
                    client.connect(str(path))
                    client.sendall(b"status json\n")
                    told = b"".join(iter(lambda: client.recv(4096), b""))
                except OSError:
                    return False
            return bool(told) and json.loads(told)["name"] == self.name

        wait_for(answers, seconds, f"the control socket {path}")
        return self


class Place:
    """Where processes and sockets are made."""

    broadcast = None

    def __init__(self):
        self.processes = []

    def enter_child(self):
        """Runs in the child, before the program."""
        # Whatever becomes of the test, its processes end with it.
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        # A background job's SIGINT is ignored, and that is inherited.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    @contextlib.contextmanager
    def inside(self):
        """The calling thread is in this place's network."""
        yield

    def udp(self, *arguments, **options):
        with self.inside():
            return Udp(*arguments, **options)

    def start(self, arguments, **options):
        process = Process(self, arguments, **options)
        self.processes.append(process)
        return process

    def boardroom(self, *arguments, **options):
        """Starts the program under test."""
        return self.start([program(), *arguments], **options)

    def run(self, *arguments, seconds=2 * LONG, **options):
        """Runs the program under test to its end; its exit code is `.code`."""
        process = self.boardroom(*arguments, **options)
        try:
            process.code = process.wait(seconds)
        finally:
            process.kill()
            self.processes.remove(process)
        return process

    def close(self):
        for process in self.processes:
            process.signal(signal.SIGTERM)
            process.signal(signal.SIGCONT)
        for process in self.processes:
            process.stop(2.0)
        self.processes.clear()


def free_port():
    """A UDP and TCP port that nobody uses on any loopback address, and that the
    system gives to nobody who asks for any port."""
    for _ in range(100):
        port = random.randrange(20_000, 32_000)
        try:
            for address in ("0.0.0.0", "127.255.255.255"):
                Udp(address, port).close()
            socket.create_server(("0.0.0.0", port)).close()
            return port
        except OSError:
            continue
    raise RuntimeError("no free port")


class Loopback(Place):
    """Boards on 127.0.0.2 and so on, clients on 127.0.0.1."""

    broadcast = "127.255.255.255"
    options = ("--interface", "lo")

    def __init__(self):
        super().__init__()
        self.port = free_port()

    def board(self, number, *options, **more):
        """A board on 127.0.0.`number`."""
        address = f"127.0.0.{number}"
        board = Board(self, address, self.port, more.pop("name", f"B{number}"),
                      [*self.options, "--address", address, *options], **more)
        self.processes.append(board)
        return board

    def client(self, **options):
        return self.udp("127.0.0.1", **options)

    def observer(self):
        """Hears what is broadcast to the boards."""
        return self.udp(self.broadcast, self.port, shared=True, buffer=4 << 20)


_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x4000_0000


def _set_network(descriptor):
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Host(Place):
    """A host on a virtual LAN: a network namespace with eth0."""

    options = ()

    def __init__(self, lan, name, number):
        super().__init__()
        self.lan, self.namespace, self.number = lan, name, number
        self.address, self.broadcast, self.port = None, lan.broadcast, lan.port
        self.descriptor = None

    def open(self):
        self.descriptor = os.open(f"/run/netns/{self.namespace}", os.O_RDONLY)

    def enter_child(self):
        super().enter_child()
        _set_network(self.descriptor)

    @contextlib.contextmanager
    def inside(self):
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        _set_network(self.descriptor)
        try:
            yield
        finally:
            _set_network(home)
            os.close(home)

    def ip(self, *arguments):
        ip("-n", self.namespace, *arguments)

    def add_address(self, address=None):
        """Gives eth0 an address, as DHCP would."""
        self.address = address or self.lan.address(self.number)
        self.ip("addr", "add", f"{self.address}/{self.lan.prefix}",
                "brd", self.broadcast, "dev", "eth0")

    def remove_address(self):
        self.ip("addr", "del", f"{self.address}/{self.lan.prefix}", "dev", "eth0")
        self.address = None

    def link(self, state):
        """Interface up or down."""
        self.ip("link", "set", "eth0", state)

    def cable(self, state):
        """The cable plugged in or pulled: carrier, not the interface, changes."""
        ip("-n", self.lan.switch, "link", "set", f"p{self.number}", state)

    def lose(self, percent):
        """So many of the datagrams that arrive are lost."""
        run("ip", "netns", "exec", self.namespace, "nft", "-f", "-", batch=(
            "table ip loss { chain in { type filter hook input priority 0; "
            f"numgen random mod 100 < {percent} drop\n}}\n}}\n"))

    def board(self, *options, **more):
        board = Board(self, self.address, self.port,
                      more.pop("name", f"B{self.number}"), [*self.options, *options], **more)
        self.processes.append(board)
        return board

    def client(self, **options):
        return self.udp(self.address, **options)

    def observer(self):
        return self.udp(self.broadcast, self.port, shared=True, buffer=4 << 20)


def run(*arguments, batch=None):
    """Runs a program of the system's; fails if it fails."""
    subprocess.run(arguments, input=batch, text=True, check=True,
                   stdout=subprocess.DEVNULL, timeout=60)


def ip(*arguments, batch=None):
    """Runs ip(8)."""
    run("ip", *arguments, batch=batch)


class Lan:
    """Hosts behind one switch: 10.3.52.0/24, each with its number as last byte."""

    prefix = 24
    broadcast = "10.3.52.255"
    port = 2000
    made = 0

    def __init__(self, numbers, addresses=True):
        Lan.made += 1
        self.stem = f"br-lan-{os.getpid()}-{Lan.made}-"
        self.switch = self.stem + "switch"
        self.hosts = [Host(self, f"{self.stem}{n}", n) for n in numbers]
        sweep()
        names = [self.switch, *(host.namespace for host in self.hosts)]
        ip("-batch", "-", batch="".join(f"netns add {name}\n" for name in names))
        ip("-n", self.switch, "link", "add", "br0", "type", "bridge")
        ip("-n", self.switch, "link", "set", "br0", "up")
        lines = []
        for host in self.hosts:
            lines += [f"link add p{host.number} type veth peer name eth0 netns {host.namespace}",
                      f"link set p{host.number} master br0 up"]
        ip("-n", self.switch, "-batch", "-", batch="\n".join(lines) + "\n")
        for host in self.hosts:
            host.open()
            lines = ["link set lo up", "link set eth0 up"]
            if addresses:
                host.address = self.address(host.number)
                lines.append(f"addr add {host.address}/{self.prefix} "
                             f"brd {self.broadcast} dev eth0")
            ip("-n", host.namespace, "-batch", "-", batch="\n".join(lines) + "\n")

    @staticmethod
    def address(number):
        return f"10.3.52.{number}"

    def close(self):
        for host in self.hosts:
            for process in host.processes:
                process.signal(signal.SIGTERM)
                process.signal(signal.SIGCONT)
        for host in self.hosts:
            host.close()
            if host.descriptor is not None:
                os.close(host.descriptor)
        remove_namespaces([self.switch, *(host.namespace for host in self.hosts)])


def remove_namespaces(names):
    there = [name for name in names if Path("/run/netns", name).exists()]
    if there:
        subprocess.run(["ip", "-force", "-batch", "-"], text=True, timeout=60,
                       input="".join(f"netns del {name}\n" for name in there))


def sweep():
    """Removes what tests that were killed have left behind."""
    left = []
    for path in Path("/run/netns").glob("br-lan-*"):
        pid = path.name.split("-")[2]
        if pid.isdigit() and not Path("/proc", pid).exists():
            left.append(path.name)
    remove_namespaces(left)


def no_lan():
    """Why virtual LANs cannot be made here, or None."""
    if os.geteuid() != 0:
        return "virtual LANs need root or user namespaces"
    name = f"br-lan-{os.getpid()}-try"
    try:
        ip("netns", "add", name)
        ip("-n", name, "link", "add", "br0", "type", "bridge")
        ip("-n", name, "link", "add", "p1", "type", "veth", "peer", "name", "p2")
        return None
    except (OSError, subprocess.SubprocessError) as error:
        return f"no network namespaces with bridges here: {error}"
    finally:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            remove_namespaces([name])
