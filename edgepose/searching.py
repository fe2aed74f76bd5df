"""Finding a person in a whole frame, with bounded work."""

from __future__ import annotations

from dataclasses import replace

from edgepose.looking import Image, Keypoints, Look, Looker
from edgepose.stats import StageClock
from edgepose_runtime.following import FollowingSettings, is_person, person_roi, search_rois
from edgepose_runtime.geometry import Roi

#: Regions looked at per frame while nobody is found: what a frame without a person costs.
REGIONS_PER_FRAME = 4
#: To start a track takes more joints than to go on with one: a tree may look like a pair of legs.
MIN_JOINTS_TO_START = 0.45
#: A pose with so many of its joints ends the search in this frame.
MIN_JOINTS_TO_STOP = 0.9
#: How often a region is replaced by a better one, at most.
CLOSER_LOOKS = 3
#: In a region that suits the person badly the scores are lower; so is the bar, at first.
ROUGH_SCORE = 0.5


class PersonSearch:
    """Looks for a person in a frame's regions, cheaply at first, then closer, then with the head.

    The first frame is searched completely, so that a video's first pose is not missed. From then
    on each frame gets the next few regions in turn.
    """

    def __init__(self, looker: Looker, settings: FollowingSettings) -> None:
        self._looker = looker
        self._strict = replace(settings, min_joints=MIN_JOINTS_TO_START)
        self._complete = replace(settings, min_joints=MIN_JOINTS_TO_STOP)
        self.reset()

    def reset(self) -> None:
        """Search the next frame completely."""
        self._next: int | None = None

    def find(self, image: Image, clock: StageClock) -> Look | None:
        """Return a first look at a person, or ``None`` if none was found in this frame's turn."""
        with clock.stage("search"):
            roi = self._region_of_person(image)
        if roi is None:
            return None
        look = self._looker.initialise(image, roi, clock)
        if not self._is_person(look.keypoints):
            return None
        self._next = 0  # the next search begins with the most likely regions again
        return look

    def _region_of_person(self, image: Image) -> Roi | None:
        """Return a region that suits the person in this frame's turn of regions, if there is one.

        A region of the search may cut the person off, or show it small: the region around what was
        seen there shows more, and so on until that changes little.
        """
        keypoints = self._best_of(self._turn(image), image)
        threshold = self._strict.score_threshold
        roi = _region(keypoints, image, ROUGH_SCORE * threshold)
        for _ in range(CLOSER_LOOKS):
            if roi is None:
                return None
            keypoints = self._locate(image, roi)
            if not self._is_person(keypoints):
                return None
            last, roi = roi, _region(keypoints, image, threshold)
            if roi is not None and _alike(last, roi):
                break
        return roi

    def _best_of(self, regions: list[Roi], image: Image) -> Keypoints:
        """Return the surest pose; one with nearly all joints ends the round.

        Fewer joints may mean that the region cuts the person off, and that the next one does not.
        """
        best = self._locate(image, regions[0])
        for roi in regions[1:]:
            if is_person(best, self._complete):
                break
            keypoints = self._locate(image, roi)
            best = max(best, keypoints, key=lambda pose: float(pose[:, 2].sum()))
        return best

    def _turn(self, image: Image) -> list[Roi]:
        """Return the regions to look at in this frame, and move on."""
        height, width = image.shape[:2]
        regions = search_rois(width, height)
        start, count = self._next, min(REGIONS_PER_FRAME, len(regions))
        if start is None:
            self._next = 0
            return regions
        self._next = (start + count) % len(regions)
        return [regions[(start + step) % len(regions)] for step in range(count)]

    def _locate(self, image: Image, roi: Roi) -> Keypoints:
        # On a clock of its own: the stages of a search are not those of a frame.
        return self._looker.locate(image, roi, StageClock())

    def _is_person(self, keypoints: Keypoints) -> bool:
        return is_person(keypoints, self._strict)


def _region(keypoints: Keypoints, image: Image, min_score: float) -> Roi | None:
    height, width = image.shape[:2]
    return person_roi(keypoints, width, height, min_score)


def _alike(first: Roi, second: Roi) -> bool:
    """Whether no edge of one square is further than a tenth of its side from the other's."""
    change = abs(first.width - second.width) / 2 + max(
        abs(a - b) for a, b in zip(first.center, second.center, strict=True)
    )
    return change <= 0.1 * first.width
