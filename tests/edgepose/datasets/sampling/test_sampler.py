import logging
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgepose.datasets.labels import absent_keypoints
from edgepose.datasets.sampling.augmentation import Augmentation
from edgepose.datasets.sampling.sampler import Sampler, Source
from edgepose_runtime.errors import ConfigError, DataError
from edgepose_runtime.geometry.crop import BACKGROUND
from edgepose_runtime.geometry.input_view import InputView
from edgepose_runtime.geometry.roi import Roi, roi_transform
from edgepose_runtime.poses.skeletons import PENN13

SIZE = 64
PLAIN = Augmentation.none()


def sampler_of(*records, **options):
    images = [record for record in records if hasattr(record, "picture")]
    clips = [record for record in records if not hasattr(record, "picture")]
    source = Source("set", 1.0, images=images, clips=clips)
    return Sampler([source], PENN13, replace(PLAIN, **options))


def rng():
    return np.random.default_rng(7)


def angle_of(crop):
    return np.rad2deg(np.arctan2(crop.matrix[1, 0], crop.matrix[1, 1]))


class TestAStill:
    def test_is_cropped_around_its_joints_or_else_its_annotated_box(self, person_image):
        still = person_image()
        (around_joints, around_box) = (
            sampler_of(record).image(rng(), SIZE).matrix
            for record in (still, person_image(box=np.float32([10, 10, 30, 40])))
        )
        joints = still.keypoints[:, :2]
        expected = Roi.from_points(joints).enlarged(0.1).squared()
        assert around_joints == pytest.approx(roi_transform(expected, SIZE), abs=1e-5)
        boxed = Roi.from_points([[10, 10], [30, 40]]).squared()
        assert around_box == pytest.approx(roi_transform(boxed, SIZE))

    def test_shows_what_the_view_does_of_the_region(self, person_image):
        still, view = person_image(), InputView(SIZE, SIZE, (1.2, 1.2), background=(0, 0, 0))
        source = Source("set", 1.0, images=[still])
        crop = Sampler([source], PENN13, PLAIN, view).image(rng(), SIZE)
        region = Roi.from_points(still.keypoints[:, :2]).enlarged(0.1).squared()
        shown = roi_transform(view.region(region), SIZE)
        assert crop.matrix == pytest.approx(shown, abs=1e-5)
        far = Sampler([source], PENN13, replace(PLAIN, scale=(6.0, 6.0)), view).image(rng(), SIZE)
        assert not far.image[0].any()  # black outside the picture

    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(seed=st.integers(0, 10_000))
    def test_shows_every_joint_where_the_keypoints_say(self, person_image, find_dot, seed):
        crop = sampler_of(
            person_image(), rotation_degrees=60, scale=(0.8, 1.4), shift=0.05, flip_probability=0.5
        ).image(np.random.default_rng(seed), 256)
        image = np.where((crop.image == crop.image[..., :1]).all(-1, keepdims=True), crop.image, 0)
        head = crop.keypoints[0]
        if head[:2].min() > 12 and head[:2].max() < 243:
            assert find_dot(image, head[:2], 10) == pytest.approx(head[:2], abs=1.5)

    def test_has_no_weight_on_joints_outside_its_picture(self, person_image):
        still = person_image()
        still.keypoints[3, :2] = (-2, 5)
        still.keypoints[4, :2] = (64, 5)
        crop = sampler_of(still).image(rng(), SIZE)
        assert np.flatnonzero(crop.keypoints[:, 2] == 0).tolist() == [3, 4]

    def test_may_be_cropped_to_half_the_body(self, person_image):
        whole, half = (
            sampler_of(person_image(), half_body_probability=share).image(rng(), SIZE)
            for share in (0, 1)
        )
        assert half.matrix[0, 0] > 1.2 * whole.matrix[0, 0], "shown larger"
        np.testing.assert_array_equal(half.keypoints[:, 2], 1), "but all joints are known"

    def test_may_show_nobody_and_say_so(self, person_image):
        crop = sampler_of(person_image(), background_probability=1).image(rng(), SIZE)
        places = crop.keypoints[:, :2]
        assert ((places < 0) | (places > SIZE)).any(axis=1).all()
        assert crop.keypoints[:, 2].tolist() == [1] * 13, "it is known that nobody is there"

    @pytest.mark.parametrize("length", [None, 3])
    def test_without_a_person_has_no_joint_inside(self, person_image, length):
        record = replace(person_image(), keypoints=absent_keypoints(13), nobody=True)
        sampler = sampler_of(record, scale=(0.5, 2.0), rotation_degrees=40)
        crops = sampler.clip(rng(), SIZE, length) if length else [sampler.image(rng(), SIZE)]
        for crop in crops:
            assert (np.abs(crop.keypoints[:, :2]) > SIZE).all()
            assert crop.keypoints[:, 2].tolist() == [1] * 13

    def test_has_empty_maps_for_joints_outside_its_picture_if_asked(self, person_image):
        still = person_image()
        still.keypoints[4, :2] = (64, 5)
        crop = sampler_of(still, absent_outside=True).image(rng(), SIZE)
        assert (np.abs(crop.keypoints[4, :2]) > SIZE).all(), "and not in the crop's empty rim"
        assert crop.keypoints[:, 2].tolist() == [1] * 13

    def test_may_end_within_the_person(self, person_image):
        still = person_image()
        joints = still.keypoints[:, :2]
        sampler, drawn = sampler_of(still, cut_probability=1, absent_outside=True), rng()
        lacking = []
        for _ in range(30):
            crop = sampler.image(drawn, SIZE)
            absent = (np.abs(crop.keypoints[:, :2]) > 10 * SIZE).all(axis=1)
            lacking.append(int(absent.sum()))
            shown = crop.keypoints[~absent]
            assert ((shown[:, :2] > -1) & (shown[:, :2] < SIZE)).all(), "cropped to what is left"
            assert len(shown) >= 3
            assert crop.keypoints[:, 2].all()
        assert max(lacking) > 3
        np.testing.assert_array_equal(still.keypoints[:, :2], joints)

    def test_may_have_another_picture_beside_it(self, person_image):
        white = cv2.imencode(".png", np.full((48, 64, 3), 255, np.uint8))[1].tobytes()
        stills = [person_image(), replace(person_image(), picture=white)]
        sampler = sampler_of(*stills, scale=(2.0, 2.0), neighbour_probability=1)
        crops = [sampler.image(np.random.default_rng(seed), SIZE) for seed in range(8)]
        corners = {tuple(crop.image[0, 0]) for crop in crops}
        assert (255, 255, 255) in corners
        assert BACKGROUND not in corners, "the colour of nothing"

    def test_may_be_drawn_from_a_clip(self, person_clip):
        crop = sampler_of(person_clip()).image(rng(), SIZE)
        assert crop.image.shape == (SIZE, SIZE, 3)


