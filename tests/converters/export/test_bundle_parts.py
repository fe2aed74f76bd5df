import numpy as np
import pytest
import torch

from edgepose.cli.main import main
from edgepose.inference.model import bundle_path, load
from edgepose.methods.flow_propagation import FlowPropagation
from edgepose_converters.checkpoints.trained import load_model
from edgepose_converters.export.bundling import BundleOptions, build_bundle
from edgepose_converters.export.verification import synthetic_crops
from edgepose_runtime.bundles.bundle import load_bundle
from edgepose_runtime.bundles.manifest import HeatmapSpec
from edgepose_runtime.capture import open_source
from edgepose_runtime.geometry.input_view import InputView
from edgepose_runtime.geometry.roi import Roi

CROPS = synthetic_crops(64, 2)
ROI = Roi(0, 0, 64, 64)


@pytest.fixture(scope="module")
def bundles(ppn_checkpoint, tmp_path_factory):
    """A bundle whose head is final, and one whose head is not."""
    model, folder = load_model(ppn_checkpoint), tmp_path_factory.mktemp("bundles")
    return [
        build_bundle(model, folder / name, BundleOptions(name, head_is_final=final), CROPS)[0].path
        for name, final in (("final", True), ("mixed", False))
    ]


def test_flow_takes_the_place_of_the_propagation_unit(bundles, tmp_path, capsys):
    source, out = bundles[0], tmp_path / "flow"
    options = ["--propagation", "flow", "--reinitialise-every", "7"]
    assert main(["convert", str(source), str(out), *options]) == 0
    assert "with propagation by optical flow" in capsys.readouterr().out
    before, after = load_bundle(source).manifest, load_bundle(out).manifest
    assert (after.method, after.reinitialise_every) == ("flow-propagation", 7)
    assert set(after.graphs) == {"head", "body"}
    assert after.graphs["head"] == before.graphs["head"]
    assert after.self_check != before.self_check


def test_the_body_computes_what_it_did_in_the_step(bundles, tmp_path):
    out = tmp_path / "flow"
    assert main(["convert", str(bundles[0]), str(out), "--propagation", "flow"]) == 0
    with load(bundles[0], num_threads=1) as before, load(out, num_threads=1) as after:
        assert isinstance(after.method, FlowPropagation)
        for crop in CROPS:
            expected = before.method.locate(crop, ROI)
            np.testing.assert_allclose(after.method.locate(crop, ROI), expected, atol=1e-5)


def test_a_bundle_without_a_strong_head_is_refused(bundles, tmp_path, capsys):
    out = tmp_path / "flow"
    assert main(["convert", str(bundles[1]), str(out), "--propagation", "flow"]) == 2
    assert "without such a head" in capsys.readouterr().err
    assert not out.exists()


def test_a_bundle_sees_what_an_upright_network_was_trained_on(upright_checkpoint, tmp_path):
    assert main(["convert", str(upright_checkpoint), str(tmp_path / "out")]) == 0
    manifest = load_bundle(tmp_path / "out").manifest
    window = (160 / 192, 224 / 192)
    assert manifest.input.view == InputView(160, 224, window, background=(0, 0, 0))
    assert (manifest.input.size, manifest.heatmap) == (192, HeatmapSpec(48, 4.0, 1.5))


def test_an_upright_bundle_finds_joints_where_its_network_does_in_squares(
    upright_checkpoint, tmp_path, sample_clip
):
    assert main(["convert", str(upright_checkpoint), str(tmp_path / "out")]) == 0
    with open_source(sample_clip) as source:
        frame = next(iter(source)).image
    roi = Roi(0, 0, frame.shape[1], frame.shape[0]).squared(1.0)
    with load(tmp_path / "out", precision="float32", num_threads=1) as networks:
        spec = networks.method.spec
        found = spec.decode(networks.method.locate(spec.view.crop(frame, roi), roi), roi)
    norm = load_bundle(tmp_path / "out").manifest.normalisation
    around = InputView(224, 224, (7 / 6, 7 / 6), background=(0, 0, 0)).crop(frame, roi)
    image = ((around[..., ::-1] / 255 - norm.mean) / norm.std).transpose(2, 0, 1)
    with torch.no_grad():
        maps = load_model(upright_checkpoint).network(torch.tensor(image[None]).float())[0]
    expected = spec.decode(maps[:, 4:52, 4:52].numpy(), roi)
    assert (expected[:, 2] > 0.2).sum() > 8
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.05)


def test_another_light_network_leaves_all_else_in_a_bundle(tuned_checkpoint, tmp_path):
    out = tmp_path / "mine"
    words = ["convert", str(tuned_checkpoint), str(out), "--base", "ppn-swift-float"]
    assert main(words) == 0
    before, after = (load_bundle(path).manifest for path in (bundle_path(words[-1]), out))
    assert (after.name, after.score_threshold) == ("mine", before.score_threshold)
    kept = {name: graph for name, graph in before.graphs.items() if name != "body"}
    assert {name: after.graphs[name] for name in kept} == kept
    assert (after.springs, after.detector) == (before.springs, before.detector)
    crop = synthetic_crops(192, 1)[0]
    with load(words[-1], num_threads=1) as old, load(out, num_threads=1) as new:
        maps = [model.method.locate(crop, ROI) for model in (old, new)]
    assert (maps[1] > maps[0]).mean() > 0.9


@pytest.mark.parametrize(
    ("checkpoint", "words", "message"),
    [
        (
            "upright_checkpoint",
            ["ppn-swift-float"],
            "The images of the bundle",
        ),
        ("tuned_checkpoint", ["ppn-swift"], "is int8 and for the method"),
        ("tuned_checkpoint", ["ppn-stable-float"], "for the method 'propagation'"),
        ("tuned_checkpoint", ["ppn-swift-float", "--precision", "int8"], "without --head"),
        ("tuned_checkpoint", ["ppn-swift-float", "--detector", "people.onnx"], "without --head"),
    ],
)
def test_a_light_network_that_does_not_fit_is_refused(
    checkpoint, words, message, request, tmp_path, capsys
):
    source, out = request.getfixturevalue(checkpoint), tmp_path / "mine"
    assert main(["convert", str(source), str(out), "--base", *words]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()
