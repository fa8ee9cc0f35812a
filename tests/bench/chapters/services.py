"""The services' own figures: each script of this folder prints its lines,
`WHAT: NUMBER UNIT`."""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
LINE = re.compile(r"(?P<what>.+): (?P<value>[0-9][0-9.,]*) ?(?P<unit>\S*)$")

# Arguments of a whole run and of a quick one.
SCRIPTS = {
    "match": ((), ("--only", "latency")),
    "relay": (("--kills", "2000"), ("--only", "speed", "--messages", "2000", "--rounds", "1")),
    "order": ((), ("--rounds", "200")),
    "echo": ((), ("--rounds", "1000")),
    "sequence": ((), ("--clients", "300", "--seconds", "5")),
}
BARS = {"match: answer, 100 own servers, median": {"bar": 2.0}}


def measure(figures):
    for name, arguments in SCRIPTS.items():
        script = HERE / f"service_{name}.py"
        done = subprocess.run([sys.executable, script, *figures.rounds(*arguments)],
                              capture_output=True, text=True, timeout=900)
        if done.returncode != 0:
            figures.note(f"{name}: exit code {done.returncode}: {done.stderr.strip()[-300:]}")
        for line in done.stdout.splitlines():
            found = LINE.match(line)
            if found:
                what = f"{name}: {found['what']}"
                figures.add(what, float(found["value"].replace(",", "")), found["unit"],
                            **BARS.get(what, {}))
            elif line.strip():
                figures.note(f"{name}: {line.strip()}")
