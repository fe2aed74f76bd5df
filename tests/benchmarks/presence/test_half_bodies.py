import numpy as np
import pytest

from benchmarks.presence.half_bodies import FRAMINGS, WIDTH, distance_outside, frame_clip, measure
from edgepose.datasets.clips import Clip
from edgepose.testing import FakeMethod, fake_model
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.skeletons import JHMDB15, PENN13


def clip_of(*, upright=True, torso=80.0):
    """A clip of three frames with a person whose shoulders are in the middle."""
    place = dict.fromkeys(JHMDB15.joints, (160.0, 120.0))
    place["face"] = 160, 120 - 0.4 * torso
    for side, x in (("left", 170), ("right", 150)):
        place[f"{side}_shoulder"] = x, 120
        place[f"{side}_hip"] = (x, 120 + torso) if upright else (x + torso, 120)
        place[f"{side}_ankle"] = x, 120 + 2.5 * torso
    joints = np.float32([[*place[name], 1] for name in JHMDB15.joints])
    images = [np.zeros((240, 320, 3), np.uint8) for _ in range(3)]
    keypoints = np.stack([joints] * 3)
    return Clip("a", "film", lambda: iter(images), keypoints, None, JHMDB15, 25.0, "val")


def joint(framed, name):
    return framed.keypoints[0, JHMDB15.joints.index(name)]


def test_the_window_shows_the_face_and_shoulders_and_not_the_hips():
    framed = frame_clip(clip_of(), FRAMINGS["head and shoulders"])
    image = framed.frames[0]
    assert image.shape[1] == WIDTH
    away = distance_outside(framed.keypoints[0], image)
    inside = {name for name, d in zip(JHMDB15.joints, away, strict=True) if d <= 0}
    assert {"face", "left_shoulder", "right_shoulder"} <= inside
    assert not {"left_hip", "right_hip", "left_ankle"} & inside
    hip, shoulder = joint(framed, "left_hip"), joint(framed, "left_shoulder")
    assert hip[1] - shoulder[1] == pytest.approx(framed.torso)


def test_the_waist_is_shown_with_the_hips():
    framed = frame_clip(clip_of(), FRAMINGS["waist"])
    assert distance_outside(joint(framed, "left_hip")[None], framed.frames[0])[0] < 0


def test_who_lies_or_is_small_is_left_out():
    assert frame_clip(clip_of(upright=False), 0.45) is None
    assert frame_clip(clip_of(torso=20), 0.45) is None


def measured(change):
    """Measure a tracker that sees the annotated pose, changed."""
    below = FRAMINGS["head and shoulders"]
    framed = frame_clip(clip_of(), below)
    pose = convert_keypoints(framed.keypoints[0], JHMDB15, PENN13)
    pose[:, 2] = 0.9
    with fake_model(FakeMethod(change(pose))) as model:
        return measure(model, [clip_of()], below)


def moved(pose):
    pose[:, 0] += 60
    return pose


def test_what_is_found_and_right_is_counted():
    result = measured(lambda pose: pose)
    assert (result.clips, result.found, result.correct) == (1, 1.0, 1.0)
    assert result.outside_sure == 0  # the tracker doubts them
    assert measured(moved).correct == 0
    assert measured(lambda _: None).found == 0
