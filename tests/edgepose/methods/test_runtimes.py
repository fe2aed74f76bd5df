"""The shipped networks estimate the same joints with every runtime, on real frames."""

from itertools import islice

import numpy as np
import pytest

from edgepose.inference.model import available_models, bundle_path, load
from edgepose_runtime.backends import available_backends
from edgepose_runtime.bundles.bundle import load_bundle
from edgepose_runtime.capture import open_source
from edgepose_runtime.geometry.roi import Roi

NUM_FRAMES = 6
#: Where the sample clip's person is in its first frames.
PERSON = Roi(67.0, 164.0, 441.0, 441.0)


@pytest.fixture(params=available_models() or ["none"])
def model(request):
    if request.param not in available_models():
        pytest.skip("No bundle is shipped yet.")
    return request.param


def joints(model, backend, clip):
    """Joints (frames, K, 3) of a clip's first frames, each carried on from the one before."""
    with load(model, backend=backend, precision="float32", num_threads=1) as networks:
        method, state, found = networks.method, None, []
        for frame in islice(open_source(clip), NUM_FRAMES):
            crop = method.spec.view.crop(frame.image, PERSON)
            estimate = (
                method.initialise(crop, PERSON)
                if state is None
                else method.advance(crop, PERSON, state)
            )
            state = estimate.state
            found.append(method.spec.decode(estimate.heatmaps, PERSON))
        return np.stack(found)


@pytest.mark.skipif(len(available_backends()) < 2, reason="needs two backends to compare")
def test_joints_agree_within_a_twentieth_of_a_pixel(model, sample_clip):
    if precision(model) == "int8":
        pytest.skip("Runtimes round in other places; see the next test.")
    first, *others = (joints(model, backend, sample_clip) for backend in available_backends())
    assert (first[..., 2] > 0.2).mean() > 0.9
    for other in others:
        np.testing.assert_allclose(other[..., :2], first[..., :2], atol=0.05)
        np.testing.assert_allclose(other[..., 2], first[..., 2], atol=1e-3)


@pytest.mark.skipif("onnxruntime" not in available_backends(), reason="needs onnxruntime")
def test_joints_of_int8_models_agree_within_a_quarter_of_a_heat_map_cell(model, sample_clip):
    if precision(model) != "int8":
        pytest.skip("This model is float; see the test before.")
    first, other = (joints(model, name, sample_clip) for name in ("openvino", "onnxruntime"))
    cell = PERSON.width / load_bundle(bundle_path(model)).manifest.heatmap.size
    distances = np.linalg.norm(first[..., :2] - other[..., :2], axis=-1)
    assert np.nanmedian(distances) < cell / 4


def precision(model):
    return load_bundle(bundle_path(model)).manifest.precision
