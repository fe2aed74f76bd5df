"""Sets with several test splits: each is evaluated by itself, and then they are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from edgepose.evaluation.data_sets import Selection, data_set
from edgepose.evaluation.metrics.pck import PckSummary, average
from edgepose.evaluation.metrics.scoring import Measure
from edgepose.evaluation.protocols.runner import Run

ALL_SPLITS = "all"
"""What stands for every test split of a set."""


class Average(NamedTuple):
    """What a candidate, or one trained for each split, reaches on average."""

    label: str
    pck: dict[Measure, PckSummary]


def parts_of(selection: Selection) -> list[Selection]:
    """Return a selection for every test split if its split is ``all``, or else itself alone.

    Raises:
        ConfigError: there is no such data set.
    """
    splits = _test_splits(selection.data)
    if selection.split != ALL_SPLITS or len(splits) < 2:
        return [selection]
    return [replace(selection, split=split) for split in splits]


def are_as_published(parts: Sequence[Selection]) -> bool:
    """Return whether parts are all clips of all test splits of a set, as in papers."""
    given = tuple(part.split or data_set(part.data).splits[0] for part in parts)
    return given == _test_splits(parts[0].data) and all(
        part == Selection(part.data, part.root, part.split) for part in parts
    )


def average_runs(parts: Sequence[Sequence[Run]]) -> list[Average]:
    """Average over splits.

    Args:
        parts: the runs of each split; as many of each, in one order and over the same joints.
    """
    return [_average(runs) for runs in zip(*parts, strict=True)]


def _average(runs: Sequence[Run]) -> Average:
    labels = dict.fromkeys(run.candidate.label for run in runs)
    pck = {
        measure: average([run.score.pck(measure) for run in runs])
        for measure in runs[0].score.measures
    }
    return Average(", ".join(labels), pck)


def _test_splits(data: str) -> tuple[str, ...]:
    return tuple(split for split in data_set(data).splits if split.startswith("test"))
