"""Instructions and system calls for an answered WHOIS: of this machine's build
by callgrind and strace, of the armv4t build by counting what QEMU carries out.
Always the difference of two runs: what start, election and end cost falls out."""

import os
import re
import subprocess
import threading
from pathlib import Path

import lab
from chapters.memory import answers, elect
from figures import ROOT, build, peer

ADDRESS = "127.0.0.9"
FEW, MANY = 500, 1500


def measure(figures):
    place = lab.Loopback()
    try:
        for what, ways in (("this machine's build", (by_callgrind, by_strace)),
                           ("the armv4t build", (by_qemu, by_qemu_strace))):
            for way, name, unit in zip(ways, ("instructions", "system calls"), ("instr", "calls")):
                try:
                    counts = [way(place, asked) for asked in (FEW, MANY)]
                except (FileNotFoundError, TypeError) as error:
                    figures.skip(f"{name} of {what}", str(error))
                    continue
                figures.add(f"{name} for an answered WHOIS: {what}",
                            (counts[1] - counts[0]) / (MANY - FEW), unit)
    finally:
        place.close()


def serve(place, before, asked, program=None):
    """Runs the board behind the words `before`, has it answer, and ends it."""
    port = lab.free_port()
    process = place.start([*before, program or lab.program(), "serve", port, "--name", "B",
                           "--interface", "lo", "--address", ADDRESS,
                           "--control", f"/tmp/boardroom-bench-{os.getpid()}.sock"])
    lab.wait_for(lambda: (ADDRESS, port) in process.udp_sockets(), 30, "the board")

    def is_master():
        elect(place, port)
        return answers(place, port)

    lab.wait_for(is_master, 30, "the board's answer")
    subprocess.run([peer("ask"), "rtt", str(asked), f"{ADDRESS}:{port}"], capture_output=True,
                   check=True, timeout=120)
    process.stop(30)
    return process


def by_callgrind(place, asked):
    out = ROOT / f"target/bench/callgrind.{os.getpid()}"
    serve(place, ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"], asked)
    found = re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M)
    out.unlink()
    return int(found[1])


def by_strace(place, asked):
    return total(serve(place, ["strace", "-c", "-f"], asked).stderr)


def total(table):
    return int(re.search(r"^100\.00\s+\S+\s+\d+\s+(\d+)\s.*total$", table, re.M)[1])


def emulated(*options):
    program = build("armv4t")
    if not program:
        raise FileNotFoundError("not built; `make firmware`")
    return ["qemu-arm", "-cpu", "ti925t", *options], program


def by_qemu(place, asked):
    """One line a translated block, and one instruction a block."""
    pipe = Path(ROOT, f"target/bench/qemu.{os.getpid()}")
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    lines = []
    reader = threading.Thread(target=lambda: lines.append(count_lines(pipe)))
    reader.start()
    try:
        before, program = emulated("-singlestep", "-d", "nochain,exec", "-D", str(pipe))
        serve(place, before, asked, program)
    finally:
        if not lines:
            os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        reader.join(30)
        pipe.unlink()
    return lines[0]


def count_lines(path):
    count = 0
    with open(path, "rb", buffering=0) as file:
        while block := file.read(1 << 16):
            count += block.count(b"\n")
    return count


def by_qemu_strace(place, asked):
    before, program = emulated("-strace")
    told = serve(place, before, asked, program).stderr
    return len(re.findall(r"^\d+ \w+\(", told, re.M))
