"""board/hooks/tracker-on-master with several boards on one machine: each has
its tracker while it is master, and takes no other board's away."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import lab
import pytest
from lab import wait_for
from test_failover import PATIENT
from test_match import results

HOOK = lab.ROOT / "board/hooks/tracker-on-master"
SHELLS = ("dash", "busybox sh")


def processes():
    """Number and words of each process."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            yield int(folder.name), words


def trackers(port):
    """Process number by address of the trackers with this TCP port."""
    return {words[words.index("--address") + 1]: pid for pid, words in processes()
            if "match tracker --port" in " ".join(words) and str(port) in words
            and "--address" in words}


@pytest.fixture
def variables(tmp_path, loopback):
    """The hook's. Whatever becomes of the test, its trackers end."""
    port = lab.free_port()
    text, places = HOOK.read_text(), "/run/boardroom /var/run/boardroom "
    assert places in text
    hook = tmp_path / "hook"
    hook.write_text(text.replace(places, ""))
    hook.chmod(0o755)
    yield {"BOARDROOM": lab.program(), "TRACKER_PORT": str(port),
           "XDG_RUNTIME_DIR": str(tmp_path)}
    loopback.close()
    for pid in trackers(port).values():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Team:
    def __init__(self, loopback, variables, *options, apart=False):
        self.place, self.variables, self.apart = loopback, variables, apart
        hook = Path(variables["XDG_RUNTIME_DIR"], "hook")
        self.options = ("--interval", "100ms", *PATIENT, "--on-change", hook, *options)
        self.boards = {}
        for number in (2, 3, 4):
            self.start(number)
        self.tracker_port = variables["TRACKER_PORT"]
        self.auto = ["--server", "auto", "--interface", "lo", "--port", self.tracker_port,
                     "--election-port", loopback.port]

    def start(self, number):
        variables = dict(self.variables)
        if self.apart:
            # As on machines of their own, none sees another's files.
            folder = Path(variables["XDG_RUNTIME_DIR"], str(number))
            folder.mkdir(exist_ok=True)
            variables["XDG_RUNTIME_DIR"] = str(folder)
        board = self.place.board(number, *self.options, env=variables)
        self.boards[board.address] = board

    def master(self, but=None):
        def one():
            told = self.place.run("whois", self.place.port, "--interface", "lo",
                                  "--timeout", "1s")
            found = told.stdout.split()[3] if told.code == 0 else None
            return found if found != but else None

        return wait_for(one, what="a master")

    def ask(self, find=3):
        return self.place.run("match", "client", "C1", "--rounds", "1", "--find", find,
                              *self.auto)


def test_orderly_hand_overs_on_one_machine_leave_the_masters_tracker(loopback, variables):
    team = Team(loopback, variables)
    master = team.master()
    for _ in range(4):
        wait_for(lambda: list(trackers(team.tracker_port)) == [master], what="its tracker only")
        assert team.boards[master].stop() == 0
        last, master = master, team.master(but=master)
        wait_for(lambda: master in trackers(team.tracker_port), what="the next tracker")
        time.sleep(0.3)
        told = team.ask()
        assert told.code == 1 and "No match" in told.stdout, told.stderr
        assert list(trackers(team.tracker_port)) == [master]
        team.start(int(last.rsplit(".", 1)[1]))
    loopback.close()
    wait_for(lambda: trackers(team.tracker_port) == {}, what="the last one's end")


@pytest.mark.parametrize("apart", [False, True], ids=["one-machine", "apart"])
@pytest.mark.parametrize("options", [
    pytest.param((), id="alone"),
    pytest.param(("--guardian",), id="guardian", marks=pytest.mark.skipif(
        lab.is_emulated(), reason="a guardian starts its own file, and this kernel runs no ARM file")),
])
def test_servers_leave_the_tracker_of_a_board_that_was_killed(
        loopback, variables, options, apart):
    team = Team(loopback, variables, *options, apart=apart)
    master = team.master()
    loopback.boardroom("match", "server", "S1", "--number", 3, "--wait", *team.auto)
    wait_for(lambda: results(team.ask().stdout) == ["S1"], what="the server")
    victim = team.boards[master].pid
    if options:
        victim = int(Path(f"/proc/{victim}/task/{victim}/children").read_text())
    os.kill(victim, signal.SIGKILL)
    if not options:
        team.boards[master].popen.wait()
    team.master(but=master)
    wait_for(lambda: results(team.ask().stdout) == ["S1"], what="the server at the new master")
    assert master not in trackers(team.tracker_port)


@pytest.mark.parametrize("shell", SHELLS)
def test_each_call_in_each_shell(shell, variables):
    if not shutil.which(shell.split()[0]):
        pytest.skip(f"no {shell}")
    port, hook = variables["TRACKER_PORT"], f"{variables['XDG_RUNTIME_DIR']}/hook"
    boards = [subprocess.Popen(["sleep", "60"]) for _ in range(3)]

    def call(board, *words):
        told = subprocess.run([*shell.split(), hook, *words, "7", "3"], capture_output=True,
                              text=True, timeout=60, env={
                                  **os.environ, **variables, "BOARDROOM_PID": str(board.pid)})
        assert (told.returncode, told.stdout, told.stderr) == (0, "", "")

    def listens(address):
        with contextlib.suppress(OSError), contextlib.closing(
                lab.socket.create_connection((address, int(port)), 1)):
            return True

    try:
        one, two, three = boards
        call(one, "slave", "-")
        call(one, "master", "127.0.0.2")
        call(two, "slave", "127.0.0.3")
        call(two, "master", "127.0.0.3")
        wait_for(lambda: listens("127.0.0.2") and listens("127.0.0.3"), what="both")
        first = trackers(port)
        call(one, "won", "127.0.0.2")
        assert trackers(port) == first, "it goes on"
        # Another address, of which `slave` was told, or was not.
        call(one, "slave", "127.0.0.5")
        assert list(trackers(port)) == ["127.0.0.3"]
        call(one, "master", "127.0.0.5")
        call(one, "master", "127.0.0.6")
        wait_for(lambda: listens("127.0.0.6"), what="the other address")
        assert sorted(trackers(port)) == ["127.0.0.3", "127.0.0.6"]
        # It was killed, and begins anew: the old one ends.
        one.kill()
        one.wait()
        call(three, "slave", "-")
        assert list(trackers(port)) == ["127.0.0.3"]
        # Or it ends by itself, without a further call.
        two.kill()
        two.wait()
        wait_for(lambda: trackers(port) == {}, what="the end of what is nobody's")
    finally:
        for board in boards:
            board.kill()
            board.wait()
