"""Archives: what cuts change, and what workers, plans and memory cost.

``python -m benchmarks archive cuts VIDEOS`` tracks a folder of videos whole and cut, and compares
the poses and the identities on both sides of each cut. ``speed`` compares two workers with one,
and one with a loop over :class:`edgepose.PoseTracker`. ``ray`` compares actors of Ray with
processes. ``peer`` compares both with rtmlib in a loop, which needs ``pip install rtmlib`` and
weights of RTMPose-s. ``plan`` times the plan for many files, ``memory`` watches a worker over many
short files.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.archive.cuts import compare_cuts
from benchmarks.archive.memory import watch_memory
from benchmarks.archive.peer import compare_peer
from benchmarks.archive.plan import time_plan
from benchmarks.archive.speed import compare_ray, compare_speed
from edgepose.utils.arguments import number_of_people


def main(words: Sequence[str] | None = None) -> None:
    """Measure one of them and print a few lines."""
    args = _arguments(words)
    with tempfile.TemporaryDirectory() as folder:
        for line in args.measure(args, Path(folder)):
            print(line, flush=True)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks archive", description=__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    cuts = parts.add_parser("cuts", help="poses and identities, whole and cut")
    cuts.add_argument("videos", help="a folder of videos, or a pattern")
    cuts.add_argument(
        "--max-people", type=number_of_people, default="all", metavar="N|all", help="default: all"
    )
    cuts.add_argument("--frames-per-unit", type=int, default=50, metavar="N")
    cuts.add_argument("--overlap", type=int, default=25, metavar="N")
    cuts.set_defaults(measure=compare_cuts)
    speed = parts.add_parser("speed", help="workers against one, and one against a loop")
    speed.add_argument("--videos", type=int, default=40, metavar="N", help="copies of the clip")
    speed.add_argument("--rounds", type=int, default=3, metavar="N", help="the best one counts")
    speed.add_argument("--workers", type=int, default=2, metavar="N")
    speed.set_defaults(measure=compare_speed)
    ray = parts.add_parser("ray", help="Ray against processes of this machine")
    ray.add_argument("--videos", type=int, default=200, metavar="N")
    ray.add_argument("--frames", type=int, default=25, metavar="N", help="of each video")
    ray.add_argument("--rounds", type=int, default=3, metavar="N", help="the best one counts")
    ray.add_argument("--workers", type=int, default=2, metavar="N")
    ray.add_argument("--address", help="of a cluster that runs (default: one for each run)")
    ray.set_defaults(measure=compare_ray)
    peer = parts.add_parser("peer", help="rtmlib in a loop, beside ours")
    peer.add_argument("weights", type=Path, help="RTMPose-s, 256x192, as ONNX")
    peer.add_argument("--videos", type=int, default=10, metavar="N", help="copies of the clip")
    peer.add_argument("--rounds", type=int, default=3, metavar="N", help="the best one counts")
    peer.set_defaults(measure=compare_peer)
    plan = parts.add_parser("plan", help="the plan for many files")
    plan.add_argument("--files", type=int, default=100_000, metavar="N")
    plan.set_defaults(measure=time_plan)
    memory = parts.add_parser("memory", help="memory of a worker")
    memory.add_argument("--files", type=int, default=500, metavar="N", help="of six frames each")
    memory.set_defaults(measure=watch_memory)
    return parser.parse_args(words)
