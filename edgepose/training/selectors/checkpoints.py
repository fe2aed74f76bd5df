"""Checkpoints of key-frame selectors, with their backbones."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from edgepose.models.backbones.mobilenet import SameConv2d
from edgepose.models.backbones.resnet import ResNet
from edgepose.models.keyframes.kfpn import KFPN, KfpnConfig, key_frames
from edgepose.models.keyframes.online import OnlineConfig, OnlineDiscriminator
from edgepose.models.keyframes.rates import KeyRateNetwork
from edgepose.offline.selection import frames_by_rates
from edgepose.training.checkpoint import read_file
from edgepose.training.selectors.features import Backbone, new_trunk, resnet_of, trunk_backbone
from edgepose_runtime.errors import CheckpointError, ConfigError

FORMAT = "edgepose.selectors"


class Selectors(NamedTuple):
    """A backbone, K-FPN of the one or the other form, and its discriminator for streams."""

    backbone: Backbone
    network: KFPN | KeyRateNetwork
    online: OnlineDiscriminator

    def choose(self, features: Tensor, count: int | None = None) -> list[int]:
        """Return the key frames of a window.

        Args:
            features: (n, C, h, w) of the backbone, of no more frames than a window has.
            count: how many to choose, ``None`` for as many as the network wants.
        """
        return self.chosen(self.predict(features), count)

    @torch.no_grad()
    def predict(self, features: Tensor) -> Tensor:
        """Return the network's prediction for each frame (n,): its selection, or its rate."""
        if isinstance(self.network, KeyRateNetwork):
            rates: Tensor = self.network.eval()(features)
            return rates
        model = self.network.eval()
        window = features.new_zeros(model.config.frames, *features.shape[1:])
        window[: len(features)] = features
        selection: Tensor = model(window)[0][: len(features)]
        return selection

    def chosen(self, said: Tensor, count: int | None) -> list[int]:
        """Return the key frames that follow from what :meth:`predict` returned."""
        if isinstance(self.network, KFPN):
            return key_frames(said, self.network.config.threshold, count)
        return frames_by_rates(said.numpy(), count)

    def select(self, window: Tensor, present: int) -> list[int]:
        """Return the key frames among the first so many of a window; see `Selector`."""
        return self.choose(window[:present])

    @torch.no_grad()
    def compared(self, features: Tensor) -> Tensor:
        """Return what the discriminator compares of features (n, C, h, w): Y, or these."""
        if isinstance(self.network, KeyRateNetwork) or not self.online.config.edge:
            return features
        embedded: Tensor = self.network.eval().embedding(features)
        return embedded


def save_selectors(path: Path, selectors: Selectors, backbone: Path | None = None) -> None:
    """Write a checkpoint.

    Args:
        path: where to.
        selectors: the trunk of the edge form goes into the file.
        backbone: file of the published form's ResNet, which the checkpoint only names.

    Raises:
        ConfigError: no such file is given for the published form.
    """
    if isinstance(selectors.network, KFPN) and backbone is None:
        raise ConfigError("A checkpoint of the published K-FPN names its ResNet; give its file.")
    content: dict[str, Any] = {
        "format": FORMAT,
        "online_config": dataclasses.asdict(selectors.online.config),
        "online": selectors.online.state_dict(),
        "network": selectors.network.state_dict(),
    }
    if isinstance(selectors.network, KFPN):
        content["config"] = dataclasses.asdict(selectors.network.config)
        content["backbone"] = str(backbone)
        content |= _resnet_form(selectors.backbone.module)
    else:
        content |= _trunk_content(selectors.backbone.module)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)


def load_selectors(path: Path) -> Selectors:
    """Read a checkpoint.

    Raises:
        CheckpointError: the file, or the backbone that it names, is missing, damaged, or holds
            something else.
    """
    content = read_file(path, FORMAT)
    try:
        network = KFPN(KfpnConfig(**content["config"])) if "config" in content else KeyRateNetwork()
        network.load_state_dict(content["network"])
        online = OnlineDiscriminator(OnlineConfig(**content["online_config"]))
        online.load_state_dict(content["online"])
        backbone = _backbone_in(content)
    except (KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"The selectors in {path} cannot be read: {error}") from error
    return Selectors(backbone, network.eval(), online.eval())


def _backbone_in(content: dict[str, Any]) -> Backbone:
    if "backbone" in content:
        # Before these were kept there was one form.
        form = content.get("depth", 50), content.get("stride_in_1x1", False)
        return resnet_of(Path(content["backbone"]), *form)
    trunk = new_trunk(content["pad_after"])
    trunk.load_state_dict(content["trunk"])
    return trunk_backbone(trunk.eval())


def _resnet_form(module: nn.Module) -> dict[str, Any]:
    if not isinstance(module, ResNet):
        raise ConfigError(f"The published K-FPN needs a ResNet; got {type(module).__name__}.")
    return {"depth": module.depth, "stride_in_1x1": module.stride_in_1x1}


def _trunk_content(trunk: nn.Module) -> dict[str, Any]:
    pad_after = any(isinstance(layer, SameConv2d) for layer in trunk.modules())
    return {"trunk": trunk.state_dict(), "pad_after": pad_after}
