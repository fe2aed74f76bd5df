"""Accuracy of the merged track, by how late answers are and how many are lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.server.simulation import SimulatedServer
from edgepose.datasets.clips import Clip
from edgepose.evaluation.boxes import person_boxes
from edgepose.evaluation.metrics.scoring import (
    ClipScore,
    Measure,
    Score,
    measures_for,
    score_clip,
    scoring_skeleton,
)
from edgepose.inference.estimator import Look
from edgepose.inference.model import PoseModel
from edgepose.remote import HeadLink, HeadStats, RemoteHead
from edgepose.stats import StageClock
from edgepose.tracking.stream import PoseStream
from edgepose_runtime.tensors import Array

FPS = 30.0
DELAYS_MS = (0.0, 50.0, 100.0, 200.0, 500.0)
LOSSES = (0.0, 0.01, 0.1)
#: Its multiples leave remainders that lie evenly.
GOLDEN = 0.6180339887
#: Frames between two requests at least.
SHORTEST_GAP = RemoteHead("grpc://simulated").shortest_gap
MEASURES = measures_for((0.2, 0.1))[:2]

Head = Callable[[Array], Array]


@dataclass(frozen=True)
class Setting:
    """One run over all clips.

    Attributes:
        delay_ms: from request to answer; ``None``: the head is never asked.
        lost: share of requests without an answer.
        instant: the ideal: the answer is there before the frame's own pose goes out.
    """

    delay_ms: float | None
    lost: float = 0.0
    instant: bool = False


class Sweep:
    """Tracks clips in the annotated boxes at 30 frames per second, with a head that answers late.

    A clip in which the same requests are lost is tracked once.

    Args:
        model: body and propagation.
        head: the remote one.
        every: how often it is asked, in frames.
    """

    def __init__(self, model: PoseModel, head: Head, every: int) -> None:
        self._model = model
        self._head = head
        self._every = every
        self._done: dict[Any, tuple[ClipScore, HeadStats]] = {}

    def run(self, setting: Setting, clips: Sequence[Clip]) -> dict[str, Any]:
        """Return the accuracy of a setting, and what became of its requests."""
        done = [self._clip(setting, clip, number) for number, clip in enumerate(clips)]
        skeleton = scoring_skeleton(self._model.skeleton, clips[0].skeleton)
        score = Score(skeleton, tuple(each for each, _ in done))
        dropped: Counter[str] = Counter()
        for _, stats in done:
            dropped.update(stats.dropped)
        return {
            "delay_ms": setting.delay_ms,
            "lost": setting.lost,
            "instant": setting.instant,
            **{measure.label: round(score.pck(measure).limbs12, 2) for measure in MEASURES},
            "requests": sum(stats.requests for _, stats in done),
            "merged": sum(stats.merged for _, stats in done),
            "failed": sum(sum(stats.failed.values()) for _, stats in done),
            "dropped": dict(dropped),
        }

    def _clip(self, setting: Setting, clip: Clip, number: int) -> tuple[ClipScore, HeadStats]:
        lost = _lost(setting, len(clip), number)
        key = clip.name, setting.delay_ms, setting.instant, lost
        if key not in self._done:
            poses, stats = self._tracked(setting, clip, lost)
            score = score_clip(poses, self._model.skeleton, clip, MEASURES)
            self._done[key] = score, stats
        return self._done[key]

    def _tracked(
        self, setting: Setting, clip: Clip, lost: Sequence[bool]
    ) -> tuple[NDArray[np.float32], HeadStats]:
        server = SimulatedServer(self._head, setting.delay_ms or 0.0, lost)
        network: Any = server
        link = HeadLink(self._model, RemoteHead("grpc://simulated"), local=False, network=network)
        stream = PoseStream(self._model, smoothing=None, reinitialise_every=self._every, head=link)
        poses = np.stack(list(_poses(setting, clip, stream, server)))
        return poses, link.stats


def _lost(setting: Setting, frames: int, clip: int) -> tuple[bool, ...]:
    """Say which requests of a clip are lost, the same ones for every delay."""
    if setting.delay_ms is None:
        return (True,) * frames  # the body alone, with the same start
    if not setting.lost:
        return ()
    usual = -(-frames // SHORTEST_GAP)
    # Spread evenly, lest a share of 1 % of some hundred requests means none or many.
    numbers = (clip * usual + index for index in range(usual))
    drawn = tuple((number * GOLDEN + 0.5) % 1 < setting.lost for number in numbers)
    return drawn if any(drawn) else ()


def _poses(
    setting: Setting, clip: Clip, stream: PoseStream, server: SimulatedServer
) -> Iterator[NDArray[np.float32]]:
    for index, (frame, box) in enumerate(zip(clip.frames(), person_boxes(clip), strict=True)):
        now = index * 1000 / FPS
        server.advance(now)
        stream.process(frame, index, now, box.squared(), StageClock())
        look: Look | None = None
        if setting.instant:
            server.advance(now)
            look = stream.awaited_look
        look = look or stream.last_look
        yield np.full((13, 3), np.nan, np.float32) if look is None else look.keypoints


def settings() -> list[Setting]:
    """Return the body alone, the ideal, and each delay with each loss."""
    late = [Setting(delay, lost) for lost in LOSSES for delay in DELAYS_MS]
    return [Setting(None), Setting(0.0, instant=True), *late]


def least_gain(rows: Sequence[dict[str, Any]], measure: Measure) -> float:
    """Return by how much the worst setting with late answers is above the body alone, in points."""
    body = next(row[measure.label] for row in rows if row["delay_ms"] is None)
    late = [row[measure.label] for row in rows if row["delay_ms"] is not None]
    return float(min(late) - body)


def kept_share(rows: Sequence[dict[str, Any]], measure: Measure, delay_ms: float) -> float:
    """Return which part of an instant head's gain is left at a delay, without losses."""
    body = next(row[measure.label] for row in rows if row["delay_ms"] is None)
    ideal = next(row[measure.label] for row in rows if row["instant"])
    late = next(
        row[measure.label]
        for row in rows
        if row["delay_ms"] == delay_ms and not row["lost"] and not row["instant"]
    )
    return float((late - body) / (ideal - body)) if ideal != body else float("nan")
