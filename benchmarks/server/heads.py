"""The heads of the sweep: the bundle's own, and a much stronger network in its place."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgepose.methods import MethodSpec
from edgepose_runtime.geometry.roi import PERSON_CROP_FACTOR, Roi
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.skeletons import Skeleton
from edgepose_runtime.tensors import Array

#: Width of the peaks that a peer's joints are drawn as, in cells.
_SPREAD = 1.5

Estimate = Callable[[Array, Roi], NDArray[np.float32]]


class HeatmapPeer:
    """A peer's joints as heat-maps of ours: what a heavier head of the same accuracy would say.

    Args:
        estimate: takes an image and the person's box in it; returns (K, 3).
        skeleton: of the peer.
        spec: of our heat-maps.
    """

    def __init__(self, estimate: Estimate, skeleton: Skeleton, spec: MethodSpec) -> None:
        self._estimate = estimate
        self._skeleton = skeleton
        self._spec = spec

    def __call__(self, crop: Array) -> NDArray[np.float32]:
        """Return heat-maps (K, h, w) of a crop."""
        size = len(crop)
        middle = (size - 1) / 2
        box = Roi.around((middle, middle), size / PERSON_CROP_FACTOR)
        found = self._estimate(crop, box)
        return self._drawn(convert_keypoints(found, self._skeleton, self._spec.skeleton))

    def _drawn(self, joints: NDArray[np.float32]) -> NDArray[np.float32]:
        cells = (joints[:, :2] - self._spec.offset) / self._spec.stride
        grid = np.arange(self._spec.heatmap_size)
        dx = (grid - cells[:, :1])[:, None, :]
        dy = (grid - cells[:, 1:])[:, :, None]
        peaks = np.exp(-(dx**2 + dy**2) / (2 * _SPREAD**2))
        drawn = np.nan_to_num(peaks) * np.clip(joints[:, 2], 0, 1)[:, None, None]
        maps: NDArray[np.float32] = drawn.astype(np.float32)
        return maps
