"""order: the server against peers written from the wire description, the client
against servers of every kind, and both on two computers."""

import re
import threading
import time

import pytest

import lab
from services import Listening, Master, Server, can_start_again, run

READY = "The server is ready to receive"
TIE = "It was a tie, decided by the order of connection"


@pytest.fixture
def server(loopback):
    return Server(loopback, "order")


def pair(server):
    """Two connections, the first one first."""
    return server.tcp(), server.tcp()


def both(first, second, verdict):
    assert first.receive_all() == verdict.encode()
    assert second.receive_all() == verdict.encode()
    first.close()
    second.close()


def judged(server, play, verdict):
    """The verdict on two connections between which play(first, second) sends;
    gives what the server has said of the round.

    On a busy machine both messages may reach the server in one turn of its
    loop. It says that it was a tie then. Or it has heard nothing for 50 ms
    between two pieces of a message, and takes it for whole. Such a round is
    played again.
    """

    def attempt():
        before = len(server.lines())
        first, second = pair(server)
        try:
            play(first, second)
            verdicts = {first.receive_all(), second.receive_all()}
        except OSError as error:
            raise AssertionError("the round was over sooner") from error
        finally:
            first.close()
            second.close()
        lab.wait_for(lambda: READY in server.lines()[before:], what="the round's end")
        lines = server.lines()[before:]
        assert TIE not in lines and verdicts == {verdict.encode()}, (lines, verdicts)
        return lines

    return lab.one_of(50, attempt)


def send_in_pieces(peer, message, cuts):
    for start, stop in zip([0, *cuts], [*cuts, len(message)]):
        peer.send(message[start:stop])
        time.sleep(0.005 if cuts else 0)


def test_five_of_five(server):
    """The second connection's message comes first, in every shape."""
    for shape in ("plain", "newline", "split", "byte by byte", "greeted"):
        end = b"\n" if shape == "newline" else b""
        message = b"Client Y: Bob" + end
        cuts = {"split": [3, 11], "byte by byte": range(1, len(message))}.get(shape, [])

        def play(first, second):
            if shape == "greeted":
                assert first.receive() == b"Client X connected"
                assert second.receive() == b"Client Y connected"
            send_in_pieces(second, message, cuts)
            time.sleep(0.02)
            first.send(b"Client X: Ann" + end)

        lines = judged(server, play, "Y: Bob received before X: Ann")
        greetings = [line for line in lines if line.endswith(" connected")]
        assert greetings or shape != "greeted"
        assert [line for line in lines if line not in greetings] == [
            "Message Received: Client Y: Bob", "Message Received: Client X: Ann",
            "Sent acknowledgment to both X and Y", READY]
    assert server.stop() == 0


def test_one_begins_the_other_ends_first(server):
    """What counts is when the name begins, not when the text begins or ends."""
    def play(first, second):
        first.send(b"Client X:")
        time.sleep(0.02)
        second.send(b"Client Y: B")
        time.sleep(0.01)
        first.send(b" Ann\n")
        second.send(b"ob\n")

    judged(server, play, "Y: Bob received before X: Ann")


def test_other_texts(server):
    for texts, verdict in (
            ((b"Ann", b"Bob"), "X: Ann received before Y: Bob"),
            ((b"Client Y: Ann", b"Bob"), "Y: Ann received before X: Bob"),
            ((b"Client X: Ann\r\n", b"Client Y: Bob\0\0\0"), "X: Ann received before Y: Bob"),
            ((b"client x", b"\nCl\n"), "X: client x received before Y: Cl")):
        def play(first, second):
            first.send(texts[0])
            time.sleep(0.02)
            second.send(texts[1])

        judged(server, play, verdict)
    first, second = pair(server)
    first.send(b"Client X: \xff\x1b[2J").half_close()
    server.wait_line("Message Received: Client X: \\xff\\x1b[2J")
    second.send(b"Client Y: Bob").half_close()
    assert first.receive_all() == b"X: \xff\x1b[2J received before Y: Bob"
    second.close()


