"""`watch`: a table on a terminal, lines elsewhere; it only listens."""

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time

import pytest

import lab
import messages
from messages import make_answer, make_vote


class Terminal:
    """A pseudo-terminal with `watch` on it, and what its screen shows."""

    def __init__(self, place, columns, rows, *options, env=None):
        self.master, slave = pty.openpty()
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.resize(columns, rows)
        self.process = subprocess.Popen(
            [lab.program(), "watch", str(place.port), "--interface", "lo", *options],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**os.environ, "TERM": "xterm", **(env or {})},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.output = b""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            if not data:
                return
            self.output += data

    def resize(self, columns, rows):
        self.columns, self.rows = columns, rows
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def frames(self):
        text = self.output.decode(errors="replace")
        return text.split("\x1b[H")[1:]

    def screen(self):
        """The lines of the last whole frame, without styles."""
        whole = [frame for frame in self.frames() if "\x1b[J" in frame]
        if not whole:
            return []
        frame = whole[-1].split("\x1b[J")[0]
        return [re.sub(r"\x1b\[[0-9;]*[a-zA-Z]", "", line).rstrip()
                for line in frame.split("\r\n")]

    def wait_for(self, words, seconds=lab.LONG):
        lab.wait_for(lambda: any(words in line for line in self.screen()), seconds,
                     f"{words!r} on the screen")

    def press(self, keys):
        os.write(self.master, keys)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def on_terminal(loopback):
    made = []

    def make(*arguments, **options):
        made.append(Terminal(loopback, *arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def voices(loopback):
    made = {n: loopback.udp(f"127.0.0.{n}", loopback.port) for n in range(2, 7)}
    yield made
    for one in made.values():
        one.close()


def hold(loopback, voices, votes):
    client = loopback.client()
    client.send(messages.VOTE, loopback.broadcast, loopback.port)
    for number, vote in votes.items():
        voices[number].send(make_vote(f"127.0.0.{number}", vote), loopback.broadcast,
                            loopback.port)
    client.close()


def start_lines(loopback, *options):
    process = loopback.boardroom("watch", loopback.port, "--interface", "lo", *options)
    lab.wait_for(lambda: (loopback.broadcast, loopback.port) in process.udp_sockets(),
                 what="watch to listen")
    return process


def test_where_there_is_no_terminal_it_prints_a_line_each(loopback, voices):
    watch = start_lines(loopback)
    hold(loopback, voices, {2: 7, 3: 9})
    voices[3].send(make_answer("Three", "127.0.0.3"), loopback.broadcast, loopback.port)
    lines = lab.wait_for(lambda: len(watch.stdout.splitlines()) == 4 and watch.stdout.splitlines())
    assert [re.sub(r"^ *\d+\.\d{3}  ", "", line) for line in lines] == [
        "127.0.0.1 calls an election", "127.0.0.2 votes 7", "127.0.0.3 votes 9",
        "Three on 127.0.0.3 is the master"]
    watch.signal(signal.SIGTERM)
    assert watch.wait() == 0
    assert watch.stderr == ""


def test_json_is_an_object_a_line(loopback, voices):
    watch = start_lines(loopback, "--json")
    hold(loopback, voices, {2: 7})
    voices[3].send(make_answer('T"\x1b', "127.0.0.3"), loopback.broadcast, loopback.port)
    voices[2].send(b"- 127.0.0.2".ljust(40, b"\0"), loopback.broadcast, loopback.port)
    lab.wait_for(lambda: watch.stdout.count("\n") == 4, what="four lines")
    events = [json.loads(line) for line in watch.stdout.splitlines()]
    assert all(0 <= event.pop("at") < 60 for event in events)
    assert events == [
        {"event": "call", "from": "127.0.0.1"},
        {"event": "vote", "address": "127.0.0.2", "vote": 7, "epoch": None},
        {"event": "master", "address": "127.0.0.3", "name": 'T"\ufffd'},
        {"event": "resigned", "address": "127.0.0.2"}]


def test_it_only_listens(loopback, voices):
    observer = loopback.observer()
    start_lines(loopback)
    hold(loopback, voices, {2: 7, 3: 9})
    time.sleep(2.5)
    assert {messages.text(data)[:2] for data, _ in observer.drain()} == {b"VO", b"# "}
    assert all(voice.drain() == [] for voice in voices.values())


def test_asked_to_it_asks_and_names_the_master(loopback, voices):
    observer, began = loopback.observer(), time.monotonic()
    watch = start_lines(loopback, "--ask")
    data, source = observer.receive(lab.LONG)
    assert data == messages.WHOIS
    voices[3].send(make_answer("Three", "127.0.0.3"), *source)
    lab.wait_for(lambda: "Three on 127.0.0.3 is the master" in watch.stdout)
    assert observer.receive(lab.LONG)[0] == messages.WHOIS
    assert time.monotonic() - began > 2, "every 2 s"


@pytest.mark.parametrize("columns, rows", [(80, 24), (40, 15), (20, 5), (200, 60)])
def test_the_table_fits_the_terminal(loopback, voices, on_terminal, columns, rows):
    terminal = on_terminal(columns, rows)
    lab.wait_for(terminal.screen)
    hold(loopback, voices, {2: 7, 3: 9, 4: 9, 5: 1, 6: 10})
    if rows > 10:
        for number in range(2, 7):
            terminal.wait_for(f"127.0.0.{number} ")
        terminal.wait_for("leading")
        voices[6].send(make_answer("Six", "127.0.0.6"), loopback.broadcast, loopback.port)
        terminal.wait_for("Six on 127.0.0.6 is the master.")
        first_row = next(line for line in terminal.screen() if "127.0.0.6  " in line)
        assert first_row.startswith("* ") and " master " in first_row
    time.sleep(0.3)
    screen = terminal.screen()
    assert len(screen) <= rows
    assert max(map(len, screen)) < columns
    if rows > 6:
        assert screen[-1] == "q ends" and len(screen) == rows


def test_a_resize_is_followed(loopback, voices, on_terminal):
    terminal = on_terminal(80, 24)
    hold(loopback, voices, {2: 7, 3: 9})
    terminal.wait_for("EPOCH")
    for columns, rows in ((40, 15), (100, 40), (10, 3), (40, 15)):
        terminal.resize(columns, rows)
        lab.wait_for(lambda: len(terminal.screen()) <= rows
                     and max(map(len, terminal.screen())) < columns, what="the new size")
    assert "EPOCH" not in "".join(terminal.screen())
    assert terminal.process.poll() is None


@pytest.mark.parametrize("how", ["q", "SIGTERM", "SIGINT", "^C"])
def test_the_terminal_is_left_as_it_was(loopback, on_terminal, how):
    terminal = on_terminal(80, 24)
    lab.wait_for(terminal.screen)
    assert termios.tcgetattr(terminal.slave) != terminal.before, "no echo while it runs"
    if how.startswith("SIG"):
        terminal.process.send_signal(getattr(signal, how))
    else:
        terminal.press(b"\x03" if how == "^C" else b"q")
    assert terminal.process.wait(lab.LONG) == 0
    assert termios.tcgetattr(terminal.slave) == terminal.before
    lab.wait_for(lambda: terminal.output.endswith(b"\x1b[?25h\x1b[?1049l"), what="the end")


def test_other_keys_do_nothing(loopback, on_terminal):
    terminal = on_terminal(80, 24)
    lab.wait_for(terminal.screen)
    terminal.press(b"abc\x1b[A \n" * 50)
    time.sleep(0.2)
    assert terminal.process.poll() is None


def test_ctrl_z_gives_the_terminal_back_and_fg_takes_it_again(loopback, on_terminal):
    terminal = on_terminal(80, 24)
    lab.wait_for(terminal.screen)

    def stopped():
        return open(f"/proc/{terminal.process.pid}/stat").read().rsplit(")", 1)[1].split()[0] == "T"
    terminal.process.send_signal(signal.SIGTSTP)
    lab.wait_for(stopped, what="it to stop")
    assert termios.tcgetattr(terminal.slave) == terminal.before
    frames = len(terminal.frames())
    terminal.process.send_signal(signal.SIGCONT)
    lab.wait_for(lambda: len(terminal.frames()) > frames, what="a new frame")
    assert termios.tcgetattr(terminal.slave) != terminal.before


def test_a_flood_is_drawn_ten_times_a_second_at_most(loopback, voices, on_terminal):
    terminal = on_terminal(80, 24)
    lab.wait_for(terminal.screen)
    frames, began, sent = len(terminal.frames()), time.monotonic(), 0
    while time.monotonic() - began < 2:
        sent += 1
        voices[2].send(make_vote(f"11.0.{sent >> 8 & 255}.{sent & 255}", 1 + sent % 10),
                       loopback.broadcast, loopback.port)
        if sent % 100 == 0:
            time.sleep(0.001)
    drawn = len(terminal.frames()) - frames
    # A busy machine may draw less often.
    assert 2 <= drawn <= 10 * (time.monotonic() - began) + 5, drawn
    terminal.press(b"q")
    assert terminal.process.wait(lab.LONG) == 0


def test_a_terminal_that_does_not_read_stops_nothing(loopback, voices):
    """The other end of the terminal sleeps; `watch` goes on and ends when asked."""
    master, slave = pty.openpty()
    # Large frames, so that the terminal's buffer is full soon.
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 100, 250, 0, 0))
    process = subprocess.Popen(
        [lab.program(), "watch", str(loopback.port), "--interface", "lo"],
        stdin=slave, stdout=slave, stderr=subprocess.DEVNULL, env={**os.environ, "TERM": "xterm"})
    try:
        for n in range(90):
            voices[2].send(make_vote(f"11.0.0.{n + 1}", 5), loopback.broadcast, loopback.port)
        for _ in range(100):
            time.sleep(0.005)
            process.send_signal(signal.SIGWINCH)  # drawn anew at once
        process.send_signal(signal.SIGTERM)
        assert process.wait(lab.LONG) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)


