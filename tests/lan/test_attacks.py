"""What goes wrong on a board's own machine: no descriptors, no room on the
disk, files that are none, a firewall."""

import os
import resource
import signal
import socket
import subprocess
import time

import pytest

import lab
import messages
from lab import wait_for


def whois(loopback, address):
    """The answer of the board at `address`."""
    client = loopback.client()
    client.send(messages.WHOIS, address, loopback.port)
    answer = client.receive(lab.LONG)
    client.close()
    return answer and messages.answer(answer[0])


def elect(loopback):
    loopback.run("vote", loopback.port, "--interface", "lo")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 KiB."""
    if os.geteuid() != 0:
        pytest.skip("a disk of its own needs root")
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", place])
    if done.returncode != 0:
        pytest.skip("no tmpfs can be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def descriptors(board):
    """How many it has open, once it opens and closes none any more."""
    def count():
        return len(os.listdir(f"/proc/{board.pid}/fd"))

    def stays():
        found = [count()]
        for _ in range(10):
            time.sleep(0.05)
            found.append(count())
        return len(set(found)) == 1 and found[0]

    return wait_for(stays, what="it to be ready")


def fill(disk):
    """Leaves no room on it; the file that takes it."""
    ballast = disk / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return ballast


def test_a_board_without_descriptors_turns_its_local_clients_away(loopback, tmp_path):
    path = tmp_path / "control"
    board = loopback.board(2, "--control", path)
    board.wait_control(path)
    count = descriptors(board)
    many, hard = resource.prlimit(board.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(board.pid, resource.RLIMIT_NOFILE, (count, hard))
    clients = []
    for _ in range(3):
        clients.append(socket.socket(socket.AF_UNIX))
        clients[-1].settimeout(lab.LONG)
        clients[-1].connect(str(path))
        assert clients[-1].recv(1) == b"", "closed, not left to wait"
    before = board.cpu_seconds()
    time.sleep(1)
    # Some descriptors' worth of work, on a slow machine too; who spins takes all.
    assert board.cpu_seconds() - before < 0.2, "it does not spin"
    elect(loopback)
    assert whois(loopback, board.address) == ("B2", board.address)
    resource.prlimit(board.pid, resource.RLIMIT_NOFILE, (many, hard))
    assert loopback.run("status", "--control", path).code == 0


def test_a_record_that_cannot_be_written_is_told_once(loopback):
    board = loopback.board(2, "--record", "/dev/full")
    elect(loopback)
    wait_for(lambda: "record" in board.stderr, what="the line")
    elect(loopback)
    assert whois(loopback, board.address) == ("B2", board.address)
    assert board.stderr.count("No space left") == 1, board.stderr


def test_a_record_into_a_pipe_holds_nothing_up(loopback, tmp_path):
    """Neither one without a reader, nor one whose reader sleeps."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    arguments = ("serve", loopback.port, "--interface", "lo", "--address", "127.0.0.2",
                 "--record", pipe)
    nobody = loopback.run(*arguments)
    assert nobody.code == 4 and "--record" in nobody.stderr
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    board = loopback.board(2, "--record", pipe)
    client = loopback.client()
    for _ in range(2_000):
        client.send(messages.WHOIS, board.address, loopback.port)
        time.sleep(0.0002)
    elect(loopback)
    assert whois(loopback, board.address) == ("B2", board.address)
    os.close(reader)
    assert board.stop() == 0


