"""The init script in a scratch root, under busybox ash and under dash, with and
without start-stop-daemon: every action, twice in a row, and what goes wrong."""
import re

import pytest

from boards import ROOT, ScratchRoot, program

# Boards on the loopback: a scratch root has no other network.
SETTINGS = "INTERFACE=lo\nADDRESS=127.0.0.2\n"

# b ACTION: runs the script and prints `ACTION=EXIT CODE` below what it said.
PRELUDE = """
ip link set lo up
b() { /etc/init.d/boardroom "$@" 2>&1; echo "$1=$?"; }
pid() { cat /run/boardroom/boardroom.pid; }
owner() { stat -c %U "/proc/$1"; }
# until_true COMMAND: until it succeeds, for half a minute at most.
until_true() {
    n=300
    until "$@" >/dev/null 2>&1 || [ $n = 0 ]; do n=$((n - 1)); sleep 0.1; done
}
"""

KINDS = [pytest.param(shell, daemon, id=f"{shell}-{'with' if daemon else 'without'}-ssd")
         for shell in ("busybox", "dash") for daemon in (True, False)]


def make_root(place, shell="busybox", start_stop_daemon=True, settings=SETTINGS):
    root = ScratchRoot(place / "root", shell,
                       () if start_stop_daemon else ("start-stop-daemon",))
    root.copy(ROOT / "board/boardroom.init", "etc/init.d/boardroom")
    root.copy(program(), "usr/sbin/boardroom")
    if settings is not None:
        root.write("etc/default/boardroom", settings)
    return root


@pytest.fixture
def root(tmp_path):
    return make_root(tmp_path)


def ask(root, script, **options):
    done = root.run(PRELUDE + script, **options)
    return done.stdout + done.stderr


@pytest.mark.parametrize("shell, daemon", KINDS)
def test_every_action_twice_in_a_row(tmp_path, shell, daemon):
    root = make_root(tmp_path, shell, daemon)
    said = ask(root, """
        b status; b stop; b stop; b try-restart; b start; b start; first=$(pid)
        b status; echo "user=$(owner $first)"; b restart; [ "$(pid)" != $first ] && echo renewed
        b try-restart; b force-reload; b reload; b status; b stop; b stop; b status
        ls /run/boardroom
        """)
    assert re.findall(r"^([a-z-]+=\S+)$", said, re.M) == [
        "status=3", "stop=0", "stop=0", "try-restart=0", "start=0", "start=0", "status=0",
        "user=boardroom", "restart=0", "try-restart=0", "force-reload=0", "reload=3",
        "status=0", "stop=0", "stop=0", "status=3"], said
    assert "renewed" in said
    assert "boardroom.pid" not in said.split("status=3")[-1]


def test_it_starts_before_there_is_any_address(tmp_path):
    root = make_root(tmp_path, settings="INTERFACE=eth0\n")
    said = ask(root, "b start; b status; b start; b stop")
    assert re.findall(r"=\d", said) == ["=0"] * 4, said


def test_stale_pid_file(root):
    said = ask(root, """
        mkdir -p /run/boardroom; echo 31999 >/run/boardroom/boardroom.pid
        b status; b start; b status; b stop
        """)
    assert re.findall(r"=\d", said) == ["=1", "=0", "=0", "=0"], said


def test_a_reused_pid_is_left_alone(root):
    said = ask(root, """
        sleep 30 & stranger=$!
        mkdir -p /run/boardroom; echo $stranger >/run/boardroom/boardroom.pid
        b status; b stop; kill -0 $stranger && echo lives
        echo $stranger >/run/boardroom/boardroom.pid
        b start; [ "$(pid)" != $stranger ] && echo own; b stop; kill -0 $stranger && echo lives
        """)
    assert re.findall(r"=\d|lives|own", said) == [
        "=1", "=0", "lives", "=0", "own", "=0", "lives"], said


@pytest.mark.parametrize("content", ["", "abc", "-1", "0", "1", "999999999999", "12 34"])
def test_rubbish_in_the_pid_file(root, content):
    said = ask(root, f"""
        mkdir -p /run/boardroom; echo '{content}' >/run/boardroom/boardroom.pid
        b status; b stop; b start; b status; b stop
        """)
    assert re.findall(r"=\d", said)[1:] == ["=0"] * 4, said


def test_after_a_crash_it_starts_again(root):
    said = ask(root, "b start; p=$(pid); kill -9 $p; until_true [ ! -d /proc/$p ]; b status; b start; b status; b stop")
    assert re.findall(r"=\d", said) == ["=0", "=1", "=0", "=0", "=0"], said


def test_read_only_root_with_a_volatile_run(root):
    said = ask(root, "touch /x; b start; b status; b restart; b stop; b status", before="""
        mount -t tmpfs none $R/run; mount -o remount,ro,bind $R
        """)
    assert "Read-only file system" in said
    assert re.findall(r"=\d", said) == ["=0", "=0", "=0", "=0", "=3"], said


@pytest.mark.parametrize("user", ["boardroom", "root"])
def test_everything_read_only(root, user):
    """Without any place for a pid file the board is found among the processes."""
    root.write("etc/default/boardroom", SETTINGS + f"RUN_AS={user}\n")
    said = ask(root, "b start; b start; b status; b restart; b stop; b status",
               before="mount -o remount,ro,bind $R")
    assert re.findall(r"=\d", said) == ["=0", "=0", "=0", "=0", "=0", "=3"], said
    assert said.count("already running") == 1, said


def test_no_run_but_var_run(root):
    said = ask(root, "rm /var/run; rmdir /run; b start; b status; ls /var/run/boardroom; b stop")
    assert re.findall(r"=\d", said) == ["=0"] * 3, said
    assert "boardroom.pid" in said


