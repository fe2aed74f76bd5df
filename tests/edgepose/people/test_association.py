import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepose.people.association import assign, assign_within, pose_similarities
from edgepose.testing import standing_person

costs = st.integers(1, 7).flatmap(
    lambda rows: st.integers(1, 7).flatmap(
        lambda columns: st.lists(
            st.lists(
                st.one_of(st.just(math.inf), st.integers(0, 50).map(float)),
                min_size=columns,
                max_size=columns,
            ),
            min_size=rows,
            max_size=rows,
        )
    )
)


@settings(max_examples=200, deadline=None)
@given(costs)
def test_the_assignment_is_the_cheapest_of_the_largest(values):
    scipy = pytest.importorskip("scipy.optimize")
    matrix = np.array(values)
    pairs = assign(matrix)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    finite = np.where(np.isfinite(matrix), matrix, 1e6)
    rows, columns = scipy.linear_sum_assignment(finite)
    best = matrix[rows, columns]
    allowed = np.isfinite(best)
    assert len(pairs) == allowed.sum()
    assert sum(matrix[pair] for pair in pairs) == pytest.approx(best[allowed].sum())


def test_nobody_is_assigned_where_nothing_is_allowed():
    assert assign(np.full((3, 2), math.inf)) == []
    assert assign(np.zeros((0, 4))) == []


def test_no_good_pair_is_given_up_for_the_sake_of_more():
    costs = np.array([[0.0, 0.3], [0.3, math.inf]])
    assert assign(costs) == [(0, 1), (1, 0)]
    assert assign_within(costs, 0.3) == [(0, 0)]


def test_pairs_above_the_limit_are_left_out():
    costs = np.array([[0.4, math.nan, 0.2], [0.3, 0.1, 0.25]])
    assert assign_within(costs, 0.35) == [(0, 2), (1, 1)]
    assert assign_within(costs, 0.15) == [(1, 1)]
    assert assign_within(np.zeros((0, 3)), 1.0) == assign_within(np.zeros((3, 0)), 1.0) == []


def test_a_pose_is_like_itself_and_unlike_one_far_away():
    near, far = standing_person((100, 100), 80), standing_person((300, 100), 80)
    box = np.array([[80.0, 60, 120, 140]])
    similar = pose_similarities(near[None], np.stack([near, far]), box)
    assert similar[0] == pytest.approx([1, 0], abs=1e-3)


def test_joints_that_are_missing_do_not_count():
    pose = standing_person((100, 100), 80)
    partial = pose.copy()
    partial[:6] = np.nan, np.nan, 0
    box = np.array([[80.0, 60, 120, 140]])
    assert pose_similarities(pose[None], partial[None], box)[0, 0] == pytest.approx(1)
    partial[:] = np.nan, np.nan, 0
    assert pose_similarities(pose[None], partial[None], box)[0, 0] == 0
