import numpy as np

from edgepose.inference.model import load
from edgepose.results import Origin
from edgepose_runtime.geometry.crop import crop_frame
from edgepose_runtime.geometry.roi import Roi


def test_every_frame_stands_alone(framewise_bundle, puppet):
    roi = Roi(60, 20, 200, 200)
    crop = crop_frame(puppet(), roi, 256)
    with load(framewise_bundle.path, precision="float32") as model:
        first = model.method.initialise(crop, roi)
        second = model.method.advance(crop, roi, first.state)
        assert first.origin is second.origin is Origin.INITIALISED
        np.testing.assert_array_equal(first.heatmaps, second.heatmaps)
        np.testing.assert_array_equal(first.heatmaps, model.method.locate(crop, roi))
