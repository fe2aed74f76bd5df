"""RTMPose's head as a head of heat-maps: a curve over columns and one over rows for each joint.

Jiang et al., RTMPose: Real-Time Multi-Person Pose Estimation based on MMPose, 2023, section 3.2.
Here the curves have as many values as a heat-map has cells, and a heat-map is their outer product.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgepose.models.backbones.cspnext import CSPNeXt
from edgepose.models.pose.rtmpose import HIDDEN, IMAGE_SIZE, GatedAttention, ScaleNorm
from edgepose_runtime.geometry.input_view import InputView

#: Cells along each side of a heat-map.
CELLS = 48
#: What the network sees of a square region: a person's box enlarged by a quarter lies inside, and
#: is stretched by 8 % only.
VIEW = InputView(*IMAGE_SIZE, window=(0.882, 1.087))


class CoordinateHead(nn.Module):
    """Features ``(B, 512, 8, 6)`` to heat-maps ``(B, K, 48, 48)``, by attention among the joints.

    Args:
        channels: of the features.
        joints: K.
    """

    #: A heat-map of a region of 192 pixels has a stride of 4, three doublings below the features.
    stages = 3
    view = VIEW

    def __init__(self, channels: int, joints: int) -> None:
        super().__init__()
        columns, rows = (side // CSPNeXt.stride for side in IMAGE_SIZE)
        self.tokens = nn.Conv2d(channels, joints, 7, padding=3)
        self.mlp = nn.Sequential(
            ScaleNorm(columns * rows), nn.Linear(columns * rows, HIDDEN, bias=False)
        )
        self.gau = GatedAttention()
        self.final_layer = OuterProduct(HIDDEN, CELLS)

    def features(self, features: Tensor) -> Tensor:
        """Return a vector for each joint, ``(B, K, 256)``."""
        joints: Tensor = self.gau(self.mlp(self.tokens(features).flatten(2)))
        return joints


class OuterProduct(nn.Module):
    """Vectors ``(B, K, hidden)`` to heat-maps ``(B, K, cells, cells)`` of rank one."""

    def __init__(self, hidden: int, cells: int) -> None:
        super().__init__()
        self.columns = nn.Linear(hidden, cells, bias=False)
        self.rows = nn.Linear(hidden, cells, bias=False)

    def curves(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return the curves over columns and over rows, ``(B, K, cells)`` each.

        Where a joint is seen with a score s they reach the root of s, elsewhere they are about 0.
        """
        return self.columns(vectors), self.rows(vectors)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the heat-maps."""
        columns, rows = (torch.relu(curve) for curve in self.curves(vectors))
        return rows[..., :, None] * columns[..., None, :]
