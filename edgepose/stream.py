"""One stream: who is followed in it, and from where the next frame goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgepose.loading import PoseModel
from edgepose.looking import Image, Keypoints, Look, Looker
from edgepose.results import PoseResult
from edgepose.searching import PersonSearch
from edgepose.stats import StageClock
from edgepose_runtime.errors import RoiError
from edgepose_runtime.following import FollowingSettings, RoiFollower, is_person
from edgepose_runtime.geometry import Roi
from edgepose_runtime.smoothing import OneEuroFilter, OneEuroSettings

RoiLike = Roi | Sequence[float]

#: After a longer gap between two frames the pose is not carried on: the head starts afresh.
LONGEST_GAP_MS = 1000.0

NOBODY_FOUND = "no person found"
NOBODY_IN_ROI = "no person in the given roi"
LOST = "person lost"


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    image: Image
    timestamp_ms: float

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.image.shape[1], self.image.shape[0]


@dataclass(frozen=True, slots=True, eq=False)
class _Track:
    """The last frame with a person, from which the next one goes on."""

    look: Look
    frame_size: tuple[int, int]
    timestamp_ms: float


class PoseStream:
    """The state of one stream. Not for several threads at once.

    Every frame first does all that may fail, and only then changes the state: an error leaves the
    stream where it was.

    Args:
        model: its networks are shared with other streams.
        smoothing: how joints are smoothed in time, ``None`` for not at all.
        reinitialise_every: run the head every N frames; 0 for never, ``None`` for what the bundle
            recommends.
    """

    def __init__(
        self,
        model: PoseModel,
        *,
        smoothing: OneEuroSettings | None,
        reinitialise_every: int | None,
    ) -> None:
        spec = model.method.spec
        self._skeleton = spec.skeleton
        if reinitialise_every is None:
            reinitialise_every = spec.reinitialise_every
        self._interval = reinitialise_every or None
        self._settings = FollowingSettings(score_threshold=spec.score_threshold)
        self._looker = Looker(model)
        self._search = PersonSearch(self._looker, self._settings)
        self._follower = RoiFollower(self._settings)
        self._smoother = None if smoothing is None else OneEuroFilter(smoothing)
        self._smoothed_roi: Roi | None = None
        self._track: _Track | None = None

    def reset(self) -> None:
        """Forget the person."""
        self._search.reset()
        self._follower.reset()
        self._track = None
        if self._smoother is not None:
            self._smoother.reset()

    def warmup(self) -> None:
        """Use every network and kernel once, on an empty picture."""
        image = np.full((240, 320, 3), 128, np.uint8)
        here, there = Roi(0, 0, 200, 200), Roi(8, 8, 180, 180)
        clock = StageClock()
        self._looker.locate(image, here, clock)
        look = self._looker.initialise(image, here, clock)
        self._looker.advance(image, there, look, clock)

    def process(
        self,
        image: Image,
        frame_id: int,
        timestamp_ms: float,
        roi: RoiLike | None,
        clock: StageClock,
    ) -> PoseResult:
        """Estimate the pose in the next frame.

        Args:
            image: uint8 BGR (H, W, 3), contiguous.
            frame_id: number of the frame, for the result.
            timestamp_ms: when it was taken, after the frame before.
            roi: where to look, ``None`` to find and follow.
            clock: times the stages.

        Raises:
            RoiError: the roi is no region of the frame.
            InferenceError: a network failed.
        """
        frame = _Frame(image, timestamp_ms)
        if roi is None:
            look, miss = self._find_or_follow(frame, clock)
        else:
            look, miss = self._look(frame, fixed_roi(roi, frame.size), clock), NOBODY_IN_ROI
        found = look is not None and is_person(look.keypoints, self._settings)
        with clock.stage("follow"):
            keypoints = self._commit(frame, look, found)
        return PoseResult(
            frame_id=frame_id,
            timestamp_ms=timestamp_ms,
            keypoints=keypoints,
            reason=None if found else miss,
            roi=None if look is None else look.roi.as_tuple(),
            origin=look.estimate.origin if look is not None and found else None,
            key_frame_age=look.key_frame_age if look is not None and found else None,
            latency=clock.latency(),
            skeleton=self._skeleton,
        )

    def _find_or_follow(self, frame: _Frame, clock: StageClock) -> tuple[Look | None, str]:
        """Return the best look at a person there is, and what to say if it shows none."""
        roi = self._follower.next_roi(*frame.size)
        if roi is None:
            return self._search.find(frame.image, clock), NOBODY_FOUND
        look = self._look(frame, roi, clock)
        if self._is_empty(look.keypoints):
            # As after a cut: waiting for the person to come back here would be in vain.
            return self._search.find(frame.image, clock) or look, LOST
        return look, LOST

    def _look(self, frame: _Frame, roi: Roi, clock: StageClock) -> Look:
        """Look at a region: go on from the last frame if that is possible, else start afresh."""
        last = self._last_look(frame, roi)
        if last is not None:
            look = self._looker.advance(frame.image, roi, last, clock)
            if is_person(look.keypoints, self._settings):
                return look
        return self._looker.initialise(frame.image, roi, clock)

    def _last_look(self, frame: _Frame, roi: Roi) -> Look | None:
        """Return the look to go on from, unless there is none or it is time for the head."""
        track = self._track
        if track is None or frame.size != track.frame_size:
            return None
        if frame.timestamp_ms - track.timestamp_ms > LONGEST_GAP_MS:
            return None
        due = self._interval is not None and track.look.key_frame_age + 1 >= self._interval
        return None if due or not _holds(track.look.roi, roi.center) else track.look

    def _is_empty(self, keypoints: Keypoints) -> bool:
        return not (keypoints[:, 2] >= self._settings.score_threshold).any()

    def _commit(self, frame: _Frame, look: Look | None, found: bool) -> Keypoints | None:
        """Make this frame the last one; return the smoothed joints (K, 3) of a person."""
        if look is not None:
            self._follower.update(look.keypoints, *frame.size, frame.timestamp_ms)
        if look is None or not found:
            self._track = None
            return None
        self._track = _Track(look, frame.size, frame.timestamp_ms)
        return self._smoothed(look, frame.timestamp_ms)

    def _smoothed(self, look: Look, timestamp_ms: float) -> Keypoints:
        keypoints = look.keypoints.copy()
        if self._smoother is not None:
            if self._smoothed_roi is not None and not _holds(self._smoothed_roi, look.roi.center):
                self._smoother.reset()  # somebody else, or somewhere else
            self._smoothed_roi = look.roi
            points = keypoints[:, :2]
            keypoints[:, :2] = self._smoother.apply(points, timestamp_ms, look.roi.width)
        return keypoints


def fixed_roi(roi: RoiLike, frame_size: tuple[int, int]) -> Roi:
    """Return the square around a roi's centre that encloses it.

    Args:
        roi: a region, or (x, y, width, height).
        frame_size: (width, height) of the frame.

    Raises:
        RoiError: it is not four finite numbers, has no area, or misses the frame.
    """
    try:
        x, y, width, height = (float(value) for value in roi)
    except (TypeError, ValueError):
        raise RoiError(
            f"A roi must be four numbers (x, y, width, height) in pixels, got {roi!r}."
        ) from None
    return Roi(x, y, width, height).validated(*frame_size).squared(factor=1.0)


def _holds(roi: Roi, point: tuple[float, float]) -> bool:
    inside = zip(point, roi.center, (roi.width, roi.height), strict=True)
    return all(abs(value - middle) <= side / 2 for value, middle, side in inside)
