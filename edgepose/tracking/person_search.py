"""Finding a person in a whole frame, with bounded work."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from edgepose.inference.estimator import Image, Keypoints, Observation, PoseEstimator, StageClock
from edgepose.tracking.motion_detection import MotionDetector
from edgepose.tracking.search_budget import DEFAULT_BUDGET, SearchBudget
from edgepose_runtime.geometry.roi import JOINT_BOX_MARGIN, Roi
from edgepose_runtime.poses.roi_tracker import (
    RoiTrackerSettings,
    is_person,
    person_roi,
    search_rois,
)

#: What the head costs, in looks at a region.
HEAD_LOOKS = 6
#: What the person detector costs, in looks at a region.
DETECTION_LOOKS = 3
#: While nothing happens, frames from one run of the detector to the next; half as many while
#: something moves.
FRAMES_PER_DETECTION = 8
#: Regions that the detector proposed and the head looks at, at most.
MOST_PROPOSALS = 2
#: After a start, a loss or a cut the search hurries for so many frames: every region is searched
#: within them, where there are not too many.
FRAMES_PER_ROUND = 5
#: Regions searched in each of those frames, at least.
REGIONS_PER_FRAME = 4
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

#: Returns regions of a frame that show people, the likeliest first.
Propose = Callable[[Image], Sequence[Roi]]


class NoSearch:
    """Nobody is searched for: the region is given from outside, as where people are detected."""

    def reset(self) -> None:
        """Do nothing."""

    def expect(self, roi: Roi, image: Image) -> None:
        """Do nothing."""

    def skipped(self) -> None:
        """Do nothing."""

    def find(self, image: Image, clock: StageClock) -> Observation | None:  # noqa: ARG002 - as there
        """Return ``None``."""
        return None


class PersonSearch:
    """Looks for a person in a frame's regions, cheaply at first, then closer, then with the head.

    Where all that finds nobody, a person detector may propose regions, which need the head's
    consent only: of whom it sees, head and shoulders are enough. It does not come first, as its
    boxes suit the networks less than regions around joints do.

    The first frame is searched completely, so that a video's first pose is not missed; of a
    panorama, only `MOST_REGIONS` regions. After that, and after a loss or a cut, each of the next
    frames gets a fifth of the regions and the place where the person was last: most come back
    where they went. From then on the search goes through the regions slowly, and looks at whatever
    moves. A budget bounds the cost of all this on average; the first frame does not count.

    Args:
        estimator: estimates poses in regions.
        budget: average cost of a frame without a person, in steps for a person.
        propose: a person detector; ``None`` for none.

    Raises:
        ConfigError: the budget is no number above 0.
    """

    def __init__(
        self,
        estimator: PoseEstimator,
        budget: float = DEFAULT_BUDGET,
        propose: Propose | None = None,
    ) -> None:
        self._estimator = estimator
        self._settings = replace(estimator.criteria, min_joints=MIN_JOINTS_TO_START)
        self._propose = propose
        self._budget = SearchBudget(budget)
        self._motion = MotionDetector()
        self.reset()

    def reset(self) -> None:
        """Search the next frame completely, and expect nobody anywhere."""
        self._next: int | None = None
        self._expected: tuple[Roi, tuple[int, ...]] | None = None
        self._hurried = FRAMES_PER_ROUND
        self._hinted = False
        self._detects, self._undetected = False, 0
        self._skipped = 0
        self._budget.reset()
        self._motion.reset()

    def expect(self, roi: Roi, image: Image) -> None:
        """Search a region of frames of this size first: the person was lost there."""
        self._expected = roi, image.shape
        self._hurried = FRAMES_PER_ROUND
        self._motion.reset()

    def skipped(self) -> None:
        """Save what a frame that shows a person does not cost."""
        self._skipped += 1

    def find(self, image: Image, clock: StageClock) -> Observation | None:
        """Return a first observation of a person; ``None`` if none was found in this frame."""
        is_first = self._next is None
        with clock.stage("search"):
            roi = self._region_of_person(image, self._turn(image))
        look = self._confirmed(image, [] if roi is None else [roi], self._settings, clock)
        if look is None:
            with clock.stage("search"):
                proposals = self._proposals(image)
            look = self._confirmed(image, proposals, self._estimator.criteria, clock)
        if is_first:
            self._budget.reset()
        if look is not None:
            self._next = 0  # the next search begins with the most likely regions again
            self._expected = None
        return look

    def _confirmed(
        self, image: Image, rois: Sequence[Roi], settings: RoiTrackerSettings, clock: StageClock
    ) -> Observation | None:
        """Return what the head sees in the first region in which it sees a person."""
        for roi in rois:
            look = self._estimator.initialise(image, roi, clock)
            self._budget.spend(HEAD_LOOKS)
            if look.survey.is_person and is_person(look.keypoints, settings, roi.width):
                return look
        return None

    def _proposals(self, image: Image) -> Sequence[Roi]:
        """Return what the detector proposes, where this is a frame for it."""
        if self._propose is None or not self._detects:
            return []
        self._detects = False
        self._budget.spend(DETECTION_LOOKS)
        return self._propose(image)[:MOST_PROPOSALS]

    def _is_due(self, *, hinted: bool) -> bool:
        """Whether the detector should run on the next frame."""
        pause = FRAMES_PER_DETECTION // 2 if hinted else FRAMES_PER_DETECTION
        is_time = self._hurried > 0 or self._undetected >= pause
        return self._propose is not None and is_time

    def _region_of_person(self, image: Image, regions: list[Roi]) -> Roi | None:
        """Return the region that suits the best person in this frame's turn of regions."""
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

    def _turn(self, image: Image) -> list[Roi]:
        """Return the regions to search in this frame, and move on."""
        height, width = image.shape[:2]
        regions = search_rois(width, height)
        if self._next is None:
            self._motion.detect(image)
            count = min(len(regions), MOST_REGIONS)
            self._next = count % len(regions)
            self._detects, self._undetected = True, 0
            return regions[:count]
        per_frame = self._budget.per_frame
        self._budget.earn(per_frame + self._skipped * max(0.0, per_frame - 1))
        self._skipped = 0
        hints, count, looks = self._hints(image), self._budget.idle_looks(), self._budget.looks
        self._undetected += 1
        if self._is_due(hinted=bool(hints)):
            if looks < DETECTION_LOOKS:
                return []  # or the regions would take all that is saved up, and it would never run
            self._detects, self._undetected = True, 0
            looks -= DETECTION_LOOKS
        if self._hurried:
            self._hurried -= 1
            hints = [*self._last_place(image), *hints][:looks]
            count = _regions_per_frame(len(regions))
        else:
            # Alternately: what moves for ever, such as a tree, must not stop the round.
            hints = hints[: max(0, looks - count) if self._hinted else looks]
            self._hinted = bool(hints)
        return [*hints, *self._advance(regions, min(count, looks - len(hints)))]

    def _advance(self, regions: list[Roi], count: int) -> list[Roi]:
        """Return the next regions of the round."""
        start = self._next or 0
        self._next = (start + count) % len(regions)
        return [regions[(start + step) % len(regions)] for step in range(count)]

    def _hints(self, image: Image) -> list[Roi]:
        """Return where a person is likely; hurry after a cut."""
        motion = self._motion.detect(image)
        if motion.is_cut:
            self._hurried = FRAMES_PER_ROUND
        return [] if motion.region is None else [motion.region]

    def _last_place(self, image: Image) -> list[Roi]:
        if self._expected is None or self._expected[1] != image.shape:
            return []
        return [self._expected[0]]

    def _locate(self, image: Image, roi: Roi) -> Keypoints:
        self._budget.spend(1)
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
