"""echo: the server against peers written from the wire description, the client
against servers of every kind, and both on two computers."""

import os
import pty
import select
import socket
import struct
import subprocess
import time

import pytest

import lab
from services import Listening, Master, Server, Tcp, can_start_again, run

EIGHT = [
    # The text, and what is said of it over UDP and TCP.
    (b"Hello123", b"Alphanumeric.", b"Alphanumeric"),
    ("Grüße世界".encode(), b"Alphanumeric.", b"Alphanumeric"),
    (b"two words", b"Not alphanumeric.", b"Not alphanumeric."),
    (b"line\r\n", b"Not alphanumeric.", b"Not alphanumeric."),
]


@pytest.fixture
def server(loopback):
    return Server(loopback, "echo")


def test_eight_of_eight(server):
    for text, udp, tcp in EIGHT:
        assert server.ask(text) == udp
        peer = server.tcp().send(text)
        assert peer.receive() == tcp
        peer.close()
    assert server.stop() == 0
    lines = server.lines()
    assert len(lines) == 16
    assert lines[1].endswith(': sent "Alphanumeric."') and lines[1].startswith("UDP 127.0.0.1:")
    assert lines[14].endswith(': received "line\\r\\n"') and lines[14].startswith("TCP 127.0.0.1:")


def test_one_connection_many_texts(server):
    peer = server.tcp()
    for text, _, tcp in EIGHT * 5:
        assert peer.send(text).receive() == tcp
    peer.half_close()
    assert peer.receive() == b""
    peer.close()


def test_display(loopback):
    server = Server(loopback, "echo", "--mode", "display")
    for text in (b"two words", b"caf\xe9\0", "Grüße".encode(), b"x" * 2048):
        assert server.ask(text) == text
        peer = server.tcp().send(text)
        assert peer.receive() == text
        peer.close()
    assert server.lines()[:4] == ["two words", "two words", "caf\\xe9\\0", "caf\\xe9\\0"]


def test_a_display_answers_a_client_that_repeats_itself(loopback):
    server = Server(loopback, "echo", "--mode", "display", "--quiet")
    done = run(loopback, "echo", "client", "--port", server.port, "--timeout", "20s",
               text=b"hello\n" * 300)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"hello\n" * 300


def test_quiet_prints_the_port_only(loopback):
    server = Server(loopback, "echo", "--quiet")
    assert server.ask(b"abc") == b"Alphanumeric."
    assert server.lines() == []


def test_nothing_ends_or_stops_the_server(server):
    for data in (b"", b"\0", b"\xff\xfe", b"a\0b", b"\xed\xa0\x80", b"\x1b[2J", b"z" * 65507):
        server.ask(data, seconds=0.2)
    assert server.ask(b"a" * 2048 + b"!") == b"Alphanumeric.", "the first 2,048 bytes count"
    silent = [server.tcp() for _ in range(50)]
    half = [server.tcp().send(b"\xc3").half_close() for _ in range(20)]
    for _ in range(20):
        server.tcp().vanish()
        server.tcp().send(b"abc").vanish()
    greedy = server.tcp()
    greedy.socket.setblocking(False)
    with pytest.raises(OSError):
        # Writes and never reads: the server must not keep all the answers.
        for _ in range(100_000):
            greedy.socket.send(b"a b" * 1000)
    assert server.ask(b"abc") == b"Alphanumeric."
    peer = server.tcp().send(b"abc")
    assert peer.receive() == b"Alphanumeric"
    for one in half:
        assert one.receive_all() == b"Not alphanumeric."
    server.wait_idle()
    assert server.process.own_kb() < 20_000
    for one in [*silent, *half, greedy, peer]:
        one.close()
    server.wait_idle()
    assert server.stop() == 0


def test_500_at_once(server):
    peers = [server.tcp() for _ in range(500)]
    for number, peer in enumerate(peers):
        peer.send(b"%d" % number if number % 2 else b"-%d" % number)
    for number, peer in enumerate(peers):
        expected = b"Alphanumeric" if number % 2 else b"Not alphanumeric."
        assert peer.receive() == expected, number
    for peer in peers:
        peer.close()


