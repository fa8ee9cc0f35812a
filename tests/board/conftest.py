"""What the tests of the board share: the ARM builds and how to run them."""
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "target/firmware"
BUILDS = ("armv4t", "armv5te")


def run(*command, timeout=60, **options):
    """Runs a command to its end, with its output as text."""
    return subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=timeout, check=False, **options)


@pytest.fixture(scope="session")
def firmware():
    """The folder of the ARM builds, which are made if the source is newer."""
    done = run(ROOT / "board/tools/build", timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return FIRMWARE
