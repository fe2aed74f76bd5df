"""Run edgepose on ARM processors that QEMU emulates, and compare it with this machine.

``python -m benchmarks arm --help`` lists the options; ``make arm`` is the same. The first run
downloads Debian's Python and the wheels for aarch64 into ``.venv-arm`` (600 MB). For
each processor kernels are compared with NumPy, each graph of the bundles and a few tracked frames
with what this machine computes in float32. Writes ``arm.json``; the exit code is 1 if something is
wrong. The times are those of an emulator, and say nothing about a device.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.arm.checks import Check
from benchmarks.arm.reference import record_graphs, record_tracking, save
from benchmarks.arm.sysroot import MIRROR, PROJECT, ArmError, Sysroot, set_up
from edgepose.evaluation.report import Table, markdown
from edgepose.inference.model import DEFAULT_MODEL, available_models
from edgepose.utils.machine import describe_machine

PLACE = PROJECT / ".venv-arm"
OUT = PROJECT / "benchmarks" / "out"
#: A Raspberry Pi 4, a Raspberry Pi 5, and a processor with SVE and i8mm.
CPUS = ("cortex-a72", "cortex-a76", "neoverse-v1")


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks arm", description=__doc__)
    parser.add_argument("--cpus", default=",".join(CPUS), help="of 'qemu-aarch64 -cpu help'")
    parser.add_argument("--bundles", default=",".join(available_models()), help="whose graphs run")
    parser.add_argument("--track", default=DEFAULT_MODEL, help="bundles that track; empty: none")
    parser.add_argument("--no-kernels", action="store_true", help="leave the kernels out")
    parser.add_argument("--qemu", type=Path, help="another qemu-aarch64 than that of Debian 13")
    parser.add_argument("--mirror", default=MIRROR, help="of Debian")
    parser.add_argument("--place", type=Path, default=PLACE, help="folder of the sysroot")
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Set up, run all checks, print the table and write the figures.

    Raises:
        ArmError: something cannot be set up, or is wrong.
    """
    args = parse_arguments(words)
    sysroot = set_up(args.place.resolve(), qemu=args.qemu, mirror=args.mirror)
    kinds = list(checks_to_run(args, sysroot.place / "reference"))
    results = {cpu: list(run_all(sysroot, cpu, kinds)) for cpu in split(args.cpus)}
    print(markdown(table(results)))
    content = {
        "format": "edgepose.arm",
        "reference": describe_machine(),
        "qemu": version(sysroot.qemu),
        "checks": {cpu: [asdict(each) for each in found] for cpu, found in results.items()},
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "arm.json").write_text(json.dumps(content, indent=2) + "\n")
    wrong = [
        f"{cpu}: {each.name}" for cpu, all_ in results.items() for each in all_ if not each.right
    ]
    if wrong:
        raise ArmError(f"{len(wrong)} checks are wrong: {'; '.join(wrong)}.")


def split(words: str) -> list[str]:
    """Return the words between commas."""
    return [word for word in words.split(",") if word]


def checks_to_run(args: argparse.Namespace, folder: Path) -> Iterator[list[str]]:
    """Compute the references here, and yield the arguments of each kind of check."""
    folder.mkdir(exist_ok=True)
    for name in split(args.bundles):
        file = folder / f"graphs-{name}.npz"
        save(file, record_graphs(name))
        yield ["graphs", name, str(file)]
    for name in split(args.track):
        file = folder / f"tracking-{name}.npz"
        save(file, record_tracking(name))
        yield ["tracking", name, str(file)]
    if not args.no_kernels:  # last: compiling all of them takes longest
        yield ["kernels"]


def run_all(sysroot: Sysroot, cpu: str, kinds: Sequence[list[str]]) -> Iterator[Check]:
    """Run checks on one emulated processor, and print each as it is known."""
    for kind in kinds:
        for check in run_kind(sysroot, cpu, kind):
            verdict = "right" if check.right else "WRONG"
            print(f"{cpu}: {check.name}: {verdict}, {check.difference:.2g}, "
                  f"{check.seconds:.0f} s, {check.note}", flush=True)  # fmt: skip
            yield check


def run_kind(sysroot: Sysroot, cpu: str, kind: list[str]) -> Iterator[Check]:
    """Run one kind of check in a process of its own; a crash is one more check, a wrong one."""
    began_s = time.monotonic()
    with (
        (sysroot.place / "errors.log").open("w+") as errors,
        subprocess.Popen(
            sysroot.command(cpu, ["-m", "benchmarks.arm.checks", *kind]),
            env=sysroot.environment(cpu),
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        yield from (Check(**json.loads(line)) for line in process.stdout or () if line[0] == "{")
        if process.wait():
            errors.seek(0)
            said = (errors.read().strip().splitlines() or [""])[-1]
            note, took_s = f"ended with {process.returncode}: {said}", time.monotonic() - began_s
            yield Check(" ".join(kind[:2]), float("inf"), 0.0, took_s, note)


def table(results: dict[str, list[Check]]) -> Table:
    """Return the differences: a row for each check, a column for each processor."""
    names = dict.fromkeys(check.name for found in results.values() for check in found)
    columns = [{check.name: check for check in found} for found in results.values()]
    rows = [(name, *(_cell(column.get(name)) for column in columns)) for name in names]
    return Table("ARM", ("", *results), tuple(rows))


def _cell(check: Check | None) -> str:
    if check is None:
        return "-"
    return f"{check.difference:.2g}" if check.right else f"**{check.difference:.2g}, wrong**"


def version(qemu: Path) -> str:
    """Return the first line of what QEMU says of itself."""
    done = subprocess.run([str(qemu), "--version"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]
