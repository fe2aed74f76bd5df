"""Composed videos: who is who, and how many joints are right."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import benchmarks.people
from benchmarks.people import comparison, composing, main
from benchmarks.people.comparison import compare, table
from benchmarks.people.cutouts import Cutout
from benchmarks.people.peers import DetectedPeople, new_tracker
from benchmarks.people.scenes import Scene, Walk
from edgepose.evaluation.protocols.several import PeopleCandidate
from edgepose.testing import standing_person
from edgepose_runtime.errors import BackendUnavailableError
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.skeletons import HALPE26, JHMDB15, PENN13

FRAMES = 4
PLACES = ((160.0, 240.0), (480.0, 240.0))


def pose(place):
    """Somebody whose joints span 118 pixels, with their middle at a place."""
    joints = standing_person((0.0, 0.0), 118.0)
    low, high = joints[:, :2].min(axis=0), joints[:, :2].max(axis=0)
    joints[:, :2] = (joints[:, :2] - (low + high) / 2) * 118 / (high - low)[1] + place
    return joints


@pytest.fixture
def people(monkeypatch):
    """Two people who stand still, in videos of four frames."""
    pytest.importorskip("trackeval")
    monkeypatch.setattr(composing, "FRAMES", FRAMES)
    walks = [Walk(np.full(FRAMES, x), np.full(FRAMES, y), 118.0) for x, y in PLACES]
    monkeypatch.setattr(comparison, "make_scene", lambda *_: Scene("two-0", tuple(walks)))
    joints = convert_keypoints(pose((40.0, 80.0)), PENN13, JHMDB15)[:, :2]
    joints = np.where(np.isnan(joints), (40, 80), joints)  # what PENN13 does not have
    image, mask = np.full((160, 80, 3), 90, np.uint8), np.ones((160, 80), np.float32)
    cutout = Cutout(image, mask, joints, JHMDB15.flip_order)
    return [[cutout] * 2] * 2


class Told:
    """Says what it is told: a function of the frame's number returns (identity, place)."""

    def __init__(self, tell):
        self.tell = tell
        self.number = -1

    def track(self, *_):
        self.number += 1
        return [(person, pose(place)) for person, place in self.tell(self.number)]

    def close(self):
        pass


def score(people, tell):
    candidates = [PeopleCandidate("told", lambda: Told(tell))]
    found = compare(candidates, people, ["cross"], [0], PENN13)
    assert [each.kind for each in found] == ["cross", "all"]
    assert found[0][2:-1] == found[1][2:-1]
    return found[0]


def test_who_says_the_truth_is_right(people):
    truth = score(people, lambda _: [(1, PLACES[0]), (2, PLACES[1])])
    assert (truth.idf1, truth.mota, truth.switches, truth.pck) == (100, 100, 0, 100)
    assert truth.mean_ms > 0 and "told, cross" in str(table([truth]).rows)


def test_exchanged_identities_count_and_leave_the_joints_right(people):
    def exchanged(frame):
        return [(1 + frame // 2, PLACES[0]), (2 - frame // 2, PLACES[1])]

    found = score(people, exchanged)
    assert (found.switches, found.idf1, found.pck) == (2, 50, 100)


def test_joints_of_people_without_a_pose_are_wrong_and_so_are_distant_ones(people):
    assert score(people, lambda _: [(1, PLACES[0])]).pck == 50
    beside = (PLACES[0][0] + 14.0, PLACES[0][1])  # 14 is above a fifth of the torso
    found = score(people, lambda _: [(1, beside), (2, PLACES[1])])
    assert (found.idf1, found.pck) == (100, 50)
    assert score(people, lambda _: []).pck == 0


def test_a_comparison_goes_on_without_the_package_of_trackers(
    people, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "trackers", None)
    with pytest.raises(BackendUnavailableError, match=r"edgepose\[peers\]"):
        new_tracker("SORTTracker", 25.0)
    monkeypatch.setattr(benchmarks.people, "cast", lambda _: people)
    (tmp_path / "rtmpose-s-halpe26-256x192.onnx").touch()
    words = ["compare", "--kinds", "cross", "--seeds", "1", "--weights", str(tmp_path)]
    main([*words, "--root", str(tmp_path), "--out", str(tmp_path)])
    assert "Without other trackers: The package trackers is missing" in capsys.readouterr().out
    found = json.loads((tmp_path / "people-compare.json").read_text())
    assert {each["label"] for each in found["results"]} == {"ppn-swift", "ppn-swift, key frames"}


class Detector:
    def detect(self, image, min_score):
        assert image.ndim == 3 and min_score < 0.3
        return np.array([[100.0, 100, 160, 300, 0.9], [400.0, 100, 460, 300, 0.3]])


def test_a_tracker_of_boxes_gives_identities_to_poses():
    supervision = pytest.importorskip("supervision")
    seen = []

    def estimate(_, box):
        joints = np.full((26, 3), 0.9, np.float32)
        joints[:, 0] = np.linspace(box.x, box.x + box.width, 26)
        joints[:, 1] = np.linspace(box.y, box.y + box.height, 26)
        return joints

    def update(detections):
        seen.append(detections)
        detections = detections[np.array([1, 0])]
        detections.tracker_id = np.array([-1, 7])
        return detections

    people = DetectedPeople(Detector(), estimate, SimpleNamespace(update=update), HALPE26)
    ((person, keypoints),) = people.track(np.zeros((480, 640, 3), np.uint8), 0.0)
    assert person == 7 and keypoints[:, 0].max() == 160
    (detections,) = seen
    assert isinstance(detections, supervision.Detections)
    assert detections.confidence.tolist() == [0.9, 0.3]
    assert detections.xyxy[0, 1] < 100 < 300 < detections.xyxy[0, 3], "the box of the pose"
