import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import edgepose.training
from edgepose.cli.main import main
from edgepose.models.backbones.resnet import ResNet
from edgepose.models.keyframes.kfpn import KFPN, KfpnConfig
from edgepose.models.keyframes.online import OnlineConfig, OnlineDiscriminator
from edgepose.models.keyframes.rates import KeyRateNetwork
from edgepose.training.config.loader import load_recipe
from edgepose.training.selectors import trainer
from edgepose.training.selectors.checkpoints import Selectors, load_selectors, save_selectors
from edgepose.training.selectors.features import (
    kept_features,
    new_trunk,
    resnet_of,
    trunk_backbone,
    trunk_of_body,
)
from edgepose.training.selectors.trainer import (
    SelectorData,
    at_most,
    prepare_selectors,
    train_selectors,
)
from edgepose.training.tasks.networks import load_trained
from edgepose.training.trainer import RunSettings
from edgepose_runtime.errors import CheckpointError, ConfigError, DataError

RECIPE_FILES = sorted((Path(edgepose.training.__file__).parent / "recipes/kfpn").glob("*.toml"))
PYRAMID = {"backbone": "mobilenet_v2", "head": "pyramid"}
RECIPES = [path.stem for path in RECIPE_FILES if not path.name.startswith("_")]
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
    backbone, network = resnet_of(weights), KFPN(KfpnConfig()).eval()
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


@pytest.mark.parametrize(("depth", "in_1x1"), [(18, False), (50, True)])
def test_a_backbone_comes_back_with_its_depth_and_stride(tmp_path, depth, in_1x1):
    weights, path = tmp_path / "resnet.pth", tmp_path / "kfpn.pt"
    torch.save(ResNet(depth).state_dict(), weights)
    backbone = resnet_of(weights, depth, in_1x1)
    network = KFPN(KfpnConfig(channels=backbone.module.out_channels))
    save_selectors(path, Selectors(backbone, network, OnlineDiscriminator(ONLINE)), weights)
    again = load_selectors(path).backbone
    assert again.digest() == backbone.digest()
    assert (again.module.depth, again.module.stride_in_1x1) == (depth, in_1x1)


def test_the_place_of_the_stride_makes_other_features(tmp_path):
    torch.save(ResNet(50).state_dict(), tmp_path / "resnet.pth")
    plain, moved = (resnet_of(tmp_path / "resnet.pth", 50, each) for each in (False, True))
    frames = pictures(1)
    assert np.abs(plain.features(frames) - moved.features(frames)).max() > 0.01
    assert plain.digest() != moved.digest(), "kept features are not mixed up"


def test_channels_that_the_backbone_does_not_have_are_refused(tmp_path):
    torch.save(ResNet(18).state_dict(), tmp_path / "resnet.pth")
    words = [f"start.backbone={tmp_path / 'resnet.pth'}", "depth=18", "stride_in_1x1=false"]
    config = load_recipe("kfpn/published-jhmdb", words)
    with pytest.raises(ConfigError, match=r"set network\.channels=512"):
        prepare_selectors(config, tmp_path, RunSettings(tmp_path / "run"))


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


@pytest.fixture
def edge_words(saved, jhmdb, tmp_path):
    """Trains the edge form for two epochs, and its discriminator for one."""
    body = saved(PYRAMID)
    return [
        *("train", "kfpn/edge", "--data-root", str(tmp_path), "--out", str(tmp_path / "run")),
        *("--set", f"start.body={body}", "--set", "selector.epochs=2", "--set", "online.epochs=1"),
    ]


@pytest.fixture
def jhmdb(monkeypatch, make_clip):
    """Gives the reader's place clips of as many frames as it is told."""
    lengths = [40]
    monkeypatch.setattr(
        trainer,
        "read_jhmdb_clips",
        lambda _root, _split: [make_clip(length) for length in lengths],
    )
    return lengths


def test_the_edge_form_is_trained_by_a_recipe(edge_words, tmp_path, capsys):
    assert main(edge_words) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in printed] == [
        *("step 0/3", "step 1/3", "step 2/3", "step 3/3", "Done")
    ]
    assert "loss_selector" in printed[1]
    assert "loss_online" in printed[3]
    selectors = load_selectors(tmp_path / "run" / "checkpoint.pt")
    assert isinstance(selectors.network, KeyRateNetwork)
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"log.csv", "curves.png", "config.json", "features"} <= names
    assert not any(name.startswith("state") for name in names), "it is not resumed"


def test_the_published_form_is_trained_by_a_recipe(tmp_path):
    config = load_recipe(
        "kfpn/resnet50", ["selector.epochs=2", "online.epochs=1", "network.channels=8"]
    )
    clips = [np.random.default_rng(0).normal(size=(40, 8, 7, 7))]
    torch.save(ResNet(50).state_dict(), tmp_path / "resnet.pth")
    backbone, steps = resnet_of(tmp_path / "resnet.pth"), []
    data = SelectorData(backbone, tmp_path / "resnet.pth", clips)
    assert train_selectors(config, data, RunSettings(tmp_path / "run"), steps.append)
    assert [(each.step, each.total) for each in steps] == [(1, 3), (2, 3), (3, 3)]
    network = load_selectors(tmp_path / "run" / "checkpoint.pt").network
    assert isinstance(network, KFPN)
    assert network.config == config.network


