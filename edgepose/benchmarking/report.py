"""The tables of a benchmark."""

from __future__ import annotations

from collections.abc import Iterator

from edgepose.benchmarking.accuracy import ALPHAS, BOXES, HEAD_ALONE, TRACKER
from edgepose.benchmarking.candidates import BODY, HEAD, PEER, STEP, Entrant
from edgepose.benchmarking.result import YARDSTICK, Outcome
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
    """Everybody from frame to joints: ms, the ratio to the yardstick, and accuracy."""
    header: tuple[str, ...] = ("frame to joints, ms", "p50", "p95", "p99", "networks alone")
    header += (f"to {YARDSTICK}'s network",)
    if outcome.accuracy is not None:
        header += tuple(f"{measure[4:]} in boxes" for measure in _MEASURES)
        header += (f"{_MEASURES[0][4:]} tracker",)
    rows = tuple(
        _main_row(outcome, entrant) for entrant in outcome.latency if entrant.part in (STEP, PEER)
    )
    return Table("Speed and accuracy", header, rows)


def stage_table(outcome: Outcome) -> Table:
    """The percentiles of the stages of each step."""
    steps = [entrant for entrant in outcome.latency if entrant.part == STEP]
    stages = list(
        dict.fromkeys(
            stage
            for entrant in steps
            for stage in outcome.latency[entrant]
            if stage not in (TOTAL, INFERENCE)
        )
    )
    shown = (*stages, TOTAL)
    rows = tuple(
        (
            entrant.label,
            *(" / ".join(_percentiles(outcome.latency[entrant].get(each))) for each in shown),
        )
        for entrant in steps
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
            entrant.label,
            _ms(outcome.p50(entrant)),
            _ms(outcome.part(entrant, BODY)),
            _percent(outcome.propagation_share(entrant)),
            _ms(outcome.part(entrant, HEAD)),
            _figure(_pck(outcome, entrant, HEAD_ALONE)),
            _times(outcome.to_one_thread(entrant)),
            _times(outcome.to_first_model(entrant)),
        )
        for entrant in outcome.latency
        if entrant.part == STEP
    )
    return Table("Parts of a step", header, rows)


def notes(outcome: Outcome) -> Iterator[str]:
    """Say who was left out, what accuracy stands on, and what holds of the peers."""
    for absent in outcome.left_out:
        yield f"Left out: {absent.name}: {absent.reason.rstrip('.')}."
    accuracy = outcome.accuracy
    if accuracy is None:
        yield "No accuracy was measured; it needs annotated clips (--data DIR or EDGEPOSE_DATA)."
    else:
        yield (
            f"Accuracy in percent, {accuracy.headline}, {accuracy.clips} clips "
            f"({accuracy.data}), {accuracy.frames} frames."
        )
    peers = {entrant.name: entrant.note for entrant in outcome.latency if entrant.note}
    for name, note in peers.items():
        yield f"{name}: {note}."


def _main_row(outcome: Outcome, entrant: Entrant) -> tuple[str, ...]:
    row = (
        entrant.label,
        *_percentiles(outcome.latency[entrant].get(TOTAL)),
        _ms(outcome.p50(entrant, INFERENCE)),
        _times(outcome.to_yardstick(entrant)),
    )
    return row + _accuracy_columns(outcome, entrant)


def _accuracy_columns(outcome: Outcome, entrant: Entrant) -> tuple[str, ...]:
    if outcome.accuracy is None:
        return ()
    figures = [_pck(outcome, entrant, BOXES, measure) for measure in _MEASURES]
    return tuple(map(_figure, [*figures, _pck(outcome, entrant, TRACKER)]))


def _pck(
    outcome: Outcome, entrant: Entrant, protocol: str, measure: str = _MEASURES[0]
) -> float | None:
    accuracy = outcome.accuracy_of(entrant)
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
