"""Results as JSON, and as tables of text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

from edgepose.datasets.clips import Clip
from edgepose.evaluation.data_sets import Selection
from edgepose.evaluation.metrics.pck import COLUMNS, PckSummary
from edgepose.evaluation.metrics.scoring import ClipScore, Measure, Score
from edgepose.evaluation.paper_tables import PaperRow
from edgepose.evaluation.protocols.runner import Run
from edgepose.evaluation.splits import Average

FORMAT = "edgepose.evaluation"
VERSION = 1


class Table(NamedTuple):
    """A table of text; the first column is the name of the row."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def as_json(
    runs: Iterable[Run], clips: Sequence[Clip], selection: Selection, **settings: Any
) -> dict[str, Any]:
    """Return all figures as plain data, in percent, and null where nothing was scored.

    Args:
        runs: the results.
        clips: what was evaluated on.
        selection: how these clips were chosen.
        settings: whatever else a reader must know.
    """
    chosen = {**asdict(selection), "split": clips[0].split, "clips": len(clips)}
    results = [_run_as_json(run) for run in runs]
    header = {"format": FORMAT, "version": VERSION, "data": chosen}
    return {**header, **settings, "results": results}


def averages_as_json(
    averages: Iterable[Average], parts: Sequence[Mapping[str, Any]], selection: Selection
) -> dict[str, Any]:
    """Return the figures of several splits and their averages as plain data.

    Args:
        averages: the results.
        parts: what `as_json` says of each split.
        selection: how the clips of all of them were chosen.
    """
    header = {"format": FORMAT, "version": VERSION, "data": asdict(selection)}
    return {**header, "average": [_average_as_json(each) for each in averages], "parts": parts}


def measure_table(
    runs: Sequence[Run], measure: Measure, published: Sequence[PaperRow] = ()
) -> Table:
    """The columns of the papers' tables for one measure, all means beside them.

    Args:
        runs: one row each.
        measure: which one.
        published: the papers' own rows, where the data is the papers' own.
    """
    ours = [_our_row(run.candidate.label, run.score.pck(measure)) for run in runs]
    return _measure_table(measure.label, ours, published)


def average_table(
    averages: Iterable[Average], measure: Measure, published: Sequence[PaperRow] = ()
) -> Table:
    """`measure_table` for the mean of several splits."""
    ours = [_our_row(each.label, each.pck[measure]) for each in averages]
    return _measure_table(f"{measure.label}, mean of the splits", ours, published)


def summary_table(runs: Sequence[Run], headline: str) -> Table:
    """One mean of every measure, how steady and late (in frames) the poses are, what was lost.

    Of trackers also the percentage of frames that the networks processed.

    Args:
        runs: one row each; all with the same measures.
        headline: the mean to show, a field of `PckSummary`.
    """
    measures = runs[0].score.measures
    header = (
        "",
        *(measure.label for measure in measures),
        "jitter",
        "lag",
        "no pose",
        "lost clips",
    )
    rows = tuple(_summary_row(run, measures, headline) for run in runs)
    if any(run.processed_percent is not None for run in runs):
        header = (*header, "processed %")
        rows = tuple((*row, _processed(run)) for row, run in zip(rows, runs, strict=True))
    return Table(f"{headline} in %", header, rows)


def markdown(table: Table) -> str:
    """Return a table in Markdown, numbers to the right."""
    rule = ("---", *("---:" for _ in table.header[1:]))
    lines = (table.header, rule, *table.rows)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _measure_table(
    title: str, ours: Sequence[tuple[str, ...]], published: Sequence[PaperRow]
) -> Table:
    header = ("", *COLUMNS, "limbs12", "micro", "mean7", "all joints")
    theirs = [_paper_row(row) for row in published]
    if not theirs:
        return Table(title, header, tuple(ours))
    return Table(title, (*header, "mean as published"), (*((*row, "") for row in ours), *theirs))


def _average_as_json(average: Average) -> dict[str, Any]:
    measured = {measure.label: asdict(pck) for measure, pck in average.pck.items()}
    return {"method": average.label, "pck": _finite(measured)}


def _run_as_json(run: Run) -> dict[str, Any]:
    score = run.score
    measured = {measure.label: asdict(score.pck(measure)) for measure in score.measures}
    return {
        "method": run.candidate.label,
        "note": run.candidate.note,
        "frames": score.frames,
        "frames_without_pose": score.without_pose,
        "lost_clips": score.lost_clips,
        "jitter_percent_of_torso": _finite(score.jitter),
        "lag_frames": _finite(score.lag_frames),
        "processed_percent": _finite(run.processed_percent),
        "seconds": round(run.seconds, 3),
        "skeleton": score.skeleton.name,
        "pck": _finite(measured),
        "clips": [_clip_as_json(score, clip) for clip in score.clips],
    }


def _clip_as_json(score: Score, clip: ClipScore) -> dict[str, Any]:
    """One clip: its share of the frames, and the micro mean of each measure."""
    alone = replace(score, clips=(clip,))
    micro = {measure.label: alone.pck(measure).micro for measure in score.measures}
    return {"name": clip.name, "frames": clip.frames, "followed": clip.followed, **_finite(micro)}


def _finite(value: Any) -> Any:
    """Return nested data with NaN as null, as JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value


def _our_row(label: str, pck: PckSummary) -> tuple[str, ...]:
    means = (pck.limbs12, pck.micro, pck.mean7, pck.mean_joints)
    return (label, *(figure(value) for value in (*pck.columns.values(), *means)))


def _paper_row(row: PaperRow) -> tuple[str, ...]:
    """A published row. Which mean it printed differs from row to row, so it is none of ours."""
    *columns, mean = (figure(value) for value in row[1:])
    return (f"{row.method} (published)", *columns, "", "", "", "", mean)


def _processed(run: Run) -> str:
    percent = run.processed_percent
    return figure(math.nan if percent is None else percent)


def _summary_row(run: Run, measures: Sequence[Measure], headline: str) -> tuple[str, ...]:
    score = run.score
    figures = (figure(getattr(score.pck(measure), headline)) for measure in measures)
    lost = f"{len(score.lost_clips)}/{len(score.clips)}"
    return (
        run.candidate.label,
        *figures,
        figure(score.jitter),
        figure(score.lag_frames, 2),
        f"{score.without_pose}/{score.frames}",
        lost,
    )


def figure(value: float, digits: int = 1) -> str:
    """Return a figure as tables show it; a dash for NaN."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"
