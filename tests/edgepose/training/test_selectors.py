import pytest
import torch

from edgepose.models.kfpn import KFPN, PRESETS
from edgepose.models.online_keys import OnlineConfig, OnlineKeys
from edgepose.training.modules import load_trained
from edgepose.training.selectors import (
    Selectors,
    load_selectors,
    new_trunk,
    save_selectors,
    trunk_of_body,
)
from edgepose_runtime.errors import CheckpointError

PYRAMID = {"backbone": "mobilenet_v2", "head": "pyramid"}


@pytest.mark.parametrize("pad_after", [False, True])
def test_a_trunk_sees_what_its_body_does(saved, pad_after):
    path, picture = saved({**PYRAMID, "pad_after": pad_after}), torch.rand(1, 3, 96, 96)
    at_stride_16 = load_trained(path).module.backbone.levels(picture)[2]
    torch.testing.assert_close(trunk_of_body(path)(picture), at_stride_16)


def test_a_body_of_another_kind_is_refused(saved):
    with pytest.raises(CheckpointError, match="no MobileNet-V2"):
        trunk_of_body(saved({"backbone": "resnet18"}))


@pytest.mark.parametrize("pad_after", [False, True])
def test_a_checkpoint_comes_back(tmp_path, pad_after):
    trunk, picture = new_trunk(pad_after).eval(), torch.rand(1, 3, 96, 96)
    selector = KFPN(PRESETS["edge"])
    online = OnlineKeys(OnlineConfig(selector.config.channels, selector.config.grid, edge=True))
    save_selectors(tmp_path / "kfpn.pt", Selectors(trunk, selector, online))
    again = load_selectors(tmp_path / "kfpn.pt")
    torch.testing.assert_close(again.trunk(picture), trunk(picture))
    assert again.selector.config == selector.config


def test_other_files_are_refused(tmp_path):
    text = tmp_path / "text.pt"
    text.write_text("not a checkpoint")
    other = tmp_path / "other.pt"
    torch.save({"format": "something"}, other)
    for path in (tmp_path / "missing.pt", text, other):
        with pytest.raises(CheckpointError, match=path.name):
            load_selectors(path)
