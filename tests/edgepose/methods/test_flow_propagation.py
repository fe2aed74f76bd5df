from dataclasses import replace

import cv2
import numpy as np
import pytest

from edgepose.methods.base import FollowedJoints, Step
from edgepose.methods.flow_propagation import FlowPropagation
from edgepose.results import Origin
from edgepose.testing import FakeMethod
from edgepose_runtime.errors import BundleFormatError
from edgepose_runtime.geometry.input_view import InputView
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.heatmaps.decoding import decode_heatmaps
from edgepose_runtime.heatmaps.propagation import DEVIATION, FlowSettings

SIZE, CELLS, JOINTS = 256, 64, 13
ROI = Roi(0, 0, SIZE, SIZE)
#: Where the head sees the joints, in cells.
SEEN = np.stack([20 + 2.0 * np.arange(JOINTS) % 24, 18 + 2.0 * np.arange(JOINTS)], axis=1)


def texture(shift=(0, 0)):
    noise = np.random.default_rng(0).integers(0, 255, (320, 320, 3)).astype(np.uint8)
    smooth = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 4), None, 0, 255, cv2.NORM_MINMAX)
    return np.roll(smooth, shift, axis=(1, 0))[:SIZE, :SIZE].copy()


def maps_of(cells, height=0.9):
    grid = np.arange(CELLS)
    squares = np.square(grid[:, None] - cells[:, 1, None, None]) + np.square(
        grid - cells[:, 0, None, None]
    )
    return (height * np.exp(-squares / 8)).astype(np.float32)


class Network:
    """Returns the heat-maps that it is told to."""

    def __init__(self, heatmaps):
        self.heatmaps, self.runs = heatmaps, 0

    def infer(self, feeds):
        assert feeds["image"].shape == (1, SIZE, SIZE, 3)
        self.runs += 1
        return {"heatmaps": self.heatmaps[None]}


def make_method(head=None, body=None, **settings):
    head = Network(maps_of(SEEN) if head is None else head)
    body = Network(maps_of(SEEN, 0.7) if body is None else body)
    return FlowPropagation(FakeMethod().spec, head, body, FlowSettings(**settings)), head, body


def cells_of(estimate):
    return decode_heatmaps(estimate.heatmaps)[:, :2]


def test_the_first_frame_is_what_the_head_sees_and_the_body_waits_for_the_next():
    method, head, body = make_method()
    estimate = method.initialise(texture(), ROI)
    assert estimate.origin is Origin.INITIALISED
    np.testing.assert_array_equal(estimate.heatmaps, head.heatmaps)
    assert (head.runs, body.runs) == (1, 0)
    method.advance(texture(), ROI, estimate.state)
    assert (head.runs, body.runs) == (1, 2)


def test_the_head_s_frame_is_kept_although_its_crop_is_overwritten():
    method, *_ = make_method()
    crop = texture()
    start = method.initialise(crop, ROI)
    expected = method.advance(texture((5, 2)), ROI, start.state)
    crop[:] = 0
    again = method.advance(texture((5, 2)), ROI, start.state)
    np.testing.assert_array_equal(again.heatmaps, expected.heatmaps)


def test_light_starts_and_searches_do_not_run_the_head():
    method, head, body = make_method()
    np.testing.assert_array_equal(method.locate(texture(), ROI), body.heatmaps)
    estimate = method.begin(texture(), ROI)
    assert estimate.origin is Origin.INITIALISED
    np.testing.assert_array_equal(estimate.heatmaps, body.heatmaps)
    assert head.runs == 0


def test_joints_go_where_the_picture_goes_if_the_body_sees_nothing():
    method, _, body = make_method()
    start = method.initialise(texture(), ROI)
    body.heatmaps = np.zeros_like(body.heatmaps)
    after = method.advance(texture((12, -8)), ROI, start.state)
    assert after.origin is Origin.PROPAGATED
    # 12 pixels are 3 cells. What is new at the border cannot be followed.
    inner = (np.abs(SEEN - CELLS / 2) < 20).all(axis=1)
    np.testing.assert_allclose(cells_of(after)[inner], np.add(SEEN, (3, -2))[inner], atol=0.3)
    assert decode_heatmaps(after.heatmaps)[:, 2].max() < 0.5


def followed_to(places, start, frames=2, doubt=0.0):
    doubts = np.full(JOINTS, doubt)
    return FollowedJoints(np.asarray(places, np.float64), frames, doubts, doubts * doubts, start)


def test_joints_that_were_followed_through_other_frames_are_expected_where_they_are_now():
    method, _, body = make_method()
    start = method.initialise(texture(), ROI)
    body.heatmaps = np.zeros_like(body.heatmaps)
    roi = Roi(-8, -12, 272, 272)
    places = method.spec.decode(maps_of(SEEN), roi)[:, :2] + (6, -9)
    state = method.followed(start.state, followed_to(places, start.state))
    # The picture is another one: flow from the head's frame would lose the joints.
    after = method.advance(texture((90, 70)), roi, state)
    found = method.spec.decode(after.heatmaps, roi)
    np.testing.assert_allclose(found[:, :2], places, atol=0.5)
    assert after.state.previous.known is not after.state.known


