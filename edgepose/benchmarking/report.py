"""The tables of a benchmark."""

from __future__ import annotations

from collections.abc import Iterator

from edgepose.benchmarking.accuracy import ALPHAS, BOXES, HEAD_ALONE, TRACKER
from edgepose.benchmarking.candidates import BODY, HEAD, PEER, STEP, BenchmarkModel
from edgepose.benchmarking.result import REFERENCE, Outcome
from edgepose.benchmarking.tasks import INFERENCE
from edgepose.evaluation.report import Table, markdown
from edgepose.stats import TOTAL, StageLatency

_MEASURES = tuple(f"PCK-torso@{alpha:g}" for alpha in ALPHAS)


def as_text(outcome: Outcome) -> str:
    """Return all tables in Markdown, and what a reader must know beside them."""
    tables = (main_table(outcome), stage_table(outcome), part_table(outcome))
    parts = [f"### {table.title}\n\n{markdown(table)}" for table in tables if table.rows]
    return "\n".join([*parts, "".join(f"- {note}\n" for note in notes(outcome))])


def main_table(outcome: Outcome) -> Table:
    """All models from frame to joints: ms, ratio to the reference, accuracy."""
    header: tuple[str, ...] = ("frame to joints, ms", "p50", "p95", "p99", "networks alone")
    header += (f"to {REFERENCE}'s network",)
    if outcome.accuracy is not None:
        header += tuple(f"{measure[4:]} in boxes" for measure in _MEASURES)
        header += (f"{_MEASURES[0][4:]} tracker",)
    rows = tuple(
        _main_row(outcome, entry) for entry in outcome.latency if entry.part in (STEP, PEER)
    )
    return Table("Speed and accuracy", header, rows)


def stage_table(outcome: Outcome) -> Table:
    """The percentiles of the stages of each step."""
    steps = [entry for entry in outcome.latency if entry.part == STEP]
    stages = list(
        dict.fromkeys(
            stage
            for entry in steps
            for stage in outcome.latency[entry]
            if stage not in (TOTAL, INFERENCE)
        )
    )
    shown = (*stages, TOTAL)
    rows = tuple(
        (
            entry.label,
            *(" / ".join(_percentiles(outcome.latency[entry].get(each))) for each in shown),
        )
        for entry in steps
    )
    return Table("Stages of a step", ("ms, p50 / p95 / p99", *shown), rows)


def part_table(outcome: Outcome) -> Table:
    """What a step is made of, and what more threads and other models are worth."""
    header = (
        "p50",
        "step",
        "body alone",
        "propagation and glue",
        "head",
        f"head, {_MEASURES[0][4:]} in boxes",
        "as fast as on one thread",
        "time of the first model",
    )
    rows = tuple(
        (
            entry.label,
            _ms(outcome.p50(entry)),
            _ms(outcome.part(entry, BODY)),
            _percent(outcome.propagation_share(entry)),
            _ms(outcome.part(entry, HEAD)),
            _figure(_pck(outcome, entry, HEAD_ALONE)),
            _times(outcome.speedup_over_one_thread(entry)),
            _times(outcome.relative_to_first_model(entry)),
        )
        for entry in outcome.latency
        if entry.part == STEP
    )
    return Table("Parts of a step", header, rows)


def notes(outcome: Outcome) -> Iterator[str]:
    """Return notes: models left out, data of the accuracy, and remarks on the peers."""
    for absent in outcome.skipped:
        yield f"Left out: {absent.name}: {absent.reason.rstrip('.')}."
    accuracy = outcome.accuracy
    if accuracy is None:
        yield (
            "No accuracy was measured; it needs annotated clips (--data-root DIR or EDGEPOSE_DATA)."
        )
    else:
        yield (
            f"Accuracy in percent, {accuracy.headline}, {accuracy.clips} clips "
            f"({accuracy.data}), {accuracy.frames} frames."
        )
    peers = {entry.name: entry.note for entry in outcome.latency if entry.note}
    for name, note in peers.items():
        yield f"{name}: {note}."


def _main_row(outcome: Outcome, entry: BenchmarkModel) -> tuple[str, ...]:
    row = (
        entry.label,
        *_percentiles(outcome.latency[entry].get(TOTAL)),
        _ms(outcome.p50(entry, INFERENCE)),
        _times(outcome.relative_to_reference(entry)),
    )
    return row + _accuracy_columns(outcome, entry)


def _accuracy_columns(outcome: Outcome, entry: BenchmarkModel) -> tuple[str, ...]:
    if outcome.accuracy is None:
        return ()
    figures = [_pck(outcome, entry, BOXES, measure) for measure in _MEASURES]
    return tuple(map(_figure, [*figures, _pck(outcome, entry, TRACKER)]))


def _pck(
    outcome: Outcome, entry: BenchmarkModel, protocol: str, measure: str = _MEASURES[0]
) -> float | None:
    accuracy = outcome.accuracy_of(entry)
    return None if accuracy is None else accuracy.pck.get(protocol, {}).get(measure)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _percentiles(latency: StageLatency | None) -> tuple[str, ...]:
    if latency is None:  # no frame was an ordinary step
        return ("-",) * 3
    return _ms(latency.p50), _ms(latency.p95), _ms(latency.p99)


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _times(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}×"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"
