"""Poses after the last key frame, extrapolated by a dictionary of dynamics."""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgepose.keyframes.segment import Segment
from edgepose_runtime.interpolation.dictionary import PoleDictionary, load_dictionary
from edgepose_runtime.interpolation.interpolator import WINDOW, Interpolation, PoseInterpolator

Doubles = NDArray[np.float64]
Keypoints = NDArray[np.float32]

#: Key poses that a movement is extrapolated from.
KEYS = 8
#: Frames that are extrapolated at once, after each key frame; later ones get the last of them.
AHEAD = 20
#: Variances of a coordinate in squared sides of the region: of flow for each frame, for each
#: squared way and each squared doubt; of dynamics at least, and for each squared deviation that
#: HPIM states. Fitted on 150 training clips by non-negative least squares.
FLOW_PER_FRAME, FLOW_PER_WAY, FLOW_PER_DOUBT = 1.2e-4, 0.094, 0.80
DYNAMICS_LEAST, DYNAMICS_PER_VARIANCE = 1.5e-3, 0.28


class Forecast(NamedTuple):
    """The expected pose in a frame.

    Attributes:
        joints: float64 (K, 2) x, y in frame pixels.
        variance: (K,) of each coordinate, in squared sides of the region.
    """

    joints: Doubles
    variance: Doubles


class DynamicsForecast:
    """Extrapolates the last key poses of one person. Not for several threads at once."""

    def __init__(self) -> None:
        self._interpolator: PoseInterpolator | None = None
        self.reset()

    def reset(self) -> None:
        """Forget the key poses."""
        self._keys: deque[tuple[int, Keypoints]] = deque(maxlen=KEYS)
        self._ahead: Interpolation | None = None

    def warmup(self, joints: int) -> None:
        """Load the dictionary and the kernels."""
        self._ready().warmup(joints)

    def add(self, frame: int, keypoints: Keypoints) -> None:
        """Take in a key pose.

        Args:
            frame: its number, above that of the last key pose.
            keypoints: (K, 3) x, y in frame pixels, and scores.
        """
        self._keys.append((frame, keypoints))
        self._ahead = None

    def after(self, segment: Segment) -> Forecast:
        """Return the pose in the last frame of a segment, which follows the last key pose."""
        if self._ahead is None:
            frames = np.array([frame for frame, _ in self._keys])
            poses = np.stack([pose for _, pose in self._keys])
            self._ahead = self._ready().predict(frames, poses, AHEAD)
        row = min(segment.frames, AHEAD) - 1
        deviation = self._ahead.uncertainty[row].astype(np.float64) / segment.side
        variance = DYNAMICS_LEAST + DYNAMICS_PER_VARIANCE * deviation * deviation
        return Forecast(self._ahead.poses[row].astype(np.float64), variance)

    def _ready(self) -> PoseInterpolator:
        if self._interpolator is None:
            self._interpolator = PoseInterpolator(_dictionary(), WINDOW)
        return self._interpolator


def flow_forecast(segment: Segment) -> Forecast:
    """Return where flow has the joints at the end of a segment, and how sure that is."""
    variance = (
        FLOW_PER_FRAME * segment.frames
        + FLOW_PER_WAY * segment.squared
        + FLOW_PER_DOUBT * segment.squared_doubts
    )
    return Forecast(segment.joints, variance)


def combined(first: Forecast, second: Forecast) -> Forecast:
    """Return the mean of two forecasts, each joint weighted by the inverse of its variances.

    A joint that one of them does not know is as the other has it.
    """
    known, trust = _trust(first)
    other_known, other_trust = _trust(second)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = 1 / (trust + other_trust)
        weighted = trust[:, None] * known + other_trust[:, None] * other_known
        return Forecast(weighted * variance[:, None], variance)


def _trust(forecast: Forecast) -> tuple[Doubles, Doubles]:
    """Return joints (K, 2) and inverse variances (K,), both 0 for joints that are not known."""
    known: NDArray[np.bool_] = np.asarray(np.isfinite(forecast.joints).all(axis=1))
    variance = np.where(known, forecast.variance, 1.0)
    return np.where(known[:, None], forecast.joints, 0.0), np.where(known, 1 / variance, 0.0)


@lru_cache(maxsize=1)
def _dictionary() -> PoleDictionary:
    return load_dictionary()
