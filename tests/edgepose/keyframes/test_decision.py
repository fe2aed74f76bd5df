import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepose.keyframes import KeyFrames
from edgepose.keyframes.decision import BURST, CONTRADICTION, KeyFrameDecision, drift
from edgepose.keyframes.settings import TOLERANCE_TIMES_RATE

SURE = np.zeros(13)
STILL, FAST = np.zeros(13), np.full(13, 0.1)


def decide(decision, movements):
    """Return which of the frames became key frames."""
    chosen = []
    for moved in movements:
        chosen.append(decision.is_key_frame(moved, SURE))
        decision.observed(moved) if chosen[-1] else decision.skipped(moved)
    return chosen


def test_a_person_who_stands_still_is_looked_at_seldom():
    chosen = decide(KeyFrameDecision(KeyFrames(tolerance=0.012)), [STILL] * 80)
    assert sum(chosen) == 80 // 5  # the drift of 5 frames exceeds the tolerance


def test_a_fast_movement_is_looked_at_sooner():
    slow = decide(KeyFrameDecision(KeyFrames()), [STILL] * 8)
    fast = decide(KeyFrameDecision(KeyFrames()), [FAST] * 8)
    assert fast.index(True) < slow.index(True)


@given(
    rate=st.floats(0.01, 1),
    speeds=st.lists(st.floats(0, 0.3), min_size=50, max_size=200),
    cuts=st.integers(1, 20),
)
@settings(deadline=None)
def test_the_budget_holds_in_the_long_run(rate, speeds, cuts):
    decision, looked = KeyFrameDecision(KeyFrames(max_key_rate=rate, tolerance=0)), 0
    for index, speed in enumerate(speeds):
        moved, doubt = np.full(13, speed), np.full(13, float(index % cuts == 0))
        key = decision.is_key_frame(moved, doubt)
        decision.observed(moved, surprise=1.0) if key else decision.skipped(moved)
        looked += key
    assert looked <= rate * len(speeds) + 2 * BURST


def test_a_rate_of_one_allows_to_look_at_every_frame():
    assert all(decide(KeyFrameDecision(KeyFrames(1.0, tolerance=0)), [STILL] * 30))


def test_after_a_contradiction_the_next_frames_are_key_frames():
    decision = KeyFrameDecision(KeyFrames())
    decision.observed(STILL, surprise=CONTRADICTION + drift(STILL) + 0.01)
    assert decide(decision, [STILL] * 4) == [True, True, False, False]


def test_after_what_was_expected_they_are_not():
    decision = KeyFrameDecision(KeyFrames(tolerance=0.012))
    decision.observed(STILL, surprise=CONTRADICTION / 2)
    assert decide(decision, [STILL] * 4) == [False] * 4


def test_a_cut_is_looked_at():
    decision = KeyFrameDecision(KeyFrames())
    assert decision.is_key_frame(STILL, np.full(13, 0.04))
    assert decision.is_key_frame(STILL, np.full(13, np.nan))


def test_asking_changes_nothing():
    asked, silent = (KeyFrameDecision(KeyFrames()) for _ in range(2))
    for _ in range(50):
        asked.is_key_frame(FAST, SURE)
    assert decide(asked, [FAST] * 20) == decide(silent, [FAST] * 20)


@given(st.lists(st.floats(0, 0.3), min_size=1, max_size=60), st.integers(0, 60))
@settings(deadline=None)
def test_what_follows_never_changes_a_decision(speeds, cut):
    movements = [np.full(13, speed) for speed in speeds]
    others = movements[:cut] + [FAST] * (len(movements) - cut)
    first = decide(KeyFrameDecision(KeyFrames()), movements)
    second = decide(KeyFrameDecision(KeyFrames()), others)
    assert first[:cut] == second[:cut]


def test_ten_thousand_frames_keep_to_the_budget_to_the_end():
    chosen = decide(KeyFrameDecision(KeyFrames(max_key_rate=0.2)), [FAST] * 10_000)
    for start in range(0, 10_000, 1000):
        assert sum(chosen[start : start + 1000]) <= 200 + BURST


def test_joints_that_are_not_known_do_not_count():
    moved = np.full(13, np.nan)
    assert drift(moved) == drift(STILL)
    moved[0] = 0.1
    assert drift(moved) == drift(np.full(13, 0.1))


def share(decision, speeds):
    return np.mean(decide(decision, [np.full(13, speed) for speed in speeds]))


@pytest.mark.parametrize("rate", [0.15, 0.3])
@pytest.mark.parametrize("scale", [0.015, 0.06])
def test_without_a_tolerance_a_moving_person_uses_the_budget_up(rate, scale):
    speeds = np.random.default_rng(0).gamma(1.0, scale, 3000)
    assert share(KeyFrameDecision(KeyFrames(rate)), speeds) == pytest.approx(rate, rel=0.05)


def test_a_fixed_tolerance_leaves_budget_where_movements_are_slow():
    speeds = np.random.default_rng(0).gamma(1.0, 0.008, 3000)
    fixed = share(KeyFrameDecision(KeyFrames(0.3, TOLERANCE_TIMES_RATE / 0.3)), speeds)
    assert 1.15 * fixed < share(KeyFrameDecision(KeyFrames(0.3)), speeds) < 0.3


def test_a_person_who_stands_still_is_not_looked_at_more_often_for_the_budget_left():
    decision = KeyFrameDecision(KeyFrames(0.3))
    chosen = decide(decision, [STILL] * 700)
    assert decision.gain > 1.9
    assert sum(chosen) == 100  # every seventh frame: the drift exceeds 0.005 / 0.3


def test_a_fixed_tolerance_stays():
    decision = KeyFrameDecision(KeyFrames(0.3, tolerance=0.02))
    decide(decision, [STILL] * 100)
    assert decision.gain == 1.0


def test_frames_without_a_person_do_not_count_for_the_adaptation():
    decision = KeyFrameDecision(KeyFrames(0.3))
    for _ in range(50):
        decision.observed()
    assert decision.gain == 1.0


def test_an_estimated_error_counts_by_the_budget_too():
    decision = KeyFrameDecision(KeyFrames(0.25))
    error = 0.015  # below 0.005 / 0.25
    assert not decision.is_key_frame(STILL, SURE, error)
    for _ in range(10):
        decision.skipped(STILL)
    assert decision.is_key_frame(STILL, SURE, error) is (decision.gain * error > 0.02)
    for _ in range(50):
        decision.skipped(STILL)
    assert decision.is_key_frame(STILL, SURE, error)
