"""Results of the ``several`` protocol as a table of text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgepose.datasets.people_clips import PeopleClip
from edgepose.evaluation.metrics.identity import IdentityMetrics, IdentityScore
from edgepose.evaluation.protocols.several import PeopleCandidate, track_people
from edgepose.evaluation.report import FORMAT, VERSION, Table, figure
from edgepose.utils.progress import show_progress

POOLED = "all"
"""The row of all clips together."""
HEADER = ("", "HOTA", "DetA", "AssA", "IDF1", "MOTA", "switches", "misses", "invented", "ms/frame")


@dataclass(frozen=True)
class PeopleScores:
    """One candidate on every clip.

    Attributes:
        label: of the candidate.
        clips: names of the clips, and last ``POOLED``.
        scores: of each of these.
        mean_ms: mean time per frame of each, in ms.
    """

    label: str
    clips: tuple[str, ...]
    scores: tuple[IdentityScore, ...]
    mean_ms: tuple[float, ...]


def score_people_in_videos(
    candidates: Sequence[PeopleCandidate], clips: Sequence[PeopleClip]
) -> list[PeopleScores]:
    """Track all clips with each candidate, with a progress bar over the frames."""
    metrics = IdentityMetrics()
    total = len(candidates) * sum(map(len, clips))
    with show_progress("Evaluating", total) as progress:

        def score(candidate: PeopleCandidate) -> PeopleScores:
            def report() -> None:
                progress.advance(note=candidate.label)

            done = [track_people(candidate, clip, report) for clip in clips]
            times = [each.step_ms for each in done]
            means = [*map(np.mean, times), np.mean(np.concatenate(times))]
            return PeopleScores(
                candidate.label,
                (*(clip.name for clip in clips), POOLED),
                tuple(metrics.evaluate([each.frames for each in done])),
                tuple(map(float, means)),
            )

        return [score(candidate) for candidate in candidates]


def people_tables(results: Sequence[PeopleScores]) -> list[Table]:
    """Return a table for each candidate, with a row for each clip and one for all of them."""
    return [Table(each.label, HEADER, tuple(_rows(each))) for each in results]


def people_as_json(results: Sequence[PeopleScores], **settings: Any) -> dict[str, Any]:
    """Return all figures as plain data, accuracies in percent and times in ms.

    Args:
        results: of each candidate.
        settings: whatever else a reader must know.
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        **settings,
        "results": [{"method": each.label, "clips": _plain(each)} for each in results],
    }


def _rows(result: PeopleScores) -> list[tuple[str, ...]]:
    return [
        (
            clip,
            *map(figure, (score.hota, score.deta, score.assa, score.idf1, score.mota)),
            *map(str, (score.switches, score.misses, score.inventions)),
            figure(took),
        )
        for clip, score, took in zip(result.clips, result.scores, result.mean_ms, strict=True)
    ]


def _plain(result: PeopleScores) -> list[dict[str, Any]]:
    each = zip(result.clips, result.scores, result.mean_ms, strict=True)
    return [
        {"clip": clip, **_rounded(asdict(score)), "mean_ms": round(took, 3)}
        for clip, score, took in each
    ]


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) for name, value in values.items()}
