from dataclasses import replace

import numpy as np
import pytest

from edgepose.drawing import DEBUG_STYLE, DrawingStyle, draw_pose, draw_result, person_color
from edgepose.results import Origin, Person, PersonState, PoseResult
from edgepose.testing import standing_person
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.poses.skeletons import PENN13

STYLE = DrawingStyle()


def black(height=240, width=320):
    return np.zeros((height, width, 3), np.uint8)


def drawn(keypoints, image=None, style=STYLE):
    image = black() if image is None else image
    draw_pose(image, keypoints, PENN13, style)
    return image


def result(keypoints, roi=None):
    return PoseResult(
        frame_id=7,
        timestamp_ms=0.0,
        keypoints=keypoints,
        reason=None if keypoints is not None else "no person found",
        roi=roi,
        origin=None if keypoints is None else Origin.PROPAGATED,
        key_frame_age=None,
        latency={},
        skeleton=PENN13,
    )


def test_a_sure_joint_has_the_full_colour_of_its_side():
    person = standing_person((160, 120), 160)
    image = drawn(person)
    for joint, color in (("right_wrist", STYLE.right), ("left_wrist", STYLE.left)):
        x, y = np.rint(person[PENN13.index(joint), :2]).astype(int)
        np.testing.assert_allclose(image[y, x], color, atol=2)


def test_limbs_fade_with_the_score():
    brightness = [drawn(standing_person((160, 120), 160, score)).sum() for score in (0.25, 0.4, 1)]
    assert 0 < brightness[0] < brightness[1] < brightness[2]


@pytest.mark.parametrize(
    "person", [standing_person((160, 120), 160, 0.1), np.full((13, 3), np.nan)]
)
def test_joints_without_a_score_are_not_drawn(person):
    assert not drawn(person).any()


def test_a_missing_joint_takes_only_its_own_limbs_away():
    person = standing_person((160, 120), 160)
    person[PENN13.index("left_wrist")] = (np.nan, np.nan, 0)
    image = drawn(person)
    x, y = np.rint(standing_person((160, 120), 160)[PENN13.index("left_wrist"), :2]).astype(int)
    assert not image[y, x].any()
    assert image.any()


def test_a_larger_person_gets_thicker_lines():
    small, large = (
        np.count_nonzero(drawn(standing_person((160, 120), height)).any(axis=2)) / height
        for height in (60, 200)
    )
    assert large > 1.2 * small


@pytest.mark.parametrize("center", [(-500, -500), (0, 0), (320, 240), (5000, 120)])
def test_a_person_partly_or_wholly_outside_is_no_problem(center):
    drawn(standing_person(center, 200))


@pytest.mark.parametrize("side", [1e9, 1e18, 1e300])
def test_a_roi_far_larger_than_the_frame_is_no_problem(side):
    draw_result(black(), result(None, roi=(-side / 2, -side / 2, side, side)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (17, 3)])
def test_tiny_frames_are_no_problem(shape):
    draw_result(black(*shape), result(standing_person((0, 0), 20), roi=(0, 0, 1, 1)))


def test_the_frame_itself_is_left_as_it_is():
    frame = black()
    image = draw_result(frame, result(standing_person((160, 120), 160), roi=(60, 20, 200, 200)))
    assert image.any()
    assert not frame.any()


def test_a_frame_without_a_pose_gets_the_label_alone():
    image = draw_result(black() + 255, result(None), DEBUG_STYLE)
    assert (image[:5, :5] < 255).any()
    np.testing.assert_array_equal(image[60:], 255)


@pytest.mark.parametrize("frame", [black()[..., 0], np.zeros((240, 320, 4), np.uint8)])
def test_frames_that_can_be_tracked_can_be_drawn_on(frame):
    assert draw_result(frame, result(standing_person((160, 120), 160))).shape == (240, 320, 3)


def test_label_and_roi_are_for_finding_mistakes_only():
    nobody = result(None, roi=(5, 5, 50, 50))
    assert not draw_result(black(), nobody).any()
    for shown in (DrawingStyle(show_label=True), DrawingStyle(show_roi=True), DEBUG_STYLE):
        assert draw_result(black(), nobody, shown).any()


@pytest.mark.parametrize("shape", [(5, 3), (17, 3), (13, 2)])
def test_keypoints_of_another_skeleton_are_refused(shape):
    with pytest.raises(ConfigError, match=r"shape \(13, 3\)"):
        draw_pose(np.zeros((240, 320, 3), np.uint8), np.ones(shape, np.float32), PENN13)


def several(*people):
    """A result with people (identity, x, state)."""
    shown = tuple(
        Person(i, standing_person((x, 120), 120), 1.0, Origin.PROPAGATED, 0, (0, 0, 9, 9), state)
        for i, x, state in people
    )
    return replace(result(None), several=shown)


def colours(image, where):
    part = image[40:, where - 30 : where + 30].reshape(-1, 3)
    return {tuple(pixel) for pixel in part.tolist()}


def test_each_of_several_people_keeps_a_colour_and_a_number():
    tracked = PersonState.TRACKED
    image = draw_result(black(), several((1, 80, tracked), (2, 240, tracked)))
    later = draw_result(black(), several((2, 80, tracked)))
    first, second = person_color(1), person_color(2)
    assert first in colours(image, 80) and second not in colours(image, 80)
    assert second in colours(image, 240) and second in colours(later, 80)
    assert image[53:60].any() and not image[:45, 130:200].any(), "numbers are above heads"


def test_a_hidden_person_is_pale():
    faces = [
        draw_result(black(), several((1, 160, state)))[60:].astype(int).sum()
        for state in (PersonState.TRACKED, PersonState.HIDDEN)
    ]
    assert 0 < faces[1] < 0.9 * faces[0]


def test_identities_have_colours_that_differ():
    found = [np.array(person_color(i), float) for i in range(1, 7)]
    apart = [np.abs(a - b).max() for i, a in enumerate(found) for b in found[:i]]
    assert min(apart) > 60
