"""Propagating a head's heat-maps from frame to frame.

PPN's propagation unit forgets within a few frames: it was trained on heat-maps that are about as
good as the body's. A heavy head's are better, and worth more trust. They are moved joint by joint
by optical flow, weighted by the body's heat-maps, and averaged with the unit's output, with a
weight that decreases with the age of the answer. That is the head's propagated estimate. The track
takes it where its peak is elsewhere than the unit's; where both peaks are at the same place, the
two are averaged.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose.inference.estimator import Observation
from edgepose.methods.base import Estimate, Heatmaps, MethodSpec, PropagatingMethod
from edgepose.remote.thumbnails import Thumbnail, follow_points
from edgepose_runtime.geometry.roi import Roi

#: How far the head's own heat-maps are trusted on the frame that it processed.
FIRST_TRUST = 0.95
#: What is left of the trust in a joint after each frame, if it was followed, and if it was not.
FOLLOWED, NOT_FOLLOWED = 0.96, 0.92
#: Below this trust in all joints the head is ignored: the propagation unit continues alone.
LEAST_TRUST = 0.2
#: Peaks no further apart, in cells, are at the same place; the head's weight is then reduced.
SAME_PLACE, AGREED = 1.5, 0.7
#: How much the body's heat-maps shift propagated ones, and their value where they see nothing.
_WEIGHT, _FLOOR = 0.3, 0.3

Trust = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class RememberedFrame:
    """What is kept of a frame that was tracked.

    Attributes:
        number: counts the frames that a network saw.
        timestamp_ms: when it was taken.
        look: what the networks made of it.
        picture: what it looked like.
    """

    number: int
    timestamp_ms: float
    observation: Observation
    thumbnail: Thumbnail


@dataclass(frozen=True, slots=True, eq=False)
class PropagatedAnswer:
    """A head's answer, propagated to a frame.

    Attributes:
        frame: that frame, with the look that follows from the head's answer.
        heatmaps: the head's estimate for it, (K, h, w), before it is merged with the method's.
        trust: in each joint, (K,) from 0 to 1.
        asked: the frame that the head processed.
    """

    frame: RememberedFrame
    heatmaps: Heatmaps
    trust: Trust
    asked: RememberedFrame

    @property
    def frames_late(self) -> int:
        """How many frames it was propagated through."""
        return self.frame.number - self.asked.number


def begin(
    method: PropagatingMethod, heatmaps: Heatmaps, asked: RememberedFrame
) -> PropagatedAnswer:
    """Return a head's heat-maps (K, h, w) for a frame, with its own body taken into account."""
    seen = asked.observation
    own = method.propagate(heatmaps, seen.roi, seen.estimate.state, same_frame=True)
    trust = np.full(len(heatmaps), FIRST_TRUST, np.float32)
    estimate = _mixed(heatmaps, own.heatmaps, trust)
    return PropagatedAnswer(
        _remembered(method, asked, own, estimate, age=0), estimate, trust, asked
    )


def propagate_to(
    method: PropagatingMethod, last: PropagatedAnswer, frame: RememberedFrame
) -> PropagatedAnswer:
    """Propagate an answer to a later frame that is remembered."""
    observation = last.frame.observation
    own = method.propagate(
        observation.estimate.heatmaps, observation.roi, frame.observation.estimate.state
    )
    return correct_estimate(method, last, frame, own)


def correct_estimate(
    method: PropagatingMethod, last: PropagatedAnswer, frame: RememberedFrame, own: Estimate
) -> PropagatedAnswer:
    """Propagate an answer to a frame of which the method made an estimate from the last one.

    Args:
        method: its body saw the frame.
        last: the answer, propagated to an earlier frame.
        frame: the frame.
        own: what the method makes of the frame, starting from ``last``.
    """
    moved, followed = _moved(method.spec, last, frame)
    trust = last.trust * np.where(followed, FOLLOWED, NOT_FOLLOWED).astype(np.float32)
    weighed = _weighed(moved, method.preliminary(own.state))
    estimate = _mixed(weighed, own.heatmaps, trust)
    age = last.frame.observation.key_frame_age + frame.number - last.frame.number
    return PropagatedAnswer(
        _remembered(method, frame, own, estimate, age), estimate, trust, last.asked
    )


def _remembered(
    method: PropagatingMethod, frame: RememberedFrame, own: Estimate, estimate: Heatmaps, age: int
) -> RememberedFrame:
    heatmaps = _merged(estimate, own.heatmaps)
    roi = frame.observation.roi
    keypoints = method.spec.decode(heatmaps, roi)
    return replace(
        frame,
        observation=Observation.of(
            method.spec, roi, keypoints, method.replaced(own, heatmaps), age
        ),
    )


def _merged(estimate: Heatmaps, own: Heatmaps) -> Heatmaps:
    """Return the head's estimate where its peak is elsewhere than the method's, else a mean.

    Where both agree the method's is often more precise: it processed this very frame. The result
    is for this frame only; if it were propagated further, the method's estimate could drift away
    with a joint in small steps.
    """
    apart = np.linalg.norm(_peaks(estimate) - _peaks(own), axis=1)
    trust = np.where(apart <= SAME_PLACE, AGREED, 1.0).astype(np.float32)
    return _mixed(estimate, own, trust)


def _peaks(heatmaps: Heatmaps) -> NDArray[np.float32]:
    """Return the highest cell of each heat-map, (K, 2)."""
    flat = heatmaps.reshape(len(heatmaps), -1).argmax(axis=1)
    return np.column_stack(np.divmod(flat, heatmaps.shape[2])).astype(np.float32)


def _mixed(trusted: Heatmaps, own: Heatmaps, trust: Trust) -> Heatmaps:
    mixed: Heatmaps = own + trust[:, None, None] * (trusted - own)
    return mixed


def _weighed(moved: Heatmaps, preliminary: Heatmaps) -> Heatmaps:
    """Shift propagated peaks to where the body sees something nearby, and keep their height."""
    evidence = moved * (np.maximum(preliminary, 0) + _FLOOR)
    height = np.maximum(moved.max(axis=(1, 2)), 0)
    scale = height / np.maximum(evidence.max(axis=(1, 2)), 1e-6)
    weighed: Heatmaps = moved + _WEIGHT * (evidence * scale[:, None, None] - moved)
    return weighed


def _moved(
    spec: MethodSpec, last: PropagatedAnswer, frame: RememberedFrame
) -> tuple[Heatmaps, NDArray[np.bool_]]:
    """Move the head's estimate of each joint by optical flow, into the frame's region."""
    observation = last.frame.observation
    shifts, followed = follow_points(
        observation.keypoints[:, :2], last.frame.thumbnail, frame.thumbnail
    )
    moved = np.empty_like(last.heatmaps)
    for joint, shift in enumerate(shifts):
        affine = _between_grids(spec, observation.roi, frame.observation.roi, shift)
        size = spec.heatmap_size, spec.heatmap_size
        cv2.warpAffine(last.heatmaps[joint], affine, size, dst=moved[joint], flags=cv2.INTER_LINEAR)
    return moved, followed


def _between_grids(
    spec: MethodSpec, source: Roi, target: Roi, shift: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the affine map (2, 3) from cells of one region to those of another, shifted."""
    zoom = source.width / target.width
    cell = target.width / spec.input_size * spec.stride
    corner = (np.array([source.x, source.y]) - (target.x, target.y) + shift) / cell
    # Cell c lies at crop pixel c * stride + offset, whose left edge is half a pixel before.
    inset = (spec.offset + 0.5) / spec.stride
    return np.column_stack([np.eye(2) * zoom, corner + inset * (zoom - 1)])
