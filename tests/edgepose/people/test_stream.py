import gc
import re

import numpy as np
import pytest

from edgepose.people.motion import pose_box
from edgepose.results import Origin, PersonState
from edgepose.tracking.frame import Frame
from edgepose_runtime.errors import InferenceError

RED, BLUE = (0, 0, 220), (220, 0, 0)


def two(film, apart=300):
    film.world.people = {"ann": (150, 240, 160), "bob": (150 + apart, 240, 160)}
    film.world.colours = {"ann": RED, "bob": BLUE}


def test_everybody_has_an_identity_and_a_pose_from_the_first_frame(film):
    two(film)
    people = film.step()
    assert [person.person_id for person in people] == [1, 2]
    assert film.events == [("person_entered", 1), ("person_entered", 2)]
    for name, person_id in film.who(people).items():
        keypoints = next(p.keypoints for p in people if p.person_id == person_id)
        assert np.abs(keypoints - film.world.pose(name)).max() < 2
    assert {person.state for person in people} == {PersonState.TRACKED}


def test_an_empty_scene_has_nobody(film):
    assert film.steps(30) == [] and film.events == []
    assert film.world.method.calls == []


@pytest.mark.parametrize("in_front", ["ann", "bob"])
def test_identities_survive_people_who_walk_past_each_other(film, in_front):
    two(film)
    film.world.people = dict(sorted(film.world.people.items(), key=lambda p: p[0] != in_front))
    before = film.who(film.step())
    for frame in range(75):
        film.world.people["ann"] = (150 + 4 * frame, 240, 160)
        film.world.people["bob"] = (450 - 4 * frame, 240, 160)
        people = film.step()
        assert len({person.person_id for person in people}) == len(people) <= 2
    assert film.who(people) == before
    assert film.stream.next_identity == 3


def test_two_people_close_to_each_other_stay_two(film):
    two(film, apart=60)
    assert all(len(film.step()) == 2 for _ in range(40))
    assert film.events == [("person_entered", 1), ("person_entered", 2)]


def test_who_is_hidden_for_a_moment_is_predicted_and_goes_on(film):
    film.world.people = {"ann": (150, 240, 160)}
    for frame in range(20):
        film.world.people["ann"] = (150 + 5 * frame, 240, 160)
        film.step()
    film.world.people.clear()
    (hidden,) = film.steps(4)
    assert (hidden.person_id, hidden.state) == (1, PersonState.HIDDEN)
    assert hidden.origin is Origin.PREDICTED
    assert hidden.keypoints[:, 0].mean() == pytest.approx(150 + 5 * 23, abs=12), "it moves on"
    film.world.people["ann"] = (270, 240, 160)
    assert film.steps(6)[0].state is PersonState.TRACKED
    assert film.events == [("person_entered", 1)]


def test_who_comes_back_in_time_has_the_same_identity(make_film):
    film = make_film(remember_s=2.0)
    film.world.people = {"ann": (150, 240, 160)}
    film.step()
    film.world.people.clear()
    assert film.steps(30) == []
    film.world.people["ann"] = (180, 240, 160)
    assert [person.person_id for person in film.steps(12)] == [1]
    assert film.events == [("person_entered", 1), ("person_lost", 1), ("person_found", 1)]


def test_who_comes_back_too_late_is_somebody_new(make_film):
    film = make_film(remember_s=1.0)
    film.world.people = {"ann": (150, 240, 160)}
    film.step()
    film.world.people.clear()
    film.steps(40)
    film.world.people["ann"] = (150, 240, 160)
    assert [person.person_id for person in film.steps(12)] == [2]
    assert [kind for kind, _ in film.events] == [
        *("person_entered", "person_lost", "person_left", "person_entered")
    ]


def test_somebody_who_looks_different_does_not_get_a_lost_identity(film):
    film.world.people, film.world.colours = {"ann": (150, 240, 160)}, {"ann": RED, "bob": BLUE}
    film.steps(12)
    film.world.people.clear()
    film.steps(20)
    film.world.people["bob"] = (160, 240, 160)
    assert [person.person_id for person in film.steps(12)] == [2]


