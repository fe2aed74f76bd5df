import numpy as np
import pytest

from benchmarks.drift import WAYS, followed, forward_and_backward_clip, table
from edgepose.datasets.clips import Clip
from edgepose.inference.model import load
from edgepose.methods import Estimate
from edgepose.results import Origin
from edgepose_runtime.poses.skeletons import PENN13

FRAMES = 4


@pytest.fixture
def clip():
    """A person who moves down, in frames whose pixels tell their number."""
    keypoints = np.ones((FRAMES, 13, 3), np.float32)
    keypoints[..., :2] = np.random.default_rng(0).uniform(40, 160, (13, 2))
    keypoints[..., 1] += 5 * np.arange(FRAMES)[:, None]
    images = [np.full((240, 320, 3), number, np.uint8) for number in range(FRAMES)]
    return Clip("a", "film", lambda: iter(images), keypoints, None, PENN13, 25.0, "val")


class Fading:
    """Finds every joint at first, and ever less of them."""

    def __init__(self, spec, clip):
        self.spec, self._clip = spec, clip

    def initialise(self, crop, roi):
        return self._estimate(crop, roi, 0)

    def advance(self, crop, roi, state):
        return self._estimate(crop, roi, state + 1)

    def _estimate(self, crop, roi, state):
        size = self.spec.heatmap_size
        maps = np.zeros((13, size, size), np.float32)
        scale = self.spec.input_size / roi.width
        found = (self._clip.keypoints[int(crop.max()), :, :2] - (roi.x, roi.y)) * scale
        cells = ((found - self.spec.offset) / self.spec.stride).round().astype(int)
        for joint, (x, y) in enumerate(cells.clip(0, size - 1)):
            maps[joint, y, x] = 1.0
        maps[: min(13, state)] = 0
        return Estimate(maps, state, Origin.PROPAGATED)


def test_a_clip_turns_round_without_showing_a_frame_twice(clip):
    long = forward_and_backward_clip(clip, 3)
    assert [int(frame[0, 0, 0]) for frame in long.frames()] == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3]
    assert np.array_equal(long.keypoints[4:7], clip.keypoints[[2, 1, 0]])


def test_what_is_lost_on_the_way_shows_in_later_ways(clip):
    with load("ppn-swift") as model:
        row = followed(Fading(model.method.spec, clip), [clip])
    values = [row[way][0] for way in WAYS]
    assert values == sorted(values, reverse=True)
    assert values[0] > 80
    assert values[-1] < 20
    assert table({"fading": row}).rows[0][0] == "fading"
