from types import SimpleNamespace

import numpy as np
import pytest

from edgepose.inference.model import load
from edgepose.methods.propagation import PropagationMethod
from edgepose.results import Origin
from edgepose.testing import FakeMethod, standing_person
from edgepose_runtime.geometry.crop import crop_frame
from edgepose_runtime.geometry.roi import Roi


@pytest.fixture(scope="module")
def model(puppet_bundle):
    with load(puppet_bundle.path, precision="float32") as loaded:
        yield loaded


ROI = Roi(60, 20, 200, 200)


def test_the_first_frame_is_initialised_and_close_to_the_truth(model, puppet):
    crop = crop_frame(puppet(), ROI, 256)
    estimate = model.method.initialise(crop, ROI)
    assert estimate.origin is Origin.INITIALISED
    joints = model.method.spec.decode(estimate.heatmaps, ROI)
    np.testing.assert_allclose(joints[:, :2], standing_person((160, 120), 160)[:, :2], atol=3.5)


def test_a_final_head_answers_alone_and_the_next_frame_goes_on_from_its_heatmaps(puppet):
    """The head sees joint 0 in one cell; the step returns half of what was there before."""
    seen = np.zeros((1, 13, 64, 64), np.float32)
    seen[:, :, 20, 30] = 0.8
    step_runs = []

    def step(inputs):
        step_runs.append(inputs["previous"].copy())
        return {"heatmaps": inputs["previous"] / 2, "preliminary": np.zeros_like(seen)}

    spec = FakeMethod().spec
    networks = (SimpleNamespace(infer=lambda _: {"heatmaps": seen}), SimpleNamespace(infer=step))
    crop = crop_frame(puppet(), ROI, 256)
    final = PropagationMethod(spec, *networks, head_is_final=True)
    first = final.initialise(crop, ROI)
    assert first.origin is Origin.INITIALISED
    np.testing.assert_array_equal(first.heatmaps, seen[0])
    assert not step_runs
    second = final.advance(crop, ROI, first.state)
    np.testing.assert_array_equal(step_runs[0], seen)
    np.testing.assert_array_equal(second.heatmaps, seen[0] / 2)
    published = PropagationMethod(spec, *networks).initialise(crop, ROI)
    np.testing.assert_array_equal(published.heatmaps, seen[0] / 2)


def test_the_state_is_the_heatmaps_in_their_region(model, puppet):
    crop = crop_frame(puppet(), ROI, 256)
    state = model.method.initialise(crop, ROI).state
    assert state.roi == ROI
    assert state.heatmaps.shape == (13, 64, 64)


def test_the_last_heatmaps_are_carried_into_the_new_region(model, puppet):
    """The puppet vanishes: what is left is the half of the last frame's answer, in place."""
    start = model.method.initialise(crop_frame(puppet(), ROI, 256), ROI)
    moved = Roi(40, 10, 240, 240)
    empty = np.full((256, 256, 3), 116, np.uint8)
    estimate = model.method.advance(empty, moved, start.state)
    assert estimate.origin is Origin.PROPAGATED
    joints = model.method.spec.decode(estimate.heatmaps, moved)
    np.testing.assert_allclose(joints[:, :2], standing_person((160, 120), 160)[:, :2], atol=4)
    before = model.method.spec.decode(start.heatmaps, ROI)
    np.testing.assert_allclose(joints[:, 2], before[:, 2] / 2, atol=0.02)


def test_advancing_leaves_the_state_it_was_given_alone(model, puppet):
    crop = crop_frame(puppet(), ROI, 256)
    state = model.method.initialise(crop, ROI).state
    before = state.heatmaps.copy()
    model.method.advance(crop, ROI, state)
    np.testing.assert_array_equal(state.heatmaps, before)


def test_a_cheap_look_does_not_depend_on_earlier_frames(model, puppet):
    crop = crop_frame(puppet(), ROI, 256)
    first = model.method.locate(crop, ROI)
    model.method.initialise(crop, ROI)
    np.testing.assert_array_equal(model.method.locate(crop, ROI), first)


def test_streams_do_not_disturb_each_other(model, puppet):
    other = Roi(0, 0, 200, 200)
    first = model.method.initialise(crop_frame(puppet(), ROI, 256), ROI)
    model.method.initialise(crop_frame(puppet((90, 90)), other, 256), other)
    crop = crop_frame(puppet(), ROI, 256)
    joints = model.method.spec.decode(model.method.advance(crop, ROI, first.state).heatmaps, ROI)
    np.testing.assert_allclose(joints[:, :2], standing_person((160, 120), 160)[:, :2], atol=3.5)
