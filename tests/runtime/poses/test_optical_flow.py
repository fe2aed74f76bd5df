import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.grey_view import BORDER, VIEW_SIZE, grey_view, view_of, view_of_crop
from edgepose_runtime.poses.optical_flow import JointFlow, propagate_opencv

ROI = Roi(20, 10, 192, 192)
JOINTS = np.array([[80.0, 60.0], [120.0, 100.0], [90.0, 140.0]])
LIMBS = ((0, 1), (1, 2))


def texture(shift=(0, 0)):
    noise = np.random.default_rng(0).integers(0, 255, (260, 340, 3)).astype(np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    smooth = cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX)
    return np.roll(smooth, shift, axis=(1, 0))[:240, :320].copy()


@pytest.fixture
def flow():
    started = JointFlow(3, LIMBS)
    started.start(texture(), ROI, JOINTS)
    return started


@pytest.mark.parametrize("shift", [(0, 0), (3, 0), (-4, 2), (7, -6)])
def test_joints_go_where_the_picture_goes(flow, shift):
    step = flow.step(texture(shift))
    np.testing.assert_allclose(step.joints, JOINTS + shift, atol=0.5)
    np.testing.assert_allclose(step.moved, np.hypot(*shift) / ROI.width, atol=0.003)
    assert step.doubt.max() < 0.005


def test_a_step_counts_once_it_is_accepted(flow):
    flow.step(texture((5, 0)))
    again = flow.step(texture((3, 0)))
    np.testing.assert_allclose(again.joints, JOINTS + np.array((3, 0)), atol=0.5)
    flow.accept(again)
    after = flow.step(texture((5, 0)))
    np.testing.assert_allclose(after.joints, JOINTS + np.array((5, 0)), atol=0.7)
    np.testing.assert_allclose(after.moved, 2 / ROI.width, atol=0.003)


def test_many_small_steps_add_up(flow):
    for x in range(1, 11):
        step = flow.step(texture((x, 0)))
        flow.accept(step)
    np.testing.assert_allclose(step.joints, JOINTS + np.array((10, 0)), atol=1.0)


def test_a_joint_that_is_not_known_stays_so():
    flow = JointFlow(3, LIMBS)
    joints = JOINTS.copy()
    joints[1] = np.nan
    flow.start(texture(), ROI, joints)
    step = flow.step(texture((3, 0)))
    assert np.isnan(step.joints[1]).all()
    assert np.isnan(step.moved[1])
    assert np.isnan(step.doubt[1])
    np.testing.assert_allclose(step.joints[[0, 2]], joints[[0, 2]] + (3, 0), atol=0.5)


def test_nothing_is_sure_in_a_picture_without_anything(flow):
    step = flow.step(np.full((240, 320, 3), 100, np.uint8))
    assert np.isfinite(step.joints).all()
    assert step.doubt.min() > 0.01


def test_a_joint_on_a_spoilt_patch_moves_with_its_neighbours():
    before, after = texture(), texture((6, 0))
    before[120:160, 70:110] = 128  # the last joint's surroundings
    after[120:160, 76:116] = np.random.default_rng(1).integers(0, 255, (40, 40, 3))
    flow = JointFlow(3, LIMBS)
    flow.start(before, ROI, JOINTS)
    step = flow.step(after)
    assert abs(step.joints[2, 0] - JOINTS[2, 0] - 6) < 3


def test_joints_are_carried_against_time_as_well(flow):
    before, after = (view_of(grey_view(texture((x, 0)), ROI)) for x in (0, 4))
    places = np.array([[30.0, 25.0], [50.0, 45.0], [35.0, 65.0]])
    there, _ = flow.propagate(before, after, places)
    back, doubt = flow.propagate(after, before, there)
    np.testing.assert_allclose(there - places, [[4 * VIEW_SIZE / 192, 0]] * 3, atol=0.2)
    np.testing.assert_allclose(back, places, atol=0.2)
    assert doubt.max() < 0.3


def test_a_view_is_the_region_in_grey():
    view = grey_view(texture(), ROI)
    assert view.shape == (VIEW_SIZE, VIEW_SIZE)
    assert view.dtype == np.uint8


@settings(max_examples=30, deadline=None)
@given(side=st.integers(0, 20), above=st.integers(0, 40))
def test_a_view_of_an_upright_crop_is_the_middle_of_its_square(side, above):
    picture, size, columns = texture()[:, :240], 192, 192 - 4 * side
    whole = view_of_crop(np.ascontiguousarray(picture[24:216, 24:216]), size)[0]
    rows = slice(24 - min(above, 24), 216 + min(above, 24))
    upright = picture[rows, 24 + 2 * side : 24 + 2 * side + columns]
    found = view_of_crop(np.ascontiguousarray(upright), size)[0]
    assert found.shape == whole.shape
    shown = slice(BORDER + side, BORDER + VIEW_SIZE - side)
    np.testing.assert_array_equal(
        found[BORDER : BORDER + VIEW_SIZE, shown], whole[BORDER : BORDER + VIEW_SIZE, shown]
    )
    edge = found[BORDER : BORDER + VIEW_SIZE, shown][:, :1]
    assert (found[BORDER : BORDER + VIEW_SIZE, BORDER : BORDER + side] == edge).all()


