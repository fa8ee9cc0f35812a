"""`whois` and `vote` against boards that are played by the test."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time

import pytest

import lab
import messages
from messages import make_answer, make_vote


class Stage(threading.Thread):
    """Hears what a client asks and has `play(text, source)` answer. With `still`
    the client stands still meanwhile: what is sent to it comes all at once."""

    def __init__(self, place, play, address=None, still=False):
        super().__init__(daemon=True)
        self.place, self.still = place, still
        self.udp = place.udp(address or place.broadcast, place.port, shared=address is None)
        self.asked, self.play, self.stopping = [], play, False
        self.start()

    def run(self):
        while not self.stopping:
            one = self.udp.receive(0.02)
            if one is not None and one[0].startswith((b"WHOIS", b"VOTE")):
                self.asked.append((time.monotonic(), *one))
                with lab.standing_still(self.client()) if self.still else contextlib.nullcontext():
                    self.play(messages.text(one[0]), one[1])

    def client(self):
        return lab.wait_for(lambda: self.place.processes, what="the client")[-1]

    def stop(self):
        self.stopping = True
        self.join()
        self.udp.close()


@pytest.fixture
def voices(loopback):
    """Sockets on 127.0.0.2 to 127.0.0.6, the election's port: where fakes speak from."""
    made = {n: loopback.udp(f"127.0.0.{n}", loopback.port) for n in range(2, 7)}
    yield made
    for one in made.values():
        one.close()


