"""Take-over among five boards: how long a LAN is without a master, against
keepalived (VRRP v3) and ucarp at the same interval, in the same run."""

from functools import partial

import lab
from chapters.groups import Guarded, Keepalived, Ours, Ucarp
from chapters.scene import play, together

WAYS = ("kill -9", "SIGTERM", "link down", "cable pulled", "partition", "freeze")
# Ours over keepalived's; a hand-over and a freeze have bars of their own.
BARS = {("kill -9", "1s"): 0.5, ("kill -9", "10ms"): 0.7}
HAND_OVER_MS = 5
OURS = (Ours, Guarded)


def measure(figures):
    reason = lab.no_lan()
    if reason:
        return figures.skip("take-over", reason)
    runs = figures.rounds(20, 3)
    for interval, batches in figures.rounds(WHOLE, QUICK).items():
        for ways in batches:
            jobs = {(way, kind): partial(play, kind, interval, "guardian" if kind is Guarded
                                         else way, runs)
                    for way in ways for kind in kinds(figures, interval, way)}
            found = together(jobs)
            for way in ways:
                tell(figures, interval, way, {kind: found[name, kind]
                                              for name, kind in jobs if name == way})


# At a second's interval all but wait, so several scenes are played at the same
# time; what takes milliseconds is not disturbed by others then.
WHOLE = {
    "1s": (("kill -9", "link down", "cable pulled", "partition", "freeze"), ("SIGTERM",)),
    "100ms": tuple((way,) for way in WAYS),
    "50ms": (("kill -9",), ("SIGTERM",), ("freeze",)),
    "10ms": tuple((way,) for way in WAYS),
}
QUICK = {
    "1s": (("kill -9", "cable pulled"), ("SIGTERM",)),
    "10ms": (("kill -9",), ("SIGTERM",), ("freeze",)),
}


def kinds(figures, interval, way):
    wanted = [Ours, Keepalived, Ucarp]
    if (way, interval) == ("SIGTERM", "1s"):
        # Its verdict takes milliseconds, like a hand-over.
        wanted.append(Guarded)
    return [kind for kind in wanted if interval in kind.intervals and not kind.missing(figures)]


def tell(figures, interval, way, found):
    samples = {}
    for kind, result in found.items():
        if isinstance(result, Exception):
            figures.note(f"{way} at {interval}, {kind.name}: {result}")
            continue
        if result["failed"]:
            figures.note(f"{way} at {interval}, {kind.name}: {result['failed']} times no other "
                         "master within 20 s")
        samples[kind] = result
        words = "kill -9" if kind is Guarded else way
        bar = HAND_OVER_MS if kind is Guarded or (kind, way) == (Ours, "SIGTERM") else None
        if result.get("gap"):
            figures.median(f"{words} at {interval}: {kind.name}", result["gap"], "ms", bar=bar)
    for kind, result in samples.items():
        if "overlap" in result:
            bar = 0 if kind in OURS else None
            figures.median(f"two masters after a freeze, {interval}: {kind.name}",
                           result["overlap"], "ms", bar=bar)
    ours = samples.get(Ours, {}).get("gap")
    for kind in (Keepalived, Ucarp):
        theirs = samples.get(kind, {}).get("gap")
        if ours and theirs:
            bar = BARS.get((way, interval)) if kind is Keepalived else None
            figures.versus(f"{way} at {interval}: ours / {kind.name}", ours, theirs, unit="ms",
                           peer=kind.name, bar=bar)
