"""Evaluating one way of predicting on all clips."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from edgepose.datasets.clips import Clip
from edgepose.evaluation.metrics.scoring import Measure, Score, score_clip, scoring_skeleton
from edgepose.evaluation.protocols.predictors import ClipPredictor, CountsProcessed
from edgepose.utils.progress import Progress, show_progress


@dataclass(frozen=True)
class Candidate:
    """Someone to evaluate.

    Attributes:
        label: the row's name in tables.
        predictor: does the predicting.
        note: what a reader must know beside the figures.
    """

    label: str
    predictor: ClipPredictor
    note: str = ""


@dataclass(frozen=True)
class Run:
    """A candidate's score and how long it took, in seconds."""

    candidate: Candidate
    score: Score
    seconds: float

    @property
    def processed_percent(self) -> float | None:
        """Percentage of the frames that networks ran on; ``None`` where nobody counts them."""
        predictor = self.candidate.predictor
        if not isinstance(predictor, CountsProcessed):
            return None
        processed = sum(predictor.processed[clip.name] for clip in self.score.clips)
        return 100 * processed / self.score.frames

    def only(self, names: Collection[str]) -> Run:
        """The same for some of the clips."""
        clips = tuple(clip for clip in self.score.clips if clip.name in names)
        return replace(self, score=replace(self.score, clips=clips))


def evaluate(
    candidate: Candidate,
    clips: Sequence[Clip],
    measures: Iterable[Measure],
    on_clip: Callable[[Clip], None] | None = None,
) -> Run:
    """Predict and score every clip.

    Args:
        candidate: who predicts.
        clips: at least one, all with the same skeleton.
        measures: what to measure.
        on_clip: called after each clip, for a progress bar.
    """
    start = time.perf_counter()
    predictor, wanted = candidate.predictor, tuple(measures)
    scores = []
    for clip in clips:
        scores.append(score_clip(predictor.predict(clip), predictor.skeleton, clip, wanted))
        if on_clip is not None:
            on_clip(clip)
    skeleton = scoring_skeleton(predictor.skeleton, clips[0].skeleton)
    return Run(candidate, Score(skeleton, tuple(scores)), time.perf_counter() - start)


def run_all(
    candidates: Sequence[Candidate], clips: Sequence[Clip], measures: Sequence[Measure]
) -> list[Run]:
    """Evaluate all candidates, with a progress bar over the frames."""
    total = len(candidates) * sum(len(clip) for clip in clips)
    with show_progress("Evaluating", total) as progress:
        return [
            evaluate(
                candidate,
                clips,
                measures,
                partial(_report_clip, progress, candidate.label),
            )
            for candidate in candidates
        ]


def _report_clip(progress: Progress, label: str, clip: Clip) -> None:
    progress.advance(len(clip), note=label)
