import numpy as np
import pytest

from edgepose.tracking.search.motion_detection import MotionDetector

RNG = np.random.default_rng(0)
SIZES = [(240, 320), (720, 1280), (1280, 720), (2160, 3840), (40, 30)]


def scene(size, level=90):
    return np.full((*size, 3), level, np.uint8)


def with_block(size, left=0.5, top=0.3):
    """A scene with a block of a fifth of the height, and where it is (x, y, width, height)."""
    height, width = size
    x, y, side = int(left * width), int(top * height), height // 5
    picture = scene(size)
    picture[y : y + side, x : x + side] = 220
    return picture, (x, y, side, side)


@pytest.mark.parametrize("size", SIZES)
def test_what_moves_lies_in_a_region_that_suits_it(size):
    detector = MotionDetector()
    assert detector.detect(scene(size)).region is None
    picture, (x, y, width, height) = with_block(size)
    region = detector.detect(picture).region
    assert region.x <= x
    assert region.y <= y
    assert region.x + region.width >= x + width
    assert region.y + region.height >= y + height
    assert region.width == region.height < 2.2 * height


def test_in_a_picture_that_stands_still_nothing_moves():
    detector, (picture, _) = MotionDetector(), with_block((240, 320))
    for _ in range(5):
        motion = detector.detect(picture)
        assert motion.region is None
        assert not motion.is_cut


@pytest.mark.parametrize("spread", [2, 8, 30])
def test_sensor_noise_is_no_movement(spread):
    detector = MotionDetector()
    for _ in range(20):
        noise = RNG.normal(128, spread, (480, 640, 3))
        assert detector.detect(np.clip(noise, 0, 255).astype(np.uint8)).region is None


def test_light_that_changes_everywhere_is_no_movement():
    detector = MotionDetector()
    for level in (90, 100, 105):
        motion = detector.detect(scene((240, 320), level))
        assert motion.region is None
        assert not motion.is_cut


def test_another_scene_is_a_cut_and_then_the_background():
    detector = MotionDetector()
    detector.detect(scene((240, 320), 40))
    assert detector.detect(scene((240, 320), 200)).is_cut
    assert not detector.detect(scene((240, 320), 200)).is_cut


def test_what_stays_becomes_background():
    detector, (picture, _) = MotionDetector(), with_block((240, 320))
    detector.detect(scene((240, 320)))
    moving = [detector.detect(picture).region is not None for _ in range(100)]
    assert moving[0]
    assert not moving[-1]


def test_a_frame_of_another_size_is_a_new_background():
    detector = MotionDetector()
    detector.detect(scene((240, 320), 40))
    motion = detector.detect(scene((480, 640), 200))
    assert motion.region is None
    assert not motion.is_cut


def test_of_two_things_the_larger_one_is_meant():
    detector = MotionDetector()
    detector.detect(scene((240, 320)))
    picture, (x, y, width, height) = with_block((240, 320))
    picture[200:210, 20:34] = 220
    region = detector.detect(picture).region
    assert region.contains((x + width / 2, y + height / 2))
    assert not region.contains((27, 205))
