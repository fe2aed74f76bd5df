"""Networks of DKD as bundles: the same poses with every runtime, for as long as one looks."""

from itertools import islice, pairwise

import numpy as np
import pytest
import torch

from edgepose.inference.model import load
from edgepose.models import DKD, build_dkd
from edgepose.models.dkd.distillator import ConvLstm, PoseKernels
from edgepose.results import Origin
from edgepose_converters.checkpoints.trained import TrainedModel
from edgepose_converters.export.bundling import BundleOptions, build_bundle, starting_network
from edgepose_converters.export.dkd_matching import match_by_rows
from edgepose_converters.export.graphs import PixelNormalisation
from edgepose_converters.export.methods import exporter_for
from edgepose_converters.export.networks import Geometry, export_dkd
from edgepose_converters.export.torch_network import TorchNetwork
from edgepose_converters.export.verification import crops_from_clips, synthetic_crops
from edgepose_runtime.backends import BackendSettings, available_backends, get_backend
from edgepose_runtime.bundles.manifest import HeatmapSpec
from edgepose_runtime.capture import open_source
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.skeletons import PENN13
from tests.converters.conftest import TinyEncoder, seen

GEOMETRY = Geometry(input_size=256, heatmap_size=32, joints=13)
FRAMES = 40


@pytest.fixture(scope="module")
def real_crops(sample_clip):
    with open_source(sample_clip) as source:
        return crops_from_clips((frame.image for frame in islice(source, FRAMES)), 256, FRAMES)


@pytest.fixture(scope="module")
def trained(dkd):
    return TrainedModel(dkd, PENN13, 256, HeatmapSpec(32, 8.0, 3.5), {})


