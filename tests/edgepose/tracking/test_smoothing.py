import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepose.tracking.smoothing import OUTSIDE_SCORE, PoseSmoother, doubt_joints_outside
from edgepose_runtime.geometry.roi import Roi

SIZE = 320, 240


def joints(*places, score=0.9):
    return np.float32([(x, y, score) for x, y in places])


@pytest.mark.parametrize(
    ("place", "is_shown"),
    [
        ((160, 120), True),
        ((8, 8), True),
        ((311, 231), True),
        ((1, 120), False),
        ((160, 238), False),
        ((400, 120), False),
        ((160, -50), False),
    ],
)
def test_joints_outside_the_picture_or_at_its_edge_are_doubted(place, is_shown):
    pose = joints(place)
    doubt_joints_outside(pose, SIZE)
    assert pose[0, 2] == np.float32(0.9 if is_shown else OUTSIDE_SCORE)
    np.testing.assert_array_equal(pose[0, :2], np.float32(place))


@given(st.floats(-500, 500), st.floats(-500, 500), st.floats(0, 1, width=32))
def test_no_score_grows(x, y, score):
    pose = joints((x, y), score=score)
    doubt_joints_outside(pose, SIZE)
    assert pose[0, 2] <= np.float32(score)


def test_joints_without_a_place_stay_as_they_are():
    pose = np.float32([[np.nan, np.nan, 0.0]])
    doubt_joints_outside(pose, SIZE)
    np.testing.assert_array_equal(pose, np.float32([[np.nan, np.nan, 0.0]]))


def test_a_pose_that_is_given_out_doubts_them_and_the_one_that_was_seen_does_not():
    seen = joints((160, 239), (160, 120))
    shown = PoseSmoother(None).apply(seen, Roi(0, 0, 240, 240), 0.0, SIZE)
    assert shown[:, 2].tolist() == np.float32([OUTSIDE_SCORE, 0.9]).tolist()
    assert seen[0, 2] == np.float32(0.9)
