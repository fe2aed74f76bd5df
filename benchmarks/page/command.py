"""``python -m benchmarks page``: the page and the picture of the last benchmark, from its JSON."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from benchmarks.page.picture import draw_accuracy
from benchmarks.page.rows import MEASURES, Json, Row, read_benchmark, reference_of, rows_of
from edgepose.benchmarking.accuracy import BOXES, TRACKER
from edgepose.evaluation.report import Table, markdown

PROJECT = Path(__file__).parents[2]
SOURCE = PROJECT / "benchmarks" / "benchmark.json"
PAGE, PICTURE = "benchmark.md", "images/accuracy.svg"
_HEADER = (
    *("frame to joints", "precision", "threads", "p50", "p95", "p99", "networks alone"),
    *("to MoveNet's network", "boxes @0.2 / @0.1", "tracker @0.2 / @0.1"),
)


def main(words: list[str]) -> None:
    """Write the page and the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks page", description=__doc__)
    parser.add_argument("--json", type=Path, default=SOURCE, metavar="FILE")
    parser.add_argument("--out", type=Path, default=PROJECT / "docs", metavar="FOLDER")
    args = parser.parse_args(words)
    content = read_benchmark(args.json)
    (args.out / PICTURE).parent.mkdir(parents=True, exist_ok=True)
    draw_accuracy(rows_of(content), args.out / PICTURE)
    (args.out / PAGE).write_text(page_of(content), encoding="utf-8")
    print(args.out / PAGE)


def page_of(content: Json) -> str:
    """Return the page in Markdown."""
    table = markdown(Table("", _HEADER, tuple(_cells(rows_of(content)))))
    notes = "\n".join(f"- {note}" for note in _notes(content))
    return f"""# Last benchmark

<!-- written by `python -m benchmarks page` from benchmarks/benchmark.json; do not edit it -->
```sh
edgepose benchmark --model ppn-swift --model ppn-swift-float --model ppn-stable \\
    --model ppn-stable-float --precision auto,float32 --json benchmarks/benchmark.json
python -m benchmarks page
```
![PCK over milliseconds]({PICTURE})

{table.strip()}

{notes}
"""


def _cells(rows: list[Row]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        reference = reference_of(rows, row.threads)
        ratio = None
        if reference is not None and reference.networks:
            ratio = row.milliseconds["p50"] / reference.networks
        times = (row.milliseconds.get(name) for name in ("p50", "p95", "p99"))
        yield (
            *(row.name, row.precision, str(row.threads), *map(_number, times)),
            *(_number(row.networks), _number(ratio), _pck(row, BOXES), _pck(row, TRACKER)),
        )


def _pck(row: Row, protocol: str) -> str:
    found = row.pck.get(protocol)
    return "-" if found is None else " / ".join(f"{found[measure]:.1f}" for measure in MEASURES)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _notes(content: Json) -> Iterator[str]:
    machine, settings, accuracy = (content[key] for key in ("machine", "settings", "accuracy"))
    width, height = settings["frame_size"]
    yield (
        f"{machine['processor']}, {machine['cores']} cores; {settings['clip']} "
        f"({width}×{height}), {settings['rounds']} rounds."
    )
    if accuracy is not None:
        yield (
            f"Accuracy: {accuracy['headline']}, {accuracy['clips']} clips ({accuracy['data']}), "
            f"{accuracy['frames']} frames."
        )
    if "note" in settings:
        yield settings["note"]
    remarks = {each["name"]: each["note"] for each in content["models"] if each.get("note")}
    for name, remark in remarks.items():
        yield f"{name}: {remark}."
    for absent in content["skipped"]:
        yield f"Left out: {absent['name']}: {absent['reason'].rstrip('.')}."
    yield (
        "Times are in ms, PCK-torso in percent. In the column *tracker*, ours find the person "
        "themselves; peers are given annotated boxes. "
        "[How accuracy is measured](background/accuracy.md), "
        "[all other figures](../benchmarks/README.md)."
    )
