"""A head's answer beside the method's own estimate, joint by joint."""

import numpy as np
import pytest

from edgepose.inference.estimator import Observation
from edgepose.remote.propagation import RememberedFrame, begin, propagate_to
from edgepose.remote.thumbnails import take_thumbnail
from edgepose.testing import PropagatingFakeMethod, standing_person
from edgepose_runtime.geometry.roi import Roi

ROI = Roi(60, 20, 200, 200)
HERE = standing_person((160, 120), 120)
KNEE = 9
SCENE = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)


@pytest.fixture
def method():
    return PropagatingFakeMethod(HERE)


@pytest.fixture
def cell(method):
    """Side of a cell in pixels of the frame."""
    return ROI.width / method.spec.input_size * method.spec.stride


def moved(knee):
    person = HERE.copy()
    person[KNEE, 0] += knee
    return person


def frame(method, number, person=HERE):
    """Return a frame that stands still, in which the light network sees somebody."""
    method.person = person
    size = method.spec.input_size
    estimate = method.begin(np.zeros((size, size, 3), np.uint8), ROI)
    keypoints = method.spec.decode(estimate.heatmaps, ROI)
    look = Observation.of(method.spec, ROI, keypoints, estimate, number)
    return RememberedFrame(number, 40.0 * number, look, take_thumbnail(SCENE, ROI))


def answer_of(method, person):
    """Return what a head says that sees somebody."""
    method.person = person
    return method.heatmaps(ROI)


def off(carried):
    """Return how far the knee of the merged pose is from where the light network has it."""
    return float(carried.frame.observation.keypoints[KNEE, 0] - HERE[KNEE, 0])


def test_where_both_peaks_are_at_the_same_place_they_are_averaged(method, cell):
    merged = begin(method, answer_of(method, moved(0.8 * cell)), frame(method, 0))
    assert 0.15 * cell < off(merged) < 0.75 * cell


def test_where_the_peaks_differ_the_head_is_believed(method, cell):
    merged = begin(method, answer_of(method, moved(8 * cell)), frame(method, 0))
    assert off(merged) == pytest.approx(8 * cell, abs=cell)


def test_a_joint_that_the_light_network_loses_step_by_step_stays_with_the_picture(method, cell):
    carried = begin(method, answer_of(method, HERE), frame(method, 0))
    for number in range(1, 6):
        drifted = moved(2 * number * cell)
        carried = propagate_to(method, carried, frame(method, number, drifted))
    assert abs(off(carried)) < 2 * cell
    assert carried.frames_late == 5


def test_the_propagated_heatmaps_are_not_those_of_the_merged_pose(method, cell):
    heatmaps = answer_of(method, moved(0.8 * cell))
    merged = begin(method, heatmaps, frame(method, 0))
    said = method.spec.decode(merged.heatmaps, ROI)[KNEE, 0] - HERE[KNEE, 0]
    assert said > off(merged)