def test_no_color_means_no_styles(loopback, voices, on_terminal):
    for env, styled in (({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)):
        terminal = on_terminal(80, 24, env=env)
        terminal.wait_for("ADDRESS")
        assert (b"\x1b[1m" in terminal.output) is styled
        terminal.press(b"q")
        terminal.process.wait(lab.LONG)


def test_a_dumb_terminal_gets_lines(loopback, voices, on_terminal):
    terminal = on_terminal(80, 24, env={"TERM": "dumb"})

    def shown():
        hold(loopback, voices, {2: 7})
        return b"127.0.0.2 votes 7" in terminal.output

    lab.wait_for(shown)
    assert b"\x1b" not in terminal.output


def test_a_reader_that_went_ends_it(loopback, voices):
    read, write = os.pipe()
    process = subprocess.Popen(
        [lab.program(), "watch", str(loopback.port), "--interface", "lo"], stdout=write)
    os.close(write)
    os.close(read)

    def ended():
        hold(loopback, voices, {2: 7})
        return process.poll() is not None

    lab.wait_for(ended, what="its end")
    assert process.returncode == 0


@pytest.mark.parametrize("arguments, code, words", [
    (["0"], 2, "1 to 65535"),
    (["2000", "2001"], 2, "2001"),
    (["--timeout", "1s"], 2, "--timeout"),
    (["--interface", "br-none0"], 4, "br-none0"),
])
def test_a_wrong_command_line(loopback, arguments, code, words):
    told = loopback.run("watch", *arguments)
    assert told.code == code and told.stdout == ""
    assert words in told.stderr and told.stderr.count("\n") == 1


def test_a_port_that_is_not_shared_is_exit_code_4(loopback):
    other = loopback.udp("0.0.0.0", loopback.port)
    told = loopback.run("watch", loopback.port, "--interface", "lo")
    assert told.code == 4 and str(loopback.port) in told.stderr
    other.close()


def test_without_file_descriptors_it_says_so_and_ends(loopback):
    """At whichever step they run out."""
    ended = 0
    for limit in range(3, 8):
        watch = loopback.start(["sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh",
                                lab.program(), "watch", loopback.port, *loopback.options])
        lab.wait_for(lambda: not watch.is_running()
                     or (loopback.broadcast, loopback.port) in watch.udp_sockets(watch.inodes()),
                     what="its end, or that it listens")
        if not watch.is_running():
            code = watch.wait()
            assert code != 0 and watch.stderr, f"{limit} descriptors: {code}, {watch.stderr}"
            ended += 1
        watch.stop()
    assert ended
