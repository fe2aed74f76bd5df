"""The comparison of ways to match kernels, on few channels."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from benchmarks import dkd  # noqa: E402
from benchmarks.dkd import start  # noqa: E402
from benchmarks.dkd.forms import FORMS  # noqa: E402
from edgepose.models.backbones.resnet import ResNet  # noqa: E402
from edgepose_runtime.errors import BackendError  # noqa: E402

SIZE = "4x24"


def test_every_form_gives_the_same_heatmaps_and_has_a_row(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        dkd, "milliseconds", lambda calls, *_: {k: dict.fromkeys(v, 1.5) for k, v in calls.items()}
    )
    dkd.main(["--sizes", SIZE, "--out", str(tmp_path)])
    text = capsys.readouterr().out
    rows = json.loads((tmp_path / "dkd.json").read_text())["milliseconds"][SIZE]
    for form in FORMS:
        assert set(rows[form.name]) == set(dkd.ENGINES), "each runtime takes it"
        assert f"| {form.name} | {form.samples} | {form.tensorrt} | 1.50 | 1.50 | 1.50 |" in text


def test_a_form_that_is_wrong_is_not_timed():
    features, kernels = dkd._inputs(4, 24)
    wanted = dkd._matched(dkd._memory(4, 24), features, kernels)
    dkd._require_same("right", "openvino", wanted * (1 + 1e-5), wanted)
    with pytest.raises(
        BackendError, match=r"wrong, openvino: the heat-maps are 0\.1 of their size"
    ):
        dkd._require_same("wrong", "openvino", wanted * 1.1, wanted)


def test_a_resnet18_starts_from_what_a_resnet50_has_in_its_shape(tmp_path, capsys):
    source = ResNet(50).state_dict()
    torch.save(source, tmp_path / "resnet50.pth")
    start.main([str(tmp_path / "resnet50.pth"), str(tmp_path / "start.pth")])
    assert "99 of 120 tensors" in capsys.readouterr().out
    found = torch.load(tmp_path / "start.pth")
    assert found["conv1.weight"].equal(source["conv1.weight"])
    assert found["layer3.1.bn1.running_var"].equal(source["layer3.2.bn2.running_var"])
    ResNet(18).load_state_dict(found)
