"""How much to smooth: jitter, lag and accuracy over the settings of the One-Euro filter.

``python -m benchmarks smoothing --help`` lists the options. Clips are tracked once without
smoothing; then every setting smooths the same tracks. The setting is chosen on clips of the
training part, the figures to quote are those of the validation part. Writes ``smoothing.json``,
``smoothing.md`` and ``smoothing.png``.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.smoothing.recordings import Track, record, smoothed
from edgepose.datasets.clips import Clip
from edgepose.evaluation.data_sets import Selection, data_set, select_clips
from edgepose.evaluation.metrics.scoring import Measure, Score, score_clip, scoring_skeleton
from edgepose.evaluation.report import Table, figure, markdown
from edgepose.inference.model import DEFAULT_MODEL, PoseModel, load
from edgepose.tracker import PoseTracker
from edgepose.utils.machine import describe_machine
from edgepose.utils.progress import show_progress
from edgepose_runtime.poses.skeletons import Skeleton
from edgepose_runtime.poses.smoothing import OneEuroSettings

OUT = Path(__file__).parents[1] / "out"
MEASURES = (Measure("torso", 0.2), Measure("torso", 0.1))
#: What is tried; the default and no smoothing as well.
MIN_CUTOFF_HZ, BETA = (0.5, 1.0, 2.0), (8.0, 12.0, 20.0, 30.0, 45.0)
DERIVATIVE_CUTOFF_HZ, JUMP_SPEED = (2.0, 3.0, 5.0), (0.5, 1.0, 1.5, 2.0, math.inf)
NONE, DEFAULT, CHOSEN = "none", "default", "chosen"
STILL = "first pose held"


class Outcome(NamedTuple):
    """What a setting does.

    Attributes:
        name: of the setting.
        settings: ``None`` for no smoothing.
        pck02: PCK-torso@0.2 in percent.
        pck01: PCK-torso@0.1.
        jitter: second difference of the error, in percent of the torso.
        lag: of fast joints, in frames.
    """

    name: str
    settings: OneEuroSettings | None
    pck02: float
    pck01: float
    jitter: float
    lag: float


Tracks = Sequence[tuple[Clip, Track]]


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks smoothing", description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or folder of a bundle")
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder of the JHMDB clips")
    parser.add_argument(
        "--train-clips", type=int, default=40, metavar="N", help="to choose on (default: 40)"
    )
    parser.add_argument("--limit-clips", type=int, metavar="N", help="at most N to report on")
    parser.add_argument(
        "--max-loss", type=float, default=0.2, metavar="POINTS", help="of PCK-torso@0.1 at most"
    )
    parser.add_argument(
        "--max-lag", type=float, default=0.5, metavar="FRAMES", help="of fast joints at most"
    )
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="where to write")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Track, smooth, choose, print and write."""
    args = parse_arguments(words)
    args.out.mkdir(parents=True, exist_ok=True)
    parts = {"train": args.train_clips, "val": args.limit_clips}
    with load(args.model, num_threads=1) as model:
        tracks = {part: _tracks(args.root, part, limit, model) for part, limit in parts.items()}
        skeleton = model.skeleton
    train = [score(*named, tracks["train"], skeleton) for named in candidates()]
    best = chosen(train, args.max_loss, args.max_lag)
    val = [score(*named, tracks["val"], skeleton) for named in candidates()]
    train.append(held(tracks["train"], skeleton))
    val.append(held(tracks["val"], skeleton))
    found = {"train": train, "val": val}
    text = report(found, best)
    (args.out / "smoothing.md").write_text(text)
    (args.out / "smoothing.json").write_text(json.dumps(_as_json(found, best), indent=1) + "\n")
    plot(val[:-1], best.settings, args.out / "smoothing.png")
    print(text)


def candidates() -> Iterator[tuple[str, OneEuroSettings | None]]:
    """Return every setting that is tried, by name."""
    yield NONE, None
    yield DEFAULT, OneEuroSettings()
    grid = product(MIN_CUTOFF_HZ, BETA, DERIVATIVE_CUTOFF_HZ, JUMP_SPEED)
    for cutoff, beta, derivative, jump in grid:
        settings = OneEuroSettings(cutoff, beta, derivative, jump_speed=jump)
        yield f"{cutoff:g} Hz, beta {beta:g}, {derivative:g} Hz, jumps {jump:g}", settings


def score(
    name: str, settings: OneEuroSettings | None, tracks: Tracks, skeleton: Skeleton
) -> Outcome:
    """Smooth all tracks with a setting and score them."""
    poses = [smoothed(track, settings) for _, track in tracks]
    return _outcome(name, settings, poses, tracks, skeleton)


