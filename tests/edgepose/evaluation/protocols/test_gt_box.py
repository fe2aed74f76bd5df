import numpy as np
import pytest

from edgepose.evaluation.protocols.gt_box import (
    PAPER_SCALES,
    BodyOnlyMethod,
    GtBoxPredictor,
    mirror_heatmaps,
)
from edgepose.methods import Estimate, MethodSpec
from edgepose.results import Origin
from edgepose.testing import FakeMethod
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.input_view import InputView
from edgepose_runtime.poses.skeletons import PENN13

RIGHT, LEFT = 1, 2
SPOTS = {RIGHT: (104, 90), LEFT: (152, 100)}


class SpotMethod:
    """Sees two white spots: the right shoulder on the left of the picture, and the left one.

    Like a network it takes the mirror image of a person for a person. Its state counts frames.
    """

    def __init__(self, offset=1.5):
        self.spec = MethodSpec(
            view=InputView(256, 256),
            skeleton=PENN13,
            input_size=256,
            heatmap_size=64,
            stride=4.0,
            offset=offset,
            score_threshold=0.3,
            reinitialise_every=None,
        )
        self.states = []

    def locate(self, crop, roi):
        return self.initialise(crop, roi).heatmaps

    def initialise(self, crop, roi):
        return self.advance(crop, roi, 0)

    def advance(self, crop, roi, state):  # noqa: ARG002
        self.states.append(state)
        return Estimate(self._heatmaps(crop), state + 1, Origin.PROPAGATED)

    def _heatmaps(self, crop):
        y, x = np.nonzero(crop[..., 0] > 220)
        on_the_left = x < (x.min() + x.max()) / 2
        heatmaps = np.zeros((13, 64, 64), np.float32)
        for joint, spot in ((RIGHT, on_the_left), (LEFT, ~on_the_left)):
            heatmaps[joint] = self._gaussian(x[spot].mean(), y[spot].mean())
        return heatmaps

    def _gaussian(self, x, y):
        cells = np.arange(64) * self.spec.stride + self.spec.offset
        return np.exp(-((cells - x) ** 2 + (cells[:, None] - y) ** 2) / 128)


@pytest.fixture
def spotted_clip(make_clip):
    """Four frames with two white spots of 9x9 pixels."""
    frame = np.zeros((240, 320, 3), np.uint8)
    for x, y in SPOTS.values():
        frame[y - 4 : y + 5, x - 4 : x + 5] = 255
    boxes = np.tile(np.float32([70, 60, 200, 170]), (4, 1))
    return make_clip(num_frames=4, frames=lambda: iter([frame] * 4), boxes=boxes)


def calls_of(segment_length, make_clip):
    clip = make_clip()
    method = FakeMethod(clip.keypoints[0])
    GtBoxPredictor(method, segment_length).predict(clip)
    return "".join(call.kind[0] for call in method.calls)


@pytest.mark.parametrize(
    ("segment_length", "calls"),
    [(1, "iiiiii"), (2, "iaiaia"), (4, "iaaaia"), (10, "iaaaaa"), (None, "iaaaaa")],
)
def test_the_head_runs_at_the_start_of_every_segment(segment_length, calls, make_clip):
    assert calls_of(segment_length, make_clip) == calls


def test_joints_come_back_in_frame_pixels(make_clip):
    clip = make_clip(num_frames=1)
    predicted = GtBoxPredictor(FakeMethod(clip.keypoints[0])).predict(clip)
    assert predicted.shape == (1, 13, 3)
    assert predicted == pytest.approx(clip.keypoints, abs=0.5)


def test_every_frame_is_cropped_around_its_own_box(make_clip):
    clip = make_clip(num_frames=2)
    method = FakeMethod(clip.keypoints[0])
    GtBoxPredictor(method).predict(clip)
    first, second = (call.roi for call in method.calls)
    assert second.x == pytest.approx(first.x + 2)
    assert first.width == first.height == second.width


