"""Smoothing of joints over time, in real time units."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgepose_runtime.checks import is_finite_number
from edgepose_runtime.errors import ConfigError, TimestampError
from edgepose_runtime.native.library import Kernel, precompiled
from edgepose_runtime.poses.joints import SHORTEST_STEP_MS

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OneEuroSettings:
    """How much to smooth (Casiez et al., "1 Euro Filter", CHI 2012).

    A joint at rest is smoothed with the lowest cutoff frequency, which takes the jitter out; the
    faster it moves the higher the cutoff, so that it does not lag. Speeds are in sides of the
    person's region per second, so that one setting suits people near and far. The defaults take
    out jitter as far as that costs next to no accuracy on annotated video
    (``python -m benchmarks smoothing``).

    Beyond the paper, a joint that jumps is followed at a limited pace: a network's mistake of a
    frame or two, which the filter alone would let through as a fast movement, shows as little.

    Attributes:
        min_cutoff_hz: cutoff frequency at rest; lower is calmer.
        beta: how much the cutoff rises, in Hz per region side per second; higher lags less.
        derivative_cutoff_hz: cutoff frequency for the speed itself.
        max_gap_ms: a joint that was not seen for longer starts afresh.
        jump_speed: by how much a smoothed joint may be faster than the filtered speed, in
            region sides per second; infinite for no limit.

    Raises:
        ConfigError: a frequency, the jump speed or the gap is not above 0, or beta is negative.
    """

    min_cutoff_hz: float = 0.5
    beta: float = 20.0
    derivative_cutoff_hz: float = 2.0
    max_gap_ms: float = 500.0
    jump_speed: float = 1.5

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "jump_speed" and isinstance(value, float) and value == math.inf:
                continue
            if not is_finite_number(value) or value < 0 or (value == 0 and field.name != "beta"):
                raise ConfigError(
                    f"The smoothing's {field.name} must be a finite number above 0 "
                    f"(beta may be 0, jump_speed infinite); got {value!r}."
                )


class OneEuroFilter:
    """Smooths the joints of one person in one stream. Not for use by several threads at once.

    Lag depends on time alone: at twice the frame rate a movement comes out equally late.

    Args:
        settings: how much to smooth.
    """

    def __init__(self, settings: OneEuroSettings | None = None) -> None:
        self.settings = settings or OneEuroSettings()
        self._numbers = astuple(self.settings)  # takes as long as the smoothing itself
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next points come out as they are."""
        self._last_ms = -math.inf
        self._memory = Memory.of(0)

    def apply(self, points: ArrayLike, timestamp_ms: float, scale_px: float) -> NDArray[np.float32]:
        """Smooth the next points.

        Args:
            points: (K, 2) in pixels. A joint with NaN comes out as NaN and is left out; seen again
                soon, it goes on from where it was.
            timestamp_ms: when they were seen, after the time of the call before.
            scale_px: side of the person's region in pixels, above 0.

        Returns:
            float32 (K, 2).

        Raises:
            TimestampError: time does not run forward.
        """
        measured = np.asarray(points, dtype=np.float64)
        if len(measured) != len(self._memory.seen_ms):
            self._memory = Memory.of(len(measured))
        self._advance(timestamp_ms)
        smoothed = np.empty(measured.shape, np.float32)
        memory = self._memory
        _smooth_joints()(
            measured,
            float(timestamp_ms),
            float(scale_px),
            self._numbers,
            memory.joints,
            memory.seen_ms,
            smoothed,
        )
        return smoothed

    def _advance(self, timestamp_ms: float) -> None:
        if not timestamp_ms > self._last_ms:
            raise TimestampError(
                f"The timestamp {timestamp_ms} ms does not come after the last one, "
                f"{self._last_ms} ms; give timestamps that rise, or reset the filter."
            )
        self._last_ms = timestamp_ms


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """What the filter knows of K joints.

    Attributes:
        joints: (3, K, 2) as measured last, as smoothed, and velocities in region sides per second.
        seen_ms: (K,) when each was measured last.
    """

    joints: Doubles
    seen_ms: Doubles

    @classmethod
    def of(cls, joints: int) -> Memory:
        """Return that of joints that were not seen yet."""
        return cls(np.zeros((3, joints, 2)), np.full(joints, -math.inf))


def smooth_numpy(
    points: ArrayLike,
    timestamp_ms: float,
    scale_px: float,
    settings: OneEuroSettings,
    memory: Memory,
) -> NDArray[np.float32]:
    """Do what :meth:`OneEuroFilter.apply` does, and update ``memory``."""
    measured = np.asarray(points, dtype=np.float64)
    before, smoothed_before, velocity_before = memory.joints
    elapsed = np.maximum(timestamp_ms - memory.seen_ms[:, None], SHORTEST_STEP_MS)
    seconds = elapsed / 1000
    present = np.isfinite(measured.sum(axis=1, keepdims=True))
    known = seconds * 1000 <= settings.max_gap_ms

    with np.errstate(invalid="ignore"):  # of joints that are not there
        speed = (measured - before) / (scale_px * seconds)
        weight = _weight(settings.derivative_cutoff_hz, seconds)
        velocity = velocity_before + weight * (speed - velocity_before)
        pace = np.hypot(*velocity.T)[:, None]
        cutoff = settings.min_cutoff_hz + settings.beta * pace
        step = _weight(cutoff, seconds) * (measured - smoothed_before)
        longest = (settings.jump_speed + pace) * scale_px * seconds
        step *= np.minimum(1, longest / np.maximum(np.hypot(*step.T)[:, None], 1e-9))
    smoothed = smoothed_before + step

    np.copyto(before, measured, where=present)
    np.copyto(velocity_before, np.where(known, velocity, 0), where=present)
    np.copyto(smoothed_before, np.where(known, smoothed, measured), where=present)
    memory.seen_ms[present[:, 0]] = timestamp_ms
    return np.where(present, smoothed_before, np.nan).astype(np.float32)


def _weight(cutoff_hz: Any, seconds: Doubles) -> Any:
    """Return the weight of a new value, between 0 and 1, in a low-pass filter."""
    return 1 - 1 / (1 + 2 * math.pi * cutoff_hz * seconds)


@precompiled
def _smooth_joints() -> Kernel:
    from edgepose_runtime.poses.kernels import smooth_joints

    return smooth_joints
