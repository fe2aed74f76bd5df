import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgepose_runtime.bundles import bundle as bundle_module
from edgepose_runtime.bundles.bundle import load_bundle, write_bundle
from edgepose_runtime.bundles.manifest import (
    GraphSpec,
    HeatmapSpec,
    InputSpec,
    Manifest,
    Normalisation,
)
from edgepose_runtime.errors import (
    BundleFormatError,
    BundleHashError,
    BundleNotFoundError,
    BundleVersionError,
    ConfigError,
    OutputError,
)
from edgepose_runtime.tensors import TensorSpec

HEATMAPS = TensorSpec("heatmaps", "float32", ("N", 13, 64, 64))
IMAGE = TensorSpec("image", "uint8", ("N", 256, 256, 3))
INPUTS = (IMAGE, replace(HEATMAPS, name="previous"))
OUTPUTS = (HEATMAPS, replace(HEATMAPS, name="preliminary"))
MANIFEST = Manifest(
    name="small",
    method="propagation",
    skeleton="penn13",
    input=InputSpec(256),
    normalisation=Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    heatmap=HeatmapSpec(64, 4.0, 1.5),
    graphs={
        "head": GraphSpec("head.onnx", (IMAGE,), (HEATMAPS,)),
        "step": GraphSpec("step.onnx", INPUTS, OUTPUTS),
    },
)
GRAPHS = {"head": b"the head", "step": b"the step"}


@pytest.fixture
def folder(tmp_path):
    return write_bundle(tmp_path / "small", MANIFEST, GRAPHS).path


def test_what_was_written_is_read(folder):
    bundle = load_bundle(str(folder))
    assert bundle.graph_path("step").read_bytes() == b"the step"
    assert bundle.manifest.graphs["head"].num_bytes == len(b"the head")
    without_hashes = {
        name: replace(graph, sha256="", num_bytes=0)
        for name, graph in bundle.manifest.graphs.items()
    }
    assert replace(bundle.manifest, graphs=without_hashes) == MANIFEST


def test_nothing_but_the_bundle_is_left_behind(folder):
    assert [path.name for path in folder.parent.iterdir()] == ["small"]
    assert sorted(path.name for path in folder.iterdir()) == [
        "head.onnx",
        "manifest.json",
        "step.onnx",
    ]


def test_an_unknown_graph_is_refused_by_name(folder):
    with pytest.raises(ConfigError, match="no graph 'tail'; it has head, step"):
        load_bundle(folder).graph_path("tail")


def test_a_missing_folder_is_not_found(tmp_path):
    with pytest.raises(BundleNotFoundError, match=r"no bundle at .*nowhere"):
        load_bundle(tmp_path / "nowhere")


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path):
    with pytest.raises(BundleNotFoundError, match=r"no manifest\.json"):
        load_bundle(tmp_path)


def test_a_missing_graph_is_named(folder):
    (folder / "step.onnx").unlink()
    with pytest.raises(BundleFormatError, match=r"lacks the graph .*step\.onnx"):
        load_bundle(folder)


def test_a_truncated_graph_is_said_to_be_cut_off(folder):
    (folder / "step.onnx").write_bytes(b"the")
    with pytest.raises(BundleFormatError, match=r"step\.onnx is cut off: it has 3 of 8 bytes"):
        load_bundle(folder)


def test_a_graph_that_cannot_be_read_is_named(folder, monkeypatch):
    def refuse(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(BundleFormatError, match=r"head\.onnx cannot be read: .*Permission denied"):
        load_bundle(folder)


@pytest.mark.parametrize("content", [b"the stop", b"the step and more"])
def test_a_changed_graph_has_a_wrong_hash(folder, content):
    (folder / "step.onnx").write_bytes(content)
    with pytest.raises(BundleHashError, match=r"step\.onnx is not the one"):
        load_bundle(folder)


def test_another_version_is_refused_with_the_bundles_path(folder):
    file = folder / "manifest.json"
    content = json.loads(file.read_text()) | {"version": 2}
    file.write_text(json.dumps(content))
    with pytest.raises(BundleVersionError, match=r"small cannot be used: .*format version 2"):
        load_bundle(folder)


@pytest.mark.parametrize("content", [b"", b'{"format": "edgepose.bun', b"\xff\xfe\x00"])
def test_a_damaged_manifest_is_refused_with_its_path(folder, content):
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(BundleFormatError, match="small"):
        load_bundle(folder)


def test_graphs_must_be_those_of_the_manifest(tmp_path):
    with pytest.raises(ConfigError, match="describes the graphs"):
        write_bundle(tmp_path / "small", MANIFEST, {"head": b"the head"})


def test_an_invalid_manifest_is_not_written(tmp_path):
    with pytest.raises(BundleFormatError):
        write_bundle(tmp_path / "small", replace(MANIFEST, skeleton="octopus"), GRAPHS)
    assert not list(tmp_path.iterdir())


def test_an_existing_bundle_is_replaced_only_if_asked(folder):
    newer = {**GRAPHS, "step": b"a newer step"}
    with pytest.raises(OutputError, match="exists already"):
        write_bundle(folder, MANIFEST, newer)
    write_bundle(folder, MANIFEST, newer, overwrite=True)
    assert load_bundle(folder).graph_path("step").read_bytes() == b"a newer step"
    assert [path.name for path in folder.parent.iterdir()] == ["small"]


def test_a_folder_that_is_no_bundle_is_never_replaced(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(OutputError, match="is not a bundle"):
        write_bundle(tmp_path, MANIFEST, GRAPHS, overwrite=True)
    assert (tmp_path / "thesis.tex").exists()


def test_a_failure_halfway_leaves_the_old_bundle(folder, monkeypatch):
    def full(*args):
        raise OSError("no space left on device")

    monkeypatch.setattr(bundle_module, "_replace", full)
    with pytest.raises(OutputError, match="no space left"):
        write_bundle(folder, MANIFEST, {**GRAPHS, "step": b"a newer step"}, overwrite=True)
    assert load_bundle(folder).graph_path("step").read_bytes() == b"the step"
    assert [path.name for path in folder.parent.iterdir()] == ["small"]


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        write_bundle(tmp_path / "file" / "small", MANIFEST, GRAPHS)
