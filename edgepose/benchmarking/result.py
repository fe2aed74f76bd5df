"""What a benchmark found, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from edgepose.benchmarking.accuracy import Accuracy, AccuracyReport, as_plain
from edgepose.benchmarking.candidates import BODY, HEAD, STEP, Entrant, LeftOut
from edgepose.benchmarking.tasks import INFERENCE
from edgepose.stats import TOTAL, StageLatency

FORMAT = "edgepose.benchmark"
VERSION = 1
#: Whose network alone, in float32 on the same threads, is the measure of all.
YARDSTICK = "MoveNet Lightning"
_NETWORK = "network"

Latency = Mapping[str, StageLatency]


@dataclass(frozen=True)
class Outcome:
    """The figures of everybody.

    Attributes:
        latency: ms of each entrant by stage.
        accuracy: of the models and peers, if it was measured.
        left_out: who did not take part.
        settings: how it was measured.
    """

    latency: Mapping[Entrant, Latency]
    accuracy: AccuracyReport | None = None
    left_out: Sequence[LeftOut] = ()
    settings: Mapping[str, object] = field(default_factory=dict)

    def accuracy_of(self, entrant: Entrant) -> Accuracy | None:
        """Return the accuracy that holds for an entrant, if it is known."""
        return self.accuracy.of(entrant) if self.accuracy else None

    def p50(self, entrant: Entrant | None, stage: str = TOTAL) -> float | None:
        """Return the median of a stage in ms, if there is such an entrant with such a stage."""
        found = self.latency[entrant].get(stage) if entrant is not None else None
        return None if found is None else found.p50

    def to_yardstick(self, entrant: Entrant) -> float | None:
        """Return the time as a multiple of MoveNet Lightning's network alone, threads alike."""
        return _ratio(self.p50(entrant), self.p50(self._yardstick(entrant), INFERENCE))

    def to_one_thread(self, entrant: Entrant) -> float | None:
        """Return how many times as fast it is as on one thread."""
        asked = entrant.asked

        def alone(other: Entrant) -> bool:
            same = (asked.backend, asked.precision) == (other.asked.backend, other.asked.precision)
            return same and other.asked.threads == 1 and _alike(entrant, other)

        return _ratio(self.p50(self._first(alone)), self.p50(entrant))

    def to_first_model(self, entrant: Entrant) -> float | None:
        """Return the time as a multiple of the first model's step with the same engine."""
        first = self._first(lambda other: other.part == STEP and other.asked == entrant.asked)
        return _ratio(self.p50(entrant), self.p50(first))

    def part(self, entrant: Entrant, part: str) -> float | None:
        """Return the median in ms of the head or body alone, of the same model and engine."""
        return self.p50(self._first(lambda other: _is_part(other, part, entrant)))

    def propagation_share(self, entrant: Entrant) -> float | None:
        """Return which part of a step is neither the body's nor outside of the networks.

        It holds the propagation unit, the alignment of the last heat-maps, and the calls.
        """
        network, body = self.p50(entrant, _NETWORK), self.part(entrant, BODY)
        if network is None or body is None:
            return None
        return _ratio(max(network - body, 0.0), self.p50(entrant))

    def _yardstick(self, entrant: Entrant) -> Entrant | None:
        threads = entrant.asked.threads

        def fits(other: Entrant) -> bool:
            return (other.name, other.asked.threads) == (YARDSTICK, threads)

        exact = self._first(lambda other: fits(other) and other.engine.precision == "float32")
        return exact or self._first(fits)

    def _first(self, fits: Callable[[Entrant], bool]) -> Entrant | None:
        return next((entrant for entrant in self.latency if fits(entrant)), None)

    def as_json(self, machine: Mapping[str, object]) -> dict[str, object]:
        """Return everything as plain data."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "machine": dict(machine),
            "settings": dict(self.settings),
            "entrants": [self._row(entrant) for entrant in self.latency],
            "left_out": [asdict(each) for each in self.left_out],
            "accuracy": as_plain(self.accuracy),
        }

    def _row(self, entrant: Entrant) -> dict[str, object]:
        accuracy = self.accuracy_of(entrant)
        facts = asdict(entrant)
        del facts["source"]  # a path of this machine
        row = {
            "label": entrant.label,
            **facts,
            "milliseconds": {
                stage: asdict(latency) for stage, latency in self.latency[entrant].items()
            },
            "to_yardstick": self.to_yardstick(entrant),
            "to_one_thread": self.to_one_thread(entrant),
            "to_first_model": self.to_first_model(entrant),
            "pck": None if accuracy is None else accuracy.pck,
        }
        if entrant.part == STEP:
            row["propagation_share"] = self.propagation_share(entrant)
            row["body_ms"], row["head_ms"] = self.part(entrant, BODY), self.part(entrant, HEAD)
        return row


def _alike(one: Entrant, other: Entrant) -> bool:
    return (one.name, one.part, one.digest) == (other.name, other.part, other.digest)


def _is_part(other: Entrant, part: str, whole: Entrant) -> bool:
    same = (other.name, other.digest, other.asked) == (whole.name, whole.digest, whole.asked)
    return same and other.part == part


def _ratio(over: float | None, under: float | None) -> float | None:
    return None if over is None or not under else over / under
