"""`match` as real processes over TCP: with old programs on the other side,
with each other, and with peers that do harm."""

import re
import resource
import signal
import socket
import subprocess
import threading
import time

import pytest

import lab
from oldmatch import Crowd, Frames, OldClient, OldServer, OldTracker

# So long, in seconds, a search lasts that waits for a server in vain.
IN_VAIN = 1.9

RESULT = re.compile(r"(C\d+): (?:Match found on servers (.*)|No match has been found)")


@pytest.fixture
def many_files():
    """Enough descriptors for a thousand peers of each kind."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 5000:
        pytest.skip(f"only {hard} descriptors may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Tracker:
    """Ours."""

    def __init__(self, place, *options, port=0):
        self.process = place.boardroom("match", "tracker", "--port", port, *options)

        def listening():
            assert self.process.is_running(), self.process.stderr
            return re.search(r"Central: listening on port (\d+)\.\n", self.process.stdout)

        self.port = int(lab.wait_for(listening, what="the tracker's port").group(1))

    def counters(self):
        before = self.process.stdout.count("wrong frames")
        self.process.signal(signal.SIGUSR1)
        lab.wait_for(lambda: self.process.stdout.count("wrong frames") > before)
        line = [x for x in self.process.stdout.splitlines() if "wrong frames" in x][-1]
        return {name: int(n) for name, n in re.findall(r"([a-z][a-z ]*) (\d+)", line)} | {
            name: int(n) for n, name in re.findall(r"(\d+) (servers|clients)", line)}

    def wait_servers(self, count):
        lab.wait_for(lambda: self.counters()["servers"] == count, what=f"{count} servers")


@pytest.fixture
def tracker(loopback):
    return Tracker(loopback)


@pytest.fixture
def closing():
    """Closes what it is given when the test is over."""
    things = []

    def keep(thing):
        things.append(thing)
        return thing

    yield keep
    for thing in things:
        thing.close()


def server(place, port, name, *options):
    return place.boardroom("match", "server", name, "--server", f"127.0.0.1:{port}", *options)


def finds_soon(client, number, expected):
    """It is found without waiting for anybody in vain."""
    def attempt():
        names, took = client.find(number)
        assert names == expected
        assert took < IN_VAIN, f"{took} s: somebody is waited for in vain"

    lab.one_of(5, attempt)


def results(text):
    return [m.group(2) or "" for m in RESULT.finditer(text)]


# The exercise in one process.

def test_run_prints_the_trace_word_for_word(loopback):
    done = loopback.run("match", "run", "-n", "3")
    assert done.code == 0, done.stderr
    lines = done.stdout.splitlines()
    held = {}
    for i in (1, 2, 3):
        assert f'S{i}: sending "Hello" to Central.' in lines
        assert f'Central: received "Hello" from Server S{i}.' in lines
        assert f'C{i}: sending "Hi" to Central.' in lines
        assert f'Central: received "Hi" from Client C{i}.' in lines
        held[f"S{i}"] = int(re.search(
            rf"^S{i}: selected random number is (\d+)\.$", done.stdout, re.M).group(1))
        assert 1 <= held[f"S{i}"] <= 10
    for i in (1, 2, 3):
        own = [x for x in lines if re.match(rf"C{i}: (find|No|Match)", x)]
        assert len(own) == 10, "five questions, five answers"
        for question, answer in zip(own[::2], own[1::2]):
            number = int(re.fullmatch(rf"C{i}: find match of (\d+)", question).group(1))
            names = [name for name, own_number in held.items() if own_number == number]
            expected = {
                0: f"C{i}: No match has been found",
                1: f"C{i}: Match found on servers {names[0] if names else ''}",
                2: f"C{i}: Match found on servers {' and '.join(names)}",
                3: f"C{i}: Match found on servers S1, S2 and S3",
            }[len(names)]
            assert answer == expected
        assert lines.count(f"Central: process match request from C{i}") == 5
        assert lines.count(f"Central: send match reply to C{i}") == 5


@pytest.mark.parametrize("count", [2, 10, 200])
def test_run_of_any_size(loopback, count):
    done = loopback.run("match", "run", "-n", count, "--rounds", "3")
    assert done.code == 0, done.stderr
    assert len(results(done.stdout)) == count * 3, "not a line is lost"
    assert done.stderr == ""


def test_run_wants_two(loopback):
    for n in ("1", "0", "-3", "x", "1001"):
        done = loopback.run("match", "run", "-n", n)
        assert done.code == 2
        assert "from 2 to 1000" in done.stderr
    assert loopback.run("match", "run").code == 2


def test_run_says_when_it_takes_too_many_connections(loopback):
    done = subprocess.run(["sh", "-c", 'ulimit -n 100 && exec "$0" match run -n 50', lab.program()],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 4
    assert "ulimit -n" in done.stderr and done.stdout == ""


def test_run_ends_when_told_though_nobody_reads(loopback):
    with subprocess.Popen([lab.program(), "match", "run", "-n", "300"],
                          stdout=subprocess.PIPE, preexec_fn=loopback.enter_child) as process:
        time.sleep(1.0)
        assert process.poll() is None, "it waits for its reader"
        process.send_signal(signal.SIGTERM)
        assert process.wait(lab.LONG) in (0, 1)


# Old programs with our tracker.

@pytest.mark.parametrize("delay", [0.0, 0.05, 0.5])
def test_old_servers_are_found_however_soon_they_answer(tracker, closing, delay):
    for i in (1, 2, 3):
        closing(OldServer(tracker.port, f"S{i}", 2 + i // 2, delay))
    client = closing(OldClient(tracker.port, "C1"))
    tracker.wait_servers(3)
    for _ in range(2):
        names, _ = client.find(3)
        assert names == ["S2", "S3"]
        names, _ = client.find(2)
        assert names == ["S1"]
    # All numbers are known.
    finds_soon(client, 2, ["S1"])


def test_a_silent_old_server_costs_two_seconds(tracker, closing):
    closing(OldServer(tracker.port, "S1", 3, None))
    quick = closing(OldServer(tracker.port, "S2", 3))
    client = closing(OldClient(tracker.port, "C1"))
    tracker.wait_servers(2)
    for _ in range(2):
        names, took = client.find(3)
        assert names == ["S2"]
        assert took > IN_VAIN
    assert quick.asked == [3, 3]
    assert quick.unknown == ["TRCK 1"], "and nothing else that an old server does not know"


def test_an_old_server_that_is_too_late(tracker, closing):
    """What can be known of it: that it holds 3 is clear once its first answer
    comes while nothing else was asked. From then on it is never mixed up."""
    late = closing(OldServer(tracker.port, "S1", 3, None))
    client = closing(OldClient(tracker.port, "C1"))
    other = closing(OldClient(tracker.port, "C2"))
    tracker.wait_servers(1)
    names, took = client.find(3)
    assert names == [] and took > IN_VAIN
    late.answer()
    time.sleep(0.2)
    finds_soon(client, 5, [])
    names, _ = client.find(3)
    assert names == []
    # Its second answer comes within this search, and is not for it.
    found = []
    asking = threading.Thread(target=lambda: found.append(other.find(7)))
    asking.start()
    lab.wait_for(lambda: late.asked[-1] == 7, what="the search")
    late.answer()
    asking.join(60)
    assert found[0][0] == []
    assert [number for number in late.asked if number != 5] == [3, 3, 7] and 5 in late.asked


def test_twenty_four_of_twenty_four(tracker, closing):
    """Overlapping searches, old servers that answer at once."""
    for i in range(1, 9):
        closing(OldServer(tracker.port, f"S{i}", i))
    clients = [closing(OldClient(tracker.port, f"C{i}")) for i in range(3)]
    tracker.wait_servers(8)
    found = []

    def ask(client, numbers):
        for number in numbers:
            names, _ = client.find(number)
            found.append(names == [f"S{number}"])

    threads = [threading.Thread(target=ask, args=(client, range(1, 9))) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert found.count(True) == 24, found


def test_three_clients_at_the_same_time_two_hundred_rounds(loopback, tracker, closing):
    """Own and old servers mixed, each number held: 600 answers, all right."""
    for i in range(1, 6):
        closing(OldServer(tracker.port, f"S{i}", i))
    for i in range(6, 11):
        server(loopback, tracker.port, f"S{i}", "--number", i, "--quiet")
    tracker.wait_servers(10)
    first = closing(OldClient(tracker.port, "C0"))
    for number in range(1, 11):
        assert first.find(number)[0] == [f"S{number}"]
    clients = [closing(OldClient(tracker.port, f"C{i}")) for i in (1, 2, 3)]
    barrier = threading.Barrier(3)
    wrong = []

    def ask(client, step):
        for i in range(200):
            barrier.wait(lab.LONG)
            number = i * step % 10 + 1
            names, took = client.find(number)
            if names != [f"S{number}"] or took > IN_VAIN:
                wrong.append((number, names, took))

    threads = [threading.Thread(target=ask, args=(client, step))
               for client, step in zip(clients, (1, 3, 7))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert not wrong
    assert not any(thread.is_alive() for thread in threads)


def test_an_old_client_does_not_hang(tracker, closing):
    """It waits for the space behind RSLT, found or not, servers or none."""
    client = closing(OldClient(tracker.port, "C1"))
    assert client.find(3)[0] == []
    for nonsense in ("0", "11", "x", "3 C1", ""):
        assert client.find(nonsense)[0] == []


# Our servers and clients with an old tracker.

def test_an_old_tracker_loses_nothing_of_ours(loopback, closing):
    old = closing(OldTracker())
    for i in (1, 2, 3):
        server(loopback, old.port, f"S{i}", "--number", 4 if i < 3 else 5)
    lab.wait_for(lambda: len(old.servers) == 3, what="three servers")
    answers = []
    for number, rounds in ((4, 2), (5, 1), (6, 1)):
        done = loopback.run("match", "client", "C1", "--server", f"127.0.0.1:{old.port}",
                            "--find", number, "--rounds", rounds)
        answers += results(done.stdout)
        assert done.code == (1 if number == 6 else 0), done.stderr
    assert answers == ["S1 and S2", "S1 and S2", "S3", ""]
    assert old.lost == 0
    assert old.unknown == [], "never a NONE"


def test_the_old_tracker_of_these_tests_does_lose_early_answers(closing):
    """The test above could fail."""
    old = closing(OldTracker())
    closing(OldServer(old.port, "S1", 4))
    lab.wait_for(lambda: old.servers)
    client = closing(OldClient(old.port, "C1"))

    def lost():
        assert client.find(4)[0] == []
        assert old.lost >= 1

    lab.one_of(5, lost)


# Peers that come, go and do harm.

def test_a_dead_server_is_gone_at_once(loopback, tracker, closing):
    processes = [server(loopback, tracker.port, f"S{i}", "--number", 3) for i in (1, 2)]
    client = closing(OldClient(tracker.port, "C1"))
    tracker.wait_servers(2)
    assert client.find(3)[0] == ["S1", "S2"]
    processes[0].kill()
    tracker.wait_servers(1)
    finds_soon(client, 3, ["S2"])


def test_a_server_that_dies_in_a_search_holds_nobody_up(tracker, closing):
    closing(OldServer(tracker.port, "S2", 3))
    client = closing(OldClient(tracker.port, "C1"))

    def dies():
        silent = closing(OldServer(tracker.port, "S1", 3, None))
        tracker.wait_servers(2)
        found = []
        asking = threading.Thread(target=lambda: found.append(client.find(3)))
        asking.start()
        lab.wait_for(lambda: silent.asked, what="the search")
        silent.hang_up()
        asking.join(60)
        names, took = found[0]
        assert names == ["S2"] and took < IN_VAIN

    lab.one_of(5, dies)


def test_a_frozen_server_costs_one_search_two_seconds(loopback, tracker, closing):
    frozen = server(loopback, tracker.port, "S1", "--number", 3)
    server(loopback, tracker.port, "S2", "--number", 4)
    client = closing(OldClient(tracker.port, "C1"))
    tracker.wait_servers(2)
    assert client.find(9)[0] == []
    frozen.signal(signal.SIGSTOP)
    assert client.find(4)[0] == ["S2"]
    # It is not waited for again.
    finds_soon(client, 4, ["S2"])
    finds_soon(client, 3, [])
    frozen.signal(signal.SIGCONT)
    lab.wait_for(lambda: client.find(3)[0] == ["S1"], what="the thawed server")


RUDE = [
    b"\0", b"\0\0\0\0", b"HELLO\0", b"HI\0", b"HI \0", b"HELLO  \0", b"XYZ 1\0", b"SRCH 3\0",
    b"MTCH \0", b"\xff\xfe\xfd\0", b"GET / HTTP/1.0\r\n\r\n", b"HI a b\0", b"HELLO " + b"x" * 33 + b"\0",
    b"x" * 100_000, b"HI \x1b[2J\0", b"HI C9\0" + b"SRCH 1\0" * 5000, b"HI C9\0" + b"Q\0" * 5000,
    b"HELLO S9\0" + b"MTCH \0" * 5000, b"HELLO S9\0" + b"SRCH 1\0" * 300, b"HI C9\0HELLO S9\0MTCH \0",
    b"HI C9", b"HELLO S9\0MTC",
]


def test_rude_peers_harm_nobody(loopback, tracker, closing):
    server(loopback, tracker.port, "S1", "--number", 3)
    tracker.wait_servers(1)
    client = closing(OldClient(tracker.port, "C1"))
    for bytes_sent in RUDE:
        for half_close in (False, True):
            rude = Frames.to(tracker.port)
            try:
                rude.socket.sendall(bytes_sent)
                if half_close:
                    rude.socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            names, took = client.find(3)
            assert names == ["S1"], bytes_sent[:40]
            # One that is a server, and just silent, has its two seconds.
            is_waited_for = bytes_sent == RUDE[-1] and not half_close
            assert took < IN_VAIN or is_waited_for, bytes_sent[:40]
            rude.close()
    assert tracker.process.is_running()
    tracker.wait_servers(1)
    finds_soon(client, 4, [])
    assert tracker.process.stderr == ""


def test_a_peer_that_never_reads_is_closed_and_forgotten(loopback, closing):
    tracker = Tracker(loopback, "--quiet")
    server(loopback, tracker.port, "S1", "--number", 3, "--quiet")
    tracker.wait_servers(1)
    client = closing(OldClient(tracker.port, "C1"))
    deaf = Frames.to(tracker.port)
    deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.send("HI C2")
    deaf.socket.settimeout(0.2)
    before = tracker.process.own_kb()
    try:
        for _ in range(3000):
            deaf.socket.sendall(b"SRCH 99\0" * 200)
    except OSError:
        pass
    finds_soon(client, 3, ["S1"])
    deaf.close()
    assert tracker.process.own_kb() < before + 2000
    lab.wait_for(lambda: tracker.counters()["clients"] == 1)


def test_an_idle_tracker_sleeps_also_beside_silent_and_half_closed_peers(tracker, closing):
    for i in range(5):
        closing(Frames.to(tracker.port))
        closing(OldServer(tracker.port, f"S{i}", 3))
    half = closing(Frames.to(tracker.port))
    half.send("HI C1")
    half.socket.shutdown(socket.SHUT_WR)
    tracker.wait_servers(5)

    def sleeps():
        before = tracker.process.cpu_seconds()
        time.sleep(1)
        return tracker.process.cpu_seconds() - before <= 0.01

    # What it still had to do is done soon; who spins never comes to an end.
    lab.wait_for(sleeps, what="rest")


def test_a_silent_connection_ends(tracker, closing):
    silent = closing(Frames.to(tracker.port))
    began = time.monotonic()
    assert silent.receive(60) == ""
    assert time.monotonic() - began > 9


def test_a_thousand_servers_and_a_thousand_clients(loopback, many_files, closing):
    tracker = Tracker(loopback, "--quiet")
    empty = tracker.process.own_kb()
    # All connect before the first one greets.
    crowd = closing(Crowd(tracker.port, 1000))
    clients = [closing(Frames.to(tracker.port)) for _ in range(1000)]
    crowd.start()
    for i, link in enumerate(clients):
        link.send(f"HI C{i}")
    lab.wait_for(lambda: tracker.counters()["clients"] == 1000, what="all of them")
    lab.wait_for(lambda: crowd.welcomed == 1000, what="all servers")
    holders = [f"S{i}" for i in range(1000) if i % 10 == 3]

    def all_find():
        for link in clients:
            link.send("SRCH 3")
        replies = [link.receive().split(" ", 1) for link in clients]
        assert all(command == "RSLT" and names.split() == holders for command, names in replies)

    # The thousand servers have two seconds, on whatever machine plays them.
    lab.one_of(5, all_find)
    used = tracker.process.own_kb() - empty
    # Whole measure: tests/bench/match.py. A debug build, so with room.
    assert used < 4000, f"{used} KB for 2,000 peers"
    assert tracker.counters()["searches"] >= 1
    over = [closing(Frames.to(tracker.port)) for _ in range(30)]
    for i, link in enumerate(over):
        link.send(f"HELLO X{i}")
    assert [link.receive() for link in over][-1] == "FAIL tracker full"
    assert over[-1].receive() == "", "and closed"


def test_a_tracker_without_descriptors_says_so_and_goes_on(loopback, closing):
    process = loopback.start(["sh", "-c", 'ulimit -n 100; exec "$0" match tracker --port 0 --quiet',
                              lab.program()])
    port = int(lab.wait_for(lambda: re.search(r"port (\d+)", process.stdout)).group(1))
    closing(OldServer(port, "S1", 3))
    client = closing(OldClient(port, "C1"))
    lab.wait_for(lambda: client.find(3)[0] == ["S1"])
    silent = [Frames.to(port) for _ in range(150)]
    lab.wait_for(lambda: "open files" in process.stderr)
    assert client.find(3)[0] == ["S1"], "who is there is served"
    assert len(process.stderr.splitlines()) == 1
    for link in silent:
        link.close()
    late = closing(OldClient(port, "C2"))
    assert late.find(3)[0] == ["S1"], "and who comes when others have gone"


# Names, and what is wrong on the command line.

def test_a_name_is_taken_once(loopback, tracker, closing):
    server(loopback, tracker.port, "S1")
    tracker.wait_servers(1)
    second = server(loopback, tracker.port, "S1")
    assert second.wait() == 4
    assert second.stderr == "S1: Central refuses: name taken; give another name\n"
    done = loopback.run("match", "client", "S1", "--server", f"127.0.0.1:{tracker.port}",
                        "--rounds", "1")
    assert done.code == 0, "a client may have a server's name"


@pytest.mark.parametrize("arguments, code, what", [
    (["server", "a b"], 2, "without blanks"),
    (["server", ""], 2, "without blanks"),
    (["client", "x" * 33], 2, "1 to 32 bytes"),
    (["server"], 2, "give a name"),
    (["server", "S1", "--number", "0"], 2, "from 1 to 10"),
    (["server", "S1", "--number", "11"], 2, "from 1 to 10"),
    (["client", "C1", "--find", "x"], 2, "from 1 to 10"),
    (["client", "C1", "--rounds", "0"], 2, "whole number"),
    (["client", "C1", "--number", "3"], 2, "--number"),
    (["server", "S1", "--server", "nowhere"], 2, "IPv4 address"),
    (["server", "S1", "S2"], 2, "S2"),
    (["tracker", "--port", "65536"], 2, "0 (a free one) to 65535"),
    (["central"], 2, "run, tracker, server, client"),
    ([], 2, "run, tracker, server, client"),
    (["server", "S1", "--server", "127.0.0.1:1"], 4, "no tracker at 127.0.0.1:1"),
    (["client", "C1", "--server", "127.0.0.1:1"], 4, "boardroom match tracker"),
    (["client", "C1", "--server", "auto", "--interface", "lo", "--election-port", "1"], 1,
     "no master answered"),
])
def test_what_is_wrong_is_said(loopback, arguments, code, what):
    done = loopback.run("match", *arguments)
    assert done.code == code
    assert what in done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_a_taken_port_is_said(loopback, tracker):
    done = loopback.run("match", "tracker", "--port", tracker.port)
    assert done.code == 4
    assert f"TCP port {tracker.port}" in done.stderr and "taken" in done.stderr


# The tracker goes, and comes back elsewhere.

def test_servers_and_clients_come_back_to_a_tracker(loopback):
    # Not a port that a client itself could be given while nobody has it.
    first = Tracker(loopback, port=lab.free_port())
    servers = [server(loopback, first.port, f"S{i}", "--number", 3) for i in (1, 2)]
    first.wait_servers(2)
    # Rounds for more than the time without a tracker.
    client = loopback.boardroom("match", "client", "C1", "--find", 3, "--rounds", 1_000_000,
                                "--server", f"127.0.0.1:{first.port}", "--quiet")
    lab.wait_for(lambda: results(client.stdout))
    first.process.kill()
    lab.wait_for(lambda: "trying again" in client.stderr)
    second = Tracker(loopback, port=first.port)
    lab.wait_for(lambda: second.counters()["servers"] == 2, what="both servers")
    seen = len(client.stdout)
    lab.wait_for(lambda: len(client.stdout) > seen + 1000, what="results again")
    assert all(process.is_running() for process in [*servers, client])
    assert len(client.stderr.splitlines()) == 1, "the loss is told once"


def test_wait_waits_for_the_first_tracker(loopback):
    port = lab.free_port()
    waiting = server(loopback, port, "S1", "--wait", "--number", 3)
    client = loopback.boardroom("match", "client", "C1", "--wait", "--find", "3",
                                "--server", f"127.0.0.1:{port}", "--rounds", "1")
    lab.wait_for(lambda: "trying again" in waiting.stderr)
    tracker = Tracker(loopback, port=port)
    assert client.wait() in (0, 1)
    tracker.wait_servers(1)


def test_auto_follows_the_master(loopback):
    """The tracker runs at the master; the next master has its own."""
    port = lab.free_port()
    boards = [loopback.board(2), loopback.board(3)]

    def elected():
        done = loopback.run("vote", str(loopback.port), "--interface", "lo")
        found = re.search(r"on board (\S+) is the master", done.stdout)
        return found and found.group(1)

    auto = ["--server", "auto", "--interface", "lo", "--election-port", loopback.port,
            "--port", port]
    master = lab.wait_for(elected)
    trackers = {master: loopback.boardroom(
        "match", "tracker", "--address", master, "--port", port)}
    holder = loopback.boardroom("match", "server", "S1", "--number", 3, "--wait", *auto)
    lab.wait_for(lambda: '"Hello" from Server S1' in trackers[master].stdout)
    next(board for board in boards if board.address == master).kill()
    trackers[master].kill()
    other = lab.wait_for(elected)
    assert other != master
    trackers[other] = loopback.boardroom(
        "match", "tracker", "--address", other, "--port", port)
    lab.wait_for(lambda: '"Hello" from Server S1' in trackers[other].stdout,
                 what="the server at the new master")
    done = loopback.run("match", "client", "C1", "--find", "3", "--rounds", "1", *auto)
    assert done.code == 0 and results(done.stdout) == ["S1"], done.stderr
    assert holder.is_running()
