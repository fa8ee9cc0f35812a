"""What the tests of echo, sequence and order share: their servers, their
clients' standard input, raw TCP peers, and a master for `--server auto`."""

import re
import signal
import socket
import struct
import subprocess
import threading

import lab


class Server:
    """A service's server on a free port of its own choosing."""

    def __init__(self, place, service, *options, port=0, descriptors=None):
        limit = ["prlimit", f"--nofile={descriptors}"] if descriptors else []
        self.process = place.start(
            [*limit, lab.program(), service, "server", "--port", port, *options])
        self.port = port or lab.wait_for(self.told_port, what="the port told")

    def told_port(self):
        assert self.process.is_running(), self.process.stderr
        told = re.search(r"^listening on .*port (\d+)$", self.lines(0), re.M)
        return told and int(told[1])

    def lines(self, first=1):
        """What it has printed; from the second line on, a list."""
        text = self.process.stdout
        return text if first == 0 else text.splitlines()[first:]

    def wait_line(self, line, seconds=lab.LONG):
        lab.wait_for(lambda: line in self.process.stdout.splitlines(), seconds,
                     f"{line!r} in {self.process.stdout!r}")

    def stop(self, number=signal.SIGTERM):
        """Ends it; gives the exit code."""
        self.process.signal(number)
        return self.process.wait(lab.LONG)

    def is_idle(self, seconds=0.5):
        """Whether it uses next to no CPU time over a while."""
        before = self.process.cpu_seconds()
        threading.Event().wait(seconds)
        return self.process.cpu_seconds() - before <= seconds / 20

    def wait_idle(self):
        """Waits until it has worked off what it has; fails if it spins."""
        lab.wait_for(lambda: self.is_idle(0.1), what="rest: something spins")

    def tcp(self):
        return Tcp(self.port)

    def ask(self, data, address="127.0.0.1", seconds=lab.LONG):
        """One datagram's answer, from a port of its own."""
        udp = lab.Udp("127.0.0.1")
        try:
            udp.send(data, address, self.port)
            answer = udp.receive(seconds)
            return answer and answer[0]
        finally:
            udp.close()


class Tcp:
    """A raw TCP peer."""

    def __init__(self, port, address="127.0.0.1"):
        self.socket = socket.create_connection((address, port), lab.LONG)

    def send(self, data):
        self.socket.sendall(data)
        return self

    def receive(self, seconds=lab.LONG):
        """What one read gives; b"" at the end, None in time."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(65536)
        except (TimeoutError, socket.timeout):
            return None

    def receive_all(self, seconds=lab.LONG):
        """All until the end."""
        self.socket.settimeout(seconds)
        parts = []
        while part := self.socket.recv(65536):
            parts.append(part)
        return b"".join(parts)

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def vanish(self):
        """Resets the connection."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()


class Listening(threading.Thread):
    """A TCP server played by the test: `play(connection)` for each peer."""

    def __init__(self, play):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(120)
        self.port = self.listener.getsockname()[1]
        self.play = play
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(lab.LONG)
                self.play(connection)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.join()


class Master(threading.Thread):
    """The master of the boards on loopback, at 127.0.0.1."""

    def __init__(self, place):
        super().__init__(daemon=True)
        self.udp = place.udp(place.broadcast, place.port, shared=True)
        self.options = ("--server", "auto", "--interface", "lo", "--election-port", place.port)
        self.ended = False
        self.start()

    def run(self):
        while not self.ended:
            one = self.udp.receive(0.05)
            if one and one[0].startswith(b"WHOIS"):
                self.udp.send(b"Peter on board 127.0.0.1 is the master".ljust(40, b"\0"), *one[1])

    def stop(self):
        self.ended = True
        self.join()
        self.udp.close()


def run(place, *arguments, text=b"", seconds=60):
    """Runs the program with this standard input to its end."""
    return subprocess.run(
        [lab.program(), *map(str, arguments)], input=text, timeout=seconds,
        capture_output=True, preexec_fn=place.enter_child, check=False)


def can_start_again(place, service):
    """Twenty starts, each right after a stop amid connections; says why not."""
    server = Server(place, service, port=lab.free_port())
    lab.wait_for(lambda: server.process.stdout, what="the first start")
    for _ in range(20):
        peers = [] if service == "sequence" else [server.tcp() for _ in range(3)]
        for peer in peers:
            peer.send(b"something")
        if server.stop() != 0:
            return f"exit code {server.process.popen.returncode}"
        again = place.boardroom(service, "server", "--port", server.port)
        server.process = again
        try:
            lab.wait_for(lambda: again.stdout or not again.is_running(), what="the second start")
        finally:
            for peer in peers:
                peer.close()
        if not again.is_running():
            return again.stderr
    second = place.run(service, "server", "--port", server.port)
    server.stop()
    if second.code != 4 or "is taken by another program" not in second.stderr:
        return f"a second server beside the first: {second.code}, {second.stderr}"
    return None
