import numpy as np
import pytest

from edgepose.evaluation.metrics.bootstrap import Resampled, draw_counts, weighted_ratio
from edgepose_runtime.errors import ConfigError


def mean_of(values, groups=None, **options):
    """The mean of single values, resampled."""
    values = np.asarray(values, float)[:, None]
    groups = [str(i) for i in range(len(values))] if groups is None else groups
    ones = np.ones_like(values)
    return Resampled.of(groups, lambda counts: weighted_ratio(counts, values, ones), **options)


def test_items_of_one_group_are_drawn_together():
    counts = draw_counts(["a", "b", "a", "c"], resamples=50)
    assert counts.shape == (50, 4)
    assert (counts[:, 0] == counts[:, 2]).all()
    assert (counts[:, [0, 1, 3]].sum(axis=1) == 3).all(), "as many groups as there are"
    assert len(np.unique(counts[:, 0])) > 1


def test_the_same_seed_draws_the_same():
    groups = list("abcdef")
    assert (draw_counts(groups, 20, seed=1) == draw_counts(groups, 20, seed=1)).all()
    assert (draw_counts(groups, 20, seed=1) != draw_counts(groups, 20, seed=2)).any()


def test_intervals_cover_the_mean_of_a_known_distribution_as_often_as_they_say():
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(300):
        ((low, high),) = mean_of(rng.normal(7, 2, size=60), resamples=300).intervals()
        hits += low <= 7 <= high
    assert 0.90 <= hits / 300 <= 0.98


def test_intervals_are_as_wide_as_the_normal_distribution_says():
    values = np.random.default_rng(0).normal(0, 3, size=400)
    ((low, high),) = mean_of(values, resamples=2000).intervals()
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_items_that_are_alike_within_groups_count_as_few():
    values = np.repeat(np.random.default_rng(0).normal(size=20), 25)
    groups = [str(i // 25) for i in range(500)]
    ((low, high),) = mean_of(values, groups).intervals()
    ((naive_low, naive_high),) = mean_of(values).intervals()
    assert high - low > 3 * (naive_high - naive_low)


def test_the_same_everywhere_has_no_width():
    assert mean_of([4.0] * 9).intervals() == [(4, 4)]


def test_one_group_says_nothing_of_others():
    resampled = mean_of([1.0, 2.0], ["film", "film"])
    assert resampled.values.tolist() == [1.5]
    assert np.isnan(resampled.intervals()).all()


def test_nothing_to_score_has_neither_figure_nor_interval():
    nothing = np.zeros((3, 1))
    resampled = Resampled.of("abc", lambda counts: weighted_ratio(counts, nothing, nothing))
    assert np.isnan(resampled.values).all()
    assert np.isnan(resampled.intervals()).all()


def test_resamples_with_nothing_to_score_are_left_out():
    hits, scored = np.array([[3.0], [0], [0]]), np.array([[4.0], [0], [0]])
    resampled = Resampled.of("abc", lambda counts: weighted_ratio(counts, hits, scored))
    assert resampled.intervals() == [(0.75, 0.75)]


def test_a_paired_difference_is_surer_than_two_intervals():
    hard = np.random.default_rng(0).normal(50, 20, size=40)
    better = mean_of(hard + 2) - mean_of(hard)
    assert better.values == pytest.approx([2])
    (interval,) = better.intervals()
    assert interval == pytest.approx((2, 2))
    assert interval.excludes_zero
    (alone,) = mean_of(hard).intervals()
    assert alone.high - alone.low > 5


def test_an_interval_around_zero_may_be_chance():
    rng = np.random.default_rng(0)
    (interval,) = (mean_of(rng.normal(size=50)) - mean_of(rng.normal(size=50))).intervals()
    assert not interval.excludes_zero


def test_differences_between_other_items_are_refused():
    with pytest.raises(ConfigError, match="same clips"):
        mean_of([1, 2], ["a", "b"]) - mean_of([1, 2], ["a", "c"])


def test_nothing_cannot_be_resampled():
    with pytest.raises(ConfigError, match="at least 1 item"):
        draw_counts([])
