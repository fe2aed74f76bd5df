"""Thin-Slicing's message passing in PyTorch, to learn springs and networks with it (SPEC 6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from edgepose_runtime.slicing.distance import LEAST_STIFFNESS, distance_transform_with_winners
from edgepose_runtime.slicing.graph import PoseGraph
from edgepose_runtime.slicing.springs import Springs

Transform = Callable[[Tensor, Tensor], Tensor]

#: Weights are learned as logarithms: none can be 0.
_LEAST_WEIGHT = 1e-6


def dense_transform(maps: Tensor, springs: Tensor) -> Tensor:
    """Send maps along springs by trying every sender; autograd does the rest.

    Args:
        maps: (N, h, w) scores.
        springs: (N, 4) a_x, b_x, a_y, b_y over receiver minus sender; see
            :func:`edgepose_runtime.slicing.distance.distance_transform`.

    Returns:
        (N, h, w): out(p) = max_q maps(q) - a_x dx^2 - b_x dx - a_y dy^2 - b_y dy.
    """
    ax, bx, ay, by = (column[:, None, None] for column in springs.unbind(-1))
    height, width = maps.shape[-2:]
    half = _dense_line(maps.mT, ay, by, height).mT
    return _dense_line(half, ax, bx, width)


def _dense_line(scores: Tensor, a: Tensor, b: Tensor, length: int) -> Tensor:
    """Transform the last axis of (N, m, n); a and b are (N, 1, 1)."""
    cells = torch.arange(length, device=scores.device, dtype=scores.dtype)
    distance = cells[:, None] - cells  # receiver, sender
    cost = a * distance**2 + b * distance
    return (scores[:, :, None] - cost[:, None]).amax(-1)


class EnvelopeTransform(torch.autograd.Function):
    """The same by the linear-time kernel on the CPU: one winner per cell carries the gradient."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, maps: Tensor, springs: Tensor) -> Tensor:
        """Return the transformed maps (N, h, w)."""
        found = distance_transform_with_winners(
            maps.detach().numpy(), springs.detach().numpy().astype(np.float32)
        )
        ctx.save_for_backward(torch.from_numpy(found.rows), torch.from_numpy(found.columns))
        return torch.from_numpy(found.values)

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, gradient: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Route the gradient to the winners, and -(dx^2, dx, dy^2, dy) times it to the springs."""
        rows, columns = ctx.saved_tensors  # type: ignore[attr-defined]
        height, width = gradient.shape[-2:]
        senders = (rows * width + columns).long().flatten(1)
        flat = gradient.flatten(1)
        to_maps = torch.zeros_like(flat).scatter_add_(1, senders, flat)
        dy = (torch.arange(height)[:, None] - rows).float()
        dx = (torch.arange(width) - columns).float()
        to_springs = [-(gradient * term).sum((-2, -1)) for term in (dx**2, dx, dy**2, dy)]
        return to_maps.view_as(gradient), torch.stack(to_springs, -1)


def envelope_transform(maps: Tensor, springs: Tensor) -> Tensor:
    """Do what :func:`dense_transform` does on the CPU, in memory of the maps' own size."""
    out: Tensor = EnvelopeTransform.apply(maps, springs)  # type: ignore[no-untyped-call]
    return out


def warp_maps(maps: Tensor, grid: Tensor, outside: Tensor) -> Tensor:
    """Sample maps at the points of grids: bilinear; no gradient to the grid.

    Args:
        maps: (N, K, h, w).
        grid: (N, h, w, 2) of x, y in cells; NaN for nowhere.
        outside: (N, K), what lies beyond the border and nowhere.
    """
    size = torch.tensor([maps.shape[-1], maps.shape[-2]], dtype=maps.dtype, device=maps.device)
    points = ((2 * grid + 1) / size - 1).nan_to_num(nan=-9.0).clamp(-9, 9).detach()
    level = outside[..., None, None]
    inside = functional.grid_sample(maps - level, points, align_corners=False)
    return inside + level


