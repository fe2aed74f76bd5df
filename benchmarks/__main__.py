"""``python -m benchmarks PART [options]``: what ``edgepose benchmark`` does not measure."""

from __future__ import annotations

import sys

from benchmarks import (
    accuracy,
    archive,
    attack,
    drift,
    hpim,
    keyframes,
    methods,
    overhead,
    people,
    recovery,
    robustness,
    search,
    server,
    slicing,
    smoothing,
    soak,
    startup,
    streams,
)
from benchmarks.arm import measurement as arm
from benchmarks.figures import command as figures
from benchmarks.hpim import dyan
from benchmarks.keyframes import budget, decision
from benchmarks.page import command as page
from benchmarks.presence import absence, half_bodies
from benchmarks.preview import measurement as preview
from edgepose_runtime.errors import EdgePoseError

PARTS = {
    "accuracy": accuracy.main,
    "archive": archive.main,
    "arm": arm.main,
    "soak": soak.main,
    "startup": startup.main,
    "preview": preview.main,
    "streams": streams.main,
    "absence": absence.main,
    "half-bodies": half_bodies.main,
    "attack": attack.main,
    "search": search.main,
    "server": server.main,
    "overhead": overhead.main,
    "people": people.main,
    "keyframes": keyframes.main,
    "keyframe-budget": budget.main,
    "keyframe-decision": decision.main,
    "hpim": hpim.main,
    "dyan": dyan.main,
    "methods": methods.main,
    "slicing": slicing.main,
    "smoothing": smoothing.main,
    "robustness": robustness.main,
    "recovery": recovery.main,
    "drift": drift.main,
    "figures": figures.main,
    "page": page.main,
}


def main(words: list[str]) -> int:
    """Run one part with its options; return the exit code."""
    if not words or words[0] not in PARTS:
        print(f"usage: python -m benchmarks {{{','.join(PARTS)}}} [options]", file=sys.stderr)
        return 2
    try:
        PARTS[words[0]](words[1:])
    except EdgePoseError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
