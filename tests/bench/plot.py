"""Plots of figures as SVG: bars with their ranges, legible in light and dark."""

from xml.sax.saxutils import escape

STYLE = """
.back{fill:#ffffff}text{fill:#222222}.ours{fill:#2f6fad}.peer{fill:#b5793a}.ratio{fill:#6b8e4e}
line{stroke:#222222;stroke-width:1.2}.bar{stroke:#c0392b;stroke-dasharray:3 2}
@media(prefers-color-scheme:dark){.back{fill:#15181c}text{fill:#dddddd}.ours{fill:#6fb1ee}
.peer{fill:#e0a868}.ratio{fill:#a3c983}line{stroke:#dddddd}.bar{stroke:#ff8a7a}}
"""
PEERS = ("keepalived", "ucarp", "mosquitto", "C loop", "C poll loop", "C program")
LEFT, WIDTH, ROW = 470, 300, 22


def bars(title, rows, show):
    """One bar a figure, scaled within each unit; a thin line is its range, a
    dashed one what it has to reach."""
    most = {}
    for row in rows:
        top = max(abs(row["value"]), abs(row.get("most", 0)), abs(row.get("bar", 0)))
        most[row["unit"]] = max(most.get(row["unit"], 0), top)
    height = 40 + ROW * len(rows)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="960" height="{height}" '
             f'viewBox="0 0 960 {height}" font-family="sans-serif" font-size="12">',
             f"<title>{escape(title)}</title><style>{STYLE}</style>",
             f'<rect class="back" width="960" height="{height}"/>',
             f'<text x="10" y="22" font-size="15">{escape(title)}</text>']
    for i, row in enumerate(rows):
        lines += bar(row, 34 + ROW * i, WIDTH / (most[row["unit"]] or 1), show)
    return "\n".join([*lines, "</svg>", ""])


def bar(row, y, scale, show):
    kind = "ratio" if row["unit"] == "x" else (
        "peer" if any(name in row["what"] for name in PEERS) else "ours")
    width = max(abs(row["value"]) * scale, 1)
    yield f'<text x="{LEFT - 10}" y="{y + 13}" text-anchor="end">{escape(row["what"])}</text>'
    yield f'<rect class="{kind}" x="{LEFT}" y="{y + 2}" width="{width:.1f}" height="13"/>'
    end = width
    if "least" in row:
        a, b = (LEFT + abs(row[key]) * scale for key in ("least", "most"))
        end = max(end, b - LEFT)
        yield f'<line x1="{a:.1f}" x2="{b:.1f}" y1="{y + 8}" y2="{y + 8}"/>'
    if "bar" in row:
        x = LEFT + row["bar"] * scale
        end = max(end, x - LEFT)
        yield f'<line class="bar" x1="{x:.1f}" x2="{x:.1f}" y1="{y}" y2="{y + 17}"/>'
    yield (f'<text x="{LEFT + end + 8:.1f}" y="{y + 13}">'
           f'{show(row["value"])} {escape(row["unit"])}</text>')