@pytest.mark.parametrize(
    ("detected", "joints", "height", "is_found"),
    [
        (0.8, 0.6, 160, True),
        (0.4, 0.6, 160, False),
        (0.4, 0.9, 160, True),
        (0.4, 0.9, 30, False),
        (0.27, 0.9, 160, False),
    ],
    ids=["sure box", "doubtful", "sure pose", "small", "hardly any box"],
)
def test_a_doubtful_detection_needs_a_sure_pose(film, detected, joints, height, is_found):
    film.world.people, film.world.scores = {"ann": (150, 240, height)}, {"ann": detected}
    film.world.joint_scores = {"ann": joints}
    assert len(film.steps(30)) == is_found


def test_to_go_on_a_doubtful_detection_is_enough(film):
    film.world.people = {"ann": (150, 240, 160)}
    assert len(film.step()) == 1
    film.world.joint_scores["ann"] = 0.6
    film.world.scores["ann"] = 0.3
    assert all(len(film.step()) == 1 for _ in range(60)), "to go on it is enough"


def test_of_more_people_those_who_were_followed_first_stay(make_film):
    film = make_film(max_people=2)
    two(film)
    film.step()
    film.world.people = {"cid": (600, 240, 200), **film.world.people}
    people = film.steps(30)
    assert film.who(people) == {"ann": 1, "bob": 2}


def test_the_head_runs_every_third_frame_for_small_people_where_it_runs_again(make_film):
    film = make_film(reruns_head=True)
    film.world.people = {"ann": (150, 240, 80)}
    film.steps(12)
    kinds = [call.kind for call in film.world.method.calls]
    assert kinds == ["initialise", "advance", "advance"] * 4


@pytest.mark.parametrize(("reruns_head", "height"), [(False, 80), (True, 160)])
def test_else_the_head_runs_as_often_as_the_bundle_recommends(make_film, reruns_head, height):
    film = make_film(reruns_head=reruns_head)
    film.world.people = {"ann": (150, 240, height)}
    film.steps(12)
    assert film.world.method.count("initialise") == 1


def test_in_a_crowd_the_head_looks_where_everybody_should_be(make_film):
    film = make_film(reruns_head=True)
    two(film, apart=45)
    film.steps(5)
    film.world.method.calls.clear()
    film.steps(6)
    assert {call.kind for call in film.world.method.calls} == {"initialise"}
    middles = sorted({round(call.roi.center[0]) for call in film.world.method.calls})
    assert middles[0] == pytest.approx(150, abs=6) and middles[-1] == pytest.approx(195, abs=6)


def test_in_a_crowd_a_pose_across_two_people_is_not_accepted(make_film):
    film = make_film(reruns_head=True)
    two(film, apart=45)
    film.steps(20)
    pose = film.world.pose

    def stretched(name):
        joints = pose(name)
        if name == "ann":
            joints[::2, 0] += 90
        return joints

    film.world.pose = stretched
    film.world.box = lambda name: pose_box(pose(name))
    ann, bob = film.step()
    assert (ann.state, bob.state) == (PersonState.HIDDEN, PersonState.TRACKED)
    assert np.ptp(ann.keypoints[:, 0]) < 90


def test_a_bound_on_looks_is_kept_and_starves_nobody(make_film):
    film = make_film(max_people=20)
    film.world.people = {f"p{i}": (40 + 60 * i, 240, 100) for i in range(10)}
    film.step()
    waits = dict.fromkeys(range(1, 11), 0)
    for _ in range(40):
        film.world.method.calls.clear()
        people = film.step(looks=3)
        assert film.world.method.count("advance") <= 3
        assert len(people) == 10
        for person in people:
            waited = waits[person.person_id] + 1
            waits[person.person_id] = waited if person.origin is Origin.PREDICTED else 0
        assert max(waits.values()) <= 8
    assert film.events == [("person_entered", i) for i in range(1, 11)]


def test_newcomers_who_wait_for_their_turn_come_one_after_the_other(film):
    film.world.people = {f"p{i}": (80 + 120 * i, 240, 160) for i in range(5)}
    counts = [len(film.step(looks=1)) for _ in range(9)]
    assert film.world.detections == 1 and counts == sorted(counts) and counts[-1] == 5
    assert film.events == [("person_entered", i) for i in range(1, 6)]


def test_a_pose_that_cannot_be_predicted_is_not_refined_as_one_of_the_frame(make_film):
    film = make_film()
    new_track = film.stream._new_track
    film.stream._new_track = lambda: (new_track()[0], object())
    film.world.people = {"ann": (200, 240, 200), "ben": (450, 240, 200)}
    film.steps(2)
    film.frame_id += 100  # too long for a pose to be predicted
    film.step(looks=1)
    last = Frame(film.frame_id - 1, film.world.image(), 0.0)
    assert len(film.stream.refinable(last)) == 1


