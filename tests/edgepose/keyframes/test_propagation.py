import numpy as np
import pytest

from edgepose.keyframes import KeyFrames
from edgepose.keyframes.propagation import JUMP, Propagation
from edgepose_runtime.poses.skeletons import PENN13
from tests.edgepose.keyframes.test_dynamics import POSE, segment_of, step_by

STILL = np.zeros(2)


def propagation(motion="flow", decision="drift"):
    return Propagation(KeyFrames(motion=motion, decision=decision), PENN13)


def walk(found, way=4.0, keys=5, surprise=0.0):
    """Show it key frames of somebody who walks, two frames apart; return the last."""
    for number in range(keys):
        key = POSE + np.array([2 * way * number, 0, 0], np.float32)
        found.begin(key, 200.0, surprise if number else None)
        if number < keys - 1:
            found.skip(step_by(segment_of(0, key=key), np.array([way, 0.0])))
    return key


def still_step(key):
    return step_by(segment_of(0, key=key), STILL)


def moved(found, key):
    """Return how far the joints go to the right where flow sees no movement."""
    return float((found.expect(still_step(key)).joints - key[:, :2])[:, 0].mean())


def test_flow_dynamics_or_both_move_the_joints():
    ways = {}
    for motion in ("flow", "dynamics", "both"):
        found = propagation(motion)
        ways[motion] = moved(found, walk(found))
    assert ways["flow"] == 0
    assert ways["dynamics"] > 0.5
    assert 0 < ways["both"] < ways["dynamics"]


def test_drift_leaves_the_error_to_the_decision():
    found = propagation()
    assert found.expect(still_step(walk(found))).error is None


@pytest.mark.parametrize("decision", ["learned", "uncertainty"])
@pytest.mark.parametrize("motion", ["flow", "dynamics", "both"])
def test_the_expected_error_grows(motion, decision):
    found = propagation(motion, decision)
    key = walk(found)
    segment, errors = segment_of(0, key=key), []
    ways = np.random.default_rng(0).normal(0, 4, (len(key), 2))
    for _ in range(10):
        step = step_by(segment, ways, doubt=0.01)
        segment = segment.extended(step)
        errors.append(found.expect(step).error)
        found.skip(step)
    assert errors[-1] > errors[0] >= 0


def test_somebody_who_stands_still_is_looked_at_in_the_end():
    found = propagation(decision="learned")
    step = still_step(walk(found, way=0.0))
    for _ in range(40):
        found.skip(step)
    assert found.expect(step).error > KeyFrames().largest_error


def test_expecting_changes_nothing():
    found = propagation("both", "learned")
    step = still_step(walk(found))
    first = found.expect(step)
    for _ in range(3):
        again = found.expect(step)
    np.testing.assert_array_equal(first.joints, again.joints)
    assert first.error == again.error


@pytest.mark.parametrize("surprise", [None, JUMP + 0.01])
def test_after_a_jump_no_movement_goes_on(surprise):
    found = propagation("dynamics")
    key = walk(found)
    found.begin(key, 200.0, surprise)
    assert moved(found, key) == pytest.approx(0, abs=0.01)


def test_after_a_reset_nothing_is_propagated():
    found = propagation("both")
    key = walk(found)
    found.reset()
    with pytest.raises(RuntimeError, match="no key frame"):
        found.expect(still_step(key))


@pytest.mark.parametrize("decision", ["learned", "uncertainty"])
def test_where_no_joint_is_known_the_drift_decides(decision):
    found = propagation(decision=decision)
    key = np.full_like(POSE, np.nan)
    found.begin(key, 200.0, None)
    assert found.expect(still_step(key)).error is None
