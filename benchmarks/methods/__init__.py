"""What each method is good for: accuracy under all conditions, jitter, lag, time and memory.

``python -m benchmarks methods --help`` lists the options. Writes ``methods.json`` and
``methods.md``. The first candidate is the one that the others are compared with.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.clip_options import add_clip_options, selection
from benchmarks.methods.candidates import WAYS, Entry, open_entry
from benchmarks.methods.conditions import named_conditions
from benchmarks.methods.cost import Cost, cost_of
from edgepose.datasets.clips import Clip
from edgepose.evaluation.data_sets import data_set, select_clips
from edgepose.evaluation.metrics.scoring import Measure
from edgepose.evaluation.protocols.runner import evaluate
from edgepose.evaluation.report import Table, markdown
from edgepose.evaluation.uncertainty import Row, difference_table, figure_names, resample_score
from edgepose.utils.machine import describe_machine

OUT = Path(__file__).parent.parent / "out"
MEASURES = (Measure("torso", 0.2), Measure("torso", 0.1))
CANDIDATES = (
    "ppn-swift:tracker",
    "ppn-swift:refined",
    "ppn-swift:key-frames",
    "ppn-stable:tracker",
    "ppn-stable:refined",
)


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks methods", description=__doc__)
    parser.add_argument(
        "--candidates",
        default=",".join(CANDIDATES),
        help=f"BUNDLE:WAY,... with the ways {', '.join(WAYS)} (default: %(default)s)",
    )
    parser.add_argument(
        "--conditions",
        default=",".join(("clean", "blurred", "dark", "covered 40 %")),
        help="names, also 'lost N': after N blank frames (default: %(default)s)",
    )
    parser.add_argument("--split", choices=("val", "selection", "final"), default="val")
    parser.add_argument("--no-cost", action="store_true", help="measure no time and no memory")
    add_clip_options(parser)
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="where to write")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print the tables, and write the results."""
    args = parse_arguments(words)
    conditions = named_conditions(args.conditions.split(","))
    args.out.mkdir(parents=True, exist_ok=True)
    chosen = selection(args, args.split)
    clips, headline = select_clips(chosen), data_set(chosen.data).headline
    rows: dict[str, list[Row]] = {condition.name: [] for condition in conditions}
    costs: dict[str, Cost] = {}
    for name in args.candidates.split(","):
        with ExitStack() as opened:
            entry = open_entry(name, opened)
            for condition in conditions:
                run = evaluate(entry.candidate, list(map(condition.apply, clips)), MEASURES)
                rows[condition.name].append(Row(name, resample_score(run.score, headline)))
                print(name, condition.name, rows[condition.name][-1].figures.values, flush=True)
            if not args.no_cost:
                costs |= _cost(name, entry, clips)
    _write(args.out, rows, costs)


def _cost(name: str, entry: Entry, clips: Sequence[Clip]) -> dict[str, Cost]:
    return {} if entry.new_tracker is None else {name: cost_of(entry.new_tracker, clips[0])}


def _write(out: Path, rows: dict[str, list[Row]], costs: dict[str, Cost]) -> None:
    content = {
        "format": "edgepose.methods",
        "version": 1,
        "machine": describe_machine(),
        "results": {
            condition: {row.label: row.figures.values.tolist() for row in each}
            for condition, each in rows.items()
        },
        "costs": {name: cost._asdict() for name, cost in costs.items()},
    }
    (out / "methods.json").write_text(json.dumps(content, indent=1) + "\n")
    text = report(rows, costs)
    (out / "methods.md").write_text(text)
    print(text)


def report(rows: dict[str, list[Row]], costs: dict[str, Cost]) -> str:
    """All tables in Markdown: a row for each candidate, and the differences to the first one."""
    names = figure_names(MEASURES)
    differences = [
        f"**{condition}, difference to {each[0].label}**\n\n"
        + markdown(difference_table(each, names))
        for condition, each in rows.items()
        if len(each) > 1
    ]
    return "\n".join([markdown(_summary(rows, costs)), *differences])


def _summary(rows: dict[str, list[Row]], costs: dict[str, Cost]) -> Table:
    header = ("", *rows, "jitter", "lag, frames", "ms, mean", "MB a person")
    first = next(iter(rows.values()))
    return Table(
        "PCK-torso@0.2 / @0.1, jitter and lag under the first condition",
        header,
        tuple(
            (
                row.label,
                *(_accuracy(each[index]) for each in rows.values()),
                f"{row.figures.values[2]:.1f}",
                f"{row.figures.values[3]:.2f}",
                *_cost_cells(costs.get(row.label)),
            )
            for index, row in enumerate(first)
        ),
    )


def _accuracy(row: Row) -> str:
    return f"{row.figures.values[0]:.1f} / {row.figures.values[1]:.1f}"


def _cost_cells(cost: Cost | None) -> tuple[str, str]:
    return ("", "") if cost is None else (f"{cost.mean_ms:.1f}", f"{cost.megabytes:.2f}")
