from dataclasses import replace

import numpy as np
import pytest

from edgepose.datasets.clips import Clip
from edgepose.evaluation.metrics.pck import LIMB_JOINTS
from edgepose.evaluation.protocols.everyday import FIGURES, PhotoPredictor, score_people
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose_runtime.geometry.input_view import InputView
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.skeletons import COCO17, PENN13

BOX = np.array([[100.0, 50, 180, 190]], np.float32)
LIMBS = [COCO17.index(name) for name in LIMB_JOINTS]


@pytest.fixture
def person():
    """Somebody who stands in a box of 80 x 140 pixels, without labels in the face."""
    labels = convert_keypoints(standing_person((140, 120), 120), PENN13, COCO17)
    return Clip(
        name="photo.jpg#0",
        film="photo.jpg",
        frames=lambda: iter(np.zeros((1, 240, 320, 3), np.uint8)),
        keypoints=labels[None],
        boxes=BOX,
        skeleton=COCO17,
        fps=1.0,
        split="val",
    )


class Shifted:
    """Predicts the labels, all of them so many pixels to the right; NaN finds nobody."""

    skeleton = COCO17

    def __init__(self, pixels):
        self._pixels = pixels

    def predict(self, clip):
        return clip.keypoints + np.array([self._pixels, 0, 0], np.float32)


class Known(Shifted):
    """Predicts what it is given for each name."""

    def __init__(self, poses):
        self._poses = poses

    def predict(self, clip):
        return self._poses[clip.name]


def figures(score):
    return dict(zip(FIGURES, score.resampled().values.tolist(), strict=True))


def test_the_labels_themselves_are_perfect(person):
    score = score_people("labels", Shifted(0), [person])
    assert score.oks.tolist() == [1]
    assert figures(score) == {"AR12": 100, "PCK12@0.1": 100, "no pose": 0}


def test_the_similarity_is_that_of_the_box_s_area(person):
    (oks,) = score_people("shifted", Shifted(6), [person]).oks
    sigmas = np.repeat([0.079, 0.072, 0.062, 0.107, 0.087, 0.089], 2)
    expected = np.exp(-36 / (8 * sigmas**2 * 0.53 * 80 * 140)).mean()
    assert oks == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("pixels", "share"), [(13.9, 100), (14.1, 0)])
def test_joints_are_hit_within_a_tenth_of_the_longer_side(person, pixels, share):
    assert figures(score_people("shifted", Shifted(pixels), [person]))["PCK12@0.1"] == share


def test_nobody_found_counts_as_zero_for_everything(person):
    found = replace(person, name="photo.jpg#1")
    half = [score_people("a", Shifted(0), [found]), score_people("b", Shifted(np.nan), [person])]
    assert [score.without_pose for score in half] == [0, 1]
    assert figures(half[1]) == {"AR12": 0, "PCK12@0.1": 0, "no pose": 100}


def test_people_count_alike_however_many_labels_they_have(person):
    one_label = person.keypoints.copy()
    one_label[:, LIMBS[1:], 2] = 0
    lone = replace(person, name="photo.jpg#1", keypoints=one_label)

    away = person.keypoints + np.array([1000, 0, 0], np.float32)
    poses = {person.name: person.keypoints, lone.name: away}
    score = score_people("known", Known(poses), [person, lone])
    assert score.hits.tolist() == [1, 0]
    assert figures(score)["PCK12@0.1"] == 50


def test_predictions_of_another_skeleton_are_compared_by_name(person):
    class Penn(Shifted):
        skeleton = PENN13

        def predict(self, clip):
            return convert_keypoints(clip.keypoints, COCO17, PENN13)

    assert figures(score_people("penn", Penn(0), [person]))["AR12"] == 100


def test_photos_are_resampled_and_not_people(person):
    alike = [replace(person, name=f"photo.jpg#{i}") for i in range(5)]
    score = score_people("shifted", Shifted(0), alike)
    assert np.isnan(score.resampled().intervals()).all(), "one photo says nothing of others"


def test_a_model_looks_once_at_the_square_around_the_box(person):
    method = FakeMethod(standing_person((140, 120), 120))
    poses = PhotoPredictor(fake_model(method)).predict(person)
    assert poses.shape == (1, 13, 3)
    (call,) = method.calls
    assert (call.kind, call.roi.width, call.roi.height) == ("initialise", *[pytest.approx(161)] * 2)
    assert call.roi.center == pytest.approx((140, 120))


def test_a_model_for_upright_images_sees_the_whole_of_a_wide_box(person):
    wide = replace(person, boxes=np.array([[100, 80, 240, 150]], np.float32))
    method = FakeMethod(standing_person((140, 120), 120))
    method.spec = replace(method.spec, view=InputView(192, 256, (0.75, 1.0)))
    PhotoPredictor(fake_model(method)).predict(wide)
    (call,) = method.calls
    assert method.spec.view.region(call.roi).width == pytest.approx(1.15 * 140)


def test_a_model_that_sees_nobody_has_no_pose(person):
    score = score_people("blind", PhotoPredictor(fake_model(FakeMethod(None))), [person])
    assert score.without_pose == 1
