#!/usr/bin/python3
"""Draws a story as a space-time diagram: time runs down, each board is a line,
each message an arrow, a lost one a broken arrow with a cross; a thick line is
the master.

  story.py [--title TEXT] [--from MS] [--to MS] [STORY] > picture.svg

STORY is what `make story FILE=tests/transcripts/…` prints, the events of a
simulator's seed, or what `serve --record` has written; standard input if none.
"""

import argparse
import re
import sys
from xml.sax.saxutils import escape

LINE = re.compile(r"^ *(\d+\.\d{3}) (.*)$")
SENT = re.compile(r"^(\S+) -> (\S+): (.*)$")
LOST = re.compile(r"^  lost (?:between (\S+) and (\S+)|(?:on its way )?to (\S+))")
BECAME = re.compile(r"^(\S+) is (master|slave)\b")
NOTED = re.compile(r"^(\S+) (?:is (stopped|killed|cut off|back|told to resign)|(goes on|dies|crashes|starts).*)")

COLUMN, LEFT, TOP, ROW = 190, 120, 64, 22
LEGIBLE = """
  text{font:12px sans-serif;fill:#1c2733} .name{font-weight:bold} .time,.note{fill:#64707d;font-size:11px}
  .life{stroke:#9aa7b4;stroke-width:1.2} .master{stroke:#1a7f4b;stroke-width:6;stroke-linecap:round}
  .sent{stroke:#2b62b5;stroke-width:1.4;fill:none} .call{stroke:#b3541e} .claim{stroke:#1a7f4b}
  .lost{stroke:#c0392b;stroke-width:1.4;stroke-dasharray:5 4;fill:none} .cross{stroke:#c0392b;stroke-width:2}
  .gap{stroke:#9aa7b4;stroke-dasharray:1 5}
  @media (prefers-color-scheme:dark){
    text{fill:#e3e8ed} .time,.note{fill:#94a1ae} .life,.gap{stroke:#5d6a77} .master,.claim{stroke:#3fbf7f}
    .sent{stroke:#7fb0ff} .call{stroke:#f0a06a} .lost,.cross{stroke:#ff7b6b}
  }
"""


class Event:
    """Something at a moment: a message, a change of role, or a remark."""

    def __init__(self, at, kind, actor, target=None, text=""):
        self.at, self.kind, self.actor, self.target, self.text = at, kind, actor, target, text
        self.lost = set()


def read(text):
    """The events of a story, in order. Lines that tell the log are left out."""
    events = read_record(text) if text.startswith("boardroom-record") else []
    for line in [] if events else text.splitlines():
        match = LINE.match(line)
        if not match:
            continue
        at, what = float(match[1]), match[2]
        if (lost := LOST.match(what)) and events:
            sender, target = (lost[1], lost[2]) if lost[1] else (None, lost[3])
            for event in reversed(events):
                if event.kind == "sent" and sender in (None, event.actor):
                    event.lost.add(target)
                    break
        elif (sent := SENT.match(what)):
            events.append(Event(at, "sent", sent[1], sent[2], sent[3]))
        elif (became := BECAME.match(what)):
            events.append(Event(at, became[2], became[1]))
        elif (noted := NOTED.match(what)):
            events.append(Event(at, "note", noted[1], text=noted[2] or noted[3]))
    return events


def read_record(text):
    """What one board has heard and sent, from its own record."""
    events, at, first, own = [], 0.0, None, "this board"
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "turn":
            first = first if first is not None else int(rest)
            at = (int(rest) - first) / 1000
        elif word == "network" and rest != "none":
            own = rest.split()[0]
        elif word in ("datagram", "sent"):
            address, data = rest.split()[:2]
            address = address.split(":")[0]
            shown = bytes.fromhex(data).split(b"\0")[0].decode(errors="replace").rstrip()
            if word == "datagram":
                events.append(Event(at, "sent", address, own, shown))
            else:
                target = "all" if address.endswith(".255") else address
                events.append(Event(at, "sent", own, target, shown))
    return events


def cut_out(events, first, last):
    """The events of a span; who was master before it is so at its begin."""
    offices = {event.actor: event for event in events
               if event.at < first and event.kind in ("master", "slave")}
    begun = [Event(first, "master", name) for name, event in offices.items() if event.kind == "master"]
    return begun + [event for event in events if first <= event.at <= last]


def actors_of(events):
    """The columns: boards by address, clients first."""
    found = {name for event in events for name in (event.actor, event.target)
             if name not in (None, "all")}
    found |= {name for event in events for name in event.lost if name}
    return sorted(found, key=lambda name: [int(part) if part.isdigit() else -1
                                           for part in re.split(r"[.:]", name)])


def rows_of(events):
    """A height for each event: near ones near, long silences cut short."""
    heights, y, before = [], TOP, None
    for event in events:
        if before is not None:
            gap = event.at - before.at
            instant = gap < 0.0005 and event.kind in ("master", "slave")
            y += 0 if instant else ROW if gap < 30 else ROW * 2
        heights.append(y)
        before = event
    return heights, y + ROW * 2


