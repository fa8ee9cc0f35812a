"""The images to flash: what is in them, and that they are the same each time."""
import os
import stat
import tarfile
import time

import pytest

from boards import ROOT, run

HOOKS = ("led", "tracker-on-master", "publish-mqtt", "publish-etcd")
IMAGES = ("boardroom.tar.gz", "boardroom-nand32.jffs2", "boardroom-nand128.jffs2")


@pytest.fixture(scope="module")
def images(firmware):
    done = run(ROOT / "board/tools/image", "armv4t")
    assert done.returncode == 0, done.stdout + done.stderr
    return firmware / "armv4t"


def test_the_same_bytes_each_time(images):
    before = {name: (images / name).read_bytes() for name in IMAGES}
    time.sleep(1.1)  # JFFS2 counts seconds
    done = run(ROOT / "board/tools/image", "armv4t", env={**os.environ, "TZ": "UTC-9"})
    assert done.returncode == 0, done.stderr
    for name in IMAGES:
        assert (images / name).read_bytes() == before[name], name


def test_another_time_makes_another_image(images):
    """Negative control: the comparison would see a difference."""
    before = {name: (images / name).read_bytes() for name in IMAGES}
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "86400"}
    assert run(ROOT / "board/tools/image", "armv4t", env=environment).returncode == 0
    for name in IMAGES:
        assert (images / name).read_bytes() != before[name], name
    assert run(ROOT / "board/tools/image", "armv4t").returncode == 0


def test_the_tar_holds_exactly_what_is_installed(images):
    with tarfile.open(images / "boardroom.tar.gz") as tar:
        members = {m.name: m for m in tar.getmembers()}
        files = {name for name, m in members.items() if m.isfile()}
        program = tar.extractfile("usr/sbin/boardroom").read()
    assert files == {"usr/sbin/boardroom", "etc/init.d/boardroom", "etc/default/boardroom",
                     "usr/lib/boardroom/setup", "usr/lib/boardroom/default.shipped",
                     *(f"usr/lib/boardroom/{hook}" for hook in HOOKS)}
    assert program == (images / "boardroom").read_bytes()
    assert {(m.uid, m.gid) for m in members.values()} == {(0, 0)}
    for name in files - {"etc/default/boardroom", "usr/lib/boardroom/default.shipped"}:
        assert stat.S_IMODE(members[name].mode) == 0o755, name
    links = [m for m in members.values() if m.issym()]
    assert len(links) == 8, "one for busybox init, seven for sysv-rc"


@pytest.mark.parametrize("name, block", [("boardroom-nand32.jffs2", 16),
                                         ("boardroom-nand128.jffs2", 128)])
def test_the_jffs2_image_is_whole_blocks(images, name, block):
    image = (images / name).read_bytes()
    assert image[:4] == b"\x85\x19\x01\xe0", "a little-endian directory entry"
    assert len(image) % (block * 1024) == 0
