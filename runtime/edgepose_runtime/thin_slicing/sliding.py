"""A slice that slides over a stream: a frame goes in, an earlier one comes out refined."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.thin_slicing.distance import fill_missing
from edgepose_runtime.thin_slicing.kernels import (
    MEAN,
    SUM,
    Ring,
    Rule,
    Wiring,
    bilinear_taps,
    pass_messages,
)
from edgepose_runtime.thin_slicing.springs import Springs

Floats = NDArray[np.float32]

_RULES = {"sum": SUM, "mean": MEAN}


class SlidingSlice:
    """Passes messages in a slice of a stream that moves on frame by frame. Not locked.

    Frames count from 0. Frame n is refined when frame n + ``lag`` has come, from all frames up to
    that one. A message of the last round has gone through as many neighbours as there are rounds,
    so more lag than ``rounds * reach`` changes nothing. Messages that no new frame can change any
    more are kept and used again.

    Args:
        springs: graph and parameters.
        lag: frames that must have come after the one to refine.
    """

    def __init__(self, springs: Springs, lag: int = 2) -> None:
        if lag < 0:
            raise ConfigError(f"A slice lags 0 or more frames behind, not {lag}.")
        self.springs = springs
        self.lag = lag
        self._wiring = _wiring(springs)
        self._rule = Rule(_RULES[springs.normalise], springs.exclude_reverse)
        self._ring = _ring(springs, lag)
        self.reset()

    def reset(self) -> None:
        """Forget all frames: the next one is frame 0 and has no neighbour before it."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def push(self, heatmaps: Floats, grids: Callable[[int, int], Floats | None]) -> None:
        """Take in the next frame.

        Args:
            heatmaps: (K, h, w). What is not finite counts as the lowest value of its map.
            grids: called with the numbers of a receiving and a sending frame, at most ``reach``
                apart, one of them the new one. Returns where in the sender's cells each cell of
                the receiver comes from, float32 (h, w, 2) of x, y with NaN for nowhere; or
                ``None``, if they do not exchange messages at all.
        """
        frame, ring = self._count, self._ring
        slot = frame % ring.totals.shape[1]
        maps = ring.totals[0, slot]
        if heatmaps.shape != maps.shape:
            raise ConfigError(f"Heat-maps of shape {maps.shape} are needed; got {heatmaps.shape}.")
        gain, bias = self.springs.gain, self.springs.bias
        np.multiply(heatmaps, gain[:, None, None], out=maps, casting="unsafe")
        maps += bias[:, None, None]
        fill_missing(maps)
        for seen in (ring.seen[:, slot], ring.seen_messages[:, slot], ring.seen_time[:, slot]):
            seen[:] = -1
        reach = self.springs.graph.reach
        for d, offset in enumerate(self._wiring.offsets.tolist()):
            if offset < 0 <= frame + offset:
                other = frame + offset
                self._join(frame, d, grids(frame, other))
                self._join(other, 2 * reach - 1 - d, grids(other, frame))
        self._count += 1

    def refined(self, frame: int) -> Floats:
        """Return the scores (K, h, w) of a frame, in the units of its heat-maps.

        Args:
            frame: its number, at most ``lag`` frames before the newest one.
        """
        newest, ring = self._count - 1, self._ring
        if not max(0, newest - self.lag) <= frame <= newest:
            raise ConfigError(
                f"The slice holds frames {max(0, newest - self.lag)} to {newest}, not {frame}."
            )
        size = ring.totals.shape[1]
        pass_messages(ring, self._wiring, self._rule, frame, (max(0, newest - size + 1), newest))
        at = (-1, frame % size)
        scores = ring.totals[at] * ring.scales[at][:, None, None]
        scores -= self.springs.bias[:, None, None]
        refined: Floats = scores / self.springs.gain[:, None, None]
        return refined

    def _join(self, receiver: int, d: int, grid: Floats | None) -> None:
        slot = receiver % self._ring.totals.shape[1]
        cells, parts = self._ring.cells[slot, d], self._ring.parts[slot, d]
        if grid is None:
            cells[:], parts[:] = 0, 0  # the corner of the border: outside
        else:
            bilinear_taps(np.ascontiguousarray(grid, np.float32), cells, parts)


def _wiring(springs: Springs) -> Wiring:
    edges = np.array(springs.graph.edges, np.int32).reshape(-1, 2)
    count, reach = len(edges), springs.graph.reach
    flip = np.array([1, -1, 1, -1], np.float32)
    order = np.argsort(np.concatenate([edges[:, 1], edges[:, 0]]), kind="stable")
    place = np.argsort(order).astype(np.int32)
    ahead = np.arange(1, reach + 1, dtype=np.int32)
    return Wiring(
        senders=np.concatenate([edges[:, 1], edges[:, 0]])[order],
        receivers=np.concatenate([edges[:, 0], edges[:, 1]])[order],
        reverses=np.roll(place, count)[order],
        springs=np.concatenate([springs.spatial, springs.spatial * flip]).astype(np.float32)[order],
        weights=np.tile(springs.spatial_weight, 2).astype(np.float32)[order],
        offsets=np.concatenate([-ahead[::-1], ahead]),
        time_springs=np.concatenate([springs.temporal[::-1], springs.temporal * flip]),
        time_weights=np.concatenate([springs.temporal_weight[::-1], springs.temporal_weight]),
    )


def _ring(springs: Springs, lag: int) -> Ring:
    graph, side = springs.graph, springs.heatmap_size
    joints, reach, rounds = graph.skeleton.num_joints, graph.reach, springs.rounds
    size, maps = lag + (rounds + 1) * reach + 1, (side, side)
    return Ring(
        totals=np.zeros((rounds + 1, size, joints, *maps), np.float32),
        scales=np.ones((rounds + 1, size, joints), np.float32),
        messages=np.zeros((rounds, size, 2 * len(graph.edges), *maps), np.float32),
        time_messages=np.zeros((rounds, size, 2 * reach, joints, *maps), np.float32),
        cells=np.zeros((size, 2 * reach, *maps), np.int32),
        parts=np.zeros((size, 2 * reach, 2, *maps), np.float32),
        seen=np.full((rounds + 1, size), -1),
        seen_messages=np.full((rounds, size), -1),
        seen_time=np.full((rounds, size, 2 * reach), -1),
    )
