"""Accuracy on clips that are blurred, dark, covered now and then, and of half the size.

``python -m benchmarks robustness --help`` lists the options. Writes ``robustness.json``,
``robustness.md`` and ``robustness.png``; conditions and candidates measured earlier stay in them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.clip_options import add_clip_options, selection
from benchmarks.robustness.conditions import conditions
from benchmarks.robustness.measurement import BOXES, TRACKER, Row, Setup, groups, measure
from benchmarks.robustness.plot import draw
from edgepose.evaluation.report import Table, figure, markdown
from edgepose.inference.model import DEFAULT_MODEL
from edgepose.utils.machine import describe_machine
from edgepose_runtime.errors import ConfigError

OUT = Path(__file__).parent.parent / "out"
CONTENDERS = (TRACKER, BOXES, "rtmpose", "movenet")
NAN = float("nan")


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks robustness", description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or folder of a bundle")
    parser.add_argument("--parts", default=",".join(groups()), help="default: %(default)s")
    parser.add_argument(
        "--candidates",
        default=",".join(CONTENDERS),
        help="tracker and gt-box are ways of the model, others peers (default: %(default)s)",
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    add_clip_options(parser)
    parser.add_argument("--backend", default="openvino", help="runs all networks")
    parser.add_argument("--weights", type=Path, metavar="DIR", help="folder of the peers' weights")
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="where to write")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print the tables, and write the results."""
    args = parse_arguments(words)
    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / "robustness.json"
    before = json.loads(file.read_text())["results"] if file.is_file() else []
    rows = merged([Row(**each) for each in before], _measured(args))
    content = {
        "format": "edgepose.robustness",
        "version": 1,
        "machine": describe_machine(),
        "results": [row._asdict() for row in rows],
    }
    file.write_text(json.dumps(content, indent=1) + "\n")
    text = report(rows)
    (args.out / "robustness.md").write_text(text)
    draw(rows, args.out / "robustness.png")
    print(text)


def _measured(args: argparse.Namespace) -> list[Row]:
    parts = tuple(args.parts.split(","))
    unknown = sorted(set(parts) - set(groups()))
    if unknown:
        raise ConfigError(
            f"--parts may be {', '.join(groups())}; got {', '.join(map(repr, unknown))}."
        )
    clips = selection(args)
    work = partial(measure, Setup(args.model, args.backend, args.weights, clips, parts))
    who = args.candidates.split(",")
    if args.jobs == 1:
        return list(chain.from_iterable(map(work, who)))
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn")) as pool:
        return list(chain.from_iterable(pool.map(work, who)))


def merged(before: Sequence[Row], now: Sequence[Row]) -> list[Row]:
    """Put rows in the place of older ones of the same method and condition."""
    rows = {(row.method, row.condition): row for row in [*before, *now]}
    methods = list(dict.fromkeys(row.method for row in [*now, *before]))
    order = [condition.name for condition in conditions()]
    return sorted(
        rows.values(), key=lambda row: (methods.index(row.method), order.index(row.condition))
    )


def report(rows: Sequence[Row]) -> str:
    """All tables in Markdown, a row for each method and a column for each condition."""
    tables = {
        "PCK-torso@0.2": lambda row: figure(_value(row.pck02)),
        "PCK-torso@0.1": lambda row: figure(_value(row.pck01)),
        "jitter, % of the torso": lambda row: figure(_value(row.jitter)),
        "frames without a pose": lambda row: str(row.without_pose),
    }
    parts = [f"**{title}**\n\n{_table(rows, show)}" for title, show in tables.items()]
    return "\n".join(parts)


def _table(rows: Sequence[Row], show: Any) -> str:
    measured = {row.condition for row in rows}
    columns = [each.name for each in conditions() if each.name in measured]
    cells = {(row.method, row.condition): show(row) for row in rows}
    methods = dict.fromkeys(row.method for row in rows)
    lines = tuple(
        (method, *(cells.get((method, column), "") for column in columns)) for method in methods
    )
    return markdown(Table("", ("", *columns), lines))


def _value(value: float | None) -> float:
    return NAN if value is None else value


if __name__ == "__main__":
    main()
