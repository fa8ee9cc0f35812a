"""The Debian packages: made, checked, and installed, upgraded and purged on a
machine of sysv-rc and on one of systemd (tests/package/world.py)."""
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import world

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/lan"))

import lab  # noqa: E402

FIRMWARE = ROOT / "target/firmware/armv4t/boardroom"


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=False, timeout=300, **options)


def architecture():
    return run("dpkg", "--print-architecture").stdout.strip()


@pytest.fixture(scope="session")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for tool, part in (("manual.py", "man"), ("completions.py", "completions")):
        done = run(sys.executable, ROOT / "board/pages" / tool, lab.program(), folder / part)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def make(pages, tmp_path_factory):
    """make(…): a package, of this tree or of another one's board/."""
    if not shutil.which("dpkg-deb"):
        pytest.skip("not Debian: dpkg-deb is missing")

    def made(architecture, program, source=ROOT, **environment):
        folder = tmp_path_factory.mktemp("deb")
        done = run(source / "board/package/deb", architecture, program, pages, folder,
                   env={**os.environ, **environment})
        assert done.returncode == 0, done.stderr
        return next(folder.glob("*.deb"))

    return made


@pytest.fixture(scope="session")
def package(make):
    return make(architecture(), lab.program())


@pytest.fixture(scope="session")
def armel(make):
    if not FIRMWARE.exists():
        pytest.skip("the armv4t firmware is not built: make firmware")
    return make("armel", FIRMWARE)


@pytest.fixture(scope="session")
def newer(make, tmp_path_factory):
    """The next version, which comes with other settings."""
    tree = tmp_path_factory.mktemp("newer")
    shutil.copytree(ROOT / "board", tree / "board")
    shutil.copy(ROOT / "CHANGELOG.md", tree)
    with open(tree / "board/boardroom.default", "a", encoding="utf-8") as settings:
        settings.write("\n# A new setting.\n#NEW=\n")
    return make(architecture(), lab.program(), tree, VERSION="0.1.0-2")


def test_the_same_input_gives_the_same_bytes(make, package):
    again = make(architecture(), lab.program(), TZ="Asia/Tokyo", LC_ALL="C.UTF-8")
    assert again.name == package.name
    assert hashlib.sha256(again.read_bytes()).digest() == \
        hashlib.sha256(package.read_bytes()).digest()


def test_what_is_in_it(package):
    content = run("dpkg-deb", "-c", package).stdout
    assert {line.split()[1] for line in content.splitlines()} == {"root/root"}
    for line in (r"-rwxr-xr-x .* \./usr/sbin/boardroom$",
                 r"lrwxrwxrwx .* \./usr/bin/boardroom -> \.\./sbin/boardroom$",
                 r"-rwxr-xr-x .* \./etc/init\.d/boardroom$",
                 r"-rw-r--r-- .* \./etc/default/boardroom$",
                 r"-rw-r--r-- .* \./lib/systemd/system/boardroom\.service$",
                 r"-rwxr-xr-x .* \./usr/lib/boardroom/led$",
                 r"-rw-r--r-- .* \./usr/share/man/man8/boardroom-serve\.8\.gz$"):
        assert re.search(line, content, re.M), line
    assert run("dpkg-deb", "-I", package, "conffiles").stdout.split() == \
        ["/etc/default/boardroom", "/etc/init.d/boardroom"]
    version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    assert run("dpkg-deb", "-f", package, "Version").stdout.startswith(version + "-")
    assert re.search(r"libc6 \(>= 2\.\d+\)", run("dpkg-deb", "-f", package, "Depends").stdout)


def test_the_board_s_package_needs_no_library(armel, tmp_path):
    assert run("dpkg-deb", "-f", armel, "Architecture").stdout == "armel\n"
    assert run("dpkg-deb", "-f", armel, "Depends").stdout == "adduser\n"
    if not shutil.which("qemu-arm"):
        pytest.skip("qemu-arm is not installed")
    run("dpkg-deb", "-x", armel, tmp_path)
    told = run("qemu-arm", "-cpu", "ti925t", tmp_path / "usr/sbin/boardroom", "--version")
    assert told.stdout.startswith("boardroom "), told.stderr


@pytest.mark.parametrize("which", ["package", "armel"])
def test_lintian(which, request):
    if not shutil.which("lintian"):
        pytest.skip("lintian is not installed")
    # The spelling is that of existing programs, and is understood.
    found = run("lintian", "--no-cfg", "--allow-root", "-I", "--pedantic", "--suppress-tags",
                "spelling-error-in-binary", request.getfixturevalue(which))
    assert found.returncode == 0 and not found.stdout, found.stdout + found.stderr


