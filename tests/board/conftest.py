"""Fixtures of the board's tests."""
import pytest

from boards import FIRMWARE, ROOT, run


@pytest.fixture(scope="session")
def firmware():
    """The folder of the ARM builds, which are made if the source is newer."""
    done = run(ROOT / "board/tools/build", timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return FIRMWARE
