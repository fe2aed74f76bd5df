"""The ``everyday`` protocol: each person in a photo by themselves, in the annotated box.

Accuracy is the average recall over OKS .50:.95 and the share of joints within a tenth of the box,
both over the twelve joints from shoulders to ankles. A person without a pose counts 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.clips import Clip
from edgepose.datasets.records import Image
from edgepose.evaluation.boxes import person_boxes
from edgepose.evaluation.metrics.bootstrap import Resampled, weighted_ratio
from edgepose.evaluation.metrics.oks import (
    BOX_TO_AREA,
    LIMB_SIGMAS,
    keypoint_similarity,
    recalls,
)
from edgepose.evaluation.metrics.pck import LIMB_JOINTS, body_lengths
from edgepose.evaluation.protocols.predictors import ClipPredictor
from edgepose.evaluation.protocols.runner import Candidate
from edgepose.inference.model import PoseModel
from edgepose.tracker import PoseTracker
from edgepose.utils.progress import show_progress
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.skeletons import COCO17, Skeleton

FloatArray = NDArray[np.floating]

CROP_FACTOR = 1.15
"""How much the annotated box is enlarged to the region that our models are given."""

TOLERANCE = 0.1
"""A joint is a hit within this part of the longer side of the box."""

FIGURES = ("AR12", f"PCK12@{TOLERANCE:g}", "no pose")
"""What :meth:`PeopleScore.resampled` gives, in percent."""

_LIMBS = [COCO17.index(name) for name in LIMB_JOINTS]


class PhotoPredictor:
    """A model as a tracker uses it, told where the person is: it may say that nobody is there.

    Args:
        model: shared by a fresh tracker for each photo.
    """

    def __init__(self, model: PoseModel) -> None:
        self._model = model

    @property
    def skeleton(self) -> Skeleton:
        """The order of the predicted joints."""
        return self._model.skeleton

    def predict(self, clip: Clip) -> NDArray[np.float32]:
        """Return (T, K, 3): x, y in frame pixels and score; all NaN where there is no pose."""
        pairs = zip(clip.frames(), person_boxes(clip), strict=True)
        return np.stack([self._pose(frame, box) for frame, box in pairs])

    def _pose(self, frame: Image, box: Roi) -> NDArray[np.float32]:
        # Networks for upright images see less than the whole width of a square.
        side = CROP_FACTOR * max(box.height, box.width / self._model.method.spec.view.aspect)
        with PoseTracker(self._model, smoothing=False) as tracker:
            keypoints = tracker.track(frame, roi=Roi.around(box.center, side)).keypoints
        if keypoints is None:
            return np.full((self.skeleton.num_joints, 3), np.nan, np.float32)
        return keypoints


@dataclass(frozen=True)
class PeopleScore:
    """N people against their labels.

    Attributes:
        label: of the model.
        names: (N,) of the people.
        photos: (N,) in which they are.
        oks: (N,) object keypoint similarity over the labelled limb joints, 0 to 1.
        hits: (N,) share of the labelled limb joints within the tolerance.
        found: (N,) whether there is a pose.
    """

    label: str
    names: tuple[str, ...]
    photos: tuple[str, ...]
    oks: FloatArray
    hits: FloatArray
    found: NDArray[np.bool_]

    @property
    def without_pose(self) -> int:
        """People for whom there is no pose."""
        return int((~self.found).sum())

    def resampled(self) -> Resampled:
        """The ``FIGURES`` in percent, resampled over photos."""
        values = 100 * np.stack([recalls(self.oks), self.hits, ~self.found], axis=1)
        people = np.ones_like(values)
        return Resampled.of(self.photos, lambda counts: weighted_ratio(counts, values, people))


def score_people(
    label: str,
    predictor: ClipPredictor,
    people: Sequence[Clip],
    on_person: Callable[[Clip], None] | None = None,
) -> PeopleScore:
    """Predict and score everybody.

    Args:
        label: of the model.
        predictor: the model.
        people: clips of one frame with a box, in COCO's order of joints.
        on_person: called after each person, for a progress bar.
    """
    poses = []
    for person in people:
        (pose,) = convert_keypoints(predictor.predict(person), predictor.skeleton, COCO17)
        poses.append(pose[_LIMBS, :2])
        if on_person is not None:
            on_person(person)
    return _score(label, np.stack(poses), people)


def score_all(candidates: Sequence[Candidate], people: Sequence[Clip]) -> list[PeopleScore]:
    """Predict and score all people with each model, with a progress bar."""

    def score(candidate: Candidate) -> PeopleScore:
        def report(_: Clip) -> None:
            progress.advance(note=candidate.label)

        return score_people(candidate.label, candidate.predictor, people, report)

    with show_progress("Evaluating", len(candidates) * len(people)) as progress:
        return [score(candidate) for candidate in candidates]


def _score(label: str, poses: FloatArray, people: Sequence[Clip]) -> PeopleScore:
    """Score limb joints (N, 12, 2) in pixels, NaN where there are none."""
    truth = np.stack([person.keypoints[0, _LIMBS] for person in people]).astype(np.float64)
    labelled = truth[..., 2] > 0
    corners = np.stack([person.boxes[0] for person in people if person.boxes is not None])
    sides = (corners[:, 2:] - corners[:, :2]).astype(np.float64)
    errors = np.linalg.norm(poses - truth[..., :2], axis=-1)
    located: NDArray[np.bool_] = np.isfinite(errors)
    reached = (errors <= TOLERANCE * body_lengths(corners)[:, None]) & labelled
    return PeopleScore(
        label=label,
        names=tuple(person.name for person in people),
        photos=tuple(person.film for person in people),
        oks=keypoint_similarity(errors, labelled, BOX_TO_AREA * sides.prod(axis=1), LIMB_SIGMAS),
        hits=reached.sum(axis=1) / labelled.sum(axis=1),
        found=np.asarray(located.any(axis=1)),
    )
