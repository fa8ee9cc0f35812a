"""The tests on virtual LANs with the ARM builds on their CPUs, and with host and
ARM programs on one LAN: the armv4t build in all but the long ones, the others in
a few, since what differs from build to build is the C library.

tests/board/systemcalls tells whether the part asks for every system call that
the whole asks for. A test that fails is run once more by itself before it
counts: under emulation, on a busy machine, a board can be later than a test of
timing allows.
"""
import os
import re
import shutil

import pytest

from boards import FIRMWARE, ROOT, run

# What the armv4t build is not run through, a name a line.
LONG = ROOT / "tests/board/long-tests.txt"

# Of armv5te and the mixture.
FEW = {
    "test_command_line.py": ["version_and_help", "exit_code_4"],
    "test_elections.py": ["lone_board", "answer_broadcast", "the_clients_and_the_wire"],
    "test_failover.py": ["killed_master_is_replaced[50ms", "hands_over", "status_and_resign",
                         "hook_hears"],
    "test_match.py": ["auto_follows", "word_for_word"],
}


def play(build, *words):
    """pytest in a process of its own: its report, what failed, how many passed."""
    environment = dict(os.environ, BOARDROOM_BIN=str(FIRMWARE / f"run-{build}"))
    done = run("/usr/bin/python3", "-m", "pytest", "-q", "-rsfE", "--tb=short", "-p",
               "no:cacheprovider", *words, cwd=ROOT, env=environment, timeout=1_800)
    text = done.stdout + done.stderr
    # `FAILED tests/lan/test_x.py::test_y[a b] - why`
    failed = re.findall(r"^(?:FAILED|ERROR) (tests/.*?)(?: - .*)?$", text, re.M)
    passed = re.search(r"(\d+) passed", done.stdout)
    return text, failed, int(passed[1]) if passed else 0


def all_tests(build):
    listed, _, _ = play(build, "--collect-only", "tests/lan")
    return [line for line in listed.splitlines() if re.match(r"tests/lan/\S+::", line)]


def long_tests():
    lines = [line.split("#")[0].split() for line in LONG.read_text().splitlines()]
    return [words[0] for words in lines if words]


def chosen_tests(build):
    there = all_tests(build)
    if build == "armv4t":
        names = long_tests()
        unknown = [name for name in names if not any(f"::{name}" in test for test in there)]
        assert not unknown, f"{LONG.name} names what is not there: {unknown}"
        return [test for test in there if not any(
            test.split("::")[1].split("[")[0] == name or test.endswith(f"::{name}")
            for name in names)]
    found = []
    for file, words in FEW.items():
        for word in words:
            fitting = [test for test in there if f"/{file}::" in test and word in test]
            assert fitting, f"no test of {file} is named by {word!r}"
            found += fitting
    return sorted(set(found))


@pytest.mark.parametrize("build", ["armv4t", "armv5te", "mixed"])
def test_a_part_of_the_lan_tests(firmware, build):
    if not shutil.which("qemu-arm"):
        pytest.skip("qemu-arm is not installed (Debian: qemu-user)")
    chosen = chosen_tests(build)
    text, failed, passed = play(build, *chosen)
    assert passed or "skipped" in text, text
    for name in failed:
        again, still, _ = play(build, name)
        assert not still, again
    if not passed:
        pytest.skip("they cannot run here: no network namespaces")
