"""The network comes, goes and changes under a running board."""

import time

import pytest

import elections
import lab
import messages
from test_serve import counters


def settle(client, lan, boards):
    """An election on the LAN; gives the address that answers."""
    election = elections.hold(client.client(), client.observer(), lan.broadcast, lan.port,
                              boards, messages.VOTE)
    assert len(election.answers) == 1, election.line()
    return election.answers[0][1]


def answers(client, lan, seconds=0.3):
    """Who answers WHOIS now."""
    asker = client.client()
    asker.send(messages.WHOIS, lan.broadcast, lan.port)
    found = [messages.answer(data)[1] for data, _ in asker.gather(seconds)]
    asker.close()
    return found


def answer_alone(client, lan, address):
    """Waits until this one, and nobody else, answers."""
    lab.wait_for(lambda: answers(client, lan) == [address], what=f"the answer of {address}")


def vote_all(client, lan, addresses):
    """Waits for an election in which all of them vote and the highest answers: a
    change of the network may still be on its way to a board."""
    found = []

    def is_right():
        asker, observer = client.client(), client.observer()
        found.append(elections.hold(asker, observer, lan.broadcast, lan.port, len(addresses),
                                    messages.VOTE))
        asker.close()
        observer.close()
        return found[-1].faults(addresses) == []

    try:
        lab.wait_for(is_right, what="an election")
    except AssertionError:
        raise AssertionError([(one.line(), one.faults(addresses)) for one in found]) from None


def lines(board, *words):
    """The log lines that hold all of `words`."""
    return [line for line in board.stderr.splitlines() if all(w in line for w in words)]


def test_a_late_address_is_taken_when_it_comes(make_lan):
    """DHCP after start: waits, says so once, joins."""
    lan = make_lan([2, 250])
    board, client = lan.hosts
    board.remove_address()
    process = lab.Board(board, None, lan.port, "Late", bound=False)
    board.processes.append(process)
    lab.wait_for(lambda: lines(process, "address"), what="the line that it waits")
    time.sleep(1.0)
    assert process.is_running()
    assert len(lines(process, "address")) == 1, f"one line while it waits: {process.stderr}"
    assert process.cpu_seconds() < 0.2, "it waits, it does not spin"
    board.add_address()
    process.wait_bound(board.address)
    assert settle(client, lan, 1) == board.address
    assert lines(process, "10.3.52.2"), process.stderr


def test_an_interface_that_comes_later_is_taken(make_lan):
    lan = make_lan([2, 250], addresses=False)
    board, client = lan.hosts
    client.add_address()
    board.ip("link", "set", "eth0", "name", "other0", "down")
    process = lab.Board(board, None, lan.port, "Late", ["--interface", "eth0"], bound=False)
    board.processes.append(process)
    assert process.wait() == 4, "an interface that is not there: exit code 4"
    assert "eth0" in process.stderr
    process = lab.Board(board, None, lan.port, "Late", ["--interface", "eth0", "--wait"],
                        bound=False)
    board.processes.append(process)
    lab.wait_for(lambda: lines(process, "eth0"), what="the line that it waits")
    board.ip("link", "set", "other0", "name", "eth0", "up")
    board.add_address()
    process.wait_bound(board.address)
    assert settle(client, lan, 1) == board.address


def test_a_changed_address_is_followed(make_lan):
    lan = make_lan([2, 3, 250])
    first, second, client = lan.hosts
    changing, staying = first.board(), second.board()
    settle(client, lan, 2)
    first.remove_address()
    first.add_address("10.3.52.77")
    changing.wait_bound("10.3.52.77")
    assert first.address not in answers(client, lan), "slave until the next election (R7)"
    vote_all(client, lan, ["10.3.52.77", "10.3.52.3"])
    assert lines(changing, "10.3.52.77"), changing.stderr
    assert staying.is_running()


