"""Tables of live key frames, with a tracker whose poses are off where no network ran."""

from itertools import cycle

import numpy as np
import pytest

from benchmarks.keyframes import budget
from benchmarks.keyframes.budget import Row, Trial, degrade
from edgepose.keyframes import KeyFrames
from edgepose.results import Origin, PoseResult
from edgepose_runtime.poses.skeletons import PENN13


class Model:
    skeleton = PENN13


@pytest.fixture
def trial(make_clip, monkeypatch):
    """Two films; every frame is as annotated, and with key frames every second one is far off."""
    clips = [make_clip(num_frames=10, film=film, name=film) for film in ("one", "two")]
    truths = cycle([clip.keypoints for clip in clips])

    def track(_model, settings, images, _fps):
        poses = next(truths).astype(np.float32).copy()
        results = []
        for t, pose in enumerate(poses):
            predicted = settings is not None and t % 2 == 1
            pose[:, 0] += 1000.0 * predicted
            origin = Origin.PREDICTED if predicted else Origin.INITIALISED
            latency = {"total": 1.0 if predicted else 3.0 if t else 50.0}
            results.append(
                PoseResult(t, 33.0 * t, pose, None, None, origin, 0, latency, PENN13, None)
            )
        return results

    monkeypatch.setattr(budget, "track", track)
    return Trial(Model(), clips, [list(clip.frames()) for clip in clips])


def test_a_row_has_share_time_and_the_difference_to_every_frame(trial):
    every, half = trial.row(None), trial.row(KeyFrames())
    assert isinstance(every, Row)
    assert (every.processed, every.step_ms) == (100.0, 3.0)
    assert (half.processed, half.step_ms) == (50.0, pytest.approx(17 / 9))
    line = half.line("half", every)
    assert line.startswith("| half | 50.0 % | 1.89 | 50.0 | -50.0 (-50.0 to -50.0) |")


@pytest.mark.slow
def test_every_decision_has_a_row_for_each_share_with_and_without_lag(trial):
    lines = list(budget.looks_table(trial))
    rows = [line for line in lines if line.startswith(("| drift", "| learned", "| uncertainty"))]
    names = {row.split("|")[1] for row in rows}
    assert len(rows) == len(names) == 3 * 2 * 6


@pytest.mark.parametrize("part", [0.0, 0.4])
def test_so_many_frames_are_degraded_as_was_asked_for(trial, monkeypatch, part):
    monkeypatch.setitem(budget.PERTURBATIONS, "brighter", lambda image, _roi, _random: image + 1)
    for before, after in zip(trial.frames, degrade(trial, "brighter", part), strict=True):
        changed = sum(not np.array_equal(*pair) for pair in zip(before, after, strict=True))
        assert changed == round(part * len(before))


def test_each_budget_has_its_time_beside_that_of_every_frame(trial):
    rows = [line for line in budget.budgets_table(trial) if line.startswith("| ")][1:]
    every, found = rows[::2], rows[1::2]
    assert len(found) == len(budget.BUDGETS)
    assert all(row.startswith("| every frame | 100.0 % | 3.00 |") for row in every)
    assert found[0].startswith("| auto, 0: 0.63 of the time | 50.0 % | 1.89 |")
