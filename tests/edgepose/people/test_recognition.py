import numpy as np
import pytest

from edgepose.people.identities import Known
from edgepose.people.person import FollowedPerson, SeenPose, Status
from edgepose.people.recognition import mixed_up, reassign, recognise, touch
from edgepose.tracking.frame import Frame

IMAGE = np.zeros((8, 8, 3), np.uint8)


def looks(part):
    """Look like nobody with another number."""
    described = np.zeros((5, 8), np.float32)
    described[:, part] = 1
    return described


def box(x, height=100.0):
    return np.array([x - 20.0, 100.0, x + 20.0, 100.0 + height])


def make(person_id, x, part=None, status=Status.TRACKED):
    person = FollowedPerson((None, None), np.append(box(x), 0.9), Frame(0, IMAGE, 0.0))
    if person_id is not None:
        person.enter(person_id)
        person.known.remember(None if part is None else looks(part))
    person.status = status
    return person


def seen(person, x, height=100.0):
    return {person: SeenPose(None, np.zeros((13, 3), np.float32), box(x, height), is_guess=False)}


def who(x, elapsed_ms, away, height=100.0, part=1):
    """The identities of those who come back at x."""
    newcomer = make(None, x, status=Status.TENTATIVE)
    pairs = recognise(
        [newcomer], away, seen(newcomer, x, height), {newcomer: looks(part)}, elapsed_ms
    )
    return [person.person_id for _, person in pairs]


def test_a_look_that_shows_nothing_does_not_count():
    known = Known(1)
    for description in (looks(1), *[None] * 9, looks(2)):
        known.remember(description)
    assert known.looks == pytest.approx((looks(1) + looks(2)) / 2), "the mean of two"


def test_who_comes_back_near_the_place_in_the_same_clothes_is_recognised():
    away = [make(1, 100, 1, Status.LOST)]
    assert who(130, 2000.0, away) == [1]
    assert who(1000, 2000.0, away) == [], "too far"
    assert who(130, 2000.0, away, height=40.0) == [], "too small"
    assert who(130, 2000.0, away, part=2) == [], "other clothes"


def test_of_two_who_are_away_the_clothes_say_who_comes_back():
    away = [make(1, 100, 1, Status.LOST), make(2, 110, 2, Status.LOST)]
    assert who(100, 1500.0, away, part=2) == [2]


def test_a_moment_after_being_lost_the_place_says_more_than_the_clothes():
    half = looks(1) * 0.15 + looks(2) * 0.85
    hidden = make(1, 100, status=Status.HIDDEN)
    hidden.known.remember(half)
    assert who(101, 80.0, [hidden]) == [1]
    assert who(101, 4000.0, [hidden]) == []


def crossed():
    """Two people who were close to each other, and are seen with each other's clothes."""
    first, second = make(1, 100, 1), make(2, 300, 2)
    first.touch(second)
    poses = {**seen(first, 100), **seen(second, 300)}
    return first, second, poses


def test_people_in_contact_who_have_each_others_clothes_were_exchanged():
    first, second, poses = crossed()
    reassign(mixed_up(poses, {first: looks(2), second: looks(1)}, 40.0))
    assert (first.person_id, second.person_id) == (2, 1)
    assert first.known.looks == pytest.approx(looks(2))
    assert not first.contacts and not second.contacts


def test_people_in_contact_in_their_own_clothes_stay_who_they_are():
    first, second, poses = crossed()
    assert mixed_up(poses, {first: looks(1), second: looks(2)}, 40.0) == []
    assert not first.contacts, "it is clear now"


def test_without_contact_nobody_is_exchanged():
    first, second, poses = crossed()
    first.part(second)
    assert mixed_up(poses, {first: looks(2), second: looks(1)}, 40.0) == []


def test_who_is_seen_may_be_who_is_thought_hidden():
    first, second, _ = crossed()
    second.status = Status.HIDDEN
    reassign(mixed_up(seen(first, 200), {first: looks(2)}, 40.0))
    assert (first.person_id, second.person_id) == (2, 1)


def test_three_in_a_row_are_told_apart_together():
    people = [make(number, 100 * number, number) for number in (1, 2, 3)]
    people[0].touch(people[1])
    people[1].touch(people[2])
    poses = {each: pose for p in people for each, pose in seen(p, 200).items()}
    worn = dict(zip(people, map(looks, (2, 3, 1)), strict=True))
    reassign(mixed_up(poses, worn, 40.0))
    assert [person.person_id for person in people] == [2, 3, 1]


def test_who_overlaps_somebody_is_in_contact_until_told_apart():
    first, second, third = make(1, 100), make(2, 110), make(3, 500)
    touch({**seen(first, 100), **seen(second, 110), **seen(third, 500)})
    assert first.contacts == {second} and second.contacts == {first}
    assert (first.apart, second.apart, third.apart) == (0, 0, 1)
    touch({**seen(first, 100), **seen(second, 300), **seen(third, 500)})
    assert first.contacts == {second} and (first.apart, third.apart) == (1, 2)


def test_who_is_where_somebody_hidden_should_be_may_be_mistaken_for_them():
    ann, bob, eve = make(1, 100), make(2, 110, status=Status.HIDDEN), make(3, 400)
    touch({**seen(ann, 100), **seen(eve, 400)}, [bob], 0.0)
    assert ann.contacts == {bob} and bob.contacts == {ann} and not eve.contacts
    assert (ann.apart, bob.apart, eve.apart) == (1, 0, 1), "hidden people cover nobody"
