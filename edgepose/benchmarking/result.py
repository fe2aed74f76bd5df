"""The result of a benchmark: latencies, accuracy and their ratios."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from edgepose.benchmarking.accuracy import Accuracy, AccuracyReport, as_plain
from edgepose.benchmarking.candidates import BODY, HEAD, STEP, BenchmarkModel, SkippedModel
from edgepose.benchmarking.tasks import INFERENCE
from edgepose.stats import TOTAL, StageLatency

FORMAT = "edgepose.benchmark"
VERSION = 1
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

    def accuracy_of(self, model_entry: BenchmarkModel) -> Accuracy | None:
        """Return the accuracy that holds for a model entry, if it is known."""
        return self.accuracy.of(model_entry) if self.accuracy else None

    def p50(self, model_entry: BenchmarkModel | None, stage: str = TOTAL) -> float | None:
        """Return the median of a stage in ms, if there is such a model entry with such a stage."""
        found = self.latency[model_entry].get(stage) if model_entry is not None else None
        return None if found is None else found.p50

    def relative_to_reference(self, model_entry: BenchmarkModel) -> float | None:
        """Return the time as a multiple of MoveNet Lightning's network alone, threads alike."""
        return _ratio(self.p50(model_entry), self.p50(self._reference(model_entry), INFERENCE))

    def speedup_over_one_thread(self, model_entry: BenchmarkModel) -> float | None:
        """Return how many times as fast it is as on one thread."""
        asked = model_entry.asked

        def alone(other: BenchmarkModel) -> bool:
            same = (asked.backend, asked.precision) == (other.asked.backend, other.asked.precision)
            return same and other.asked.threads == 1 and _alike(model_entry, other)

        return _ratio(self.p50(self._first(alone)), self.p50(model_entry))

    def relative_to_first_model(self, model_entry: BenchmarkModel) -> float | None:
        """Return the time as a multiple of the first model's step with the same engine."""
        first = self._first(lambda other: other.part == STEP and other.asked == model_entry.asked)
        return _ratio(self.p50(model_entry), self.p50(first))

    def part(self, model_entry: BenchmarkModel, part: str) -> float | None:
        """Return the median in ms of the head or body alone, of the same model and engine."""
        return self.p50(self._first(lambda other: _is_part(other, part, model_entry)))

    def propagation_share(self, model_entry: BenchmarkModel) -> float | None:
        """Return which part of a step is neither the body's nor outside of the networks.

        It holds the propagation unit, the alignment of the last heat-maps, and the calls.
        """
        network, body = self.p50(model_entry, _NETWORK), self.part(model_entry, BODY)
        if network is None or body is None:
            return None
        return _ratio(max(network - body, 0.0), self.p50(model_entry))

    def _reference(self, model_entry: BenchmarkModel) -> BenchmarkModel | None:
        threads = model_entry.asked.threads

        def fits(other: BenchmarkModel) -> bool:
            return (other.name, other.asked.threads) == (REFERENCE, threads)

        exact = self._first(lambda other: fits(other) and other.engine.precision == "float32")
        return exact or self._first(fits)

    def _first(self, fits: Callable[[BenchmarkModel], bool]) -> BenchmarkModel | None:
        return next((model_entry for model_entry in self.latency if fits(model_entry)), None)

    def as_json(self, machine: Mapping[str, object]) -> dict[str, object]:
        """Return everything as plain data."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "machine": dict(machine),
            "settings": dict(self.settings),
            "model_entries": [self._row(model_entry) for model_entry in self.latency],
            "skipped": [asdict(each) for each in self.skipped],
            "accuracy": as_plain(self.accuracy),
        }

    def _row(self, model_entry: BenchmarkModel) -> dict[str, object]:
        accuracy = self.accuracy_of(model_entry)
        facts = asdict(model_entry)
        del facts["source"]  # a path of this machine
        row = {
            "label": model_entry.label,
            **facts,
            "milliseconds": {
                stage: asdict(latency) for stage, latency in self.latency[model_entry].items()
            },
            "relative_to_reference": self.relative_to_reference(model_entry),
            "speedup_over_one_thread": self.speedup_over_one_thread(model_entry),
            "relative_to_first_model": self.relative_to_first_model(model_entry),
            "pck": None if accuracy is None else accuracy.pck,
        }
        if model_entry.part == STEP:
            row["propagation_share"] = self.propagation_share(model_entry)
            row["body_ms"], row["head_ms"] = (
                self.part(model_entry, BODY),
                self.part(model_entry, HEAD),
            )
        return row


def _alike(one: BenchmarkModel, other: BenchmarkModel) -> bool:
    return (one.name, one.part, one.digest) == (other.name, other.part, other.digest)


def _is_part(other: BenchmarkModel, part: str, whole: BenchmarkModel) -> bool:
    same = (other.name, other.digest, other.asked) == (whole.name, whole.digest, whole.asked)
    return same and other.part == part


def _ratio(over: float | None, under: float | None) -> float | None:
    return None if over is None or not under else over / under
