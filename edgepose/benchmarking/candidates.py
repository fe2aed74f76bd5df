"""The models of a benchmark, and the engines that run them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from edgepose_runtime.backends import BackendSettings

#: Parts of a model that are timed: the whole step of a tracker, and single networks.
STEP, HEAD, BODY, PEER = "step", "head", "body", "peer"


@dataclass(frozen=True, order=True)
class Engine:
    """What runs networks.

    Attributes:
        backend: its name.
        device: of the backend.
        precision: asked for, or in use.
        threads: CPU threads of one network.
    """

    backend: str = "openvino"
    device: str = "cpu"
    precision: str = "float32"
    threads: int = 1

    @property
    def settings(self) -> BackendSettings:
        """As backends take it: one region at a time, as a tracker looks."""
        return BackendSettings(
            device=self.device, precision=self.precision, num_threads=self.threads, batch=1
        )

    def using(self, device: str, precision: str) -> Engine:
        """Return the same with what is really in use."""
        return replace(self, device=device, precision=precision)

    def __str__(self) -> str:
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{self.backend} {self.device} {self.precision}, {threads}"


def engines(
    backends: Sequence[str], device: str, precisions: Sequence[str], threads: Sequence[int]
) -> list[Engine]:
    """Return every combination once, in the order given."""
    found = (
        Engine(backend, device, precision, count)
        for backend, precision, count in product(backends, precisions, threads)
    )
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class BenchmarkModel:
    """One row of the results.

    Attributes:
        name: of the model or peer.
        part: ``"step"`` from frame to joints, ``"head"`` or ``"body"`` for one network of the
            model alone, ``"peer"`` for another's network from frame to joints.
        asked: the engine that was asked for.
        engine: with the device and precision in use.
        digest: a hash of the model's files: models of one name may differ.
        source: the bundle's name or folder, or the file with the peer's weights.
        note: what a reader must know beside its figures.
    """

    name: str
    part: str
    asked: Engine
    engine: Engine
    digest: str
    source: str
    note: str = ""

    @property
    def label(self) -> str:
        """Unique among the entries."""
        part = "" if self.part in (STEP, PEER) else f" {self.part}"
        asked = "" if self.asked == self.engine else f" (asked: {self.asked.precision})"
        return f"{self.name}{part}, {self.engine}{asked}"


@dataclass(frozen=True)
class SkippedModel:
    """A model that is left out, and why."""

    name: str
    reason: str
