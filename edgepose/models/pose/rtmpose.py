"""RTMPose: a distribution over columns and one over rows for each joint (SimCC), by attention.

Jiang et al., RTMPose: Real-Time Multi-Person Pose Estimation based on MMPose, 2023. Names of the
parameters are MMPose's, but for batch norms, which are folded.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgepose.models.backbones.cspnext import CSPNeXt

#: Width and height of the image in pixels. The tokens are as long as the last features are large.
IMAGE_SIZE = (192, 256)
#: Bins of the distributions per pixel.
BINS_PER_PIXEL = 2
#: Deviation of a joint's distribution in pixels, along x and y, as measured on film and photos.
DEVIATIONS = (9.9, 11.3)

#: Values of a joint's vector.
HIDDEN = 256
_EXPANDED, _KEYS = 512, 128
_LEAST_NORM = 1e-5


class RTMPose(nn.Module):
    """RTMPose-s: float32 ``(B, 3, 256, 192)`` to ``(B, K, 384)`` over x and ``(B, K, 512)`` over y.

    The input is RGB normalised by ImageNet's mean and deviation. The outputs are about 1 at a
    joint that is seen clearly and 0 elsewhere; half a bin's number is the pixel.

    Args:
        joints: K.
    """

    def __init__(self, joints: int = 26) -> None:
        super().__init__()
        self.backbone = CSPNeXt()
        self.head = RTMCCHead(joints)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distributions over columns and over rows."""
        found: tuple[Tensor, Tensor] = self.head(self.backbone(image))
        return found


class RTMCCHead(nn.Module):
    """A token for each joint, one gated attention unit among them, and two linear read-outs."""

    def __init__(self, joints: int) -> None:
        super().__init__()
        width, height = IMAGE_SIZE
        cells = (width // CSPNeXt.stride) * (height // CSPNeXt.stride)
        self.final_layer = nn.Conv2d(CSPNeXt.out_channels, joints, 7, padding=3)
        self.mlp = nn.Sequential(ScaleNorm(cells), nn.Linear(cells, HIDDEN, bias=False))
        self.gau = GatedAttention()
        self.cls_x = nn.Linear(HIDDEN, width * BINS_PER_PIXEL, bias=False)
        self.cls_y = nn.Linear(HIDDEN, height * BINS_PER_PIXEL, bias=False)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distributions of ``(B, 512, 8, 6)`` features."""
        tokens: Tensor = self.gau(self.mlp(self.final_layer(features).flatten(2)))
        return self.cls_x(tokens), self.cls_y(tokens)


class ScaleNorm(nn.Module):
    """Divide each vector by its length, and multiply it by one learnt number."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.scale = size**-0.5
        self.g = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """Return vectors ``(..., size)`` of one length."""
        length = (x * x).sum(-1, keepdim=True).sqrt() * self.scale
        scaled: Tensor = x / length.clamp(min=_LEAST_NORM) * self.g
        return scaled


class Scale(nn.Module):
    """A learnt factor for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return the scaled vectors."""
        return x * self.scale


class GatedAttention(nn.Module):
    """Self-attention with squared ReLU, gated: ``(B, K, 256)`` to the same (Hua et al., 2022)."""

    def __init__(self) -> None:
        super().__init__()
        self.ln = ScaleNorm(HIDDEN)
        self.uv = nn.Linear(HIDDEN, 2 * _EXPANDED + _KEYS, bias=False)
        self.gamma = nn.Parameter(torch.ones(2, _KEYS))
        self.beta = nn.Parameter(torch.zeros(2, _KEYS))
        self.o = nn.Linear(_EXPANDED, HIDDEN, bias=False)
        self.res_scale = Scale(HIDDEN)

    def forward(self, x: Tensor) -> Tensor:
        """Return the tokens after they have looked at each other."""
        mixed = self.uv(self.ln(x))
        gate, values, base = (mixed * mixed.sigmoid()).split((_EXPANDED, _EXPANDED, _KEYS), -1)
        # Two views of the same in one product, as the published graph has it.
        query, key = (base[:, :, None] * self.gamma[None, None] + self.beta).unbind(2)
        weights = (query @ key.transpose(1, 2) * _KEYS**-0.5).relu().square()
        result: Tensor = self.res_scale(x) + self.o(gate * (weights @ values))
        return result
