import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepose.offline.selection import (
    USUAL_CHANGE,
    USUAL_GAP,
    ChangeSelector,
    frames_at_even_steps,
    frames_by_rates,
    uniform_selection,
)
from edgepose_runtime.errors import ConfigError

SELECT = ChangeSelector()


def walk(frames, seed=0, speed=USUAL_CHANGE):
    return np.random.default_rng(seed).normal(size=(frames, 500)).cumsum(axis=0) * speed


@given(frames=st.integers(1, 60), seed=st.integers(0, 5), speed=st.floats(0, 100))
@settings(deadline=None, max_examples=50)
def test_never_chooses_none_and_only_what_is_there(frames, seed, speed):
    keys = SELECT(walk(frames, seed, speed))
    assert keys
    assert keys == sorted(set(keys))
    assert 0 <= keys[0] <= keys[-1] < frames


@given(frames=st.integers(1, 60), count=st.integers(1, 70), seed=st.integers(0, 5))
@settings(deadline=None, max_examples=50)
def test_chooses_so_many_but_no_more_than_there_are(frames, count, seed):
    keys = SELECT(walk(frames, seed), count)
    assert len(keys) == min(count, frames)
    assert len(set(keys)) == len(keys)


def test_the_usual_change_gives_the_usual_distance():
    assert len(SELECT(walk(120))) == pytest.approx(120 / USUAL_GAP, abs=1)


def test_where_nothing_happens_frames_are_further_apart():
    assert 0.5 * 120 / USUAL_GAP <= len(SELECT(np.zeros((120, 3)))) < 120 / USUAL_GAP


def test_looks_more_often_where_something_happens():
    features = walk(40)
    features[:20] = features[20]
    keys = SELECT(features, 10)
    assert sum(key >= 20 for key in keys) > 6


def test_without_changes_frames_have_even_distances():
    keys = SELECT(np.full((40, 3), 7.0), 8)
    assert set(np.diff(keys)) == {5}
    assert keys[0] == 40 - 1 - keys[-1] or keys[0] in (2, 3)


def test_steps_of_no_length_are_even_times():
    assert frames_at_even_steps(np.zeros(40), 8) == frames_at_even_steps(np.ones(40), 8)
    still = ChangeSelector(share=1.0)(np.full((40, 3), 7.0), 8)
    assert still == frames_at_even_steps(np.ones(40), 8)


@pytest.mark.parametrize(("frames", "count", "chosen"), [(1, None, 1), (40, None, 10), (3, 9, 3)])
def test_rates_choose_the_usual_number_or_as_many_as_there_are(frames, count, chosen):
    keys = frames_by_rates(np.linspace(0, 2, frames), count)
    assert len(set(keys)) == chosen
    assert set(keys) <= set(range(frames))


@pytest.mark.parametrize(("frames", "count"), [(0, None), (10, 0), (10, -1)])
def test_refuses_what_cannot_be(frames, count):
    with pytest.raises(ConfigError, match="selector"):
        SELECT(np.zeros((frames, 3)), count)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_refuses_a_share_that_is_none(share):
    with pytest.raises(ConfigError, match="share"):
        ChangeSelector(share)


def test_uniform_frames_have_even_distances():
    assert uniform_selection(40, 2) == [0, 39]
    assert uniform_selection(5, 5) == [0, 1, 2, 3, 4]
    assert uniform_selection(40, 1) == [20]
