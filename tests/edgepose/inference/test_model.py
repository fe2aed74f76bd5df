import hashlib
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from edgepose.inference import model as loading
from edgepose.inference.model import available_models, bundle_path, load
from edgepose.methods import FramewiseMethod, PropagationMethod, build_method
from edgepose.tracker import PoseTracker
from edgepose_runtime.backends import get_backend
from edgepose_runtime.errors import (
    BackendError,
    BundleFormatError,
    BundleHashError,
    BundleNotFoundError,
    BundleVersionError,
    ClosedError,
    ConfigError,
    DeviceError,
)


@pytest.fixture
def copy(puppet_bundle, tmp_path):
    """A bundle that a test may damage."""
    return shutil.copytree(puppet_bundle.path, tmp_path / "copy")


def edit_manifest(folder, **members):
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **members}))


def test_a_bundle_loads_into_its_method(puppet_bundle, framewise_bundle):
    with load(puppet_bundle.path) as model:
        assert isinstance(model.method, PropagationMethod)
        assert (model.name, model.device, model.skeleton.name) == ("puppet", "cpu", "penn13")
    with load(str(framewise_bundle.path)) as model:
        assert isinstance(model.method, FramewiseMethod)


def test_a_shipped_bundle_goes_by_its_name(puppet_bundle, monkeypatch):
    monkeypatch.setattr("edgepose.inference.model._BUNDLES", puppet_bundle.path.parent)
    assert available_models() == ("puppet",)
    assert bundle_path("puppet") == puppet_bundle.path


def test_an_unknown_name_is_refused_with_the_known_ones(puppet_bundle, monkeypatch):
    monkeypatch.setattr("edgepose.inference.model._BUNDLES", puppet_bundle.path.parent)
    with pytest.raises(BundleNotFoundError, match=r"'pupet'.*\(puppet\)"):
        PoseTracker("pupet")


def test_a_wrong_hash_is_refused(copy):
    graph = copy / "step.onnx"
    content = bytearray(graph.read_bytes())
    content[-1] ^= 1
    graph.write_bytes(content)
    with pytest.raises(BundleHashError, match=r"step\.onnx"):
        PoseTracker(copy)


@pytest.mark.parametrize(
    ("graph", "sentence"),
    [
        ("framewise", "'step' is not what the manifest says: it takes .* instead of .*previous"),
        ("kernels", "'step' is not what the manifest says: it takes .*kernels.* instead of"),
    ],
)
def test_a_graph_that_is_not_the_manifests_is_refused(
    copy, framewise_bundle, kernel_bundle, graph, sentence
):
    content = {
        "framewise": framewise_bundle.graph_path("body").read_bytes(),
        "kernels": kernel_bundle.graph_path("step").read_bytes(),
    }[graph]
    (copy / "step.onnx").write_bytes(content)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["graphs"]["step"]["sha256"] = hashlib.sha256(content).hexdigest()
    manifest["graphs"]["step"]["num_bytes"] = len(content)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleFormatError, match=sentence):
        PoseTracker(copy)


def test_a_missing_graph_is_refused(copy):
    (copy / "head.onnx").unlink()
    with pytest.raises(BundleFormatError, match=r"head\.onnx"):
        PoseTracker(copy)


def test_another_format_version_is_refused(copy):
    edit_manifest(copy, version=2)
    with pytest.raises(BundleVersionError, match="version 2"):
        PoseTracker(copy)


def test_a_method_of_another_release_is_refused(puppet_bundle):
    from dataclasses import replace

    with pytest.raises(BundleFormatError, match="'telepathy'"):
        build_method(replace(puppet_bundle.manifest, method="telepathy"), {})


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(BundleNotFoundError):
        load(tmp_path)


@pytest.mark.parametrize(
    ("option", "error"),
    [
        ({"device": "abacus"}, BackendError),
        ({"backend": "abacus"}, ConfigError),
        ({"precision": "int2"}, ConfigError),
        ({"num_threads": 0}, ConfigError),
    ],
)
def test_an_engine_that_is_not_there_is_refused(puppet_bundle, option, error):
    with pytest.raises(error):
        load(puppet_bundle.path, **option)


def test_a_closed_model_refuses_and_closing_twice_is_fine(puppet_bundle):
    model = load(puppet_bundle.path)
    model.close()
    model.close()
    with pytest.raises(ClosedError):
        _ = model.method.spec


def test_a_tracker_closes_only_a_model_of_its_own(puppet_bundle):
    own = PoseTracker(puppet_bundle.path)
    own.close()
    with pytest.raises(ClosedError):
        _ = own.model.method.spec
    with load(puppet_bundle.path) as shared:
        PoseTracker(shared).close()
        assert shared.method


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_each_backend_finds_the_puppet(puppet_bundle, puppet, backend):
    pytest.importorskip(backend)
    with PoseTracker(puppet_bundle.path, backend=backend, precision="float32") as tracker:
        keypoints = tracker.track(puppet()).keypoints
    assert keypoints is not None
    assert np.isfinite(keypoints).all()


@pytest.mark.parametrize(
    ("cores", "given", "threads"), [(8, None, 2), (1, None, 1), (8, 5, 5), (1, 2, 2)]
)
def test_a_network_has_two_threads_unless_told_otherwise(
    cores, given, threads, puppet_bundle, monkeypatch
):
    monkeypatch.setattr(loading, "usable_cores", lambda: cores)
    asked = []
    monkeypatch.setattr(
        loading, "open_model", lambda *words: asked.append(words) or SimpleNamespace()
    )
    load(puppet_bundle.path, num_threads=given)
    assert asked[0][2].num_threads == threads


def test_a_model_says_what_it_computes_in(puppet_bundle):
    with load(puppet_bundle.path, precision="float32") as model:
        assert model.precision == "float32"
        assert "precision='float32'" in repr(model)


@pytest.mark.parametrize("model", ["", None, 5, "~nobody-of-that-name/x"])
def test_what_names_no_model_is_not_taken_for_the_current_folder(model):
    with pytest.raises(BundleNotFoundError, match=f"There is no model '{model}'"):
        bundle_path(model)


@pytest.mark.skipif(
    "int8" not in get_backend("openvino").capabilities.precisions, reason="no int8 here"
)
def test_int8_is_asked_of_the_bundle_and_not_of_each_of_its_graphs():
    with load("ppn-swift", precision="int8") as model:
        assert "int8" in model.precision
    with pytest.raises(DeviceError, match="not in int8: its model is not quantised"):
        load("ppn-swift-float", precision="int8")
