from dataclasses import replace

import numpy as np
import pytest

from benchmarks.robustness.conditions import CLEAN, COVERED, conditions, halved
from edgepose.evaluation.metrics.scoring import measures_for, score_clip
from edgepose.evaluation.perturbation import Perturbation, perturbed
from edgepose_runtime.poses.skeletons import PENN13

FRAMES = 20


@pytest.fixture
def clip(make_clip):
    picture = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    return make_clip(FRAMES, frames=lambda: (picture.copy() for _ in range(FRAMES)))


def pictures(clip):
    return np.stack(list(clip.frames()))


def condition(name):
    return next(each for each in conditions() if each.name == name)


def test_names_are_unique_and_the_clean_clip_comes_first():
    names = [each.name for each in conditions()]
    assert len(set(names)) == len(names)
    assert names[0] == CLEAN


@pytest.mark.parametrize("each", conditions(), ids=lambda each: each.name)
def test_every_time_the_pixels_are_the_same(each, clip):
    harder = each.apply(clip)
    np.testing.assert_array_equal(pictures(harder), pictures(harder))


@pytest.mark.parametrize("share", COVERED)
def test_as_many_frames_are_covered_as_the_name_says(share, clip):
    covered = condition(f"covered {100 * share:.0f} %").apply(clip)
    changed = (pictures(covered) != pictures(clip)).any(axis=(1, 2, 3))
    assert changed.sum() == round(share * FRAMES)


def test_a_blurred_clip_is_blurred_alike_in_every_frame(clip):
    blurred = pictures(condition("blurred").apply(clip)).astype(float)
    assert blurred.std() < 0.5 * pictures(clip).std()
    deviations = blurred.std(axis=(1, 2, 3))
    assert np.ptp(deviations) < 0.1 * deviations.mean()


def test_a_dark_clip_is_dark_and_every_frame_has_noise_of_its_own(make_clip):
    def grey():
        return (np.full((240, 320, 3), 120 + number, np.uint8) for number in range(2))

    dark = pictures(condition("dark").apply(make_clip(2, frames=grey))).astype(float)
    assert 0 < dark.mean() < 50
    assert dark.std() > 1
    correlation = np.corrcoef(dark[0].ravel(), dark[1].ravel())[0, 1]
    assert abs(correlation) < 0.05


def test_darkness_keeps_black_darker_than_white():
    from edgepose.evaluation.perturbation import KINDS

    effect = KINDS["darkness"](np.random.default_rng(1))
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, 40:] = 255
    seen = effect(image, None).astype(float)
    assert seen[:, 40:].mean() > seen[:, :40].mean() + 20


def test_a_halved_clip_has_half_the_pixels_and_its_annotation_fits(clip):
    half = halved(clip)
    assert next(half.frames()).shape == (120, 160, 3)
    # What lies at the middle of pixels 0 and 1 lies at pixel 0 of half as many.
    moved = clip.keypoints.copy()
    moved[..., :2] = 0.5
    zero = halved(replace(clip, keypoints=moved))
    assert (zero.keypoints[..., :2] == 0).all()
    score = score_clip(half.keypoints, PENN13, half, measures_for([0.2]))
    assert score.followed == FRAMES


def test_boxes_are_halved_as_well(make_clip):
    boxes = np.tile(np.float32([9.5, 19.5, 109.5, 219.5]), (6, 1))
    half = halved(make_clip(boxes=boxes))
    np.testing.assert_allclose(half.boxes[0], [4.5, 9.5, 54.5, 109.5])


def test_a_stretch_may_be_the_whole_clip(clip):
    covered = perturbed(clip, Perturbation(1.0, ("occlusion",), stretch=10**9))
    colours = {tuple(frame[120, 150]) for frame in pictures(covered)}
    assert len(colours) <= 2