class TestAClip:
    def test_has_one_placement_for_all_frames(self, person_clip):
        crops = sampler_of(
            person_clip(30),
            rotation_degrees=90,
            scale=(0.5, 2),
            flip_probability=0.5,
            shift=0.2,
            follow=False,
        ).clip(rng(), SIZE, 6)
        linear = np.array([crop.matrix[:, :2] for crop in crops])
        np.testing.assert_allclose(linear, linear[:1].repeat(6, axis=0), atol=1e-4)
        assert abs(angle_of(crops[0])) > 1
        offsets = np.array([crop.keypoints[:, :2].mean(axis=0) for crop in crops])
        assert offsets == pytest.approx(offsets[:1].repeat(6, axis=0), abs=1e-3)

    def test_has_one_look_for_all_frames(self, person_clip):
        crops = sampler_of(person_clip(5, step=0), photometric=1.0).clip(rng(), SIZE, 5)
        for crop in crops[1:]:
            np.testing.assert_array_equal(crop.image, crops[0].image)

    def test_is_cropped_where_a_tracker_would_if_it_follows(self, person_clip):
        own, followed = (
            sampler_of(person_clip(5, step=2.0), follow=follow).clip(rng(), SIZE, 5)
            for follow in (False, True)
        )
        np.testing.assert_array_equal(own[0].matrix, followed[0].matrix)
        for frame in range(1, 5):
            np.testing.assert_array_equal(own[frame - 1].matrix, followed[frame].matrix)

    @pytest.mark.parametrize(
        ("options", "step"),
        [
            ({}, 1),
            ({"skip_probability": 1.0}, 2),
            ({"reverse_probability": 1.0}, -1),
            ({"skip_probability": 1.0, "reverse_probability": 1.0}, -2),
        ],
    )
    def test_runs_forwards_or_as_is_asked_for(self, person_clip, options, step):
        clip = person_clip(12)
        crops = sampler_of(clip, follow=False, **options).clip(rng(), SIZE, 4)
        places = [-crop.matrix[0, 2] / crop.matrix[0, 0] for crop in crops]
        assert np.diff(places) == pytest.approx(step, abs=0.05)

    def test_carries_the_box_over_frames_in_which_nobody_is_annotated(self, person_clip):
        clip = person_clip(4)
        clip.keypoints[1:3, :, 2] = 0
        crops = sampler_of(clip, follow=False).clip(rng(), SIZE, 4)
        np.testing.assert_array_equal(crops[0].matrix, crops[2].matrix)
        assert not crops[1].keypoints[:, 2].any()

    def test_may_be_a_still_that_moves(self, person_image, find_dot):
        still = person_image()
        crops = sampler_of(still, follow=True).clip(rng(), 256, 5)
        assert len({crop.image.tobytes() for crop in crops}) == 5
        for crop in crops:
            x, y = crop.keypoints[0, :2]
            assert find_dot(crop.image, (x, y), 10) == pytest.approx((x, y), abs=1)

    def test_of_the_image_convention_keeps_pixels_as_they_are(self, person_clip):
        crops = sampler_of(person_clip(4), convention="image").clip(rng(), SIZE, 4)
        for crop in crops:
            assert crop.matrix[:, :2] == pytest.approx(np.eye(2))

    def test_is_refused_from_clips_that_are_all_too_short(self, person_clip):
        sampler = sampler_of(person_clip(3), person_clip(4))
        sampler.require_clips(4)
        with pytest.raises(ConfigError, match=r"Sequences of 5 frames .* source set.* has 4"):
            sampler.require_clips(5)


