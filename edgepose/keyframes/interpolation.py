"""Poses between two key frames, from both of them."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgepose.keyframes.live import JointMotion, LiveKeyFrames
from edgepose.results import Origin, PoseResult
from edgepose.tracking.strategies import TrackedFrame
from edgepose_runtime.geometry.roi import Roi, crop_to_frame, frame_to_crop
from edgepose_runtime.poses.grey_view import VIEW_SIZE

Doubles = NDArray[np.float64]


class KeyFrameInterpolation:
    """Gives results out some frames late, interpolated if a key frame has followed by then.

    Between two key frames the joints were propagated forward from the first. Here they are
    propagated backward from the second as well, and each frame gets the mean of both, weighted by
    how near the two are. A refiner: see :class:`edgepose.tracking.strategies.Refiner`.

    Args:
        keys: what chooses the key frames of the stream.
    """

    def __init__(self, keys: LiveKeyFrames) -> None:
        self.lag_frames = keys.settings.lag_frames
        self._keys = keys
        self.reset()

    def warmup(self) -> None:
        """Do nothing: backward propagation has no other kernels than forward."""

    def reset(self) -> None:
        """Forget the frames that are held back."""
        self._held: deque[PoseResult] = deque()
        # The last key frame, and what may still be held back of the frames that followed it: those
        # are few, however long no network looks.
        self._key: tuple[PoseResult, JointMotion] | None = None
        self._between: deque[tuple[PoseResult, JointMotion]] = deque(maxlen=self.lag_frames)
        self._since = 0  # frames that followed it

    def take(self, tracked: TrackedFrame) -> list[PoseResult]:
        """Take in the next frame; return the one that has been held back long enough."""
        result, motion = tracked.result, self._keys.motion
        self._held.append(result)
        if motion is None or result.keypoints is None:
            self._begin_segment(None)
        elif result.origin is Origin.PREDICTED:
            self._between.append((result, motion))
            self._since += 1
        else:
            if motion.step is not None and self._key is not None and self._between:
                self._interpolate(self._key, result, motion)
            self._begin_segment((result, motion))
        return [self._held.popleft()] if len(self._held) > self.lag_frames else []

    def flush(self) -> list[PoseResult]:
        """Return the results of all frames that are held back."""
        held = list(self._held)
        self.reset()
        return held

    def _begin_segment(self, key: tuple[PoseResult, JointMotion] | None) -> None:
        self._key, self._since = key, 0
        self._between.clear()

    def _interpolate(
        self, key: tuple[PoseResult, JointMotion], result: PoseResult, motion: JointMotion
    ) -> None:
        """Replace the results that are still held back by better ones."""
        poses = self._poses_between(key, result, motion)
        better = {
            old.frame_id: replace(old, keypoints=pose, origin=Origin.INTERPOLATED)
            for (old, _), pose in zip(self._between, poses, strict=True)
        }
        self._held = deque(better.get(each.frame_id, each) for each in self._held)

    def _poses_between(
        self, key: tuple[PoseResult, JointMotion], last: PoseResult, motion: JointMotion
    ) -> NDArray[np.float32]:
        """Return the joints (n, K, 3) of the frames between two key frames that are held back."""
        first, start = key
        between = [step for _, step in self._between]
        back = self._propagated_back(between, motion)
        count = self._since + 1
        poses = np.stack([each.joints for each in between])
        weight = (np.arange(count - len(between), count) / count)[:, None, None]
        places = (1 - weight) * (poses + _correction(first, start)) + weight * (
            back + _correction(last, motion)
        )
        scores = (1 - weight) * _keypoints(first)[:, 2:] + weight * _keypoints(last)[:, 2:]
        return np.concatenate([places, scores], axis=-1).astype(np.float32)

    def _propagated_back(self, between: list[JointMotion], motion: JointMotion) -> Doubles:
        """Return where the joints (n, K, 2) of the last key frame were in the frames before it."""
        roi: Roi = between[0].roi
        places = frame_to_crop(motion.joints, roi, VIEW_SIZE).astype(np.float64)
        view, found = motion.view, []
        for each in reversed(between):
            places, _ = self._keys.flow.propagate(view, each.view, places)
            view = each.view
            found.append(np.asarray(crop_to_frame(places, roi, VIEW_SIZE), np.float64))
        return np.stack(found[::-1])


def _keypoints(result: PoseResult) -> NDArray[np.float32]:
    if result.keypoints is None:
        raise RuntimeError("A key frame without a pose ended a segment.")
    return result.keypoints


def _correction(result: PoseResult, motion: JointMotion) -> Doubles:
    """Return what smoothing did to the joints of a key frame, (K, 2) in pixels."""
    return np.asarray(_keypoints(result)[:, :2] - motion.joints, np.float64)
