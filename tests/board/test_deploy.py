"""Deployment over real SSH to boards in scratch roots: dropbear, busybox, and a
root file system of their own each; all on one private network."""
import re

import pytest

from boards import ROOT, ScratchRoot, program, run

DEPLOY = ROOT / "board/tools/deploy"

# What runs in the world before the test's own script. `up N` starts board N.
PRELUDE = """
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ip link set lo up
mount -t proc proc /proc
W={place}
export PROGRAM=$W/program
export SSH_OPTIONS="-i $W/key -o UserKnownHostsFile=$W/known_hosts -o IdentitiesOnly=yes"
root() {{ echo $W/board$1; }}
address() {{ echo 127.0.0.1$1; }}
up() {{  # up N [SIZE]: a board of its own file system, with SSH
    mkdir -p $(root $1); mount -t tmpfs -o size=${{2:-64m}} none $(root $1)
    cp -a $W/template/. $(root $1)/
    echo "INTERFACE=lo
ADDRESS=$(address $1)" >$(root $1)/etc/default/boardroom
    mount -t proc proc $(root $1)/proc; mount --bind /dev $(root $1)/dev
    mount -t tmpfs none $(root $1)/run
    daemon $1
}}
daemon() {{ chroot $(root $1) dropbear -F -E -s -r /etc/dropbear.key -p $(address $1):22 \\
    >$W/dropbear$1.log 2>&1 & eval dropbear$1=$!
    until_true grep -q "$(printf '%02X00007F:0016' 1$1) 00000000:0000 0A" /proc/net/tcp; }}
until_true() {{  # until_true COMMAND: until it succeeds, for half a minute at most
    n=300; until "$@" >/dev/null 2>&1 || [ $n = 0 ]; do n=$((n - 1)); sleep 0.1; done; }}
on() {{ n=$1; shift; chroot $(root $n) /bin/sh -c "$*"; }}
deploy() {{ {deploy} "$@" 2>&1; echo "=> $?"; }}
"""


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A board's root, its SSH keys and a program of two versions."""
    place = tmp_path_factory.mktemp("deploy")
    root = ScratchRoot(place / "template")
    for name in ("/usr/sbin/dropbear", "/usr/bin/scp"):
        root.copy(name, name[1:])
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / "key")
    run("dropbearkey", "-t", "ed25519", "-f", place / "template/etc/dropbear.key")
    root.write("root/.ssh/authorized_keys", (place / "key.pub").read_text(), 0o600)
    for folder in ("root", "root/.ssh"):
        (place / "template" / folder).chmod(0o700)
    root.write("etc/passwd", "root:x:0:0::/root:/bin/sh\nnobody:x:99:99::/:/bin/false\n")
    for level in range(7):
        (place / f"template/etc/rc{level}.d").mkdir()
    # Without its symbols, as firmware is, or a board's disk would be too small.
    run("strip", "-s", "-o", place / "program", program())
    whole = (place / "program").read_bytes()
    assert b"0.1.0" in whole, "the version is in the program"
    (place / "newer").write_bytes(whole.replace(b"0.1.0", b"0.1.1"))
    (place / "hollow").write_text("#!/bin/sh\n[ $1 = --version ] && echo boardroom 0.1.2\n")
    for name in ("program", "newer", "hollow"):
        (place / name).chmod(0o755)
    for library in re.findall(r"(/\S+) \(0x", run("ldd", program()).stdout):
        root.copy(library, library[1:])
    return place


@pytest.fixture
def world(template):
    def play(script, timeout=600):
        text = PRELUDE.format(place=template, deploy=DEPLOY) + script
        (template / "known_hosts").unlink(missing_ok=True)
        done = run("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child",
                   "bash", "-c", text, timeout=timeout)
        return done.stdout + done.stderr
    return play


def codes(said):
    return re.findall(r"^=> (\d+)$", said, re.M)


def test_first_deployment_to_three_boards_at_once(world):
    said = world("""
        up 1; up 2; up 3; rm $(root 2)/usr/bin/scp
        deploy deploy root@127.0.0.11 root@127.0.0.12:22 127.0.0.13
        for n in 1 2 3; do
            on $n /etc/init.d/boardroom status
            cmp $PROGRAM $(root $n)/usr/sbin/boardroom && echo same
            ls $(root $n)/etc/rc3.d $(root $n)/etc/rc6.d
            ls -A $(root $n)/usr/sbin $(root $n)/usr/lib/boardroom
        done
        deploy status 127.0.0.11 127.0.0.12 127.0.0.13
        """)
    assert codes(said) == ["0", "0"], said
    assert "3 of 3 boards done" in said
    assert len(re.findall(r"^boardroom: running", said, re.M)) == 3
    assert said.count("same\n") == 3
    assert said.count("S90boardroom") == 3 and said.count("K10boardroom") == 3
    assert ".boardroom.new" not in said and "\nnew\n" not in said
    assert len(re.findall(r"boardroom 0\.1\.0, process \d+", said)) == 3, said


