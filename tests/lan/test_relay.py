"""relay: lines of servers with their clients, own and existing ones."""

import fcntl
import os
import pty
import random
import signal
import subprocess
import time

import pytest

import lab
from relays import Line, OldClient, addresses, pair
from services import Master

A, B, C = "1111111111", "2222222222", "3333333333"


@pytest.fixture
def make_line(loopback):
    made = []

    def make(*arguments, **options):
        made.append(Line(loopback, *arguments, **options))
        return made[-1]

    yield make
    for line in made:
        line.close()


def test_three_messages_across_five_servers_once_and_in_order(make_line):
    """On the addresses of the existing servers; one test at a time may have them."""
    with open("/tmp/br-relay.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        line = make_line(servers=[f"127.0.0.{21 + i}:{1025 + i}" for i in range(5)])
        listener = line.listener(B, 4, "--count", "3")
        for text in ("one", "two", "three"):
            sent = line.run_client(A, 0, "--until-read", "send", B, text)
            assert sent.code == 0, sent.stderr
            assert sent.stdout == f"sent to {B}: {text} (taken)\nread by {B}\n"
        assert listener.wait(lab.LONG) == 0
        assert listener.stdout == f"{A}: one\n{A}: two\n{A}: three\n"
        assert line.run_client(B, 4, "get").code == 1, "nothing is left"
        assert line.all_alive()
        line.close()


def test_a_first_get_waits_for_what_another_server_keeps(make_line):
    """Nobody knew where the client is before it asked."""
    line = make_line(5)
    for text in ("one", "two"):
        assert line.run_client(A, 0, "send", B, text).code == 0
    lab.wait_for(lambda: all(line.knows_all(i) for i in range(5)), what="them to know each other")
    got = line.run_client(B, 4, "get")
    assert (got.code, got.stdout) == (0, f"{A}: one\n{A}: two\n"), got.stderr


def test_a_late_destination_gets_its_mail_wherever_it_comes(make_line):
    line = make_line()
    for text in ("first", "second"):
        assert line.run_client(A, 0, "send", B, text).code == 0
    late = line.client(B, 3, "--count", "2", "listen")
    assert late.wait(lab.LONG) == 0
    assert late.stdout == f"{A}: first\n{A}: second\n"
    # And an existing client, which asks.
    assert line.run_client(A, 0, "send", C, "for an old one").code == 0
    old = OldClient(C, line.servers[2])
    lab.wait_for(lambda: (A, "for an old one") in old.get_all(), what="the message")
    old.leave()


def test_thirty_clients_and_the_last_one_leaves(make_line):
    line = make_line()
    clients = [OldClient(f"{5_000_000_000 + i}", line.servers[i % 5]) for i in range(30)]
    lab.wait_for(lambda: all(
        f"clients 6 here 24 elsewhere" in line.status(i) for i in range(5)), what="30 clients")
    for i, client in enumerate(clients):
        client.send(clients[(i + 7) % 30].name, f"from {i}")
    for i, client in enumerate(clients):
        expected = (clients[(i - 7) % 30].name, f"from {(i - 7) % 30}")
        found = []
        lab.wait_for(lambda: found.extend(client.get_all()) or found, what=str(expected))
        assert found == [expected]
    for client in clients:
        client.leave()
    lab.wait_for(lambda: all(
        "clients 0 here 0 elsewhere" in line.status(i) for i in range(5)), what="all to leave")
    assert line.all_alive()
    assert line.run_client(A, 0, "send", B, "still there").code == 0


def test_junk_ends_no_server(make_line):
    line = make_line(3, options=("--quiet",))
    random.seed(7)
    udp = lab.Udp("127.0.0.1")
    whole = f"1/send/{A}/{B}/text".encode()
    for i in range(3000):
        kind = i % 4
        data = [b"", os.urandom(random.randrange(300)), whole[:random.randrange(len(whole))],
                b"?" * random.randrange(1, 9)][kind]
        udp.send(data, *pair(line.servers[i % 3]))
    for data in (f"{A}/127.0.0.1?", f"0/terminate/{A}//1", "1/alive/127.0.0.1//", "1/get/x//",
                 f"1/send/{A}/{B}/", f"1/handshake/0000000000//", "9" * 200):
        udp.send(data.encode(), *pair(line.servers[0]))
    udp.close()
    assert line.all_alive()
    listener = line.listener(C, 2, "--count", "1")
    assert line.run_client(A, 0, "send", C, "through").code == 0
    assert listener.wait(lab.LONG) == 0


def test_sigusr1_and_status_tell(make_line):
    line = make_line(2)
    udp = lab.Udp("127.0.0.1")
    udp.send(b"nonsense", *pair(line.servers[0]))
    udp.close()
    lab.wait_for(lambda: "dropped 1" in line.status(0), what="a drop")
    line.processes[0].signal(signal.SIGUSR1)
    lab.wait_for(lambda: "dropped, not a frame: 1" in line.processes[0].stdout, what="the report")
    assert f"server 2 {line.servers[1]}: new, heard" in line.processes[0].stdout
    line.processes[0].signal(signal.SIGTERM)
    assert line.processes[0].wait(lab.LONG) == 0
    gone = line.place.run("relay", "status", "--server", line.servers[0], "--timeout", "500ms")
    assert gone.code == 1 and "no answer" in gone.stderr


def test_mail_moves_with_its_client(make_line):
    line = make_line(3)
    old = OldClient(B, line.servers[0])
    assert line.run_client(A, 2, "send", B, "one").code == 0
    lab.wait_for(lambda: "kept 1" in line.status(0), what="the message at the first server")
    # Not fetched there: the client goes to the second server.
    old.udp.close()
    moved = OldClient(B, line.servers[1])
    found = []
    lab.wait_for(lambda: found.extend(moved.get_all()) or found, what="the message")
    assert found == [(A, "one")]
    moved.leave()


def test_existing_servers_in_the_line(make_line):
    """Own servers at both ends and existing ones between, and the reverse."""
    for old in ((1, 2, 3), (0, 4)):
        line = make_line(5, old=old)
        one, other = OldClient(A, line.servers[0]), OldClient(B, line.servers[4])
        # An existing server says nothing: it takes 20 s to be taken for one.
        time.sleep(7)
        for text in ("a/b", "zwei ü", "three?"):
            one.send(B, text)
        found = []
        lab.wait_for(lambda: found.extend(other.get_all()) or len(found) >= 3, 120,
                     "three messages")
        assert found == [(A, "a/b"), (A, "zwei ü"), (A, "three?")]
        other.send(A, "back")
        found = []
        lab.wait_for(lambda: found.extend(one.get_all()) or found, 120, "one back")
        assert found == [(B, "back")]
        one.leave()
        other.leave()
        time.sleep(0.5)
        assert line.all_alive(), [server.fault for server in line.old.values()]
        line.close()


def test_own_client_at_an_existing_server(make_line):
    line = make_line(2, old=(0,))
    # Without an own server's permanent entry the last client's leaving would
    # end the existing one.
    lab.wait_for(lambda: line.old[0].clients, what="the permanent entry")
    sent = line.run_client(A, 0, "send", B, "hello")
    assert sent.code == 0 and "does not confirm" in sent.stdout, sent.stderr
    got = line.run_client(B, 0, "get")
    assert (got.code, got.stdout) == (0, f"{A}: hello\n")
    again = line.run_client(B, 0, "get")
    assert again.code == 1 and "no messages" in again.stderr
    assert line.all_alive()


def test_the_spool_survives_kill_9(make_line, tmp_path):
    line = make_line(2, spool=tmp_path, options=("--quiet",))
    count = 300
    text = "".join(f"message {i}\n" for i in range(count))
    listener = line.listener(B, 1, "--quiet", "--count", str(count), "--timeout", "300s")
    sender = subprocess.Popen(
        [lab.program(), "relay", "client", "--id", A, "--server", line.servers[0],
         "--timeout", "300s", "--quiet", "send", B], stdin=subprocess.PIPE,
        preexec_fn=line.place.enter_child)
    sender.stdin.write(text.encode())
    sender.stdin.close()
    random.seed(3)
    while sender.poll() is None or listener.is_running():
        victim = random.randrange(2)
        line.processes[victim].signal(signal.SIGKILL)
        line.processes[victim].wait(lab.LONG)
        line.restart(victim)
        time.sleep(random.uniform(0.2, 0.8))
        if listener.stdout.count("\n") >= count and sender.poll() is not None:
            break
    assert sender.wait(4 * lab.LONG) == 0
    assert listener.wait(4 * lab.LONG) == 0
    assert listener.stdout.splitlines() == [f"{A}: message {i}" for i in range(count)]


def test_a_damaged_spool_is_told_and_used(make_line, tmp_path):
    line = make_line(1, spool=tmp_path)
    for text in ("one", "two", "three"):
        assert line.run_client(A, 0, "send", B, text).code == 0
    line.processes[0].stop()
    spool = next(tmp_path.glob("relay-*.spool"))
    whole = spool.read_bytes()
    spool.write_bytes(whole[:-3])
    line.restart(0)
    assert "damaged bytes" in line.processes[0].stderr
    got = line.run_client(B, 0, "get")
    assert got.stdout == f"{A}: one\n{A}: two\n"


def test_a_full_disk_confirms_nothing(make_line, tmp_path):
    """/dev/full cannot be a directory: a file-size limit does the same."""
    servers = addresses(1)
    place = make_line(1).place
    limited = ["bash", "-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "-", lab.program()]
    server = place.start([*limited, "relay", "server", "--servers", servers[0], "--index", "1",
                          "--spool", str(tmp_path), "--quiet"])
    lab.wait_for(lambda: "ready" in server.stdout, what="the server")

    def sent():
        return place.run("relay", "client", "--id", A, "--server", servers[0], "--timeout", "10s",
                         "send", B, "x" * 160)

    codes = [sent()]
    while codes[-1].code == 0 and len(codes) < 100:
        codes.append(sent())
    codes.append(sent())
    assert codes[0].code == 0
    assert codes[-2].code == codes[-1].code == 1, "the disk is full"
    assert server.is_running(), server.stderr
    taken = sum(one.code == 0 for one in codes)
    status = place.run("relay", "status", "--server", servers[0]).stdout
    assert f" kept {taken} in 1 " in status and f" taken {taken} " in status, status
    server.signal(signal.SIGKILL)
    server.wait(lab.LONG)
    again = place.boardroom("relay", "server", "--servers", servers[0], "--index", "1",
                            "--spool", tmp_path)
    lab.wait_for(lambda: "ready" in again.stdout, what="the server")
    got = place.run("relay", "client", "--id", B, "--server", servers[0], "get")
    assert len(got.stdout.splitlines()) == taken, "what was confirmed is there, and no more"


def test_bounds_are_told_to_the_sender(make_line):
    line = make_line(1, options=("--mailbox", "2"))
    for text in ("one", "two"):
        assert line.run_client(A, 0, "send", B, text).code == 0
    full = line.run_client(A, 0, "send", B, "three")
    assert full.code == 1 and "the addressee's mailbox is full" in full.stderr


def test_the_menu(make_line):
    line = make_line(1)
    assert line.run_client(B, 0, "send", A, "for you").code == 0
    parent, child = pty.openpty()
    menu = subprocess.Popen(
        [lab.program(), "relay", "client", "--id", A, "--server", line.servers[0]],
        stdin=child, stdout=child, stderr=child, preexec_fn=line.place.enter_child)
    os.close(child)
    seen = ""

    def wait_for(text):
        nonlocal seen
        while text not in seen:
            seen += os.read(parent, 1000).decode()
        seen = seen.split(text, 1)[1]

    wait_for("1 send, 2 get, 3 quit: ")
    wait_for(f"{B}: for you")
    os.write(parent, b"1\n")
    wait_for("to (10 digits): ")
    os.write(parent, f"{B}\n".encode())
    wait_for("text: ")
    os.write(parent, "grüße\n".encode())
    wait_for(f"sent to {B}: grüße (taken)")
    os.write(parent, b"2\n")
    wait_for("no messages")
    os.write(parent, b"3\n")
    assert menu.wait(lab.LONG) == 0
    os.close(parent)
    assert line.run_client(B, 0, "get").stdout == f"{A}: grüße\n"


def test_the_menu_from_a_pipe(make_line):
    line = make_line(1)
    script = f"1\n{A}\nto myself\n2\n3\n"
    done = subprocess.run(
        [lab.program(), "relay", "client", "--id", A, "--server", line.servers[0]],
        input=script.encode(), capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    assert f"sent to {A}: to myself (taken)" in lines and f"{A}: to myself" in lines


def test_server_auto_takes_the_port_beside_the_masters_address(loopback, make_line):
    line = make_line(servers=[f"127.0.0.1:{lab.free_port()}", "127.1.2.3:1026"])
    master = Master(loopback)
    sent = loopback.run("relay", "client", "--id", A, "--servers", line.list(),
                        *master.options, "send", B, "hello")
    master.stop()
    assert sent.code == 0, sent.stderr


@pytest.mark.parametrize("arguments, code, told", [
    ("relay", 2, "give a role"),
    ("relay server", 2, "--index from 1 to 5"),
    ("relay server --index 6", 2, "--index from 1 to 5"),
    ("relay server --index 0", 2, "from 1 to 64"),
    ("relay server --index 1 --servers 127.0.0.1:1,127.0.0.1:2", 2, "comes twice"),
    ("relay server --index 1 --servers nowhere", 2, "no ADDRESS:PORT"),
    ("relay server --index 1 --id 1111111111", 2, "--id is not for this role"),
    ("relay server --index 1 --spool /nonexistent/x", 4, "/nonexistent/x"),
    ("relay client", 2, "give --id"),
    ("relay client --id 123 get", 2, "exactly 10 digits"),
    ("relay client --id 0000000000 get", 2, "the servers' own"),
    ("relay client --id 1111111111 send 22 x", 2, "exactly 10 digits"),
    (f"relay client --id {A} send {B} {'x' * 161}", 2, "161 characters"),
    (f"relay client --id {A} shout", 2, "send, get or listen"),
    (f"relay client --id {A} --count 2 get", 2, "--count is for listen"),
    (f"relay client --id {A} --until-read listen", 2, "--until-read is for send"),
    (f"relay client --id {A} get it", 2, "one word too many"),
    (f"relay client --id {A} --server 10.9.8.7 get", 2, "give its port too"),
    (f"relay client --id {A} --server 127.0.0.1:9 --timeout 300ms get", 1, "no answer from"),
    (f"relay client --id {A} --server 127.0.0.1:9 --timeout 300ms send {B} x", 1, "no answer"),
])
def test_errors_say_what_to_do(loopback, arguments, code, told):
    done = loopback.run(*arguments.split())
    assert (done.code, told in done.stderr) == (code, True), (done.code, done.stderr)


def test_a_second_server_is_told_that_the_port_is_taken(make_line):
    line = make_line(1)
    second = line.place.run("relay", "server", "--servers", line.list(), "--index", "1")
    assert second.code == 4 and "is taken" in second.stderr and "--port" not in second.stderr
