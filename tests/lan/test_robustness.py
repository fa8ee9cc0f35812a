"""What real machines and networks do to boards with failover: processes that
stand still, links that flap, ports that pass nothing yet, boards that are
restarted. At no quiet time is there other than one master."""

import contextlib
import json
import re
import signal
import time

import pytest

import lab
from test_failover import PATIENT, Watcher, hook, on_lan, start
from test_quorum import message

FREEZE = 10.0


@pytest.fixture
def three_loopbacks():
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(contextlib.closing(lab.Loopback())) for _ in range(3)]


def never_two(watchers, seconds):
    """Asks all of them in turn; fails as soon as two answer one."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for watcher in watchers:
            found = watcher.masters(0.005)
            assert len(found) < 2, found


def test_ten_seconds_of_standing_still(three_loopbacks):
    """The master, a slave, and all boards at once, each on a LAN of its own."""
    watchers = [Watcher(place) for place in three_loopbacks]
    teams = [start(place, range(2, 6), "--interval", "100ms", *PATIENT)
             for place in three_loopbacks]
    masters = [watcher.settled() for watcher in watchers]
    slave = next(address for address in teams[1] if address != masters[1])
    frozen = [[teams[0][masters[0]]], [teams[1][slave]], list(teams[2].values())]
    for board in sum(frozen, []):
        board.signal(signal.SIGSTOP)
    successor = watchers[0].settled(but=masters[0])
    never_two(watchers, FREEZE)
    for board in sum(frozen, []):
        board.signal(signal.SIGCONT)
    never_two(watchers, 3)
    assert watchers[0].settled() == successor, "who took over stays"
    assert watchers[1].settled() == masters[1], "a slave that slept changes nothing"
    assert watchers[2].settled() in teams[2], "of those that all slept one is master"
    for team in teams:
        assert all(board.is_running() for board in team.values())


def test_a_master_that_stood_still_says_how_long(loopback):
    """Ask 5."""
    boards = start(loopback, range(2, 5), "--interval", "50ms")
    watcher = Watcher(loopback)
    master = watcher.settled()
    boards[master].signal(signal.SIGSTOP)
    watcher.settled(but=master)
    time.sleep(1)
    boards[master].signal(signal.SIGCONT)
    lab.wait_for(lambda: "slave in round" in boards[master].stderr, what="the line")
    told = re.search(r"this process stood still for ([0-9.]+)s", boards[master].stderr)
    assert told and 1 < float(told[1]) < 60, boards[master].stderr


@pytest.mark.parametrize("way", ["interface", "cable", "switch"])
def test_a_link_that_flaps_ends_with_one_master(make_lan, way):
    """The interface goes down, its cable is pulled, or the switch forgets the
    port, which nobody is told of."""
    lan, hosts, client = on_lan(make_lan, 3, "--interval", "100ms")

    def plug(host, is_in):
        if way == "switch":
            where = ("master", "br0") if is_in else ("nomaster",)
            lab.ip("-n", lan.switch, "link", "set", f"p{host.number}", *where)
        else:
            (host.link if way == "interface" else host.cable)("up" if is_in else "down")

    watcher = Watcher(client)
    for pause in (0.03, 0.15, 0.4):
        master = watcher.settled()
        host = next(host for host in hosts if host.address == master)
        for _ in range(4):
            plug(host, False)
            time.sleep(pause)
            plug(host, True)
            time.sleep(pause)
    watcher.settled()
    never_two([watcher], 1)
    assert all(host.processes[-1].is_running() for host in hosts)


def test_a_port_that_passes_nothing_yet(make_lan):
    """A switch listens (spanning tree) before it passes frames: the link is up,
    and each board is alone. Two claims after frames pass there is one master
    (ask 2)."""
    interval = 0.5
    lan, hosts, client = on_lan(make_lan, 3, addresses=False)
    client.add_address()
    for host in hosts:
        lab.ip("-n", lan.switch, "link", "set", f"p{host.number}", "nomaster")
        host.add_address()
        host.board("--interval", f"{interval * 1e3:.0f}ms")
    lone, watcher = [Watcher(host) for host in hosts], Watcher(client)

    def pass_frames():
        for host in hosts:
            lab.ip("-n", lan.switch, "link", "set", f"p{host.number}", "nomaster")
        lab.wait_for(lambda: all(one.masters() for one in lone), what="each its own master")
        for host in hosts:
            lab.ip("-n", lan.switch, "link", "set", f"p{host.number}", "master", "br0")
        # Two claims, and time for a busy machine.
        time.sleep(2 * interval + 0.2)
        found = [watcher.masters() for _ in range(5)]
        assert len(found[0]) == 1 and found == [found[0]] * 5, found

    lab.one_of(5, pass_frames)


def test_who_stays_when_two_masters_meet_says_so(make_lan, tmp_path):
    """It claims again, its hook hears `won`; the other one's hears `slave`
    (ask 1)."""
    told = {}
    lan, hosts, client = on_lan(make_lan, 2, addresses=False)
    client.add_address()
    for host in hosts:
        host.add_address()
        program, told[host.address] = hook(tmp_path, str(host.number))
        host.board("--interval", "100ms", *PATIENT, "--on-change", program)
    watcher = Watcher(client)

    first = watcher.settled()
    staying, leaving = sorted(hosts, key=lambda host: host.address == first)
    where = ("-n", lan.switch, "link", "set", f"p{staying.number}")
    lab.ip(*where, "nomaster")
    lab.wait_for(lambda: told[staying.address]()[-1].startswith("master"), what="a second master")
    # That of the later round stays; it is to hear the other one before that one
    # hears it, and ceases to claim.
    nft = ("ip", "netns", "exec", leaving.namespace, "nft")
    lab.run(*nft, "-f", "-", batch=(
        "table ip cut { chain in { type filter hook input priority 0; "
        f"ip saddr {staying.address} drop\n}}\n}}\n"))
    lab.ip(*where, "master", "br0")
    lab.wait_for(lambda: told[staying.address]()[-1].startswith("won"), what="its hook")
    lab.run(*nft, "delete", "table", "ip", "cut")
    lab.wait_for(lambda: told[leaving.address]()[-1].startswith("slave"), what="the other's hook")
    assert watcher.settled() == staying.address


def test_a_slave_that_is_restarted_disturbs_nobody(loopback):
    """However often, in good order or killed (ask 9)."""
    boards = start(loopback, range(2, 6), "--interval", "100ms", *PATIENT)
    watcher = Watcher(loopback)
    master = watcher.settled()
    slaves = [address for address in boards if address != master]
    observer = loopback.observer()
    for round_number in range(6):
        address = slaves[round_number % len(slaves)]
        boards[address].stop() if round_number % 2 else boards[address].kill()
        loopback.processes.remove(boards[address])
        boards[address] = loopback.board(int(address[-1]), "--interval", "100ms",
                                         *PATIENT)
        time.sleep(0.3)
    heard = [data for data, _ in observer.drain()]
    claimed = {data[2:].split(b" ")[0].decode() for data in heard if data.startswith(b"! ")}
    assert claimed == {master}
    assert not [data for data in heard if data.startswith(b"VOTE")], "no election"


@pytest.mark.parametrize("options", [(), ("--quorum", 3)])
def test_a_masters_address_changes_again_and_again(make_lan, options):
    lan, hosts, client = on_lan(make_lan, 3, "--interval", "100ms", *PATIENT, *options)
    watcher = Watcher(client)
    for last in (101, 102, 103):
        master = watcher.settled()
        host = next(host for host in hosts if host.address == master)
        host.remove_address()
        host.add_address(f"10.3.52.{last}")
        # As slave it comes back; but it may win the very round that it called
        # when it left, if the others are slow.
        watcher.settled(but=master)
        host.processes[-1].wait_bound(host.address)
        never_two([watcher], 0.5)
    assert all(host.processes[-1].is_running() for host in hosts)


def test_the_history_is_bounded_and_tells_why(loopback, tmp_path):
    """The last 256 changes, each with its cause (ask 8)."""
    path = tmp_path / "socket"
    # The interval: none of them is missed, and found dead, meanwhile.
    board = loopback.board(2, "--interval", "60s", "--control", path)
    board.wait_control(path)

    def status():
        return json.loads(loopback.run("status", "--json", "--control", path).stdout)

    for rank in range(1, 301):
        # A master above it claims, each time of another address.
        address = f"127.0.{1 + rank // 200}.{1 + rank % 200}"
        other = loopback.udp(address, loopback.port)
        other.send(claim_of(address, rank), loopback.broadcast, loopback.port)
        other.close()
        # Claims wait in the kernel, so many of them, until it wakes.
        if rank % 50 == 0:
            status()
    lab.wait_for(lambda: status()["epoch"] == 300, what="the last claim to be heard")
    changes = status()["changes"]
    assert len(changes) == 256
    assert all("claims to be master" in one["cause"] for one in changes[-100:])
    ages = [one["ago_ms"] for one in changes]
    assert ages == sorted(ages, reverse=True), "oldest first"


def claim_of(address, epoch):

    return message(f"! {address} 10".encode(), 0, epoch, 1, bytes(4), None)
