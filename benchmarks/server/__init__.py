"""A remote head: what late answers are worth, what they cost, and what a server can do.

``python -m benchmarks server --help`` lists the options. Writes ``server.json`` and ``server.png``.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.clip_options import add_clip_options, selection
from benchmarks.server import plot, sizing, step_time, throughput
from benchmarks.server.models import SweepModels
from benchmarks.server.sweep import MEASURES, Sweep, kept_share, least_gain, settings
from edgepose.evaluation.data_sets import select_clips
from edgepose.inference.model import DEFAULT_MODEL
from edgepose.utils.machine import describe_machine
from edgepose_runtime.errors import BackendUnavailableError

PARTS = ("sweep", "step", "throughput", "sizing")
OUT = Path(__file__).parents[1] / "out"


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks server", description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or folder of a bundle")
    parser.add_argument("--every", type=int, default=10, metavar="N", help="ask every N frames")
    add_clip_options(parser)
    parser.add_argument("--weights", type=Path, metavar="DIR", help="has those of the strong head")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep heat-maps from run to run")
    parser.add_argument("--resume", action="store_true", help="go on with the last sweep")
    parser.add_argument(
        "--limit-seconds", type=float, default=math.inf, help="begin no further run of the sweep"
    )
    parser.add_argument("--heads", nargs="+", metavar="NAME", help="only those that begin so")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each run of a server")
    parser.add_argument("--frames", type=int, default=600, metavar="N", help="of the step's time")
    parser.add_argument("--environment", type=Path, metavar="DIR", help="has Triton")
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Measure the parts, print what was found and write it."""
    args = parse_arguments(words)
    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / "server.json"
    content: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    content["machine"] = describe_machine()
    for part in args.parts:
        try:
            content[part] = _RUN[part](args, content.get(part, {}))
        except BackendUnavailableError as error:
            print(f"{part} is left out: {error}")
            continue
        file.write_text(json.dumps(content, indent=1) + "\n")
    if "sweep" in content:
        plot.draw(content["sweep"], args.out / "server.png")


def _sweep(args: argparse.Namespace, before: dict[str, Any]) -> dict[str, Any]:
    """Run the settings of which the last run left no result, unless it was about other clips."""
    clips = select_clips(selection(args))
    found: dict[str, Any] = {"clips": len(clips), "asked_every": args.every, "heads": {}}
    if args.resume and {**before, "heads": {}} == found:
        found = before
    deadline = time.monotonic() + args.limit_seconds
    with ExitStack() as opened:
        bench = opened.enter_context(SweepModels(args.model, args.weights, args.cache))
        for name, head in bench.heads.items():
            if args.heads and not name.startswith(tuple(args.heads)):
                continue
            sweep = Sweep(bench.model, head, args.every)
            rows = found["heads"].setdefault(name, {"rows": []})["rows"]
            for setting in settings()[len(rows) :]:
                if time.monotonic() > deadline:
                    return found
                rows.append(sweep.run(setting, clips))
                print(name, json.dumps(rows[-1]), flush=True)
            kept = {m.label: round(kept_share(rows, m, 100.0), 3) for m in MEASURES}
            least = {m.label: round(least_gain(rows, m), 2) for m in MEASURES}
            print(f"{name}: at 100 ms {kept} of an instant head's gain are kept")
            print(f"{name}: the worst setting is {least} points above the body alone")
            found["heads"][name] |= {"kept_at_100_ms": kept, "least_gain": least}
            bench.save()
    return found


_RUN = {
    "sweep": _sweep,
    "step": step_time.measure,
    "throughput": throughput.measure,
    "sizing": sizing.measure,
}
