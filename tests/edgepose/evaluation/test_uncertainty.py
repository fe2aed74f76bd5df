import json

import numpy as np
import pytest

from edgepose.evaluation.metrics.scoring import measures_for
from edgepose.evaluation.protocols.runner import Candidate, evaluate
from edgepose.evaluation.uncertainty import (
    Row,
    difference_table,
    figure_names,
    interval_table,
    resample_score,
    uncertainty_as_json,
    uncertainty_tables,
)
from edgepose_runtime.poses.skeletons import PENN13

MEASURES = measures_for([0.2])
NAMES = figure_names(MEASURES)


class WithoutWrists:
    """Predicts the annotation, but no wrists in clips of some names."""

    skeleton = PENN13

    def __init__(self, *names):
        self._names = names

    def predict(self, clip):
        predicted = clip.keypoints.copy()
        if clip.name in self._names:
            predicted[:, 5:7] = np.nan
        return predicted


@pytest.fixture
def clips(make_clip):
    films = ("one", "one", "two", "three")
    return [make_clip(name=str(i), film=film) for i, film in enumerate(films)]


@pytest.fixture
def row(clips):
    def make(label, *missing):
        run = evaluate(Candidate(label, WithoutWrists(*missing)), clips, MEASURES)
        return Row(label, resample_score(run.score, "limbs12"))

    return make


def test_figures_are_those_of_the_score(clips, row):
    run = evaluate(Candidate("a", WithoutWrists("0")), clips, MEASURES)
    values = dict(zip(NAMES, row("a", "0").figures.values.tolist(), strict=True))
    assert values["PCK-torso@0.2"] == run.score.pck(MEASURES[0]).limbs12
    assert values["PCK-torso@0.2"] == pytest.approx(100 * (1 - 2 / 12 / 4))
    assert values["jitter"] == pytest.approx(run.score.jitter)
    assert values["lag"] == pytest.approx(run.score.lag_frames, nan_ok=True)


def test_films_are_resampled_and_not_clips(row):
    draws = row("a", "0", "1").figures.draws[:, 0]
    # All clips of film "one" lack wrists: drawn k times of 3, 2k of (2k + 3 - k) clips do.
    share = np.array([2 * k / (3 + k) for k in range(4)])
    expected = 100 * (1 - share / 6)
    assert np.isclose(draws[:, None], expected).any(axis=1).all()
    assert len(np.unique(draws.round(6))) == 4


def test_intervals_and_differences_are_printed_with_what_they_are_of(row):
    rows = [row("ours", "0", "1"), row("other")]
    intervals, differences = uncertainty_tables(rows, NAMES, "films")
    assert intervals.title == "95 % confidence intervals (bootstrap over 3 films)"
    assert intervals.rows[0][:2] == ("ours", "83.3 to 100.0")
    assert intervals.rows[1][:2] == ("other", "100.0 to 100.0")
    assert differences.title.startswith("difference to ours")
    ((label, first, *_),) = differences.rows
    assert (label, first) == ("other", "+8.3 (0.0 to 16.7)")


def test_one_model_has_no_difference(row):
    assert len(uncertainty_tables([row("ours")], NAMES, "films")) == 1


def test_a_single_film_has_a_dash_for_an_interval(make_clip):
    run = evaluate(Candidate("a", WithoutWrists()), [make_clip()], MEASURES)
    rows = [Row("a", resample_score(run.score, "limbs12"))] * 2
    assert set(interval_table(rows, NAMES, "films").rows[0][1:]) == {"-"}
    assert difference_table(rows, NAMES).rows[0][1] == "+0.0 (-)"


def test_json_is_standard_and_holds_the_same(row):
    rows = [row("ours", "0", "1"), row("other")]
    content = uncertainty_as_json(rows, NAMES, "films")
    content = json.loads(json.dumps(content, allow_nan=False))
    assert (content["groups"], content["seed"]) == (3, 0)
    ours = content["intervals"][0]["PCK-torso@0.2"]
    assert (ours["low"], ours["high"]) == (pytest.approx(83.3333, abs=1e-3), 100)
    (difference,) = content["differences"]
    assert (difference["method"], difference["reference"]) == ("other", "ours")
    assert difference["PCK-torso@0.2"]["difference"] == pytest.approx(8.3333, abs=1e-3)