@pytest.fixture
def stage(loopback, voices):
    """stage(play): what is asked on the loopback is answered by play(text, source)."""
    made = []

    def make(play, **options):
        made.append(Stage(loopback, play, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def ask(place, command, *options, **more):
    return place.run(command, place.port, "--interface", "lo", *options, **more)


def test_whois_prints_the_answer_and_listens_200_ms(loopback, stage, voices):
    heard = stage(lambda text, source: voices[2].send(
        make_answer("Peter", "127.0.0.2"), *source))
    began = time.monotonic()
    asked = ask(loopback, "whois", "--timeout", "60s")
    took = time.monotonic() - began
    assert (asked.code, asked.stdout, asked.stderr) == (
        0, "Peter on board 127.0.0.2 is the master\n", "")
    assert 0.2 <= took < 30, "not the 60 s that it waits for a first answer"
    assert [data for _, data, _ in heard.asked] == [messages.WHOIS], "asked once, 40 bytes"


def test_whois_prints_the_first_answer_before_it_listens_on(loopback, stage, voices):
    stage(lambda text, source: voices[2].send(make_answer("Peter", "127.0.0.2"), *source))

    def printed_first():
        with subprocess.Popen([lab.program(), "whois", str(loopback.port), "--interface", "lo"],
                              stdout=subprocess.PIPE) as process:
            first = process.stdout.readline()
            printed = time.monotonic()
            assert process.wait(lab.LONG) == 0
        assert first == b"Peter on board 127.0.0.2 is the master\n"
        assert time.monotonic() - printed > 0.15, "printed at once, not at the end"

    # Who reads late has seen less of the 200 ms.
    lab.one_of(20, printed_first)


def test_whois_says_that_nobody_is_there(loopback, stage):
    heard = stage(lambda text, source: None)
    began = time.monotonic()
    asked = ask(loopback, "whois")
    assert time.monotonic() - began >= 1.2
    assert (asked.code, asked.stdout) == (1, "")
    assert "nobody is the master" in asked.stderr and asked.stderr.count("\n") == 1
    lab.wait_for(lambda: heard.asked, what="the stage to hear it")
    assert len(heard.asked) <= 3, "asked again in silence, but not for ever"


def test_whois_time_out_is_told(loopback):
    def asked(told):
        began = time.monotonic()
        assert ask(loopback, "whois", "--timeout", told).code == 1
        return time.monotonic() - began

    assert min(asked("50ms") for _ in range(10)) < 1.0, "untold it is 1.2 s"
    assert asked("2s") >= 2


@pytest.mark.parametrize("command", ["whois", "vote"])
def test_two_masters_are_exit_code_3(loopback, stage, voices, command):
    def play(text, source):
        if text == b"WHOIS":
            voices[2].send(make_answer("Peter", "127.0.0.2"), *source)
            voices[3].send(make_answer("Paul", "127.0.0.3"), *source)
    stage(play, still=True)
    asked = ask(loopback, command, "--timeout", "20s")
    assert asked.code == 3
    assert sorted(asked.stdout.splitlines()) == [
        "Paul on board 127.0.0.3 is the master", "Peter on board 127.0.0.2 is the master"]
    assert "more than one" in asked.stderr


def test_the_same_answer_twice_is_one_master(loopback, stage, voices):
    def play(text, source):
        for _ in range(2):
            voices[2].send(make_answer("Peter", "127.0.0.2"), *source)
    stage(play, still=True)
    asked = ask(loopback, "whois", "--timeout", "20s")
    assert (asked.code, asked.stdout.count("\n")) == (0, 1)


def test_a_second_master_is_waited_for_200_ms_and_no_longer(loopback, stage, voices):
    def play(text, source):
        voices[2].send(make_answer("Peter", "127.0.0.2"), *source)
        time.sleep(0.1)
        voices[3].send(make_answer("Paul", "127.0.0.3"), *source)
        time.sleep(0.4)
        voices[4].send(make_answer("Late", "127.0.0.4"), *source)
    stage(play)

    def heard():
        asked = ask(loopback, "whois")
        assert asked.code == 3
        assert "Late" not in asked.stdout
        # The stage plays to its end before the next one asks.
        time.sleep(0.6)

    # On a busy machine the second comes late, or is read late.
    lab.one_of(20, heard)


def test_old_programs_answers_are_read(loopback, stage, voices):
    forms = [
        make_answer("Old", "127.0.0.2", pad=0),
        make_answer("Old", "127.0.0.2", pad=256),
        b"Old on board 127.0.0.2 is the master\n\0garbage behind",
        b"Old on 127.0.0.2 is the master\r\n",
        make_answer("Old and with a very long name", "127.0.0.2", pad=256),
    ]
    stage(lambda text, source: voices[2].send(form, *source))
    for form in forms:
        asked = ask(loopback, "whois", "--timeout", "20s")
        assert (asked.code, asked.stdout.startswith("Old")) == (0, True), form


def test_junk_for_an_answer_is_no_answer_and_harms_no_terminal(loopback, stage, voices):
    def play(text, source):
        for junk in (b"", b"\0" * 40, b"WHOIS", b"is the master", b"\x1b[2J" * 300,
                     b"Nobody on board 300.0.0.1 is the master", b"! 127.0.0.2 7"):
            voices[2].send(junk, *source)
        voices[3].send(b"\x1b[2J\x07Eve on board 127.0.0.3 is the master", *source)
    stage(play)
    asked = ask(loopback, "whois", "--timeout", "20s")
    assert asked.code == 0
    assert asked.stdout.count("\n") == 1 and "\x1b" not in asked.stdout


def test_json(loopback, stage, voices):
    def play(text, source):
        if text == b"VOTE":
            voices[2].send(make_vote("127.0.0.2", 7), loopback.broadcast, loopback.port)
        else:
            voices[2].send(make_answer('P"t\\r', "127.0.0.2"), *source)
    stage(play)
    asked = ask(loopback, "whois", "--json", "--timeout", "20s")
    assert json.loads(asked.stdout) == {
        "event": "master", "address": "127.0.0.2", "name": 'P"t\\r'}

    def held():
        told = ask(loopback, "vote", "--json", "--timeout", "20s")
        assert [json.loads(line) for line in told.stdout.splitlines()] == [
            {"event": "vote", "address": "127.0.0.2", "vote": 7},
            {"event": "master", "address": "127.0.0.2", "name": 'P"t\\r'}]

    lab.one_of(5, held)


def test_vote_shows_each_vote_as_it_comes_and_then_the_master(loopback, stage, voices):
    def play(text, source):
        if text == b"VOTE":
            for number, vote in ((2, 7), (3, 10), (4, 10)):
                voices[number].send(make_vote(f"127.0.0.{number}", vote),
                                    loopback.broadcast, loopback.port)
        else:
            voices[4].send(make_answer("Four", "127.0.0.4"), *source)
    heard = stage(play, still=True)

    def shown():
        """A first vote is waited for 400 ms, the stage's too."""
        heard.asked.clear()
        held = ask(loopback, "vote", "--timeout", "20s")
        assert held.code == 0
        assert held.stdout.splitlines() == [
            "127.0.0.2 votes 7", "127.0.0.3 votes 10", "127.0.0.4 votes 10",
            "Four on board 127.0.0.4 is the master"]
        assert [data for _, data, _ in heard.asked] == [messages.VOTE, messages.WHOIS]
        assert {source[1] for _, _, source in heard.asked} == {loopback.port}, (
            "VOTE comes from the election's port")

    lab.one_of(5, shown)


def test_vote_hears_old_programs_that_answer_the_asker(loopback, stage, voices):
    """They send the vote to the asker's port, broadcast or not."""
    def play(text, source):
        if text == b"VOTE":
            voices[2].send(make_vote("127.0.0.2", 3, pad=0), *source)
            voices[3].send(make_vote("127.0.0.3", 4, pad=50), loopback.broadcast, source[1])
    stage(play, still=True)

    def heard():
        held = ask(loopback, "vote", "--timeout", "100ms")
        assert sorted(held.stdout.splitlines()) == ["127.0.0.2 votes 3", "127.0.0.3 votes 4"]
        assert held.code == 1
        assert "nobody says that it is the master" in held.stderr

    lab.one_of(5, heard)


def test_vote_works_where_the_port_belongs_to_a_board(loopback, stage, voices):
    def play(text, source):
        if text == b"VOTE":
            voices[2].send(make_vote("127.0.0.2", 3), loopback.broadcast, loopback.port)
        else:
            voices[2].send(make_answer("Two", "127.0.0.2"), *source)
    heard = stage(play)
    here = loopback.udp("127.0.0.1", loopback.port)

    def shown():
        heard.asked.clear()
        held = ask(loopback, "vote", "--timeout", "20s")
        assert held.stdout.splitlines() == [
            "127.0.0.2 votes 3", "Two on board 127.0.0.2 is the master"]
        assert heard.asked[0][2][1] != loopback.port

    lab.one_of(5, shown)
    here.close()


def test_vote_says_that_nobody_votes(loopback, stage):
    heard = stage(lambda text, source: None)
    held = ask(loopback, "vote", "--timeout", "200ms")
    assert (held.code, held.stdout) == (1, "")
    assert "nobody votes" in held.stderr
    lab.wait_for(lambda: heard.asked[-1:] and heard.asked[-1][1].startswith(b"WHOIS"),
                 what="the stage to hear it")
    calls = [data for _, data, _ in heard.asked if data.startswith(b"VOTE")]
    assert len(calls) == 1, "a call is never repeated: that would be a second election"


def test_a_flood_of_votes_ends_too(loopback, stage, voices):
    stopping = threading.Event()

    def flood():
        n = 0
        while not stopping.is_set():
            n += 1
            voices[2].send(make_vote(f"11.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}", 5),
                           loopback.broadcast, loopback.port)
    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    try:
        ask(loopback, "vote", "--timeout", "300ms")
    finally:
        stopping.set()
        thread.join()


def test_no_newline(loopback, stage):
    heard = stage(lambda text, source: None)
    ask(loopback, "vote", "--no-newline", "--timeout", "20ms")
    lab.wait_for(lambda: len(heard.asked) >= 2, what="the stage to hear it")
    sent = {data for _, data, _ in heard.asked}
    assert sent == {b"VOTE".ljust(40, b"\0"), b"WHOIS".ljust(40, b"\0")}


@pytest.mark.parametrize("with_port", [True, False])
def test_to_asks_one_address_only(loopback, stage, voices, with_port):
    def play(text, source):
        voices[3].send(make_answer("Three", "127.0.0.3"), *source)
    voices[3].close()
    voices.pop(3)
    alone = stage(play, address="127.0.0.3")
    voices[3] = alone.udp
    everybody = stage(lambda text, source: None)
    options = (["--to", f"127.0.0.3:{loopback.port}"] if with_port
               else ["--to", "127.0.0.3", "--port", loopback.port])
    asked = loopback.run("whois", *options, "--timeout", "60s")
    assert asked.stdout == "Three on board 127.0.0.3 is the master\n"
    assert len(alone.asked) == 1 and not everybody.asked


def test_to_a_closed_port_is_nobody(loopback):
    asked = loopback.run("whois", "--to", f"127.0.0.9:{loopback.port}", "--timeout", "100ms")
    assert asked.code == 1
    assert "nobody is the master" in asked.stderr


def test_a_closed_standard_output_ends_it(loopback, stage, voices):
    stage(lambda text, source: voices[2].send(make_answer("Two", "127.0.0.2"), *source))
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen(
        [lab.program(), "whois", str(loopback.port), "--interface", "lo"],
        stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert process.wait(lab.LONG) == 4
    assert not process.stderr.read(), "who has read enough need not be told"


@pytest.mark.parametrize("arguments", [["--help"], ["match", "run", "-n", "2"]])
def test_a_full_disk_is_told(arguments):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([lab.program(), *arguments], stdout=full, stderr=subprocess.PIPE,
                              timeout=60, check=False)
    assert done.returncode == 4
    assert b"standard output: No space left" in done.stderr


def test_ctrl_c_ends_a_question(loopback):
    observer = loopback.observer()
    process = loopback.boardroom("whois", loopback.port, "--interface", "lo", "--timeout", "600s")
    assert observer.receive(lab.LONG), "it asks"
    process.signal(signal.SIGINT)
    assert process.wait() in (130, -signal.SIGINT)
    observer.close()


@pytest.mark.parametrize("command", ["whois", "vote"])
@pytest.mark.parametrize("arguments, words", [
    (["0"], "1 to 65535"),
    (["70000"], "1 to 65535"),
    (["-5"], "-5"),
    (["two"], "1 to 65535"),
    (["--port", "0"], "1 to 65535"),
    (["--port"], "missing"),
    (["2000", "2001"], "2001"),
    (["--timeout", "0s"], "--timeout"),
    (["--timeout", "soon"], "--timeout"),
    (["--to", "10.3.52"], "--to"),
    (["--to", "board2"], "--to"),
    (["--to", "127.0.0.2", "--interface", "lo"], "--interface"),
    (["--loud"], "--loud"),
    (["--json=yes"], "--json"),
])
def test_a_wrong_command_line_is_exit_code_2_and_one_line(loopback, command, arguments, words):
    asked = loopback.run(command, *arguments)
    assert asked.code == 2
    assert asked.stdout == ""
    assert asked.stderr.startswith("boardroom: ") and asked.stderr.count("\n") == 1
    assert words in asked.stderr


@pytest.mark.parametrize("command", ["whois", "vote"])
def test_an_unknown_interface_is_exit_code_4(loopback, command):
    asked = loopback.run(command, "--interface", "br-none0")
    assert asked.code == 4
    assert "br-none0" in asked.stderr and asked.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["whois", "vote"])
def test_help_is_on_standard_output(loopback, command):
    told = loopback.run(command, "--help")
    assert told.code == 0 and told.stderr == ""
    assert told.stdout.startswith(f"Usage: boardroom {command}")
    assert all(len(line) < 80 for line in told.stdout.splitlines())


def test_without_a_network_a_client_says_so(make_lan):
    host, = make_lan([2], addresses=False).hosts
    asked = host.run("whois")
    assert asked.code == 4
    assert "--interface" in asked.stderr and asked.stderr.count("\n") == 1


def test_a_client_on_two_networks_asks_on_both(make_lan):
    lan = make_lan([2, 250])
    board, client = lan.hosts
    client.ip("link", "add", "eth1", "type", "veth", "peer", "name", "nowhere")
    client.ip("addr", "add", "10.9.9.1/24", "brd", "10.9.9.255", "dev", "eth1")
    client.ip("link", "set", "eth1", "up")
    client.ip("link", "set", "nowhere", "up")
    own = board.client(port=0)
    heard = Stage(board, lambda text, source: own.send(
        make_answer("Two", board.address), *source))
    elsewhere = client.udp("10.9.9.255", client.port, shared=True)
    try:
        assert client.run("whois", "--timeout", "60s").stdout == (
            "Two on board 10.3.52.2 is the master\n")
        assert elsewhere.receive(lab.LONG) is not None
        assert client.run("whois", "--interface", "eth1", "--timeout", "50ms").code == 1
        assert len(heard.asked) == 1
    finally:
        heard.stop()
