"""Lines of relay servers for tests, and clients and servers as the existing
programs are, written from the table of their wire."""

import os
import random
import signal
import threading

import lab


def addresses(count=5):
    """A line of addresses that no other test uses now."""
    net = f"127.{random.randrange(64, 250)}.{os.getpid() % 250}"
    return [f"{net}.{20 + i}:{1025 + i}" for i in range(1, count + 1)]


def pair(server):
    """`ADDRESS:PORT` as sockets take it."""
    address, port = server.split(":")
    return address, int(port)


class Line:
    """Relay servers beside each other."""

    def __init__(self, place, count=5, spool=None, old=(), options=(), servers=None):
        self.place, self.options, self.spool = place, options, spool
        self.servers = servers or addresses(count)
        self.old = {i: OldServer(self.servers, i) for i in old}
        self.processes = [None if i in old else self.start(i)
                          for i in range(len(self.servers))]

    def list(self):
        return ",".join(self.servers)

    def start(self, index):
        spool = ["--spool", self.spool] if self.spool else []
        process = self.place.boardroom(
            "relay", "server", "--servers", self.list(), "--index", index + 1,
            *spool, *self.options)
        lab.wait_for(lambda: "is ready" in process.stdout or not process.is_running(),
                     what="a relay server")
        assert process.is_running(), process.stderr
        return process

    def restart(self, index):
        self.processes[index] = self.start(index)

    def client(self, name, server, *arguments, **options):
        """Starts `relay client`."""
        return self.place.boardroom(
            "relay", "client", "--id", name, "--servers", self.list(),
            "--server", self.servers[server], *arguments, **options)

    def run_client(self, name, server, *arguments, seconds=60.0):
        return self.place.run(
            "relay", "client", "--id", name, "--servers", self.list(),
            "--server", self.servers[server], *arguments, seconds=seconds)

    def status(self, server):
        return self.place.run("relay", "status", "--server", self.servers[server]).stdout

    def knows_all(self, index):
        """Whether this server has heard all the others."""
        process = self.processes[index]
        head = f"server {index + 1} of {len(self.servers)}, "
        before = process.stdout.count(head)
        process.signal(signal.SIGUSR1)
        lab.wait_for(lambda: process.stdout.count(head) > before and "repeated: "
                     in process.stdout.rsplit(head, 1)[1], what="its report")
        return process.stdout.rsplit(head, 1)[1].count(": new, heard") == len(self.servers) - 1

    def listener(self, name, server, *arguments):
        """A client that listens, once its server knows it."""
        before = self.here(server)
        process = self.client(name, server, *arguments, "listen")
        lab.wait_for(lambda: self.here(server) > before, what="the listener's handshake")
        return process

    def here(self, server):
        return int(self.status(server).split("clients ")[1].split()[0])

    def all_alive(self):
        return all(process is None or process.is_running() for process in self.processes) \
            and all(old.fault is None for old in self.old.values())

    def close(self):
        for old in self.old.values():
            old.close()
        for process in self.processes:
            if process is not None:
                process.stop(2.0)


class OldClient:
    """One socket, and no more than the table says."""

    def __init__(self, name, server):
        self.name, self.server = name, pair(server)
        self.udp = lab.Udp("127.0.0.1")
        self.say(f"1/handshake/{name}//")

    def say(self, text):
        self.udp.send(text.encode(), *self.server)

    def send(self, to, text):
        self.say(f"1/send/{self.name}/{to}/{text}")

    def get(self, ack=True):
        """The oldest message as (source, text), or None."""
        self.say(f"1/get/{self.name}//")
        answer = self.udp.receive(lab.LONG)
        assert answer and answer[1] == self.server, answer
        number, kind, source, destination, text = answer[0].decode().split("/", 4)
        assert kind == "send" and destination == self.name and len(number) <= 2, answer
        if source == "server":
            assert text == ""
            return None
        if ack:
            self.say(f"{number}/ack/{self.name}/{source}/{text}")
        return source, text

    def get_all(self):
        found = []
        while (one := self.get()) is not None:
            found.append(one)
        return found

    def leave(self):
        self.say(f"0/terminate/{self.name}//")
        self.udp.close()


class OldServer(threading.Thread):
    """An existing server of the line; what would end it is its `fault`."""

    def __init__(self, servers, index):
        super().__init__(daemon=True)
        self.servers = [pair(server) for server in servers]
        self.index = index
        self.own = self.servers[index][0]
        self.udp = lab.Udp(*self.servers[index])
        self.clients, self.mail, self.number = {}, [], 0
        self.fault, self.ended = None, False
        self.start()

    def run(self):
        while not self.ended:
            one = self.udp.receive(0.05)
            if one is None:
                continue
            try:
                self.take(*one)
            except Exception as fault:  # noqa: BLE001: any fault ends the program
                self.fault = (fault, one)
                return

    def take(self, data, sender):
        assert len(data) <= 256, "cut"
        if chr(data[2]).isdigit():
            return self.listed(data.decode())
        number, kind, source, destination, text = data.decode().split("/", 4)
        assert int(number) < 100
        if kind in ("send", "get") and source not in self.clients:
            assert sender not in self.servers, f"{source} is taken for an own client"
            self.handshake(source)
        if kind == "handshake":
            self.handshake(source)
        elif kind == "send":
            self.keep(source, destination, text)
        elif kind == "get":
            self.answer(source, sender)
        elif kind == "ack":
            self.mail = [one for one in self.mail if one[3] != int(number)]
        elif kind == "terminate":
            self.terminate(source, text)
        else:
            assert kind == "alive", kind
        return None

    def handshake(self, name):
        self.clients.setdefault(name, self.own)
        self.tell()

    def listed(self, text):
        news = False
        for entry in text.split("?"):
            name, address = entry.split("/")
            assert len(name) == 10
            news = news or name not in self.clients
            self.clients.setdefault(name, address)
        if news:
            self.tell()

    def tell(self):
        entries = [f"{name}/{address}" for name, address in self.clients.items()]
        for at in (self.index - 1, self.index + 1):
            if 0 <= at < len(self.servers):
                for first in range(0, len(entries), 9):
                    part = "?".join(entries[first:first + 9])
                    self.udp.send(part.encode(), *self.servers[at])

    def keep(self, source, destination, text):
        number, self.number = self.number, (self.number + 1) % 100
        address = self.clients.get(destination, self.own)
        if address == self.own:
            self.mail.append((source, destination, text, number))
        else:
            port = dict(self.servers)[address]
            self.udp.send(f"{number}/send/{source}/{destination}/{text}".encode(), address, port)

    def answer(self, name, sender):
        for source, destination, text, number in self.mail:
            if destination == name:
                self.udp.send(f"{number}/send/{source}/{name}/{text}".encode(), *sender)
                return
        self.udp.send(f"1/send/server/{name}/".encode(), *sender)

    def terminate(self, name, flooded):
        self.clients.pop(name, None)
        assert self.clients, "an empty list ends all servers"
        self.tell()
        if flooded != "1":
            for server in self.servers:
                if server[0] != self.own:
                    self.udp.send(f"0/terminate/{name}//1".encode(), *server)

    def close(self):
        self.ended = True
        self.join()
        self.udp.close()
