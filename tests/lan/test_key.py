"""Keys with the real program, on this machine's loopback."""

import json
import os
import select
import signal
import threading
import time

import pytest

import lab
import messages
import services
from test_serve import counters


@pytest.fixture
def keys(tmp_path):
    """Two key files."""
    place = lab.Place()
    paths = [tmp_path / name for name in ("key", "other")]
    for path in paths:
        made = place.run("keygen", path)
        assert (made.code, made.stdout, made.stderr) == (0, "", "")
    return paths


def test_keygen_makes_a_file_that_its_owner_alone_can_read(keys):
    assert os.stat(keys[0]).st_mode & 0o7777 == 0o600
    assert keys[0].read_text() != keys[1].read_text()
    again = lab.Place().run("keygen", keys[0])
    assert again.code == 4
    assert "never overwritten" in again.stderr
    assert lab.Place().run("keygen").code == 2


def test_a_key_file_that_others_can_read_is_refused(keys):
    os.chmod(keys[0], 0o640)
    for command in ("serve", "whois", "vote", "watch"):
        run = lab.Place().run(command, "--key-file", keys[0])
        assert run.code == 4, command
        assert "chmod 600" in run.stderr
        assert keys[0].read_text().split()[-1] not in run.stderr, "no key in a message"


def master(place, *options):
    run = place.run("whois", *place.options, "--timeout", "2s", *options, place.port)
    return run.code, run.stdout.strip()


def test_whois_tells_verified_unsigned_and_forged(loopback, keys):
    loopback.board(2, "--key-file", keys[0])
    # Without failover there is a master only after an election.
    held = loopback.run("vote", "--interface", "lo", "--key-file", keys[0], loopback.port)
    assert held.code == 0, held.stderr
    assert held.stdout.splitlines()[-1] == "B2 on board 127.0.0.2 is the master (verified)"
    text = "B2 on board 127.0.0.2 is the master"
    assert master(loopback) == (0, text)
    assert master(loopback, "--key-file", keys[0]) == (0, f"{text} (verified)")
    assert master(loopback, "--key-file", keys[1]) == (1, f"{text} (unsigned)")
    code, line = master(loopback, "--key-file", keys[0], "--json")
    assert code == 0 and json.loads(line)["proof"] == "verified"


def test_an_unsigned_master_is_no_master_to_who_has_a_key(loopback, keys):
    loopback.board(2)
    assert loopback.run("vote", "--interface", "lo", loopback.port).code == 0
    assert master(loopback)[0] == 0
    assert master(loopback, "--key-file", keys[0])[0] == 1


def test_who_has_no_key_calls_no_election(loopback, keys):
    loopback.board(2, "--key-file", keys[0])
    client = loopback.client()
    client.send(messages.VOTE, "127.0.0.2", loopback.port)
    client.send(messages.make_vote("127.0.0.9", 10), "127.0.0.2", loopback.port)
    assert not [one for one in client.gather(0.3) if messages.vote(one[0])]
    wrong = loopback.run("vote", "--interface", "lo", "--key-file", keys[1], loopback.port)
    assert wrong.code == 1
    assert "has this key" in wrong.stderr
    client.close()


def test_boards_without_a_key_yield_to_those_that_have_it_who_say_so_once(loopback, keys):
    options = ["--interval", "100ms"]
    keyed = [loopback.board(n, *options, "--key-file", keys[0]) for n in (2, 3)]
    others = [loopback.board(n, *options) for n in (4, 5)]
    client = loopback.client()

    def masters():
        client.send(messages.WHOIS, loopback.broadcast, loopback.port)
        found = [messages.answer(data) for data, _ in client.gather(0.1)]
        return sorted("keyed" if one[1] < "127.0.0.4" else "other" for one in found if one)

    for _ in range(3):
        lab.wait_for(lambda: masters() == ["keyed"], what="one master, with the key")
        loopback.run("vote", "--interface", "lo", loopback.port)
    for board in keyed:
        lab.wait_for(lambda: "has no key and is not believed" in board.stderr, what="the line")
    assert [board.stderr.count("has no key") for board in keyed] == [1, 1]
    assert all("key" not in board.stderr for board in others)
    client.close()


def write(path, text):
    """A key file is replaced, never half there."""
    path.write_text(text)
    path.chmod(0o600)


