"""Random tasks for interpolation: which frames are keys, how noisy they are, what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.motion_windows import MotionWindows

Placement = Literal["uniform", "random"]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """What kind of task.

    Attributes:
        keys: number of key frames.
        noise: standard deviation of a key pose's coordinates, in sides of the person's box.
        placement: key frames evenly spaced from the first frame to the last, or drawn.
        missing: share of joints missing from the key poses.
    """

    keys: int
    noise: float
    placement: Placement
    missing: float


@dataclass(frozen=True)
class Trial:
    """A task for each of B windows.

    Attributes:
        key_frames: (B, r).
        key_poses: (B, r, K, 2) with noise.
        seen: (B, r, K), False where a joint is missing. At least one key has each visible joint.
    """

    key_frames: NDArray[np.int64]
    key_poses: Doubles
    seen: NDArray[np.bool_]


def draw_trial(windows: MotionWindows, setting: Setting, random: np.random.Generator) -> Trial:
    """Draw a task for each window."""
    count, length, joints = windows.paths.shape[:3]
    frames = np.stack([_place(setting, length, random) for _ in range(count)])
    poses = np.take_along_axis(windows.paths, frames[:, :, None, None], axis=1)
    poses = poses + setting.noise * random.standard_normal(poses.shape)
    lost = random.random((count, setting.keys, joints)) < setting.missing
    lost &= ~lost.all(axis=1, keepdims=True)
    return Trial(frames, poses, windows.visible[:, None] & ~lost)


def draw_setting(random: np.random.Generator) -> Setting:
    """Draw a setting to train for: half of them without noise, half with joints missing."""
    noise = 0.0 if random.random() < 0.5 else float(np.exp(random.uniform(-5.8, -3.0)))
    placement: Placement = "uniform" if random.random() < 0.5 else "random"
    missing = 0.2 if random.random() < 0.5 else 0.0
    return Setting(int(random.integers(4, 25)), noise, placement, missing)


def _place(setting: Setting, length: int, random: np.random.Generator) -> NDArray[np.int64]:
    if setting.placement == "uniform":
        return np.round(np.linspace(0, length - 1, setting.keys)).astype(np.int64)
    return np.sort(random.choice(length, setting.keys, replace=False))
