"""The tests on virtual LANs with the ARM builds on their CPUs, and with host and
ARM programs on one LAN: a part of them that goes through every system call.

A test that fails is run once more by itself before it counts: under emulation,
on a busy machine, a board can be later than a test of timing allows. Left out is
what qemu-arm lacks: its CPU time and wake-ups are not a board's, and it does not
carry socket filters.
"""
import os
import re
import shutil

import pytest

from boards import FIRMWARE, ROOT, run

# One test for each thing a board or a service asks of the kernel.
CHOSEN = {
    "test_command_line.py": ["version_and_help", "exit_code_4"],
    "test_serve.py": ["status_tells", "pid_file", "to_the_systems", "taken_later", "record"],
    "test_elections.py": ["lone_board", "answer_broadcast", "the_clients_and_the_wire"],
    "test_network.py": ["late_address_is_taken", "deleted_and_made_again", "sigusr1"],
    "test_failover.py": ["killed_master_is_replaced", "hands_over", "status_and_resign",
                         "hook_hears"],
    "test_key.py": ["keygen_makes", "who_has_no_key"],
    "test_quorum.py": ["minority"],
    "test_watch.py": ["json", "left_as_it_was"],
    "test_match.py": ["auto_follows", "word_for_word"],
    "test_echo.py": ["eight_of_eight"],
    "test_sequence.py": ["client_finds_the_master", "summaries"],
    "test_order.py": ["five_of_five"],
    "test_relay.py": ["spool_survives", "auto_takes"],
}

# What differs from build to build is the C library; the rest is one source.
SHORT = ("test_command_line.py", "test_elections.py", "test_failover.py", "test_match.py")


def play(build, *words):
    """pytest in a process of its own: its report, and the tests that failed."""
    environment = dict(os.environ, BOARDROOM_BIN=str(FIRMWARE / f"run-{build}"))
    done = run("/usr/bin/python3", "-m", "pytest", "-q", "-rfE", "--tb=short", "-p",
               "no:cacheprovider", *words, cwd=ROOT, env=environment, timeout=420)
    text = done.stdout + done.stderr
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", text, re.M)
    passed = re.search(r"(\d+) passed", text)
    return text, failed, int(passed[1]) if passed else 0


def chosen_tests(build, files):
    listed, _, _ = play(build, "--collect-only", *[f"tests/lan/{name}" for name in files])
    lines = [line for line in listed.splitlines() if "::" in line]
    found = []
    for name in files:
        for word in CHOSEN[name]:
            fitting = [line for line in lines if f"/{name}::" in line and word in line]
            assert fitting, f"no test of {name} is named by {word!r}"
            found += fitting
    return sorted(set(found))


@pytest.mark.parametrize("build, files", [("armv4t", tuple(CHOSEN)), ("armv5te", SHORT),
                                          ("mixed", SHORT)], ids=["armv4t", "armv5te", "mixed"])
def test_a_chosen_part_of_the_lan_tests(firmware, build, files):
    if not shutil.which("qemu-arm"):
        pytest.skip("qemu-arm is not installed (Debian: qemu-user)")
    chosen = chosen_tests(build, files)
    text, failed, passed = play(build, *chosen)
    assert passed or "skipped" in text, text
    for name in failed:
        again, still, _ = play(build, name)
        assert not still, again
    if missing := len(chosen) - passed - len(failed):
        pytest.skip(f"{missing} of {len(chosen)} cannot run here: no network namespaces")
