"""Left and right mixed up."""

from __future__ import annotations

import numpy as np

from benchmarks.slicing.swaps import count_swaps
from edgepose.datasets.clips import Clip
from edgepose.testing import standing_person
from edgepose_runtime.poses.skeletons import PENN13


def test_swaps_repaired_and_caused_are_counted():
    truth = np.stack([standing_person((100, 100), 150)] * 3)
    clip = Clip("a", "b", lambda: iter(()), truth, None, PENN13, 25.0, "val")
    ankles, wrists = [11, 12], [5, 6]
    before, after = truth.copy(), truth.copy()
    before[0, ankles] = truth[0, ankles[::-1]]
    before[1, ankles] = after[1, ankles] = truth[1, ankles[::-1]]
    after[2, wrists] = truth[2, wrists[::-1]]
    counts = count_swaps(before, after, PENN13, clip)
    assert (counts.pairs, counts.before, counts.after) == (18, 2, 2)
    assert (counts.repaired, counts.caused) == (1, 1)