def test_the_body_alone_neither_initialises_nor_advances(make_clip):
    clip = make_clip()
    method = FakeMethod(clip.keypoints[0])
    GtBoxPredictor(BodyOnlyMethod(method)).predict(clip)
    assert [call.kind for call in method.calls] == ["locate"] * 6


def test_nobody_gives_nan(make_clip):
    predicted = GtBoxPredictor(FakeMethod()).predict(make_clip())
    assert np.isnan(predicted[..., :2]).all()
    assert (predicted[..., 2] == 0).all()


@pytest.mark.parametrize("offset", [1.5, 0.0])
@pytest.mark.parametrize("scales", [(1.0,), PAPER_SCALES])
def test_mirrored_copies_agree_with_the_clip_itself(offset, scales, spotted_clip):
    predicted = GtBoxPredictor(SpotMethod(offset), flip=True, scales=scales).predict(spotted_clip)
    # A mirror image of cells that do not lie symmetrically is off by up to half a cell.
    tolerance = 1.0 if scales == PAPER_SCALES or offset == 0 else 0.3
    for joint, spot in SPOTS.items():
        assert predicted[0, joint, :2] == pytest.approx(spot, abs=tolerance)


@pytest.mark.parametrize(
    ("scale", "side"),
    [(1.0, 256), (0.8, 320), (1.25, 204.8), (2.0, 1.05 * 140)],  # 128 pixels are too few for 140
)
def test_image_crops_are_as_large_as_the_input_where_the_person_fits(scale, side, make_clip):
    boxes = np.tile(np.float32([70, 60, 150, 200]), (2, 1))  # corners; 140 pixels high
    clip = make_clip(num_frames=2, boxes=boxes)
    method = FakeMethod(clip.keypoints[0])
    GtBoxPredictor(method, scales=(scale,), crop="image").predict(clip)
    roi = method.calls[0].roi
    assert roi.width == roi.height == pytest.approx(side)
    assert roi.center == pytest.approx((110, 130), abs=1)


def test_image_crops_give_joints_in_frame_pixels(spotted_clip):
    predicted = GtBoxPredictor(SpotMethod(), flip=True, crop="image").predict(spotted_clip)
    for joint, spot in SPOTS.items():
        assert predicted[0, joint, :2] == pytest.approx(spot, abs=0.3)


def test_several_scales_find_the_same_pixel(spotted_clip):
    predicted = GtBoxPredictor(SpotMethod(), scales=(0.8, 1.0, 1.25)).predict(spotted_clip)
    for joint, spot in SPOTS.items():
        assert predicted[3, joint, :2] == pytest.approx(spot, abs=1)
        assert 0.8 < predicted[3, joint, 2] <= 1
    assert np.isnan(predicted[0, 0, :2]).all()


def test_every_copy_is_a_sequence_with_its_own_state(spotted_clip):
    method = SpotMethod()
    GtBoxPredictor(method, flip=True, scales=(1.0, 1.2)).predict(spotted_clip)
    assert method.states == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4


def test_mirroring_twice_gives_the_same_where_cells_lie_symmetrically():
    heatmaps = np.random.default_rng(0).random((13, 64, 64), np.float32)
    spec = SpotMethod().spec
    twice = mirror_heatmaps(mirror_heatmaps(heatmaps, spec), spec)
    np.testing.assert_array_equal(twice, heatmaps)


def test_mirrored_cells_move_by_one_where_the_first_lies_on_the_first_pixel():
    heatmaps = np.zeros((13, 64, 64), np.float32)
    heatmaps[RIGHT, 5, 10] = 1
    moved = mirror_heatmaps(heatmaps, SpotMethod(offset=0.0).spec)
    assert np.argwhere(moved).tolist() == [[LEFT, 5, 64 - 10]]


@pytest.mark.parametrize("options", [{"segment_length": 0}, {"scales": ()}, {"scales": (1.0, 0.0)}])
def test_senseless_options_are_refused(options):
    with pytest.raises(ConfigError):
        GtBoxPredictor(FakeMethod(), **options)
