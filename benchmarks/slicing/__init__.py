"""What thin-slicing does for accuracy, and what it costs.

``python -m benchmarks slicing --help`` lists the options. Writes ``slicing.json``, ``slicing.md``
and ``slicing.png``; rows of earlier runs with the same model, split, lag and flow are kept.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.slicing.accuracy import NARROW, WIDE, Outcome, refined_outcome
from benchmarks.slicing.candidates import unaries
from benchmarks.slicing.data import Unaries, collect
from benchmarks.slicing.plot import plot
from benchmarks.slicing.speed import Speed, measure_speed
from edgepose.evaluation.data_sets import Selection, select_clips
from edgepose.evaluation.report import Table, markdown
from edgepose.evaluation.uncertainty import Row, difference_table, figure_names
from edgepose.inference.model import DEFAULT_MODEL
from edgepose.methods.base import MethodSpec
from edgepose.refinement.thin_slicing import fitting_springs
from edgepose.utils.machine import describe_machine
from edgepose_runtime.thin_slicing.springs import Springs

OUT = Path(__file__).parent.parent / "out"
Job = tuple[Unaries, MethodSpec, tuple[str, Springs | None]]


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks slicing", description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="bundle whose body is the unary")
    parser.add_argument(
        "--springs",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="springs to compare with the bundle's own, in the same forms; may be repeated",
    )
    parser.add_argument(
        "--trained",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="checkpoints of the recipe thin-slicing, unary and springs; may be repeated",
    )
    parser.add_argument(
        "--before-sigmoid",
        action="store_true",
        help="refine what is before the sigmoid of the body as well, with the bundle's springs",
    )
    parser.add_argument(
        "--shares", default="0,0.2,0.4,0.6", help="parts of the frames that are perturbed"
    )
    parser.add_argument(
        "--flows",
        default="dis",
        metavar="F,...",
        help="of dis, farneback and none: the first is used for all rows, each of the others for "
        "more rows with messages in time (default: dis)",
    )
    parser.add_argument(
        "--split", choices=("val", "selection", "final"), default="val", help="of the JHMDB clips"
    )
    parser.add_argument("--lag", type=int, default=2, metavar="N", help="later frames waited for")
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder of the JHMDB clips")
    parser.add_argument("--limit-clips", type=int, metavar="N", help="at most N clips")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep heat-maps and flow there")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    parser.add_argument("--no-accuracy", action="store_true", help="only measure time")
    parser.add_argument("--no-time", action="store_true", help="only measure accuracy")
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="where to write")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print the tables, and write the results."""
    args = parse_arguments(words)
    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / "slicing.json"
    content = json.loads(file.read_text()) if file.is_file() else {}
    differences = ""
    if not args.no_accuracy:
        measured = _outcomes(args)
        differences = _differences(measured)
        rows = [outcome._asdict() for outcome, _ in measured]
        settings = _settings(args)
        before = content.get("accuracy", []) if content.get("settings") == settings else []
        content |= {"accuracy": merged(before, rows), "settings": settings}
        plot([Outcome(**row) for row in content["accuracy"]], args.out / "slicing.png")
    if not args.no_time:
        content["speed"] = measure_speed()._asdict()
    content |= {"format": "edgepose.slicing", "version": 1, "machine": describe_machine()}
    file.write_text(json.dumps(content, indent=1) + "\n")
    text = "\n".join([report(content), differences])
    (args.out / "slicing.md").write_text(text)
    print(text)


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    """Return what rows of several runs must have in common to stand in one table."""
    names = ("model", "split", "lag", "limit_clips")
    return {**{name: getattr(args, name) for name in names}, "flow": args.flows.split(",")[0]}


def merged(before: Sequence[dict[str, Any]], now: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put this run's rows in the place of older ones of the same candidate and share."""
    rows = {(row["share"], row["name"]): row for row in [*before, *now]}
    return [rows[key] for key in sorted(rows)]


def report(content: dict[str, Any]) -> str:
    """All tables in Markdown."""
    parts = []
    if rows := content.get("accuracy"):
        parts.append(_accuracy_table([Outcome(**row) for row in rows]))
    if speed := content.get("speed"):
        parts.append(_speed_table(Speed(**speed)))
    return "\n".join(parts)


def _outcomes(args: argparse.Namespace) -> list[tuple[Outcome, Row]]:
    chosen = Selection(root=args.root, split=args.split, grade="A", limit=args.limit_clips)
    clips, flows = select_clips(chosen), args.flows.split(",")
    shares = [float(share) for share in args.shares.split(",")]
    jobs: list[Job] = []
    with unaries(
        args.model, args.springs, args.trained, before_sigmoid=args.before_sigmoid
    ) as compared:
        for unary in compared:
            spec = unary.spec
            for share, flow in product(shares, flows):
                seen = collect(unary, clips, share, unary.reach, args.cache, flow)
                for name, each in unary.forms.items():
                    springs = None if each is None else fitting_springs(each, spec, unary.key)
                    if flow == flows[0]:
                        jobs.append((seen, spec, (name, springs)))
                    elif springs is not None and springs.temporal_weight.any():
                        jobs.append((seen, spec, (f"{name}, {flow}", springs)))
    call = partial(_outcome, args.root, args.lag)
    if args.jobs == 1:
        return [call(*job) for job in jobs]
    with ProcessPoolExecutor(args.jobs) as pool:
        return list(pool.map(call, *zip(*jobs, strict=True)))


def _outcome(
    root: Path | None,
    lag: int,
    seen: Unaries,
    spec: MethodSpec,
    named: tuple[str, Springs | None],
) -> tuple[Outcome, Row]:
    name, springs = named
    measured = refined_outcome(name, springs, seen, spec, root, lag)
    print(measured[0], flush=True)
    return measured


def _differences(measured: Sequence[tuple[Outcome, Row]]) -> str:
    """Return the differences to the first row of each share, with their intervals over films."""
    parts = []
    for share in dict.fromkeys(outcome.share for outcome, _ in measured):
        rows = [row for outcome, row in measured if outcome.share == share]
        title = f"**{share:.0%} perturbed, difference to {rows[0].label}**\n\n"
        parts.append(title + markdown(difference_table(rows, figure_names((WIDE, NARROW)))))
    return "\n".join(parts)


def _accuracy_table(outcomes: Sequence[Outcome]) -> str:
    header = ("frames perturbed", "who", "PCK-torso@0.2", "@0.1", "jitter", "swapped pairs")
    rows = tuple(
        (
            f"{each.share:.0%}",
            each.name,
            f"{each.pck02:.1f}",
            f"{each.pck01:.1f}",
            f"{each.jitter:.1f}",
            f"{each.swapped} of {each.pairs}: {each.repaired} repaired, {each.caused} caused",
        )
        for each in outcomes
    )
    return markdown(
        Table(
            "Accuracy",
            (*header, *outcomes[0].columns),
            tuple(
                (*row, *(f"{value:.1f}" for value in each.columns.values()))
                for row, each in zip(rows, outcomes, strict=True)
            ),
        )
    )


def _speed_table(speed: Speed) -> str:
    rows = tuple((name, f"{value:.2f}") for name, value in speed._asdict().items())
    return markdown(Table("Time", ("13 joints, 64x64, slice of 5, 3 rounds", "ms"), rows))
