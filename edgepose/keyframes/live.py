"""Key frames of a stream, and the poses propagated between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose.inference.estimator import Image, Keypoints, Observation
from edgepose.keyframes.decision import KeyFrameDecision, has_changed
from edgepose.keyframes.propagation import Propagation
from edgepose.keyframes.settings import KeyFrames
from edgepose.methods.base import FollowedJoints
from edgepose.results import Origin
from edgepose.tracking.strategies import PropagatedPose
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.grey_view import View
from edgepose_runtime.poses.optical_flow import FlowStep, JointFlow
from edgepose_runtime.poses.skeletons import Skeleton

Doubles = NDArray[np.float64]

#: So many frames in a row in which flow loses the joints are passed over before one becomes a key
#: frame: from a dark, blurred or covered frame the networks would get a worse pose than the last.
#: A cut is recognised that much later. Chosen on degraded clips of `selection`, among 0 to 3.
PATIENCE = 2


@dataclass(frozen=True, slots=True, eq=False)
class JointMotion:
    """How the joints moved into a frame.

    Attributes:
        joints: float64 (K, 2) x, y in frame pixels: propagated, or in a key frame as observed.
        roi: the region that optical flow was computed in.
        step: the movement; ``None`` if they were not propagated into the frame.
    """

    joints: Doubles
    roi: Roi
    step: FlowStep | None

    @property
    def view(self) -> View:
        """The region in grey."""
        if self.step is None:
            raise RuntimeError("There is no view of a frame that joints were not propagated into.")
        return self.step.view


class LiveKeyFrames:
    """Chooses the key frames of one stream, and propagates poses through the others.

    Not for several threads at once. :meth:`propagate` changes nothing: a frame that fails leaves no
    trace.

    Args:
        settings: how to choose.
        skeleton: joints and limbs.
    """

    counts_age = True

    def __init__(self, settings: KeyFrames, skeleton: Skeleton) -> None:
        self.settings = settings
        self.flow = JointFlow(skeleton.num_joints, skeleton.limbs)
        self._decision = KeyFrameDecision(settings)
        self._propagation = Propagation(settings, skeleton)
        self.reset()

    @property
    def motion(self) -> JointMotion | None:
        """How the joints moved into the last frame; ``None`` if there were none."""
        return self._motion

    def reset(self) -> None:
        """Forget the person."""
        self._scores: NDArray[np.float32] | None = None
        self._motion: JointMotion | None = None
        self._held = 0
        self._passed: FollowedJoints | None = None
        self._start: Any = None
        self._decision.reset()
        self._propagation.reset()

    def warmup(self) -> None:
        """Use every kernel once, on an empty picture."""
        flow = JointFlow(1, ())
        image = np.full((64, 64, 3), 128, np.uint8)
        flow.start(image, Roi(0, 0, 48, 48), np.full((1, 2), 24.0))
        flow.step(image)
        self._propagation.warmup()

    def propagate(self, image: Image) -> PropagatedPose | None:
        """Return the pose expected in the next frame; ``None`` if there is none to propagate."""
        if self._scores is None:
            return None
        step = self._step(image)
        joints, error = self._propagation.expect(step)
        keypoints = np.empty((len(joints), 3), np.float32)
        keypoints[:, :2], keypoints[:, 2] = joints, self._scores
        is_key = not step.held and self._decision.is_key_frame(step.moved, step.doubt, error)
        followed = self._followed(step) if is_key and self._passed is not None else None
        return PropagatedPose(keypoints, is_key, step, followed)

    def _step(self, image: Image) -> FlowStep:
        """Return how the joints move into a frame; they stay if the picture has just changed."""
        step = self.flow.step(image)
        can_hold = self._held < PATIENCE and self.settings.budget < 1
        return self.flow.hold(step) if can_hold and has_changed(step.doubt) else step

    def _followed(self, step: FlowStep) -> FollowedJoints:
        """Return the joints in a frame, with all doubts since the last key frame."""
        doubts, last, start = step.doubt, self._passed, self._start
        if last is None:
            return FollowedJoints(step.joints, 1, doubts, doubts * doubts, start)
        squared = last.squared_doubts + doubts * doubts
        return FollowedJoints(step.joints, last.frames + 1, last.doubts + doubts, squared, start)

    def as_key_frame(self, observation: Observation) -> Observation:
        """Return a frame's observation with the origin ``key_frame``."""
        estimate = replace(observation.estimate, origin=Origin.KEY_FRAME)
        return replace(observation, estimate=estimate)

    def skipped(self, propagated: PropagatedPose) -> None:
        """Take in that no network processed the frame."""
        self.flow.accept(propagated.step)
        self._held = self._held + 1 if propagated.step.held else 0
        self._propagation.skip(propagated.step)
        self._passed = self._followed(propagated.step)
        joints = propagated.keypoints[:, :2].astype(np.float64)
        self._motion = JointMotion(joints, self.flow.roi, propagated.step)
        self._decision.skipped(propagated.step.moved)

    def observed(
        self, image: Image, observation: Observation | None, propagated: PropagatedPose | None
    ) -> None:
        """Take in what the networks saw in a frame.

        Args:
            image: the frame.
            observation: of the person; ``None`` if nobody was found.
            propagated: the pose that was expected, if any.
        """
        surprise = None
        if propagated is None or observation is None:
            self._decision.observed()
        else:
            surprise = (
                _distance(propagated.keypoints, observation.keypoints) / observation.roi.width
            )
            self._decision.observed(propagated.step.moved, surprise)
        if observation is None:
            self.reset()
        else:
            step = None if propagated is None else propagated.step
            self._begin(image, observation, step, surprise)

    def _begin(
        self, image: Image, seen: Observation, step: FlowStep | None, surprise: float | None
    ) -> None:
        """Go on from a key frame."""
        joints = seen.keypoints[:, :2]
        self._motion = JointMotion(joints.astype(np.float64), self.flow.roi, step)
        self._scores = seen.keypoints[:, 2]
        self._held, self._passed, self._start = 0, None, seen.estimate.state
        self.flow.start(image, seen.roi, joints)
        self._propagation.begin(seen.keypoints, seen.roi.width, surprise)


def _distance(expected: Keypoints, seen: Keypoints) -> float:
    """Return the mean distance of the joints in pixels, weighted by their scores; 0 for none."""
    apart = np.hypot(*(expected[:, :2] - seen[:, :2]).T)
    known = np.isfinite(apart)
    weight = np.minimum(expected[known, 2], seen[known, 2])
    total = float(weight.sum())
    return float((weight * apart[known]).sum()) / total if total > 0 else 0.0