def test_crowds_of_the_silent_keep_nobody_out(loopback):
    """More connections than places: who is silent the longest goes."""
    server = Server(loopback, "echo", descriptors=200)
    silent = [server.tcp() for _ in range(400)]
    peer = server.tcp().send(b"abc")
    assert peer.receive() == b"Alphanumeric"
    assert silent[0].receive() == b""
    assert silent[-1].send(b"abc").receive() == b"Alphanumeric"
    server.wait_idle()
    for one in [*silent, peer]:
        one.close()


def test_a_character_split_over_two_segments(server):
    peer = server.tcp()
    peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for _ in range(50):
        peer.send(b"Gr\xc3")
        time.sleep(0.02)
        answer = peer.send(b"\xbc\xc3\x9fe").receive()
        if answer == b"Alphanumeric":
            break
        # The machine was too busy to send the rest in time: answered apart.
        assert answer.startswith(b"Not alphanumeric.")
        peer.receive(0.3)
    assert answer == b"Alphanumeric"
    begun = time.monotonic()
    peer.send(b"Gr\xc3")
    assert peer.receive() == b"Not alphanumeric."
    assert time.monotonic() - begun > 0.05, "the rest was waited for"
    peer.close()


def test_two_servers_do_not_talk_for_ever(loopback):
    """A datagram with a forged source sets one upon the other."""
    if os.geteuid() != 0:
        pytest.skip("forging a source needs root")
    one, other = Server(loopback, "echo"), Server(loopback, "echo")
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw:
        text = b"a b"
        header = struct.pack("!HHHH", other.port, one.port, 8 + len(text), 0)
        raw.sendto(header + text, ("127.0.0.1", 0))
    begun = time.monotonic()
    lab.wait_for(lambda: one.lines() or other.lines(), what="the forged text's arrival")
    time.sleep(1)
    for server in (one, other):
        heard = len(server.lines())
        most = 80 * (1 + time.monotonic() - begun)
        assert 1 <= heard <= most, "some ten texts a second; else it is thousands"
        server.wait_idle()
        assert server.ask(b"abc") == b"Alphanumeric."


def test_started_again_at_once(loopback):
    assert can_start_again(loopback, "echo") is None


@pytest.mark.parametrize("option", [[], ["--tcp"]])
def test_client_and_server(loopback, server, option):
    done = run(loopback, "echo", "client", "--port", server.port, *option,
               text="Hello123\r\nGrüße\ntwo words\nlast".encode())
    dot = "" if option else "."
    assert done.stdout.decode().splitlines() == [
        f"Alphanumeric{dot}", f"Alphanumeric{dot}", "Not alphanumeric.", f"Alphanumeric{dot}"]
    assert (done.returncode, done.stderr) == (0, b"")
    assert '"Hello123"' in server.lines()[0], "sent bare"


@pytest.mark.parametrize("option", [[], ["--tcp"]])
def test_client_with_a_long_file(loopback, option):
    server = Server(loopback, "echo", "--quiet")
    text = b"".join(b"line%d\n" % i for i in range(20_000))
    done = run(loopback, "echo", "client", "--port", server.port, *option,
               "--timeout", "20s", text=text, seconds=300)
    assert done.returncode == 0
    assert done.stdout.count(b"Alphanumeric") == 20_000


def test_client_tells_silence_and_absence(loopback):
    # Not a port that the client itself could be given once it is closed.
    silent = lab.Udp("127.0.0.1", lab.free_port())
    begun = time.monotonic()
    done = run(loopback, "echo", "client", "--port", silent.port, "--timeout", "300ms",
               text=b"one\ntwo\n")
    assert time.monotonic() - begun >= 0.6
    assert done.stderr.decode() == f"no answer within 300ms from 127.0.0.1:{silent.port}\n" * 2
    assert (done.returncode, done.stdout) == (1, b"")
    silent.close()
    for option, code in (([], 1), (["--tcp"], 4)):
        done = run(loopback, "echo", "client", "--port", silent.port, *option, "--timeout", "600s",
                   text=b"one\n")
        assert f"cannot reach 127.0.0.1:{silent.port}: " in done.stderr.decode()
        assert done.returncode == code


