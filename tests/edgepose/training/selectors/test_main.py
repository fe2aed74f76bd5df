import numpy as np
import pytest
import torch

from edgepose.models.backbones.resnet import ResNet
from edgepose.models.keyframes.kfpn import KFPN, PRESETS
from edgepose.models.keyframes.online import OnlineConfig, OnlineDiscriminator
from edgepose.models.keyframes.rates import KeyRateNetwork
from edgepose.training.selectors.__main__ import at_most, main, train_edge
from edgepose.training.selectors.checkpoints import Selectors, load_selectors, save_selectors
from edgepose.training.selectors.features import (
    kept_features,
    new_trunk,
    resnet_of,
    trunk_backbone,
    trunk_of_body,
)
from edgepose.training.selectors.rates import ClipWithPoses
from edgepose.training.tasks.networks import load_trained
from edgepose_runtime.errors import CheckpointError, ConfigError, DataError

PYRAMID = {"backbone": "mobilenet_v2", "head": "pyramid"}
ONLINE = OnlineConfig(channels=64, grid=3, edge=True)


@pytest.mark.parametrize("pad_after", [False, True])
def test_a_trunk_sees_what_its_body_does(saved, pad_after):
    path, picture = saved({**PYRAMID, "pad_after": pad_after}), torch.rand(1, 3, 96, 96)
    at_stride_16 = load_trained(path).module.backbone.levels(picture)[2]
    torch.testing.assert_close(trunk_of_body(path).module(picture), at_stride_16)


def test_a_body_of_another_kind_is_refused(saved):
    with pytest.raises(CheckpointError, match="no MobileNet-V2"):
        trunk_of_body(saved({"backbone": "resnet18"}))


@pytest.mark.parametrize("pad_after", [False, True])
def test_the_edge_form_comes_back(tmp_path, pad_after):
    backbone, frames = trunk_backbone(new_trunk(pad_after).eval()), pictures(12)
    network = KeyRateNetwork()
    torch.nn.init.normal_(network.rate.weight)
    save_selectors(tmp_path / "kfpn.pt", Selectors(backbone, network, OnlineDiscriminator(ONLINE)))
    again = load_selectors(tmp_path / "kfpn.pt")
    features = torch.from_numpy(backbone.features(frames))
    torch.testing.assert_close(torch.from_numpy(again.backbone.features(frames)), features)
    torch.testing.assert_close(again.network(features), network.eval()(features))
    assert len(again.choose(features)) == 3
    assert len(again.choose(features, 5)) == 5


def test_the_published_form_comes_back_with_the_backbone_it_names(tmp_path):
    weights = tmp_path / "resnet.pth"
    torch.save(ResNet(50).state_dict(), weights)
    backbone, network = resnet_of(weights), KFPN(PRESETS["working"]).eval()
    path = tmp_path / "kfpn.pt"
    save_selectors(path, Selectors(backbone, network, OnlineDiscriminator(ONLINE)), weights)
    again, features = load_selectors(path), torch.rand(5, 2048, 7, 7)
    assert again.network.config == network.config
    assert again.choose(features, 3) == Selectors(backbone, network, again.online).choose(
        features, 3
    )
    assert max(again.choose(features)) < 5
    assert again.compared(features).shape == (5, 64, 3, 3)
    weights.unlink()
    with pytest.raises(CheckpointError, match=r"resnet\.pth"):
        load_selectors(path)


def test_a_large_backbone_sees_about_what_it_does_in_float32(tmp_path):
    torch.save(ResNet(50).state_dict(), tmp_path / "resnet.pth")
    backbone, picture = resnet_of(tmp_path / "resnet.pth"), torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        expected = backbone.module(picture).numpy()
        away = np.abs(backbone.compute(picture) - expected).mean()
    assert away < 0.05 * np.abs(expected).mean()


def test_features_are_computed_once(tmp_path):
    calls = []

    def frames():
        calls.append(1)
        return iter(pictures(3))

    backbone = trunk_backbone(new_trunk().eval())
    for _ in range(2):
        (found,) = kept_features(backbone, {"golf/swing.avi": frames}, tmp_path)
        assert found.shape == (3, 64, 6, 6)
    assert len(calls) == 1


def test_features_of_another_backbone_are_not_taken_for_its_own(tmp_path):
    kept_features(
        trunk_backbone(new_trunk().eval()), {"a.avi": lambda: iter(pictures(1))}, tmp_path
    )
    with pytest.raises(DataError, match="other weights"):
        kept_features(trunk_backbone(new_trunk().eval()), {}, tmp_path)


def test_too_short_clips_are_refused_before_the_training():
    clip = ClipWithPoses("film", torch.zeros(20, 64, 6, 6), torch.zeros(20, 26))
    with pytest.raises(DataError, match="needs clips of 40 frames"):
        train_edge([clip], trunk_backbone(new_trunk()), epochs=10**6)


@pytest.mark.parametrize(
    ("count", "chosen"), [(None, 419), (105, 105), (104, 84), (300, 210), (1, 1), (999, 419)]
)
def test_a_limit_is_never_exceeded(count, chosen):
    assert len(at_most(list(range(419)), count)) == chosen


def test_no_clips_are_an_error():
    with pytest.raises(DataError, match="--root"):
        at_most([], 3)


def test_the_published_form_is_not_saved_without_the_name_of_its_backbone(tmp_path):
    selectors = Selectors(
        trunk_backbone(new_trunk()), KFPN(PRESETS["working"]), OnlineDiscriminator(ONLINE)
    )
    with pytest.raises(ConfigError, match="ResNet"):
        save_selectors(tmp_path / "kfpn.pt", selectors)
    assert not (tmp_path / "kfpn.pt").exists()


@pytest.mark.parametrize("words", [["edge"], ["published"]])
def test_what_a_form_needs_is_asked_for(words, capsys):
    with pytest.raises(SystemExit):
        main(words)
    assert "needs --" in capsys.readouterr().err


def test_other_files_are_refused(tmp_path):
    text = tmp_path / "text.pt"
    text.write_text("not a checkpoint")
    other = tmp_path / "other.pt"
    torch.save({"format": "something"}, other)
    for path in (tmp_path / "missing.pt", text, other):
        with pytest.raises(CheckpointError, match=path.name):
            load_selectors(path)


def pictures(count):
    random = np.random.default_rng(0)
    return list(random.integers(0, 255, (count, 120, 160, 3), np.uint8))
