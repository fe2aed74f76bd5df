"""The ``several`` protocol: a video of several people through a tracker that is told nothing.

A predicted person's box is the extent of the joints that score above 0.2, enlarged by parts of its
height: 12 % above, 10 % below and 6 % at each side. Its similarity to an annotated box is their
intersection over union.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.people_clips import PeopleClip
from edgepose.datasets.records import Image
from edgepose.evaluation.metrics.identity import MatchedFrame
from edgepose.inference.model import PoseModel
from edgepose.tracker import PoseTracker
from edgepose_runtime.geometry.boxes import box_overlaps, enlarged_extent

FloatArray = NDArray[np.floating]
#: A person's identity and keypoints (K, 3).
IdentifiedPose = tuple[int, NDArray[np.float32]]

LEAST_SCORE = 0.2
ABOVE, BELOW, ASIDE = 0.12, 0.10, 0.06


class PeopleTracker(Protocol):
    """Follows everybody in one video, frame after frame."""

    def track(self, frame: Image, timestamp_ms: float) -> Sequence[IdentifiedPose]:
        """Return everybody in the next frame."""

    def close(self) -> None:
        """Let go of everything."""


@dataclass(frozen=True)
class PeopleCandidate:
    """Someone to evaluate.

    Attributes:
        label: the row's name in tables.
        new_tracker: makes a tracker in its initial state.
    """

    label: str
    new_tracker: Callable[[], PeopleTracker]


@dataclass(frozen=True)
class TrackedPeople:
    """What a tracker said about one clip.

    Attributes:
        frames: its people with the annotated ones, frame by frame.
        step_ms: what each frame took, in ms.
    """

    frames: list[MatchedFrame] = field(default_factory=list)
    step_ms: list[float] = field(default_factory=list)


def as_people_tracker(
    model: PoseModel, label: str | None = None, **options: Any
) -> PeopleCandidate:
    """Return a model that follows as many people as it finds, with the tracker's own defaults.

    Args:
        model: with a person detector; shared by a fresh tracker for each clip.
        label: of the row; ``None`` for the model's name.
        options: of :class:`edgepose.PoseTracker`, in place of its defaults.
    """
    several = {"max_people": "all", **options}
    return PeopleCandidate(label or model.name, lambda: _Everybody(PoseTracker(model, **several)))


class _Everybody:
    """A tracker of several people, as it is evaluated."""

    def __init__(self, tracker: PoseTracker) -> None:
        self._tracker = tracker

    def track(self, frame: Image, timestamp_ms: float) -> Sequence[IdentifiedPose]:
        """Return everybody in the next frame."""
        people = self._tracker.track(frame, timestamp_ms=timestamp_ms).people
        return [(person.person_id, person.keypoints) for person in people]

    def close(self) -> None:
        """Let go of everything."""
        self._tracker.close()


def track_people(
    candidate: PeopleCandidate,
    clip: PeopleClip,
    on_frame: Callable[[], None] = lambda: None,
) -> TrackedPeople:
    """Follow everybody through a clip with a fresh tracker."""
    done, tracker = TrackedPeople(), candidate.new_tracker()
    try:
        for index, (image, truth) in enumerate(zip(clip.frames(), clip.people(), strict=True)):
            start = time.perf_counter()
            people = tracker.track(image, 1000 * index / clip.fps)
            done.step_ms.append((time.perf_counter() - start) * 1e3)
            done.frames.append(matched_frame(*truth, people))
            on_frame()
    finally:
        tracker.close()
    return done


def matched_frame(
    true_ids: NDArray[np.int64], true_boxes: FloatArray, people: Iterable[IdentifiedPose]
) -> MatchedFrame:
    """Return annotated people (P,) and their boxes (P, 4) with the predicted ones.

    A prediction without two joints that score enough has no box, and does not count.
    """
    boxed = [(person, pose_box(keypoints)) for person, keypoints in people]
    kept = [(person, box) for person, box in boxed if box is not None]
    boxes = np.array([box for _, box in kept]).reshape(-1, 4)
    ids = np.array([person for person, _ in kept], np.int64)
    return MatchedFrame(true_ids, ids, box_overlaps(np.asarray(true_boxes, np.float64), boxes))


def pose_box(keypoints: FloatArray) -> NDArray[np.float64] | None:
    """Return the box x1, y1, x2, y2 of a pose (K, 3); ``None`` if its joints have no extent."""
    joints = keypoints[keypoints[:, 2] > LEAST_SCORE, :2]
    return enlarged_extent(joints, ABOVE, BELOW, ASIDE)