def test_a_lost_address_makes_no_noise_and_comes_back(make_lan):
    lan = make_lan([2, 3, 250])
    first, second, client = lan.hosts
    board = first.board()
    second.board()
    settle(client, lan, 2)
    first.remove_address()
    time.sleep(0.3)
    assert board.is_running()
    assert settle(client, lan, 1) == "10.3.52.3"
    first.add_address()
    board.wait_bound(first.address)
    assert first.address not in answers(client, lan)
    vote_all(client, lan, [first.address, second.address])


def test_link_flaps_need_no_restart(make_lan):
    lan = make_lan([2, 3, 250])
    first, second, client = lan.hosts
    board, other = first.board(), second.board()
    for _ in range(10):
        first.link("down")
        time.sleep(0.05)
        first.link("up")
        time.sleep(0.05)
    board.wait_bound()
    time.sleep(0.2)
    vote_all(client, lan, [first.address, second.address])
    assert board.is_running() and other.is_running()
    assert len(board.stderr.splitlines()) < 60, "one line a change, not a flood"


def test_a_pulled_cable_is_no_reason_to_stop(make_lan):
    lan = make_lan([2, 3, 250])
    first, second, client = lan.hosts
    board = first.board()
    second.board()
    settle(client, lan, 2)
    first.cable("down")
    time.sleep(0.3)
    assert settle(client, lan, 1) == second.address
    first.cable("up")
    time.sleep(0.5)
    assert board.is_running()
    vote_all(client, lan, [first.address, second.address])


def test_an_interface_deleted_and_made_again(make_lan):
    lan = make_lan([2, 3, 250])
    first, second, client = lan.hosts
    board = first.board()
    second.board()
    first.ip("link", "del", "eth0")
    time.sleep(0.5)
    assert board.is_running(), board.stderr
    lab.ip("-n", lan.switch, "link", "add", "p2", "type", "veth", "peer", "name", "eth0",
           "netns", first.namespace)
    lab.ip("-n", lan.switch, "link", "set", "p2", "master", "br0", "up")
    first.link("up")
    first.add_address()
    board.wait_bound(first.address)
    vote_all(client, lan, [first.address, second.address])


def test_a_second_address_of_the_interface_changes_nothing(make_lan):
    lan = make_lan([2, 250])
    first, client = lan.hosts
    board = first.board()
    settle(client, lan, 1)
    first.ip("addr", "add", "10.3.52.200/24", "brd", lan.broadcast, "dev", "eth0")
    first.ip("addr", "add", "192.168.7.1/24", "brd", "192.168.7.255", "dev", "eth0")
    time.sleep(0.3)
    answer_alone(client, lan, first.address)


def test_two_halves_of_a_lan_meet_again(make_lan):
    """Each half has its master; after the cable is back one WHOIS mends it (R6)."""
    lan = make_lan([2, 3, 4, 5, 250])
    *hosts, client = lan.hosts
    for host in hosts:
        host.board()
    settle(client, lan, 4)
    for host in hosts[:2]:
        host.cable("down")
    left = settle(client, lan, 2)
    for host in hosts[2:]:
        host.cable("down")
    for host in hosts[:2]:
        host.cable("up")
    right = settle(client, lan, 2)
    assert left != right
    for host in hosts[2:]:
        host.cable("up")
    time.sleep(0.2)
    lab.wait_for(lambda: len(answers(client, lan)) == 1, what="one master of both halves")
    time.sleep(0.3)
    lab.wait_for(lambda: len(answers(client, lan)) == 1, what="the one master")


@pytest.mark.parametrize("signal_name", ["SIGTERM", "SIGINT"])
def test_it_ends_cleanly(loopback, signal_name):
    import signal
    board = loopback.board(2)
    board.signal(getattr(signal, signal_name))
    assert board.wait() == 0


def test_sigusr1_logs_the_counters(loopback):
    import signal
    board = loopback.board(2)
    client = loopback.client()
    for _ in range(3):
        client.send(b"no such thing", loopback.broadcast, loopback.port)
    lab.wait_for(lambda: 3 in counters(board).values(), what="three of them")
    assert board.is_running()