@pytest.fixture(scope="session")
def possible(package):
    reason = world.impossible()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def systemd(possible):
    reason = world.impossible_with_systemd()
    if reason:
        pytest.skip(reason)


def said(text, key):
    """What `echo key=…` said."""
    found = re.findall(rf"^{key}=(.*)$", text, re.M)
    assert found, f"no {key}= in:\n{text}"
    return found[-1]


LIFE = """
cd /
trace() { find /etc /usr /lib/systemd /var/lib/systemd /run ! -type d 2>/dev/null |
    grep -vE 'cache|/run/adduser|/run/systemd/|/etc/(passwd|group|g?shadow|sub[ug]id)-?$' | sort; }
pid() { cat /run/boardroom/boardroom.pid; }
trace >/tmp/before
dpkg -i /mnt/boardroom_*-1_*.deb
echo "user=$(getent passwd boardroom | cut -d: -f6,7)"
echo "runs-as=$(stat -c %U /proc/$(pid))"
echo "levels=$(echo /etc/rc?.d/S??boardroom)"
PATH=/usr/bin:/bin boardroom status | head -n 1
PATH=/usr/bin:/bin boardroom --version
systemd-analyze verify boardroom.service; echo "verify=$?"
systemd-analyze security --offline=yes --threshold=20 boardroom.service >/tmp/security; echo "security=$?"
man -P cat boardroom-serve | grep -c failover

echo 'NAME="Anna"' >>/etc/default/boardroom
before=$(pid)
dpkg --force-confdef --force-confold -i /mnt/boardroom_*-2_*.deb
[ "$(pid)" != "$before" ] && [ ! -d "/proc/$before" ] && echo renewed=yes
echo "name=$(boardroom status | cut -d, -f1 | head -n 1)"
echo "kept=$(tail -n 1 /etc/default/boardroom)"
echo "offered=$(tail -n 1 /etc/default/boardroom.dpkg-dist)"

update-rc.d boardroom disable
dpkg --force-confold -i /mnt/boardroom_*-1_*.deb
echo "disabled=$(ls /etc/rc?.d | grep -c S..boardroom)"

last=$(pid)
dpkg --remove boardroom
[ ! -d "/proc/$last" ] && echo gone=yes
echo "settings=$(tail -n 1 /etc/default/boardroom)"
dpkg --purge boardroom
trace >/tmp/after
diff /tmp/before /tmp/after && echo nothing-left=yes
echo "user-stays=$(getent passwd boardroom | cut -d: -f1)"
"""


@pytest.fixture(scope="session")
def life(possible, package, newer):
    return world.run(LIFE, [package, newer])


def test_an_installed_board_runs_as_its_own_user(life):
    assert said(life, "user") == "/nonexistent:/usr/sbin/nologin", life
    assert said(life, "runs-as") == "boardroom"
    assert len(said(life, "levels").split()) == 4
    assert "UDP port 2000" in life


def test_the_unit_is_right_and_closed(life):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    assert said(life, "verify") == "0", life
    assert said(life, "security") == "0", life


def test_an_upgrade_keeps_own_settings_and_runs_the_new_program(life):
    assert said(life, "renewed") == "yes", life
    assert said(life, "name") == "Anna", life
    assert said(life, "kept") == 'NAME="Anna"'
    assert said(life, "offered") == "#NEW="


def test_what_was_disabled_stays_so(life):
    assert said(life, "disabled") == "0", life


def test_removed_it_leaves_settings_and_purged_it_leaves_nothing(life):
    assert said(life, "gone") == "yes", life
    assert said(life, "settings") == 'NAME="Anna"'
    assert said(life, "nothing-left") == "yes", life
    assert said(life, "user-stays") == "boardroom"


