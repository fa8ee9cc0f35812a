"""sequence: the server against datagrams written from the wire description, the
client against servers of every kind, and both on two computers."""

import re
import signal
import time

import pytest

import lab
from services import Master, Server, can_start_again, run


@pytest.fixture
def server(loopback):
    return Server(loopback, "sequence")


def counts(line):
    """`c1: received 6, lost 1, …` as (name, received, lost, duplicated, …)."""
    name, rest = line.rsplit(": ", 1)
    return name, *map(int, re.fullmatch(
        r"received (\d+), lost (\d+), duplicated (\d+), reordered (\d+), restarts (\d+)",
        rest).groups())


def test_one_gap_one_duplicate_and_one_restart_told_apart(loopback, server):
    one, other = loopback.udp("127.0.0.1"), loopback.udp("127.0.0.1")
    for a, b in zip([1, 2, 3, 3, 5, 6, 1, 2, 3], [98, 99, 100, 1, 2, 4, 3, 5, 6]):
        one.send(b"%d" % a, "127.0.0.1", server.port)
        assert one.receive(lab.LONG)[0] == b"Alphanumeric."
        other.send(b"%d" % b, "127.0.0.1", server.port)
        assert other.receive(lab.LONG)[0] == b"Alphanumeric."
    assert server.stop(signal.SIGINT) == 0
    me, you = f"127.0.0.1:{one.port}", f"127.0.0.1:{other.port}"
    assert server.lines()[:18] == [
        line for a, b in zip([1, 2, 3, 3, 5, 6, 1, 2, 3], [98, 99, 100, 1, 2, 4, 3, 5, 6])
        for line in (f"{me}: {a}", f"{you}: {b}")]
    assert sorted(server.lines()[18:]) == sorted([
        f"{me}: received 9, lost 1, duplicated 1, reordered 0, restarts 1",
        f"{you}: received 9, lost 0, duplicated 0, reordered 1, restarts 0"])
    one.close()
    other.close()


def test_names_by_port(make_lan):
    host = make_lan([1]).hosts[0]
    with host.inside():
        clients = [lab.Udp(host.address, port) for port in (11000, 13000, 12001)]
        process = host.boardroom("sequence", "server")
        lab.wait_for(lambda: process.stdout)
        for client in clients:
            client.send(b"37", host.address, 12000)
            assert client.receive(lab.LONG)[0] == b"Alphanumeric."
            client.close()
    expected = f"listening on UDP port 12000\nc1: 37\nc2: 37\n{host.address}:12001: 37\n"
    lab.wait_for(lambda: process.stdout == expected, what=expected)


def test_hostile_datagrams(loopback, server):
    udp = loopback.udp("127.0.0.1")
    bad = [b"", b"\0", b"0", b"101", b"-1", b"1.5", b"\xff", b"1\x1b[2J", b"12\n34", b"x" * 60000]
    for data in bad:
        udp.send(data, "127.0.0.1", server.port)
    assert udp.gather(0.3) == []
    for data in (b"7\n", b"8\r\n", b"9\0\0\0"):
        udp.send(data, "127.0.0.1", server.port)
        assert udp.receive(lab.LONG)[0] == b"Alphanumeric."
    assert server.stop() == 0
    assert all(len(line) < 400 and line.isprintable() for line in server.lines())
    assert server.lines()[-1] == f"messages that were no number: {len(bad)}"
    assert counts(server.lines()[-2])[1:] == (3, 0, 0, 0, 0)
    udp.close()


def test_summaries(loopback):
    server = Server(loopback, "sequence", "--quiet", "--no-reply", "--summary", "0.3s")
    udp = loopback.udp("127.0.0.1")
    udp.send(b"1", "127.0.0.1", server.port)
    lab.wait_for(lambda: len(server.lines()) >= 3)
    line = f"127.0.0.1:{udp.port}: received 1, lost 0, duplicated 0, reordered 0, restarts 0"
    assert set(server.lines()) - {"no client has sent a number yet"} == {line}
    assert udp.receive(0.2) is None, "--no-reply"
    assert server.stop() == 0 and server.lines()[-1] == line
    udp.close()


def test_summary_on_request(server):
    assert server.ask(b"1") == b"Alphanumeric."
    lab.wait_for(lambda: len(server.lines()) == 1)
    server.process.signal(signal.SIGUSR1)
    lab.wait_for(lambda: "received 1, lost 0" in server.lines(0))
    assert server.ask(b"2") == b"Alphanumeric.", "it goes on"


def test_a_thousand_clients(loopback):
    server = Server(loopback, "sequence", "--quiet")
    clients = [loopback.udp("127.0.0.1") for _ in range(1000)]
    for number in (b"1", b"2", b"4"):
        for client in clients:
            client.send(number, "127.0.0.1", server.port)
            assert client.receive(lab.LONG)[0] == b"Alphanumeric."
    assert server.stop() == 0
    assert len(server.lines()) == 1000
    assert {counts(line)[1:] for line in server.lines()} == {(3, 1, 0, 0, 0)}
    for client in clients:
        client.close()


def test_a_client_comes_round_and_does_not_wait(loopback):
    silent = loopback.udp("127.0.0.1", buffer=1 << 20)
    done = run(loopback, "sequence", "client", "c1", "--bind-port", 0, "--port", silent.port,
               "--delay", "2ms", "--count", 205)
    assert done.returncode == 0 and done.stderr == b""
    numbers = [int(data) for data, _ in silent.drain()]
    assert numbers == [i % 100 + 1 for i in range(205)]
    assert [data for data in done.stdout.decode().splitlines()[1:]] == [
        f"c1: {n}" for n in numbers]
    silent.close()


