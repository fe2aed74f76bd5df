"""What flow says of the frames since the last key frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgepose.keyframes.decision import drift
from edgepose_runtime.poses.optical_flow import FlowStep

Doubles = NDArray[np.float64]
Keypoints = NDArray[np.float32]

#: A doubt counts at most so much, in sides of the region: beyond, a joint is lost anyway.
LARGEST_DOUBT = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """The frames since a key frame. Lengths are in sides of the key frame's region.

    Attributes:
        key: (K, 3) the pose of the key frame: x, y in frame pixels, and scores.
        side: of its region, in frame pixels.
        surprise: mean distance of its joints from where they were expected; 0 if they were not.
        joints: (K, 2) where flow has the joints now, in frame pixels.
        frames: how many frames followed the key frame.
        drifted: sum of :func:`~edgepose.keyframes.decision.drift`.
        moved: (K,) sum of how far each joint went.
        squared: (K,) sum of the squares of that.
        doubt: (K,) doubt of the last frame, at most `LARGEST_DOUBT`.
        doubts: (K,) sum of the doubts.
        squared_doubts: (K,) sum of their squares.
    """

    key: Keypoints
    side: float
    surprise: float
    joints: Doubles
    frames: int
    drifted: float
    moved: Doubles
    squared: Doubles
    doubt: Doubles
    doubts: Doubles
    squared_doubts: Doubles

    @classmethod
    def after_key_frame(cls, key: Keypoints, side: float, surprise: float) -> Segment:
        """Return the segment that begins with a key frame."""
        none = np.zeros(len(key))
        joints = key[:, :2].astype(np.float64)
        return cls(key, side, surprise, joints, 0, 0.0, none, none, none, none, none)

    def extended(self, step: FlowStep) -> Segment:
        """Return the segment with one more frame; this one stays as it is."""
        doubt = np.minimum(step.doubt, LARGEST_DOUBT)
        return replace(
            self,
            joints=step.joints,
            frames=self.frames + 1,
            drifted=self.drifted + drift(step.moved),
            moved=self.moved + step.moved,
            squared=self.squared + step.moved * step.moved,
            doubt=doubt,
            doubts=self.doubts + doubt,
            squared_doubts=self.squared_doubts + doubt * doubt,
        )