def short(text):
    """`# 10.0.0.2 5 [epoch 1 fresh]` as `vote 5, round 1`."""
    text = text.replace("\\n", "")
    epoch = re.search(r"epoch (\d+)", text)
    tail = f", round {epoch[1]}" if epoch and epoch[1] != "0" else ""
    flags = re.search(r"\[(.*)\]", text)
    if flags and "asking" in flags[1]:
        tail += ", asking"
    body = re.sub(r" \[.*\]$", "", text)
    for sign, name in (("#", "vote"), ("!", "claim")):
        if match := re.match(rf"\{sign} \S+ (\d+)", body):
            return f"{name} {match[1]}{tail}"
    if body.startswith("- "):
        return f"resignation{tail}"
    if body in ("VOTE", "WHOIS"):
        return f"{body}{tail if body == 'VOTE' else ''}"
    return "is the master" if body.endswith("is the master") else body


def kind_of(text):
    if text.startswith("VOTE"):
        return " call"
    return " claim" if text[:1] in "!-" or "is the master" in text else ""


def arrow(x1, x2, y, lost, kind):
    """An arrow that falls a little, since messages take time."""
    y2 = y + 7
    if not lost:
        return f'<path class="sent{kind}" marker-end="url(#tip)" d="M{x1} {y} L{x2} {y2}"/>'
    x, middle = x1 + (x2 - x1) * 0.72, y + 5
    return (f'<path class="lost" d="M{x1} {y} L{x:.0f} {middle}"/>'
            f'<path class="cross" d="M{x - 4:.0f} {middle - 4} l8 8 m0 -8 l-8 8"/>')


def draw(events, title):
    """The picture."""
    actors = actors_of(events)
    column = {name: LEFT + COLUMN * i for i, name in enumerate(actors)}
    heights, bottom = rows_of(events)
    width = LEFT + COLUMN * max(len(actors) - 1, 1) + 90
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{bottom}" '
             f'viewBox="0 0 {width} {bottom}" role="img" aria-label="{escape(title)}">',
             f"<title>{escape(title)}</title><style>{LEGIBLE}</style>",
             '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
             'markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="context-stroke"/>'
             "</marker></defs>",
             f'<text x="{LEFT - 100}" y="20" class="name">{escape(title)}</text>']
    for name, x in column.items():
        parts.append(f'<text x="{x}" y="44" text-anchor="middle" class="name">{escape(name)}</text>'
                     f'<path class="life" d="M{x} 52 V{bottom - 8}"/>')
    parts += offices(events, heights, column, bottom)
    told = None
    for event, y in zip(events, heights):
        if told is None or event.at - told >= 1 or event.at < told:
            parts.append(f'<text x="{LEFT - 60}" y="{y + 4}" text-anchor="end" class="time">'
                         f"{event.at:.1f} ms</text>")
            told = event.at
        parts += one(event, y, column)
    return "\n".join([*parts, "</svg>", ""])


def offices(events, heights, column, bottom):
    """The thick lines: from `master` to `slave`, or to the end."""
    since, parts = {}, []
    for event, y in zip(events, heights):
        ends = event.kind == "slave" or (event.kind == "note" and event.text in
                                         ("killed", "dies", "crashes", "stopped"))
        if event.kind == "master" and event.actor in column:
            since.setdefault(event.actor, y)
        elif ends and event.actor in since:
            parts.append(thick(column[event.actor], since.pop(event.actor), y))
    return parts + [thick(column[name], y, bottom - 10) for name, y in since.items()]


def thick(x, y1, y2):
    return f'<path class="master" d="M{x} {y1} V{max(y2, y1 + 4)}"/>'


def one(event, y, column):
    """What is drawn of one event."""
    x = column.get(event.actor)
    if x is None:
        return []
    if event.kind == "note":
        return [f'<text x="{x + 8}" y="{y + 4}" class="note">{escape(event.text)}</text>']
    if event.kind != "sent":
        return []
    targets = [name for name in column if name != event.actor and "client" not in name] \
        if event.target == "all" else [event.target]
    label = short(event.text)
    parts = [arrow(x, column[name], y, name in event.lost, kind_of(event.text))
             for name in targets if name in column]
    right = not targets or column.get(targets[-1], x) >= x
    anchor, dx = ("start", 6) if right else ("end", -6)
    parts.append(f'<text x="{x + dx}" y="{y - 3}" text-anchor="{anchor}">{escape(label)}</text>')
    return parts


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("story", nargs="?")
    parser.add_argument("--title", default="")
    parser.add_argument("--from", dest="first", type=float, default=0.0)
    parser.add_argument("--to", dest="last", type=float, default=float("inf"))
    options = parser.parse_args()
    text = open(options.story).read() if options.story else sys.stdin.read()
    events = cut_out(read(text), options.first, options.last)
    if not events:
        print("story.py: no events in this story", file=sys.stderr)
        return 1
    sys.stdout.write(draw(events, options.title))
    return 0


if __name__ == "__main__":
    sys.exit(main())
