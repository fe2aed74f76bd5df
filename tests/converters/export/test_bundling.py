from dataclasses import replace

import numpy as np
import pytest
import torch

from edgepose.methods import build_method
from edgepose.models import PPN, MessagePassing, build_network
from edgepose.models.thin_slicing.network import SliceNetwork
from edgepose_converters.checkpoints.trained import load_model
from edgepose_converters.export import bundling
from edgepose_converters.export.bundling import (
    BundleOptions,
    averaged_head,
    build_bundle,
    require_same_maps,
    starting_network,
)
from edgepose_converters.export.verification import synthetic_crops
from edgepose_runtime.backends import BackendSettings, get_backend
from edgepose_runtime.bundles.bundle import load_bundle
from edgepose_runtime.bundles.manifest import HeatmapSpec
from edgepose_runtime.errors import BackendError, CheckpointError, ConfigError, OutputError
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.skeletons import MPII16, PENN13
from edgepose_runtime.thin_slicing.graph import body_graph
from edgepose_runtime.thin_slicing.springs import initial_springs, signed

CROPS = synthetic_crops(64, 2)


@pytest.fixture(scope="module")
def model(ppn_checkpoint):
    return load_model(ppn_checkpoint)


@pytest.fixture(scope="module")
def body(body_checkpoint):
    return load_model(body_checkpoint)


@pytest.fixture(scope="module")
def built(model, tmp_path_factory):
    options = BundleOptions(
        "tiny",
        weights="float16",
        reinitialise_every=5,
        head_is_final=True,
        card={"licence": {"weights": "Apache-2.0"}, "accuracy": {"pck": 0.5}},
    )
    return build_bundle(model, tmp_path_factory.mktemp("out") / "tiny", options, CROPS)


def test_a_checkpoint_says_what_its_network_takes_and_returns(model):
    assert isinstance(model.network, PPN)
    assert model.skeleton is PENN13
    assert model.input_size == 64
    assert model.heatmap == HeatmapSpec(16, 4.0, 1.5)
    assert not model.network.training


def test_a_checkpoint_does_not_tell_where_its_data_lay(model):
    assert model.training["images"] == 6
    (source,) = model.training["sources"]
    assert source["kind"] == "lspet"
    assert "path" not in source


def test_a_missing_checkpoint_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"nowhere\.pt"):
        load_model(tmp_path / "nowhere.pt")


def test_the_manifest_is_filled_from_checkpoint_card_and_comparison(built):
    manifest = load_bundle(built[0].path).manifest
    assert (manifest.name, manifest.method, manifest.skeleton) == ("tiny", "propagation", "penn13")
    assert (manifest.input.size, manifest.heatmap.size) == (64, 16)
    assert manifest.normalisation.mean == (0.485, 0.456, 0.406)
    assert (manifest.weights, manifest.reinitialise_every) == ("float16", 5)
    assert manifest.head_is_final
    assert manifest.training["images"] == 6
    assert manifest.licence == {"weights": "Apache-2.0"}
    assert manifest.accuracy["pck"] == 0.5
    assert [row["frames"] for row in manifest.accuracy["conversion"]] == [2, 2, 2]


def test_the_bundle_runs_as_a_method(built):
    bundle, _ = built
    backend, settings = get_backend("onnxruntime"), BackendSettings(num_threads=1)
    networks = {
        name: backend.load(bundle.graph_path(name), settings=settings)
        for name in bundle.manifest.graphs
    }
    method = build_method(bundle.manifest, networks)
    roi = Roi(0, 0, 64, 64)
    first = method.initialise(CROPS[0], roi)
    second = method.advance(CROPS[1], roi, first.state)
    assert second.heatmaps.shape == (13, 16, 16)
    assert np.isfinite(second.heatmaps).all()


def test_a_network_for_single_images_becomes_a_framewise_bundle(body, tmp_path):
    bundle, agreements = build_bundle(body, tmp_path / "plain", BundleOptions("plain"), CROPS)
    assert bundle.manifest.method == "framewise"
    assert list(bundle.manifest.graphs) == ["body"]
    assert all(agreement.holds for agreement in agreements)


def test_a_cpm_that_learned_with_springs_brings_them_along(body, tmp_path):
    torch.manual_seed(0)
    cpm = {"backbone": "small_cpm", "head": "pointwise", "cpm_stages": 2}
    springs = signed(initial_springs(body_graph(PENN13), heatmap_size=8))
    network = SliceNetwork(build_network(cpm, 13), MessagePassing(springs)).eval()
    torch.nn.init.normal_(network.unary.head.final_layer.weight)  # so that there are peaks
    model = replace(body, network=network, heatmap=HeatmapSpec(8, 8.0, 3.5))
    bundle, agreements = build_bundle(model, tmp_path / "cpm", BundleOptions("cpm"), CROPS)
    assert all(agreement.holds for agreement in agreements)
    np.testing.assert_array_equal(bundle.springs().spatial, springs.spatial)


def test_a_network_for_single_images_with_a_head_is_propagated_by_optical_flow(body, tmp_path):
    head, options = body.network, BundleOptions("flow", reinitialise_every=7)
    bundle, agreements = build_bundle(body, tmp_path / "flow", options, CROPS, head=head)
    assert bundle.manifest.method == "flow-propagation"
    assert bundle.manifest.head_is_final
    assert set(bundle.manifest.graphs) == {"head", "body"}
    assert all(agreement.holds for agreement in agreements)


def test_nothing_is_written_where_runtimes_disagree(body, tmp_path, monkeypatch):
    def disagree(agreements):
        raise BackendError("With openvino joints lie elsewhere.")

    monkeypatch.setattr(bundling, "require_agreement", disagree)
    with pytest.raises(BackendError, match="elsewhere"):
        build_bundle(body, tmp_path / "plain", BundleOptions("plain"), CROPS)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_refused_before_the_export(model, tmp_path, monkeypatch):
    monkeypatch.setattr(bundling, "exporter_for", lambda *_: pytest.fail("exported in vain"))
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(OutputError, match="not a bundle"):
        build_bundle(model, tmp_path, BundleOptions("tiny"), CROPS)


def test_sequences_start_with_the_head_and_without_one_with_the_body(model, body):
    assert starting_network(model) is model.network.head
    without = PPN(None, model.network.body, model.network.ppu)
    assert starting_network(replace(model, network=without)) is without.body
    assert starting_network(body) is body.network


def test_only_cells_that_are_symmetric_can_be_averaged_with_their_mirror(model):
    assert averaged_head(model, (1.0,)).scales == (1.0,)
    with pytest.raises(ConfigError, match=r"offset must be \(stride - 1\) / 2"):
        averaged_head(replace(model, heatmap=HeatmapSpec(16, 4.0, 0.0)), (1.0,))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"skeleton": MPII16}, "head's skeleton is .*mpii16"),
        ({"input_size": 128}, "head's input size is 128, but the model's is 64"),
        ({"heatmap": HeatmapSpec(16, 4.0, 0.0)}, "head's heatmap is"),
    ],
)
def test_a_head_whose_maps_mean_something_else_is_refused(model, body, change, sentence):
    require_same_maps(model, body)
    with pytest.raises(ConfigError, match=sentence):
        require_same_maps(model, replace(body, **change))


@pytest.mark.parametrize(
    ("card", "sentence"), [({"licenses": {}}, "no 'licenses'"), ({"latency": 5}, "must be an obj")]
)
def test_a_model_card_of_another_form_is_refused(card, sentence):
    with pytest.raises(ConfigError, match=sentence):
        BundleOptions("tiny", card=card)
