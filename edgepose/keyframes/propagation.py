"""Joints between key frames as the settings want them: moved by flow, by dynamics, or by both."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgepose.keyframes.decision import DRIFT_PER_FRAME
from edgepose.keyframes.dynamics import DynamicsForecast, Forecast, combined, flow_forecast
from edgepose.keyframes.learned import features_of, load_learned_error, on_line
from edgepose.keyframes.segment import Segment
from edgepose.keyframes.settings import KeyFrames
from edgepose_runtime.poses.optical_flow import FlowStep
from edgepose_runtime.poses.skeletons import Skeleton

Doubles = NDArray[np.float64]
Keypoints = NDArray[np.float32]

#: Mean standard deviations of the joints, by dynamics alone and combined with flow, and the drift
#: that is exceeded as often: so a tolerance gives about as many key frames with both. Of JHMDB's
#: training clips, in sides of the region (``python -m benchmarks keyframe-decision``).
DEVIATIONS = np.array([0.0401, 0.0413, 0.0429, 0.0445, 0.0483, 0.0540])
COMBINED_DEVIATIONS = np.array([0.0127, 0.0174, 0.0207, 0.0231, 0.0275, 0.0330])
DRIFTS = np.array([0.005, 0.01, 0.015, 0.02, 0.03, 0.045])
#: Joints this far from where they were expected did not move there: another movement begins.
JUMP = 0.25
#: The error grows by at least so much in each frame, however still a person seems to stand: a look
#: comes in the end.
LEAST_PER_FRAME = DRIFT_PER_FRAME / 2


class Expected(NamedTuple):
    """What is expected of a frame.

    Attributes:
        joints: float64 (K, 2) x, y in frame pixels.
        error: mean error of the joints in sides of the region; ``None`` for their drift.
    """

    joints: Doubles
    error: float | None


class Propagation:
    """Propagates the pose of one person from key frame to key frame. Not for several threads.

    Args:
        settings: what moves the joints, and what estimates their error.
        skeleton: joints and limbs.
    """

    def __init__(self, settings: KeyFrames, skeleton: Skeleton) -> None:
        self._motion, self._decision = settings.motion, settings.decision
        # Flow alone states no uncertainty worth asking: that of dynamics is taken.
        self._deviations = COMBINED_DEVIATIONS if self._motion == "both" else DEVIATIONS
        self._uses_dynamics = self._motion != "flow" or self._decision != "drift"
        self._limbs = np.array(skeleton.limbs, np.int64).reshape(-1, 2)
        self._joints = skeleton.num_joints
        self._dynamics = DynamicsForecast()
        self._segment: Segment | None = None
        self._frame = 0

    def reset(self) -> None:
        """Forget the person."""
        self._dynamics.reset()
        self._segment = None

    def warmup(self) -> None:
        """Load what is used, with its kernels."""
        if self._uses_dynamics:
            self._dynamics.warmup(self._joints)
        if self._decision == "learned":
            load_learned_error()

    def begin(self, keypoints: Keypoints, side: float, surprise: float | None) -> None:
        """Go on from a key frame, the frame after the last one.

        Args:
            keypoints: (K, 3) its pose.
            side: of its region, in frame pixels.
            surprise: mean distance of the joints from where they were expected, in sides of the
                region; ``None`` if nothing was expected: a movement begins.
        """
        if surprise is None or surprise > JUMP:
            self._dynamics.reset()
        self._frame += 1
        self._dynamics.add(self._frame, keypoints)
        self._segment = Segment.after_key_frame(keypoints, side, surprise or 0.0)

    def expect(self, step: FlowStep) -> Expected:
        """Return what is expected of the next frame; this changes nothing."""
        if not self._uses_dynamics:
            return Expected(step.joints, None)
        segment = self._following(step)
        dynamics = self._dynamics.after(segment)
        forecast = self._forecast(segment, dynamics)
        return Expected(forecast.joints, self._error(segment, dynamics, forecast))

    def skip(self, step: FlowStep) -> None:
        """Go on from a frame that is no key frame."""
        self._frame += 1
        if self._uses_dynamics:
            self._segment = self._following(step)

    def _following(self, step: FlowStep) -> Segment:
        if self._segment is None:
            raise RuntimeError("Joints were propagated although there is no key frame.")
        return self._segment.extended(step)

    def _forecast(self, segment: Segment, dynamics: Forecast) -> Forecast:
        if self._motion == "dynamics":
            return dynamics
        flow = flow_forecast(segment)
        return flow if self._motion == "flow" else combined(flow, dynamics)

    def _error(self, segment: Segment, dynamics: Forecast, forecast: Forecast) -> float | None:
        """Return the expected error; ``None`` for the drift, also where no joint is known."""
        if self._decision == "drift":
            return None
        if self._decision == "learned":
            features = features_of(segment, dynamics, self._limbs)
            if features is None:
                return None
            return max(load_learned_error().error(features), LEAST_PER_FRAME * segment.frames)
        deviation = mean_deviation(forecast if self._motion == "both" else dynamics)
        return None if deviation is None else on_line(deviation, self._deviations, DRIFTS)


def mean_deviation(forecast: Forecast) -> float | None:
    """Return the mean standard deviation of the joints; ``None`` if none is known."""
    known = forecast.variance[np.isfinite(forecast.variance)]
    return float(np.sqrt(known).mean()) if len(known) else None
