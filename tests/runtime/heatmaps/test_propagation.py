import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepose_runtime.heatmaps.decoding import decode_heatmaps
from edgepose_runtime.heatmaps.propagation import DEVIATION, FlowSettings, HeatmapFlow
from edgepose_runtime.poses.grey_view import VIEW_SIZE, view_of
from edgepose_runtime.poses.skeletons import PENN13

CELLS = 48
HERE = np.array([[10.0, 12.0], [30.0, 20.0], [24.0, 36.0]])


def view(shift=(0, 0)):
    noise = np.random.default_rng(0).integers(0, 255, (140, 140)).astype(np.uint8)
    smooth = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)
    return view_of(np.roll(smooth, shift, axis=(1, 0))[:VIEW_SIZE, :VIEW_SIZE].copy())


def maps_of(cells, height=0.9, deviation=2.0):
    grid = np.arange(CELLS)
    x, y = (cells[:, axis, None, None] for axis in (0, 1))
    squares = np.square(grid[:, None] - y) + np.square(grid - x)
    return (height * np.exp(-squares / (2 * deviation**2))).astype(np.float32)


@pytest.fixture
def flow():
    return make_flow()


def make_flow(count=3, limbs=((0, 1), (1, 2)), **settings):
    return HeatmapFlow(count, limbs, input_size=192, settings=FlowSettings(**settings))


@given(seed=st.integers(0, 200), share=st.floats(0, 1), spread=st.floats(0, 30))
def test_the_kernel_does_what_numpy_does(seed, share, spread):
    random = np.random.default_rng(seed)
    flow = make_flow(13, PENN13.limbs, share=share)
    preliminary = maps_of(random.uniform(2, 46, (13, 2)), 0.8)
    known = np.zeros((13, 6))
    known[:, :2] = random.uniform(-spread / 5, CELLS + spread / 5, (13, 2))
    known[0, :2] = np.nan
    known[:, 2:4] = random.uniform(0.1, 1, (13, 2)) * (1, 5)
    known[:, 4:] = random.uniform(-spread, spread, (13, 2))
    arguments = view(), view((2, -1)), preliminary, known
    heatmaps, found = flow.propagate(*arguments)
    expected_maps, expected = flow.propagate_numpy(*arguments)
    np.testing.assert_allclose(heatmaps, expected_maps, atol=1e-5)
    np.testing.assert_allclose(found[:, 2:4], expected[:, 2:4], rtol=1e-6)
    # Where two cells are equally high, rounding decides.
    tops = np.sort(expected_maps.reshape(13, -1), axis=1)[:, -2:]
    clear = tops[:, 1] - tops[:, 0] > 1e-4
    np.testing.assert_allclose(found[clear, :2], expected[clear, :2], atol=0.02)
    np.testing.assert_allclose(found[clear, 4:], expected[clear, 4:], atol=0.02)


def test_joints_are_expected_where_the_picture_takes_them(flow):
    known = flow.place(maps_of(HERE), maps_of(HERE))
    nothing = np.zeros((3, CELLS, CELLS), np.float32)
    heatmaps, found = flow.propagate(view(), view((4, -2)), nothing, known)
    # Two pixels of the view are a cell.
    np.testing.assert_allclose(found[:, :2], HERE + np.array((2, -1)), atol=0.1)
    np.testing.assert_allclose(decode_heatmaps(heatmaps)[:, :2], found[:, :2], atol=1e-4)
    np.testing.assert_allclose(decode_heatmaps(heatmaps)[:, 2], 0.47 * 0.9, atol=0.01)


def test_of_two_peaks_of_a_network_the_expected_one_wins(flow):
    two = np.maximum(maps_of(HERE, 0.7), maps_of(HERE[::-1].copy(), 0.8))
    known = flow.place(maps_of(HERE), two)
    _, found = flow.propagate(view(), view(), two, known)
    np.testing.assert_allclose(found[:, :2], HERE, atol=0.5)


def test_heatmaps_are_shifted_by_a_fading_offset():
    flow = make_flow(share=0.0)
    known = flow.place(maps_of(HERE), maps_of(HERE + 2.0))
    np.testing.assert_allclose(known[:, 4:], -2, atol=1e-3)
    heatmaps, found = flow.propagate(view(), view(), maps_of(HERE + 2.0), known)
    np.testing.assert_allclose(decode_heatmaps(heatmaps)[:, :2], HERE + 2 * (1 - 0.87), atol=0.02)
    np.testing.assert_allclose(found[:, 4:], -2 * 0.87, atol=0.02)


def test_a_joint_that_is_not_known_keeps_the_networks_heatmap(flow):
    head = maps_of(HERE)
    head[1] = 0
    known = flow.place(head, maps_of(HERE))
    assert np.isnan(known[1, :2]).all()
    heatmaps, _ = flow.propagate(view(), view(), maps_of(HERE), known)
    np.testing.assert_allclose(heatmaps[1], (1 - 0.47) * maps_of(HERE)[1], rtol=1e-5)


def test_joints_become_less_certain_the_worse_they_are_followed(flow):
    known = flow.place(maps_of(HERE), maps_of(HERE))
    _, followed = flow.propagate(view(), view((1, 1)), maps_of(HERE), known)
    plain = view_of(np.full((VIEW_SIZE, VIEW_SIZE), 90, np.uint8))
    _, lost = flow.propagate(view(), plain, maps_of(HERE), known)
    assert (known[:, 3] < followed[:, 3]).all()
    assert (2 * followed[:, 3] < lost[:, 3]).all()
    assert lost[:, 3].max() <= FlowSettings().largest_deviation


@given(frames=st.integers(1, 8), doubt=st.floats(0, 1), seed=st.integers(0, 20))
def test_joints_that_were_followed_through_frames_are_as_uncertain_as_after_each(
    frames, doubt, seed
):
    flow, random = make_flow(largest_deviation=100.0), np.random.default_rng(seed)
    known = np.column_stack([HERE, np.full(3, 0.8), random.uniform(0.5, 3, (3, 3))])
    settings, expected = flow.settings, known[:, DEVIATION]
    for step in range(frames):
        growth = settings.drift + (settings.per_doubt * doubt if step < frames - 1 else 0.0)
        expected = np.hypot(expected, growth)
    doubts = np.full(3, doubt * (frames - 1))
    moved = flow.moved(known, HERE + 5, frames, doubts, doubt * doubts)
    found = flow.fuse(maps_of(HERE), moved)[1]
    np.testing.assert_allclose(found[:, DEVIATION], expected, rtol=1e-6)
    np.testing.assert_array_equal(moved[:, :2], HERE + 5)
    np.testing.assert_allclose(moved[:, 4:], known[:, 4:] * settings.memory ** (frames - 1))


def test_joints_that_are_in_the_frame_already_are_fused_where_they_are(flow):
    known = np.column_stack([HERE, np.full((3, 2), 0.9), np.zeros((3, 2))])
    known[0, :2] = np.nan
    still = view()
    expected = flow.propagate(still, still, maps_of(HERE + 1), known)
    found = flow.fuse(maps_of(HERE + 1), known)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


def test_a_joint_that_was_not_followed_keeps_its_deviation(flow):
    known = np.column_stack([HERE, np.full((3, 4), 1.5)])
    unknown = np.array([0.0, np.nan, 0.0])
    moved = flow.moved(known, HERE, 1, unknown, unknown)
    np.testing.assert_array_equal(moved[:, DEVIATION], 1.5)
