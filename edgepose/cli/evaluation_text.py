"""What ``edgepose evaluate`` prints."""

from __future__ import annotations

from collections.abc import Sequence

from edgepose.cli.tables import format_table
from edgepose.evaluation.data_sets import Selection, data_set
from edgepose.evaluation.metrics.scoring import Measure
from edgepose.evaluation.paper_tables import paper_rows
from edgepose.evaluation.protocols.runner import Run
from edgepose.evaluation.report import Table, average_table, measure_table, summary_table
from edgepose.evaluation.splits import average_runs
from edgepose.evaluation.uncertainty import Row, figure_names, uncertainty_tables


def evaluation_text(
    runs: Sequence[Sequence[Run]],
    rows: Sequence[Sequence[Row]],
    parts: Sequence[Selection],
    measures: Sequence[Measure],
    as_published: bool,
) -> str:
    """All tables of every part, and those of the mean of several.

    Args:
        runs: the results of each part.
        rows: the same, resampled.
        parts: how their clips were chosen.
        measures: what was measured.
        as_published: whether papers report on these clips: beside the mean, if there is one.
    """
    data = data_set(parts[0].data)
    published = {
        each: paper_rows(parts[0].data, *each) if as_published else () for each in measures
    }
    if len(parts) == 1:
        tables = [measure_table(runs[0], measure, published[measure]) for measure in measures]
        return tables_text([*tables, *_summary(runs[0], rows[0], measures, data.headline)])
    text = ""
    for part, done, row in zip(parts, runs, rows, strict=True):
        tables = [measure_table(done, measure) for measure in measures]
        tables += _summary(done, row, measures, data.headline)
        text += f"{part.split}\n\n{tables_text(tables)}\n"
    averages = average_runs(runs)
    return text + tables_text([average_table(averages, each, published[each]) for each in measures])


def tables_text(tables: Sequence[Table]) -> str:
    """Return tables below each other, each under its title."""
    return "\n".join(
        f"{table.title}\n{format_table((table.header, *table.rows))}" for table in tables
    )


def _summary(
    runs: Sequence[Run], rows: Sequence[Row], measures: Sequence[Measure], headline: str
) -> list[Table]:
    summary = summary_table(runs, headline)
    return [summary, *uncertainty_tables(rows, figure_names(measures), "films")]
