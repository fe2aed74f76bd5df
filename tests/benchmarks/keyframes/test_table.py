"""Key frames that are chosen by chance, and how sure a difference is."""

import numpy as np
import pytest

from benchmarks.keyframes import table
from benchmarks.keyframes.poses import CLEAN, FrameWisePoses
from benchmarks.keyframes.selection import SelectionScorer, even_steps, uniform
from benchmarks.keyframes.table import (
    BEST,
    MEAN,
    SEARCHED,
    chosen_table,
    noise_table,
    random_choice,
    selection_table,
)
from edgepose_runtime.poses.skeletons import PENN13


@pytest.fixture
def scorer(make_clip, monkeypatch):
    """Two films of a person who jumps, seen as annotated; few random choices, two numbers."""
    monkeypatch.setattr(table, "COUNTS", (4, 10))
    monkeypatch.setattr(table, "TRIALS", 8)
    clips = []
    for film, period in (("one", 3.0), ("two", 5.0)):
        clip = make_clip(num_frames=40, film=film, name=film)
        clip.keypoints[..., 1] += 40 * np.sin(np.arange(40) / period)[:, None]
        thumbnails = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
        poses = clip.keypoints.astype(np.float32)
        clips.append(FrameWisePoses(clip, {CLEAN: poses}, {CLEAN: thumbnails}))
    return SelectionScorer(clips, PENN13)


def test_the_best_random_choice_is_that_of_each_clip(scorer):
    found = selection_table(scorer, {"even steps": even_steps, "uniform": uniform})
    trials = [
        [scorer.pooled([scorer.of_clip(i, random_choice(seed, i), 4)]) for seed in range(8)]
        for i in range(2)
    ]
    assert found["pck"][MEAN][4] == pytest.approx(np.mean(trials), abs=0.01)
    # Both clips have as many joints: the best of each counts half.
    assert found["pck"][BEST][4] == pytest.approx(np.mean(np.max(trials, axis=1)), abs=0.01)
    over_all = np.max(np.mean(trials, axis=0))
    assert found["pck"][BEST][4] > over_all, "one seed is not the best for both clips"


def test_a_search_by_the_annotation_is_better_than_chance(scorer):
    found = selection_table(scorer, {"even steps": even_steps})["pck"]
    assert found[SEARCHED][4] > found[BEST][4] + 1
    assert found[SEARCHED][10] >= found[BEST][10]


def test_key_frames_of_an_own_number_are_compared_with_as_many_at_even_steps(scorer):
    own = [even_steps(scorer.clips[0], 6), even_steps(scorer.clips[1], 10)]
    bad = [[0, 1, 2, 3], [0, 1, 2, 3]]
    found = chosen_table(scorer, {"even": own, "bad": bad})
    assert found["even"]["difference_to_even_steps"] == 0
    assert (found["even"]["keys_of_40"], found["even"]["deviation"]) == (8, 2)
    low, high = found["bad"]["difference_interval"]
    assert low <= found["bad"]["difference_to_even_steps"] <= high < 0
    assert found["bad"]["pck"] < found["even"]["pck"]


def test_noise_that_is_too_large_costs_what_smooth_key_poses_say(scorer, monkeypatch):
    monkeypatch.setattr(table, "NOISES", (0.02, 0.001, 0.3, None))
    found = noise_table(scorer)
    assert set(found) == {"0.02", "0.001", "0.3", "estimated"}
    assert found["0.02"]["difference_to_default"] == {4: 0, 10: 0}
    low, high = found["0.3"]["interval"][10]
    assert low <= found["0.3"]["difference_to_default"][10] <= high < 0
    assert found["0.001"]["pck"][10] > found["0.3"]["pck"][10]


def test_figures_have_intervals_and_paired_differences(scorer):
    found = selection_table(scorer, {"even steps": even_steps, "uniform": uniform})
    low, high = found["intervals"]["uniform"][4]
    assert low <= found["pck"]["uniform"][4] <= high and low < high
    difference = found["difference_to_even_steps"]["uniform"]["value"][10]
    assert difference == pytest.approx(found["pck"]["uniform"][10] - found["pck"]["even steps"][10])
    assert "even steps" not in found["difference_to_even_steps"]
    assert found["films"] == 2


def test_chance_depends_on_the_seed_alone(scorer):
    clip = scorer.clips[0]
    assert random_choice(1, 0)(clip, 6) == random_choice(1, 0)(clip, 6)
    assert random_choice(1, 0)(clip, 6) != random_choice(2, 0)(clip, 6)
