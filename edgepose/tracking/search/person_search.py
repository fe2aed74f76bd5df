"""Finding a person in a whole frame, with bounded work."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from edgepose.inference.estimator import (
    FOLLOWED_SCORE,
    GIVEN_SCORE,
    Image,
    Keypoints,
    Observation,
    PoseEstimator,
    StageClock,
)
from edgepose.inference.person_detector import AT_EDGE, PersonRegion
from edgepose.tracking.search.motion_detection import MotionDetector
from edgepose.tracking.search.region_search import RegionSearch
from edgepose.tracking.search.search_budget import DEFAULT_BUDGET, RESERVE, SearchBudget
from edgepose_runtime.geometry.boxes import box_overlaps
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.roi_tracker import (
    RoiTrackerSettings,
    is_person,
    search_rois,
)

#: What the head costs, in looks at a region.
HEAD_LOOKS = 6
#: What the person detector costs, in looks at a region.
DETECTION_LOOKS = 3
#: While nothing happens, frames from one run of the detector to the next; half as many while
#: something moves.
FRAMES_PER_DETECTION = 8
#: Regions that the detector is sure of and the head looks at, at most.
MOST_PROPOSALS = 2
#: Where it is not sure, and the frame cuts the person off, the head must see that: so many joints
#: are below the frame.
LEAST_JOINTS_BELOW = 2
#: A lost person whom the detector still sees, in a square of this intersection over union with the
#: last region, is not lost: for so many frames the head may be as doubtful as of who is followed.
SAME_PLACE, TRUSTED_FRAMES = 0.5, 5
#: After a start, a loss or a cut the search hurries for so many frames: every region is searched
#: within them, where there are not too many.
FRAMES_PER_ROUND = 5
#: Regions searched in each of those frames, at least.
REGIONS_PER_FRAME = 4
#: Regions searched in the first frame, at most, and then within a round: a screen twice as wide as
#: usual has 50, but a panorama may have hundreds. The others are searched later.
MOST_REGIONS = 64

#: Returns regions of a frame that show people, the likeliest first.
Propose = Callable[[Image], Sequence[PersonRegion]]


class NoSearch:
    """Nobody is searched for: the region is given from outside, as where people are detected."""

    def score_factor(self, given: object) -> float:  # noqa: ARG002 - PersonSearch's signature
        """Return 1: whoever gives the region has to be confirmed."""
        return 1.0

    def reset(self) -> None:
        """Do nothing."""

    def expect(self, roi: Roi, image: Image) -> None:
        """Do nothing."""

    def skipped(self) -> None:
        """Do nothing."""

    def find(self, *_: object, **__: object) -> None:
        """Return ``None``."""


class PersonSearch:
    """Looks for a person in a frame's regions, cheaply at first, then closer, then with the head.

    Where all that finds nobody, a person detector may propose regions, which need the head's
    consent only: of whom it sees, head and shoulders are enough. It does not come first, as its
    boxes suit the networks less than regions around joints do; except where somebody was lost just
    now. There it may be that the networks doubt a blurred person whom it sees.

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
        self._propose = propose
        self._budget = SearchBudget(budget)
        self._light = RegionSearch(estimator, self._budget)
        self._motion = MotionDetector()
        self.reset()

    def reset(self) -> None:
        """Search the next frame completely, and expect nobody anywhere."""
        self._next: int | None = None
        self._expected: tuple[Roi, tuple[int, ...]] | None = None
        self._hurried, self._reserve = FRAMES_PER_ROUND, RESERVE
        self._hinted = False
        self._detects, self._undetected, self._is_promising = False, 0, True
        self._skipped = self._trusted = 0
        self._budget.reset()
        self._motion.reset()

    def expect(self, roi: Roi, image: Image) -> None:
        """Search a region of frames of this size first: the person was lost there."""
        self._expected, self._trusted = (roi, image.shape), 0
        self._hurried, self._reserve = FRAMES_PER_ROUND, RESERVE
        self._motion.reset()

    def skipped(self) -> None:
        """Save what a frame that shows a person does not cost."""
        self._skipped += 1
        self._trusted = max(0, self._trusted - 1)

    def score_factor(self, given: object) -> float:
        """Return how sure the head has to be of a person, in parts of the threshold of scores.

        Less so where the detector just saw one, or where a region is ``given`` by the caller.
        """
        if self._trusted > 0:
            return FOLLOWED_SCORE
        return 1.0 if given is None else GIVEN_SCORE

    def find(
        self,
        image: Image,
        clock: StageClock,
        lost_in: Roi | None = None,
        *,
        everywhere: bool = True,
    ) -> Observation | None:
        """Return a first observation of a person; ``None`` if none was found in this frame.

        Args:
            image: the frame.
            clock: times the stages.
            lost_in: the region in which the person was lost in this frame.
            everywhere: search all of the frame, and not only that region.
        """
        is_first = self._next is None
        if not is_first:
            self._earn()
        look, detected = self._look_again(image, lost_in, clock)
        if look is None and everywhere:
            look = self._search_everywhere(image, detected, clock)
        if is_first:
            self._budget.reset()
        if look is not None:
            self._next = 0  # the next search begins with the most likely regions again
            self._expected = None
        return look

    def _earn(self) -> None:
        """Save up what this frame and those before it that showed a person may cost."""
        per_frame = self._budget.per_frame
        self._budget.earn(per_frame + self._skipped * max(0.0, per_frame - 1))
        self._skipped = 0

    def _look_again(
        self, image: Image, lost_in: Roi | None, clock: StageClock
    ) -> tuple[Observation | None, Sequence[PersonRegion] | None]:
        """Return the lost person, if the detector still sees one there, and what it sees.

        The latter is ``None`` if it did not run.
        """
        if lost_in is None and not self._is_due(self._undetected + 1):
            return None, None
        places = [lost_in] if lost_in is not None else self._last_place(image)
        looks = self._budget.looks(RESERVE if lost_in is not None else self._reserve)
        if self._propose is None or not places or looks < DETECTION_LOOKS:
            return None, None
        detected = self._detect(image, clock)
        for region in detected:
            if _overlap(region.roi, places[0]) >= SAME_PLACE:
                look = self._estimator.initialise(image, region.roi, clock, FOLLOWED_SCORE)
                self._budget.spend(HEAD_LOOKS)
                self._trusted = TRUSTED_FRAMES if look.survey.is_person else 0
                others = [each for each in detected if each is not region]
                return (look, detected) if look.survey.is_person else (None, others)
        return None, detected

    def _search_everywhere(
        self, image: Image, detected: Sequence[PersonRegion] | None, clock: StageClock
    ) -> Observation | None:
        """Return whom the light network finds in regions, or else the detector, if it runs."""
        with clock.stage("search"):
            regions = self._turn(image, has_detected=detected is not None)
            roi = self._light.region_of_person(image, regions)
        rois = [] if roi is None else [roi]
        look = self._confirmed(image, rois, self._light.criteria, clock)
        if look is None and detected is None and self._detects:
            detected = self._detect(image, clock)
        return look or self._look_where_detected(image, detected or [], clock)

    def _detect(self, image: Image, clock: StageClock) -> Sequence[PersonRegion]:
        """Return what the detector proposes."""
        self._detects, self._undetected = False, 0
        self._budget.spend(DETECTION_LOOKS)
        with clock.stage("search"):
            detected = [] if self._propose is None else self._propose(image)
        self._is_promising = bool(detected)
        return detected

    def _look_where_detected(
        self, image: Image, detected: Sequence[PersonRegion], clock: StageClock
    ) -> Observation | None:
        """Return what the head sees where the detector is sure, or else at the lower edge."""
        criteria = self._estimator.criteria
        sure = [region.roi for region in detected if region.is_sure][:MOST_PROPOSALS]
        if sure:
            return self._confirmed(image, sure, criteria, clock)
        cut_off = [region.roi for region in detected if region.is_cut_off][:1]
        look = self._confirmed(image, cut_off, criteria, clock)
        return look if look is not None and _goes_on_below(look.keypoints, image) else None

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

    def _is_due(self, frames: int, *, hinted: bool = False) -> bool:
        """Whether the detector should run so many frames after it ran the last time."""
        pause = FRAMES_PER_DETECTION // 2 if hinted else FRAMES_PER_DETECTION
        if self._hurried:
            pause = 1 if self._is_promising else 2
        return self._propose is not None and frames >= pause

    def _turn(self, image: Image, *, has_detected: bool) -> list[Roi]:
        """Return the regions to search in this frame, and move on."""
        height, width = image.shape[:2]
        regions = search_rois(width, height)
        if self._next is None:
            self._motion.detect(image)
            count = min(len(regions), MOST_REGIONS)
            self._next = count % len(regions)
            self._detects, self._undetected = True, 0
            return regions[:count]
        hints, count = self._hints(image), self._budget.idle_looks()
        looks = self._budget.looks(0.0 if hints else self._reserve)
        self._undetected = 0 if has_detected else self._undetected + 1
        if not has_detected and self._is_due(self._undetected, hinted=bool(hints)):
            if looks < DETECTION_LOOKS:
                return []  # or the regions would take all that is saved up, and it would never run
            self._detects, self._undetected = True, 0
            looks -= DETECTION_LOOKS
        if self._hurried:
            hints = [*self._last_place(image), *hints][:looks]
            self._hurried -= 1
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
            self._hurried, self._is_promising, self._reserve = FRAMES_PER_ROUND, True, 0.0
        return [] if motion.region is None else [motion.region]

    def _last_place(self, image: Image) -> list[Roi]:
        if not self._hurried or self._expected is None or self._expected[1] != image.shape:
            return []
        return [self._expected[0]]


def _overlap(first: Roi, second: Roi) -> float:
    """Return the intersection over union of two regions."""
    corners = [[x, y, x + width, y + height] for x, y, width, height in (first, second)]
    boxes = np.array(corners, np.float64)
    return float(box_overlaps(boxes[:1], boxes[1:])[0, 0])


def _goes_on_below(keypoints: Keypoints, image: Image) -> bool:
    """Whether the frame cuts off joints (K, 3) at its lower edge."""
    height, width = image.shape[:2]
    below = keypoints[:, 1] > height - 1 - AT_EDGE * max(height, width)
    return int(below.sum()) >= LEAST_JOINTS_BELOW


def _regions_per_frame(regions: int) -> int:
    round_of = min(regions, MOST_REGIONS)
    return min(max(REGIONS_PER_FRAME, math.ceil(round_of / FRAMES_PER_ROUND)), regions)
