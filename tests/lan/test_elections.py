"""Elections among the real program's boards, judged from the wire."""

import random

import pytest

import elections
import lab
import messages
import old


def judge(held, boards):
    """All right, and in most exactly one vote a board: one that was kept from
    running for a tenth of a second may take a call for another one (R2)."""
    wrong = [(e.line(), e.faults(boards)) for e in held if e.faults(boards)]
    assert not wrong
    once = sum(e.one_vote_each(boards) for e in held)
    assert once * 2 > len(held), f"one vote a board in {once} of {len(held)} only"


def test_twenty_elections_of_five_boards_on_one_machine(loopback):
    boards = [loopback.board(n) for n in range(2, 7)]
    addresses = [board.address for board in boards]
    held = elections.hold_many(loopback.client(), loopback.observer(), loopback.broadcast,
                               loopback.port, addresses, 20)
    judge(held, addresses)
    drawn = {vote for e in held for vote, _, _, _ in e.votes}
    assert len(drawn) >= 8, f"100 votes, and only {drawn} among them"


@pytest.mark.parametrize("count, rounds", [(2, 10), (5, 10), (40, 20)])
def test_elections_on_a_lan(make_lan, count, rounds):
    lan = make_lan([*range(2, 2 + count), 250])
    *hosts, client = lan.hosts
    for host in hosts:
        host.board(bound=False)
    for host in hosts:
        host.processes[-1].wait_bound()
    addresses = [host.address for host in hosts]
    held = elections.hold_many(client.client(), client.observer(), lan.broadcast, lan.port,
                               addresses, rounds)
    judge(held, addresses)


def test_a_lone_board_is_its_own_master(loopback):
    loopback.board(2)
    held = elections.hold_many(loopback.client(), loopback.observer(), loopback.broadcast,
                               loopback.port, ["127.0.0.2"], 3)
    judge(held, ["127.0.0.2"])


def test_before_the_first_election_nobody_answers(loopback):
    for number in range(2, 5):
        loopback.board(number)
    client = loopback.client()
    client.send(messages.WHOIS, loopback.broadcast, loopback.port)
    assert client.gather(0.5) == []


def test_a_tie_goes_to_the_highest_address_as_a_number(make_lan):
    """10.3.52.10 is above 10.3.52.9, though not as text."""
    lan = make_lan([9, 10, 100, 250])
    *hosts, client = lan.hosts
    for host in hosts:
        host.board()
    asker, observer = client.client(), client.observer()
    ties = 0
    for _ in range(150):
        election = elections.hold(asker, observer, lan.broadcast, lan.port, 3,
                                  messages.VOTE, quiet=0.15)
        assert election.faults([host.address for host in hosts]) == [], election.line()
        numbers = sorted(vote for vote, _, _, _ in election.votes)
        ties += numbers[-1] == numbers[-2]
        if ties:
            break
    assert ties, "no tie at the top in 150 elections of three: chance 0.855 ** 150"


def test_the_clients_and_the_wire_agree(make_lan):
    """A client in a namespace of its own: `vote`, then `whois`."""
    lan = make_lan([2, 3, 4, 250])
    *hosts, client = lan.hosts
    for host in hosts:
        host.board()
    observer = client.observer()

    def held():
        """The client waits 150 ms for the next vote, which may come later."""
        observer.drain()
        told = client.run("vote")
        assert told.code == 0, told.stderr
        *votes, master = told.stdout.splitlines()
        seen = [messages.vote(data) for data, _ in observer.drain() if messages.vote(data)]
        # The master's first answer repeats its vote (R6): each is shown once.
        assert sorted(votes) == sorted({f"{address} votes {vote}" for vote, address in seen})
        winner = max(seen, key=messages.rank)[1]
        assert master == f"B{winner.rsplit('.', 1)[1]} on board {winner} is the master"
        return master

    master = lab.one_of(10, held)
    for place in (client, hosts[0], hosts[2]):
        asked = place.run("whois")
        assert (asked.code, asked.stdout) == (0, master + "\n"), "asked on a board too"


def test_all_ways_to_ask_are_heard(make_lan):
    """Unicast, directed and limited broadcast; answers from the board's own address."""
    lan = make_lan([2, 250])
    board, client = lan.hosts
    board.board()
    asker = client.client()
    elections.hold(asker, client.observer(), lan.broadcast, lan.port, 1, messages.VOTE)
    for to in (board.address, lan.broadcast, "255.255.255.255"):
        asker.send(messages.WHOIS, to, lan.port)
        answers = asker.gather(lab.LONG, enough=1) + asker.gather(0.3)
        assert [source for _, source in answers] == [(board.address, lan.port)], to
        assert answers[0][0] == messages.make_answer("B2", board.address)


