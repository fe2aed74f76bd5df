"""Key frames and key poses as a caller gives them, checked and in one form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgepose_runtime.errors import ConfigError

KeyFrames = Sequence[int] | NDArray[np.integer]

#: Types as arrays have them: comparing with the scalar types takes ten times as long.
SINGLE, _WHOLE = np.dtype(np.float32), np.dtype(np.int64)


def require_measures(noise: float | None, scale: float | None) -> None:
    """Refuse measures of key poses that are out of range.

    Args:
        noise: standard deviation of a coordinate, in sides of the person's box, or None.
        scale: longer side of that box, in the unit of the poses, or None.

    Raises:
        ConfigError: one is negative, not finite, or a scale of 0.
    """
    if noise is not None and not 0 <= noise < np.inf:
        raise ConfigError(f"The noise must be a finite number from 0 on, or None; got {noise}.")
    if scale is not None and not 0 < scale < np.inf:
        raise ConfigError(f"The person's size must be a finite number above 0; got {scale}.")


def checked_keys(
    key_frames: KeyFrames, key_poses: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return key frames as int64 (r,), and key poses as float32 (r, K, 3): x, y, score.

    Args:
        key_frames: (r,) whole numbers, rising; at least one.
        key_poses: (r, K, 3) x, y, score, or (r, K, 2), whose joints get the score 1.

    Raises:
        ConfigError: they are of another shape or type, or do not increase.
    """
    from edgepose_runtime.interpolation.kernels.hpim import are_increasing

    keys = np.asarray(key_frames)
    if keys.ndim != 1 or len(keys) == 0 or keys.dtype.kind not in "iu":
        raise ConfigError(
            "Interpolation needs the whole numbers of one or more key frames in one row; got "
            f"{keys.dtype} of shape {keys.shape}."
        )
    keys = keys.astype(_WHOLE, copy=False)
    if not are_increasing(keys):
        raise ConfigError(f"Key frames must increase; got {keys.tolist()}.")
    poses = np.asarray(key_poses)
    if poses.ndim != 3 or len(poses) != len(keys) or poses.shape[2] not in (2, 3):
        raise ConfigError(
            f"Key poses must have the shape ({len(keys)}, joints, 3) or ({len(keys)}, joints, 2); "
            f"got {poses.shape}."
        )
    if poses.shape[2] == 2:
        poses = np.concatenate([poses, np.ones((*poses.shape[:2], 1))], axis=2)
    return keys, np.ascontiguousarray(poses, SINGLE)
