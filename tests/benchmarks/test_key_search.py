import numpy as np
import pytest

from benchmarks.key_search import SearchedKeys


def moving(frames=40):
    """Somebody who stands, and jumps in the last quarter; scores are 1."""
    poses = np.ones((frames, 3, 3), np.float32)
    poses[:, 1, :2], poses[:, 2, :2] = 100, (30, 90)
    jump = np.clip(np.arange(frames) - 3 * frames // 4, 0, None)
    poses[:, :, 1] += 25 * np.sin(jump / 1.5)[:, None]
    return poses


def test_what_is_found_leaves_less_unexplained_than_even_times():
    search, poses = SearchedKeys(40), moving()
    values, even = poses[..., :2].reshape(40, -1) / 100, [3, 10, 16, 23, 30, 36]
    keys = search(poses, 6)
    assert len(set(keys)) == 6
    assert search.unexplained(values, keys) < 0.95 * search.unexplained(values, even)


@pytest.mark.parametrize("count", [1, 40])
def test_one_or_all_frames_can_be_chosen(count):
    keys = SearchedKeys(40)(moving(), count)
    assert keys == sorted(set(keys))
    assert len(keys) == count
