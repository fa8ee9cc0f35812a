"""From start to the first word and to the first answer: a board, the least C
program, keepalived."""

import os
import socket
import time

import lab
from chapters.groups import Keepalived, Ours
from chapters.wiretap import Wiretap
from figures import build, peer


def measure(figures):
    programs = {"boardroom, dynamic": lab.program(), "boardroom, static": build("host"),
                "the least C loop": None}
    if not programs["boardroom, static"]:
        figures.skip("start of the static build", "not built; `board/tools/build host`")
        del programs["boardroom, static"]
    heard, answered = ({name: [] for name in programs} for _ in range(2))
    for _ in range(figures.rounds(20, 5)):
        for name, program in programs.items():
            times = answers(program)
            heard[name].append(times[0])
            answered[name].append(times[1])
    for name in programs:
        figures.median(f"start to an open port: {name}", heard[name], "ms")
    for name in programs:
        told = "" if programs[name] is None else ", its first election among them"
        figures.median(f"start to the first answer{told}: {name}", answered[name], "ms")
    figures.versus("start to an open port: ours / C loop", heard["boardroom, dynamic"],
                   heard["the least C loop"], paired=True, unit="ms", peer="C loop")
    first_words(figures, figures.rounds(5, 2))


def answers(program):
    """Milliseconds until WHOIS is no longer refused, and until it is answered.
    A board has to be elected before: VOTE is sent as soon as it hears."""
    place, port = lab.Loopback(), lab.free_port()
    command = [peer("loop"), "127.0.0.2", port] if program is None else [
        program, "serve", port, "--name", "B", "--interface", "lo", "--address", "127.0.0.2",
        "--control", f"/tmp/boardroom-bench-{os.getpid()}.sock"]
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect(("127.0.0.2", port))
    opened = None
    try:
        begun = time.monotonic()
        place.start(command)
        while (now := time.monotonic()) - begun < 10:
            try:
                client.send(b"WHOIS\n")
                # A refusal is there at once.
                client.settimeout(0.0002 if opened is None else 0.005)
                if client.recv(64):
                    now = time.monotonic()
                    return [((opened or now) - begun) * 1000, (now - begun) * 1000]
            except ConnectionRefusedError:
                pass
            except TimeoutError:
                if opened is None:
                    opened = now
                    client.send(b"VOTE\n")
        raise AssertionError("no answer within 10 s")
    finally:
        client.close()
        place.close()


def first_words(figures, runs):
    """Among three: from the first start to the first word of a master."""
    if lab.no_lan():
        return figures.skip("start to the first word of a master", lab.no_lan())
    for kind in (Ours, Keepalived):
        if kind.missing(figures):
            continue
        samples = []
        for _ in range(runs):
            lan = lab.Lan([1, 2, 3, 9])
            tap = Wiretap(lan.hosts[-1])
            begun = time.time()
            group = kind(lan.hosts[:-1], "1s")
            moment = tap.next_other(None, 20, begun)
            if moment:
                samples.append((moment - begun) * 1000)
            tap.close()
            group.close()
            lan.close()
        if samples:
            figures.median(f"start to the first master at 1s: {kind.name}", samples, "ms")