def second_first(first, second):
    second.send(b"Client Y: Bob\n")
    time.sleep(0.02)
    first.send(b"Client X: Ann\n")


def test_the_silent_block_nobody(server):
    silent = [server.tcp() for _ in range(20)]
    judged(server, second_first, "Y: Bob received before X: Ann")
    for one in silent:
        one.close()
    server.wait_idle()


def test_crowds_of_the_silent_keep_nobody_out(loopback):
    server = Server(loopback, "order", descriptors=200)
    silent = [server.tcp() for _ in range(400)]
    judged(server, second_first, "Y: Bob received before X: Ann")
    assert silent[0].receive_all() == b"Error: the server is full"
    for one in silent:
        one.close()


def test_vanishing(server):
    for _ in range(10):
        server.tcp().vanish()
        server.tcp().send(b"Clie").vanish()
        server.tcp().half_close().close()
    # One that says X and dies: another X takes its place.
    dead = server.tcp().send(b"Client X: Tpyo\n")
    server.wait_line("Message Received: Client X: Tpyo")
    dead.close()
    time.sleep(0.05)
    first = server.tcp().send(b"Client X: Typo\n")
    server.wait_line("Message Received: Client X: Typo")
    second = server.tcp().send(b"Client Y: Bob\n")
    assert b"Y: Bob" in second.receive_all()
    first.close()
    second.close()


def test_500_at_once(server):
    """250 rounds among 500 connections that are all there at once."""
    peers = [server.tcp() for _ in range(500)]
    for number, peer in enumerate(peers):
        peer.send(b"Client %s: n%d\n" % (b"XY"[number % 2:][:1], number))
    verdicts = {}
    for number, peer in enumerate(peers):
        verdict = peer.receive_all().decode()
        match = re.fullmatch(r"([XY]): n(\d+) received before ([XY]): n(\d+)", verdict)
        assert match and match[1] != match[3], verdict
        assert str(number) in (match[2], match[4])
        verdicts.setdefault(verdict, []).append(number)
        peer.close()
    assert len(verdicts) == 250 and all(len(who) == 2 for who in verdicts.values())


def test_a_lonely_one_is_told(loopback):
    server = Server(loopback, "order", "--timeout", "300ms")
    lonely = server.tcp().send(b"Client X: Ann")
    assert lonely.receive_all() == b"Error: no other message came within 300ms"
    assert server.tcp().receive_all() == b"Error: no message came within 300ms"
    done = run(loopback, "order", "client", "Y", "Bob", "--port", server.port)
    assert done.returncode == 1 and done.stdout == b"Client Y: Bob\n"
    assert b"gives no verdict: no other message came within 300ms" in done.stderr


def test_two_with_one_letter(server):
    first, second = pair(server)
    first.send(b"Client X: Ann\n")
    time.sleep(0.02)
    second.send(b"Client X: Bob\n")
    both(first, second, "Error: two clients are Client X; each needs its own letter")


def test_three_contestants_two_rounds(loopback):
    server = Server(loopback, "order", "--contestants", 3, "--rounds", 2, "--verbose")
    for _ in range(2):
        peers = [server.tcp() for _ in range(3)]
        time.sleep(0.05)
        for peer, text in zip(reversed(peers), (b"Client Z: C\n", b"Client X: B\n", b"A\n")):
            heard = len(server.lines())
            peer.send(text)
            lab.wait_for(lambda: len(server.lines()) > heard)
        for peer in peers:
            assert peer.receive_all() == b"Z: C received before X: B received before Y: A"
            peer.close()
    assert server.process.wait(lab.LONG) == 0
    assert server.lines().count("Sent acknowledgment to X, Y and Z") == 2
    assert sum(bool(re.match(r"Arrived: Z \+0s, X \+[\d.]+m?s, Y \+[\d.]+m?s$", line))
               for line in server.lines()) == 2


def test_started_again_at_once(loopback):
    assert can_start_again(loopback, "order") is None


