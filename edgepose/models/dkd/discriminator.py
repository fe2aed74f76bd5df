"""DKD's discriminator: it reconstructs how heat-maps change between two frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgepose.models.pose.network import PoseNetwork
from edgepose_runtime.errors import ConfigError

_COLOURS = 3


class Discriminator(nn.Module):
    """D: heat-maps beside their pictures, and the change of the heat-maps comes out.

    The heat-maps are enlarged to the pictures and stand beside them as channels. With one frame
    per sample it reconstructs the heat-maps themselves (the ablation with spatial training).

    Args:
        network: becomes D; its first layer is replaced by one that sees heat-maps as well, with
            the weights for colours shared among the frames. It has K heat-maps.
        joints: K.
        frames: 2, or 1 for the spatial form.
        shrink: by which pictures are made smaller first, for a cheaper D.

    Raises:
        ConfigError: another number of frames, or no layer to replace.
    """

    def __init__(self, network: PoseNetwork, joints: int, frames: int = 2, shrink: int = 1) -> None:
        super().__init__()
        if frames not in (1, 2) or shrink < 1:
            raise ConfigError(
                "A discriminator sees 1 or 2 frames, shrunk by 1 or more; "
                f"got {frames} and {shrink}."
            )
        widen_first_layer(network.backbone, frames, joints)
        self.network = network
        self.frames, self.shrink = frames, shrink
        self.stride = network.stride * shrink

    def forward(self, images: Tensor, heatmaps: Tensor) -> Tensor:
        """Return the reconstructed change ``(N, K, h, h)``; h is S / ``stride``.

        Args:
            images: ``(N, F, 3, S, S)`` of F frames.
            heatmaps: ``(N, F, K, h, h)``.
        """
        pictures = images.flatten(1, 2)
        if self.shrink > 1:
            pictures = functional.avg_pool2d(pictures, self.shrink)
        maps = functional.interpolate(
            heatmaps.flatten(1, 2), pictures.shape[-2:], mode="bilinear", align_corners=False
        )
        change: Tensor = self.network(torch.cat((pictures, maps.to(pictures.dtype)), 1))
        return change


def widen_first_layer(backbone: nn.Module, frames: int, joints: int) -> None:
    """Let the first convolution see ``frames`` pictures and as many sets of heat-maps.

    The weights of the three colours are copied to each picture, divided by their number; those of
    the heat-maps are drawn as He et al. do.

    Raises:
        ConfigError: there is no convolution of three channels at the start.
    """
    for parent in backbone.modules():
        for name, layer in parent.named_children():
            if isinstance(layer, nn.Conv2d):
                if layer.in_channels != _COLOURS:
                    raise ConfigError(
                        "The first layer of the discriminator's backbone sees no RGB."
                    )
                setattr(parent, name, _widened(layer, frames, joints))
                return
    raise ConfigError("The discriminator's backbone has no convolution to start with.")


def _widened(layer: nn.Conv2d, frames: int, joints: int) -> nn.Conv2d:
    wide = nn.Conv2d(
        frames * (_COLOURS + joints),
        layer.out_channels,
        layer.kernel_size,  # type: ignore[arg-type]  # pairs, as given
        layer.stride,  # type: ignore[arg-type]
        layer.padding,  # type: ignore[arg-type]
        bias=layer.bias is not None,
    )
    nn.init.kaiming_normal_(wide.weight, mode="fan_out", nonlinearity="relu")
    with torch.no_grad():
        wide.weight[:, : frames * _COLOURS] = layer.weight.repeat(1, frames, 1, 1) / frames
        if layer.bias is not None and wide.bias is not None:
            wide.bias.copy_(layer.bias)
    return wide
