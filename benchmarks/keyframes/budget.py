"""Live key frames by the part of frames that the networks process: accuracy, time, intervals.

``python -m benchmarks keyframe-budget --help`` lists the options. Trackers are told nothing but the
frames. Prints tables in Markdown: what each decision loses at which part of the frames (``looks``),
what moves the joints and what decides (``motion``), the network of key frames (``network``),
budgets that are used up, with the time of every frame measured before each (``budgets``), and
frames of which a part is degraded (``degraded``).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from benchmarks.keyframes.poses import PERTURBATIONS
from edgepose.datasets.clips import Clip
from edgepose.datasets.readers.jhmdb import read_jhmdb_clips
from edgepose.datasets.root import data_root
from edgepose.evaluation.boxes import person_boxes
from edgepose.evaluation.metrics.bootstrap import Resampled
from edgepose.evaluation.metrics.scoring import Measure, Score, score_clip, scoring_skeleton
from edgepose.evaluation.protocols.tracker import UNPROCESSED, keypoints_of
from edgepose.evaluation.uncertainty import resample_score
from edgepose.inference.model import DEFAULT_MODEL, PoseModel, load
from edgepose.keyframes import KeyFrames
from edgepose.keyframes.settings import Decision, Motion
from edgepose.results import PoseResult
from edgepose.stats import TOTAL
from edgepose.tracker import PoseTracker
from edgepose_runtime.geometry.crop import Image

MEASURES = (Measure("torso", 0.2), Measure("torso", 0.1))
HEADLINE = "limbs12"
#: Tolerances at which the head of ``ppn-swift`` processes about 10, 15, ... 40 % of the frames of
#: the part ``selection``, where ``max_key_rate`` allows it.
TOLERANCES: Mapping[Decision, Sequence[float]] = {
    "drift": (0.058, 0.037, 0.027, 0.02, 0.0157, 0.0108),
    "learned": (0.0445, 0.034, 0.0255, 0.02, 0.0156, 0.011),
    "uncertainty": (0.06, 0.035, 0.0255, 0.019, 0.0145, 0.0097),
}
LAGS = (0, 8)
#: Tolerances of the light network at which its steps take about as long as those of the head.
LIGHT_TOLERANCES = (0.005, 0.0075, 0.01, 0.015, 0.02, 0.03)
DEGRADED = (0.2, 0.4, 0.6)
#: Settings without a tolerance, `auto` first.
BUDGETS = (
    KeyFrames(),
    KeyFrames(lag_frames=8),
    KeyFrames(0.3),
    KeyFrames(0.25, lag_frames=8),
    KeyFrames(0.15),
)
TABLES = ("looks", "motion", "network", "budgets", "degraded")
_HEADER = (
    "| {} | processed | step, ms | PCK@0.2 | difference | PCK@0.1 | difference |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
)


@dataclass(frozen=True)
class Row:
    """What a tracker did with all clips.

    Attributes:
        figures: of :func:`resample_score`.
        processed: percent of the frames that the networks processed.
        step_ms: the mean time of a frame, without the first of each clip.
    """

    figures: Resampled
    processed: float
    step_ms: float

    def line(self, name: str, reference: Row | None) -> str:
        """Return a line of a table, with the differences to another row."""
        values = self.figures.values
        shown = [f"{self.processed:.1f} %", f"{self.step_ms:.2f}"]
        for index in range(len(MEASURES)):
            shown += [f"{values[index]:.1f}", _difference(self, reference, index)]
        return f"| {name} | {' | '.join(shown)} |"


def _difference(row: Row, reference: Row | None, index: int) -> str:
    if reference is None:
        return ""
    found = row.figures - reference.figures
    low, high = found.intervals()[index]
    return f"{found.values[index]:+.1f} ({low:+.1f} to {high:+.1f})"


@dataclass(frozen=True)
class Trial:
    """Clips with their frames, as trackers get them."""

    model: PoseModel
    clips: Sequence[Clip]
    frames: Sequence[Sequence[Image]]

    def row(self, settings: KeyFrames | None) -> Row:
        """Track every clip anew."""
        runs = [
            track(self.model, settings, images, clip.fps)
            for images, clip in zip(self.frames, self.clips, strict=True)
        ]
        results = [result for run in runs for result in run]
        looks = sum(result.origin not in UNPROCESSED for result in results)
        return Row(
            resample_score(self._score(runs), HEADLINE),
            100 * looks / len(results),
            # A clip is short: the search on its first frame would count for more than it does.
            float(np.mean([result.latency[TOTAL] for run in runs for result in run[1:]])),
        )

    def _score(self, runs: Sequence[Sequence[PoseResult]]) -> Score:
        skeleton = self.model.skeleton
        scores = tuple(
            score_clip(keypoints_of(run, skeleton), skeleton, clip, MEASURES)
            for run, clip in zip(runs, self.clips, strict=True)
        )
        return Score(scoring_skeleton(skeleton, self.clips[0].skeleton), scores)


def track(
    model: PoseModel, settings: KeyFrames | None, images: Sequence[Image], fps: float
) -> list[PoseResult]:
    """Return the result of each frame."""
    results: list[PoseResult] = []
    late = settings is not None and settings.lag_frames > 0
    with PoseTracker(
        model,
        key_frames=settings,
        on_result=results.append if late else None,
        policy="every-frame" if late else None,
    ) as tracker:
        for index, image in enumerate(images):
            stamp = 1000 * index / fps
            if late:
                tracker.submit(image, stamp)
            else:
                results.append(tracker.track(image, timestamp_ms=stamp))
        if late:
            tracker.flush()
    return results


def looks_table(trial: Trial) -> Iterator[str]:
    """Yield what each decision loses at which part of the frames."""
    yield _HEADER.format("decision, tolerance, lag")
    every = trial.row(None)
    yield every.line("every frame", None)
    for decision in get_args(Decision):
        for lag in LAGS:
            for tolerance in TOLERANCES[decision]:
                settings = KeyFrames(1.0, tolerance, lag, decision=decision)
                yield trial.row(settings).line(f"{decision}, {tolerance}, {lag}", every)


def motion_table(trial: Trial) -> Iterator[str]:
    """Yield what each motion with each decision loses at about 25 % of the frames."""
    yield _HEADER.format("motion, decision")
    every = trial.row(None)
    yield every.line("every frame", None)
    for motion in get_args(Motion):
        for decision in get_args(Decision):
            tolerance = TOLERANCES[decision][3]
            settings = KeyFrames(1.0, tolerance, motion=motion, decision=decision)
            yield trial.row(settings).line(f"{motion}, {decision}", every)


def network_table(trial: Trial) -> Iterator[str]:
    """Yield what the head or the light network on key frames loses in which time."""
    yield _HEADER.format("network, tolerance")
    every = trial.row(None)
    yield every.line("every frame", None)
    for tolerance in reversed(TOLERANCES["drift"]):
        row = trial.row(KeyFrames(1.0, tolerance, network="head"))
        yield row.line(f"head, {tolerance}", every)
    for tolerance in LIGHT_TOLERANCES:
        row = trial.row(KeyFrames(1.0, tolerance, network="light"))
        yield row.line(f"light, {tolerance}", every)


def budgets_table(trial: Trial) -> Iterator[str]:
    """Yield what budgets that are used up lose, and their time beside that of every frame."""
    yield _HEADER.format("`max_key_rate`, lag")
    for settings in BUDGETS:
        every = trial.row(None)
        yield every.line("every frame", None)
        row, rate = trial.row(settings), settings.max_key_rate or "auto"
        part = row.step_ms / every.step_ms
        yield row.line(f"{rate}, {settings.lag_frames}: {part:.2f} of the time", every)


def degraded_table(trial: Trial) -> Iterator[str]:
    """Yield what key frames are better or worse than every frame if a part is degraded."""
    yield _HEADER.format("degraded, part, key frames")
    for kind in PERTURBATIONS:
        for part in DEGRADED:
            degraded = Trial(trial.model, trial.clips, degrade(trial, kind, part))
            every = degraded.row(None)
            yield every.line(f"{kind}, {part:.0%}, every frame", None)
            for name, settings in (
                ("`auto`", KeyFrames()),
                ("`lag_frames=8`", KeyFrames(lag_frames=8)),
            ):
                yield degraded.row(settings).line(f"{kind}, {part:.0%}, {name}", every)


def degrade(trial: Trial, kind: str, part: float) -> list[list[Image]]:
    """Return the frames, a part of each clip's degraded as in Table 5 of the K-FPN paper."""
    random = np.random.default_rng(1)
    found = []
    for clip, images in zip(trial.clips, trial.frames, strict=True):
        chosen = set(random.permutation(len(images))[: round(part * len(images))].tolist())
        boxes = person_boxes(clip)
        found.append(
            [
                PERTURBATIONS[kind](image, boxes[t], random) if t in chosen else image
                for t, image in enumerate(images)
            ]
        )
    return found


_TABLES = {
    "looks": looks_table,
    "motion": motion_table,
    "network": network_table,
    "budgets": budgets_table,
    "degraded": degraded_table,
}


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks keyframe-budget", description=__doc__
    )
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or folder of a bundle")
    parser.add_argument("--precision", default="auto", help="what the networks compute in")
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder of the JHMDB clips")
    parser.add_argument("--split", default="selection", help="part of the clips")
    parser.add_argument("--limit-clips", type=int, metavar="N", help="at most N clips")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES, help="which ones")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Measure what was asked for and print it."""
    args = parse_arguments(words)
    clips = read_jhmdb_clips(args.root or data_root() / "jhmdb", args.split, "A")
    clips = clips[: args.limit_clips]
    with load(args.model, precision=args.precision, num_threads=1) as model:
        trial = Trial(model, clips, [list(clip.frames()) for clip in clips])
        trial.row(KeyFrames(motion="both", decision="learned"))  # loads and compiles everything
        for table in args.tables:
            for line in _TABLES[table](trial):
                print(line, flush=True)
            print()


if __name__ == "__main__":
    main()
