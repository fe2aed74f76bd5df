"""Carrying a head's heat-maps from frame to frame.

PPN's propagation unit forgets within a few frames: it was trained on heat-maps that are about as
good as the body's. A heavy head's are better, and worth more trust. They are moved joint by joint
with the picture, weighed by what the body sees, and mixed with what the unit makes of them, the
less the longer ago the head looked. That is the head's word. The track takes it where it means
another place than the unit; where both mean the same place, both have a say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose.inference.estimator import Look
from edgepose.methods.base import CarryingMethod, Estimate, Heatmaps, MethodSpec
from edgepose.remote.thumbnails import Picture, follow_points
from edgepose_runtime.geometry.roi import Roi

#: How far the head's own heat-maps are trusted on the frame that it looked at.
FIRST_TRUST = 0.95
#: What is left of the trust in a joint after each frame, if it was followed, and if it was not.
FOLLOWED, NOT_FOLLOWED = 0.96, 0.92
#: Below this trust in all joints the head is forgotten: the propagation unit carries on alone.
LEAST_TRUST = 0.2
#: Peaks that are no further apart, in cells, mean the same place; how far the head's is taken then.
SAME_PLACE, AGREED = 1.5, 0.7
#: How much the body's heat-maps move carried ones, and what they say where they see nothing.
_WEIGHT, _FLOOR = 0.3, 0.3

Trust = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """What is kept of a frame that was tracked.

    Attributes:
        number: counts the frames that a network saw.
        timestamp_ms: when it was taken.
        look: what the networks made of it.
        picture: what it looked like.
    """

    number: int
    timestamp_ms: float
    look: Look
    picture: Picture


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """A head's answer, carried up to a frame.

    Attributes:
        frame: that frame, with the look that follows from the head's answer.
        word: what the head says of it, (K, h, w); the look has that only where it adds something.
        trust: in each joint, (K,) from 0 to 1.
        asked: the frame that the head looked at.
    """

    frame: Frame
    word: Heatmaps
    trust: Trust
    asked: Frame

    @property
    def frames_late(self) -> int:
        """How many frames it was carried through."""
        return self.frame.number - self.asked.number


def begin(method: CarryingMethod, heatmaps: Heatmaps, asked: Frame) -> Carried:
    """Return a head's heat-maps (K, h, w) for a frame, with its own body taken into account."""
    own = method.carry(heatmaps, asked.look.roi, asked.look.estimate.state)
    trust = np.full(len(heatmaps), FIRST_TRUST, np.float32)
    word = _mixed(heatmaps, own.heatmaps, trust)
    return Carried(_seen_as(method, asked, own, word, age=0), word, trust, asked)


def carry_on(method: CarryingMethod, last: Carried, frame: Frame) -> Carried:
    """Carry an answer on into a later frame that is remembered."""
    look = last.frame.look
    own = method.carry(look.estimate.heatmaps, look.roi, frame.look.estimate.state)
    return sustain(method, last, frame, own)


def sustain(method: CarryingMethod, last: Carried, frame: Frame, own: Estimate) -> Carried:
    """Carry an answer on into a frame of which the method made an estimate from the last one.

    Args:
        method: its body saw the frame.
        last: the answer, carried up to an earlier frame.
        frame: the frame.
        own: what the method makes of the frame, starting from ``last``.
    """
    moved, followed = _moved(method.spec, last, frame)
    trust = last.trust * np.where(followed, FOLLOWED, NOT_FOLLOWED).astype(np.float32)
    weighed = _weighed(moved, method.preliminary(own.state))
    word = _mixed(weighed, own.heatmaps, trust)
    age = last.frame.look.key_frame_age + frame.number - last.frame.number
    return Carried(_seen_as(method, frame, own, word, age), word, trust, last.asked)


def _seen_as(
    method: CarryingMethod, frame: Frame, own: Estimate, word: Heatmaps, age: int
) -> Frame:
    heatmaps = _settled(word, own.heatmaps)
    roi = frame.look.roi
    keypoints = method.spec.decode(heatmaps, roi)
    return replace(frame, look=Look(roi, keypoints, method.replaced(own, heatmaps), age))


def _settled(word: Heatmaps, own: Heatmaps) -> Heatmaps:
    """Return the head's word where it means another place than the method's own, else some of both.

    Where both mean the same place the own one may well be finer: it looked at this very frame.
    What is settled on is for this frame only. Were it what is carried on, the own one could walk
    away with a joint in small steps.
    """
    apart = np.linalg.norm(_peaks(word) - _peaks(own), axis=1)
    trust = np.where(apart <= SAME_PLACE, AGREED, 1.0).astype(np.float32)
    return _mixed(word, own, trust)


def _peaks(heatmaps: Heatmaps) -> NDArray[np.float32]:
    """Return the highest cell of each heat-map, (K, 2)."""
    flat = heatmaps.reshape(len(heatmaps), -1).argmax(axis=1)
    return np.column_stack(np.divmod(flat, heatmaps.shape[2])).astype(np.float32)


def _mixed(trusted: Heatmaps, own: Heatmaps, trust: Trust) -> Heatmaps:
    mixed: Heatmaps = own + trust[:, None, None] * (trusted - own)
    return mixed


def _weighed(moved: Heatmaps, preliminary: Heatmaps) -> Heatmaps:
    """Draw carried peaks to where the body sees something nearby, and keep their height."""
    evidence = moved * (np.maximum(preliminary, 0) + _FLOOR)
    height = np.maximum(moved.max(axis=(1, 2)), 0)
    scale = height / np.maximum(evidence.max(axis=(1, 2)), 1e-6)
    weighed: Heatmaps = moved + _WEIGHT * (evidence * scale[:, None, None] - moved)
    return weighed


def _moved(spec: MethodSpec, last: Carried, frame: Frame) -> tuple[Heatmaps, NDArray[np.bool_]]:
    """Move the head's word on each joint with the picture, into the frame's region."""
    look = last.frame.look
    shifts, followed = follow_points(look.keypoints[:, :2], last.frame.picture, frame.picture)
    moved = np.empty_like(last.word)
    for joint, shift in enumerate(shifts):
        affine = _between_grids(spec, look.roi, frame.look.roi, shift)
        size = spec.heatmap_size, spec.heatmap_size
        cv2.warpAffine(last.word[joint], affine, size, dst=moved[joint], flags=cv2.INTER_LINEAR)
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
