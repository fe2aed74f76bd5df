"""Results of the ``everyday`` protocol as a table of text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgepose.evaluation.protocols.everyday import FIGURES, PeopleScore
from edgepose.evaluation.report import FORMAT, VERSION, Table, figure
from edgepose.evaluation.uncertainty import Row, uncertainty_as_json, uncertainty_tables

GROUPS = "photos"
"""What is resampled: people in one photo are alike."""


def everyday_tables(scores: Sequence[PeopleScore], rows: Sequence[Row]) -> list[Table]:
    """Return accuracy, its confidence intervals and differences to the first model.

    Args:
        scores: of each model, on the same people.
        rows: the same, resampled.
    """
    first = scores[0]
    title = f"{len(first.names)} people in {len(set(first.photos))} photos, in %"
    pairs = zip(scores, rows, strict=True)
    accuracy = Table(title, ("", *FIGURES), tuple(_row(*pair) for pair in pairs))
    return [accuracy, *uncertainty_tables(rows, FIGURES, GROUPS)]


def everyday_as_json(
    scores: Sequence[PeopleScore], rows: Sequence[Row], **settings: Any
) -> dict[str, Any]:
    """Return all figures as plain data, in percent.

    Args:
        scores: of each model, on the same people.
        rows: the same, resampled.
        settings: whatever else a reader must know.
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        **settings,
        "results": [_plain(*pair) for pair in zip(scores, rows, strict=True)],
        "uncertainty": uncertainty_as_json(rows, FIGURES, GROUPS),
    }


def _row(score: PeopleScore, row: Row) -> tuple[str, ...]:
    recall, pck, _ = row.figures.values.tolist()
    return score.label, figure(recall), figure(pck), f"{score.without_pose}/{len(score.names)}"


def _plain(score: PeopleScore, row: Row) -> dict[str, Any]:
    named = zip(FIGURES, row.figures.values.tolist(), strict=True)
    people = zip(score.names, score.oks.tolist(), score.hits.tolist(), score.found, strict=True)
    return {
        "method": score.label,
        "people": len(score.names),
        "people_without_pose": score.without_pose,
        **{name: round(value, 4) for name, value in named},
        "each": [
            {"name": name, "oks": round(oks, 4), "pck": round(hits, 4), "pose": bool(found)}
            for name, oks, hits, found in people
        ],
    }