def test_client_reads_other_servers(loopback):
    def closes_after_each(connection):
        connection.recv(100)
        connection.sendall(b"Alphanumeric")

    def answers_in_pieces(connection):
        while connection.recv(100):
            for piece in (b"Not", b" alpha", b"numeric."):
                connection.sendall(piece)
                time.sleep(0.1)

    for play, expected in ((closes_after_each, "Alphanumeric"),
                           (answers_in_pieces, "Not alphanumeric.")):
        other = Listening(play)
        done = run(loopback, "echo", "client", "--tcp", "--port", other.port,
                   "--timeout", "20s", text=b"a\nb\nc\n")
        assert done.stdout.decode().splitlines() == [expected] * 3
        assert done.returncode == 0
        other.close()


@pytest.mark.parametrize("typed, answer", [
    (b"hello\n", b"Text: Alphanumeric.\nText: "),
    # Nobody is there: the complaint stands above the next prompt.
    (None, b"starts a server\nText: "),
])
def test_client_prompts_a_person(loopback, server, typed, answer):
    ours, theirs = pty.openpty()
    port = server.port if typed else lab.free_port()
    client = subprocess.Popen(
        [lab.program(), "echo", "client", "--port", str(port)], stdin=theirs,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=loopback.enter_child)
    seen = b""

    def wait(text):
        nonlocal seen
        end = time.monotonic() + lab.LONG
        while text not in seen:
            ready, _, _ = select.select([client.stdout], [], [], end - time.monotonic())
            assert ready, seen
            seen += os.read(client.stdout.fileno(), 1000)

    try:
        wait(b"Text: ")
        os.write(ours, typed or b"hello\n")
        wait(answer)
        os.write(ours, b"\x04")
        assert (client.wait(lab.LONG) == 0) == bool(typed)
    finally:
        client.kill()
        client.wait()
        client.stdout.close()
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("option", [[], ["--tcp"]])
def test_client_finds_the_master(loopback, server, option):
    master = Master(loopback)
    done = run(loopback, "echo", "client", *master.options, "--port", server.port, *option,
               text=b"abc\n")
    master.stop()
    assert (done.returncode, done.stdout[:12]) == (0, b"Alphanumeric")
    done = run(loopback, "echo", "client", *master.options, "--port", server.port, text=b"abc\n")
    assert done.returncode == 1 and b"no master answered WHOIS" in done.stderr


def test_two_computers(make_lan):
    lan = make_lan([1, 2])
    server_host, client_host = lan.hosts
    process = server_host.boardroom("echo", "server")
    lab.wait_for(lambda: process.stdout == "listening on UDP and TCP port 12000\n")
    for option, end in (([], b"."), (["--tcp"], b"")):
        done = run(client_host, "echo", "client", "--server", server_host.address, *option,
                   text=b"Hello123\ntwo words\n")
        assert done.stdout == b"Alphanumeric" + end + b"\nNot alphanumeric.\n"
    # A peer whose cable is pulled leaves a half-open connection behind.
    with client_host.inside():
        gone = Tcp(12000, server_host.address)
    client_host.cable("down")
    done = run(server_host, "echo", "client", "--tcp", "--server", server_host.address,
               text=b"abc\n")
    assert done.stdout == b"Alphanumeric\n"
    done = run(client_host, "echo", "client", "--server", server_host.address,
               "--timeout", "300ms", text=b"abc\n")
    assert done.returncode == 1 and b"no answer within 300ms" in done.stderr
    client_host.cable("up")
    gone.close()


@pytest.mark.parametrize("arguments, says", [
    ([], "give a role: server, client"),
    (["sever"], "give a role: server, client"),
    (["server", "--mode", "loud"], "give judge or display"),
    (["server", "--port", "70000"], "give a number from 0"),
    (["client", "--port", "0"], "give a number from 1"),
    (["client", "--server", "localhost"], "give an IPv4 address"),
    (["client", "--timeout", "0"], "give a time from"),
    (["client", "extra"], "extra"),
])
def test_wrong_usage(loopback, arguments, says):
    done = run(loopback, "echo", *arguments)
    assert done.returncode == 2 and says in done.stderr.decode(), done.stderr
