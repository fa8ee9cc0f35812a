"""Old programs: simple servers of the same exercise, written by many hands,
with the odd forms that were seen of them on the wire. In tests they share the
LAN with ours."""

import random
import threading

import messages


class OldProgram(threading.Thread):
    """Votes, ranks and answers as a plain program of few lines would.

    `vote_form(address, vote)` makes the bytes of its vote, `answer_form(name,
    address)` those of its answer. It votes for each VOTE that it hears, however
    soon it comes behind another, and never sends a trailer.
    """

    def __init__(self, place, address, port, name="Old", numbers=None,
                 vote_form=messages.make_vote, answer_form=messages.make_answer, delay=0.0):
        super().__init__(daemon=True)
        self.address, self.port, self.name_told = address, port, name
        self.broadcast = place.broadcast
        self.numbers = iter(numbers) if numbers else None
        self.vote_form, self.answer_form, self.delay = vote_form, answer_form, delay
        self.own = place.udp(address, port)
        self.shared = place.udp(self.broadcast, port, shared=True)
        self.votes, self.my_vote, self.stopping = {}, None, threading.Event()
        self.start()

    def run(self):
        while not self.stopping.is_set():
            for udp in (self.shared, self.own):
                one = udp.receive(0.002)
                if one is not None:
                    self.handle(*one)

    def handle(self, data, source):
        text = messages.text(data)
        if text == b"VOTE":
            self.stopping.wait(self.delay)
            self.my_vote = next(self.numbers) if self.numbers else random.randint(1, 10)
            self.votes = {self.address: self.my_vote}
            self.own.send(self.vote_form(self.address, self.my_vote), self.broadcast, self.port)
        elif vote := messages.vote(data):
            self.votes[vote[1]] = vote[0]
        elif text == b"WHOIS" and self.is_master():
            self.own.send(self.answer_form(self.name_told, self.address), *source)

    def is_master(self):
        if self.my_vote is None:
            return False
        highest = max(((v, a) for a, v in self.votes.items()), key=messages.rank)
        return highest[1] == self.address

    def stop(self):
        self.stopping.set()
        self.join(5)
        self.own.close()
        self.shared.close()


def bare(address, vote):
    """Fifteen bytes or so, no NUL."""
    return f"# {address} {vote}".encode()


def newline(address, vote):
    return f"# {address} {vote}\n".encode()


def garbage(address, vote):
    """A buffer that was never cleared."""
    return (f"# {address} {vote}\0".encode() + b"\x7f\xffOLD 10.1.1.1 9 stack" * 3)[:50]


def smeared(address, vote):
    """The digits run into what an earlier message left behind."""
    return f"# {address} {vote}# 128.206.19.1 4".encode()


FORMS = [messages.make_vote, bare, newline, garbage, smeared]
