"""Size of each build."""

from pathlib import Path

import lab
from figures import build

BAR_KB = 200


def measure(figures):
    for kind, bar in (("armv4t", BAR_KB), ("armv5te", None), ("host", None)):
        binary = build(kind)
        if binary:
            figures.add(f"size of the {kind} build", Path(binary).stat().st_size / 1024, "KiB", bar=bar)
        else:
            figures.skip(f"size of the {kind} build", "not built; `make firmware`")
    figures.add("size of this machine's dynamic build", Path(lab.program()).stat().st_size / 1024,
                "KiB")