def test_a_client_survives_answers_and_absence(loopback):
    port = lab.free_port()
    server = loopback.udp("127.0.0.1", port, buffer=1 << 20)
    client = loopback.boardroom("sequence", "client", "c2", "--bind-port", 0, "--port",
                                server.port, "--delay", "20ms", "--quiet")
    for _ in range(10):
        data, source = server.receive(lab.LONG)
        for answer in (b"Alphanumeric.", b"", b"\xff" * 2000):
            server.send(answer, *source)
    server.close()
    lab.wait_for(lambda: "nobody listens at" in client.stderr, what="the line")
    time.sleep(0.3)
    again = lab.Udp("127.0.0.1", port)
    assert again.receive(lab.LONG), "it sends on"
    again.close()
    assert client.stop() == 0
    assert client.stderr.count("nobody listens at") == 1


def test_pace(loopback):
    """It waits for no answer: that would take 30 times as long as the delay."""
    udp = loopback.udp("127.0.0.1")
    client = ("sequence", "client", "c1", "--bind-port", 0, "--port", udp.port, "--delay")
    begun = time.monotonic()
    assert loopback.run(*client, "100ms", "--count", 21).code == 0
    assert 2 <= time.monotonic() - begun < 20
    udp.drain()
    # Held up for a while, it goes on where it was, without a burst.
    running = loopback.boardroom(*client, "100ms")

    def goes_on():
        with lab.standing_still(running):
            time.sleep(1)
            udp.drain()
        assert udp.receive(lab.LONG)
        assert len(udp.gather(0.05)) <= 1, "ten at once"

    # So it may seem to who is held up himself.
    lab.one_of(10, goes_on)
    udp.close()


def test_a_taken_port(loopback):
    udp = loopback.udp("0.0.0.0")
    done = run(loopback, "sequence", "client", "c1", "--bind-port", udp.port)
    udp.close()
    assert done.returncode == 4
    assert b"is taken by another program; stop it or give --bind-port" in done.stderr


def test_started_again_at_once(loopback):
    assert can_start_again(loopback, "sequence") is None


def test_client_finds_the_master(loopback, server):
    master = Master(loopback)
    done = run(loopback, "sequence", "client", "c1", *master.options, "--port", server.port,
               "--bind-port", 0, "--delay", "1ms", "--count", 3)
    master.stop()
    assert done.returncode == 0
    lab.wait_for(lambda: len(server.lines()) == 3)


def last_of(process, name=""):
    """The number that was printed last."""
    return int((re.findall(rf"^{name or 'c.'}: (\d+)$", process.stdout, re.M) or [0])[-1])


def stop_at(client, numbers):
    """Has it stand still where its last number is one of these; gives it."""
    def found():
        client.signal(signal.SIGSTOP)
        lab.wait_for(lambda: lab.is_still(client.pid))
        if (last := last_of(client)) in numbers:
            return last
        client.signal(signal.SIGCONT)
        time.sleep(0.05)
        return None

    return lab.wait_for(found, what="such a number")


def test_two_computers_restart_and_cut(make_lan):
    lan = make_lan([1, 2, 3])
    server_host, one, other = lan.hosts
    server = server_host.boardroom("sequence", "server")
    lab.wait_for(lambda: server.stdout)
    arguments = ("--server", server_host.address, "--delay", "20ms")
    c1 = one.boardroom("sequence", "client", "c1", *arguments)
    c2 = other.boardroom("sequence", "client", "c2", *arguments)
    # Not where the gap would end before a 1: that is read as a restart.
    stop_at(c1, range(30, 70))
    assert c1.stop() == 0
    time.sleep(1.2)
    c1 = one.boardroom("sequence", "client", "c1", *arguments, "--count", 20)
    assert c1.wait() == 0
    # c1 was ended and started anew; c2 loses its network for a while. It stands
    # still while that is arranged.
    at = stop_at(c2, range(5, 40))
    other.link("down")
    c2.signal(signal.SIGCONT)
    lab.wait_for(lambda: last_of(c2) >= at + 10, what="numbers that are lost")
    c2.signal(signal.SIGSTOP)
    other.link("up")
    heard = server.stdout.count("c2: ")
    c2.signal(signal.SIGCONT)
    lab.wait_for(lambda: server.stdout.count("c2: ") > heard + 20)
    assert c2.stop() == 0
    lab.wait_for(lambda: last_of(server, "c2") == last_of(c2), what="the last number")
    assert server.stop() == 0
    first, second = server.stdout.splitlines()[-2:]
    name, received, *rest = counts(first)
    assert (name, rest) == ("c1", [0, 0, 0, 1]) and received >= 50
    name, received, lost, *rest = counts(second)
    assert (name, rest) == ("c2", [0, 0, 0])
    sent = [int(n) for n in re.findall(r"^c2: (\d+)$", c2.stdout, re.M)]
    assert received + lost == len(sent) and lost > 5


@pytest.mark.parametrize("arguments, says", [
    (["client"], "c1 or c2"),
    (["client", "c3"], "c1 or c2"),
    (["client", "c1", "--delay", "0"], "give a time from"),
    (["client", "c1", "--count", "0"], "give a whole number"),
    (["server", "--summary", "x"], "give a time from"),
    (["server", "c1"], "c1"),
])
def test_wrong_usage(loopback, arguments, says):
    done = run(loopback, "sequence", *arguments)
    assert done.returncode == 2 and says in done.stderr.decode(), done.stderr
