"""The generalised distance transform against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.thin_slicing.distance import (
    distance_transform,
    distance_transform_numpy,
    distance_transform_with_winners,
)

stiffness = st.floats(0.000244140625, 10, width=32)
slope = st.floats(-3, 3, width=32)
springs = st.tuples(stiffness, slope, stiffness, slope)
maps = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.float32, (1, *shape), elements=st.floats(-2, 2, width=16))
)


def brute_force(scores, spring):
    ax, bx, ay, by = spring
    y, x = np.indices(scores.shape)
    out = np.empty(scores.shape)
    for row, column in np.ndindex(*scores.shape):
        dx, dy = column - x, row - y
        out[row, column] = (scores - ax * dx**2 - bx * dx - ay * dy**2 - by * dy).max()
    return out


@given(maps, springs)
@settings(max_examples=40)
def test_all_forms_equal_brute_force(scores, spring):
    wanted = brute_force(scores[0].astype(float), spring)
    tolerance = 1e-5 * max(1.0, float(np.abs(wanted).max()))
    for transform in (distance_transform, lambda *a: distance_transform_numpy(*a).values):
        np.testing.assert_allclose(transform(scores, spring)[0], wanted, atol=tolerance)


@given(maps, springs)
@settings(max_examples=40)
def test_the_winner_explains_each_value(scores, spring):
    ax, bx, ay, by = spring
    found = distance_transform_with_winners(scores, spring)
    y, x = np.indices(scores.shape[1:])
    dx, dy = x - found.columns[0], y - found.rows[0]
    costs = ax * dx**2 + bx * dx + ay * dy**2 + by * dy
    recomputed = scores[0][found.rows[0], found.columns[0]] - costs
    np.testing.assert_allclose(
        recomputed, found.values[0], atol=1e-5 * max(1, np.abs(recomputed).max())
    )
    wanted = brute_force(scores[0].astype(float), spring)
    tolerance = 1e-5 * max(1, float(np.abs(wanted).max()))
    np.testing.assert_allclose(found.values[0], wanted, atol=tolerance)


@pytest.mark.parametrize("shape", [(3, 70), (64, 64), (37, 21), (41, 1)])
@pytest.mark.parametrize(
    "spring", [[0.01, 0, 0.01, 0], [0.002, -0.1, 0.03, 0.9], [0.05, 9, 0.001, -0.5], [0.3, 0, 2, 1]]
)
def test_peaks_travel_as_far_as_they_win_in_maps_of_several_bands(shape, spring):
    rng = np.random.default_rng(0)
    scores = 0.02 * rng.random((4, *shape), np.float32)
    for peaks in scores:
        peaks.flat[rng.integers(peaks.size, size=2)] += rng.uniform(0.3, 3, 2)
    wanted = distance_transform_numpy(scores, spring).values
    tolerance = 1e-5 * max(1.0, float(np.abs(wanted).max()))
    np.testing.assert_allclose(distance_transform(scores, spring), wanted, atol=tolerance)


def test_an_endlessly_stiff_spring_changes_nothing():
    scores = np.random.default_rng(0).random((3, 12, 10), np.float32)
    stiff = [1e6, 0, 1e6, 0]
    np.testing.assert_array_equal(distance_transform(scores, stiff), scores)
    np.testing.assert_array_equal(distance_transform_with_winners(scores, stiff).values, scores)


def test_b_moves_the_peak_by_minus_b_over_2a():
    scores = np.zeros((1, 20, 20), np.float32)
    scores[0, 8, 8] = 5
    moved = distance_transform(scores, [0.5, -3.0, 0.5, 2.0])[0]
    assert np.unravel_index(moved.argmax(), moved.shape) == (8 - 2, 8 + 3)


def test_a_flat_map_stays_flat_but_for_the_border():
    flat = distance_transform(np.full((1, 9, 9), 0.25, np.float32), [0.1, 0, 0.1, 0])
    np.testing.assert_allclose(flat, 0.25)


def test_nan_counts_as_the_lowest_score():
    scores = np.array([[[0.5, np.nan, 0.25], [0.75, 0.5, 0.5]]], np.float32)
    filled = np.nan_to_num(scores, nan=0.25)
    wanted = distance_transform(filled, [1, 0, 1, 0])
    np.testing.assert_array_equal(distance_transform(scores, [1, 0, 1, 0]), wanted)
    assert (distance_transform(np.full((1, 3, 3), np.nan), [1, 0, 1, 0]) == 0).all()


@pytest.mark.parametrize("spring", [[0, 0, 1, 0], [-1, 0, 1, 0], [1, np.nan, 1, 0], [1, 0, 1]])
def test_springs_that_are_not_convex_are_refused(spring):
    with pytest.raises(ConfigError):
        distance_transform(np.zeros((1, 3, 3)), spring)


def test_maps_without_area_are_refused():
    with pytest.raises(ConfigError, match="some area"):
        distance_transform(np.zeros((1, 0, 3)), [1, 0, 1, 0])
