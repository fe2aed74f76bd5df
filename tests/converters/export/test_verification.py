from dataclasses import replace

import numpy as np
import pytest
import torch

from edgepose_converters.export.networks import export_body, export_ppn
from edgepose_converters.export.verification import (
    Agreement,
    compare,
    crops_from_clips,
    require_agreement,
    synthetic_crops,
)
from edgepose_runtime.backends import available_backends
from edgepose_runtime.bundles.manifest import (
    GraphSpec,
    HeatmapSpec,
    InputSpec,
    Manifest,
    Normalisation,
)
from edgepose_runtime.errors import BackendError

PERFECT = Agreement("openvino", "torch", 2, 26, 0.0, 0.0, 0.0, 0.0)


def manifest(graphs, **options):
    specs = {name: GraphSpec(f"{name}.onnx", g.inputs, g.outputs) for name, g in graphs.items()}
    return Manifest(
        name="tiny",
        method="propagation" if "step" in specs else "framewise",
        skeleton="penn13",
        input=InputSpec(32),
        normalisation=Normalisation((0.0,) * 3, (1.0,) * 3),
        heatmap=HeatmapSpec(8, 4.0, 1.5),
        graphs=specs,
        **options,
    )


@pytest.mark.parametrize("kind", ["propagation", "framewise"])
def test_runtimes_agree_with_torch_over_consecutive_frames(ppn, geometry, kind):
    graphs = (export_ppn if kind == "propagation" else export_body)(
        ppn if kind == "propagation" else ppn.body, geometry
    )
    found = compare(manifest(graphs), graphs, synthetic_crops(32, 4))
    assert [agreement.runtime for agreement in found] == list(available_backends())
    for agreement in found:
        assert agreement.holds
        assert agreement.frames == 4
        assert agreement.joints > 0
        assert agreement.largest_px < 0.01
    require_agreement(found)


def test_rounded_weights_are_compared_with_the_trained_ones_first(ppn, geometry):
    graphs = export_ppn(ppn, geometry, weights="float16")
    rounding, *runtimes = compare(
        manifest(graphs, weights="float16"), graphs, synthetic_crops(32, 2)
    )
    assert (rounding.runtime, rounding.reference) == ("torch, float16 weights", "torch")
    assert rounding.largest_change > 0
    assert all(agreement.reference == "torch, float16 weights" for agreement in runtimes)
    require_agreement([rounding, *runtimes])


def test_a_graph_that_computes_something_else_is_found(network, geometry):
    graphs = export_body(network, geometry)
    torch.nn.init.normal_(graphs["body"].trained.network.final.weight, std=2.0)
    with pytest.raises(BackendError, match=r"With \w+ joints lie up to [\d.]+ pixels"):
        require_agreement(compare(manifest(graphs), graphs, synthetic_crops(32, 2)))


@pytest.mark.parametrize("change", [{"largest_px": 0.06}, {"largest_change": 0.002}])
def test_what_is_too_far_off_is_refused(change):
    require_agreement([PERFECT])
    with pytest.raises(BackendError, match="With openvino joints lie"):
        require_agreement([PERFECT, replace(PERFECT, **change)])


def test_crops_show_the_middle_square_of_the_first_frames():
    frames = [np.full((40, 80, 3), value, np.uint8) for value in (10, 20, 30)]
    crops = crops_from_clips(frames, 32, limit=2)
    assert [crop.shape for crop in crops] == [(32, 32, 3)] * 2
    assert [int(crop[16, 16, 0]) for crop in crops] == [10, 20]


def test_made_up_pictures_are_smooth_and_repeatable():
    first, again = synthetic_crops(64, 3), synthetic_crops(64, 3)
    np.testing.assert_array_equal(first, again)
    assert first[0].dtype == np.uint8
    assert np.ptp(first[0]) > 100
    assert np.abs(np.diff(first[0].astype(int), axis=0)).max() <= 40
