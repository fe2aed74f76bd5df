"""K-FPN as a rate of key frames: how close together they should be in each part of a window.

A selector that scores frames one by one chooses neighbours that say the same. A rate cannot: key
frames lie at even steps of its sum, so that any number of them covers the window, and a network
that has learned nothing chooses even times.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgepose.keyframes.selecting import frames_at_even_steps

#: Grid that the trunk's features are pooled to, and hidden channels.
GRID, WIDTH = 3, 24
_SLOPE = 0.01
#: What softplus makes 1 of: with outputs of 0 all frames have the same rate.
_UNIT = 0.5413


class KeyRates(nn.Module):
    """Says how many key frames each part of a window is worth.

    It looks at the frozen features of a trunk, at how they differ from their mean over the window
    and from the frame before, and then along time.

    Args:
        channels: of the trunk's features.
    """

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(GRID)
        self.cells = nn.Conv2d(2 * channels, WIDTH, 1)
        self.frame = nn.Conv1d(WIDTH * GRID * GRID, WIDTH, 1)
        self.temporal = nn.Sequential(
            nn.Conv1d(WIDTH, WIDTH, 5, padding=2),
            nn.LeakyReLU(_SLOPE),
            nn.Dropout(0.2),
            nn.Conv1d(WIDTH, WIDTH, 5, padding=4, dilation=2),
            nn.LeakyReLU(_SLOPE),
        )
        self.rate = nn.Conv1d(WIDTH, 1, 1, bias=False)
        nn.init.zeros_(self.rate.weight)
        self.activation = nn.LeakyReLU(_SLOPE)

    def forward(self, features: Tensor) -> Tensor:
        """Return the rates (T,), of mean 1.

        Args:
            features: (T, C, h, w) of the trunk, for a window of any length.
        """
        pooled = self.pool(features)
        pooled = pooled / pooled.square().mean().sqrt().clamp_min(1e-6)
        step = torch.zeros_like(pooled)
        step[1:] = (pooled[1:] - pooled[:-1]).abs()
        cells = self.activation(self.cells(torch.cat([pooled - pooled.mean(0), step], dim=1)))
        frames = self.activation(self.frame(cells.flatten(1).T[None]))
        rates = nn.functional.softplus(self.rate(self.temporal(frames))[0, 0] + _UNIT)
        mean_one: Tensor = rates / rates.mean()
        return mean_one


@torch.no_grad()
def chosen_by_rates(model: KeyRates, features: Tensor, count: int) -> list[int]:
    """Return so many key frames of a window of features (T, C, h, w), rising."""
    rates = model.eval()(features).double().numpy()
    return frames_at_even_steps(rates, min(count, len(rates)))
