from dataclasses import replace

import numpy as np
import pytest

from edgepose.inference.estimator import StageClock
from edgepose.results import DropReason, Origin, Person, PersonState, PoseResult
from edgepose.stats import WINDOW, StatsRecorder
from edgepose_runtime.poses.skeletons import PENN13


def result(origin: Origin | None = Origin.PROPAGATED, **latency: float) -> PoseResult:
    keypoints = None if origin is None else np.zeros((13, 3), np.float32)
    return PoseResult(0, 0.0, keypoints, None, None, origin, 0, latency, PENN13)


def recorder(*results: PoseResult, warmup_frames: int = 0) -> StatsRecorder:
    made = StatsRecorder(warmup_frames)
    for each in results:
        made.add_frame()
        made.add_result(each)
    return made


def test_each_frame_is_counted_exactly_once():
    made = recorder(result(), result(Origin.INITIALISED), result(None))
    for _ in range(4):
        made.add_frame()
    made.add_error()
    made.add_drop(DropReason.STALE)
    stats = made.snapshot()
    assert (stats.frames, stats.poses, stats.without_person, stats.errors) == (7, 2, 1, 1)
    assert (stats.drops, stats.pending) == ({"stale": 1}, 2)
    assert stats.origins == {"propagated": 1, "initialised": 1}


def test_percentiles_are_those_of_numpy():
    values = np.arange(1, 101, dtype=float)
    stats = recorder(*(result(crop=value) for value in values)).snapshot()
    expected = np.percentile(values, (50, 95, 99))
    crop = stats.latency["crop"]
    assert (crop.p50, crop.p95, crop.p99) == pytest.approx(tuple(expected))
    assert crop.count == 100


def test_frames_of_several_people_are_timed_by_their_number():
    def crowd(count, total):
        pose, roi = np.zeros((13, 3), np.float32), (0, 0, 9, 9)
        person = Person(1, pose, 0.5, Origin.PROPAGATED, 0, roi, PersonState.TRACKED)
        return replace(result(total=total), several=(person,) * count)

    frames = [crowd(3, 7.0), crowd(0, 1.0), crowd(3, 9.0), result(total=5.0)]
    people = recorder(*frames).snapshot().people
    assert list(people) == [0, 3]
    assert (people[3].count, people[3].p50, people[0].p50) == (2, 8.0, 1.0)
    assert recorder(*frames, warmup_frames=2).snapshot().people[3].count == 1


def test_warm_up_counts_frames_but_not_their_latency():
    stats = recorder(result(crop=900.0), result(crop=1.0), warmup_frames=1).snapshot()
    assert stats.poses == 2
    assert stats.latency["crop"].count == 1
    assert stats.latency["crop"].p99 == 1.0


def test_after_an_explicit_warm_up_every_frame_is_measured():
    made = StatsRecorder(warmup_frames=3)
    made.warmed_up()
    made.add_result(result(crop=2.0))
    assert made.snapshot().latency["crop"].count == 1


def test_only_the_latest_frames_are_kept_and_all_are_counted():
    made = recorder(*(result(crop=1000.0) for _ in range(10)))
    for _ in range(WINDOW):
        made.add_result(result(crop=1.0))
    crop = made.snapshot().latency["crop"]
    assert crop.count == WINDOW + 10
    assert crop.p99 == 1.0


def test_no_frames_give_empty_statistics():
    stats = StatsRecorder().snapshot()
    assert stats.frames == 0
    assert stats.latency == {}


def test_a_stage_used_twice_adds_up_and_the_total_covers_all():
    clock = StageClock()
    for _ in range(2):
        with clock.stage("crop"):
            pass
    with clock.stage("network"):
        pass
    latency = clock.latency()
    assert list(latency) == ["crop", "network", "total"]
    assert latency["total"] >= latency["crop"] + latency["network"]


def test_a_stage_that_fails_is_still_timed():
    clock = StageClock()
    with pytest.raises(ValueError, match="broken"), clock.stage("network"):
        raise ValueError("broken")
    assert "network" in clock.latency()