def test_joints_that_were_followed_badly_are_trusted_less():
    method, *_ = make_method()
    start = method.initialise(texture(), ROI)
    places = method.spec.decode(maps_of(SEEN), ROI)[:, :2]
    deviations = []
    for frames, doubt in ((2, 0.0), (4, 0.0), (4, 0.01)):
        joints = followed_to(places, start.state, frames, doubt)
        after = method.advance(texture(), ROI, method.followed(start.state, joints))
        deviations.append(after.state.known[:, DEVIATION].mean())
    assert deviations[0] < deviations[1] < deviations[2]


def test_joints_that_were_followed_from_a_pose_before_it_was_corrected_are_not_used():
    """As when a remote head's answer is merged while frames are passed over."""
    method, _, body = make_method()
    light = method.begin(texture(), ROI)
    joints = followed_to(method.spec.decode(light.heatmaps, ROI)[:, :2], light.state)
    elsewhere = np.add(SEEN, (4, 0))
    corrected = method.replaced(light, maps_of(elsewhere))
    body.heatmaps = np.zeros_like(body.heatmaps)
    after = method.advance(texture(), ROI, method.followed(corrected.state, joints))
    inner = (np.abs(SEEN - CELLS / 2) < 20).all(axis=1)
    np.testing.assert_allclose(cells_of(after)[inner], elsewhere[inner], atol=0.3)


class BrightnessNetwork:
    """Takes any number of crops, and is the surer the brighter a crop is."""

    def __init__(self):
        self.batches = []

    def infer(self, feeds):
        self.batches.append(len(feeds["image"]))
        heights = feeds["image"].mean(axis=(1, 2, 3)) / 255
        return {"heatmaps": np.stack([maps_of(SEEN, height) for height in heights])}


