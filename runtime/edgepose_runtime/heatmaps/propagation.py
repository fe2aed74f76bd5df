"""Heat-maps propagated from frame to frame by the optical flow of their joints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.heatmaps.decoding import (
    OFFSET,
    STRIDE,
    Floats,
    decode_heatmaps,
    decode_heatmaps_numpy,
)
from edgepose_runtime.native.library import Kernel, precompiled
from edgepose_runtime.poses.grey_view import VIEW_SIZE, View, view_of
from edgepose_runtime.poses.optical_flow import HALF_TRUSTED, LOST, JointFlow

Doubles = NDArray[np.float64]
#: Columns of what is known of joints.
SCORE, DEVIATION = 2, 3
_PLACE, _OFFSET = slice(0, 2), slice(4, 6)


@dataclass(frozen=True, slots=True)
class FlowSettings:
    """How far the last pose is trusted against a network; lengths in heat-map cells.

    The defaults were chosen on the part ``selection`` of the JHMDB clips.

    Attributes:
        share: of the expected joints in the fused heat-maps, from 0 to 1.
        drift: by which the deviation of a joint grows in each frame (root of the sum of squares).
        per_doubt: by which it grows besides, for each cell that flow forward and backward is off.
        largest_deviation: it grows no further.
        memory: what is left of a joint's offset, in which both networks differ, after each frame.
        adaptation: how fast the offset follows what is seen, from 0 to 1.
        largest_offset: a joint further off was mistaken for another one; it is not learned from.
        deviation: of a joint that the head has just seen.
    """

    share: float = 0.47
    drift: float = 0.45
    per_doubt: float = 4.0
    largest_deviation: float = 5.0
    memory: float = 0.87
    adaptation: float = 0.15
    largest_offset: float = 4.0
    deviation: float = 1.5


class HeatmapFlow:
    """Fuses a network's heat-maps with the last frame's joints, followed through the picture.

    What is known of joints is float64 (K, 6): x and y in cells (NaN for a joint that is not
    known), score, standard deviation in cells, and in x and y the offset from the network's joint.

    Args:
        num_joints: K.
        limbs: pairs of joints that are neighbours.
        input_size: side of the region in the pixels that stride and offset count.
        stride: pixels from one cell to the next.
        offset: pixel of the first cell's centre.
        settings: how both are weighted.
    """

    def __init__(
        self,
        num_joints: int,
        limbs: Sequence[tuple[int, int]],
        *,
        input_size: int,
        stride: float = STRIDE,
        offset: float = OFFSET,
        settings: FlowSettings | None = None,
    ) -> None:
        self.settings = settings or FlowSettings()
        self.flow = JointFlow(num_joints, limbs)
        zoom = VIEW_SIZE / input_size
        #: Pixels of a view for each cell, and those of the first cell's centre.
        self.cell = stride * zoom, (offset + 0.5) * zoom - 0.5
        self._trust = HALF_TRUSTED, LOST
        self._weights = astuple(self.settings)[:-1]

    def place(self, heatmaps: Floats, preliminary: Floats) -> Doubles:
        """Return what is known of the joints of heat-maps that another network made.

        Args:
            heatmaps: float32 (K, h, w).
            preliminary: of the network that is fused with, for the same frame.
        """
        joints = decode_heatmaps(heatmaps).astype(np.float64)
        known = np.zeros((len(joints), 6))
        known[:, :3], known[:, DEVIATION] = joints, self.settings.deviation
        apart = joints[:, :2] - decode_heatmaps(preliminary)[:, :2]
        near = self._is_near(apart)
        known[near, _OFFSET] = apart[near]
        return known

    def moved(
        self, known: Doubles, cells: Doubles, frames: int, doubts: Doubles, squared: Doubles
    ) -> Doubles:
        """Return what is known of joints that were followed to the next frame by other means.

        :meth:`fuse` adds what one frame without a movement adds to a deviation: that is left out.

        Args:
            known: of the joints before.
            cells: (K, 2) where they are now; NaN where unknown.
            frames: how many frames they were followed through, from 1.
            doubts: (K,) sum over these of how far off each comes back, in cells; NaN where unknown.
            squared: (K,) sum of the squares of that.
        """
        settings, moved = self.settings, known.copy()
        drift, per_doubt = settings.drift, settings.per_doubt
        grown = (frames - 1) * drift**2 + 2 * drift * per_doubt * doubts + per_doubt**2 * squared
        deviations = np.sqrt(np.square(known[:, DEVIATION]) + np.nan_to_num(grown))
        moved[:, _PLACE] = cells
        moved[:, DEVIATION] = np.minimum(deviations, settings.largest_deviation)
        moved[:, _OFFSET] *= settings.memory ** (frames - 1)
        return moved

    def propagate(
        self, before: View, after: View, preliminary: Floats, known: Doubles
    ) -> tuple[Floats, Doubles]:
        """Propagate joints into the next frame, and fuse them with its heat-maps.

        At the cell u of joint k the result is
        ``(1 - a) p_k(u - d_k) + a s_k exp(-|u - x_k|^2 / 2 v_k^2)`` with the share a, the network's
        heat-maps p, the offset d, the expected place x, its deviation v and the score s.

        Args:
            before: the last frame's region in grey, uint8; see
                :func:`edgepose_runtime.poses.grey_view.view_of`.
            after: this frame's.
            preliminary: float32 (K, h, w), of this frame.
            known: of the last frame's joints.

        Returns:
            Heat-maps float32 (K, h, w), and what is known of their joints.
        """
        return self._run(before, after, preliminary, known, self._trust)

    def fuse(self, preliminary: Floats, known: Doubles) -> tuple[Floats, Doubles]:
        """Do what :meth:`propagate` does with joints that are in this frame already."""
        # On a blank picture the kernel follows nothing, which is no reason for doubt here.
        return self._run(_blank_view(), _blank_view(), preliminary, known, (HALF_TRUSTED, 0.0))

    def _run(
        self,
        before: View,
        after: View,
        preliminary: Floats,
        known: Doubles,
        trust: tuple[float, float],
    ) -> tuple[Floats, Doubles]:
        heatmaps, found = np.empty(preliminary.shape, np.float32), np.empty(known.shape)
        maps = np.ascontiguousarray(preliminary)
        settings = self.cell, trust, self._weights
        neighbours = self.flow.neighbours
        _propagate_heatmaps()(*before, *after, maps, known, neighbours, *settings, heatmaps, found)
        return heatmaps, found

    def propagate_numpy(
        self, before: View, after: View, preliminary: Floats, known: Doubles
    ) -> tuple[Floats, Doubles]:
        """Do what :meth:`propagate` does, with NumPy for all but the flow."""
        settings, (scale, first) = self.settings, self.cell
        there, doubt = self.flow.propagate(before, after, known[:, _PLACE] * scale + first)
        growth = settings.drift + settings.per_doubt * np.nan_to_num(doubt) / scale
        deviations = np.minimum(np.hypot(known[:, DEVIATION], growth), settings.largest_deviation)
        shifts = settings.memory * known[:, _OFFSET]
        heatmaps = np.empty_like(preliminary)
        for joint, (x, y) in enumerate((there - first) / scale):
            own = (1 - settings.share) * _shifted(preliminary[joint], shifts[joint])
            height = settings.share * known[joint, SCORE]
            heatmaps[joint] = own + height * _gaussian(own.shape, x, y, deviations[joint])
        joints = decode_heatmaps_numpy(heatmaps)[:, :2].astype(np.float64)
        apart = joints - decode_heatmaps_numpy(preliminary)[:, :2]
        near = self._is_near(apart)
        offsets = shifts + settings.adaptation * np.where(near[:, None], apart - shifts, 0)
        columns = joints, known[:, SCORE, None], deviations[:, None], offsets
        return heatmaps, np.concatenate(columns, axis=1)

    def _is_near(self, apart: Doubles) -> NDArray[np.bool_]:
        with np.errstate(invalid="ignore"):
            near: NDArray[np.bool_] = np.hypot(*apart.T) <= self.settings.largest_offset
        return near


def _shifted(heatmap: Floats, shift: Doubles) -> Doubles:
    """Return a heat-map (h, w), shifted by x and y (bilinear, with zeros around it)."""
    rows, columns = (np.arange(side) for side in heatmap.shape)
    across = np.maximum(0, 1 - np.abs(columns[:, None] - shift[0] - columns))
    down = np.maximum(0, 1 - np.abs(rows[:, None] - shift[1] - rows))
    shifted: Doubles = down @ heatmap @ across.T
    return shifted


def _gaussian(shape: tuple[int, ...], x: float, y: float, deviation: float) -> Doubles:
    """Return a Gaussian of height 1 as a heat-map; nothing where its place is not known."""
    if not np.isfinite(x + y):
        return np.zeros(shape)
    rows, columns = (np.arange(side) for side in shape)
    squares = np.square(rows[:, None] - y) + np.square(columns - x)
    gaussian: Doubles = np.exp(-squares / (2 * deviation**2))
    return gaussian


@cache
def _blank_view() -> View:
    return view_of(np.zeros((VIEW_SIZE, VIEW_SIZE), np.uint8))


@precompiled
def _propagate_heatmaps() -> Kernel:
    from edgepose_runtime.heatmaps.propagation_kernels import propagate_heatmaps

    return propagate_heatmaps
