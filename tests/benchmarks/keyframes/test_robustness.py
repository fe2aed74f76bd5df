"""Key frames of a file where a part of the frames is degraded."""

import numpy as np
import pytest

from benchmarks.keyframes import robustness
from benchmarks.keyframes.poses import CLEAN, PERTURBATIONS, FrameWisePoses
from benchmarks.keyframes.selection import SelectionScorer
from edgepose_runtime.poses.skeletons import PENN13


@pytest.fixture
def scorer(make_clip):
    """Two films of people who stand; in a blurred frame they are seen far away."""
    clips = []
    for film in ("one", "two"):
        clip = make_clip(num_frames=40, film=film, name=film)
        poses = {kind: clip.keypoints.astype(np.float32) for kind in (CLEAN, *PERTURBATIONS)}
        poses["blur"] = poses["blur"] + np.array((500, 500, 0), np.float32)
        small = {kind: np.zeros((40, 4), np.float32) for kind in poses}
        clips.append(FrameWisePoses(clip, poses, small))
    return SelectionScorer(clips, PENN13)


def test_every_frame_loses_the_degraded_part_and_differences_have_intervals(scorer, monkeypatch):
    monkeypatch.setattr(robustness, "DEGRADED", (0.4,))
    monkeypatch.setattr(robustness, "PERTURBATIONS", ("blur",))
    found = robustness.robustness_table(scorer)["blur"]
    assert found["frame-wise"] == [pytest.approx(60, abs=0.1)]
    ((low, high),), (value,) = found["interval"], found["difference"]
    assert low <= value <= high
    keys = found[f"{robustness.ROBUST_COUNT} key frames of 40"]
    assert value == pytest.approx(keys[0] - 60)
