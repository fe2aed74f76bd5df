"""Finding a person in a whole frame, with bounded work."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from edgepose.inference.estimator import Image, Keypoints, Observation, PoseEstimator, StageClock
from edgepose_runtime.geometry.roi import JOINT_BOX_MARGIN, Roi
from edgepose_runtime.poses.roi_tracker import (
    RoiTrackerSettings,
    is_person,
    person_roi,
    search_rois,
)

#: Regions searched per frame while nobody is found, at least: the cost of a frame without a person.
REGIONS_PER_FRAME = 4
#: In so many frames every region is searched once, where there are not too many.
FRAMES_PER_ROUND = 5
#: Regions searched in the first frame, at most, and then within a round: a screen twice as wide as
#: usual has 50, but a panorama may have hundreds. The others are searched later.
MOST_REGIONS = 64
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


class PersonSearch:
    """Looks for a person in a frame's regions, cheaply at first, then closer, then with the head.

    The first frame is searched completely, so that a video's first pose is not missed; of a
    panorama, only `MOST_REGIONS` regions. From then on each frame gets the next few regions in
    turn, and the place where the person was last: most come back where they went.
    """

    def __init__(self, estimator: PoseEstimator, settings: RoiTrackerSettings) -> None:
        self._estimator = estimator
        self._settings = replace(settings, min_joints=MIN_JOINTS_TO_START)
        self.reset()

    def reset(self) -> None:
        """Search the next frame completely, and expect nobody anywhere."""
        self._next: int | None = None
        self._expected: tuple[Roi, tuple[int, ...]] | None = None

    def expect(self, roi: Roi, image: Image) -> None:
        """Search a region of frames of this size first: the person was lost there."""
        self._expected = roi, image.shape

    def find(self, image: Image, clock: StageClock) -> Observation | None:
        """Return a first observation of a person; ``None`` if none was found in this frame."""
        with clock.stage("search"):
            roi = self._region_of_person(image)
        if roi is None:
            return None
        look = self._estimator.initialise(image, roi, clock)
        if not is_person(look.keypoints, self._settings, roi.width):
            return None
        self._next = 0  # the next search begins with the most likely regions again
        self._expected = None
        return look

    def _region_of_person(self, image: Image) -> Roi | None:
        """Return the region that suits the best person in this frame's turn of regions."""
        rough = [self._locate(image, roi) for roi in self._turn(image)]
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

    def _turn(self, image: Image) -> list[Roi]:
        """Return the regions to search in this frame, and move on."""
        height, width = image.shape[:2]
        regions = search_rois(width, height)
        start, count = self._next, _regions_per_frame(len(regions))
        if start is None:
            start, count = 0, min(len(regions), MOST_REGIONS)
        self._next = (start + count) % len(regions)
        turn = [regions[(start + step) % len(regions)] for step in range(count)]
        return [*self._last_place(image), *turn]

    def _last_place(self, image: Image) -> list[Roi]:
        if self._expected is None or self._expected[1] != image.shape:
            return []
        return [self._expected[0]]

    def _locate(self, image: Image, roi: Roi) -> Keypoints:
        # On a clock of its own: the stages of a search are not those of a frame.
        return self._estimator.locate(image, roi, StageClock())

    def _is_person(self, keypoints: Keypoints) -> bool:
        return is_person(keypoints, self._settings)

    def _region(
        self,
        image: Image,
        keypoints: Keypoints,
        bar: float = 1.0,
        margin: float = JOINT_BOX_MARGIN,
    ) -> Roi | None:
        """Return the region around the joints whose score is ``bar`` thresholds or more."""
        height, width = image.shape[:2]
        return person_roi(keypoints, width, height, bar * self._settings.score_threshold, margin)

    def _quality(self, keypoints: Keypoints) -> float:
        """Rank a pose by its scores and by its size: who is meant is rather the larger person.

        A few sure joints say more than many doubtful ones, hence the squares.
        """
        trusted = keypoints[keypoints[:, 2] >= self._settings.score_threshold]
        if not len(trusted):
            return 0.0
        extent = float(np.ptp(trusted[:, :2], axis=0).max())
        sureness = float(np.square(trusted[:, 2]).sum())
        return sureness * math.sqrt(extent)


def _regions_per_frame(regions: int) -> int:
    round_of = min(regions, MOST_REGIONS)
    return min(max(REGIONS_PER_FRAME, math.ceil(round_of / FRAMES_PER_ROUND)), regions)


def _alike(first: Roi, second: Roi) -> bool:
    """Whether no edge of one square is further than a tenth of its side from the other's."""
    change = abs(first.width - second.width) / 2 + max(
        abs(a - b) for a, b in zip(first.center, second.center, strict=True)
    )
    return change <= 0.1 * first.width
