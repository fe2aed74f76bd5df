import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepose.testing import standing_person
from edgepose.tracking.smoothing import OUTSIDE_SCORE, OutsideJoints, PoseSmoother
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.skeletons import PENN13, Skeleton

SIZE = 320, 240
#: Whose joints have no limbs, and whose have.
POINTS = OutsideJoints(Skeleton("points", ("a", "b"), (), ()))
PEOPLE = OutsideJoints(PENN13)


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
    POINTS.doubt(pose, SIZE)
    assert pose[0, 2] == np.float32(0.9 if is_shown else OUTSIDE_SCORE)
    np.testing.assert_array_equal(pose[0, :2], np.float32(place))


@given(st.floats(-500, 500), st.floats(-500, 500), st.floats(0, 1, width=32))
def test_no_score_grows(x, y, score):
    pose = joints((x, y), score=score)
    POINTS.doubt(pose, SIZE)
    assert pose[0, 2] <= np.float32(score)


def test_joints_without_a_place_stay_as_they_are():
    pose = np.float32([[np.nan, np.nan, 0.0]])
    POINTS.doubt(pose, SIZE)
    np.testing.assert_array_equal(pose, np.float32([[np.nan, np.nan, 0.0]]))


def test_a_pose_that_is_given_out_doubts_them_and_the_one_that_was_seen_does_not():
    seen = joints((160, 239), (160, 120))
    shown = PoseSmoother(None, POINTS).apply(seen, Roi(0, 0, 240, 240), 0.0, SIZE)
    assert shown[:, 2].tolist() == np.float32([OUTSIDE_SCORE, 0.9]).tolist()
    assert seen[0, 2] == np.float32(0.9)


def cut_at(pose, joint, y):
    """Place the joints of both legs from one on down at a height, as networks do."""
    cut = pose.copy()
    for side in ("left", "right"):
        legs = [f"{side}_{name}" for name in ("hip", "knee", "ankle")]
        for name in legs[legs.index(f"{side}_{joint}") :]:
            cut[PENN13.index(name), 1] = y
    return cut


def doubted(pose):
    shown = pose.copy()
    PEOPLE.doubt(shown, SIZE)
    return {PENN13.joints[k] for k in np.flatnonzero(shown[:, 2] < pose[:, 2])}


def test_knees_that_are_squeezed_in_at_the_edge_are_doubted_and_so_is_what_follows_them():
    person = standing_person((160, 150), 160)
    hips = person[PENN13.index("left_hip"), 1]
    raised = person - np.float32([0, hips - 215, 0])
    legs = {f"{side}_{joint}" for side in ("left", "right") for joint in ("knee", "ankle")}
    assert doubted(cut_at(raised, "knee", 231)) == legs
    assert not doubted(cut_at(raised, "knee", 221)), "further inside than the edge"


def test_feet_near_the_edge_are_shown_where_the_shins_are_as_long_as_they_should_be():
    person = standing_person((160, 120), 200)
    ankles = person[PENN13.index("left_ankle"), 1]
    assert not doubted(person + np.float32([0, 231 - ankles, 0]))


def test_the_hips_of_head_and_shoulders_are_doubted_with_all_below_them():
    person = standing_person((160, 150), 300)
    shoulders = person[PENN13.index("left_shoulder"), 1]
    raised = person - np.float32([0, shoulders - 215, 0])
    ends = {f"{side}_{joint}" for side in ("left", "right") for joint in ("hip", "knee", "ankle")}
    assert ends <= doubted(cut_at(raised, "hip", 232))


def test_a_bent_arm_near_the_edge_is_shown():
    person = standing_person((160, 120), 160)
    wrist, elbow = PENN13.index("left_wrist"), PENN13.index("left_elbow")
    person[[wrist, elbow], 0] = 311, 300
    assert not doubted(person)


def test_what_is_missing_is_not_doubted_and_does_not_matter():
    person = standing_person((160, 120), 150)
    person[PENN13.index("left_hip")] = np.nan, np.nan, 0
    assert not doubted(person)
