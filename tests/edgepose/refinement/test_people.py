"""Frames of several people are held back until everybody's pose is refined."""

from dataclasses import replace

import numpy as np
import pytest

from edgepose.refinement.people import PeopleRefinement, RefinablePose
from edgepose.results import Origin, Person, PersonState, PoseResult
from edgepose.tracking.strategies import TrackedFrame
from edgepose_runtime.poses.skeletons import PENN13

JOINTS = np.full((13, 3), 0.5, np.float32)


class LaterPoses:
    """Moves each pose by the number of frames that followed it when it was given out."""

    def __init__(self, lag_frames):
        self.lag_frames = lag_frames
        self.held = []
        self.fails = False

    def take(self, tracked):
        if self.fails:
            raise ValueError("refused")
        self.held.append(tracked.result)
        return [self._moved(self.held.pop(0))] if len(self.held) > self.lag_frames else []

    def flush(self):
        return [self._moved(self.held.pop(0)) for _ in list(self.held)]

    def _moved(self, result):
        keypoints = result.keypoints + len(self.held)
        return replace(result, keypoints=keypoints, origin=Origin.REFINED)


class Frames:
    """A stream with a lag of two frames, in which people come and go."""

    def __init__(self):
        self.refinement = PeopleRefinement(2)
        self.refiners = {}
        self.count = 0

    def show(self, seen, predicted=(), *, restart=False):
        """Take in a frame with these people; return what is final, like :meth:`read`."""
        number, self.count = self.count, self.count + 1
        people = [self._person(each, PersonState.TRACKED) for each in seen]
        people += [self._person(each, PersonState.HIDDEN) for each in predicted]
        result = PoseResult(
            number, 40.0 * number, JOINTS, None, None, Origin.PROPAGATED, 0, {}, PENN13
        )
        poses = [
            RefinablePose(each, self.refiner(each), TrackedFrame(None, result, None))
            for each in seen
        ]
        item = f"frame {number}"
        return self.read(self.refinement.take(number, item, people, poses, restart=restart))

    def refiner(self, person_id):
        return self.refiners.setdefault(person_id, LaterPoses(2))

    @staticmethod
    def read(final):
        """Frames with, by person, how many frames had followed; ``None`` for the pose as it was."""
        return [(item, {p.person_id: _followed(p) for p in people}) for item, people in final]

    @staticmethod
    def _person(person_id, state):
        return Person(person_id, JOINTS, 0.5, Origin.PROPAGATED, 0, (0, 0, 9, 9), state)


def _followed(person):
    if person.origin is not Origin.REFINED:
        return None
    assert person.score == pytest.approx(person.keypoints[:, 2].mean())
    return int(person.keypoints[0, 0])


@pytest.fixture
def frames():
    return Frames()


def test_each_person_is_refined_in_the_frame_the_pose_is_from(frames):
    assert frames.show([1, 2]) == frames.show([1, 2]) == []
    assert frames.show([1, 2]) == [("frame 0", {1: 2, 2: 2})]
    rest = frames.read(frames.refinement.flush())
    assert rest == [("frame 1", {1: 1, 2: 1}), ("frame 2", {1: 0, 2: 0})]
    assert frames.refinement.flush() == []


def test_a_track_ends_where_the_person_is_not_seen(frames):
    frames.show([1, 2])
    frames.show([1], predicted=[2])
    assert frames.show([1, 2]) == [("frame 0", {1: 2, 2: 0})]
    assert frames.show([1, 2]) == [("frame 1", {1: 2, 2: None})]
    assert frames.show([]) == [("frame 2", {1: 1, 2: 1})]


def test_an_identity_is_that_of_the_frame_also_where_it_passes_to_another_track(frames):
    frames.show([1])
    frames.refiners[2] = frames.refiners.pop(1)
    frames.show([2])
    assert frames.show([2]) == [("frame 0", {1: 2})]


def test_frames_without_anybody_wait_as_well(frames):
    assert frames.show([]) == frames.show([]) == []
    assert frames.show([]) == [("frame 0", {})]


def test_a_frame_that_fails_is_not_given_out(frames):
    frames.show([1])
    frames.refiner(1).fails = True
    with pytest.raises(ValueError, match="refused"):
        frames.show([1])
    frames.refiner(1).fails = False
    frames.show([1])
    given = frames.read(frames.refinement.flush())
    assert [item for item, _ in given] == ["frame 0", "frame 2"]


def test_reset_forgets_what_is_held_back(frames):
    frames.show([1])
    frames.refinement.reset()
    assert frames.refinement.flush() == []


def test_after_a_gap_the_frames_before_it_are_final(frames):
    frames.show([1]), frames.show([1])
    assert frames.show([1], restart=True) == [("frame 0", {1: 1}), ("frame 1", {1: 0})]
    assert frames.read(frames.refinement.flush()) == [("frame 2", {1: 0})]
