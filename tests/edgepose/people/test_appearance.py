import numpy as np
import pytest

from edgepose.people.appearance import UNKNOWN, AppearanceDescriber, difference, remembered
from edgepose.testing import standing_person
from edgepose_runtime.poses.skeletons import COCO17, JHMDB15, MPII16, PENN13

RED, BLUE = (40, 40, 200), (200, 40, 40)


def person(shirt, trousers, height=160.0, middle=(100, 120), shade=0):
    """A picture with a person in it, and the pose."""
    pose = standing_person(middle, height)
    image = np.full((240, 240, 3), 128 + shade, np.uint8)
    hips = int(pose[[PENN13.index("right_hip"), PENN13.index("left_hip")], 1].mean())
    image[:hips, 60:140] = shirt
    image[hips:, 60:140] = trousers
    return image, pose


def describe(*args, **options):
    return AppearanceDescriber(PENN13).describe(*person(*args, **options))


def test_the_same_clothes_look_alike_at_another_size_and_place():
    first = describe(RED, BLUE)
    second = describe(RED, BLUE, height=110.0, middle=(104, 110))
    assert difference(first, second) < 0.1


def test_other_clothes_look_different_part_by_part():
    red_blue = describe(RED, BLUE)
    assert difference(red_blue, describe(BLUE, RED)) > 0.8
    assert 0.2 < difference(red_blue, describe(BLUE, BLUE)) < 0.8


def test_joints_that_are_not_seen_and_parts_outside_the_frame_do_not_count():
    image, pose = person(RED, BLUE)
    whole = describe(RED, BLUE)
    legless = pose.copy()
    for joint in ("right_knee", "left_knee", "right_ankle", "left_ankle"):
        legless[PENN13.index(joint), 2] = 0.1
    describer = AppearanceDescriber(PENN13)
    partly = describer.describe(image, legless)
    assert partly[-1].sum() == 0 and difference(whole, partly) < 0.1
    away = pose.copy()
    away[:, :2] += 1000
    assert describer.describe(image, away) is None
    pose[:, 2] = 0
    assert describer.describe(image, pose) is None


def test_who_is_not_known_may_be_anybody():
    assert difference(None, describe(RED, BLUE)) == difference(describe(RED, BLUE), None) == UNKNOWN


def test_the_memory_follows_slowly_and_fills_in_what_it_did_not_know():
    red, blue = describe(RED, RED), describe(BLUE, BLUE)
    memory = remembered(None, red, 1)
    assert remembered(memory, None, 2) is memory
    memory = remembered(memory, blue, 20)
    assert difference(memory, red) < difference(memory, blue)
    mean = remembered(red, blue, 2)
    assert difference(mean, red) == pytest.approx(difference(mean, blue), abs=1e-3)
    half = red.copy()
    half[-1] = 0
    assert remembered(half, blue, 2)[-1] == pytest.approx(blue[-1])
    assert remembered(blue, half, 2)[-1] == pytest.approx(blue[-1])


@pytest.mark.parametrize("skeleton", [COCO17, JHMDB15, MPII16, PENN13], ids=lambda each: each.name)
def test_every_skeleton_can_be_described(skeleton):
    image = np.full((100, 100, 3), 90, np.uint8)
    pose = np.random.default_rng(0).uniform(20, 80, (skeleton.num_joints, 3)).astype(np.float32)
    pose[:, 2] = 1
    described = AppearanceDescriber(skeleton).describe(image, pose)
    assert described.sum(axis=1) == pytest.approx(np.ones(len(described)))
