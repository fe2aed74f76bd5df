import json
from dataclasses import replace

import numpy as np
import pytest

from edgepose.results import Origin, Person, PersonState, PoseResult
from edgepose.sinks import JsonlSink
from edgepose_runtime.poses.skeletons import PENN13


@pytest.fixture
def pose():
    joints = np.zeros((13, 3), np.float32)
    joints[:4] = (10, 20, 0.9), (30, 60, 0.2), (500, 500, 0.19), (np.nan, np.nan, 0)
    roi, latency = (1.0, 2.0, 3.00049, 3.0), {"total": 1.23456}
    return PoseResult(0, 40.0, joints, None, roi, Origin.INITIALISED, 0, latency, PENN13)


@pytest.fixture
def several(pose):
    person = Person(
        7, pose.keypoints, 0.5, Origin.PROPAGATED, 2, (1.0, 2.0, 3.0, 3.0), PersonState.HIDDEN
    )
    return replace(pose, several=(person,))


def nobody(pose):
    return replace(pose, keypoints=None, roi=None, origin=None, reason="no person found")


def test_the_box_is_tight_around_the_joints_with_a_score(pose, several):
    assert pose.bbox == (10.5, 20.5, 20.0, 40.0)
    assert pose.people[0].bbox == several.people[0].bbox == pose.bbox


def test_without_a_joint_there_is_no_box(pose):
    assert nobody(pose).bbox is None
    pose.keypoints[:, 2] = 0.1
    assert pose.bbox is None
    assert pose.people[0].bbox is None


@pytest.mark.parametrize("of_several", [False, True])
@pytest.mark.parametrize("change", [lambda pose: pose, nobody], ids=["pose", "nobody"])
def test_a_dict_is_what_a_json_line_says(pose, several, change, of_several, tmp_path):
    result = change(several if of_several else pose)
    path = tmp_path / "poses.jsonl"
    with JsonlSink(path, skeleton=PENN13, model="m", source="s", several=of_several) as sink:
        sink.write(result)
    line = path.read_text().splitlines()[1]
    assert json.dumps(result.to_dict(several=of_several)) == line


def test_the_angle_at_a_joint_is_in_degrees():
    joints = np.zeros((13, 3), np.float32)
    names = ("left_hip", "left_knee", "left_ankle")
    places = ((0, 0, 1), (0, 10, 1), (10, 10, 1))
    for name, place in zip(names, places, strict=True):
        joints[PENN13.joints.index(name)] = place
    result = PoseResult(0, 0.0, joints, None, None, Origin.INITIALISED, 0, {}, PENN13)
    assert result.angle(*names) == pytest.approx(90)
    assert nobody(result).angle(*names) is None


def test_a_notebook_shows_a_table_of_joints(pose):
    shown = pose._repr_html_()
    assert shown.startswith("<table><caption>frame 0: initialised</caption>")
    assert "<td>head</td>" in shown and shown.count("<tr>") >= 13
    assert (
        nobody(pose)._repr_html_() == "<table><caption>frame 0: no person found</caption></table>"
    )


def test_a_dict_has_plain_rounded_values(pose, several):
    plain = pose.to_dict()
    assert plain["keypoints"][0] == [10.0, 20.0, 0.9] and plain["keypoints"][3] == [None, None, 0.0]
    assert plain["roi"] == [1.0, 2.0, 3.0, 3.0] and plain["latency_ms"] == {"total": 1.235}
    assert plain["origin"] == "initialised" and "reason" not in plain
    (person,) = several.to_dict(several=True)["people"]
    assert (person["person"], person["state"]) == (7, "hidden")