def test_frames_of_another_size_show_the_same_people(film):
    two(film)
    before = film.who(film.steps(12))
    half = film.world.image()[::2, ::2]
    film.world.people = {
        name: (x / 2, y / 2, height / 2) for name, (x, y, height) in film.world.people.items()
    }
    people = film.step(image=np.ascontiguousarray(half))
    assert film.who(people) == before
    assert [kind for kind, _ in film.events] == ["person_entered"] * 2


def test_after_a_network_failed_tracking_goes_on(film):
    two(film)
    before = film.who(film.step())
    film.world.method.error = InferenceError("The network failed.")
    with pytest.raises(InferenceError):
        film.step()
    assert film.who(film.steps(3)) == before


def test_the_detector_does_not_run_on_every_frame(film):
    two(film)
    film.steps(50)
    assert film.world.detections <= 50 * 40 / 400 + 2


def test_a_reset_begins_with_identity_one(film):
    two(film)
    film.step()
    film.stream.reset()
    assert [person.person_id for person in film.step()] == [1, 2]


@pytest.mark.slow
def test_thousands_of_frames_of_people_who_come_and_go_leave_nothing_behind(make_film):
    film = make_film(max_people=4, remember_s=0.5, predict_ms=100.0)
    objects = []
    for _ in range(4):
        _come_and_go(film, frames=800)
        film.events.clear()
        film.world.method.calls.clear()
        gc.collect()
        objects.append(len(gc.get_objects()))
    assert film.stream.next_identity > 60
    assert max(objects[1:]) < 1.01 * objects[0], "as many objects are alive as before"


def test_events_of_people_who_come_and_go_add_up(make_film):
    film = make_film(max_people=4, remember_s=0.5, predict_ms=100.0)
    _come_and_go(film, frames=600)
    entered = [person for kind, person in film.events if kind == "person_entered"]
    assert entered == list(range(1, film.stream.next_identity)) and len(entered) > 12
    stories = {person: [] for person in entered}
    for kind, person in film.events:
        stories[person].append(kind.removeprefix("person_"))
    assert all(STORY.fullmatch(" ".join(story)) for story in stories.values())
    gone = sum(story[-1] == "left" for story in stories.values())
    assert len(entered) - gone == len(film.stream._people)


STORY = re.compile("entered( lost found)*( lost( left)?)?")


def _come_and_go(film, frames):
    """Let people come and go."""
    rng = np.random.default_rng(0)
    for frame in range(frames):
        if frame % 25 == 0:
            spots = rng.permutation(4)[: rng.integers(0, 4)]
            film.world.people = {str(i): (80 + 150 * i, 240, 160) for i in spots}
        assert len(film.step()) <= 4 and len(film.stream._people) <= 8


def test_who_comes_back_waits_until_a_place_is_free(make_film):
    film = make_film(max_people=2, remember_s=60.0)
    two(film)
    film.steps(3)
    bob = film.world.people.pop("bob")
    film.steps(30)
    film.world.people["cid"] = (450, 240, 160)
    film.world.colours["cid"] = (0, 200, 0)
    assert film.who(film.steps(20)) == {"ann": 1, "cid": 3}
    film.world.people["bob"] = (bob[0] - 140, 240, 160)
    assert film.who(film.steps(30)) == {"ann": 1, "cid": 3}
    del film.world.people["cid"]
    assert film.who(film.steps(40))["bob"] == 2


def test_only_the_last_of_very_many_lost_people_are_remembered(make_film, monkeypatch):
    monkeypatch.setattr("edgepose.people.stream.MOST_LOST", 3)
    film = make_film(max_people=2, remember_s=1e6, predict_ms=0.0)
    for index in range(6):
        film.world.colours["x"] = np.random.default_rng(index).integers(0, 255, 3).tolist()
        film.world.people = {"x": (60 + 100 * index, 240, 100 + 60 * (index % 2))}
        film.steps(12)
        film.world.people = {}
        film.steps(12)
    left = [person for kind, person in film.events if kind == "person_left"]
    entered = film.stream.next_identity - 1
    assert left == list(range(1, entered - 2)) and entered > 3
