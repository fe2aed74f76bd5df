import json

import numpy as np
import pytest

from benchmarks.smoothing import (
    CHOSEN,
    DEFAULT,
    NONE,
    Outcome,
    candidates,
    chosen,
    held,
    plot,
    report,
    score,
)
from benchmarks.smoothing import _as_json as as_json
from benchmarks.smoothing.recordings import Track
from edgepose.datasets.clips import Clip
from edgepose.testing import standing_person
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.skeletons import PENN13
from edgepose_runtime.poses.smoothing import OneEuroSettings

FRAMES = 40


def outcome(name, pck01, jitter, lag, settings=None):
    return Outcome(name, settings, 80.0, pck01, jitter, lag)


OUTCOMES = [
    outcome(NONE, 60.0, 12.0, 0.0),
    outcome(DEFAULT, 60.1, 10.0, 0.1, OneEuroSettings()),
    outcome("good", 59.9, 9.0, 0.3, OneEuroSettings(beta=5.0)),
    outcome("late", 59.9, 8.0, 0.9),
    outcome("wrong", 55.0, 7.0, 0.3),
]


@pytest.fixture
def tracks():
    truth = np.stack([standing_person((120, 120), 120)] * FRAMES)
    shaken = truth.copy()
    shaken[..., :2] += np.random.default_rng(0).normal(0, 1, (FRAMES, 13, 2))
    clip = Clip("a", "film", lambda: iter(()), truth, None, PENN13, 25.0, "val")
    times = tuple(40.0 * index for index in range(FRAMES))
    return [(clip, Track(shaken, (Roi(0, 0, 200, 200),) * FRAMES, times))]


def test_the_calmest_setting_that_is_neither_wrong_nor_late_is_chosen():
    assert chosen(OUTCOMES, 0.2, 0.5).name == "good"
    assert chosen(OUTCOMES, 0.2, 1.0).name == "late"
    assert chosen(OUTCOMES, 10.0, 0.5).name == "wrong"
    assert chosen(OUTCOMES[:1] + OUTCOMES[4:], 0.2, 0.5).name == NONE


def test_where_nothing_is_fast_no_setting_is_late():
    unknown = outcome("still", 60.0, 5.0, float("nan"))
    assert chosen([*OUTCOMES, unknown], 0.2, 0.5).name == "still"


def test_smoothing_a_shaking_track_lowers_its_jitter(tracks):
    plain = score(NONE, None, tracks, PENN13)
    calm = score("calm", OneEuroSettings(min_cutoff_hz=0.5, beta=1.0), tracks, PENN13)
    assert calm.jitter < 0.5 * plain.jitter
    assert calm.pck02 == 100


def test_a_pose_that_never_moves_shakes_as_the_annotation_does(tracks):
    assert held(tracks, PENN13).jitter == 0
    clip, _ = tracks[0]
    clip.keypoints[1::2, :, 0] += 1
    torso = np.linalg.norm(clip.keypoints[0, 2, :2] - clip.keypoints[0, 7, :2])
    assert held(tracks, PENN13).jitter == pytest.approx(100 * 2 / torso, rel=0.02)


def test_no_smoothing_comes_first_then_the_default_and_every_other_once():
    names = [name for name, _ in candidates()]
    assert names[:2] == [NONE, DEFAULT]
    assert len(set(names)) == len(names)


def test_the_tables_show_the_choice_of_train_on_both_parts():
    text = report({"train": OUTCOMES, "val": OUTCOMES}, OUTCOMES[2])
    assert text.count(f"| {CHOSEN}: good | 80.0 | 59.9 | 9.0 | 0.30 |") == 2
    assert "late" not in text


def test_json_is_standard():
    endless = outcome("free", 1.0, 2.0, float("nan"), OneEuroSettings(jump_speed=float("inf")))
    content = json.dumps(as_json({"val": [endless]}, endless), allow_nan=False)
    (row,) = json.loads(content)["results"]["val"]
    assert (row["name"], row["jump_speed"], row["lag"]) == ("free", None, None)


def test_the_picture_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    plot(OUTCOMES, OUTCOMES[2].settings, tmp_path / "smoothing.png")
    assert (tmp_path / "smoothing.png").stat().st_size > 1000
