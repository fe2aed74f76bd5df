import numpy as np
import pytest

from edgepose.people.motion import PersonMotion


def box(x, width=40.0, height=100.0):
    return np.array([x - width / 2, 50.0, x + width / 2, 50.0 + height])


def walk(frames=30, step=2.0):
    """Somebody who walks to the right, a frame every 40 ms; and the time of the next frame."""
    motion = PersonMotion(box(100), 0.0)
    for frame in range(1, frames):
        motion.update(box(100 + step * frame), 40.0 * frame)
    return motion, 40.0 * frames


def middle(motion, timestamp_ms):
    left, _, right, _ = motion.predict(timestamp_ms)
    return (left + right) / 2


def test_a_walk_goes_on():
    motion, now = walk()
    assert middle(motion, now) == pytest.approx(160, abs=2)
    assert middle(motion, now + 400) == pytest.approx(180, abs=4)


def test_one_box_aside_leads_only_partly_astray():
    motion, now = walk()
    motion.update(box(180), now)
    assert 160 < middle(motion, now) < 175


def test_the_second_box_is_taken_as_it_is():
    motion = PersonMotion(box(100), 0.0)
    motion.update(box(140), 40.0)
    assert middle(motion, 40.0) == 140


@pytest.mark.parametrize(
    ("seen", "continues"),
    [
        (box(160), True),
        (box(172), True),
        (box(200), False),
        (box(160, height=125), True),
        (box(160, height=145), False),
        (box(160, height=70), False),
        (box(160, width=55), True),
        (box(160, width=80), False),
    ],
)
def test_a_box_continues_a_person_by_place_and_size(seen, continues):
    motion, now = walk()
    assert motion.can_continue_to(seen, now) == continues


def test_after_a_longer_time_a_person_may_be_further_away():
    motion, now = walk()
    assert not motion.can_continue_to(box(200), now)
    assert motion.can_continue_to(box(200 + 25), now + 1000)


def test_at_first_everything_continues():
    motion = PersonMotion(box(100), 0.0)
    motion.update(box(100), 40.0)
    assert motion.can_continue_to(box(400, height=300), 80.0)