def test_a_log_on_a_full_disk_goes_on_when_there_is_room(loopback, small_disk):
    log = open(small_disk / "log", "ab", buffering=0)
    arguments = [lab.program(), "serve", str(loopback.port), "--interface", "lo",
                 "--address", "127.0.0.2", "--name", "B2"]
    board = subprocess.Popen(arguments, stderr=log, preexec_fn=loopback.enter_child)
    try:
        wait_for(lambda: b"UDP port" in (small_disk / "log").read_bytes(), what="a line")
        # The log's own page is full as well.
        log.write(b"x" * (4_095 - os.fstat(log.fileno()).st_size) + b"\n")
        ballast = fill(small_disk)
        for _ in range(3):
            elect(loopback)
        assert whois(loopback, "127.0.0.2") == ("B2", "127.0.0.2")
        assert os.fstat(log.fileno()).st_size == 4_096
        ballast.unlink()

        def told():
            """A line a second, of each kind."""
            elect(loopback)
            text = (small_disk / "log").read_bytes()[4_096:].decode()
            return "lines dropped" in text and "round" in text

        wait_for(told, what="lines where there is room")
    finally:
        board.kill()
        board.wait()
        log.close()


def test_a_firewall_that_refuses_what_is_sent_ends_no_board(make_lan):
    hosts = make_lan([2, 3]).hosts
    boards = [host.board("--interval", "100ms") for host in hosts]
    observer = hosts[0].observer()
    wait_for(lambda: any(data.startswith(b"!") for data, _ in observer.drain()), what="a claim")
    time.sleep(0.3)
    for host in hosts:
        lab.run("ip", "netns", "exec", host.namespace, "nft", "-f", "-", batch=(
            "table ip cut { chain out { type filter hook output priority 0; drop\n}\n}\n"))
    for board in boards:
        wait_for(lambda board=board: "cannot send" in board.stderr, what="the line")
    time.sleep(0.3)
    assert all(board.is_running() for board in boards), [board.stderr for board in boards]
    for host in hosts:
        lab.run("ip", "netns", "exec", host.namespace, "nft", "delete", "table", "ip", "cut")
    observer.drain()
    wait_for(lambda: any(data.startswith(b"!") for data, _ in observer.drain()), what="a claim")


def test_a_hook_that_finds_no_room_to_run_is_run_when_there_is(loopback, tmp_path):
    hook, said = tmp_path / "hook", tmp_path / "said"
    hook.write_text(f"#!/bin/sh\necho $1 >> {said}\n")
    hook.chmod(0o755)
    said.touch()
    board = loopback.board(2, "--on-change", hook)
    wait_for(lambda: said.read_text() == "slave\n", what="the first run")
    many, hard = resource.prlimit(board.pid, resource.RLIMIT_NOFILE)
    count = descriptors(board)
    resource.prlimit(board.pid, resource.RLIMIT_NOFILE, (count, hard))
    elect(loopback)
    wait_for(lambda: f"the hook {hook}: " in board.stderr, what="the line")
    time.sleep(1.2)
    assert board.stderr.count(f"the hook {hook}: ") == 1, board.stderr
    assert "os error" not in board.stderr, "in words"
    resource.prlimit(board.pid, resource.RLIMIT_NOFILE, (many, hard))
    wait_for(lambda: said.read_text() == "slave\nmaster\n", what="the run")
    resource.prlimit(board.pid, resource.RLIMIT_NOFILE, (count, hard))

    def ended():
        board.signal(signal.SIGTERM)
        return not board.is_running()

    # Signals that come at once are one. After the first it tries for 30 s.
    wait_for(ended, 15, what="its end: a second signal would not count")
    assert board.wait() == 0, "it may be ended all the same"


def test_who_watches_keeps_nobody_from_asking(loopback, tmp_path):
    path = tmp_path / "control"
    loopback.board(2, "--control", path).wait_control(path)
    watchers = []
    for _ in range(12):
        watchers.append(socket.socket(socket.AF_UNIX))
        watchers[-1].settimeout(lab.LONG)
        watchers[-1].connect(str(path))
        watchers[-1].sendall(b"watch\n")
        # Who comes later is heard later: this one is known now.
        assert loopback.run("status", "--control", path).code == 0
    assert watchers[-1].recv(100).startswith(b"error: "), "told, not left to wait"
    asked = loopback.run("status", "--control", path)
    assert asked.code == 0, asked.stderr
    elect(loopback)
    assert watchers[0].recv(100).startswith(b"master"), "who watched first goes on"