@pytest.fixture(scope="module")
def built(trained, real_crops, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out") / "dkd-tiny"
    return build_bundle(trained, folder, BundleOptions("dkd-tiny"), real_crops)


def feeds(batch, channels=16, fresh=0.0):
    random = np.random.default_rng(batch)
    return {
        "image": random.integers(0, 256, (batch, 256, 256, 3)).astype(np.uint8),
        "kernels": random.random((batch, channels, 7, 7)).astype(np.float32),
        "start": random.random((batch, 13, 32, 32)).astype(np.float32),
        "fresh": np.full((batch, 1, 1, 1), fresh, np.float32),
    }


@pytest.mark.parametrize("norm", ["folded", "as trained"])
def test_one_matrix_product_does_what_a_filter_for_each_channel_does(norm, dkd):
    memory = dkd.memory
    features, kernels = torch.randn(2, 16, 32, 32), torch.randn(2, 16, 7, 7)
    if norm == "folded":
        graphs = export_dkd(dkd, GEOMETRY)
        memory = graphs["step"].stored.dkd.memory
        assert isinstance(memory.norm, torch.nn.Identity)
    with torch.no_grad():
        found = match_by_rows(memory, features, kernels)
        wanted = dkd.memory.match(features, kernels)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("joints", [13, 16])
@pytest.mark.parametrize(("pooling", "narrow"), [(1, True), (2, False), (2, True), (4, True)])
def test_it_matches_pooled_features_and_enlarges_what_it_finds(pooling, narrow, joints):
    torch.manual_seed(0)
    memory = PoseKernels(joints, 8, 6, pooling=pooling, narrow=narrow).eval()
    features, kernels = torch.randn(2, 8, 16, 24), torch.randn(2, 6, 5, 5)
    with torch.no_grad():
        found = match_by_rows(memory, memory.project(features), kernels)
        wanted = memory.match(memory.project(features), kernels)
    assert found.shape == (2, joints, 16, 24)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("fresh", [0.0, 1.0])
def test_runtimes_compute_what_torch_does(dkd, batch, fresh):
    step = export_dkd(dkd, GEOMETRY)["step"]
    fed = feeds(batch, fresh=fresh)
    wanted = TorchNetwork(step.trained, step.inputs, step.outputs).infer(fed)
    for name in available_backends():
        settings = BackendSettings(precision="float32", num_threads=1)
        with get_backend(name).load(step.content, settings=settings) as network:
            found = network.infer(fed)
        for output, array in wanted.items():
            np.testing.assert_allclose(found[output], array, rtol=1e-3, atol=1e-3)


def test_samples_of_a_batch_do_not_see_each_other(dkd):
    step = export_dkd(dkd, GEOMETRY)["step"]
    fed = feeds(3)
    fed["fresh"][1] = 1  # only the second one starts
    settings = BackendSettings(precision="float32", num_threads=1)
    with get_backend("openvino").load(step.content, settings=settings) as network:
        together = network.infer(fed)
        for index in range(3):
            alone = network.infer({name: each[index : index + 1] for name, each in fed.items()})
            for name, array in alone.items():
                np.testing.assert_allclose(together[name][index], array[0], atol=1e-5)


def test_the_manifest_says_what_the_networks_are(built):
    manifest = built[0].manifest
    assert manifest.method == "distillation"
    shapes = {spec.name: spec.shape for spec in manifest.graphs["step"].inputs}
    assert shapes["kernels"] == ("N", 16, 7, 7)
    assert {spec.name for spec in manifest.graphs["step"].outputs} == {
        "heatmaps",
        "distilled",
        "preliminary",
    }


def test_runtimes_agree_on_forty_frames_of_a_real_clip(built):
    assert len(built[1]) == len(available_backends())
    for agreement in built[1]:
        assert agreement.frames == FRAMES
        assert agreement.joints > FRAMES
        assert agreement.largest_px < 0.05
        assert agreement.largest_change < 1e-3


@pytest.mark.parametrize("backend", available_backends())
def test_a_bundle_gives_the_heatmaps_of_the_algorithm(backend, built, dkd, real_crops):
    with load(built[0].path, backend=backend, precision="float32", num_threads=1) as model:
        for found, wanted in maps_of(model, dkd, real_crops):
            np.testing.assert_allclose(found, wanted, atol=1e-3)


EDGE_SIZE = 128
EDGE_FORMS = [
    {},
    {"skip": False, "pooling": 1, "narrow": False},
    {"channels": 6, "narrow": False},
    {"memory": "lstm"},
]


@pytest.mark.parametrize("options", EDGE_FORMS, ids=str)
@pytest.mark.slow
def test_runtimes_compute_what_every_edge_form_does(options, tmp_path):
    torch.manual_seed(0)
    network = build_dkd({"base": "dkd-swift", "input_size": EDGE_SIZE, **options}, 13)
    torch.nn.init.normal_(network.encoder.head.final_layer.weight, std=0.1)
    torch.nn.init.constant_(network.memory.norm.weight, 0.5)
    network = seen(network, (2, 2, 3, EDGE_SIZE, EDGE_SIZE), steps=4)
    model = TrainedModel(network, PENN13, EDGE_SIZE, HeatmapSpec(EDGE_SIZE // 4, 4.0, 1.5), {})
    crops = synthetic_crops(EDGE_SIZE, 4)
    bundle, agreements = build_bundle(model, tmp_path / "edge", BundleOptions("edge"), crops)
    assert all(agreement.holds for agreement in agreements)
    for backend in available_backends():
        with load(bundle.path, backend=backend, precision="float32", num_threads=1) as loaded:
            for found, wanted in maps_of(loaded, network, crops):
                np.testing.assert_allclose(found, wanted, atol=1e-3)


def maps_of(model, dkd, crops):
    """Pairs of heat-maps: a bundle's, and h_1 = P(I_1), k_t = Φ(F(I_t), h_t),
    h_{t+1} = match(k_t, F(I_{t+1})), written plainly."""
    with torch.no_grad():
        wanted = [dkd.initialise(from_pixels(crops[0]))]
        for before, crop in pairwise(crops):
            kernels = dkd.distil(dkd.encode(from_pixels(before)), wanted[-1])
            wanted.append(dkd.match(dkd.encode(from_pixels(crop)), kernels))
    roi = Roi(0, 0, *crops[0].shape[:2])
    estimate = model.method.initialise(crops[0], roi)
    assert estimate.origin is Origin.INITIALISED
    for crop, maps in zip(crops, wanted, strict=True):
        if crop is not crops[0]:
            estimate = model.method.advance(crop, roi, estimate.state)
            assert estimate.origin is Origin.MATCHED
        yield estimate.heatmaps, maps[0].numpy()


def from_pixels(crop):
    return PixelNormalisation()(torch.from_numpy(crop[None]))


def test_the_initialiser_starts_and_else_the_encoder(dkd, trained):
    assert starting_network(trained) is dkd.initialiser
    alone = DKD(dkd.encoder, dkd.memory)
    assert exporter_for(alone).starter(alone) is dkd.encoder


def test_an_lstm_hands_on_its_state_instead(real_crops, tmp_path):
    torch.manual_seed(0)
    network = seen(DKD(TinyEncoder(1), ConvLstm(13, 16)), (2, 3, 3, 256, 256))
    model = TrainedModel(network, PENN13, 256, HeatmapSpec(32, 8.0, 3.5), {})
    bundle, agreements = build_bundle(model, tmp_path / "lstm", BundleOptions("lstm"), real_crops)
    (kernels,) = (s for s in bundle.manifest.graphs["step"].inputs if s.name == "kernels")
    assert kernels.shape == ("N", 32, 32, 32)
    assert all(agreement.holds for agreement in agreements)


def test_without_a_memory_each_frame_stands_alone(dkd, tmp_path):
    model = TrainedModel(DKD(dkd.encoder, None), PENN13, 256, HeatmapSpec(32, 8.0, 3.5), {})
    crops = synthetic_crops(256, 2)
    bundle, _ = build_bundle(model, tmp_path / "alone", BundleOptions("alone"), crops)
    assert bundle.manifest.method == "framewise"
    with pytest.raises(ConfigError, match="it takes no head"):
        build_bundle(model, tmp_path / "b", BundleOptions("b"), crops, head=dkd.initialiser)
