"""Figures: kept, printed as a table, written as JSON and as SVG."""

import json
import shutil
import statistics
import subprocess
from pathlib import Path
from xml.sax.saxutils import escape

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

    def note(self, text):
        self.notes.append(text)
        print(f"  ({text})", flush=True)

    def skip(self, what, why):
        self.note(f"SKIP {what}: {why}")

    def add(self, what, value, unit, spread=None):
        """One figure. `spread` are all its samples; the range is told."""
        row = {"chapter": self._chapter, "what": what, "value": value, "unit": unit}
        tail = ""
        if spread:
            row["least"], row["most"], row["samples"] = min(spread), max(spread), len(spread)
            tail = f"  ({show(min(spread))} to {show(max(spread))}, {len(spread)} runs)"
        self.rows.append(row)
        print(f"  {what:<58} {show(value):>10} {unit}{tail}", flush=True)
        return value

    def median(self, what, samples, unit):
        return self.add(what, statistics.median(samples), unit, spread=samples)

    def ratio(self, what, ours, theirs, bar=None):
        """Ours over theirs; `bar` is what it has to reach, for the reader."""
        value = ours / theirs if theirs else float("inf")
        words = f"{what}: ours / theirs" + (f" (bar {bar})" if bar else "")
        return self.add(words, value, "x")

    def write(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        content = {"notes": self.notes, "figures": self.rows}
        (folder / "figures.json").write_text(json.dumps(content, indent=1) + "\n")
        for name in dict.fromkeys(row["chapter"] for row in self.rows):
            rows = [row for row in self.rows if row["chapter"] == name]
            (folder / f"{name}.svg").write_text(chart(name, rows))
        (folder / "figures.md").write_text(self.markdown())
        print(f"\nwritten: {folder}/figures.json, figures.md and one SVG a chapter")


    def markdown(self):
        """The tables, as docs/performance.md holds a recorded run of them."""
        lines = [f"Recorded: {self.notes[0] if self.notes else 'here'}."]
        chapter = None
        for row in self.rows:
            if row["chapter"] != chapter:
                chapter = row["chapter"]
                lines += ["", f"### {chapter}", "", "| what | median | range |", "|---|---:|---:|"]
            spread = f"{show(row['least'])} to {show(row['most'])}" if "least" in row else ""
            lines.append(f"| {row['what']} | {show(row['value'])} {row['unit']} | {spread} |")
        skipped = [note for note in self.notes[1:] if note.startswith("SKIP")]
        return "\n".join([*lines, "", *skipped, ""])


def show(value):
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def chart(title, rows):
    """Bars, scaled within each unit; legible in light and in dark."""
    tallest = {}
    for row in rows:
        tallest[row["unit"]] = max(tallest.get(row["unit"], 0), abs(row["value"]))
    height = 44 + 22 * len(rows)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="900" height="{height}" '
        f'viewBox="0 0 900 {height}" font-family="sans-serif" font-size="12">',
        "<style>text{fill:#222}rect{fill:#4477aa}"
        "@media(prefers-color-scheme:dark){text{fill:#ddd}rect{fill:#77aadd}}</style>",
        f'<text x="10" y="22" font-size="15">{escape(title)}</text>',
    ]
    for i, row in enumerate(rows):
        y = 40 + 22 * i
        width = 260 * abs(row["value"]) / (tallest[row["unit"]] or 1)
        lines.append(f'<text x="10" y="{y + 13}">{escape(row["what"])}</text>')
        lines.append(f'<rect x="500" y="{y + 2}" width="{max(width, 1):.1f}" height="14"/>')
        lines.append(f'<text x="{510 + width:.1f}" y="{y + 13}">'
                     f'{show(row["value"])} {escape(row["unit"])}</text>')
    return "\n".join(lines + ["</svg>", ""])


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


def on_cpu_ns(pid):
    """Nanoseconds that a process has run, by the scheduler's account."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def wake_ups(pid):
    """How often a process has been woken so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("voluntary_ctxt_switches"):
            return int(line.split()[1])
    return 0
