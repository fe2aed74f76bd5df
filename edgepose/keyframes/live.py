"""Poses between key frames, carried along with the movement of the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgepose.inference.estimator import Image, Keypoints, Look
from edgepose.keyframes.decision import KeyFrameDecision
from edgepose.keyframes.settings import KeyFrames
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.optical_flow import FlowStep, JointFlow, View
from edgepose_runtime.poses.skeletons import Skeleton

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """A pose that was carried into a frame.

    Attributes:
        keypoints: float32 (K, 3): x, y in frame pixels, with the scores of the key frame.
        is_key: the frame should be looked at nevertheless.
        step: the movement.
    """

    keypoints: Keypoints
    is_key: bool
    step: FlowStep


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """How the joints came into a frame.

    Attributes:
        joints: float64 (K, 2) x, y in frame pixels: carried, or in a key frame as it was seen.
        roi: the region that was watched on the way.
        step: the movement; ``None`` if they were not carried into the frame.
    """

    joints: Doubles
    roi: Roi
    step: FlowStep | None

    @property
    def view(self) -> View:
        """The region in grey."""
        if self.step is None:
            raise RuntimeError("There is no view of a frame that joints were not carried into.")
        return self.step.view


class LiveKeyFrames:
    """Chooses the key frames of one stream, and carries poses through the others.

    Not for several threads at once. :meth:`carry` changes nothing: a frame that fails leaves no
    trace.

    Args:
        settings: how to choose.
        skeleton: joints and limbs.
    """

    def __init__(self, settings: KeyFrames, skeleton: Skeleton) -> None:
        self.settings = settings
        self.flow = JointFlow(skeleton.num_joints, skeleton.limbs)
        self._decision = KeyFrameDecision(settings)
        self.reset()

    @property
    def passage(self) -> Passage | None:
        """How the joints came into the last frame; ``None`` if there were none."""
        return self._passage

    def reset(self) -> None:
        """Forget the person."""
        self._scores: NDArray[np.float32] | None = None
        self._passage: Passage | None = None
        self._decision.reset()

    def warmup(self) -> None:
        """Use every kernel once, on an empty picture."""
        flow = JointFlow(1, ())
        image = np.full((64, 64, 3), 128, np.uint8)
        flow.start(image, Roi(0, 0, 48, 48), np.full((1, 2), 24.0))
        flow.step(image)

    def carry(self, image: Image) -> Carried | None:
        """Return the pose expected in the next frame; ``None`` if there is none to carry on."""
        if self._scores is None:
            return None
        step = self.flow.step(image)
        keypoints = np.empty((len(step.joints), 3), np.float32)
        keypoints[:, :2], keypoints[:, 2] = step.joints, self._scores
        return Carried(keypoints, self._decision.wants(step.moved, step.doubt), step)

    def carried(self, carried: Carried) -> None:
        """Take in that no network looked at the frame."""
        self.flow.accept(carried.step)
        self._passage = Passage(carried.step.joints, self.flow.roi, carried.step)
        self._decision.carried(carried.step.moved)

    def looked(self, image: Image, look: Look | None, carried: Carried | None) -> None:
        """Take in what the networks saw in a frame.

        Args:
            image: the frame.
            look: the pose; ``None`` if nobody was found.
            carried: what was expected, if anything.
        """
        if carried is None or look is None:
            self._decision.looked()
        else:
            surprise = _distance(carried.keypoints, look.keypoints) / look.roi.width
            self._decision.looked(carried.step.moved, surprise)
        if look is None:
            self.reset()
        else:
            step = None if carried is None else carried.step
            self._passage = Passage(look.keypoints[:, :2].astype(np.float64), self.flow.roi, step)
            self._scores = look.keypoints[:, 2]
            self.flow.start(image, look.roi, look.keypoints[:, :2])


def _distance(expected: Keypoints, seen: Keypoints) -> float:
    """Return the mean distance of the joints in pixels, weighted by their scores; 0 for none."""
    apart = np.hypot(*(expected[:, :2] - seen[:, :2]).T)
    known = np.isfinite(apart)
    weight = np.minimum(expected[known, 2], seen[known, 2])
    total = float(weight.sum())
    return float((weight * apart[known]).sum()) / total if total > 0 else 0.0