def test_several_people_are_advanced_in_one_batch_as_each_of_them_alone():
    body = BrightnessNetwork()
    method = FlowPropagation(FakeMethod().spec, Network(maps_of(SEEN)), body)
    pictures = [texture((shift, 0)) // (shift + 1) for shift in range(3)]
    started = [method.initialise(picture, ROI).state for picture in pictures]
    going_on = method.advance(pictures[2], ROI, started[2]).state
    joints = 4.0 * SEEN + 5
    doubts = np.full(JOINTS, 0.01)
    followed = method.followed(started[1], FollowedJoints(joints, 2, doubts, doubts, started[1]))
    steps = [
        Step(np.roll(picture, 2, axis=1), ROI, state)
        for picture, state in zip(pictures, (started[0], followed, going_on), strict=True)
    ]
    alone = [method.advance(*step) for step in steps]
    body.batches.clear()
    together = method.advance_all(steps)
    assert body.batches == [5]  # of two people the head's frame as well
    for first, second in zip(alone, together, strict=True):
        np.testing.assert_array_equal(first.heatmaps, second.heatmaps)
        np.testing.assert_array_equal(first.state.known, second.state.known)
        np.testing.assert_array_equal(first.state.preliminary, second.state.preliminary)
    assert not np.array_equal(together[0].heatmaps, together[1].heatmaps)


def test_a_region_that_moves_and_grows_keeps_the_joints_in_place():
    method, _, body = make_method()
    frame = texture()
    start = method.initialise(frame, ROI)
    body.heatmaps = np.zeros_like(body.heatmaps)
    moved = Roi(-8, -12, 272, 272)
    crop = method.spec.view.crop(frame, moved)
    after = method.advance(crop, moved, start.state)
    inner = (np.abs(SEEN - CELLS / 2) < 18).all(axis=1)
    before = method.spec.decode(start.heatmaps, ROI)[inner, :2]
    np.testing.assert_allclose(
        method.spec.decode(after.heatmaps, moved)[inner, :2], before, atol=1.5
    )


def test_of_two_places_the_body_is_taken_to_the_one_that_the_head_saw():
    method, _, body = make_method()
    start = method.initialise(texture(), ROI)
    body.heatmaps = np.maximum(maps_of(SEEN, 0.6), maps_of(SEEN[::-1].copy(), 0.8))
    wrong = decode_heatmaps(body.heatmaps)[:, :2]
    assert np.abs(wrong - SEEN).max() > 5
    np.testing.assert_allclose(cells_of(method.advance(texture(), ROI, start.state)), SEEN, atol=1)


def test_where_the_body_differs_from_the_head_its_heatmaps_are_shifted():
    offset = np.array((2.0, -1.0))
    method, *_ = make_method(body=maps_of(SEEN + offset, 0.9))
    estimate = method.initialise(texture(), ROI)
    for _ in range(3):
        estimate = method.advance(texture(), ROI, estimate.state)
    apart = np.hypot(*(cells_of(estimate) - SEEN).T).mean()
    plain, *_ = make_method(body=maps_of(SEEN + offset, 0.9), memory=0.0, adaptation=0.0)
    estimate = plain.initialise(texture(), ROI)
    for _ in range(3):
        estimate = plain.advance(texture(), ROI, estimate.state)
    assert apart < 0.6 * np.hypot(*(cells_of(estimate) - SEEN).T).mean()


def test_another_joint_is_not_taken_for_an_offset():
    method, *_ = make_method(body=maps_of(np.add(SEEN, (9.0, 0.0))))
    start = method.initialise(texture(), ROI).state
    state = method.advance(texture(), ROI, start).state
    np.testing.assert_allclose(state.known[:, 4:], 0, atol=1e-5)


def test_joints_become_less_certain_where_the_picture_cannot_be_followed():
    method, *_ = make_method()
    start = method.initialise(texture(), ROI)
    followed = method.advance(texture(), ROI, start.state).state.known[:, DEVIATION]
    lost = method.advance(np.full((SIZE, SIZE, 3), 90, np.uint8), ROI, start.state).state.known[
        :, DEVIATION
    ]
    assert (lost > 2 * followed).all()
    assert lost.max() <= FlowSettings().largest_deviation


def test_a_late_answer_is_propagated_like_one_that_came_in_time():
    """Heat-maps for the frame before, brought through a frame that was processed already."""
    method, *_ = make_method()
    in_time = method.initialise(texture(), ROI)
    expected = method.advance(texture((4, 4)), ROI, in_time.state)
    light = method.begin(texture(), ROI)
    second = method.advance(texture((4, 4)), ROI, light.state)
    assert not np.allclose(second.heatmaps, expected.heatmaps, atol=1e-3)
    late = method.propagate(in_time.heatmaps, ROI, second.state)
    np.testing.assert_allclose(late.heatmaps, expected.heatmaps, atol=1e-6)


def test_other_heatmaps_take_the_place_of_an_estimate():
    method, *_ = make_method()
    estimate = method.begin(texture(), ROI)
    replaced = method.replaced(estimate, maps_of(SEEN + 2.0))
    assert replaced.origin is Origin.INITIALISED
    np.testing.assert_allclose(replaced.state.known[:, :2], SEEN + 2, atol=0.01)
    np.testing.assert_array_equal(method.preliminary(replaced.state), estimate.state.preliminary)
    head = method.initialise(texture(), ROI)
    expected = method.advance(texture(), ROI, replaced.state)
    replaced = method.replaced(head, maps_of(SEEN + 2.0))
    after = method.advance(texture(), ROI, replaced.state)
    np.testing.assert_allclose(after.heatmaps, expected.heatmaps, atol=1e-6)


def test_advancing_leaves_the_state_it_was_given_alone():
    method, *_ = make_method()
    state = method.begin(texture(), ROI).state
    before = [state.heatmaps.copy(), state.known.copy()]
    method.advance(texture((3, 3)), ROI, state)
    for kept, known in zip((state.heatmaps, state.known), before, strict=True):
        np.testing.assert_array_equal(kept, known)


def test_states_do_not_hold_all_frames_before():
    method, *_ = make_method()
    estimate = method.initialise(texture(), ROI)
    for _ in range(3):
        estimate = method.advance(texture(), ROI, estimate.state)
    assert estimate.state.previous.previous is None


def test_a_joint_that_nobody_sees_stays_unknown_until_the_body_sees_it():
    head = maps_of(SEEN)
    head[4] = 0
    method, _, body = make_method(head=head)
    body.heatmaps = body.heatmaps.copy()
    body.heatmaps[4] = 0
    start = method.initialise(texture(), ROI)
    after = method.advance(texture(), ROI, start.state)
    assert np.isnan(cells_of(after)[4]).all()
    body.heatmaps = maps_of(SEEN, 0.7)
    found = method.advance(texture(), ROI, after.state)
    np.testing.assert_allclose(cells_of(found)[4], SEEN[4], atol=0.1)


def test_joints_go_where_the_picture_goes_in_an_upright_crop():
    class Upright(Network):
        def infer(self, feeds):
            assert feeds["image"].shape == (1, 256, 192, 3)
            return {"heatmaps": self.heatmaps[None]}

    spec = replace(FakeMethod().spec, view=InputView(192, 256, (0.75, 1.0)))
    body = Upright(maps_of(SEEN, 0.0))
    method = FlowPropagation(spec, Upright(maps_of(SEEN)), body)
    start = method.initialise(texture()[:, 32:224].copy(), ROI)
    after = method.advance(texture((8, 4))[:, 32:224].copy(), ROI, start.state)
    np.testing.assert_allclose(cells_of(after), SEEN + np.array([2, 1]), atol=0.25)


def test_crops_in_other_pixels_than_the_region_are_refused():
    spec = replace(FakeMethod().spec, view=InputView(192, 192, (0.75, 1.0)))
    with pytest.raises(BundleFormatError, match=r"192x256 for this window .* has 192x192"):
        FlowPropagation(spec, Network(maps_of(SEEN)), Network(maps_of(SEEN)))
