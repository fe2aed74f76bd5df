"""The result of a benchmark: latencies, accuracy and their ratios."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from edgepose.benchmarking.accuracy import Accuracy, AccuracyReport, as_plain
from edgepose.benchmarking.candidates import BODY, HEAD, STEP, BenchmarkModel, SkippedModel
from edgepose.benchmarking.tasks import INFERENCE
from edgepose.stats import TOTAL, StageLatency

FORMAT = "edgepose.benchmark"
VERSION = 2
#: Whose network alone, in float32 on the same threads, is the measure of all.
REFERENCE = "MoveNet Lightning"
_NETWORK = "network"

Latency = Mapping[str, StageLatency]


@dataclass(frozen=True)
class Outcome:
    """The figures of all models.

    Attributes:
        latency: ms of each model by stage.
        accuracy: of the models and peers, if it was measured.
        skipped: who did not take part.
        settings: how it was measured.
    """

    latency: Mapping[BenchmarkModel, Latency]
    accuracy: AccuracyReport | None = None
    skipped: Sequence[SkippedModel] = ()
    settings: Mapping[str, object] = field(default_factory=dict)

    def accuracy_of(self, entry: BenchmarkModel) -> Accuracy | None:
        """Return the accuracy that holds for a model entry, if it is known."""
        return self.accuracy.of(entry) if self.accuracy else None

    def p50(self, entry: BenchmarkModel | None, stage: str = TOTAL) -> float | None:
        """Return the median of a stage in ms, if there is such a model entry with such a stage."""
        found = self.latency[entry].get(stage) if entry is not None else None
        return None if found is None else found.p50

    def relative_to_reference(self, entry: BenchmarkModel) -> float | None:
        """Return the time as a multiple of MoveNet Lightning's network alone, threads alike."""
        return _ratio(self.p50(entry), self.p50(self._reference(entry), INFERENCE))

    def speedup_over_one_thread(self, entry: BenchmarkModel) -> float | None:
        """Return how many times as fast it is as on one thread."""
        asked = entry.asked

        def alone(other: BenchmarkModel) -> bool:
            same = (asked.backend, asked.precision) == (other.asked.backend, other.asked.precision)
            return same and other.asked.threads == 1 and _alike(entry, other)

        return _ratio(self.p50(self._first(alone)), self.p50(entry))

    def relative_to_first_model(self, entry: BenchmarkModel) -> float | None:
        """Return the time as a multiple of the first model's step with the same engine."""
        first = self._first(lambda other: other.part == STEP and other.asked == entry.asked)
        return _ratio(self.p50(entry), self.p50(first))

    def part(self, entry: BenchmarkModel, part: str) -> float | None:
        """Return the median in ms of the head or body alone, of the same model and engine."""
        return self.p50(self._first(lambda other: _is_part(other, part, entry)))

    def propagation_share(self, entry: BenchmarkModel) -> float | None:
        """Return which part of a step is neither the body's nor outside of the networks.

        It holds the propagation unit, the alignment of the last heat-maps, and the calls.
        """
        network, body = self.p50(entry, _NETWORK), self.part(entry, BODY)
        if network is None or body is None:
            return None
        return _ratio(max(network - body, 0.0), self.p50(entry))

    def _reference(self, entry: BenchmarkModel) -> BenchmarkModel | None:
        threads = entry.asked.threads

        def fits(other: BenchmarkModel) -> bool:
            return (other.name, other.asked.threads) == (REFERENCE, threads)

        exact = self._first(lambda other: fits(other) and other.engine.precision == "float32")
        return exact or self._first(fits)

    def _first(self, fits: Callable[[BenchmarkModel], bool]) -> BenchmarkModel | None:
        return next((entry for entry in self.latency if fits(entry)), None)

    def as_json(self, machine: Mapping[str, object]) -> dict[str, object]:
        """Return everything as plain data."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "machine": dict(machine),
            "settings": dict(self.settings),
            "models": [self._row(entry) for entry in self.latency],
            "skipped": [asdict(each) for each in self.skipped],
            "accuracy": as_plain(self.accuracy),
        }

    def _row(self, entry: BenchmarkModel) -> dict[str, object]:
        accuracy = self.accuracy_of(entry)
        facts = asdict(entry)
        del facts["source"]  # a path of this machine
        row = {
            "label": entry.label,
            **facts,
            "milliseconds": {
                stage: asdict(latency) for stage, latency in self.latency[entry].items()
            },
            "relative_to_reference": self.relative_to_reference(entry),
            "speedup_over_one_thread": self.speedup_over_one_thread(entry),
            "relative_to_first_model": self.relative_to_first_model(entry),
            "pck": None if accuracy is None else accuracy.pck,
        }
        if entry.part == STEP:
            row["propagation_share"] = self.propagation_share(entry)
            row["body_ms"], row["head_ms"] = (
                self.part(entry, BODY),
                self.part(entry, HEAD),
            )
        return row


def _alike(one: BenchmarkModel, other: BenchmarkModel) -> bool:
    return (one.name, one.part, one.digest) == (other.name, other.part, other.digest)


def _is_part(other: BenchmarkModel, part: str, whole: BenchmarkModel) -> bool:
    same = (other.name, other.digest, other.asked) == (whole.name, whole.digest, whole.asked)
    return same and other.part == part


def _ratio(over: float | None, under: float | None) -> float | None:
    return None if over is None or not under else over / under
