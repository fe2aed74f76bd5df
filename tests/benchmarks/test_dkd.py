"""Weights for a ResNet-18 to start from."""

import pytest

torch = pytest.importorskip("torch")

from benchmarks.dkd import start  # noqa: E402
from edgepose.models.backbones.resnet import ResNet  # noqa: E402


def test_a_resnet18_starts_from_what_a_resnet50_has_in_its_shape(tmp_path, capsys):
    source = ResNet(50).state_dict()
    torch.save(source, tmp_path / "resnet50.pth")
    start.main([str(tmp_path / "resnet50.pth"), str(tmp_path / "start.pth")])
    assert "99 of 120 tensors" in capsys.readouterr().out
    found = torch.load(tmp_path / "start.pth")
    assert found["conv1.weight"].equal(source["conv1.weight"])
    assert found["layer3.1.bn1.running_var"].equal(source["layer3.2.bn2.running_var"])
    ResNet(18).load_state_dict(found)
