"""How good key frames are that are chosen in one way or another."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.keyframes.poses import CLEAN, Floats, FrameWisePoses
from edgepose.evaluation.metrics.pck import PckCounts, pck_counts, torso_lengths
from edgepose.offline.selection import ChangeSelector, frames_at_even_steps, uniform_selection
from edgepose_runtime.interpolation.interpolator import DEFAULT_NOISE, PoseInterpolator
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.skeletons import Skeleton

#: PCK-torso at this share of the torso, over the twelve limb joints.
ALPHA = 0.2
#: Key frames per 40 frames that are compared, and how many random choices of each clip.
COUNTS = (2, 3, 4, 6, 8, 10, 13, 16, 20, 26, 32)
TRIALS = 100
LENGTH = 40

Choose = Callable[[FrameWisePoses, int], list[int]]
Poses = Sequence[Floats]


class SelectionScorer:
    """Scores poses of all clips.

    Args:
        clips: with the poses of every frame.
        skeleton: of the poses.
        noise: what HPIM takes key poses to be off, in sides of the person's box; ``None`` to
            estimate it.
    """

    def __init__(
        self,
        clips: Sequence[FrameWisePoses],
        skeleton: Skeleton,
        noise: float | None = DEFAULT_NOISE,
    ) -> None:
        self.clips, self.skeleton, self.noise = clips, skeleton, noise
        self._truth = [
            convert_keypoints(each.clip.keypoints, each.clip.skeleton, skeleton) for each in clips
        ]
        self._interpolator = PoseInterpolator(length=LENGTH)

    def with_noise(self, noise: float | None) -> SelectionScorer:
        """Return one that takes key poses to be off by so much."""
        return SelectionScorer(self.clips, self.skeleton, noise)

    def pck(self, poses: Poses) -> float:
        """Return PCK-torso@0.2 over the twelve limb joints in percent."""
        return self.pooled([self.counts(index, pose) for index, pose in enumerate(poses)])

    def counts(self, index: int, poses: Floats) -> PckCounts:
        """Return hits and scored joints of the poses (T, K, 3) of one clip."""
        truth = self._truth[index]
        torso = torso_lengths(truth, poses, self.skeleton)
        return pck_counts(poses, truth, truth[..., 2] > 0, torso, ALPHA)

    def pooled(self, counts: Sequence[PckCounts]) -> float:
        """Return the PCK in percent of several clips."""
        return sum(counts[1:], start=counts[0]).summary(self.skeleton).limbs12

    def path(self, poses: Floats, keys: Sequence[int]) -> Floats:
        """Return the poses (T, K, 3) of a clip from those of its key frames."""
        options = {"frames": len(poses), "noise": self.noise}
        places = self._interpolator.interpolate(list(keys), poses[list(keys)], **options).poses
        scores = np.ones((*places.shape[:2], 1), np.float32)
        return np.concatenate([places, scores], axis=-1)

    def by_keys(self, choose: Choose, count: int) -> list[PckCounts]:
        """Return, clip by clip, how good a way is to choose so many key frames of 40."""
        return [self.of_clip(index, choose, count) for index in range(len(self.clips))]

    def of_clip(self, index: int, choose: Choose, count: int) -> PckCounts:
        """Return the same of one clip."""
        clip = self.clips[index]
        return self.of_keys(index, choose(clip, scaled(count, len(clip.clip))))

    def of_keys(self, index: int, keys: Sequence[int]) -> PckCounts:
        """Return how good these key frames of one clip are."""
        return self.counts(index, self.path(self.clips[index].poses[CLEAN], keys))


def scaled(count: int, frames: int) -> int:
    """Return how many key frames a clip gets, where 40 frames have so many."""
    return max(1, round(count * frames / LENGTH))


def uniform(clip: FrameWisePoses, count: int) -> list[int]:
    """Choose frames at even distances."""
    return uniform_selection(len(clip.clip), count)


def even_times(clip: FrameWisePoses, count: int) -> list[int]:
    """Choose frames in the middle of even times: what untrained rates choose."""
    return frames_at_even_steps(np.ones(len(clip.clip)), count)


def even_steps(clip: FrameWisePoses, count: int) -> list[int]:
    """Choose frames at even steps of time and change."""
    return CHANGE_SELECTOR(clip.thumbnails[CLEAN], count)


CHANGE_SELECTOR = ChangeSelector()
