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


@pytest.fixture(scope="module")
def judged():
    """{fault: (findings, process)}. Each pair has its own port, and all are
    judged at once: a judge mostly waits."""
    places = {fault: lab.Loopback() for fault in FAULTS}
    boards, judges, results = {}, {}, {}
    try:
        for fault, place in places.items():
            short = {"vote_form": bare} if fault == "short" else {}
            boards[fault] = WrongBoard(place, fault, **short)
            judges[fault] = place.boardroom("judge", place.port, "--interface", "lo", "--json")
        for fault, judge in judges.items():
            judge.code = judge.wait(90)
            lines = [json.loads(line) for line in judge.stdout.splitlines()]
            results[fault] = ({line["title"]: (line["grade"], line["why"]) for line in lines}, judge)
        yield results
    finally:
        for board in boards.values():
            board.stop()
        for place in places.values():
            place.close()


def wrong(findings):
    return {title for title, (grade, _) in findings.items() if grade == "wrong"}


def test_a_right_board_has_no_wrong_line(judged):
    findings, judge = judged[None]
    assert len(findings) >= 25 and wrong(findings) == set(), judge.stdout
    assert judge.code == 0


@pytest.mark.parametrize("fault, titles", [
    ("deaf to bare words", {"VOTE bare, 4 bytes: one vote", "WHOIS bare, 5 bytes: answered"}),
    ("echoes junk", {"other text: silence"}),
    ("lower votes promote", {"first a higher, then a lower vote: slave it stays"}),
    ("ties by text", {"the same number from a higher address: it is slave (10 is above 9)"}),
])
def test_a_fault_is_named_by_its_rule(judged, fault, titles):
    findings, judge = judged[fault]
    assert titles <= wrong(findings), judge.stdout
    assert len(wrong(findings)) <= len(titles) + 1, judge.stdout
    assert judge.code == 1
    assert all(findings[title][1] for title in titles), "the bytes are told"


def test_a_board_that_always_answers_fails_wherever_a_slave_is_silent(judged):
    findings, judge = judged["answers always"]
    assert "a higher vote after its own: it is slave and silent" in wrong(findings)
    assert "a lone board is master and answers WHOIS" not in wrong(findings)
    assert judge.code == 1


def test_a_vote_to_the_asker_alone_is_told_as_such(judged):
    grade, why = judged["votes to the asker"][0]["VOTE from any other port: one vote, to all"]
    assert grade == "wrong" and "the asker's port" in why


def test_a_short_vote_is_advised_against(judged):
    title = "the vote fills 40 bytes, so that nobody reads an old buffer's rest"
    grade, why = judged["short"][0][title]
    assert grade == "advice" and "# 127.0.0.9" in why


def test_nobody_there_is_said_plainly(loopback):
    done = loopback.run("judge", loopback.port, "--interface", "lo")
    assert done.code == 1 and "nobody votes" in done.stderr


def test_two_boards_are_one_too_many(loopback):
    loopback.board(3)
    loopback.board(4)
    done = loopback.run("judge", loopback.port, "--interface", "lo")
    assert done.code == 4 and "more than one board" in done.stderr
