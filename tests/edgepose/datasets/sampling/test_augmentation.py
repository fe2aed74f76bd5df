import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepose.datasets.sampling.augmentation import (
    Augmentation,
    Placement,
    crop_squares,
    draw_placement,
)
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.roi import Roi

BOX = Roi.around((100, 80), 40, 100)


def draw(count=300, **options):
    rng = np.random.default_rng(0)
    return [draw_placement(rng, Augmentation(**options)) for _ in range(count)]


def test_placements_stay_in_the_published_ranges():
    drawn = draw()
    assert 0.8 <= min(p.scale for p in drawn) < 0.85
    assert 1.35 < max(p.scale for p in drawn) <= 1.4
    assert -40 <= min(p.angle for p in drawn) < -35
    assert 0.4 < np.mean([p.flip for p in drawn]) < 0.6
    assert {p.shift for p in drawn} == {(0.0, 0.0)}


def test_now_and_then_a_crop_is_wide():
    drawn = draw(scale=(1.0, 1.0), wide_probability=0.2, wide_scale=(2.0, 2.5))
    wide = [p.scale for p in drawn if p.scale > 1]
    assert 30 < len(wide) < 90
    assert 2.0 <= min(wide) <= max(wide) <= 2.5


def test_without_augmentation_nothing_is_drawn():
    rng = np.random.default_rng(0)
    assert draw_placement(rng, Augmentation.none()) == Placement()


@pytest.mark.parametrize(
    "options",
    [
        {"convention": "box"},
        {"flip_probability": 1.5},
        {"photometric": -0.1},
        {"scale": (1.4, 0.8)},
        {"scale": (0.0, 1.0)},
        {"scale": (1.0,)},
    ],
)
def test_unfitting_options_are_refused_by_name(options):
    with pytest.raises(ConfigError, match=next(iter(options)).replace("convention", "box")):
        Augmentation(**options)


def test_a_persons_square_is_one_and_a_quarter_of_the_boxs_longer_side():
    (square,) = crop_squares([BOX], Placement(), 256)
    assert square == BOX.squared()


@given(scale=st.floats(0.5, 2), shift=st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)))
def test_scale_and_shift_act_on_the_persons_square(scale, shift):
    (square,) = crop_squares([BOX], Placement(scale=scale, shift=shift), 256)
    assert square.width == square.height == pytest.approx(125 * scale)
    assert square.center == pytest.approx(np.add(BOX.center, np.multiply(shift, 125 * scale)))


def test_the_squares_of_a_clip_follow_the_boxes():
    boxes = [Roi.around((100 + t, 80), 40 + t, 100 + 10 * t) for t in range(3)]
    squares = crop_squares(boxes, Placement(), 256)
    assert [square.center for square in squares] == [box.center for box in boxes]
    assert [square.width for square in squares] == [125, 137.5, 150]


class TestTheImageConvention:
    def squares(self, boxes, **placement):
        return crop_squares(boxes, Placement(**placement), 256, "image")

    def test_takes_pixels_as_they_are_whatever_the_persons_size(self):
        for box in (BOX, Roi.around((100, 80), 10, 20)):
            (square,) = self.squares([box])
            assert square == Roi.around(BOX.center, 256)

    def test_scales_the_picture(self):
        (square,) = self.squares([BOX], scale=1.28)
        assert square.width == pytest.approx(200)

    def test_makes_room_for_a_person_who_would_not_fit(self):
        (square,) = self.squares([Roi.around((200, 200), 100, 300)])
        assert square.width == pytest.approx(330)

    def test_makes_room_for_the_turned_box(self):
        upright, turned = (
            self.squares([Roi.around((200, 200), 200, 250)], angle=angle)[0].width
            for angle in (0, 45)
        )
        assert upright == 256
        assert turned == pytest.approx(1.1 * 450 * np.sqrt(0.5))

    def test_has_one_size_for_a_clip_but_follows_each_box(self):
        boxes = [Roi.around((200, 200), 50, 100), Roi.around((210, 200), 60, 300)]
        first, second = self.squares(boxes)
        assert first.width == second.width == pytest.approx(330)
        assert [first.center, second.center] == [(200, 200), (210, 200)]
