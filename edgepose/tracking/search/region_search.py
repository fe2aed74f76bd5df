"""The light network's search for a person in regions of a frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgepose.inference.estimator import Image, Keypoints, PoseEstimator, StageClock
from edgepose.tracking.search.search_budget import SearchBudget
from edgepose_runtime.geometry.roi import JOINT_BOX_MARGIN, Roi
from edgepose_runtime.poses.roi_tracker import is_person, person_roi

#: The best of them, which are refined.
CANDIDATES = 3
#: How often a candidate's region is replaced by a better one, at most.
REGION_UPDATES = 3
#: In a region that suits the person badly the scores are lower; so is the bar, at first.
ROUGH_SCORE = 0.5
#: The first closer look is a wide one, for the parts of the person that were cut off.
WIDE_MARGIN = 0.3
#: To start a track takes more joints than to go on with one: a tree may look like a pair of legs.
MIN_JOINTS_TO_START = 0.45


class RegionSearch:
    """Looks for a person in given regions, roughly, and then closer at the best ones.

    Attributes:
        criteria: what counts as a person here.

    Args:
        estimator: estimates poses in regions.
        budget: pays for each look.
    """

    def __init__(self, estimator: PoseEstimator, budget: SearchBudget) -> None:
        self.criteria = replace(estimator.criteria, min_joints=MIN_JOINTS_TO_START)
        self._estimator = estimator
        self._budget = budget

    def region_of_person(self, image: Image, regions: Sequence[Roi]) -> Roi | None:
        """Return the region that suits the best person in regions."""
        rough = [self._locate(image, roi) for roi in regions]
        if not rough:
            return None
        rough.sort(key=self._quality, reverse=True)
        # Rough poses do not rank people well: in a region that suits nobody scores are low.
        closer = [self._refine_region(image, keypoints) for keypoints in rough[:CANDIDATES]]
        best = max(closer, key=self._quality)
        return self._region(image, best) if self._is_person(best) else None

    def _refine_region(self, image: Image, keypoints: Keypoints) -> Keypoints:
        """Repeat in the region around the found joints, until it changes little.

        A region of the search may cut the person off, or show it small: the region around what
        was seen there shows more.
        """
        roi = self._region(image, keypoints, ROUGH_SCORE, WIDE_MARGIN)
        for _ in range(REGION_UPDATES):
            if roi is None:
                break
            keypoints = self._locate(image, roi)
            last, roi = roi, self._region(image, keypoints)
            if not self._is_person(keypoints) or (roi is not None and _alike(last, roi)):
                break
        return keypoints

    def _locate(self, image: Image, roi: Roi) -> Keypoints:
        self._budget.spend(1)
        # On a clock of its own: the stages of a search are not those of a frame.
        return self._estimator.locate(image, roi, StageClock())

    def _is_person(self, keypoints: Keypoints) -> bool:
        return is_person(keypoints, self.criteria)

    def _region(
        self,
        image: Image,
        keypoints: Keypoints,
        bar: float = 1.0,
        margin: float = JOINT_BOX_MARGIN,
    ) -> Roi | None:
        """Return the region around the joints whose score is ``bar`` thresholds or more."""
        height, width = image.shape[:2]
        return person_roi(keypoints, width, height, bar * self.criteria.score_threshold, margin)

    def _quality(self, keypoints: Keypoints) -> float:
        """Rank a pose by its scores and by its size: who is meant is rather the larger person.

        A few sure joints say more than many doubtful ones, hence the squares.
        """
        trusted = keypoints[keypoints[:, 2] >= self.criteria.score_threshold]
        if not len(trusted):
            return 0.0
        extent = float(np.ptp(trusted[:, :2], axis=0).max())
        sureness = float(np.square(trusted[:, 2]).sum())
        return sureness * math.sqrt(extent)


def _alike(first: Roi, second: Roi) -> bool:
    """Whether no edge of one square is further than a tenth of its side from the other's."""
    change = abs(first.width - second.width) / 2 + max(
        abs(a - b) for a, b in zip(first.center, second.center, strict=True)
    )
    return change <= 0.1 * first.width
