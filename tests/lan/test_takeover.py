"""What stands around failover: intervals, cables, hooks, the guardian."""

import os
import re
import shutil
import signal
import statistics
import subprocess
import time

import pytest

import kills
import lab
import messages
from lab import wait_for
from test_failover import PATIENT
from test_serve import counters, wakeups


def claim(data):
    """The address that claims to be master."""
    match = re.match(rb"! (\d+\.\d+\.\d+\.\d+) \d+$", messages.text(data))
    return match[1].decode() if match else None


def claims(observer, seconds):
    """(time, address) of each claim of the next `seconds`."""
    end, found = time.monotonic() + seconds, []
    while (left := end - time.monotonic()) > 0:
        one = observer.receive(left)
        if one and claim(one[0]):
            found.append((time.monotonic(), claim(one[0])))
    return found


def next_claim(observer, seconds=lab.LONG, but=None):
    """The next claim of another than `but`."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        one = observer.receive(left)
        if one and claim(one[0]) not in (None, but):
            return claim(one[0])
    raise AssertionError(f"nobody claims within {seconds} s")


class Team:
    """Boards on the loopback, and who of them is master."""

    def __init__(self, place, *options, count=3, ready=True):
        self.place, self.options = place, ["--failover", *options]
        # Long enough for some claims of every interval used here.
        self.window = 2.5 if "1s" in options else 1.0 if {"100ms", "250ms"} & set(options) else 0.3
        self.observer = place.observer()
        self.boards = {}
        for number in range(2, 2 + count):
            self.add(number)
        if ready:
            self.settle()

    def add(self, number, *options):
        board = self.place.board(number, *self.options, *options)
        self.boards[board.address] = board
        return board

    def settle(self):
        """Waits until one master claims, and nobody else."""
        def quiet():
            self.observer.drain()
            seen = {address for _, address in claims(self.observer, self.window)}
            return len(seen) == 1 and seen
        (address,) = wait_for(quiet, what="one master")
        return self.boards[address]

    def master(self):
        self.observer.drain()
        return self.boards[next_claim(self.observer)]

    def answers(self):
        client = self.place.client()
        client.send(messages.WHOIS, self.place.broadcast, self.place.port)
        found = [messages.answer(data) for data, _ in client.gather(0.2)]
        client.close()
        return [answer[1] for answer in found if answer]


def test_boards_that_boot_together_have_one_master(loopback):
    team = Team(loopback, "--interval", "100ms", *PATIENT, count=6, ready=False)
    master = team.settle()
    wait_for(lambda: team.answers() == [master.address], what="its answer alone")
    followers = [board for board in team.boards.values() if board is not master]
    wait_for(lambda: all("is 127" in board.stderr for board in followers), what="their lines")


@pytest.mark.parametrize("interval", [10, 37, 250])
def test_an_interval_is_what_it_says(loopback, interval):
    """No claim is early, and those that a busy machine does not make late are
    an interval apart. How late they are, is measured by the benchmarks."""
    team = Team(loopback, "--interval", f"{interval}ms", count=1)
    apart, began = [], time.monotonic()
    while sum(gap == pytest.approx(interval, rel=0.1) for gap in apart) < 5:
        assert time.monotonic() - began < 2 * lab.LONG, f"no claims {interval} ms apart: {apart}"
        found = [when * 1000 for when, _ in claims(team.observer, max(1.0, 6 * interval / 1000))]
        apart += [after - before for before, after in zip(found, found[1:])]
    assert statistics.mean(apart) > 0.9 * interval, f"{interval} ms: {apart}"


def test_a_pulled_cable_is_a_lost_master_and_a_late_link_is_no_start(make_lan):
    lan = make_lan([2, 3, 4])
    for host in lan.hosts:
        host.board("--interval", "100ms", *PATIENT)
    observer = lan.hosts[0].observer()

    def holder():
        seen = {address for _, address in claims(observer, 0.5)}
        return next(iter(seen)) if len(seen) == 1 else None

    master = wait_for(holder, what="one master")
    host = next(host for host in lan.hosts if host.address == master)
    observer.close()
    observer = next(other for other in lan.hosts if other is not host).observer()
    host.cable("down")
    board = host.processes[0]
    wait_for(lambda: "eth0 has no link" in board.stderr, what="the line in its log")
    new = wait_for(lambda: (one := holder()) != master and one, what="another master")
    host.cable("up")
    time.sleep(1)
    observer.drain()
    seen = {address for _, address in claims(observer, 2.0)}
    assert seen == {new}, "the one that comes back stays slave"
    assert board.stderr.count("no network") == 1


def test_kills_in_a_row_leave_one_master_each_time(loopback, tmp_path):
    """BOARDROOM_KILLS=1000 for a release; wrong ones leave their records."""
    wanted = int(os.environ.get("BOARDROOM_KILLS", "40"))
    found = kills.kill_many(loopback, wanted, 0.02, tmp_path, tell=print)
    print(kills.line_of(found, 0.02))
    # What a busy machine did is not all in the records. A fault of the boards'
    # own is there at each kill, or is found by a thousand of them.
    faults = [kill for kill in found if kill.is_the_boards_fault()]
    assert len(faults) <= wanted // 20, (faults, tmp_path)
    late = sum(kill.is_wrong() for kill in found)
    if late > wanted // 4:
        pytest.skip(f"this machine is too busy: {late} of {wanted} kills tell nothing")


# The hook.


@pytest.fixture
def hook(tmp_path):
    """hook(script): a program that runs `script` and notes what it was told."""
    def make(script="", name="hook"):
        path, log = tmp_path / name, tmp_path / f"{name}.log"
        path.write_text(f'#!/bin/sh\necho "$@" >>{log}\n{script}\n')
        path.chmod(0o755)
        log.touch()
        return path, lambda: log.read_text().splitlines()
    return make


def test_a_slave_at_boot_has_no_moment_as_master(loopback, hook):
    program, told = hook()
    team = Team(loopback, "--interval", "50ms", *PATIENT, count=2)
    team.settle()
    team.add(8, "--on-change", program)
    wait_for(told, what="its hook")
    time.sleep(1.5)
    assert [line.split()[0] for line in told()] == ["slave"]


def test_with_a_quorum_the_old_masters_hook_ends_before_the_next_one_begins(loopback, tmp_path):
    log, program = tmp_path / "log", tmp_path / "hook"
    program.write_text(f"""#!/bin/sh
        [ $1 = slave ] && [ $4 = 0 ] && exit 0
        echo "begin $1 $2" >>{log}
        [ $1 = slave ] && sleep 1
        echo "end $1 $2" >>{log}
        """)
    program.chmod(0o755)
    log.touch()
    team = Team(loopback, "--interval", "1s", "--quorum", "3", "--on-change", program)
    master = team.settle()
    wait_for(lambda: log.read_text() == f"begin master {master.address}\nend master "
             f"{master.address}\n", what="the first master's hook")
    master.signal(signal.SIGTERM)
    assert master.wait(lab.LONG) == 0
    wait_for(lambda: log.read_text().count("end master") == 2, what="the next master's hook")
    told = [line.rsplit(" ", 1)[0] for line in log.read_text().splitlines()[2:]]
    assert told == ["begin slave", "end slave", "begin master", "end master"]


def test_what_a_hook_says_is_in_the_log(loopback, hook):
    program, _ = hook("echo hello $1; exit 3")
    board = loopback.board(2, "--on-change", program)
    wait_for(lambda: "the hook for slave: exit status: 3" in board.stderr, what="the exit status")
    wait_for(lambda: "the hook says: hello slave" in board.stderr, what="its words")
    assert counters(board)["hooks_failed"] == 1


# The guardian.

starts_itself = pytest.mark.skipif(
    lab.is_emulated(), reason="a guardian starts its own file, and this kernel runs no ARM file")


def ward(guardian, but=None):
    """The process that a guardian watches over; of one that it starts anew, not
    the one before, which may just not be buried yet."""
    path = f"/proc/{guardian.pid}/task/{guardian.pid}/children"

    def found():
        return [pid for pid in map(int, open(path).read().split()) if pid != but]

    return wait_for(found, what="the guarded board")[0]


def die(guardian, times):
    """Has its board die so often, as soon as it is there."""
    child = None
    for number in range(1, times + 1):
        child = ward(guardian, but=child)
        os.kill(child, signal.SIGKILL)
        wait_for(lambda: guardian.stderr.count("has died") == number, what="the line")


@starts_itself
def test_a_guardian_tells_the_others_at_once(loopback):
    # Silence would tell it after 5 s.
    team = Team(loopback, "--interval", "4s", "--guardian", ready=False)
    master = wait_for(lambda: team.master(), what="a master")
    first = ward(master)
    team.observer.drain()
    began, texts = time.monotonic(), []
    os.kill(first, signal.SIGKILL)
    while not any(text.startswith(b"! ") for text in texts):
        one = team.observer.receive(lab.LONG)
        texts.append(messages.text(one[0]))
    assert time.monotonic() - began < 4, "a new master at once"
    texts += [messages.text(data) for data, _ in team.observer.gather(0.3)]
    assert texts.count(f"- {master.address}".encode()) == 1, "said once"
    second = ward(master, but=first)
    assert second != first
    wait_for(lambda: "the others know" in master.stderr, what="the line")


@starts_itself
def test_a_guardian_sleeps_and_ends_in_good_order(loopback, tmp_path):
    pid_file = tmp_path / "pid"
    guardian = loopback.board(2, "--guardian", "--failover", "--interval", "10ms",
                              "--pid-file", pid_file)
    child = ward(guardian)
    time.sleep(1)
    # The kernel may have it wait for a page of its own.
    assert any(wakeups(guardian, 2) == 0 for _ in range(5))
    assert pid_file.read_text() == f"{guardian.pid}\n"
    assert guardian.stop() == 0
    assert not os.path.exists(f"/proc/{child}")
    assert not pid_file.exists()


@pytest.mark.parametrize("options", [
    (), pytest.param(("--guardian",), marks=starts_itself)])
def test_impatience_changes_neither_the_exit_code_nor_the_clearing_up(
        loopback, tmp_path, options):
    pid_file = tmp_path / "pid"
    for _ in range(10):
        board = loopback.board(2, "--pid-file", pid_file, *options)
        end = time.monotonic() + lab.LONG
        while board.is_running() and time.monotonic() < end:
            board.signal(signal.SIGTERM)
        assert board.wait() == 0, board.stderr
        assert not pid_file.exists()


@starts_itself
@pytest.mark.skipif(not shutil.which("strace"), reason="strace is needed")
def test_a_guardian_whose_pid_is_known_can_be_ended(loopback, tmp_path):
    """However long it takes from the pid file to whatever comes next."""
    pid_file = tmp_path / "pid"
    delay = "rt_sigprocmask"
    process = loopback.start([
        "strace", "-o", "/dev/null", "-e", f"trace={delay}",
        "-e", f"inject={delay}:delay_enter=200000",
        lab.program(), "serve", loopback.port, "--guardian", *loopback.options,
        "--address", "127.0.0.2", "--pid-file", pid_file])
    wait_for(lambda: pid_file.exists() and pid_file.read_text(), what="the pid file")
    os.kill(int(pid_file.read_text()), signal.SIGTERM)
    assert process.wait(20) == 0, process.stderr
    assert not pid_file.exists()


@starts_itself
def test_a_board_ends_with_its_guardian(loopback):
    guardian = loopback.board(2, "--guardian")
    child = ward(guardian)
    guardian.kill()
    wait_for(lambda: not os.path.exists(f"/proc/{child}"), what="the board's end")


@starts_itself
def test_a_guarded_board_that_cannot_begin_says_why(loopback):
    told = loopback.run("serve", loopback.port, "--guardian", "--interface", "br-none")
    assert told.code == 4
    assert told.stderr.count("there is no interface br-none") == 1
    assert loopback.run("serve", "--guardian", "--port", "0").code == 2


@starts_itself
def test_a_board_that_keeps_dying_is_started_ever_more_slowly(loopback):
    guardian = loopback.board(2, "--guardian")
    die(guardian, 4)
    pauses = re.findall(r"started again in (\S+)", guardian.stderr)
    assert pauses == ["100ms", "200ms", "400ms", "800ms"]


@starts_itself
def test_a_guardian_ends_a_board_that_is_stopped(loopback, tmp_path):
    pid_file = tmp_path / "pid"
    guardian = loopback.board(2, "--guardian", "--pid-file", pid_file)
    child = ward(guardian)
    os.kill(child, signal.SIGSTOP)
    guardian.signal(signal.SIGTERM)
    assert guardian.wait(lab.LONG) == 0
    assert not os.path.exists(f"/proc/{child}")
    assert not pid_file.exists()


@starts_itself
def test_a_guardian_ends_between_two_lives(loopback, tmp_path):
    pid_file = tmp_path / "pid"
    guardian = loopback.board(2, "--guardian", "--pid-file", pid_file)
    die(guardian, 6)
    wait_for(lambda: "again in 3.2s" in guardian.stderr, what="a long pause")
    guardian.signal(signal.SIGTERM)
    began = time.monotonic()
    assert guardian.wait(lab.LONG) == 0
    assert time.monotonic() - began < 2.5, "it waits for no next life"
    assert not pid_file.exists()


@starts_itself
def test_a_guardian_that_is_to_end_tells_of_a_board_that_died(loopback):
    team = Team(loopback, "--interval", "1s", "--guardian", ready=False)
    master = wait_for(lambda: team.master(), what="a master")
    child = ward(master)
    # It hears of both at the same time.
    master.signal(signal.SIGSTOP)
    os.kill(child, signal.SIGKILL)
    master.popen.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    team.observer.drain()
    master.signal(signal.SIGCONT)
    assert master.wait(lab.LONG) == 0
    texts = [messages.text(data) for data, _ in team.observer.gather(0.3)]
    assert f"- {master.address}".encode() in texts


@starts_itself
def test_a_frozen_board_is_replaced_and_its_guardian_waits(loopback):
    team = Team(loopback, "--interval", "100ms", *PATIENT, "--guardian")
    master = team.master()
    child = ward(master)
    os.kill(child, signal.SIGSTOP)
    successor = next_claim(team.observer, but=master.address)
    assert ward(master) == child and "has died" not in master.stderr
    os.kill(child, signal.SIGCONT)
    assert team.settle().address == successor


@starts_itself
def test_a_board_without_its_guardian_does_not_begin(loopback):
    """A guardian that dies before its board asks to end with it."""
    told = loopback.run("serve", loopback.port, "--guardian", "--interface", "lo",
                        env={"BOARDROOM_GUARDED": "1"})
    assert told.code == 4 and "guardian" in told.stderr


# The master runs a service.


def test_board_hook_example_is_a_program(loopback):
    """What comes with the boards takes the three roles and nothing else."""
    hooks = lab.ROOT / "board/hooks"
    found = sorted(hooks.glob("*")) if hooks.is_dir() else []
    if not found:
        pytest.skip("board/hooks is not there yet")
    for path in found:
        wrong = subprocess.run([path, "king"], capture_output=True, text=True)
        assert wrong.returncode == 2, path
        assert "master|slave|won" in wrong.stderr


def hook_of_readme(folder, host):
    """The hook that README.md names, with a pid file for each host of this
    machine and the program under test."""
    name = "board/hooks/tracker-on-master"
    assert f"--guardian --on-change {name}\n" in (lab.ROOT / "README.md").read_text()
    path = folder / f"tracker-on-master-{host.number}"
    path.write_text(f"#!/bin/sh\nexport BOARDROOM={lab.program()}\n"
                    f"export TRACKER_PIDFILE={folder}/{host.number}.pid\n"
                    f'exec {lab.ROOT / name} "$@"\n')
    path.chmod(0o755)
    return path


def test_a_service_follows_the_master(make_lan, tmp_path):
    """A client with `--server auto` finds the tracker before and after the
    master's machine dies."""
    *hosts, client = make_lan([2, 3, 4, 9]).hosts
    boards = {host.address: host.board("--interval", "100ms", *PATIENT, "--on-change",
                                       hook_of_readme(tmp_path, host)) for host in hosts}

    def asked():
        told = client.run("match", "client", "Ann", "--rounds", "1", "--server", "auto")
        return told.code == 0 and "No match has been found" in told.stdout

    observer = client.observer()
    first = next_claim(observer)
    trackers = []
    try:
        wait_for(asked, what="the tracker on the first master")
        (pid_file,) = tmp_path.glob("*.pid")
        trackers.append(int(pid_file.read_text().split()[0]))
        assert pid_file.stem == first.rsplit(".", 1)[1]
        # The machine dies: the board and what runs on it.
        boards[first].kill()
        os.kill(trackers[0], signal.SIGKILL)
        pid_file.unlink()
        second = next_claim(observer, but=first)
        wait_for(asked, what="the tracker on the next master")
        (pid_file,) = tmp_path.glob("*.pid")
        trackers.append(int(pid_file.read_text().split()[0]))
        assert pid_file.stem == second.rsplit(".", 1)[1]
        # In good order the tracker ends with the office.
        assert boards[second].stop() == 0
        wait_for(lambda: not os.path.exists(f"/proc/{trackers[1]}"), what="the tracker's end")
    finally:
        for host in hosts:
            host.close()
        for path in tmp_path.glob("*.pid"):
            try:
                os.kill(int(path.read_text().split()[0]), signal.SIGKILL)
            except (ProcessLookupError, IndexError):
                pass
