"""The services' own figures: each script of this folder prints its lines."""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]


def measure(figures):
    for script in sorted(HERE.glob("service_*.py")):
        done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=900)
        name = script.stem.removeprefix("service_")
        if done.returncode != 0:
            figures.note(f"{name}: exit code {done.returncode}: {done.stderr.strip()[-300:]}")
        for line in done.stdout.splitlines():
            found = re.match(r"(?P<what>.+?): (?P<value>[0-9.,]+) ?(?P<unit>\S*)$", line)
            if found:
                figures.add(f"{name}: {found['what']}", float(found["value"].replace(",", "")),
                            found["unit"])
            else:
                figures.note(f"{name}: {line}")