def test_too_short_clips_are_refused_before_the_training(edge_words, jhmdb, capsys):
    jhmdb[:] = [20]
    assert main(edge_words) == 1
    assert "needs clips of 40 frames" in capsys.readouterr().err


@pytest.fixture
def small(tmp_path):
    """A recipe of the published form and its data, small enough for a test."""
    words = ["selector.epochs=3", "online.epochs=2", "network.channels=8", "network.poles=6"]
    clips = [np.random.default_rng(0).normal(size=(40, 8, 7, 7)) for _ in range(2)]
    torch.save(ResNet(50).state_dict(), tmp_path / "resnet.pth")
    data = SelectorData(resnet_of(tmp_path / "resnet.pth"), tmp_path / "resnet.pth", clips)
    return words, data


@pytest.mark.parametrize("interrupted_after", [2, 4])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(
    small, tmp_path, monkeypatch, interrupted_after
):
    words, data = small
    config = load_recipe("kfpn/published-jhmdb", [*words, "online.rate=1e-2"])
    whole, parts = RunSettings(tmp_path / "whole"), RunSettings(tmp_path / "parts")
    assert train_selectors(config, data, whole, lambda _: None)
    steps = []

    def stop(progress):
        steps.append(progress.step)
        if progress.step == interrupted_after:
            signal.raise_signal(signal.SIGINT)

    assert not train_selectors(config, data, parts, stop)
    assert not parts.checkpoint.exists()
    assert train_selectors(config, data, replace(parts, resume=True), stop)
    assert steps == [1, 2, 3, 4, 5]
    assert (parts.folder / "log.csv").read_text() == (whole.folder / "log.csv").read_text()
    for part in ("network", "online"):
        found, expected = (
            getattr(load_selectors(each.checkpoint), part).state_dict() for each in (parts, whole)
        )
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value)


def test_a_state_of_another_recipe_is_refused(small, tmp_path):
    words, data = small
    config = load_recipe("kfpn/published-jhmdb", words)
    settings = RunSettings(tmp_path / "run", max_minutes=0.0)
    assert not train_selectors(config, data, settings, lambda _: None)
    other = load_recipe("kfpn/published-jhmdb", [*words[:-1], "network.poles=7"])
    with pytest.raises(CheckpointError, match="does not fit the recipe"):
        train_selectors(other, data, replace(settings, resume=True), lambda _: None)


def test_the_published_discriminator_compares_the_features_of_the_backbone(small, tmp_path):
    words, data = small
    config = load_recipe("kfpn/published-jhmdb", [*words, "discriminator=published"])
    settings = RunSettings(tmp_path / "run")
    assert train_selectors(config, data, settings, lambda _: None)
    again, features = load_selectors(settings.checkpoint), torch.rand(3, 8, 7, 7)
    assert again.online.config == OnlineConfig(channels=8, grid=7)
    assert torch.equal(again.compared(features), features)
    assert not again.online.config.edge


@pytest.mark.parametrize("options", [{"resume": True}, {"max_minutes": 5.0}])
def test_a_run_of_the_edge_form_that_is_to_be_resumed_is_refused(tmp_path, options):
    with pytest.raises(ConfigError, match="minutes"):
        prepare_selectors(load_recipe("kfpn/edge"), tmp_path, RunSettings(tmp_path, **options))


def test_a_run_that_was_stopped_is_not_overwritten(tmp_path):
    (tmp_path / "state-online.pt").touch()
    with pytest.raises(ConfigError, match="give --resume"):
        prepare_selectors(load_recipe("kfpn/published-jhmdb"), tmp_path, RunSettings(tmp_path))


@pytest.mark.parametrize(
    "change",
    [
        "start.backbone=a.pth",
        "limit_clips=0",
        "selector.speed=1",
        "kind=kfpn-large",
        "discriminator=published",
    ],
)
def test_an_unfitting_option_of_a_recipe_is_refused(change):
    with pytest.raises(ConfigError):
        load_recipe("kfpn/edge", [change])


@pytest.mark.parametrize("name", RECIPES)
def test_every_shipped_recipe_is_valid(name):
    config = load_recipe(f"kfpn/{name}")
    assert config.name == f"kfpn-{name}"
    assert config.total_steps == config.selector.epochs + config.online.epochs


@pytest.mark.parametrize(
    ("count", "chosen"), [(None, 419), (105, 105), (104, 84), (300, 210), (1, 1), (999, 419)]
)
def test_a_limit_is_never_exceeded(count, chosen):
    assert len(at_most(list(range(419)), count)) == chosen


def test_no_clips_are_an_error():
    with pytest.raises(DataError, match="--data-root"):
        at_most([], 3)


def test_the_published_form_is_not_saved_without_the_name_of_its_backbone(tmp_path):
    selectors = Selectors(
        trunk_backbone(new_trunk()), KFPN(KfpnConfig()), OnlineDiscriminator(ONLINE)
    )
    with pytest.raises(ConfigError, match="ResNet"):
        save_selectors(tmp_path / "kfpn.pt", selectors)
    assert not (tmp_path / "kfpn.pt").exists()


def test_a_missing_network_to_start_from_is_named_with_how_to_make_it(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "kfpn/edge", "--data-root", str(tmp_path)]) == 1
    assert "edgepose train ppn-swift-body" in capsys.readouterr().err


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
