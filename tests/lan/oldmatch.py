"""Old match programs: a tracker, servers and clients of the same exercise,
written from the description of the wire alone, with the habits and the faults
that were seen of them. Nothing of ours is used."""

import contextlib
import select
import socket
import threading
import time


class Frames:
    """A blocking connection that speaks NUL-ended frames."""

    def __init__(self, connection):
        self.socket = connection
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.poll = select.poll()
        self.poll.register(self.socket, select.POLLIN)
        self.begun = b""
        self.whole = []

    @classmethod
    def to(cls, port, address="127.0.0.1"):
        return cls(socket.create_connection((address, port), timeout=10))

    def send(self, text):
        self.socket.sendall(text.encode() + b"\0")

    def receive(self, seconds=30.0):
        """One frame; None in time; "" is the end (no frame is empty)."""
        end = time.monotonic() + seconds
        while not self.whole:
            left = max(end - time.monotonic(), 0)
            if not self.poll.poll(left * 1000):
                return None
            try:
                data = self.socket.recv(65536)
            except OSError:
                return ""
            if not data:
                return ""
            *frames, self.begun = (self.begun + data).split(b"\0")
            self.whole += [frame.decode() for frame in frames]
        return self.whole.pop(0)

    def close(self):
        self.socket.close()


class OldServer(threading.Thread):
    """Holds a number and says so `delay` seconds after it was asked; None:
    never. It ignores commands that it does not know."""

    def __init__(self, port, name, number, delay=0.0):
        super().__init__(daemon=True)
        self.name_told, self.number, self.delay = name, number, delay
        self.asked = []
        self.unknown = []
        self.link = Frames.to(port)
        self.link.send(f"HELLO {name}")
        self.start()

    def run(self):
        while frame := self.link.receive(3600):
            command, parameters = frame.split(" ", 1)
            if command != "SRCH":
                self.unknown.append(frame)
                continue
            # All of the parameters is the number: more would end the program.
            self.asked.append(int(parameters))
            if self.asked[-1] == self.number and self.delay is not None:
                threading.Timer(self.delay, self.answer).start()

    def answer(self):
        with contextlib.suppress(OSError):
            self.link.send("MTCH ")

    def hang_up(self):
        with contextlib.suppress(OSError):
            self.link.socket.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.hang_up()
        self.join(5)
        self.link.close()


class Crowd(threading.Thread):
    """Servers S0, S1, ... of the newer kind in one thread: each holds the last
    digit of its name, and answers at once either way."""

    def __init__(self, port, count):
        super().__init__(daemon=True)
        self.links = {}
        self.epoll = select.epoll()
        for _ in range(count):
            link = Frames.to(port)
            self.links[link.socket.fileno()] = link
            self.epoll.register(link.socket, select.EPOLLIN)
        self.welcomed = 0

    def start(self):
        for i, link in enumerate(self.links.values()):
            link.digit = str(i % 10)
            link.send(f"HELLO S{i}")
        super().start()

    def run(self):
        while self.links:
            for descriptor, _ in self.epoll.poll(0.1):
                link = self.links.get(descriptor)
                while link and (frame := link.receive(0)) is not None:
                    if frame == "":
                        self.epoll.unregister(descriptor)
                        del self.links[descriptor]
                        break
                    self.welcomed += frame == "TRCK 1"
                    if frame.startswith("SRCH "):
                        link.send("MTCH " if frame == f"SRCH {link.digit}" else "NONE ")

    def close(self):
        for link in list(self.links.values()):
            with contextlib.suppress(OSError):
                link.socket.shutdown(socket.SHUT_RDWR)
        self.join(10)


class OldClient:
    """Asks and waits. It takes everything behind the first space for names,
    and waits for ever if there is none."""

    def __init__(self, port, name):
        self.link = Frames.to(port)
        self.link.send(f"HI {name}")

    def find(self, number, seconds=60.0):
        """The servers' names, and how long it took; None if it hangs."""
        began = time.monotonic()
        self.link.send(f"SRCH {number}")
        while True:
            frame = self.link.receive(seconds)
            assert frame != "", "thrown out"
            if frame is None:
                return None
            command, space, names = frame.partition(" ")
            if space and command == "RSLT":
                return names.split(), time.monotonic() - began

    def close(self):
        self.link.close()


class OldTracker(threading.Thread):
    """One search at a time, always two seconds long; an answer within the
    first 50 ms is lost. `lost` counts them, `unknown` keeps what an old program
    does not know."""

    def __init__(self, port=0):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.servers, self.clients = {}, {}
        self.lost, self.unknown = 0, []
        self.stopping = False
        self.lock = threading.Lock()
        self.threads = []
        self.start()

    def run(self):
        while not self.stopping:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            link = Frames(connection)
            thread = threading.Thread(target=self.serve, args=(link,), daemon=True)
            thread.start()
            self.threads.append((thread, link))

    def serve(self, link):
        command, name = (link.receive(3600) or "NONE ").split(" ", 1)
        if command == "HELLO":
            self.servers[name] = link
            # What it says is read by whoever searches.
        elif command == "HI":
            self.clients[name] = link
            while frame := link.receive(3600):
                _, number = frame.split(" ", 1)
                with self.lock:
                    names = self.search(int(number))
                link.send("RSLT " + " ".join(names))
            del self.clients[name]

    def search(self, number):
        began, found = time.monotonic(), []
        for link in self.servers.values():
            link.send(f"SRCH {number}")
        time.sleep(0.050)
        for name, link in self.servers.items():
            while frame := link.receive(0):
                # Ours waits for 100 ms. On a busy machine it is late here.
                if time.monotonic() < began + 0.09:
                    self.lost += 1
                elif frame == "MTCH ":
                    found.append(name)
                else:
                    self.unknown.append(frame)
        end = time.monotonic() + 1.950
        while (left := end - time.monotonic()) > 0:
            for name, link in self.servers.items():
                frame = link.receive(min(0.005, max(left, 0)))
                if frame == "MTCH ":
                    found.append(name)
                elif frame:
                    self.unknown.append(frame)
        return sorted(found)

    def close(self):
        self.stopping = True
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for _, link in self.threads:
            with contextlib.suppress(OSError):
                link.socket.shutdown(socket.SHUT_RDWR)
        for thread, link in self.threads:
            thread.join(5)
            link.close()
