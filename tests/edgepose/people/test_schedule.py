from types import SimpleNamespace

import pytest

from edgepose.people.schedule import DetectionSchedule, LookBudget, whose_turn
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


class Somebody:
    """A person who is followed, small and still."""

    def __init__(self, skipped=0, needs_head=False):
        self.skipped, self._needs_head = skipped, needs_head
        self.motion = SimpleNamespace(speed=0.0)

    def needs_head(self, _region, *, crowded):
        return self._needs_head or crowded


def turns(budget, people, waited_ms=0.0, *, detects=False, close=()):
    allowance = budget.allowance(waited_ms, detects=detects)
    return list(whose_turn(people, {}, allowance, close))


def test_as_many_people_are_processed_as_the_deadline_has_time_for():
    budget, people = LookBudget(None, 33.0), [Somebody() for _ in range(20)]
    assert len(turns(budget, people, detects=True)) == 20, "nothing is known yet"
    budget.observe({"detect": 9.0, "network": 16.0, "total": 29.0}, 10, 0)
    assert len(turns(budget, people)) == 12
    assert len(turns(budget, people, detects=True)) == 8
    assert len(turns(budget, people, 31.5)) == 1, "one at least"


def test_the_head_counts_for_what_it_takes():
    budget = LookBudget(None, 33.0)
    budget.observe({"network": 6.0, "head": 16.0, "total": 24.0}, 4, 2)
    assert turns(budget, heavy := [Somebody(needs_head=True) for _ in range(9)]) == heavy[:2]
    assert len(turns(budget, [Somebody() for _ in range(20)])) == 12
    crowd = [Somebody() for _ in range(20)]
    assert len(turns(budget, crowd, close=set(crowd))) == 2


def test_whoever_waits_for_the_head_lets_others_pass_and_comes_first_in_the_end():
    budget = LookBudget(None, 33.0)
    budget.observe({"network": 6.0, "head": 30.0, "total": 36.0}, 3, 1)
    light, heavy = [Somebody() for _ in range(2)], Somebody(needs_head=True)
    assert turns(budget, [*light, heavy]) == light
    heavy.skipped = 1
    assert turns(budget, [*light, heavy]) == [heavy]


def test_the_smaller_bound_holds():
    budget, people = LookBudget(3, 33.0), [Somebody() for _ in range(20)]
    budget.observe({"total": 10.0}, 5, 0)
    assert len(turns(budget, people)) == 3
    assert len(turns(LookBudget(3, None), people, 99.0, detects=True)) == 3
    assert turns(LookBudget(None, None), people, 99.0, detects=True) == people


def test_a_deadline_that_is_no_time_is_refused():
    with pytest.raises(ConfigError, match="deadline_ms"):
        LookBudget(None, -1.0)