def test_a_lan_changes_its_key_without_a_break(loopback, keys, tmp_path):
    """Three boards with failover: each is started anew with the next key file,
    one after the other, and whoever asks is answered all the time."""
    old, new = (path.read_text() for path in keys)
    paths = {n: tmp_path / f"board-{n}" for n in (2, 3, 4)}

    def start(number, text):
        write(paths[number], text)
        return loopback.board(number, "--interval", "50ms", "--key-file", paths[number])

    boards = {n: start(n, old) for n in paths}
    asked, answered, stop = [], [], threading.Event()

    def ask():
        client = loopback.client()
        while not stop.is_set():
            asked.append(time.monotonic())
            client.send(messages.WHOIS, loopback.broadcast, loopback.port)
            for data, _ in client.gather(0.02):
                if one := messages.answer(data):
                    answered.append((time.monotonic(), one[1]))
        client.close()

    def proven(key):
        return master(loopback, "--key-file", key)

    lab.wait_for(lambda: proven(keys[0])[0] == 0, what="a master")
    thread = threading.Thread(target=ask)
    thread.start()
    try:
        write(tmp_path / "both", new + old)
        for text, key in ((old + new, keys[0]), (new + old, tmp_path / "both"),
                          (new, keys[1])):
            for number in boards:
                # A master hands over, so nobody waits for a time-out.
                assert boards[number].stop() == 0
                loopback.processes.remove(boards[number])
                boards[number] = start(number, text)
                lab.wait_for(lambda: proven(key)[0] == 0, what="a master with the key")
    finally:
        stop.set()
        thread.join()
    times = [when for when, _ in answered]
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert max(gaps) < 5, f"nobody answered for {max(gaps):.2f} s"
    assert proven(keys[0])[0] == 1, "the old key is worth nothing"
    counted = [counters(board) for board in boards.values()]
    assert all(one.get("unverified", 0) < 500 for one in counted), counted


def test_a_key_is_changed_board_by_board(loopback, keys, tmp_path):
    """Old; old and new; new and old; new: each step works with the next one."""
    old, new = (path.read_text() for path in keys)
    steps = []
    for name, text in (("1", old), ("2", old + new), ("3", new + old), ("4", new)):
        steps.append(tmp_path / name)
        steps[-1].write_text(text)
        steps[-1].chmod(0o600)
    for before, after in zip(steps, steps[1:]):
        loopback.board(2, "--key-file", before)
        loopback.board(3, "--key-file", after)
        for client in (before, after):
            def held():
                told = loopback.run("vote", "--interface", "lo", "--key-file", client, "--json",
                                    loopback.port)
                assert told.code == 0, told.stderr
                found = [json.loads(line) for line in told.stdout.splitlines()]
                assert found[-1]["proof"] == "verified"
                assert {one["address"] for one in found[:-1]} == {"127.0.0.2", "127.0.0.3"}

            # A vote that comes later than 150 ms behind the other is not shown.
            lab.one_of(5, held)
        loopback.close()


class Eve:
    """On 127.0.0.9, without the key: answers every WHOIS, and claims."""

    def __init__(self, loopback):
        self.ear = loopback.observer()
        self.own = loopback.udp("127.0.0.9", loopback.port)
        self.loopback = loopback
        self.running = True
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        claim = b"! 127.0.0.9 10".ljust(40, b"\0")
        while self.running:
            self.own.send(claim, self.loopback.broadcast, self.loopback.port)
            if not select.select([self.ear.socket], [], [], 0.05)[0]:
                continue
            data, source = self.ear.socket.recvfrom(64)
            if messages.text(data) == b"WHOIS" and source[0] != "127.0.0.9":
                self.own.send(messages.make_answer("Eve", "127.0.0.9"), *source)

    def close(self):
        self.running = False
        self.thread.join()
        self.ear.close()
        self.own.close()


@pytest.fixture
def eve(loopback):
    liar = Eve(loopback)
    yield liar
    liar.close()


def test_watch_with_a_key_shows_who_has_it(loopback, keys, eve):
    loopback.board(2, "--failover", "--key-file", keys[0])
    loopback.board(3, "--failover", "--key-file", keys[0])
    lab.wait_for(lambda: master(loopback, "--key-file", keys[0])[0] == 0, what="a master")
    watch = ["watch", "--interface", "lo", "--json", loopback.port]
    believing = loopback.boardroom(*watch, "--key-file", keys[0])
    other = loopback.boardroom(*watch, "--key-file", keys[1])
    asking = loopback.boardroom(*watch, "--ask")

    def masters(process):
        found = [json.loads(line) for line in process.stdout.splitlines()]
        return {one["address"]: one["name"] for one in found if one["event"] == "master"}

    lab.wait_for(lambda: masters(believing), what="the master's line")
    lab.wait_for(lambda: "127.0.0.9" in masters(asking), what="Eve's line")

    def votes_shown():
        """The first vote of a board that it has not met may come too early."""
        held = loopback.run("vote", "--interface", "lo", "--key-file", keys[0], loopback.port)
        assert held.code == 0, held.stderr
        time.sleep(0.5)
        return believing.stdout.count('"vote"') >= 2

    assert any(votes_shown() for _ in range(10)), believing.stdout
    assert "127.0.0.9" not in believing.stdout, believing.stdout
    assert set(masters(believing)) <= {"127.0.0.2", "127.0.0.3"}
    assert set(masters(believing).values()) <= {"B2", "B3", None}, "a claim tells no name"
    assert other.stdout == "", "nobody has that key"


