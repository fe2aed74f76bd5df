"""python -m benchmarks methods: which frames count, who takes part, and what the tables say."""

from contextlib import ExitStack

import numpy as np
import pytest

from benchmarks.methods import report
from benchmarks.methods.candidates import open_entry
from benchmarks.methods.conditions import AFTER, named_conditions
from benchmarks.methods.cost import Cost, cost_of
from edgepose import PoseTracker
from edgepose.datasets.clips import Clip
from edgepose.evaluation.metrics.bootstrap import Resampled
from edgepose.evaluation.uncertainty import Row
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.poses.skeletons import PENN13

PERSON = standing_person((160, 120), 120)


@pytest.fixture
def clip() -> Clip:
    frames = [np.full((240, 320, 3), value, np.uint8) for value in range(10, 30)]
    people = np.stack([PERSON] * len(frames))
    return Clip("walk", "film", lambda: iter(frames), people, None, PENN13, 25.0, "val")


def test_after_blank_frames_only_the_first_ones_that_show_somebody_count(clip):
    (lost,) = named_conditions(["lost 3"])
    shown = lost.apply(clip)
    pictures = [frame[0, 0, 0] for frame in shown.frames()]
    assert pictures == [*range(10, 20), 128, 128, 128, *range(20, 30)]
    scored = (shown.keypoints[..., 2] > 0).any(axis=1).nonzero()[0]
    np.testing.assert_array_equal(scored, 13 + np.arange(AFTER))
    assert np.isfinite(shown.boxes).all()


@pytest.mark.parametrize("name", ["foggy", "lost", "lost -1", "lost x"])
def test_unknown_conditions_are_refused_with_those_that_there_are(name):
    with pytest.raises(ConfigError, match="clean, blurred, dark"):
        named_conditions(["clean", name])


@pytest.mark.parametrize("name", ["ppn-swift", "ppn-swift:fast"])
def test_unknown_ways_are_refused_before_a_bundle_is_opened(name):
    with ExitStack() as opened, pytest.raises(ConfigError, match="tracker"):
        open_entry(name, opened)


def test_the_cost_is_that_of_the_best_run_of_each_frame_and_of_one_more_person(clip):
    model = fake_model(FakeMethod(PERSON))

    def new_tracker(**options):
        return PoseTracker(model, **options)

    cost = cost_of(new_tracker, clip)
    assert 0 < cost.mean_ms < 1000
    assert 0 < cost.megabytes < 100


def test_the_tables_give_each_candidate_and_how_far_it_is_from_the_first():
    films = ("a", "b")
    first = Resampled(films, np.array([80.0, 50, 9, 0.5]), np.tile([80.0, 50, 9, 0.5], (20, 1)))
    other = Resampled(films, first.values + 1, first.draws + 1)
    rows = {"clean": [Row("x:body", first), Row("x:method", other)]}
    text = report(rows, {"x:method": Cost(2.25, 1.5)})
    assert "| x:method | 81.0 / 51.0 | 10.0 | 1.50 | 2.2 | 1.50 |" in text
    assert "**clean, difference to x:body**" in text
    assert "| x:method | +1.0 (1.0 to 1.0) | +1.0 (1.0 to 1.0) |" in text
