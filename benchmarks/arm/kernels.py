"""Kernels that numba compiles here, compared with NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgepose_runtime.geometry.crop import crop_frame, crop_frame_numpy
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.heatmaps.decoding import (
    decode_heatmaps,
    decode_heatmaps_numpy,
    realign_heatmaps,
    realign_heatmaps_numpy,
)
from edgepose_runtime.interpolation import hpim
from edgepose_runtime.interpolation.dictionary import Kinds, PoleDictionary
from edgepose_runtime.interpolation.interpolator import PoseInterpolator
from edgepose_runtime.poses.smoothing import Memory, OneEuroFilter, smooth_numpy
from edgepose_runtime.thin_slicing.distance import distance_transform, distance_transform_numpy
from edgepose_runtime.thin_slicing.warping import warp_heatmaps, warp_heatmaps_numpy

Pair = tuple[Any, Any]
_HERE, _THERE = Roi(2.3, 1.6, 90, 90), Roi(12, -8, 100, 100)


def _crop(random: np.random.Generator) -> Pair:
    frame = random.integers(0, 256, (108, 152, 3), np.uint8)
    return crop_frame(frame, _HERE, 48), crop_frame_numpy(frame, _HERE, 48)


def _maps(random: np.random.Generator) -> Any:
    return random.uniform(-1, 2, (13, 24, 24)).astype(np.float32)


def _decode(random: np.random.Generator) -> Pair:
    maps = _maps(random)
    return decode_heatmaps(maps), decode_heatmaps_numpy(maps)


def _realign(random: np.random.Generator) -> Pair:
    maps = _maps(random)
    return (
        realign_heatmaps(maps, _HERE, _THERE),
        realign_heatmaps_numpy(maps, _HERE, _THERE),
    )


def _smooth(random: np.random.Generator) -> Pair:
    smoother, memory = OneEuroFilter(), Memory.of(13)
    found, expected = [], []
    for number in range(1, 9):
        points = random.uniform(0, 600, (13, 2)).astype(np.float32)
        points[number] = np.nan
        found.append(smoother.apply(points, 33.0 * number, 200.0))
        expected.append(smooth_numpy(points, 33.0 * number, 200.0, smoother.settings, memory))
    return found, expected


def _warp(random: np.random.Generator) -> Pair:
    maps, grid = _maps(random), random.uniform(-3, 27, (24, 24, 2)).astype(np.float32)
    grid[3, 4] = np.nan
    return warp_heatmaps(maps, grid), warp_heatmaps_numpy(maps, grid)


def _send(random: np.random.Generator) -> Pair:
    maps, springs = _maps(random), np.array([0.02, -0.05, 0.03, 0.08], np.float32)
    return distance_transform(maps, springs), distance_transform_numpy(maps, springs).values


def _interpolate(random: np.random.Generator) -> Pair:
    weights = np.exp(random.uniform(-9, 0, (3, 81)))
    kinds = Kinds(weights, random.normal(size=3), 0.5)
    poles = PoleDictionary(np.linspace(0.95, 1.02, 20), np.linspace(0.01, 1.5, 20), kinds)
    frames = np.sort(random.choice(40, 9, replace=False))
    poses = random.uniform(0, 100, (9, 5, 3)).astype(np.float32)
    poses[..., 2] /= 100
    prior = hpim.expected_movement(poles, 40)
    expected, _ = hpim.interpolate_numpy(prior, frames, poses, noise=0.02)
    return PoseInterpolator(poles).interpolate(frames, poses, noise=0.02).poses, expected


#: Each kernel beside NumPy, and by how much they may differ, in units of the result.
KERNELS: dict[str, tuple[Callable[[np.random.Generator], Pair], float]] = {
    "crop": (_crop, 1),  # values midway between two bytes may round to either
    "peaks": (_decode, 1e-3),
    "realignment": (_realign, 1e-4),
    "smoothing": (_smooth, 1e-2),
    "warping": (_warp, 1e-5),
    "distance transform": (_send, 1e-4),
    "interpolation": (_interpolate, 2e-3),
}


def difference(name: str) -> float:
    """Return the largest difference between a kernel and NumPy; infinite where NaNs differ."""
    found, expected = (
        np.asarray(each, np.float64) for each in KERNELS[name][0](np.random.default_rng(0))
    )
    if not np.array_equal(np.isfinite(found), np.isfinite(expected)):
        return float("inf")
    return float(np.nanmax(np.abs(found - expected)))
