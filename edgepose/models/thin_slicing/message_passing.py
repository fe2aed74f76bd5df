"""Thin-Slicing's message passing in PyTorch, to learn springs and networks with it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgepose.models.thin_slicing.transforms import Transform, dense_transform, warp_frames
from edgepose_runtime.thin_slicing.distance import LEAST_STIFFNESS
from edgepose_runtime.thin_slicing.graph import PoseGraph
from edgepose_runtime.thin_slicing.springs import Springs

#: Weights are learned as logarithms: none can be 0.
_LEAST_WEIGHT = 1e-6


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

    The parameters are those of :class:`~edgepose_runtime.thin_slicing.springs.Springs`; weights and
    gains are kept as logarithms.

    Args:
        springs: where to start.
        transform: how messages are computed: :func:`dense_transform` on any device, or
            ``envelope_transform`` beside it, which is quicker on the CPU.
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
                sent = warp_frames(sent, grids[:, first:end, d])
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


def _convex(springs: Tensor) -> Tensor:
    least = springs.new_tensor([LEAST_STIFFNESS, -torch.inf] * 2)
    return springs.maximum(least)


def _logarithm(values: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.log(np.maximum(values, _LEAST_WEIGHT)))


def _array(values: Tensor) -> NDArray[np.float32]:
    return values.detach().cpu().numpy().astype(np.float32)
