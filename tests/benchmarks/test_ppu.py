"""The comparison of propagation units, on units and maps of no size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from benchmarks.ppu import candidates, forms, learning, recording, report, timing  # noqa: E402
from edgepose.training.config.loader import load_config  # noqa: E402

TINY = {"ppu_channels": 4, "ppu_blocks": 1}
FLOW = candidates.Candidate(
    "flow", {"form": "flow", "grid_stride": 4, "gate": True, "dilations": (1,), **TINY}, steps=2
)
DEFORMABLE = candidates.Candidate("deformable", {"dilations": (2, 3), **TINY})
HALF = candidates.Candidate("half", {"dilations": (2,), "deform_groups": 1, **TINY}, half=True)


def maps(seed):
    return np.random.default_rng(seed).random((1, 13, 64, 64), np.float32)


def moving(candidate):
    """A unit whose flows or offsets are not zero."""
    torch.manual_seed(0)
    unit = candidate.build().eval()
    for name, weight in unit.named_parameters():
        if "offsets" in name:
            torch.nn.init.normal_(weight, std=0.1)
    return unit


@pytest.mark.parametrize("candidate", [FLOW, DEFORMABLE, HALF], ids=lambda each: each.name)
def test_every_runtime_computes_what_torch_does(candidate):
    unit, preliminary, previous = moving(candidate), maps(0), maps(1)
    with torch.inference_mode():
        added = unit(torch.from_numpy(preliminary), torch.from_numpy(previous)).numpy()
    calls = forms.compile_unit(unit)
    assert set(calls) >= {"openvino", "onnxruntime"}
    assert ("numba" in calls) == (candidate is DEFORMABLE)
    for call in calls.values():
        np.testing.assert_allclose(call(preliminary, previous), preliminary + added, atol=1e-4)


def test_deformable_units_are_one_operator_per_dilation_in_onnx_runtime():
    onnx = pytest.importorskip("onnx")
    content = forms.export(forms._as_operators(DEFORMABLE.build()), 13, 13, opset=19)
    nodes = [node.op_type for node in onnx.load_from_string(content).graph.node]
    assert nodes.count("DeformConv") == 2
    assert "GridSample" not in nodes


def test_candidates_have_files_of_their_own():
    files = [candidate.file for candidate in candidates.CANDIDATES]
    assert len(set(files)) == len(files)
    assert candidates.CANDIDATES[0].file == "published.pt"


def test_every_candidate_is_a_unit():
    for candidate in candidates.CANDIDATES:
        assert isinstance(candidate.build(), torch.nn.Module)


@pytest.fixture
def windows(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "maps": rng.random((5, 4, 13, 64, 64)).astype(np.float16),
        "keypoints": rng.uniform(0, 255, (5, 4, 13, 3)).astype(np.float32),
        "matrix": np.tile(np.eye(2, 3, dtype=np.float32), (5, 4, 1, 1)),
    }
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    return recording.Windows(tmp_path)


def test_drawn_windows_are_consecutive_frames(windows):
    drawn = windows.draw(np.random.default_rng(1), 2, 3)
    assert drawn["maps"].shape == (2, 3, 13, 64, 64)
    assert drawn["maps"].dtype == torch.float32
    firsts = [
        start
        for start in range(2)
        for row in range(5)
        if np.array_equal(windows.keypoints[row, start : start + 3], drawn["keypoints"][0])
    ]
    assert len(firsts) == 1


def test_a_unit_is_trained_on_them(windows):
    torch.manual_seed(0)
    unit = learning.train(FLOW, load_config("ppn-swift"), windows, [].append)
    assert not unit.training
    assert all(torch.isfinite(value).all() for value in unit.state_dict().values())


def test_a_crop_is_looked_at_once_and_remembered_in_a_file(tmp_path):
    calls = []

    def network(image):
        calls.append(image)
        return torch.full((1, 13, 2, 2), 0.5)

    crop, file = np.zeros((1, 8, 8, 3), np.uint8), tmp_path / "maps.npz"
    remembered = recording.RememberedNetwork(network, file)
    first = remembered(crop)
    remembered(crop)
    remembered.save()
    np.testing.assert_array_equal(recording.RememberedNetwork(network, file)(crop), first)
    assert len(calls) == 1


def test_each_form_is_timed():
    found = timing.milliseconds({"a": {"numba": lambda p, q: p + q}, "b": {}})
    assert found["a"]["numba"] >= 0
    assert found["b"] == {}


def test_the_table_and_the_picture_show_what_is_known(tmp_path: Path):
    pytest.importorskip("matplotlib")
    pck = {"torso@0.2": 77.0, "torso@0.1": 49.0, "jitter": 10.0}
    rows = {
        "body alone": {"pck": pck, "ms": {}},
        "flow": {"pck": pck, "ms": {"openvino": 0.4}},
        "untrained": {"pck": None, "ms": {"numba": 9.0}},
    }
    lines = report.table(json.loads(json.dumps(rows))).splitlines()
    assert lines[3] == "| flow | 77.0 | 49.0 | 10.0 | 0.40 |  |  |"
    assert lines[4] == "| untrained |  |  |  |  |  | 9.00 |"
    report.draw(rows, tmp_path / "ppu.png")
    assert (tmp_path / "ppu.png").stat().st_size > 1000
