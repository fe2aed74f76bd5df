"""A whole video from its key frames: choose them, look at them, interpolate the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from edgepose.inference.estimator import Keypoints, StageClock
from edgepose.inference.model import PoseModel
from edgepose.offline.selection import ChangeSelector, Selector
from edgepose.offline.windows import WINDOW, Describe, thumbnail, windows_of
from edgepose.results import Origin, PoseResult
from edgepose.tracking.frame import Frame
from edgepose.tracking.stream import PoseStream
from edgepose_runtime.capture import CapturedFrame
from edgepose_runtime.geometry.crop import as_bgr
from edgepose_runtime.geometry.roi import RoiLike
from edgepose_runtime.interpolation.interpolator import PoseInterpolator

#: So many frames before those to interpolate are taken into account.
_CONTEXT = 24
#: What is said of a frame between two key frames of which one shows nobody.
NOBODY_AT_KEYS = "no person in the key frames around"

Tracked = tuple[CapturedFrame, PoseResult]


class KeyFrameTracking:
    """Tracks a person through a video by its key frames. For one video.

    The first frame is a key frame, so that there is a pose from the beginning.

    Example:
        >>> with edgepose.load() as model, edgepose.open_source(clip) as source:
        ...     tracking = KeyFrameTracking(model, rate=0.2)
        ...     poses = [result.keypoints for frame, result in tracking.track(source)]
        >>> tracking.processed < 30 < len(poses)
        True

    Args:
        model: looks at the key frames.
        select: chooses them; by default :class:`ChangeSelector`.
        describe: what that compares frames by.
        rate: the part of the frames to look at, ``None`` for as many as are worth it.
        roi: where to look in every frame, ``None`` to find and follow.

    Attributes:
        processed: how many frames the networks processed.
        frames: how many there were.
    """

    def __init__(
        self,
        model: PoseModel,
        *,
        select: Selector | None = None,
        describe: Describe = thumbnail,
        rate: float | None = None,
        roi: RoiLike | None = None,
    ) -> None:
        self._select: Selector = select or ChangeSelector()
        self._describe = describe
        self._rate, self._roi = rate, roi
        self._stream = PoseStream(model)
        self._skeleton = model.skeleton
        self._interpolator = PoseInterpolator(length=2 * WINDOW + _CONTEXT)
        self.processed = self.frames = 0

    def warmup(self) -> None:
        """Use every network and kernel once; compiling those of interpolation takes long.

        Raises:
            InferenceError: a network failed.
        """
        self._stream.warmup()
        self._interpolator.warmup(self._skeleton.num_joints)

    def track(self, frames: Iterable[CapturedFrame]) -> Iterator[Tracked]:
        """Return each frame with its pose, in order, up to two windows after it was read.

        Raises:
            FrameError: a frame cannot be tracked.
            InferenceError: a network failed.
        """
        keys: list[PoseResult] = []
        waiting: list[CapturedFrame] = []
        windows = windows_of(frames, self._select, rate=self._rate, describe=self._describe)
        for window in windows:
            chosen = window.keys if self.frames else sorted({0, *window.keys})
            keys += [self._look(window.frames[key]) for key in chosen]
            waiting += window.frames
            self.frames += len(window.frames)
            # What comes after the last key frame waits for the next one.
            done = sum(frame.frame_id <= keys[-1].frame_id for frame in waiting)
            yield from self._poses(waiting[:done], keys)
            waiting = waiting[done:]
            keys = [key for key in keys if key.frame_id >= keys[-1].frame_id - _CONTEXT]
        yield from self._poses(waiting, keys)

    def _look(self, frame: CapturedFrame) -> PoseResult:
        self.processed += 1
        image = as_bgr(frame.image)
        taken = Frame(frame.frame_id, image, frame.timestamp_ms, self._roi)
        result = self._stream.process(taken, StageClock())
        if result.origin is None:
            return result
        return replace(result, origin=Origin.KEY_FRAME, key_frame_age=0)

    def _poses(self, frames: list[CapturedFrame], keys: list[PoseResult]) -> Iterator[Tracked]:
        """Return frames with poses, given all key frames around them."""
        seen = {key.frame_id: key for key in keys}
        others = [frame for frame in frames if frame.frame_id not in seen]
        clock = StageClock()
        with clock.stage("interpolate"):
            poses = self._interpolated([frame.frame_id for frame in others], keys)
        share = {stage: ms / max(len(others), 1) for stage, ms in clock.latency().items()}
        for frame in frames:
            if frame.frame_id in seen:
                yield frame, seen[frame.frame_id]
            else:
                pose = poses.get(frame.frame_id)
                yield frame, self._between(frame, pose, keys, share)

    def _interpolated(self, wanted: list[int], keys: list[PoseResult]) -> dict[int, Keypoints]:
        """Return poses by frame number, of those that lie by key frames with a person."""
        found: dict[int, Keypoints] = {}
        for run in _runs(keys):
            first, last = run[0].frame_id, run[-1].frame_id
            follows = keys[-1] is run[-1]
            inside = [n for n in wanted if first < n and (n < last or follows)]
            if inside:
                found.update(self._interpolate(inside, run))
        return found

    def _interpolate(self, wanted: list[int], run: list[PoseResult]) -> dict[int, Keypoints]:
        start = run[0].frame_id
        numbers = [key.frame_id - start for key in run]
        poses = np.stack([key.keypoints for key in run if key.keypoints is not None])
        length = max(wanted[-1] - start, numbers[-1]) + 1
        path = self._interpolator.interpolate(numbers, poses, frames=length).poses
        scores = np.stack([_scores(np.asarray(numbers), poses[:, :, 2], n - start) for n in wanted])
        joined = np.concatenate([path[[n - start for n in wanted]], scores[..., None]], axis=-1)
        return dict(zip(wanted, joined.astype(np.float32), strict=True))

    def _between(
        self,
        frame: CapturedFrame,
        pose: Keypoints | None,
        keys: list[PoseResult],
        latency: dict[str, float],
    ) -> PoseResult:
        before = [key for key in keys if key.frame_id < frame.frame_id]
        origin = Origin.INTERPOLATED if keys[-1].frame_id > frame.frame_id else Origin.PREDICTED
        known = pose is not None and bool(before)
        return PoseResult(
            frame_id=frame.frame_id,
            timestamp_ms=frame.timestamp_ms,
            keypoints=pose,
            reason=None if known else NOBODY_AT_KEYS,
            roi=before[-1].roi if known else None,
            origin=origin if known else None,
            key_frame_age=frame.frame_id - before[-1].frame_id if known else None,
            latency=latency,
            skeleton=self._skeleton,
        )


def _runs(keys: list[PoseResult]) -> Iterator[list[PoseResult]]:
    """Return the key frames with a person that follow each other without one that has none."""
    run: list[PoseResult] = []
    for key in keys:
        if key.keypoints is not None:
            run.append(key)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _scores(numbers: np.ndarray, scores: Keypoints, wanted: int) -> Keypoints:
    """Return the scores (K,) in a frame, from those of the key frames (r, K)."""
    after = int(np.searchsorted(numbers, wanted))
    if after >= len(numbers):
        return np.asarray(scores[-1], np.float32)
    part = (wanted - numbers[after - 1]) / (numbers[after] - numbers[after - 1])
    return np.asarray((1 - part) * scores[after - 1] + part * scores[after], np.float32)
