"""`make demo` shows the main job, ends by itself, and leaves nothing behind."""

import os
import signal
import subprocess
import time

import lab

DEMO = lab.ROOT / "tests/demo/demo"


def start(**options):
    return subprocess.Popen(
        [str(DEMO)], env={**os.environ, "BOARDROOM_BIN": lab.program()},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        # A background job's SIGINT is ignored, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **options)


def in_session(session):
    """The processes that the demo's session has."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = open(f"/proc/{entry}/stat").read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(stat[3]) == session and stat[0] != "Z":
                found.append(int(entry))
    return found


def test_it_shows_an_election_and_ends_what_it_started():
    def shows():
        demo = start(start_new_session=True)
        told, _ = demo.communicate(timeout=120)
        assert demo.returncode == 0, told
        assert told.count(" votes ") == 5
        assert "nobody is the master" in told
        assert told.count("is the master\n") >= 2
        assert in_session(demo.pid) == []

    # A vote that comes later than 150 ms behind the others is not shown.
    lab.one_of(5, shows)


def test_ctrl_c_ends_it_at_any_time():
    for after in (0.05, 0.4, 0.9, 1.5):
        demo = start(start_new_session=True)
        time.sleep(after)
        os.killpg(demo.pid, signal.SIGINT)
        demo.communicate(timeout=60)
        # Before the script has begun, the signal itself is its end.
        assert demo.returncode in (130, 0, -signal.SIGINT)
        lab.wait_for(lambda: in_session(demo.pid) == [], what="its boards to end")