@pytest.mark.parametrize("shift", [(0, 0), (3, 1), (-9, 5), (14, -11)])
def test_patches_are_followed_as_by_opencv(shift):
    before, after = grey_view(texture(), ROI), grey_view(texture(shift), ROI)
    random = np.random.default_rng(0)
    places = random.uniform(-4, VIEW_SIZE + 4, (60, 2))
    places[7] = np.nan
    neighbours = (random.random((60, 60)) < 0.1).astype(np.float64)
    flow = JointFlow(60, list(zip(*np.nonzero(neighbours), strict=True)))
    neighbours = np.maximum(neighbours, neighbours.T)
    there, doubt = flow.propagate(view_of(before), view_of(after), places)
    expected, expected_doubt = propagate_opencv(before, after, places, neighbours)
    np.testing.assert_array_equal(np.isnan(there), np.isnan(expected))
    inside = ((places > 8) & (places < VIEW_SIZE - 8)).all(axis=1)
    sure = inside & (expected_doubt < 0.1) & (doubt < 0.1)
    assert sure.sum() > 0.7 * inside.sum()
    np.testing.assert_allclose(there[sure], expected[sure], atol=0.1)
    assert ((doubt < 0.5) == (expected_doubt < 0.5))[inside].mean() > 0.9


def test_joints_however_far_outside_stay_where_they_are_and_leave_others_alone():
    before, after = (view_of(grey_view(texture((x, 0)), ROI)) for x in (0, 3))
    far = (-1e300, -1e9, -40.0, -13.5, VIEW_SIZE + 13.5, 1e9, 1e300)
    inside = VIEW_SIZE / 2
    places = np.array([*((x, inside) for x in far), *((inside, y) for y in far), (inside, inside)])
    there, doubt = JointFlow(len(places), ()).propagate(before, after, places)
    np.testing.assert_array_equal(there[:-1], places[:-1])
    assert (doubt[:-1] > 3).all()
    np.testing.assert_allclose(there[-1], places[-1] + (1.5, 0), atol=0.2)


def test_a_joint_that_is_not_finite_in_part_is_unknown_and_leaves_others_alone():
    before, after = (grey_view(texture((x, 0)), ROI) for x in (0, 3))
    places = np.array([[np.inf, 40], [40, np.nan], [40, -np.inf], [48, 48]])
    neighbours = np.array([[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1], [1, 1, 1, 0]], np.float64)
    flow = JointFlow(4, [(0, 3), (1, 3), (2, 3)])
    for there, doubt in (
        flow.propagate(view_of(before), view_of(after), places),
        propagate_opencv(before, after, places, neighbours),
    ):
        assert np.isnan(there[:3]).all()
        assert np.isnan(doubt[:3]).all()
        np.testing.assert_allclose(there[3], (49.5, 48), atol=0.2)


def test_only_unknown_joints_stay_unknown(flow):
    views = view_of(grey_view(texture(), ROI)), view_of(grey_view(texture((3, 0)), ROI))
    there, doubt = flow.propagate(*views, np.full((3, 2), np.nan))
    assert np.isnan(there).all()
    assert np.isnan(doubt).all()


def test_a_plain_picture_is_followed_nowhere():
    plain = view_of(np.full((VIEW_SIZE, VIEW_SIZE), 77, np.uint8))
    places = np.random.default_rng(0).uniform(0, VIEW_SIZE, (13, 2))
    there, doubt = JointFlow(13, ()).propagate(plain, plain, places)
    np.testing.assert_array_equal(there, places)
    assert (doubt > 3).all()


def test_a_step_that_is_held_leaves_joints_and_view(flow):
    flow.accept(flow.step(texture((5, 0))))
    before = flow.step(texture((5, 0)))
    held = flow.hold(flow.step(np.zeros_like(texture())))
    assert held.held and not before.held
    np.testing.assert_allclose(held.joints, JOINTS + np.array((5, 0)), atol=0.5)
    np.testing.assert_array_equal(held.moved, 0)
    flow.accept(held)
    again = flow.step(texture((8, 0)))
    np.testing.assert_allclose(again.joints, JOINTS + np.array((8, 0)), atol=0.5)