def test_no_settings_at_all(tmp_path):
    root = make_root(tmp_path, settings=None)
    said = ask(root, "b start; b status; b stop")
    assert re.findall(r"=\d", said) == ["=0"] * 3, said


@pytest.mark.parametrize("setting, word", [
    ("INTERVAL=soon", "--interval"),
    ("OPTIONS=--no-such-option", "--no-such-option"),
    ("ANSWER=nobody", "nobody"),
    ("PORT=http", "PORT"),
    ("PORT=70000", "70000"),
    ("LOG=flash", "LOG"),
    ("RUN_AS=stranger", "stranger"),
    ("NAME='unfinished", "cannot be read"),
])
@pytest.mark.parametrize("shell", ["busybox", "dash"])
def test_wrong_settings_are_told(tmp_path, shell, setting, word):
    root = make_root(tmp_path, shell, settings=SETTINGS + setting + "\n")
    said = ask(root, "b start; b status")
    assert "start=6" in said, said
    assert word in said and "/etc/default/boardroom" in said, said


@pytest.mark.parametrize("setting, code, word", [
    ("NAME='unfinished", 6, "cannot be read"),
    ("INTERVAL=soon", 6, "--interval"),
    ("OPTIONS=--no-such-option", 6, "--no-such-option"),
    ("KEY_FILE=/etc/no-such-key", 1, "no-such-key"),
    ("KEY_FILE=/etc/roots-key", 1, "roots-key"),
])
@pytest.mark.parametrize("shell, daemon", KINDS)
def test_the_running_board_survives_a_restart_with_wrong_settings(tmp_path, shell, daemon,
                                                                  setting, code, word):
    """A mistake in the file costs a message, not the board."""
    root = make_root(tmp_path, shell, daemon)
    root.write("etc/roots-key", f"{'6b' * 32}\n", 0o600)
    said = ask(root, f"""b start; first=$(pid); cp /etc/default/boardroom /etc/right
        echo "{setting}" >>/etc/default/boardroom
        for action in restart try-restart force-reload; do b $action; done
        [ "$(pid)" = "$first" ] && kill -0 $first && echo lives; b status
        cp /etc/right /etc/default/boardroom; b restart; [ "$(pid)" != "$first" ] && echo renewed
        b stop""")
    assert re.findall(r"=\d|lives|renewed", said) == [
        "=0", *[f"={code}"] * 3, "lives", "=0", "=0", "renewed", "=0"], said
    assert said.count(word) == 3, said


def test_a_change_of_port_and_restart(root):
    said = ask(root, """
        b start; first=$(pid); echo PORT=2001 >>/etc/default/boardroom; b restart
        kill -0 $first 2>/dev/null || echo gone; b status; b stop
        """)
    assert re.findall(r"=\d|gone", said) == ["=0", "=0", "gone", "=0", "=0"], said


def test_names_and_options_with_blanks(root):
    root.write("etc/default/boardroom",
               SETTINGS + "NAME=\"Peter's board\"\nOPTIONS='--strict -v'\n")
    said = ask(root, "b start; tr '\\0' '|' </proc/$(pid)/cmdline; b stop")
    assert "|--name|Peter's board|" in said and "|--strict|-v|2000|" in said, said


def test_exit_codes_of_usage(root):
    said = ask(root, "b; b dance; rm /usr/sbin/boardroom; b start; b status")
    assert re.findall(r"=\d", said) == ["=2", "=2", "=5", "=3"], said


def test_without_privilege(root):
    said = ask(root, """
        setpriv --version >/dev/null 2>&1
        start-stop-daemon -S -c boardroom -x /etc/init.d/boardroom -- start; echo "start=$?"
        """)
    assert "start=4" in said, said


def test_no_user_to_give(tmp_path):
    root = make_root(tmp_path)
    root.write("etc/passwd", "root:x:0:0::/:/bin/sh\n")
    said = ask(root, "b start; owner $(pid); b stop")
    assert re.findall(r"=\d|root", said) == ["=0", "root", "=0"], said


def test_a_port_taken(root):
    # 07D0 is port 2000. A board whose pid file is there for the moment before it
    # finds its port taken has been started, to who looks at that moment.
    said = ask(root, """
        /usr/sbin/boardroom serve --interface lo --address 127.0.0.2 & other=$!
        until_true grep -q 0200007F:07D0 /proc/net/udp
        for try in 1 2 3 4 5; do b start | tee /said; grep -q start=1 /said && break; sleep 1; done
        kill $other""")
    assert "start=1" in said and "2000" in said, said


def test_it_does_not_hold_the_terminal(root):
    """`ssh board /etc/init.d/boardroom start` returns: nothing keeps its pipes."""
    said = ask(root, "b start | cat; echo came-back; b stop")
    assert "came-back" in said


def test_one_that_ignores_term_is_killed(root):
    said = ask(root, "b start; kill -STOP $(pid); b stop; b status", timeout=30)
    assert re.findall(r"=\d", said) == ["=0", "=0", "=3"], said
    assert "killing it" in said


def test_run_stays_in_the_foreground(root):
    """As busybox init respawns it."""
    said = ask(root, """
        /etc/init.d/boardroom run & until_true [ -s /run/boardroom/boardroom.pid ]
        [ "$(pid)" = $! ] && echo same
        b status; /etc/init.d/boardroom run; echo "run=$?"; b stop; wait; b status""")
    assert re.findall(r"=\d|same", said) == ["same", "=0", "=1", "=0", "=3"], said