def test_server_auto_with_a_key_finds_who_has_it(loopback, keys, eve):
    board = loopback.board(2, "--failover", "--key-file", keys[0])
    lab.wait_for(lambda: master(loopback, "--key-file", keys[0])[0] == 0, what="a master")
    server = services.Server(loopback, "sequence", "--address", "127.0.0.2")
    client = ["sequence", "client", "c1", "--count", 2, "--delay", "50ms", "--server", "auto",
              "--interface", "lo", "--bind-port", 0, "--port", server.port,
              "--election-port", loopback.port]
    for _ in range(5):
        done = loopback.run(*client, "--key-file", keys[0])
        assert done.code == 0, done.stderr
    assert len(server.lines()) == 10, "none of them went to Eve"
    assert loopback.run(*client, "--key-file", keys[1]).code == 1, "nobody has that key"
    # Without a key whoever answers first is the master: Eve, now that the
    # board is late.
    board.signal(signal.SIGSTOP)
    told = loopback.run(*client)
    assert "127.0.0.9" in told.stdout + told.stderr, (told.stdout, told.stderr)
    assert loopback.run(*client, "--key-file", keys[0]).code == 1, "Eve is not believed"
    assert len(server.lines()) == 10


@pytest.mark.parametrize("service", [
    ["echo", "client"], ["sequence", "client", "c1"], ["order", "client", "X", "Ann"],
    ["match", "client", "C1"], ["relay", "client", "--id", "1111111111", "--servers",
                                "127.0.0.1:9", "get"]])
def test_a_key_is_for_auto(loopback, keys, service):
    told = loopback.run(*service, "--key-file", keys[0])
    assert told.code == 2 and "--server auto" in told.stderr


def test_a_judge_takes_no_key(loopback, keys):
    for option in (["--key-file", keys[0]], ["--timeout", "1s"], ["--no-newline"]):
        told = loopback.run("judge", *option)
        assert told.code == 2 and option[0] in told.stderr


def call(place, *options):
    """Holds an election: its votes, its master's address, what it says beside."""
    held = place.run("vote", *place.options, "--json", *options, place.port)
    assert held.code == 0, held.stderr
    *votes, end = [json.loads(line) for line in held.stdout.splitlines()]
    assert end["event"] == "master"
    assert all(line["event"] == "vote" for line in votes), held.stdout
    return [(one["vote"], one["address"]) for one in votes], end["address"], held.stderr


def test_a_call_shows_its_own_rounds_votes_only(loopback, keys):
    """Boards tell a client at the election's port their vote of the moment."""
    boards = [loopback.board(n, "--failover", "--key-file", keys[0]) for n in (2, 3, 4)]
    lab.wait_for(lambda: master(loopback, "--key-file", keys[0])[0] == 0, what="a master")

    def shown():
        votes, winner, beside = call(loopback, "--key-file", keys[0])
        assert sorted(address for _, address in votes) == [one.address for one in boards], votes
        assert max(votes, key=lambda vote: messages.rank(vote))[1] == winner
        assert beside == ""

    # A vote that comes later than 150 ms behind the others is not shown.
    for _ in range(4):
        lab.one_of(5, shown)


def test_a_call_that_no_board_takes_says_so(loopback, keys):
    """Without the key nothing is elected: the master is that of an earlier election."""
    loopback.board(2, "--key-file", keys[0])
    loopback.board(3, "--key-file", keys[0])

    def held():
        votes, elected, _ = call(loopback, "--key-file", keys[0])
        assert len(votes) == 2
        return elected

    elected = lab.one_of(5, held)
    for _ in range(2):
        votes, winner, beside = call(loopback)
        assert (votes, winner) == ([], elected)
        assert beside.count("\n") == 1 and "no vote" in beside and "--key-file" in beside
