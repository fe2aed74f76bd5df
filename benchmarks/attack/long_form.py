"""The long form: many inputs in child processes, which may crash, hang or eat memory.

``python -m benchmarks attack --inputs 10000`` runs calls, command lines and damaged files, each
with a seed of its own, and writes ``attack.json``. It fails if one input crashes its process, takes
longer than 20 s, ends with an error that is not ours, or takes more than 1 GB, or if a process
grows each time its inputs run. Time in which others had the processor does not count.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.attack.children import run_inputs
from benchmarks.attack.kinds import KINDS
from benchmarks.attack.outcome import Report
from edgepose.utils.machine import describe_machine
from edgepose_runtime.errors import DataError

HERE = Path(__file__).parent.parent
#: Inputs of one child process, after which its files, threads and memory are counted.
BATCH = 200


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks attack", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1000, metavar="N", help="of all kinds")
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"default: {','.join(KINDS)}")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the first input")
    parser.add_argument("--out", type=Path, default=HERE / "out", metavar="DIR")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Run the inputs, print and write what they ended with.

    Raises:
        DataError: one ended otherwise than it may.
    """
    args = parse_arguments(words)
    args.out.mkdir(parents=True, exist_ok=True)
    kinds = [kind for kind in args.kinds.split(",") if kind]
    each = args.inputs // len(kinds)
    ends: dict[str, Counter[str]] = {}
    found: list[Report] = []
    for kind in kinds:
        reports = run_inputs(kind, range(args.seed, args.seed + each), BATCH)
        ends[kind] = Counter(report.end for report in reports)
        found += [report for report in reports if report.is_failure]
        print(f"{kind}: {dict(ends[kind])}")
    for report in found:
        print(f"{report.kind} --seed {report.seed}: {report.end}: {report.name}: {report.detail}")
    content = {
        "format": "edgepose.attack",
        "version": 1,
        "machine": describe_machine(),
        "ends": ends,
        "failures": [report.as_dict() for report in found],
    }
    (args.out / "attack.json").write_text(json.dumps(content, indent=2) + "\n")
    if found:
        raise DataError(f"{len(found)} of {each * len(kinds)} inputs ended as none may.")


if __name__ == "__main__":
    main(sys.argv[1:])
