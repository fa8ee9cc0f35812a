"""Figures of boardroom side by side with what one would use instead.

Every comparison is made in one run on one machine, the two sides taking turns
or running at the same time, and is told as a ratio: absolute times are this
machine's, ratios travel. Prints each figure and, at the end, which bars are
met; writes figures.json, figures.md and one SVG a chapter to target/bench.

ONLY="whois idle" measures some chapters anew; QUICK=1 has fewer rounds.
"""

import os
import platform
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
os.environ.setdefault("BOARDROOM_BIN", str(HERE.parents[1] / "target/release/boardroom"))
sys.path[:0] = [str(HERE), str(HERE.parent / "lan")]

import chapters.election  # noqa: E402
import chapters.idle  # noqa: E402
import chapters.instructions  # noqa: E402
import chapters.loss  # noqa: E402
import chapters.memory  # noqa: E402
import chapters.services  # noqa: E402
import chapters.size  # noqa: E402
import chapters.start  # noqa: E402
import chapters.takeover  # noqa: E402
import chapters.whois  # noqa: E402
from figures import Figures  # noqa: E402

CHAPTERS = {
    "whois": chapters.whois.measure,
    "instructions": chapters.instructions.measure,
    "idle": chapters.idle.measure,
    "size": chapters.size.measure,
    "memory": chapters.memory.measure,
    "start": chapters.start.measure,
    "election": chapters.election.measure,
    "takeover": chapters.takeover.measure,
    "loss": chapters.loss.measure,
    "services": chapters.services.measure,
}


def main():
    wanted = os.environ.get("ONLY", "").split() or list(CHAPTERS)
    unknown = [name for name in wanted if name not in CHAPTERS]
    if unknown:
        print(f"no chapter {unknown[0]!r}; there are: {' '.join(CHAPTERS)}", file=sys.stderr)
        return 2
    figures = Figures(quick=bool(os.environ.get("QUICK")))
    figures.note(f"{platform.machine()}, {os.cpu_count()} cores, Linux {'.'.join(platform.release().split('.')[:2])}, "
                 f"{time.strftime('%Y-%m-%d')}")
    for name in wanted:
        figures.chapter(name)
        CHAPTERS[name](figures)
    figures.write(HERE.parents[1] / "target/bench")
    return 0


if __name__ == "__main__":
    sys.exit(main())
