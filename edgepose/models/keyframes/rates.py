"""K-FPN for the edge: a rate of key frames, how close together they should be in a window.

A selector that scores frames one by one chooses neighbours that say the same. A rate cannot: key
frames lie at even steps of its sum, so that any number of them covers the window, and a network
that has learned nothing chooses even times. Because the times follow smoothly from the rate, it
learns by Eq. 16 itself, with whole key frames instead of a little of each.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: Channels of the trunk, side of its maps, of what they are pooled to, and hidden channels.
CHANNELS, SIDE, GRID, WIDTH = 64, 6, 3, 24
_SLOPE = 0.01
#: What softplus makes 1 of: with outputs of 0 all frames have the same rate.
_UNIT = 0.5413


class KeyRateNetwork(nn.Module):
    """Predicts a rate of key frames for each frame of a window.

    It looks at the frozen features of a trunk, at how they differ from their mean over the window
    and from the frame before, and then along time.

    Args:
        channels: of the trunk's features.
    """

    def __init__(self, channels: int = CHANNELS) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(SIDE // GRID)
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
            features: (T, C, 6, 6) of the trunk, for a window of any length.
        """
        pooled = self.pool(features)
        pooled = pooled / pooled.square().mean().sqrt().clamp_min(1e-6)
        step = torch.cat([torch.zeros_like(pooled[:1]), (pooled[1:] - pooled[:-1]).abs()])
        around = pooled - pooled.mean(0, keepdim=True)
        cells = self.activation(self.cells(torch.cat([around, step], dim=1)))
        frames = self.activation(self.frame(cells.flatten(1).T[None]))
        rates = nn.functional.softplus(self.rate(self.temporal(frames))[0, 0] + _UNIT)
        mean_one: Tensor = rates / rates.mean()
        return mean_one


def key_times(rates: Tensor, count: int) -> Tensor:
    """Return the times (count,), in frames, in the middle of even steps of the rates' sum."""
    way = torch.cumsum(rates, 0) / rates.sum()
    middle = way - rates / (2 * rates.sum())
    wanted = (torch.arange(count, dtype=rates.dtype) + 0.5) / count
    before = (torch.searchsorted(middle.detach(), wanted) - 1).clamp(0, len(rates) - 2)
    part = (wanted - middle[before]) / (middle[before + 1] - middle[before])
    return before + part.clamp(0, 1)


def residual_at(gram: Tensor, times: Tensor, values: Tensor, rho: float) -> Tensor:
    """Return what key frames at real-valued times do not say of all (T, M): Eq. 16 for whole ones.

    Between two frames both what is seen and what it says of others is interpolated linearly, so
    that the result changes smoothly with the times.

    Args:
        gram: (T, T) D D'.
        times: (r,) from 0 to T - 1.
        values: (T, M) Y.
        rho: the ridge.
    """
    frames = torch.arange(len(values), dtype=values.dtype)
    looks = (1 - (times[:, None] - frames).abs()).clamp_min(0)
    seen = looks @ values
    centre = seen.mean(0)
    towards = gram @ looks.T
    system = looks @ towards + rho * torch.eye(len(times), dtype=values.dtype)
    rest: Tensor = values - centre - towards @ torch.linalg.solve(system, seen - centre)
    return rest