UNIT = r"""
main() { systemctl show -P MainPID boardroom; }
cat >/usr/lib/boardroom-hook <<'END'
#!/bin/sh
echo "$*" >>/run/boardroom/hooked
/usr/lib/boardroom/tracker-on-master "$@"
END
chmod 755 /usr/lib/boardroom-hook
dpkg -i /mnt/boardroom_*-1_*.deb
echo "active=$(systemctl is-active boardroom) enabled=$(systemctl is-enabled boardroom)"
cat >>/etc/default/boardroom <<'END'
NAME="Anna"
FAILOVER=yes
INTERVAL=100ms
INTERFACE=br0
ON_CHANGE=/usr/lib/boardroom-hook
END
systemctl restart boardroom
# The address comes late, and netlink tells of it.
ip link add br0 type veth peer name br1
ip link set br1 up
ip address add 10.3.52.2/24 broadcast + dev br0
ip link set br0 up
eventually 'boardroom whois | grep -q "Anna on board 10.3.52.2"'
echo "whois=$(boardroom whois --interface br0)"
eventually 'grep -q ^master /run/boardroom/hooked'
echo "hooked=$(tail -n 1 /run/boardroom/hooked)"
eventually 'ss -ltn | grep -q 42015 || pgrep -f "match tracker"'
echo "tracker=$(pgrep -f 'match tracker' | wc -l)"
for key in Uid CapEff CapBnd CapAmb NoNewPrivs Seccomp; do
    echo "$key=$(sed -n "s/^$key:[[:space:]]*//p" /proc/$(main)/status | cut -f 1)"
done
echo "boardroom-uid=$(id -u boardroom)"
mount_of() { awk -v p="$1" '$5 == p { split($6, o, ","); print o[1] }' /proc/$(main)/mountinfo | tail -n 1; }
echo "root=$(mount_of /) sys=$(mount_of /sys) devices=$(mount_of /sys/devices) run=$(mount_of /run/boardroom)"
boardroom resign; echo "resign=$?"

before=$(main)
kill -9 "$before"
eventually '[ "$(main)" != 0 ] && [ "$(main)" != "$before" ] && boardroom status'
echo "after-crash=$(systemctl is-active boardroom)"

before=$(main)
dpkg --force-confold -i /mnt/boardroom_*-2_*.deb
eventually '[ "$(main)" != "$before" ] && boardroom status'
echo "after-upgrade=$(systemctl is-active boardroom)"
sleep 0.3
systemctl stop boardroom
echo "processes=$(pgrep -c -u boardroom)"
echo "run-directory=$(ls /run/boardroom 2>&1)"
journalctl --sync; journalctl -q -o cat -t boardroom | sed 's/^/log: /'

echo 'GUARDIAN=yes' >>/etc/default/boardroom
systemctl start boardroom
eventually 'boardroom status'
echo "guarded=$(pgrep -c -u boardroom -f 'boardroom serve')"
systemctl stop boardroom
echo "guarded-stop=$(systemctl show -P Result boardroom)"

echo 'PORT=x' >>/etc/default/boardroom
systemctl start boardroom
eventually '[ "$(systemctl is-active boardroom)" = failed ]'; sleep 1.3
echo "wrong=$(systemctl is-active boardroom) restarts=$(systemctl show -P NRestarts boardroom)"
eventually 'journalctl --sync; journalctl -q -o cat -t boardroom | grep -q "is not a number"'
echo "reason=$(journalctl -q -o cat -t boardroom | grep -c 'is not a number')"

systemctl disable boardroom
dpkg --force-confold -i /mnt/boardroom_*-1_*.deb
echo "still=$(systemctl is-enabled boardroom)"
dpkg --purge boardroom
echo "unit=$(systemctl show -P LoadState boardroom)"
"""


@pytest.fixture(scope="session")
def unit(systemd, package, newer):
    return world.boot(UNIT, [package, newer], timeout=600)


def test_the_unit_serves_with_a_late_address_and_a_hook(unit):
    assert said(unit, "active") == "active enabled=enabled", unit
    assert "Anna on board 10.3.52.2 is the master" in said(unit, "whois"), unit
    assert re.fullmatch(r"(master|won) 10\.3\.52\.2 \d+ \d+", said(unit, "hooked")), unit
    assert said(unit, "tracker") == "1", unit
    assert said(unit, "resign") == "0", unit
    assert "log: " in unit


def test_the_unit_has_no_privilege_and_writes_to_its_own_place_only(unit):
    assert said(unit, "Uid") == said(unit, "boardroom-uid") != "0"
    assert {said(unit, key) for key in ("CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert said(unit, "NoNewPrivs") == "1" and said(unit, "Seccomp") == "2"
    # The LEDs are below /sys/devices.
    assert said(unit, "root") == "ro sys=ro devices=rw run=rw"


def test_the_unit_comes_back_from_a_crash_and_an_upgrade(unit):
    assert said(unit, "after-crash") == "active", unit
    assert said(unit, "after-upgrade") == "active", unit


def test_the_unit_ends_with_all_that_it_started(unit):
    assert said(unit, "processes") == "0", unit
    assert "No such file" in said(unit, "run-directory")
    assert said(unit, "guarded") == "2" and said(unit, "guarded-stop") == "success", unit


def test_wrong_settings_are_told_once(unit):
    assert said(unit, "wrong") == "failed restarts=0", unit
    assert said(unit, "reason") == "1"


def test_a_disabled_unit_stays_so_and_a_purged_one_is_gone(unit):
    assert said(unit, "still") == "disabled", unit
    assert said(unit, "unit") == "not-found", unit
