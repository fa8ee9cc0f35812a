"""`serve` refuses a command line that cannot work: exit code 2 or 4, one line
that says what to do."""

import os
import subprocess

import pytest

import lab


def refused(place, *arguments, code):
    told = place.run("serve", *arguments)
    assert told.code == code, (told.code, told.stderr)
    assert told.stdout == ""
    assert told.stderr.startswith("boardroom: ") and told.stderr.count("\n") == 1, told.stderr
    return told.stderr


@pytest.mark.parametrize("arguments, words", [
    (["0"], "1 to 65535"),
    (["70000"], "1 to 65535"),
    (["two thousand"], "1 to 65535"),
    (["--port", "-1"], "1 to 65535"),
    (["2000", "2001"], "2001"),
    (["--name", "x" * 60], "--name"),
    (["--name", "a\nb"], "--name"),
    (["--name", "\x1b[31mred"], "--name"),
    (["--name", ""], "--name"),
    (["--address", "10.3.52"], "--address"),
    (["--address", "board2"], "--address"),
    (["--answer", "perhaps"], "--answer"),
    (["--no-such-option"], "--no-such-option"),
    (["--strict=very"], "--strict"),
])
def test_wrong_usage_is_exit_code_2(loopback, arguments, words):
    assert words in refused(loopback, *arguments, code=2)


def test_an_unknown_interface_is_exit_code_4(loopback):
    assert "br-none0" in refused(loopback, "--interface", "br-none0", code=4)


def test_an_address_that_is_not_ours_is_exit_code_4(loopback):
    assert "10.99.99.99" in refused(
        loopback, loopback.port, "--interface", "lo", "--address", "10.99.99.99", code=4)


def test_a_port_that_is_taken_is_exit_code_4(loopback):
    other = loopback.udp("127.0.0.2", loopback.port)
    told = refused(loopback, loopback.port, "--interface", "lo", "--address", "127.0.0.2",
                   code=4)
    assert str(loopback.port) in told
    other.close()


def test_a_port_that_needs_permission_is_exit_code_4(loopback):
    """Also when the tests run as root: what root may is taken away first."""
    may_not = ["setpriv", "--bounding-set=-net_bind_service"] if os.geteuid() == 0 else []
    board = loopback.start([*may_not, lab.program(), "serve", "81", "--interface", "lo",
                            "--address", "127.0.0.2"])
    assert board.wait(lab.LONG) == 4
    assert "81" in board.stderr and board.stderr.count("\n") == 1


def test_check_looks_and_touches_nothing(loopback, tmp_path):
    """What a board beside it has taken is not asked for."""
    pid_file = tmp_path / "board.pid"
    board = loopback.board(2, "--pid-file", pid_file)
    same = ("serve", loopback.port, "--interface", "lo", "--address", "127.0.0.2",
            "--pid-file", pid_file, "--record", tmp_path / "record", "--check")
    told = loopback.run(*same)
    assert (told.code, told.stdout, told.stderr) == (0, "", "")
    assert pid_file.read_text() == f"{board.pid}\n" and not (tmp_path / "record").exists()
    for wrong, code in (("--interval=soon", 2), ("--key-file=/br-no-such", 4)):
        told = loopback.run(*same, wrong)
        assert told.code == code and told.stderr.count("\n") == 1


def test_two_dashes_end_the_options(loopback):
    refused(loopback, "--", "--name", code=2)


def test_no_command_and_no_such_command(loopback):
    for arguments in ([], ["elect"], ["--frobnicate"]):
        told = loopback.run(*arguments)
        assert told.code == 2
        assert told.stderr.count("\n") == 1


def test_version_and_help(loopback):
    told = loopback.run("--version")
    assert told.code == 0 and told.stdout.startswith("boardroom ")
    for arguments in (["--help"], ["serve", "--help"]):
        told = loopback.run(*arguments)
        assert told.code == 0 and told.stdout.startswith("Usage: boardroom")
        assert all(len(line) < 80 for line in told.stdout.splitlines())


def test_help_to_a_closed_pipe_is_no_panic(loopback):
    read, write = os.pipe()
    os.close(read)
    process = subprocess.run([lab.program(), "--help"], stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert process.returncode in (0, 4)
    assert b"panicked" not in process.stderr


@pytest.mark.parametrize("arguments", [
    ["--version"], ["serve", "--help"], ["watch", "--interface", "lo"], ["echo", "client"],
    ["relay", "client", "--id", "1111111111", "--servers", "127.0.0.1:9", "get"]])
def test_without_a_standard_output_nothing_passes_for_printed(loopback, arguments):
    words = " ".join([lab.program(), *arguments])
    told = loopback.start(["/bin/sh", "-c", f"exec {words} >&-"])
    assert told.wait(lab.LONG) == 4
    assert "standard output: it is closed" in told.stderr


def test_a_server_needs_no_standard_output(loopback):
    server = loopback.start(["/bin/sh", "-c",
                             f"exec {lab.program()} echo server --port {loopback.port} >&-"])
    client = loopback.client()

    def answered():
        client.send(b"hello", "127.0.0.1", loopback.port)
        return client.receive(0.1)

    assert lab.wait_for(answered, what="an answer")[0] == b"Alphanumeric."
    assert server.stop() == 0
