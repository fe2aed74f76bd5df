import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepose.datasets.labels import (
    absent_keypoints,
    half_body,
    mark_absent,
    mask_missing,
    mask_outside,
    present,
    reconcile,
    weights_from_scores,
)
from edgepose.testing import standing_person
from edgepose_runtime.poses.skeletons import PENN13

PARTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
LEFT, RIGHT = PENN13.index("left_wrist"), PENN13.index("right_wrist")


@pytest.fixture
def human():
    return standing_person((100, 100), 180)


def moved(keypoints, joint, distance, weight=1.0):
    out = keypoints.copy()
    out[joint, 0] += distance
    out[joint, 2] = weight
    return out


class TestWeights:
    @given(score=st.floats(0, 1))
    def test_are_between_none_and_full(self, score):
        weight = weights_from_scores(np.array([[5, 5, score]], np.float32))[0, 2]
        assert weight == pytest.approx(np.clip((score - 0.3) / 0.3, 0, 1), abs=1e-5)

    @pytest.mark.parametrize("row", [(np.nan, 1, 1), (1, np.inf, 1), (1, 1, np.nan)])
    def test_are_none_for_what_is_not_a_number(self, row):
        assert not mask_missing(np.array([row], np.float32)).any()

    def test_are_none_outside_the_picture(self):
        places = [(-0.6, 5), (-0.5, 5), (9.5, 5), (9.6, 5), (5, -1), (5, 7.5), (5, 7.6)]
        keypoints = np.array([(x, y, 1) for x, y in places], np.float32)
        assert mask_outside(keypoints, 10, 8)[:, 2].tolist() == [0, 1, 1, 0, 0, 1, 0]
        assert keypoints[0, 2] == 1, "the argument is left as it is"


class TestReconcile:
    def test_takes_the_mean_where_both_agree(self, human):
        merged = reconcile(human, moved(human, LEFT, 8), PENN13)
        assert merged[LEFT] == pytest.approx(human[LEFT] + [4, 0, 0])

    def test_believes_a_sure_teacher_by_half_where_they_differ(self, human):
        merged = reconcile(human, moved(human, LEFT, 60), PENN13)
        assert merged[LEFT] == pytest.approx([human[LEFT, 0] + 60, human[LEFT, 1], 0.5])

    def test_leaves_out_what_an_unsure_teacher_denies(self, human):
        assert reconcile(human, moved(human, LEFT, 60, weight=0.9), PENN13)[LEFT, 2] == 0

    def test_keeps_by_half_what_the_teacher_does_not_see(self, human):
        merged = reconcile(human, moved(human, LEFT, 60, weight=0), PENN13)
        assert merged[LEFT] == pytest.approx([*human[LEFT, :2], 0.5])

    def test_leaves_unlabelled_what_the_human_did(self, human):
        assert reconcile(moved(human, LEFT, 0, weight=0), human, PENN13)[LEFT, 2] == 0

    def test_mends_a_person_annotated_from_behind(self, human):
        human[:, 0] += np.linspace(-30, 30, 13)  # no joint lies where its twin would
        swapped = human[list(PENN13.flip_order)]
        assert reconcile(swapped, human, PENN13) == pytest.approx(human)

    def test_does_not_swap_for_a_single_pair(self, human):
        swapped = human.copy()
        swapped[[LEFT, RIGHT]] = human[[RIGHT, LEFT]]
        merged = reconcile(swapped, human, PENN13)
        assert merged[LEFT] == pytest.approx([*human[LEFT, :2], 0.5])
        assert merged[0] == pytest.approx(human[0])


class TestHalfBody:
    def test_is_the_upper_or_the_lower_body_or_the_head_with_the_shoulders(self, human):
        rng = np.random.default_rng(0)
        halves = [half_body(human, PENN13, rng)[:, 2] > 0 for _ in range(100)]
        parts = [frozenset(np.array(PENN13.joints)[half].tolist()) for half in halves]
        both = {part: {f"{side}_{part}" for side in ("left", "right")} for part in PARTS}
        lower = frozenset(both["hip"] | both["knee"] | both["ankle"])
        bust = frozenset({"head"} | both["shoulder"])
        upper = frozenset(bust | both["elbow"] | both["wrist"] | both["hip"])
        assert set(parts) == {lower, bust, upper}
        assert all(10 < parts.count(part) < 45 for part in (lower, bust))

    def test_is_nothing_where_too_little_is_known(self, human):
        human[2:, 2] = 0
        half = half_body(human, PENN13, np.random.default_rng(0))
        assert not half[:, 2].any()


class TestAbsence:
    def test_is_known_of_joints_outside_the_picture(self, human):
        ankle = PENN13.index("left_ankle")
        height = int(human[ankle, 1]) - 2
        marked = mark_absent(human, 200, height, PENN13)
        ankles = [PENN13.index("left_ankle"), PENN13.index("right_ankle")]
        np.testing.assert_array_equal(marked[ankles], absent_keypoints(2))
        others = np.delete(np.arange(13), ankles)
        np.testing.assert_array_equal(marked[others], human[others])

    def test_goes_on_along_a_limb_over_joints_that_nobody_knows(self, human):
        hip, knee, ankle = (PENN13.index(f"left_{part}") for part in ("hip", "knee", "ankle"))
        human[[knee, ankle], 2] = 0
        human[knee, 1] = 500  # the teacher guesses that it lies outside
        marked = mark_absent(human, 200, 400, PENN13)
        np.testing.assert_array_equal(marked[[knee, ankle]], absent_keypoints(2))
        assert marked[hip, 2] == 1

    def test_is_not_assumed_of_joints_that_are_labelled_inside(self, human):
        knee, ankle = PENN13.index("left_knee"), PENN13.index("left_ankle")
        human[knee, 0] = -20
        assert mark_absent(human, 200, 400, PENN13)[ankle] == pytest.approx(human[ankle])

    def test_leaves_doubtful_joints_at_the_rim_out(self, human):
        human[LEFT] = [1, 100, 0.6]
        human[RIGHT] = [1, 100, 1.0]
        marked = mark_absent(human, 200, 400, PENN13)
        assert marked[LEFT, 2] == 0
        assert marked[RIGHT, 2] == 1

    def test_is_no_weight_for_those_who_ask_where_a_person_is(self, human):
        human[LEFT, 0] = -20
        weights = present(mark_absent(human, 200, 400, PENN13))[:, 2]
        assert np.flatnonzero(weights == 0).tolist() == [LEFT]
