import numpy as np
import pytest

from edgepose.cli.main import main
from edgepose.inference.model import load
from edgepose.methods.flow_propagation import FlowPropagation
from edgepose_converters.checkpoints.trained import load_model
from edgepose_converters.export.bundling import BundleOptions, build_bundle
from edgepose_converters.export.verification import synthetic_crops
from edgepose_runtime.bundles.bundle import load_bundle
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
