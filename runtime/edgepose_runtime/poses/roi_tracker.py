"""The region to process: search regions of the whole frame, then a box around the last pose."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.checks import is_finite_number
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.roi import JOINT_BOX_MARGIN, Roi, box_roi, joints_roi
from edgepose_runtime.native.library import Kernel, precompiled
from edgepose_runtime.poses.joints import trusted_joints

Floats = NDArray[np.float32]

#: Smaller regions than this are not searched: a person in them would be too small to tell.
SMALLEST_SEARCH_SIDE = 64.0

#: Joints that are all within this part of a region's side are no person, however sure.
MIN_SPREAD = 0.05


@dataclass(frozen=True, slots=True)
class RoiTrackerSettings:
    """Thresholds for a person, and how the region moves with one.

    Attributes:
        score_threshold: from this score on, 0 to 1, a joint is trusted. It belongs to the network:
            a bundle's manifest says it.
        min_joints: the part of the joints, 0 to 1, that must be trusted for a pose to be a person.
        min_extent_px: how far apart, in x or y, its outermost trusted joints must be at least.
        region_score: the part of ``score_threshold``, 0 to 1, from which on a joint belongs in the
            region: without a doubtful face, the next frame's region would cut the head off.
        margin: how much the box around the joints is enlarged; see ``JOINT_BOX_MARGIN``.
        patience: after this many frames in a row without a person, the person is lost.
        hold_ms: for this long a joint that is not seen any more counts as moving along with
            the others, so that the region does not jump when an arm is hidden for a moment.
        shrink_ms: time constant with which the region gets smaller. It gets larger at once.

    Raises:
        ConfigError: a number is outside its range.
    """

    score_threshold: float = 0.3
    min_joints: float = 0.2
    min_extent_px: float = 8.0
    region_score: float = 0.6
    margin: float = JOINT_BOX_MARGIN
    patience: int = 5
    hold_ms: float = 500.0
    shrink_ms: float = 100.0

    def __post_init__(self) -> None:
        for name in ("score_threshold", "min_joints", "region_score"):
            value = getattr(self, name)
            if not is_finite_number(value) or not 0 <= value <= 1:
                raise ConfigError(
                    f"The region tracker's {name} must be from 0 to 1; got {getattr(self, name)!r}."
                )
        for name in ("min_extent_px", "margin", "patience", "hold_ms", "shrink_ms"):
            value = getattr(self, name)
            if not is_finite_number(value) or value < 0:
                raise ConfigError(
                    f"The region tracker's {name} must be 0 or more; got {getattr(self, name)!r}."
                )


def is_person(keypoints: Floats, settings: RoiTrackerSettings, side: float = 0.0) -> bool:
    """Return whether a pose (K, 3) of x, y, score is good enough to be called a person.

    Args:
        keypoints: x, y in pixels and score.
        settings: how many joints must be trusted, and how far apart they are.
        side: of the region that shows them, in pixels; 0 if it is not known. In a spot of it
            (``MIN_SPREAD``) there is nobody: that is what networks see in an empty picture.
    """
    return PoseSurvey.of(keypoints, settings, side).is_person


def is_empty_pose(keypoints: Floats, settings: RoiTrackerSettings, side: float = 0.0) -> bool:
    """Return whether a pose (K, 3) gives no hint of where a person might be.

    So it is if no joint is trusted, or if as many as make a person lie in one spot. Arguments as
    for :func:`is_person`.
    """
    return PoseSurvey.of(keypoints, settings, side).is_empty_pose


class PoseSurvey(NamedTuple):
    """Whether a pose is a person.

    Attributes:
        is_person: see :func:`is_person`.
        is_empty_pose: see :func:`is_empty_pose`.
    """

    is_person: bool
    is_empty_pose: bool

    @classmethod
    def of(cls, keypoints: Floats, settings: RoiTrackerSettings, side: float = 0.0) -> PoseSurvey:
        """Survey a pose (K, 3); arguments as for :func:`is_person`."""
        count, extent = _survey_joints()(keypoints, settings.score_threshold)
        enough = count > 0 and count / len(keypoints) >= settings.min_joints
        apart = extent >= max(settings.min_extent_px, MIN_SPREAD * side)
        return cls(bool(enough and apart), bool(count == 0 or (enough and not apart)))


def person_roi(
    keypoints: Floats,
    frame_width: int,
    frame_height: int,
    min_score: float,
    margin: float = JOINT_BOX_MARGIN,
) -> Roi | None:
    """Return the square region for a network around a pose (K, 3) of x, y, score.

    The rule is that for annotated joints, :func:`edgepose_runtime.geometry.roi.joints_roi`, with
    the joints that score at least ``min_score``. ``None``: fewer than two of them are in the frame.
    """
    trusted = trusted_joints(keypoints, min_score)
    points = np.where(trusted[:, None], keypoints[:, :2], np.nan)
    return joints_roi(points, (frame_width, frame_height), margin)


def search_rois(frame_width: int, frame_height: int) -> list[Roi]:
    """Return the square regions in which to look for a person, the most likely first.

    The whole frame; squares as high (or wide) as the frame; squares of half that side. Neighbours
    overlap by half, so that whoever is half as large as a square is whole in one of them.
    """
    longer, shorter = max(frame_width, frame_height), min(frame_width, frame_height)
    middle = (frame_width - 1) / 2, (frame_height - 1) / 2
    regions = [Roi.around(middle, longer)]
    for side in (shorter, shorter / 2):
        # Where that is nearly the whole frame again it would tell nothing new.
        if SMALLEST_SEARCH_SIDE <= side <= 0.8 * longer:
            regions += [
                Roi(x, y, side, side)
                for y in _tile_starts(frame_height, side)
                for x in _tile_starts(frame_width, side)
            ]
    return regions


def _tile_starts(length: int, side: float) -> list[float]:
    count = math.ceil((length - side) / (side / 2)) + 1
    return np.linspace(0, length - side, count).tolist() if count > 1 else [0.0]


class RoiTracker:
    """Keeps a region around one person from pose to pose. Not for several threads at once.

    Attributes:
        roi: the square region around the person; ``None`` if there is nobody to follow.
        frame_size: (width, height) of the frame that it belongs to.

    Args:
        settings: what counts as a person, and how the region follows.
    """

    def __init__(self, settings: RoiTrackerSettings | None = None) -> None:
        self.settings = settings or RoiTrackerSettings()
        self.reset()

    def reset(self) -> None:
        """Forget the person."""
        self.roi: Roi | None = None
        self.frame_size = (0, 0)
        self._misses = 0
        self._updated_ms = -math.inf
        self._joints = np.zeros((0, 2))
        self._seen_ms = np.zeros(0)

    @property
    def lost(self) -> bool:
        """Whether there is nobody to follow: none found yet, or lost."""
        return self.roi is None

    def next_roi(self, frame_width: int, frame_height: int) -> Roi | None:
        """Return the square region to crop from the next frame.

        ``None`` if there is nobody to follow, or the frame's size is not that of the last one.
        """
        return self.roi if self.frame_size == (frame_width, frame_height) else None

    def update(
        self,
        keypoints: Floats,
        frame_width: int,
        frame_height: int,
        timestamp_ms: float,
        side: float = 0.0,
        survey: PoseSurvey | None = None,
    ) -> bool:
        """Take in the pose found in a frame, be it in ``next_roi`` or in any other region.

        A pose outside the last region, or in a frame of another size, is followed afresh.

        Args:
            keypoints: float32 (K, 3): x and y in frame pixels, score; NaN, NaN, 0 where missing.
            frame_width: of the frame, in pixels.
            frame_height: of the frame, in pixels.
            timestamp_ms: when the frame was taken.
            side: of the region that shows the pose; see :func:`is_person`.
            survey: of the pose, if it is known already.

        Returns:
            Whether the pose is a person.
        """
        survey = survey or PoseSurvey.of(keypoints, self.settings, side)
        found = survey.is_person
        self._misses = 0 if found else self._misses + 1
        if survey.is_empty_pose or self._misses > self.settings.patience:
            self.reset()
            return False
        if (frame_width, frame_height) != self.frame_size:
            self.reset()
        self._move(keypoints, (frame_width, frame_height), timestamp_ms, found=found)
        return found

    def _move(
        self, keypoints: Floats, frame_size: tuple[int, int], timestamp_ms: float, *, found: bool
    ) -> None:
        """Move the region to the joints that are seen and those that were a moment ago."""
        settings, roi = self.settings, self.roi
        if roi is not None and not roi.contains(
            _middle_joint()(keypoints, settings.score_threshold)
        ):
            self.reset()  # somebody else, outside the last region
        if self.roi is None:
            if not found:
                return
            self.frame_size = frame_size
            self._joints = np.full((len(keypoints), 2), np.nan)
            self._seen_ms = np.full(len(keypoints), -math.inf)
        seen_from = settings.region_score * settings.score_threshold
        memory = self._joints, self._seen_ms
        _update_remembered_joints()(keypoints, seen_from, *memory, timestamp_ms, settings.hold_ms)
        left, top, right, bottom = _extent_inside()(self._joints, *frame_size)
        # Where no joint is in the frame, the extent is endless the wrong way.
        box = Roi(left + 0.5, top + 0.5, right - left, bottom - top)
        roi = box_roi(box, settings.margin)
        if roi is not None:
            side, last = roi.width, 0.0 if self.roi is None else self.roi.width
            if side < last and settings.shrink_ms:  # grow at once, shrink over time in log size
                elapsed = timestamp_ms - self._updated_ms
                part = 1 - math.exp(-elapsed / settings.shrink_ms)
                side = float(last * (side / last) ** part)
            self.roi = Roi.around(roi.center, side)
        self._updated_ms = timestamp_ms


@precompiled
def _survey_joints() -> Kernel:
    from edgepose_runtime.poses.kernels import survey_joints

    return survey_joints


@precompiled
def _middle_joint() -> Kernel:
    from edgepose_runtime.poses.kernels import middle_joint

    return middle_joint


@precompiled
def _update_remembered_joints() -> Kernel:
    from edgepose_runtime.poses.kernels import update_remembered_joints

    return update_remembered_joints


@precompiled
def _extent_inside() -> Kernel:
    from edgepose_runtime.poses.kernels import extent_inside

    return extent_inside
