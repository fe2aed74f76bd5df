"""What a stream goes without: the parts that do nothing, and the bundle's own head."""

from __future__ import annotations

from edgepose.inference.estimator import Observation
from edgepose_runtime.events import StreamEvent


def _nothing(*_: object, **__: object) -> None:
    """Do nothing: a part that a stream goes without."""


def _unchanged(observation: Observation, *_: object) -> Observation:
    return observation


class LocalHead:
    """The bundle's own head alone: it starts tracks and runs at a fixed interval.

    Args:
        interval: run it every N frames; 0 or ``None`` for only at the start of a track.
    """

    merged = observed = age_ms = forget_track = staticmethod(_nothing)
    corrected = staticmethod(_unchanged)

    def __init__(self, interval: int | None) -> None:
        self._interval = interval or None

    def use_light_network(self) -> bool:
        """Return False: the head starts every track."""
        return False

    def is_due(self, age: int | None) -> bool:
        """Whether the head should process the next frame."""
        return age is None or (self._interval is not None and age + 1 >= self._interval)

    def take_events(self, _timestamp_ms: float) -> list[StreamEvent]:
        """Return nothing."""
        return []


class NoKeyFrames:
    """The networks process every frame."""

    counts_age = False
    reset = warmup = propagate = skipped = observed = staticmethod(_nothing)
    as_key_frame = staticmethod(_unchanged)


class NoSearch:
    """Nobody is searched for: the region is given from outside, as where people are detected."""

    reset = expect = skipped = find = staticmethod(_nothing)
