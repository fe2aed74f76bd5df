import pytest

from edgepose.people.schedule import DetectionSchedule, LookBudget
from edgepose_runtime.errors import ConfigError


def detected_frames(schedule, step_ms, count, urgent=False):
    frames = []
    for index in range(count):
        due = schedule.is_due(index * step_ms, lambda: urgent)
        schedule.passed(index * step_ms, detected=due)
        frames += [index] if due else []
    return frames


def test_the_detector_runs_at_the_start_and_then_on_schedule():
    assert detected_frames(DetectionSchedule(400), 40, 25) == [0, 10, 20]


def test_it_runs_twice_as_often_where_that_is_urgent():
    assert detected_frames(DetectionSchedule(400), 40, 16, urgent=True) == [0, 5, 10, 15]


def test_it_never_runs_on_two_frames_in_a_row():
    assert detected_frames(DetectionSchedule(0), 40, 6, urgent=True) == [0, 2, 4]


def test_after_a_reset_the_next_frame_is_due():
    schedule = DetectionSchedule(400)
    schedule.passed(0, detected=True)
    assert not schedule.is_due(40, lambda: True)
    schedule.reset()
    assert schedule.is_due(40, lambda: False)


def test_as_many_people_are_processed_as_the_deadline_has_time_for():
    budget = LookBudget(None, 33.0)
    assert budget.looks(0.0, detects=True) is None, "nothing is known yet"
    budget.observe({"detect": 9.0, "network": 16.0, "total": 29.0}, 10)
    assert budget.looks(0.0, detects=False) == 12
    assert budget.looks(0.0, detects=True) == 8
    assert budget.looks(31.5, detects=False) == 1, "one at least"


def test_the_smaller_bound_holds():
    budget = LookBudget(3, 33.0)
    budget.observe({"total": 10.0}, 5)
    assert budget.looks(0.0, detects=False) == 3
    assert LookBudget(3, None).looks(99.0, detects=True) == 3
    assert LookBudget(None, None).looks(99.0, detects=True) is None


def test_a_deadline_that_is_no_time_is_refused():
    with pytest.raises(ConfigError, match="deadline_ms"):
        LookBudget(None, -1.0)
