"""Figures: kept, printed, weighed against their bars, written as JSON, as
tables and as plots."""

import json
import os
import random
import shutil
import statistics
import subprocess
import time
from pathlib import Path

import plot

ROOT = Path(__file__).resolve().parents[2]


class Figures:
    """What was measured, in the order of measuring."""

    def __init__(self, quick=False):
        self.quick = quick
        self.rows = []
        self.notes = []
        self._chapter = None

    def rounds(self, whole, short):
        """How many rounds to run: fewer in a quick run."""
        return short if self.quick else whole

    def chapter(self, name):
        self._chapter = name
        print(f"\n{name}", flush=True)
        self.note(f"{time.strftime('%Y-%m-%d %H:%M')} UTC, load {os.getloadavg()[0]:.1f}"
                  f"{', quick' if self.quick else ''}")

    def note(self, text):
        self.notes.append({"chapter": self._chapter, "text": text})
        print(f"  ({text})", flush=True)

    def skip(self, what, why):
        self.note(f"SKIP {what}: {why}")

    def add(self, what, value, unit, spread=None, bar=None, at_least=False, **more):
        """One figure. `spread` are all its samples, or its least and most: the
        range is told. `bar` is what it may be at most, or has to be `at_least`."""
        row = {"chapter": self._chapter, "what": what, "value": value, "unit": unit, **more}
        tail = ""
        if spread:
            row["least"], row["most"] = min(spread), max(spread)
            row.setdefault("samples", len(spread))
            tail = f"  ({show(row['least'])} to {show(row['most'])}, {runs(row['samples'])})"
        if bar is not None:
            row["bar"], row["at_least"] = bar, at_least
            tail += f"  bar {show(bar)}: {verdict(row)}"
        self.rows.append(row)
        print(f"  {what:<60} {show(value):>10} {unit}{tail}", flush=True)
        return value

    def median(self, what, samples, unit, **more):
        return self.add(what, statistics.median(samples), unit, spread=samples, **more)

    def versus(self, what, ours, theirs, paired=False, peer="", unit="", **more):
        """Ours over theirs at the median. Samples that were taken in pairs are
        compared in pairs; of others the range is that of nine tenths of what
        the same samples, drawn anew, would have given."""
        more |= {"ours": statistics.median(ours), "theirs": statistics.median(theirs),
                 "peer": peer, "their_unit": unit}
        if paired:
            pairs = [a / b for a, b in zip(ours, theirs)]
            return self.median(what, pairs, "x", **more)
        value = ratio(statistics.median(ours), statistics.median(theirs))
        return self.add(what, value, "x", spread=likely(ours, theirs),
                        samples=min(len(ours), len(theirs)), **more)

    def write(self, folder):
        """Chapters of earlier runs that were not measured now are kept."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "figures.json"
        new = {row["chapter"] for row in self.rows}
        if file.exists():
            old = json.loads(file.read_text())
            self.rows = [r for r in old["figures"] if r["chapter"] not in new] + self.rows
            self.notes = [n for n in old["notes"]
                          if n["chapter"] and n["chapter"] not in new] + self.notes
        file.write_text(json.dumps({"notes": self.notes, "figures": self.rows}, indent=1) + "\n")
        for name in dict.fromkeys(row["chapter"] for row in self.rows):
            rows = [row for row in self.rows if row["chapter"] == name]
            (folder / f"{name}.svg").write_text(plot.bars(name, rows, show))
        (folder / "figures.md").write_text(self.markdown())
        print(f"\nwritten: {folder}/figures.json, figures.md and one SVG a chapter\n")
        print("\n".join(self.bars()))

    def bars(self):
        """The table of what was to be reached."""
        rows = [row for row in self.rows if "bar" in row]
        lines = ["| what | ours | the peer | figure | range | bar | |",
                 "|---|---:|---:|---:|---:|---:|---|"]
        for row in rows:
            ours, theirs = "", ""
            if "ours" in row:
                ours = f"{show(row['ours'])} {row['their_unit']}"
                theirs = f"{show(row['theirs'])} {row['their_unit']} ({row['peer']})"
            sign = "≥" if row["at_least"] else "≤"
            lines.append(f"| {row['what']} | {ours} | {theirs} | {show(row['value'])} {row['unit']} "
                         f"| {spread(row)} | {sign} {show(row['bar'])} | {verdict(row)} |")
        return lines

    def markdown(self):
        """The tables, as docs/figures.md holds a recorded run of them."""
        lines = [n["text"] for n in self.notes if not n["chapter"]]
        lines += ["", "### The bars", "", *self.bars()]
        for name in dict.fromkeys(row["chapter"] for row in self.rows):
            notes = [n["text"] for n in self.notes if n["chapter"] == name]
            lines += ["", f"### {name}", "", "; ".join(notes) + ".", "",
                      "| what | median | range |", "|---|---:|---:|"]
            lines += [f"| {row['what']} | {show(row['value'])} {row['unit']} | {spread(row)} |"
                      for row in self.rows if row["chapter"] == name]
        return "\n".join([*lines, ""])


def runs(count):
    return "1 run" if count == 1 else f"{count} runs"


def spread(row):
    if "least" not in row:
        return ""
    return f"{show(row['least'])} to {show(row['most'])}, {runs(row['samples'])}"


def verdict(row):
    """Whether the bar is met, and whether the run's own noise could tell otherwise."""
    def meets(value):
        return value >= row["bar"] if row["at_least"] else value <= row["bar"]

    word = "met" if meets(row["value"]) else "NOT met"
    ends = {meets(row.get("least", row["value"])), meets(row.get("most", row["value"]))}
    return word if len(ends) == 1 else f"{word}, within noise"


def ratio(a, b):
    return a / b if b else (0.0 if not a else float("inf"))


def likely(ours, theirs, times=1000):
    """The ratio's range in nine of ten redraws of the samples."""
    draw = random.Random(1)
    found = sorted(ratio(statistics.median(draw.choices(ours, k=len(ours))),
                         statistics.median(draw.choices(theirs, k=len(theirs))))
                   for _ in range(times))
    return found[times // 20], found[-times // 20]


def show(value):
    if isinstance(value, int) or value == int(value):
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def peer(name):
    """Compiles tests/bench/peers/NAME.c; its path, or None."""
    source = ROOT / f"tests/bench/peers/{name}.c"
    binary = ROOT / f"target/bench/{name}"
    binary.parent.mkdir(parents=True, exist_ok=True)
    if not shutil.which("gcc"):
        return None
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["gcc", "-O2", "-o", binary, source], check=True)
    return str(binary)


def build(kind):
    """The program of `make firmware`'s build of that kind, or None."""
    binary = ROOT / f"target/firmware/{kind}/boardroom"
    return str(binary) if binary.exists() else None


def on_cpu_ns(pid):
    """Nanoseconds that a process has run, by the scheduler's account."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def status(pid, *names):
    """Numbers of /proc/PID/status."""
    told = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return [int(told[name].split()[0]) for name in names]


def wake_ups(pid):
    """How often a process has been woken so far."""
    return status(pid, "voluntary_ctxt_switches")[0]