def test_word_for_word(make_lan):
    """At the exercise's port, two computers, all that is printed."""
    one, other = make_lan([1, 2]).hosts
    server = one.boardroom("order", "server", "--rounds", "1")
    lab.wait_for(lambda: server.stdout == READY + "\n")
    x = other.boardroom("order", "client", "X", "Ann", "--server", one.address)
    lab.wait_for(lambda: "Client X: Ann\n" in server.stdout)
    y = run(one, "order", "client", "Y", "Bob")
    assert y.returncode == x.wait(lab.LONG) == server.wait(lab.LONG) == 0
    assert y.stdout == b"Client Y: Bob\nX: Ann received before Y: Bob\n"
    assert x.stdout == "Client X: Ann\nX: Ann received before Y: Bob\n"
    assert server.stdout.splitlines() == [
        READY, "Message Received: Client X: Ann", "Message Received: Client Y: Bob",
        "Sent acknowledgment to both X and Y"]


@pytest.mark.parametrize("replies", [
    [b"X: Ann received before Y: Bob"],
    [b"From Server: X: Ann recieved before Y: Bob"],
    [b"X: Ann received before Y: Bob".ljust(1024, b"\0")],
    [b"Client X connected", b"X: Ann rec", b"eived before Y: Bob\n"],
    [b"From Server: Client X connected\n", b"From Server: X: Ann received before Y: Bob\0"],
])
@pytest.mark.parametrize("closes", [True, False])
def test_client_reads_other_servers(loopback, replies, closes):
    heard, done = [], threading.Event()

    def play(connection):
        heard.append(connection.recv(100))
        for reply in replies:
            connection.sendall(reply)
            time.sleep(0.05)
        if not closes:
            done.wait(lab.LONG)

    other = Listening(play)
    client = run(loopback, "order", "client", "X", "Ann", "--port", other.port)
    done.set()
    other.close()
    assert heard == [b"Client X: Ann"]
    assert client.stdout == b"Client X: Ann\nX: Ann received before Y: Bob\n"
    assert (client.returncode, client.stderr) == (0, b"")


def test_client_tells_what_is_wrong(loopback):
    silent = Listening(lambda connection: connection.recv(100) and connection.recv(100))
    done = run(loopback, "order", "client", "X", "Ann", "--port", silent.port,
               "--timeout", "300ms")
    assert done.returncode == 1
    assert b"no verdict within 300ms" in done.stderr
    silent.close()
    closing = Listening(lambda connection: connection.recv(100))
    done = run(loopback, "order", "client", "X", "Ann", "--port", closing.port)
    assert done.returncode == 1 and b"closed the connection without a verdict" in done.stderr
    closing.close()
    # Not a port that the client itself could be given.
    done = run(loopback, "order", "client", "X", "Ann", "--port", lab.free_port())
    assert done.returncode == 4 and b"connection refused" in done.stderr


def test_client_finds_the_master(loopback, server):
    master = Master(loopback)
    waiting = server.tcp().send(b"Client Y: Bob\n")
    server.wait_line("Message Received: Client Y: Bob")
    done = run(loopback, "order", "client", "X", "Ann", *master.options, "--port", server.port)
    master.stop()
    assert done.returncode == 0
    assert done.stdout.endswith(b"\nY: Bob received before X: Ann\n")
    waiting.close()


@pytest.mark.parametrize("arguments, says", [
    (["client"], "give a letter and a name"),
    (["client", "X"], "give a letter and a name"),
    (["client", "x", "Ann"], "give X or Y"),
    (["client", "X", ""], "a name has 1 to"),
    (["client", "X", "a\nb"], "a name has 1 to"),
    (["server", "--contestants", "1"], "give a whole number from 2 to 26"),
    (["server", "--rounds", "0"], "give a whole number"),
])
def test_wrong_usage(loopback, arguments, says):
    done = run(loopback, "order", *arguments)
    assert done.returncode == 2 and says in done.stderr.decode(), done.stderr
