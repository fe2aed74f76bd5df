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


def evaluation_text(
    runs: Sequence[Sequence[Run]],
    parts: Sequence[Selection],
    measures: Sequence[Measure],
    as_published: bool,
) -> str:
    """All tables of every part, and those of the mean of several.

    Args:
        runs: the results of each part.
        parts: how their clips were chosen.
        measures: what was measured.
        as_published: whether papers report on these clips: beside the mean, if there is one.
    """
    data = data_set(parts[0].data)
    rows = {each: paper_rows(parts[0].data, *each) if as_published else () for each in measures}
    if len(parts) == 1:
        tables = [measure_table(runs[0], measure, rows[measure]) for measure in measures]
        return _tables([*tables, summary_table(runs[0], data.headline)])
    text = ""
    for part, done in zip(parts, runs, strict=True):
        tables = [measure_table(done, measure) for measure in measures]
        text += f"{part.split}\n\n{_tables([*tables, summary_table(done, data.headline)])}\n"
    averages = average_runs(runs)
    return text + _tables([average_table(averages, each, rows[each]) for each in measures])


def _tables(tables: Sequence[Table]) -> str:
    return "\n".join(
        f"{table.title}\n{format_table((table.header, *table.rows))}" for table in tables
    )
