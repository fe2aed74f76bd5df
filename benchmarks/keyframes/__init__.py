"""Key frames: which are best, how many it takes, how they stand degraded frames, and what is saved.

``python -m benchmarks keyframes --help`` lists the options. Writes ``keyframes.json`` and
``keyframes.png``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.keyframes.exported import Exported, cost_table
from benchmarks.keyframes.live import SETTINGS, measure_live
from benchmarks.keyframes.poses import frame_wise_poses
from benchmarks.keyframes.robustness import robustness_table
from benchmarks.keyframes.selection import (
    COUNTS,
    LENGTH,
    Choose,
    SelectionScorer,
    even_steps,
    even_times,
    uniform,
)
from benchmarks.keyframes.table import noise_table, selection_table
from edgepose.datasets.readers.jhmdb import read_jhmdb_clips
from edgepose.datasets.root import data_root
from edgepose.inference.model import DEFAULT_MODEL, load
from edgepose.utils.machine import describe_machine

OUT = Path(__file__).parents[1] / "out"
PARTS = ("selection", "robustness", "noise", "online", "cost", "live")


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks keyframes", description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or folder of a bundle")
    parser.add_argument("--precision", default="float32", help="what the networks compute in")
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder of the JHMDB clips")
    parser.add_argument("--limit-clips", type=int, metavar="N", help="at most N clips")
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure (default: all)"
    )
    parser.add_argument(
        "--live", nargs="+", choices=SETTINGS, default=list(SETTINGS), help="which trackers"
    )
    parser.add_argument(
        "--selector",
        type=Path,
        nargs="+",
        default=(),
        metavar="FILE",
        help="K-FPNs to compare: checkpoints (need torch), or exported to ONNX",
    )
    parser.add_argument(
        "--poses", type=Path, metavar="DIR", help="keeps the poses of every frame (default: OUT)"
    )
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="where to write")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Measure what was asked for, print it, and write it beside what was measured before."""
    args = parse_arguments(words)
    args.out.mkdir(parents=True, exist_ok=True)
    clips = read_jhmdb_clips(args.root or data_root() / "jhmdb", "val", "A")[: args.limit_clips]
    path = args.out / "keyframes.json"
    content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    content.update(format="edgepose.keyframes", machine=describe_machine())
    with load(args.model, precision=args.precision, num_threads=1) as model:
        if "live" in args.parts:
            content["live"] = {**content.get("live", {}), **measure_live(model, clips, args.live)}
        if "cost" in args.parts:
            exported = [file for file in args.selector if file.suffix == ".onnx"]
            content["cost"] = {file.name: cost_table(file) for file in exported}
        if set(args.parts) - {"live", "cost"}:
            kept = args.poses or args.out / "keyframes-poses"
            poses = frame_wise_poses(model, clips, kept)
            content.update(_by_poses(args, SelectionScorer(poses, model.skeleton)))
    path.write_text(json.dumps(content, indent=1) + "\n")
    if "selection" in content:
        plot(content["selection"], args.out / "keyframes.png")
    print(json.dumps(content, indent=1))


def _by_poses(args: argparse.Namespace, scorer: SelectionScorer) -> dict[str, Any]:
    found: dict[str, Any] = {}
    ways: dict[str, Choose] = {
        "even steps": even_steps,
        "even times": even_times,
        "uniform": uniform,
    }
    for path in args.selector:
        if path.suffix == ".onnx":
            ways[_unused(Exported.name, ways, path)] = Exported(path).choose
            continue
        from benchmarks.keyframes.networks import Networks

        networks = Networks(path, args.out / "keyframes-features", scorer.clips)
        networks.name = _unused(networks.name, ways, path)
        ways[networks.name] = networks.choose
        if "online" in args.parts:
            found.setdefault("online", {})[networks.name] = networks.online_table(scorer)
    if "selection" in args.parts:
        found["selection"] = selection_table(scorer, ways)
    if "noise" in args.parts:
        found["noise"] = noise_table(scorer)
    if "robustness" in args.parts:
        found["robustness"] = robustness_table(scorer)
    return found


def _unused(name: str, ways: dict[str, Choose], path: Path) -> str:
    """Return a name, with its file where another selector has it already."""
    return f"{name} ({path})" if name in ways else name


def plot(selection: dict[str, Any], path: Path) -> None:
    """Draw PCK over the key rate."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4))
    for name, by_count in selection["pck"].items():
        counts = sorted(by_count, key=int)
        style = "o" if name.startswith("random") else "-"
        rates = [100 * int(count) / LENGTH for count in counts]
        axes.plot(rates, [by_count[count] for count in counts], style, label=name, markersize=4)
    axes.axhline(selection["every_frame"], color="black", linewidth=1, label="every frame")
    axes.axhline(selection["every_frame"] - 1, color="grey", linewidth=1, linestyle="--")
    axes.set(xlabel="key frames, %", ylabel="PCK-torso@0.2, %", xlim=(0, 100 * COUNTS[-1] / LENGTH))
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