def test_again_is_harmless_and_leaves_the_board_running(world):
    said = world("""
        up 1; deploy deploy 127.0.0.11; first=$(cat $(root 1)/run/boardroom/boardroom.pid)
        deploy deploy 127.0.0.11; [ $first = $(cat $(root 1)/run/boardroom/boardroom.pid) ] && echo untouched
        """)
    assert codes(said) == ["0", "0"], said
    assert "unchanged" in said and "untouched" in said


def test_a_newer_one_and_back(world):
    said = world("""
        up 1; deploy deploy 127.0.0.11; PROGRAM=$W/newer deploy deploy 127.0.0.11
        deploy status 127.0.0.11; deploy rollback 127.0.0.11; deploy status 127.0.0.11
        deploy rollback 127.0.0.11; deploy status 127.0.0.11
        """)
    assert codes(said) == ["0"] * 7, said
    assert re.findall(r"boardroom (0\.1\.\d), process", said) == ["0.1.1", "0.1.0", "0.1.1"]


def test_rollback_with_nothing_before(world):
    said = world("up 1; deploy deploy 127.0.0.11; deploy rollback 127.0.0.11")
    assert codes(said) == ["0", "1"], said
    assert "there is no program before this one" in said


def test_one_that_does_not_come_up_gives_way(world):
    said = world("""
        up 1; deploy deploy 127.0.0.11
        PROGRAM=$W/hollow deploy deploy 127.0.0.11; deploy status 127.0.0.11
        cmp $PROGRAM $(root 1)/usr/sbin/boardroom && echo same
        """)
    assert codes(said) == ["0", "1", "0"], said
    assert "the program before it runs again" in said and "same" in said


def test_changed_settings_stay(world):
    said = world("""
        up 1; echo NAME=mine >>$(root 1)/etc/default/boardroom; deploy deploy 127.0.0.11
        grep NAME=mine $(root 1)/etc/default/boardroom && ls $(root 1)/etc/default
        """)
    assert "kept /etc/default/boardroom" in said and "boardroom.sample" in said
    assert "NAME=mine" in said


def test_unchanged_settings_are_renewed(world):
    said = world("""
        up 1; rm $(root 1)/etc/default/boardroom
        echo 'ADDRESS=127.0.0.11;INTERFACE=lo' >$W/one
        echo 'ADDRESS=127.0.0.11;INTERFACE=lo;NAME=two' >$W/two
        CONFIG=$W/one deploy deploy 127.0.0.11; cat $(root 1)/etc/default/boardroom
        CONFIG=$W/two deploy deploy 127.0.0.11; cat $(root 1)/etc/default/boardroom
        tr '\\0' ' ' </proc/$(cat $(root 1)/run/boardroom/boardroom.pid)/cmdline
        """)
    assert codes(said) == ["0", "0"], said
    assert "--name two" in said


def test_read_only_root_is_opened_and_closed_again(world):
    said = world("""
        up 1; mount -o remount,ro $(root 1); touch $(root 1)/x
        deploy deploy 127.0.0.11; touch $(root 1)/x; on 1 /etc/init.d/boardroom status
        PROGRAM=$W/hollow deploy deploy 127.0.0.11; touch $(root 1)/x
        deploy undeploy 127.0.0.11; touch $(root 1)/x
        """)
    assert codes(said) == ["0", "1", "0"], said
    assert said.count("Read-only file system") == 4, said


def test_a_full_disk_leaves_the_old_program_running(world):
    said = world("""
        up 1 $(($(du -sk $W/template | cut -f 1) + 3 * $(stat -c %s $PROGRAM) / 1024 + 400))k
        deploy deploy 127.0.0.11
        dd if=/dev/zero of=$(root 1)/fill bs=4k 2>/dev/null
        rm $(root 1)/usr/bin/df; PROGRAM=$W/newer deploy deploy 127.0.0.11
        on 1 /etc/init.d/boardroom status; ls -A $(root 1)/usr/sbin
        cmp $PROGRAM $(root 1)/usr/sbin/boardroom && echo same
        rm $(root 1)/fill; PROGRAM=$W/newer deploy deploy 127.0.0.11
        """)
    assert codes(said) == ["0", "1", "0"], said
    assert "full" in said and "boardroom: running" in said and "same" in said
    assert ".boardroom.new" not in said


def test_wrong_key_unreachable_board_and_a_good_one(world):
    said = world("""
        up 1; up 2; echo >$(root 2)/root/.ssh/authorized_keys
        deploy deploy 127.0.0.11 127.0.0.12 127.0.0.14
        """)
    assert codes(said) == ["1"], said
    assert "1 of 3 boards done" in said
    assert re.search(r"^127.0.0.12 +FAILED: login refused: give a key", said, re.M), said
    assert re.search(r"^127.0.0.14 +FAILED: not reachable", said, re.M), said