class TestBroken:
    BROKEN = b"\xff\xd8 no picture"

    def test_pictures_are_passed_over_and_named_once(self, person_image, caplog):
        sampler = sampler_of(person_image(), person_image("rotten", self.BROKEN))
        with caplog.at_level(logging.WARNING):
            for seed in range(20):
                sampler.image(np.random.default_rng(seed), SIZE)
        (record,) = caplog.records
        assert "rotten" in record.getMessage()

    def test_frames_are_passed_over_and_named_with_their_clip(self, person_clip, caplog):
        broken = person_clip(5, name="rotten")
        broken = replace(broken, frames=(*broken.frames[:4], self.BROKEN))
        sampler = sampler_of(person_clip(5), broken)
        with caplog.at_level(logging.WARNING):
            for seed in range(10):
                assert len(sampler.clip(np.random.default_rng(seed), SIZE, 5)) == 5
        assert "frame 4 of rotten" in caplog.text

    def test_files_that_vanish_are_passed_over(self, person_image, tmp_path, caplog):
        sampler = sampler_of(person_image(), person_image("gone", tmp_path / "gone.jpg"))
        for seed in range(10):
            sampler.image(np.random.default_rng(seed), SIZE)
        assert "gone.jpg" in caplog.text

    def test_joints_that_are_no_numbers_weigh_nothing(self, person_image):
        still = person_image()
        still.keypoints[2] = np.nan
        crop = sampler_of(still).image(rng(), SIZE)
        assert np.isfinite(crop.keypoints).all()
        assert crop.keypoints[2, 2] == 0

    def test_nothing_but_broken_data_is_an_error(self, person_image):
        with pytest.raises(DataError, match="100 samples in a row"):
            sampler_of(person_image("rotten", self.BROKEN)).image(rng(), SIZE)

    def test_people_without_joints_are_passed_over(self, person_image):
        nobody, somebody = person_image(), person_image(box=np.float32([5, 5, 60, 40]))
        nobody.keypoints[:, 2] = 0
        crop = sampler_of(nobody, somebody).image(rng(), SIZE)
        assert crop.keypoints[:, 2].all()
        somebody.keypoints[:, 2] = 0
        with pytest.raises(DataError, match="nobody is annotated"):
            sampler_of(nobody, somebody).image(rng(), SIZE)


def test_sources_are_drawn_from_by_their_shares(person_image):
    near, far = person_image(), person_image(box=np.float32([0, 0, 8, 8]))
    sources = [Source("near", 3.0, images=[near]), Source("far", 1.0, images=[far])]
    sampler = Sampler(sources, PENN13, PLAIN)
    generator = rng()
    zooms = [sampler.image(generator, SIZE).matrix[0, 0] for _ in range(200)]
    assert 0.15 < np.mean(np.array(zooms) > 2) < 0.35


@pytest.mark.parametrize("sources", [[], [Source("none", 0.0)]])
def test_no_source_is_refused(sources):
    with pytest.raises(DataError, match="at least one source"):
        Sampler(sources, PENN13, PLAIN)
