from dataclasses import replace

import cv2
import numpy as np
import pytest

from benchmarks.people.composing import compose, empty_background, write_video
from benchmarks.people.cutouts import Cutout, cut_out, forward_and_backward
from benchmarks.people.scenes import FRAMES, HEIGHT, KINDS, WIDTH, Scene, Walk, make_scene
from edgepose.datasets.clips import Clip
from edgepose.datasets.people_clips import read_people_clips
from edgepose.testing import standing_person
from edgepose_runtime.poses.skeletons import PENN13


def figure(level):
    """A cutout that is a bar of one grey level, 20 wide and 60 high."""
    joints = np.array([(0, 0), (19, 0), (0, 59), (19, 59)], np.float32)
    return Cutout(np.full((60, 20, 3), level, np.uint8), np.ones((60, 20), np.float32), joints)


def standing(*places):
    """A scene of people who stand in front of each other, the last one nearest."""
    still = [Walk(np.full(FRAMES, x), np.full(FRAMES, 240.0), 59.0) for x in places]
    return Scene("still-0", tuple(still))


def first_frame(scene, levels):
    background = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    people = [[figure(level)] for level in levels]
    return next(iter(compose(scene, people, background, seed=3)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_makes_the_same_scene_and_another_seed_another(kind):
    first, again, other = make_scene(kind, 0), make_scene(kind, 0), make_scene(kind, 1)
    for one, same in zip(first.walks, again.walks, strict=True):
        assert (one.x == same.x).all() and one.height == same.height
    assert any((a.x != b.x).any() for a, b in zip(first.walks, other.walks, strict=True)) or (
        first.walks[0].height != other.walks[0].height
    )


def test_people_cross_meet_and_leave_as_their_scenes_say():
    left, right = make_scene("cross", 0).walks
    assert ((left.x - right.x)[0] > 0) != ((left.x - right.x)[-1] > 0)
    left, right = make_scene("meet", 0).walks
    assert ((left.x - right.x) > 0).all() or ((left.x - right.x) < 0).all()
    assert max(walk.x.max() for walk in make_scene("leave", 0).walks) > WIDTH
    assert make_scene("behind", 0).pillar is not None


def test_boxes_are_around_the_joints_and_in_front_hides_behind():
    image, rows, joints = first_frame(standing(200.0, 400.0), [100, 200])
    assert [row[:2] for row in rows] == [(0, 1), (0, 2)]
    assert {int(image[240, 200, 0]), int(image[240, 400, 0])} == {100, 200}
    left, top, right, bottom = rows[0][2:]
    assert (right - left, bottom - top) == pytest.approx((19 + 0.12 * 59, 59 * 1.22), abs=1)
    assert np.ptp(joints[0][:, :2], axis=0).tolist() == [19, 59] and joints[0][:, 2].all()
    _, hidden, _ = first_frame(standing(300.0, 302.0), [100, 200])
    assert [row[1] for row in hidden] == [2], "who is visible by a tenth is not annotated"


def test_joints_behind_somebody_or_outside_the_picture_are_not_seen():
    _, _, (behind, front) = first_frame(standing(200.0, 212.0), [100, 200])
    assert behind[:, 2].tolist() == (behind[:, 0] < 200).tolist() and front[:, 2].all()
    _, _, (cut_off,) = first_frame(standing(4.0), [100])
    assert cut_off[:, 2].tolist() == (cut_off[:, 0] > 0).tolist()


def test_who_is_outside_the_picture_is_not_annotated():
    _, rows, _ = first_frame(standing(-100.0, 400.0), [100, 200])
    assert [row[1] for row in rows] == [2]


def test_a_composed_video_is_read_back_as_one_of_several_people(tmp_path):
    people = [[figure(100)], [figure(200)]]
    frames = compose(standing(200.0, 400.0), people, empty_background(0), 0)
    assert write_video(tmp_path / "still-0.avi", frames) == FRAMES
    (clip,) = read_people_clips(tmp_path)
    assert (clip.name, len(clip)) == ("still-0", FRAMES)
    assert all(ids.tolist() == [1, 2] for ids, _ in clip.people())


def test_frames_go_forward_and_backward_without_a_jump():
    stream = forward_and_backward([figure(level) for level in (10, 20, 30)])
    assert [int(next(stream).image[0, 0, 0]) for _ in range(7)] == [10, 20, 30, 20, 10, 20, 30]


def test_a_mirrored_person_has_mirrored_joints():
    plain = figure(50)
    scaled = plain.scaled(118.0, mirrored=True)
    assert scaled.image.shape == (120, 40, 3)
    assert scaled.joints[0, 0] == pytest.approx(
        39 - plain.scaled(118.0, mirrored=False).joints[0, 0]
    )


def test_sides_change_places_in_a_mirror():
    plain = replace(figure(50), mirror_order=(1, 0, 3, 2))
    mirrored, as_it_was = (plain.scaled(59.0, mirrored=each).joints for each in (True, False))
    assert mirrored.tolist() == as_it_was.tolist()


def test_a_person_is_cut_out_along_the_skeleton():
    person = standing_person((80, 80), 100)
    image = np.full((160, 160, 3), (40, 160, 40), np.uint8)
    for first, second in PENN13.limbs:
        ends = [tuple(map(int, person[i, :2])) for i in (first, second)]
        cv2.line(image, *ends, (200, 60, 180), 11)
    # The head has the colour of the background, as dark hair before a dark wall.
    head = person[PENN13.index("head"), :2].round().astype(int).tolist()
    cv2.circle(image, head, 8, (40, 160, 40), cv2.FILLED)
    clip = Clip(
        name="bar",
        film="bar",
        frames=lambda: iter([image]),
        keypoints=person[None],
        boxes=None,
        skeleton=PENN13,
        fps=25.0,
        split="train",
    )
    (cutout,) = cut_out(clip, 5)
    x, y = cutout.joints.mean(axis=0).astype(int)
    assert cutout.mask[y, x] > 0.9
    x, y = cutout.joints[PENN13.index("head")].round().astype(int)
    assert cutout.mask[y - 4, x] > 0.5
    is_person = (cutout.image[..., 1] < 100).astype(float)
    assert np.abs((cutout.mask > 0.5) - is_person).mean() < 0.06
