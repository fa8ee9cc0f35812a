"""`boardroom judge` before boards written here, each with one thing wrong."""

import json

import pytest

import lab
import messages
from old import OldProgram, bare


class WrongBoard(OldProgram):
    """An old program with one fault. It is right otherwise, junk included."""

    def __init__(self, place, fault=None, **options):
        self.fault = fault
        super().__init__(place, "127.0.0.9", place.port, **options)

    def handle(self, data, source):
        if self.fault == "deaf to bare words" and len(data) in (4, 5) and data[-1:] != b"\n":
            return
        if self.fault == "echoes junk" and data[:1] == b"@":
            self.own.send(b"what?", *source)
        if self.fault == "answers always" and messages.text(data) == b"WHOIS":
            self.own.send(self.answer_form(self.name_told, self.address), *source)
            return
        if self.fault == "votes to the asker" and messages.text(data) == b"VOTE":
            self.my_vote = 5
            self.votes = {self.address: 5}
            self.own.send(self.vote_form(self.address, 5), *source)
            return
        vote = messages.vote(data)
        if vote and (vote[1] == self.address or max(map(int, vote[1].split("."))) > 255):
            return
        super().handle(data, source)
        if vote:
            self.demote(vote)

    def demote(self, vote):
        """A right board stays slave until the next VOTE."""
        if self.fault == "lower votes promote":
            return
        order = tuple if self.fault == "ties by text" else messages.rank
        if self.my_vote and order(vote) > order((self.my_vote, self.address)):
            self.votes["sticky"] = 99

    def is_master(self):
        if self.my_vote is None or "sticky" in self.votes:
            return False
        if self.fault == "ties by text":
            highest = max((vote, address) for address, vote in self.votes.items())
            return highest[1] == self.address
        return super().is_master()


FAULTS = [None, "deaf to bare words", "echoes junk", "lower votes promote", "ties by text",
          "answers always", "votes to the asker", "short"]


def start(place, fault):
    """A board with this fault, and its judge."""
    short = {"vote_form": bare} if fault == "short" else {}
    return (WrongBoard(place, fault, **short),
            place.boardroom("judge", place.port, "--interface", "lo", "--json"))


def findings(judge):
    judge.code = judge.wait(10 * lab.LONG)
    lines = [json.loads(line) for line in judge.stdout.splitlines()]
    return {line["title"]: (line["grade"], line["why"]) for line in lines}, judge


@pytest.fixture(scope="module")
def judged():
    """What is found of a board with this fault: judged(fault, check) has
    check(findings, process) look at it. Each pair has its own port, and all are
    judged at once: a judge mostly waits. One that the machine has let wait too
    long is judged again, alone."""
    places = {fault: lab.Loopback() for fault in FAULTS}
    pairs = {fault: start(place, fault) for fault, place in places.items()}
    results = {}

    def look(fault, check):
        for _ in range(4):
            try:
                return check(*results[fault])
            except (AssertionError, KeyError):
                place = lab.Loopback()
                board, judge = start(place, fault)
                results[fault] = findings(judge)
                board.stop()
                place.close()
        return check(*results[fault])

    try:
        # All of them, before one of them alone.
        for fault in FAULTS:
            results[fault] = findings(pairs[fault][1])
        yield look
    finally:
        for board, _ in pairs.values():
            board.stop()
        for place in places.values():
            place.close()


def wrong(findings):
    return {title for title, (grade, _) in findings.items() if grade == "wrong"}


def test_a_right_board_has_no_wrong_line(judged):
    def check(findings, judge):
        assert len(findings) >= 25 and wrong(findings) == set(), judge.stdout
        assert judge.code == 0

    judged(None, check)


@pytest.mark.parametrize("fault, titles", [
    ("deaf to bare words", {"VOTE bare, 4 bytes: one vote", "WHOIS bare, 5 bytes: answered"}),
    ("echoes junk", {"other text: silence"}),
    ("lower votes promote", {"first a higher, then a lower vote: slave it stays"}),
    ("ties by text", {"the same number from a higher address: it is slave (10 is above 9)"}),
])
def test_a_fault_is_named_by_its_rule(judged, fault, titles):
    def check(findings, judge):
        assert titles <= wrong(findings), judge.stdout
        assert len(wrong(findings)) <= len(titles) + 1, judge.stdout
        assert judge.code == 1
        assert all(findings[title][1] for title in titles), "the bytes are told"

    judged(fault, check)


def test_a_board_that_always_answers_fails_wherever_a_slave_is_silent(judged):
    def check(findings, judge):
        assert "a higher vote after its own: it is slave and silent" in wrong(findings)
        assert "a lone board is master and answers WHOIS" not in wrong(findings)
        assert judge.code == 1

    judged("answers always", check)


def test_a_vote_to_the_asker_alone_is_told_as_such(judged):
    def check(findings, _):
        grade, why = findings["VOTE from any other port: one vote, to all"]
        assert grade == "wrong" and "the asker's port" in why

    judged("votes to the asker", check)


def test_a_short_vote_is_advised_against(judged):
    def check(findings, _):
        title = "the vote fills 40 bytes, so that nobody reads an old buffer's rest"
        grade, why = findings[title]
        assert grade == "advice" and "# 127.0.0.9" in why

    judged("short", check)


def test_nobody_there_is_said_plainly(loopback):
    done = loopback.run("judge", loopback.port, "--interface", "lo")
    assert done.code == 1 and "nobody votes" in done.stderr


def test_two_boards_are_one_too_many(loopback):
    loopback.board(3)
    loopback.board(4)

    def told():
        done = loopback.run("judge", loopback.port, "--interface", "lo")
        assert done.code == 4 and "more than one board" in done.stderr

    # Who votes late is not seen.
    lab.one_of(5, told)