@dataclass(frozen=True)
class _Round:
    """What a round leaves.

    Attributes:
        total: (B, T, K, h, w) own maps plus weighted messages.
        counts: (B, T, K) what the terms count.
        within: (B, T, M, h, w) its messages within frames, ``None`` before the first round.
        in_time: (B, T, D, K, h, w) its messages in time.
    """

    total: Tensor
    counts: Tensor
    within: Tensor | None = None
    in_time: Tensor | None = None


class MessagePassing(nn.Module):
    """Rounds of messages on a slice of T frames, with everything learnable.

    The parameters are those of :class:`~edgepose_runtime.slicing.springs.Springs`; weights and
    gains are kept as logarithms.

    Args:
        springs: where to start.
        transform: how messages are computed: :func:`dense_transform` on any device, or
            :func:`envelope_transform`, which is quicker on the CPU.
    """

    def __init__(self, springs: Springs, transform: Transform = dense_transform) -> None:
        super().__init__()
        self._start = springs
        self.transform = transform
        self.spatial = nn.Parameter(torch.from_numpy(springs.spatial.copy()))
        self.temporal = nn.Parameter(torch.from_numpy(springs.temporal.copy()))
        self.spatial_weight = nn.Parameter(_logarithm(springs.spatial_weight))
        self.temporal_weight = nn.Parameter(_logarithm(springs.temporal_weight))
        self.gain = nn.Parameter(_logarithm(springs.gain))
        self.bias = nn.Parameter(torch.from_numpy(springs.bias.copy()))
        edges = torch.tensor(springs.graph.edges, dtype=torch.long).view(-1, 2)
        self.register_buffer("_senders", torch.cat([edges[:, 1], edges[:, 0]]), persistent=False)
        self.register_buffer("_receivers", torch.cat([edges[:, 0], edges[:, 1]]), persistent=False)
        self.register_buffer("_flip", torch.tensor([1.0, -1.0, 1.0, -1.0]), persistent=False)

    _senders: Tensor
    _receivers: Tensor
    _flip: Tensor

    def forward(self, heatmaps: Tensor, grids: Tensor | None = None) -> Tensor:
        """Return the scores after the last round.

        Args:
            heatmaps: (B, T, K, h, w).
            grids: (B, T, 2 * reach, h, w, 2): where each cell of frame t comes from in the frames
                t - reach ... t - 1, t + 1 ... t + reach; ``None`` for the same cell.

        Returns:
            (B, T, K, h, w): gain * heatmaps + bias, with the messages.
        """
        unary = heatmaps * self.gain.exp()[:, None, None] + self.bias[:, None, None]
        last = _Round(unary, torch.ones_like(unary[..., 0, 0]))
        for _ in range(self._start.rounds):
            last = self._round(unary, last, grids)
        return self._score(last.total, last.counts)

    @property
    def graph(self) -> PoseGraph:
        """Who exchanges messages."""
        return self._start.graph

    def springs(self) -> Springs:
        """Return the springs as they are now, for the device; convex ones."""
        return replace(
            self._start,
            spatial=_array(_convex(self.spatial)),
            temporal=_array(_convex(self.temporal)),
            spatial_weight=_array(self.spatial_weight.exp()),
            temporal_weight=_array(self.temporal_weight.exp()),
            gain=_array(self.gain.exp()),
            bias=_array(self.bias),
        )

    @torch.no_grad()
    def clamp(self) -> None:
        """Keep the springs convex; to be called after each step of an optimiser."""
        for springs in (self.spatial, self.temporal):
            springs.copy_(_convex(springs))

    def _round(self, unary: Tensor, last: _Round, grids: Tensor | None) -> _Round:
        """Compute all messages from the last round's scores, and add them up."""
        total, counts = unary, torch.ones_like(last.counts)
        within = in_time = None
        if len(self._senders):
            within, weights = self._within(last), self.spatial_weight.exp().repeat(2)
            total = total.index_add(2, self._receivers, within * weights[:, None, None])
            counts = counts.index_add(2, self._receivers, weights.expand(*counts.shape[:2], -1))
        if self._start.graph.reach:
            in_time, heard = self._in_time(last, grids)
            weights = heard[..., None] * self._time_weights()
            total = total + (in_time * weights[..., None, None]).sum(2)
            counts = counts + weights.sum(1)
        return _Round(total, counts, within, in_time)

    def _within(self, last: _Round) -> Tensor:
        """Messages (B, T, M, h, w) between the joints of each frame."""
        total, counts = last.total[:, :, self._senders], last.counts[:, :, self._senders]
        if self._start.exclude_reverse and last.within is not None:
            weights = self.spatial_weight.exp().repeat(2)
            back = last.within.roll(len(self._senders) // 2, 2)
            total, counts = total - back * weights[:, None, None], counts - weights
        springs = torch.cat([self.spatial, self.spatial * self._flip])
        return self._transformed(self._score(total, counts), springs)

    def _in_time(self, last: _Round, grids: Tensor | None) -> tuple[Tensor, Tensor]:
        """Messages (B, T, D, K, h, w) from neighbours in time, and which (T, D) there are."""
        offsets = self._offsets()
        springs, frames = self._time_springs(), last.total.shape[1]
        messages = last.total.new_zeros(*last.total.shape[:2], len(offsets), *last.total.shape[2:])
        heard = last.total.new_zeros(frames, len(offsets))
        for d, offset in enumerate(offsets):
            first, end = max(0, -offset), min(frames, frames - offset)
            if first >= end:
                continue
            sent = self._sent_in_time(last, d)[:, first + offset : end + offset]
            if grids is not None:
                sent = _carried(sent, grids[:, first:end, d])
            messages[:, first:end, d] = self._transformed(sent, springs[d])
            heard[first:end, d] = 1
        return messages, heard

    def _sent_in_time(self, last: _Round, d: int) -> Tensor:
        """Scores (B, T, K, h, w) that the frames send to those that they are neighbour d of."""
        if not self._start.exclude_reverse or last.in_time is None:
            return self._score(last.total, last.counts)
        offsets = self._offsets()
        back, frames = len(offsets) - 1 - d, last.total.shape[1]
        there = torch.arange(frames, device=last.total.device) - offsets[d]
        heard = ((there >= 0) & (there < frames)).to(last.total.dtype)[:, None]
        weights = heard * self._time_weights()[back]
        total = last.total - last.in_time[:, :, back] * weights[..., None, None]
        return self._score(total, last.counts - weights)

    def _score(self, total: Tensor, counts: Tensor) -> Tensor:
        if self._start.normalise == "mean":
            return total / counts[..., None, None]
        if self._start.normalise == "max_subtract":
            return total - total.amax((-2, -1), keepdim=True)
        return total

    def _transformed(self, maps: Tensor, springs: Tensor) -> Tensor:
        """Transform (B, T, N, h, w) by springs (N, 4)."""
        each = springs.expand(*maps.shape[:2], -1, -1).flatten(0, 2)
        return self.transform(maps.flatten(0, 2), each).view_as(maps)

    def _offsets(self) -> list[int]:
        reach = self._start.graph.reach
        return [*range(-reach, 0), *range(1, reach + 1)]

    def _time_springs(self) -> Tensor:
        """(D, K, 4), by the offset of the sender."""
        return torch.cat([self.temporal.flip(0), self.temporal * self._flip])

    def _time_weights(self) -> Tensor:
        """(D, K), by the offset of the sender."""
        weights = self.temporal_weight.exp()
        return torch.cat([weights.flip(0), weights])


def _carried(maps: Tensor, grids: Tensor) -> Tensor:
    """Warp maps (B, T, K, h, w) by grids (B, T, h, w, 2); beyond the border lies their lowest."""
    flat = maps.flatten(0, 1)
    return warp_maps(flat, grids.flatten(0, 1), flat.amin((-2, -1))).view_as(maps)


def _convex(springs: Tensor) -> Tensor:
    least = springs.new_tensor([LEAST_STIFFNESS, -torch.inf] * 2)
    return springs.maximum(least)


def _logarithm(values: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.log(np.maximum(values, _LEAST_WEIGHT)))


def _array(values: Tensor) -> NDArray[np.float32]:
    return values.detach().cpu().numpy().astype(np.float32)