@pytest.mark.parametrize("name", ["Peter", "J\u00fcrg", "a b", "on board"])
def test_the_answer_fits_40_bytes_and_keeps_address_and_phrase(loopback, name):
    loopback.board(2, name=name)
    client = loopback.client()
    elections.hold(client, loopback.observer(), loopback.broadcast, loopback.port, 1,
                   messages.VOTE)
    client.send(messages.WHOIS, loopback.broadcast, loopback.port)
    data, _ = client.receive(lab.LONG)
    assert len(data) == 40
    long = f"{name} on board 127.0.0.2 is the master"
    short = f"{name} on 127.0.0.2 is the master"
    assert messages.text(data).decode() == (long if len(long.encode()) < 40 else short)


def test_a_long_name_is_cut_the_address_never(loopback):
    board = loopback.board(2, name="Bartholomew-the-Great")
    client = loopback.client()
    elections.hold(client, loopback.observer(), loopback.broadcast, loopback.port, 1,
                   messages.VOTE)
    client.send(messages.WHOIS, loopback.broadcast, loopback.port)
    data, _ = client.receive(lab.LONG)
    assert len(data) == 40 and data[39] == 0
    assert messages.text(data).endswith(b" on 127.0.0.2 is the master")
    assert messages.text(data).startswith(b"Bartholom")
    assert "cut" in board.stderr, "a warning at start"


def test_answer_broadcast_reaches_a_listener(loopback):
    loopback.board(2, "--answer", "broadcast")
    elections.hold(loopback.client(), loopback.observer(), loopback.broadcast, loopback.port,
                   1, messages.VOTE)
    sender = loopback.client()
    listener = loopback.udp(loopback.broadcast, sender.port, shared=True)
    sender.send(messages.WHOIS, loopback.broadcast, loopback.port)
    data, source = listener.receive(lab.LONG)
    assert messages.answer(data) == ("B2", "127.0.0.2")
    assert source == ("127.0.0.2", loopback.port)
    asked = loopback.run("whois", loopback.port, "--interface", "lo")
    assert asked.code == 0, "the client hears it too"


@pytest.mark.parametrize("form", old.FORMS, ids=lambda form: form.__name__)
def test_an_old_program_among_ours(loopback, form):
    """Ten elections, and more until another has won too: each ends with one
    answer from the highest, old or new."""
    for number in range(2, 6):
        loopback.board(number)
    boards = [f"127.0.0.{n}" for n in range(2, 7)]
    draw = random.Random(11)
    program = old.OldProgram(loopback, "127.0.0.6", loopback.port, vote_form=form,
                             numbers=iter(lambda: draw.randint(1, 10), None))
    client, observer = loopback.client(), loopback.observer()
    winners = set()
    try:
        for number in range(60):
            if number >= 10 and len(winners) > 1:
                break
            election = elections.hold(client, observer, loopback.broadcast, loopback.port, 5,
                                      elections.CALLS[number % 3])
            assert len(election.answers) == 1, election.line()
            votes = {(vote, address) for vote, address, _, _ in election.votes}
            # garbage and smeared forms: the test reads only clean ones
            if form in (messages.make_vote, old.bare, old.newline):
                assert election.winner()[1] == election.answers[0][1], election.line()
            else:
                votes.add((program.my_vote, program.address))
                assert max(votes, key=messages.rank)[1] == election.answers[0][1]
            winners.add(election.answers[0][1])
    finally:
        program.stop()
    assert len(winners) > 1, f"{boards}: only {winners} ever won"


def test_two_calls_in_a_row_end_with_one_master(loopback):
    """However far apart they are."""
    boards = [loopback.board(n).address for n in range(2, 7)]
    client, observer = loopback.client(), loopback.observer()
    for apart_ms in (0, 1, 5, 20, 50, 90, 99, 101, 110, 150, 300):
        client.send(messages.VOTE, loopback.broadcast, loopback.port)
        client.gather(apart_ms / 1000)
        election = elections.hold(client, observer, loopback.broadcast, loopback.port,
                                  len(boards), messages.VOTE)
        assert len(election.answers) == 1, f"{apart_ms} ms: {election.line()}"
