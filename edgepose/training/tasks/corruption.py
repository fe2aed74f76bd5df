"""Heat-maps as a live tracker has them in memory: never perfect, and sometimes wrong.

A network that only ever continues perfect maps learns to copy them. All functions take and return
(B, K, h, h) and draw from torch's generator of the maps' device.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from edgepose.training.tasks.previous_heatmaps import sample
from edgepose_runtime.poses.skeletons import Skeleton

BLUR = (0.06, 0.24, 0.4, 0.24, 0.06)  # a Gaussian of one cell


def augmented(heatmaps: Tensor) -> Tensor:
    """Make target maps look like a good network's: lower peaks, blurred, a little misplaced."""
    shape = (*heatmaps.shape[:2], 1, 1)
    moved = _shifted(heatmaps, _normal(heatmaps, *heatmaps.shape[:2], 2) * 0.7)
    softness = _uniform(heatmaps, *shape)
    # Scores of hard joints are low: the square root keeps most of them high.
    peak = 0.3 + 0.7 * _uniform(heatmaps, *shape).sqrt()
    return peak * torch.lerp(moved, _blurred(_blurred(moved)), softness)


def corrupt(heatmaps: Tensor, share: float, skeleton: Skeleton) -> Tensor:
    """Spoil a share of the samples, each by one fault out of `FAULTS`.

    Args:
        heatmaps: (B, K, h, h).
        share: probability of a fault, in [0, 1].
        skeleton: names the left/right pairs.
    """
    if not share:
        return heatmaps
    count, device = len(heatmaps), heatmaps.device
    spoiled = torch.rand(count, device=device) < share
    chosen = torch.where(spoiled, torch.randint(len(FAULTS), (count,), device=device), -1)
    out = heatmaps.clone()
    for number, fault in enumerate(FAULTS):
        rows = (chosen == number).nonzero()[:, 0]
        if len(rows):
            out[rows] = fault(heatmaps, rows, skeleton)
    return out


def moved_away(heatmaps: Tensor, rows: Tensor, _: Skeleton) -> Tensor:
    """The whole pose lags behind by a few cells, and each joint a little differently."""
    maps = heatmaps[rows]
    whole, each = _normal(maps, len(maps), 1, 2), _normal(maps, *maps.shape[:2], 2)
    return _shifted(maps, 4.0 * whole + 1.5 * each)


def sides_swapped(heatmaps: Tensor, rows: Tensor, skeleton: Skeleton) -> Tensor:
    """Left and right exchanged in about half of the pairs."""
    maps, order = heatmaps[rows], list(range(skeleton.num_joints))
    for a, b in skeleton.flip_pairs:
        if torch.rand(()) < 0.5:
            order[a], order[b] = b, a
    return maps[:, order]


def joints_dropped(heatmaps: Tensor, rows: Tensor, _: Skeleton) -> Tensor:
    """Some joints are not remembered at all."""
    maps = heatmaps[rows]
    return maps * (_uniform(maps, *maps.shape[:2], 1, 1) > 0.4)


def second_peaks(heatmaps: Tensor, rows: Tensor, skeleton: Skeleton) -> Tensor:
    """A joint is also seen at its other side's place, sometimes more clearly."""
    maps = heatmaps[rows]
    strength = _uniform(maps, *maps.shape[:2], 1, 1) * 1.2 - 0.2
    ghost = maps[:, list(skeleton.flip_order)] * strength.clamp_min(0)
    return torch.maximum(maps * (1.1 - strength).clamp_max(1), ghost)


def joints_astray(heatmaps: Tensor, rows: Tensor, _: Skeleton) -> Tensor:
    """Some joints have jumped far away, as onto another person or the background."""
    maps = heatmaps[rows]
    far = 12.0 * _normal(maps, *maps.shape[:2], 2)
    return _shifted(maps, far * (_uniform(maps, *maps.shape[:2], 1) < 0.35))


def someone_else(heatmaps: Tensor, rows: Tensor, _: Skeleton) -> Tensor:
    """Another sample's maps, as after a cut."""
    return heatmaps[rows - 1].detach()


def nothing(heatmaps: Tensor, rows: Tensor, _: Skeleton) -> Tensor:
    """Empty maps."""
    return torch.zeros_like(heatmaps[rows])


FAULTS: tuple[Callable[[Tensor, Tensor, Skeleton], Tensor], ...] = (
    moved_away,
    sides_swapped,
    joints_dropped,
    second_peaks,
    joints_astray,
    someone_else,
    nothing,
)


def _shifted(maps: Tensor, shift: Tensor) -> Tensor:
    """Move every map by its own (x, y) in cells; `shift`: (B, K, 2)."""
    axis = torch.arange(maps.shape[-1], dtype=torch.float32, device=maps.device)
    cells = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
    places = cells - shift.flatten(0, 1)[:, None, None]
    return sample(maps.flatten(0, 1)[:, None], places).reshape(maps.shape)


def _blurred(maps: Tensor) -> Tensor:
    """Convolve with a Gaussian, an axis after the other; float32."""
    weight = torch.tensor(BLUR, device=maps.device)
    single = maps.float().flatten(0, 1)[:, None]
    rows = functional.conv2d(single, weight.view(1, 1, -1, 1), padding=(2, 0))
    both = functional.conv2d(rows, weight.view(1, 1, 1, -1), padding=(0, 2))
    return both.reshape(maps.shape).float()


def _uniform(like: Tensor, *shape: int) -> Tensor:
    return torch.rand(shape, device=like.device)


def _normal(like: Tensor, *shape: int) -> Tensor:
    return torch.randn(shape, device=like.device)