def held(tracks: Tracks, skeleton: Skeleton) -> Outcome:
    """Score poses that never move: their jitter is how much the annotation itself shakes."""
    poses = [track.keypoints[:1].repeat(len(clip), axis=0) for clip, track in tracks]
    # What never moves is not late.
    return _outcome(STILL, None, poses, tracks, skeleton)._replace(lag=math.nan)


def _outcome(
    name: str,
    settings: OneEuroSettings | None,
    poses: Sequence[NDArray[np.float32]],
    tracks: Tracks,
    skeleton: Skeleton,
) -> Outcome:
    pairs = zip(poses, tracks, strict=True)
    clips = tuple(score_clip(pose, skeleton, clip, MEASURES) for pose, (clip, _) in pairs)
    score = Score(scoring_skeleton(skeleton, tracks[0][0].skeleton), clips)
    headline = data_set("jhmdb").headline
    pck02, pck01 = (float(getattr(score.pck(measure), headline)) for measure in MEASURES)
    return Outcome(name, settings, pck02, pck01, score.jitter, score.lag_frames)


def chosen(outcomes: Sequence[Outcome], max_loss: float, max_lag: float) -> Outcome:
    """Return the calmest setting that loses little and is not late; the first one if none is so.

    Args:
        outcomes: the first one without smoothing.
        max_loss: points of PCK-torso@0.1.
        max_lag: frames.
    """
    first, *others = outcomes
    fit = [
        each for each in others if each.pck01 >= first.pck01 - max_loss and not each.lag > max_lag
    ]
    return min(fit, key=lambda each: each.jitter, default=first)


def report(found: dict[str, list[Outcome]], best: Outcome) -> str:
    """The tables of all parts in Markdown: no smoothing, the default, the choice on train."""
    header = ("", "PCK-torso@0.2", "PCK-torso@0.1", "jitter", "lag, frames")
    parts = []
    for part, outcomes in found.items():
        shown = [each for each in outcomes if each.name in (NONE, DEFAULT, STILL)]
        own = next(each for each in outcomes if each.name == best.name)
        rows = tuple(map(_row, [*shown, own._replace(name=f"{CHOSEN}: {own.name}")]))
        parts.append(f"**{part}**\n\n{markdown(Table(part, header, rows))}")
    return "\n".join(parts)


def plot(outcomes: Sequence[Outcome], best: OneEuroSettings | None, path: Path) -> None:
    """Draw jitter over lag, coloured by accuracy."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(drawing)
    axes = drawing.add_subplot()
    lag, jitter = [each.lag for each in outcomes], [each.jitter for each in outcomes]
    points = axes.scatter(lag, jitter, c=[each.pck01 for each in outcomes], s=14)
    drawing.colorbar(points, label="PCK-torso@0.1, %")
    for each in outcomes:
        text = CHOSEN if each.settings == best else each.name
        if text in (NONE, DEFAULT, CHOSEN):
            axes.annotate(text, (each.lag, each.jitter), fontsize=8)
    axes.set(xlabel="lag of fast joints, frames", ylabel="jitter, % of the torso")
    axes.grid(alpha=0.3)
    drawing.savefig(path, dpi=110)


def _tracks(root: Path | None, part: str, limit: int | None, model: PoseModel) -> Tracks:
    clips = select_clips(Selection(root=root, split=part, grade="A", limit=limit))
    found = []
    with show_progress(f"Tracking {part}", sum(map(len, clips))) as progress:
        for clip in clips:
            found.append((clip, record(PoseTracker(model, smoothing=False), clip)))
            progress.advance(len(clip))
    return found


def _row(outcome: Outcome) -> tuple[str, ...]:
    figures = (figure(value) for value in (outcome.pck02, outcome.pck01, outcome.jitter))
    return (outcome.name, *figures, figure(outcome.lag, 2))


def _as_json(found: dict[str, list[Outcome]], best: Outcome) -> dict[str, Any]:
    return {
        "format": "edgepose.smoothing",
        "machine": describe_machine(),
        "chosen": best.name,
        "results": {part: [_plain(each) for each in rows] for part, rows in found.items()},
    }


def _plain(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as JSON takes it: without NaN, and infinity as null."""
    settings = {} if outcome.settings is None else asdict(outcome.settings)
    figures = outcome._asdict() | {"settings": None} | settings
    return {
        name: None if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in figures.items()
        if name != "settings"
    }


if __name__ == "__main__":
    main()
