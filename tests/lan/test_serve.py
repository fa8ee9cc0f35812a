"""What `serve` is to its machine: sockets, files, signals, wake-ups."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import time

import pytest

import lab
import messages
from lab import wait_for


def switches(process):
    """How often the process has gone to sleep so far."""
    with open(f"/proc/{process.pid}/status") as file:
        return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", file.read(), re.M)[1])


def wakeups(process, seconds):
    before = switches(process)
    time.sleep(seconds)
    return switches(process) - before


def counters(board):
    """What SIGUSR1 logs, as a dictionary."""
    seen = board.stderr.count("counters:")
    board.signal(signal.SIGUSR1)
    wait_for(lambda: board.stderr.count("counters:") > seen, what="the counters")
    line = board.stderr.rsplit("counters:", 1)[1].splitlines()[0]
    return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", line)}


def test_an_idle_board_never_wakes(loopback):
    board = loopback.board(2)
    loopback.run("vote", loopback.port, "--interface", "lo")
    time.sleep(0.3)
    # The kernel may have it wait for a page of its own.
    assert any(wakeups(board, 3) == 0 for _ in range(5))


def test_own_broadcasts_are_not_heard_again(make_lan):
    one, other = make_lan([2, 3]).hosts
    boards = [one.board(), other.board()]
    client = one.client()

    def one_vote():
        before = [counters(board).get("votes", 0) for board in boards]
        client.send(messages.VOTE, one.broadcast, one.port)
        for board, votes in zip(boards, before):
            wait_for(lambda: counters(board).get("votes", 0) > votes, what="the other's vote")
        time.sleep(0.3)
        after = [counters(board)["votes"] for board in boards]
        assert after == [votes + 1 for votes in before], (before, after)

    # A vote that is late, on a busy machine, is asked for.
    for _ in range(3):
        lab.one_of(5, one_vote)
    for board in boards:
        assert "own_echoes" not in counters(board)


def test_another_host_under_our_address_is_told(make_lan):
    one, other = make_lan([2, 3]).hosts
    board = one.board()
    # Under the very address a kernel drops what comes from elsewhere; what is
    # left is the text.
    thief = other.client()
    thief.send(messages.make_vote(one.address, 9), one.broadcast, one.port)
    wait_for(lambda: "address conflict" in board.stderr, what="the warning")
    assert counters(board)["address_conflicts"] == 1


def test_a_board_answers_on_its_own_machine(make_lan):
    (host,) = make_lan([2]).hosts
    host.board(name="Solo")
    client = host.client()
    client.send(messages.VOTE, host.broadcast, host.port)
    time.sleep(0.3)
    for to in (host.broadcast, host.address):
        client.drain()
        client.send(messages.WHOIS, to, host.port)
        data, source = client.receive(lab.LONG)
        assert messages.answer(data) == ("Solo", host.address)
        assert source == (host.address, host.port)


def test_the_limited_broadcast_counts_on_the_own_interface_only(make_lan):
    lan = make_lan([2, 3])
    one, other = lan.hosts
    # A second network between the two, on which the board does not stand.
    lab.ip("-n", one.namespace, "link", "add", "eth1", "type", "veth",
           "peer", "name", "eth1", "netns", other.namespace)
    for host, address in ((one, "10.9.0.2"), (other, "10.9.0.3")):
        host.ip("addr", "add", f"{address}/24", "brd", "10.9.0.255", "dev", "eth1")
        host.ip("link", "set", "eth1", "up")
    board = one.board("--interface", "eth0")
    for interface, expected in (("eth1", 0), ("eth0", 1)):
        client = other.udp()
        client.socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        client.send(b"WHOIS\n", "255.255.255.255", one.port)
        if expected:
            wait_for(lambda: counters(board).get("whois", 0) >= expected, what="the question")
        time.sleep(0.2)
        assert counters(board).get("whois", 0) == expected, interface


def test_a_port_that_is_taken_later_is_told_and_tried_again(make_lan):
    (host,) = make_lan([2], addresses=False).hosts
    board = host.board(bound=False)
    wait_for(lambda: "no network" in board.stderr, what="the line that it waits")
    holder = host.udp("0.0.0.0", host.port)
    host.add_address()
    wait_for(lambda: "is taken by another program" in board.stderr, what="the warning")
    time.sleep(1.5)
    assert board.stderr.count("is taken") == 1, "told once"
    holder.close()
    board.wait_bound(host.address)


def test_what_is_not_there_yet_can_be_waited_for(make_lan):
    (host,) = make_lan([2], addresses=False).hosts
    late = host.board("--interface", "later0", "--wait", bound=False)
    wait_for(lambda: "there is no interface later0" in late.stderr, what="the line that it waits")
    host.ip("link", "add", "later0", "type", "veth", "peer", "name", "later1")
    host.ip("link", "set", "later1", "up")
    host.ip("link", "set", "later0", "up")
    host.ip("addr", "add", "10.7.0.2/24", "brd", "10.7.0.255", "dev", "later0")
    late.wait_bound("10.7.0.2")
    fixed = host.board("--address", "10.8.0.2", "--wait", bound=False)
    wait_for(lambda: "no host's address" in fixed.stderr, what="the line that it waits")
    host.ip("addr", "add", "10.8.0.2/24", "brd", "10.8.0.255", "dev", "eth0")
    fixed.wait_bound("10.8.0.2")


def test_the_pid_file_is_there_before_any_address(make_lan, tmp_path):
    (host,) = make_lan([2], addresses=False).hosts
    path = tmp_path / "board.pid"
    path.write_text("99999\n")
    board = host.board("--pid-file", path, bound=False)
    wait_for(lambda: path.read_text() == f"{board.pid}\n", what="the pid file")
    second = host.run("serve", "--pid-file", path)
    assert second.code == 4
    assert f"process {board.pid}" in second.stderr
    assert board.stop() == 0
    assert not path.exists()


def test_a_record_tells_the_whole_story(loopback, tmp_path):
    path = tmp_path / "record"
    loopback.board(2, "--record", path).wait_bound()
    loopback.run("vote", loopback.port, "--interface", "lo")
    loopback.close()
    lines = path.read_text().splitlines()
    assert lines[0] == "boardroom-record 1"
    assert lines[1].startswith(f"config port={loopback.port} strict=no answer=unicast")
    assert lines[1].endswith("name=B2")
    assert any(line == "network 127.0.0.2 127.255.255.255" for line in lines)
    heard = [line for line in lines if line.startswith("datagram 127.0.0.1:")]
    assert any(b"VOTE\n" == bytes.fromhex(line.split()[2])[:5] for line in heard)
    # A number was drawn, and the vote went out.
    assert any(re.fullmatch(r"random \d+", line) for line in lines)
    sent = [bytes.fromhex(line.split()[2]) for line in lines if line.startswith("sent ")]
    assert any(messages.vote(data) for data in sent)
    turns = [int(line.split()[1]) for line in lines if line.startswith("turn ")]
    assert turns == sorted(turns)


def test_answers_may_go_to_all(loopback):
    loopback.board(2, "--answer", "broadcast", name="Loud")
    client = loopback.client()
    client.send(messages.VOTE, loopback.broadcast, loopback.port)
    time.sleep(0.3)
    listener = loopback.udp(loopback.broadcast, client.port, shared=True)
    client.drain()
    client.send(messages.WHOIS, loopback.broadcast, loopback.port)
    data, _ = listener.receive(lab.LONG)
    assert messages.answer(data) == ("Loud", "127.0.0.2")
    assert client.receive(0.1) is None


def test_a_flood_is_read_in_batches_and_one_client_is_not(loopback):
    board = loopback.board(2)
    client = loopback.client()
    client.send(messages.VOTE, loopback.broadcast, loopback.port)
    time.sleep(0.3)
    for _ in range(2_000):
        client.send(messages.WHOIS, board.address, loopback.port)
        assert client.receive(lab.LONG)
    quiet = counters(board).get("batches", 0)
    assert quiet <= 2_000 / 30 + 1, "a batch is only tried now and then"
    for _ in range(200):
        for _ in range(100):
            client.send(messages.WHOIS, board.address, loopback.port)
        client.drain()
    after = counters(board)
    assert after["batches"] > quiet
    assert after["whois"] > 2_000
    client.drain()
    client.send(messages.WHOIS, board.address, loopback.port)
    assert messages.answer(client.receive(lab.LONG)[0]) == ("B2", board.address)


def test_a_name_that_will_be_cut_is_a_warning(loopback):
    board = loopback.board(2, name="A rather long name for a board")
    wait_for(lambda: "is cut in answers" in board.stderr, what="the warning")
    assert "is cut" not in loopback.board(3, name="Peter").stderr


# The control socket.


@pytest.fixture
def socket_path(tmp_path):
    return tmp_path / "board.sock"


def status(place, path):
    told = place.run("status", "--control", path, "--json")
    assert (told.code, told.stderr) == (0, "")
    return json.loads(told.stdout)


def test_status_tells_what_the_board_knows(loopback, socket_path):
    loopback.board(2, "--control", socket_path).wait_control(socket_path)
    mode = os.stat(socket_path).st_mode
    assert stat.S_IMODE(mode) == 0o660
    fresh = status(loopback, socket_path)
    assert (fresh["role"], fresh["epoch"], fresh["vote"], fresh["master"]) == (
        "slave", 0, None, None)
    loopback.run("vote", loopback.port, "--interface", "lo")
    after = status(loopback, socket_path)
    assert (after["role"], after["epoch"], after["address"]) == ("master", 1, "127.0.0.2")
    assert after["master"] == {"address": "127.0.0.2", "vote": after["vote"]}
    assert after["counters"]["rounds"] == 1
    assert [change["role"] for change in after["changes"]] == ["master"]
    assert after["changes"][0]["cause"] == "the votes are in"
    text = loopback.run("status", "--control", socket_path).stdout
    assert re.search(r"^role +master$", text, re.M)


def test_no_board_is_exit_code_4(loopback, socket_path):
    for command in ("status", "resign"):
        told = loopback.run(command, "--control", socket_path)
        assert told.code == 4
        assert f"no board answers at {socket_path}" in told.stderr
        assert len(told.stderr.splitlines()) == 1


def test_resign_hands_over_once(loopback, socket_path):
    loopback.board(2, "--control", socket_path).wait_control(socket_path)
    told = loopback.run("resign", "--control", socket_path)
    assert (told.code, told.stderr) == (1, "boardroom: this board is not the master\n")
    loopback.run("vote", loopback.port, "--interface", "lo")
    assert loopback.run("resign", "--control", socket_path).code == 0
    assert status(loopback, socket_path)["role"] == "slave"


def test_clients_that_vanish_or_talk_nonsense_disturb_nobody(loopback, socket_path):
    board = loopback.board(2, "--control", socket_path).wait_control(socket_path)
    for text in (b"", b"status\n", b"\0" * 500, b"watch\n", b"resign", b"\n" * 60):
        rude = socket.socket(socket.AF_UNIX)
        rude.connect(str(socket_path))
        rude.sendall(text)
        rude.close()
    idlers = []
    for _ in range(7):
        idlers.append(socket.socket(socket.AF_UNIX))
        idlers[-1].connect(str(socket_path))
    assert status(loopback, socket_path)["role"] == "slave"
    assert any(wakeups(board, 1) <= 1 for _ in range(5))
    for idler in idlers:
        idler.close()


def test_watch_tells_what_becomes_of_the_board(loopback, socket_path):
    loopback.board(2, "--control", socket_path).wait_control(socket_path)
    watcher = socket.socket(socket.AF_UNIX)
    watcher.connect(str(socket_path))
    watcher.sendall(b"watch\n")
    # Who comes later is heard later: the watcher is known now.
    status(loopback, socket_path)
    loopback.run("vote", loopback.port, "--interface", "lo")
    watcher.settimeout(lab.LONG)
    assert watcher.recv(1000).startswith(b"master in round 1: the votes are in")
    watcher.close()


def test_a_live_socket_is_left_alone_and_a_dead_one_replaced(loopback, socket_path):
    first = loopback.board(2, "--control", socket_path).wait_control(socket_path)
    second = loopback.board(3, "--control", socket_path)
    wait_for(lambda: "another board answers there" in second.stderr, what="the line")
    assert status(loopback, socket_path)["name"] == "B2"
    first.kill()
    assert socket_path.exists()
    loopback.board(4, "--control", socket_path).wait_control(socket_path)
    assert status(loopback, socket_path)["name"] == "B4"
    nowhere = loopback.board(5, "--control", "/br-no-such/x.sock")
    wait_for(lambda: "no control socket" in nowhere.stderr, what="the line")


def test_the_log_may_go_to_the_systems(loopback):
    """Without a system's log nothing is lost but the log."""
    board = loopback.board(2, "--log", "syslog")
    loopback.run("vote", loopback.port, "--interface", "lo")
    assert board.stderr == ""
    assert board.stop() == 0


def test_a_log_that_nobody_reads_holds_nothing_up(loopback):
    reader, writer = os.pipe()
    arguments = [lab.program(), "serve", str(loopback.port), "--interface", "lo",
                 "--address", "127.0.0.2", "--name", "B2"]
    process = subprocess.Popen(arguments, stderr=writer, preexec_fn=loopback.enter_child)
    try:
        os.close(writer)
        # Fill the pipe, so that no line of the log goes out.
        client = loopback.client()

        def answered():
            client.send(messages.VOTE, loopback.broadcast, loopback.port)
            time.sleep(0.15)
            client.drain()
            client.send(messages.WHOIS, "127.0.0.2", loopback.port)
            return client.receive(0.5)

        wait_for(answered, what="an answer")
        os.close(reader)
        wait_for(answered, what="an answer where the log's reader is gone")
        process.send_signal(signal.SIGUSR1)
        wait_for(answered, what="an answer behind the counters")
    finally:
        process.kill()
        process.wait()
