"""Joints propagated from frame to frame by sparse optical flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.geometry.crop import Image
from edgepose_runtime.geometry.roi import Roi, crop_to_frame, frame_to_crop
from edgepose_runtime.native.library import Kernel, precompiled
from edgepose_runtime.poses.grey_view import HALVINGS, VIEW_SIZE, View, grey_view, view_of

Doubles = NDArray[np.float64]

#: Going there and back, a joint that comes out this many view pixels off is half trusted.
HALF_TRUSTED = 1.0
#: What is taken for a joint that left the view.
LOST = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class FlowStep:
    """The joints' movement into the next frame.

    Attributes:
        joints: float64 (K, 2) x, y in frame pixels; NaN stays NaN.
        moved: float64 (K,) how far each joint went, in sides of the view.
        doubt: float64 (K,) how far off it comes out when followed back, in sides of the view.
        view: the new frame's region in grey.
        places: float64 (K, 2) the joints in pixels of the view.
        held: the joints and the view are those of the frame before.
    """

    joints: Doubles
    moved: Doubles
    doubt: Doubles
    view: View
    places: Doubles
    held: bool = False


class JointFlow:
    """Propagates joints by Lucas-Kanade flow, forward and backward. Not for several threads.

    A patch that does not come back to where it was, on a blurred hand say, is not trusted: its
    joint rather moves along with its neighbours on the body.

    Attributes:
        neighbours: (K, K), 1 for joints that are neighbours.

    Args:
        num_joints: K.
        limbs: pairs of joints that are neighbours.
    """

    def __init__(self, num_joints: int, limbs: Sequence[tuple[int, int]]) -> None:
        self.neighbours: Doubles = np.zeros((num_joints, num_joints))
        for first, second in limbs:
            self.neighbours[first, second] = self.neighbours[second, first] = 1.0
        self._roi = Roi(0, 0, 1, 1)
        self._view = view_of(np.zeros((VIEW_SIZE, VIEW_SIZE), np.uint8))
        self._places: Doubles = np.zeros((num_joints, 2))

    @property
    def roi(self) -> Roi:
        """The region of the frame that is watched."""
        return self._roi

    def start(self, frame: Image, roi: Roi, joints: NDArray[np.floating]) -> None:
        """Watch a region from this frame on.

        Args:
            frame: uint8 BGR (H, W, 3).
            roi: the region, which stays until the next start.
            joints: (K, 2) x, y in frame pixels; NaN where unknown.
        """
        self._roi = roi
        self._view = view_of(grey_view(frame, roi))
        self._places = frame_to_crop(joints, roi, VIEW_SIZE).astype(np.float64)

    def step(self, frame: Image) -> FlowStep:
        """Propagate the joints into the next frame; it counts as the last once it is accepted."""
        view = view_of(grey_view(frame, self._roi))
        places, doubt = self.propagate(self._view, view, self._places)
        moved = np.hypot(*(places - self._places).T)
        joints = np.asarray(crop_to_frame(places, self._roi, VIEW_SIZE), np.float64)
        return FlowStep(joints, moved / VIEW_SIZE, doubt / VIEW_SIZE, view, places)

    def hold(self, step: FlowStep) -> FlowStep:
        """Return a step into the same frame that leaves joints and view as they were before."""
        joints = np.asarray(crop_to_frame(self._places, self._roi, VIEW_SIZE), np.float64)
        return FlowStep(joints, 0 * step.moved, step.doubt, self._view, self._places, held=True)

    def accept(self, step: FlowStep) -> None:
        """Go on from this step."""
        self._view, self._places = step.view, step.places

    def propagate(self, before: View, after: View, joints: Doubles) -> tuple[Doubles, Doubles]:
        """Propagate joints from one view of the region to another, forward or backward in time.

        Args:
            before: a view, as `view_of` makes them.
            after: the same region at another time.
            joints: (K, 2) in pixels of the first view.

        Returns:
            Joints (K, 2) in pixels of the second, and doubts (K,) in pixels.
        """
        there, doubt = np.empty(joints.shape), np.empty(len(joints))
        rest = joints, self.neighbours, HALF_TRUSTED, LOST, there, doubt
        _propagate_on_three_levels()(*before, *after, *rest)
        return there, doubt


@precompiled
def _propagate_on_three_levels() -> Kernel:
    from edgepose_runtime.poses.flow_kernels import propagate_on_three_levels

    return propagate_on_three_levels


def propagate_opencv(
    before: Image, after: Image, joints: Doubles, neighbours: Doubles
) -> tuple[Doubles, Doubles]:
    """Do what :meth:`JointFlow.propagate` does with OpenCV, whose patches are made anew.

    Args:
        before: uint8 grey (S, S).
        after: the same region at another time.
        joints: (K, 2) in pixels of the first view.
        neighbours: (K, K), 1 for joints that are neighbours.
    """
    known: NDArray[np.bool_] = np.asarray(np.isfinite(joints).all(axis=1))
    start = np.where(known[:, None], joints, VIEW_SIZE / 2).astype(np.float32)
    there, found = _follow(before, after, start)
    back, returned = _follow(after, before, there)
    doubt = np.where(found & returned, np.hypot(*(back - start).T), LOST).astype(np.float64)
    trust = np.where(known, 1 / (1 + np.square(doubt / HALF_TRUSTED)), 0.0)
    flow = (there - start).astype(np.float64)
    others = neighbours @ (trust[:, None] * flow) / np.maximum(neighbours @ trust, 1e-6)[:, None]
    moved = trust[:, None] * flow + (1 - trust[:, None]) * others
    return np.where(known[:, None], joints + moved, np.nan), np.where(known, doubt, np.nan)


def _follow(
    before: Image, after: Image, points: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return where points (K, 2) went, and which were found; those that were not stay."""
    import cv2

    from edgepose_runtime.poses.flow_kernels import SHORTEST, SIDE, STEPS

    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        before,
        after,
        np.ascontiguousarray(points[:, None]),
        None,  # type: ignore[call-overload]
        winSize=(SIDE, SIDE),
        maxLevel=HALVINGS,
        criteria=(cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, STEPS, SHORTEST),
    )
    ok = found[:, 0] > 0
    return np.where(ok[:, None], moved[:, 0], points).astype(np.float32), ok