def test_a_changed_host_key_is_refused(world):
    said = world("""
        up 1; deploy deploy 127.0.0.11; kill $dropbear1; wait $dropbear1
        rm $(root 1)/etc/dropbear.key; dropbearkey -t ed25519 -f $(root 1)/etc/dropbear.key >/dev/null
        daemon 1; PROGRAM=$W/newer deploy deploy 127.0.0.11; on 1 /usr/sbin/boardroom --version
        """)
    assert codes(said) == ["0", "1"], said
    assert "its host key has changed" in said and "boardroom 0.1.0" in said


def test_a_damaged_copy_is_noticed(world):
    """A board whose scp loses the end of the file."""
    said = world("""
        up 1; deploy deploy 127.0.0.11
        mv $(root 1)/usr/bin/scp $(root 1)/usr/bin/scp.real
        printf '#!/bin/sh\\n/usr/bin/scp.real "$@"; c=$?; t=/usr/sbin/.boardroom.new\\n[ ! -f $t ] || truncate -s 1000 $t\\nexit $c\\n' >$(root 1)/usr/bin/scp
        chmod 755 $(root 1)/usr/bin/scp
        PROGRAM=$W/newer deploy deploy 127.0.0.11; deploy status 127.0.0.11; ls -A $(root 1)/usr/sbin
        """)
    assert codes(said) == ["0", "1", "0"], said
    assert "checksum differs" in said and "boardroom 0.1.0, process" in said
    assert ".boardroom.new" not in said


@pytest.mark.parametrize("moment", ["0.15", "0.3", "0.5", "0.8", "1.2"])
def test_interrupted_leaves_a_whole_program_running(world, moment):
    said = world(f"""
        up 1; deploy deploy 127.0.0.11
        PROGRAM=$W/newer {DEPLOY} deploy 127.0.0.11 & sleep {moment}; kill -TERM $!; wait $!
        sleep 1; until_true on 1 /etc/init.d/boardroom status; on 1 /etc/init.d/boardroom status
        cmp -s $PROGRAM $(root 1)/usr/sbin/boardroom || cmp $W/newer $(root 1)/usr/sbin/boardroom && echo whole
        PROGRAM=$W/newer deploy deploy 127.0.0.11; deploy status 127.0.0.11
        ls -A $(root 1)/usr/sbin; ls -d /tmp/deploy.* 2>/dev/null
        """)
    assert codes(said) == ["0", "0", "0"], said
    assert "boardroom: running" in said and "whole" in said
    assert "boardroom 0.1.1, process" in said and ".boardroom.new" not in said


def test_undeploy_leaves_nothing_but_changed_settings(world):
    said = world("""
        up 1; (cd $(root 1) && find . -xdev -type f -o -type l | sort) >$W/before
        deploy deploy 127.0.0.11; deploy undeploy 127.0.0.11
        (cd $(root 1) && find . -xdev -type f -o -type l | sort) | diff $W/before - && echo clean
        deploy undeploy 127.0.0.11; deploy status 127.0.0.11
        """)
    assert codes(said) == ["0", "0", "0", "1"], said
    assert "clean" in said and "not installed" in said


def test_a_host_that_is_no_arm_board_is_refused(world):
    said = world("unset PROGRAM; up 1; deploy deploy 127.0.0.11")
    assert codes(said) == ["1"], said
    assert "it is no ARM board" in said


@pytest.mark.parametrize("cpu, loader, build", [
    ("4T", True, "armv4t"), ("5TE", True, "armv5te"), ("5TEJ", True, "armv5te"),
    ("5TEJ", False, "armv4t"), ("7", True, "armv5te"), ("7", False, "armv4t")])
def test_the_build_fits_the_cpu(world, firmware, cpu, loader, build):
    """A board whose /proc/cpuinfo is that of an ARM board; the copy then does
    not run on this host's kernel, which is found before anything is replaced."""
    said = world(f"""
        unset PROGRAM; up 1
        echo 'CPU architecture: {cpu}' >$W/cpuinfo
        {'mkdir -p $(root 1)/lib; touch $(root 1)/lib/ld-linux.so.3' if loader else ':'}
        mount --bind $W/cpuinfo $(root 1)/proc/cpuinfo
        deploy deploy 127.0.0.11; ls -A $(root 1)/usr/sbin
        """)
    assert f"({build})" in said and codes(said) == ["1"], said
    assert said.split("=> 1\n")[1].split() == ["dropbear"], "nothing is left in /usr/sbin"
    assert "this build does not run on this board" in said
    if build == "armv5te":
        assert "armv5te does not run here" in said and "(armv4t)" in said, "the static one is tried"


@pytest.mark.parametrize("arguments", ["", "dance 127.0.0.11", "deploy"])
def test_usage(world, arguments):
    assert codes(world(f"deploy {arguments}")) == ["2"]
