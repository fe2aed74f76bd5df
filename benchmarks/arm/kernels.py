"""Kernels that numba compiles here, compared with NumPy and OpenCV."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from edgepose_runtime.geometry.crop import crop_frame, crop_frame_numpy
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.heatmaps.decoding import (
    decode_heatmaps,
    decode_heatmaps_numpy,
    realign_heatmaps,
    realign_heatmaps_numpy,
)
from edgepose_runtime.heatmaps.propagation import HeatmapFlow
from edgepose_runtime.interpolation import hpim
from edgepose_runtime.interpolation.dictionary import Kinds, PoleDictionary
from edgepose_runtime.interpolation.interpolator import PoseInterpolator
from edgepose_runtime.poses.grey_view import VIEW_SIZE, view_of
from edgepose_runtime.poses.optical_flow import propagate_opencv
from edgepose_runtime.poses.skeletons import PENN13
from edgepose_runtime.poses.smoothing import Memory, OneEuroFilter, smooth_numpy
from edgepose_runtime.thin_slicing.distance import distance_transform, distance_transform_numpy
from edgepose_runtime.thin_slicing.warping import warp_heatmaps, warp_heatmaps_numpy

Pair = tuple[Any, Any]
#: From where to where what is known of joints goes: see `HeatmapFlow`.
_KNOWN = ((4, 44), (4, 44), (0.2, 0.9), (0.5, 4), (-3, 3), (-3, 3))
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


def _texture(random: np.random.Generator, shift: tuple[int, int]) -> Any:
    noise = random.integers(0, 256, (VIEW_SIZE + 44, VIEW_SIZE + 44), np.uint8)
    smooth = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), noise, 0, 255, cv2.NORM_MINMAX)
    moved = np.roll(smooth, shift, axis=(1, 0))
    return tuple(np.ascontiguousarray(each[:VIEW_SIZE, :VIEW_SIZE]) for each in (smooth, moved))


def _heatmap_flow() -> HeatmapFlow:
    return HeatmapFlow(PENN13.num_joints, PENN13.limbs, input_size=192)


def _follow(random: np.random.Generator) -> Pair:
    before, after = _texture(random, (3, -2))
    places = random.uniform(16, VIEW_SIZE - 16, (PENN13.num_joints, 2))
    places[4] = np.nan
    flow = _heatmap_flow().flow
    found, _ = flow.propagate(view_of(before), view_of(after), places)
    expected, _ = propagate_opencv(before, after, places, flow.neighbours)
    return found, expected


def _propagate(random: np.random.Generator) -> Pair:
    before, after = (view_of(each) for each in _texture(random, (2, -1)))
    maps = random.uniform(0, 1, (PENN13.num_joints, 48, 48)).astype(np.float32)
    known = np.column_stack([random.uniform(low, high, PENN13.num_joints) for low, high in _KNOWN])
    known[3, :2] = np.nan
    flow = _heatmap_flow()
    rest = before, after, maps, known
    return flow.propagate(*rest)[0], flow.propagate_numpy(*rest)[0]


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


#: Each kernel beside NumPy or OpenCV, and by how much they may differ, in units of the result.
KERNELS: dict[str, tuple[Callable[[np.random.Generator], Pair], float]] = {
    "crop": (_crop, 1),  # values midway between two bytes may round to either
    "peaks": (_decode, 1e-3),
    "realignment": (_realign, 1e-4),
    "smoothing": (_smooth, 1e-2),
    "optical flow": (_follow, 0.1),  # in pixels; OpenCV rounds patches otherwise
    "propagation of heat-maps": (_propagate, 1e-4),
    "warping": (_warp, 1e-5),
    "distance transform": (_send, 1e-4),
    "interpolation": (_interpolate, 2e-3),
}


def difference(name: str) -> float:
    """Return the largest difference of a kernel to its twin; infinite where NaNs differ."""
    found, expected = (
        np.asarray(each, np.float64) for each in KERNELS[name][0](np.random.default_rng(0))
    )
    if not np.array_equal(np.isfinite(found), np.isfinite(expected)):
        return float("inf")
    return float(np.nanmax(np.abs(found - expected)))
