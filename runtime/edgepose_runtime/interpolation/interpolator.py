"""Human pose interpolation (HPIM): all poses of a window from those of a few key frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.interpolation.dictionary import Dictionary, load_dictionary
from edgepose_runtime.interpolation.hpim import equal_atoms, expected_movement
from edgepose_runtime.interpolation.key_poses import (
    SINGLE,
    KeyFrames,
    checked_keys,
    require_measures,
)

Method = Literal["weighted", "least-squares"]

#: Frames of a window, as in the paper.
WINDOW = 40
#: Noise of a key pose with score 1, in sides of the person's box, where none is given.
DEFAULT_NOISE = 0.02


@dataclass(frozen=True, slots=True)
class Interpolation:
    """Poses of consecutive frames.

    Attributes:
        poses: float32 (T, K, 2) x, y in the unit of the key poses. NaN for a joint that no key pose
            has.
        uncertainty: float32 (T, K) standard deviation of each coordinate in the same unit. Infinite
            for a joint that no key pose has; NaN with ``"least-squares"``, which
            knows none, or where it was not asked for.
    """

    poses: NDArray[np.float32]
    uncertainty: NDArray[np.float32]

    @classmethod
    def empty(cls, frames: int, joints: int) -> Interpolation:
        """Make buffers for `PoseInterpolator` to write into."""
        return cls(
            np.empty((frames, joints, 2), np.float32), np.empty((frames, joints), np.float32)
        )


class PoseInterpolator:
    """Interpolates key poses by a dictionary of dynamics. Not for several threads at once.

    Buffers are kept from call to call: once it has seen its largest set of keys, an interpolator
    that is given `out` allocates nothing that grows with the window.

    Args:
        dictionary: how people move; the shipped one by default.
        length: frames T of a window; shorter sequences are fine, see `interpolate`.
        method: ``"weighted"`` takes the dictionary's weights for what to expect of a movement and
            each key pose for a measurement with noise, and says how uncertain the result is;
            ``"least-squares"`` is Eq. 17 of the paper, which keeps key poses as they are.

    Raises:
        ConfigError: an option is out of its range, or the dictionary is too short for the window.
    """

    def __init__(
        self,
        dictionary: Dictionary | None = None,
        length: int = WINDOW,
        *,
        method: Method = "weighted",
    ) -> None:
        _require_options(method, length)
        self.dictionary = dictionary if dictionary is not None else load_dictionary()
        self.length, self.method = length, method
        expect = expected_movement if method == "weighted" else equal_atoms
        self._prior = expect(self.dictionary, length)
        self._fixed = 0.0 if method == "least-squares" else -1.0
        self._work, self._shape = np.zeros(0), (0, 0)

    def interpolate(
        self,
        key_frames: KeyFrames,
        key_poses: ArrayLike,
        *,
        frames: int | None = None,
        noise: float | None = DEFAULT_NOISE,
        scale: float | None = None,
        uncertain: bool = True,
        out: Interpolation | None = None,
    ) -> Interpolation:
        """Return the poses of all frames of a window.

        Keys may lie anywhere: one alone gives a pose that stays, keys at one end alone give a
        movement that runs on and comes to rest, with an uncertainty that grows.

        Args:
            key_frames: (r,) frame numbers in the window, rising; at least one.
            key_poses: (r, K, 3) x, y, score, or (r, K, 2). A joint that is not finite, or whose
                score is not above 0, counts as not seen.
            frames: number of frames of a sequence that is shorter than the window.
            noise: standard deviation of a coordinate of a key pose with score 1, in sides of the
                person's box; with another score it is divided by that. None finds out which is the
                likeliest. Only ``"weighted"`` uses it.
            scale: longer side of the person's box, in the unit of the poses; by default it is taken
                from the joints of the key poses.
            uncertain: whether the uncertainty is worked out, which takes its time.
            out: buffers to write into instead of new ones: (frames, K, 2) and (frames, K).

        Raises:
            ConfigError: no key frame, key frames that do not increase or lie outside the window,
                poses of another shape, a noise or scale out of range, or unfitting buffers.
        """
        count = self.length if frames is None else frames
        if not 1 <= count <= self.length:
            raise ConfigError(
                f"This interpolator has a window of {self.length} frames; got a sequence of "
                f"{count}. Make one with a longer window, or cut the sequence into windows."
            )
        keys, poses = checked_keys(key_frames, key_poses)
        if not 0 <= keys[0] <= keys[-1] < count:
            raise ConfigError(
                f"Key frames must lie from 0 to {count - 1}; got {keys[0]} to {keys[-1]}."
            )
        result = _checked_buffers(out, count, poses.shape[1])
        self._solve(keys, poses, 0, noise, scale, uncertain, result)
        return result

    def predict(
        self,
        key_frames: KeyFrames,
        key_poses: ArrayLike,
        ahead: int = 1,
        *,
        noise: float | None = DEFAULT_NOISE,
        scale: float | None = None,
        uncertain: bool = True,
        out: Interpolation | None = None,
    ) -> Interpolation:
        """Return the poses of the frames after the last key frame, from the past alone.

        Args:
            key_frames: (r,) frame numbers of a stream of any length, rising. Those too old for a
                window that ends with the last predicted frame are left out.
            key_poses: as in `interpolate`.
            ahead: how many frames to predict, fewer than the window has.
            noise: as in `interpolate`.
            scale: as in `interpolate`.
            uncertain: as in `interpolate`.
            out: buffers to write into: (ahead, K, 2) and (ahead, K).

        Raises:
            ConfigError: as in `interpolate`, or `ahead` is out of its range.
        """
        if not 1 <= ahead < self.length:
            raise ConfigError(
                f"A window of {self.length} frames can predict 1 to {self.length - 1} frames; "
                f"got {ahead}."
            )
        keys, poses = checked_keys(key_frames, key_poses)
        keys = keys - (keys[-1] - (self.length - 1 - ahead))
        recent = int(np.searchsorted(keys, 0))
        result = _checked_buffers(out, ahead, poses.shape[1])
        first = self.length - ahead
        self._solve(keys[recent:], poses[recent:], first, noise, scale, uncertain, result)
        return result

    def warmup(self, joints: int = 13) -> None:
        """Compile the kernels, or load them from their cache."""
        self.interpolate([0], np.ones((1, joints, 3)), noise=None)

    def _solve(
        self,
        keys: NDArray[np.int64],
        poses: NDArray[np.float32],
        first: int,
        noise: float | None,
        scale: float | None,
        uncertain: bool,
        out: Interpolation,
    ) -> None:
        from edgepose_runtime.interpolation.kernels.hpim import interpolate_keys

        require_measures(noise, scale)
        rows, joints = poses.shape[:2]
        if (rows, joints) != self._shape:
            self._grow(rows, joints)
        interpolate_keys(
            self._prior.covariances,
            self._prior.log_odds,
            self._prior.trust,
            keys,
            poses,
            0.0 if scale is None else float(scale),
            -1.0 if noise is None else float(noise),
            self._fixed,
            first,
            uncertain and self.method == "weighted",
            self._work,
            out.poses,
            out.uncertainty,
        )

    def _grow(self, rows: int, joints: int) -> None:
        from edgepose_runtime.interpolation.kernels.posterior import work_size

        size = work_size(len(self._prior.log_odds), rows, joints, self.length)
        if len(self._work) < size:
            self._work = np.empty(size)
        self._shape = rows, joints


def _require_options(method: Method, length: int) -> None:
    if method not in get_args(Method):
        raise ConfigError(
            f"The interpolation method {method!r} is not known; choose one of "
            f"{', '.join(get_args(Method))}."
        )
    if length < 1:
        raise ConfigError(f"Interpolation needs a window of at least 1 frame; got {length}.")


def _checked_buffers(out: Interpolation | None, frames: int, joints: int) -> Interpolation:
    if out is None:
        return Interpolation.empty(frames, joints)
    for buffer, shape in ((out.poses, (frames, joints, 2)), (out.uncertainty, (frames, joints))):
        if buffer.shape != shape or buffer.dtype != SINGLE or not buffer.flags.c_contiguous:
            raise ConfigError(
                f"The buffer must be a C-contiguous float32 array of shape {shape}; "
                f"got {buffer.dtype} of shape {buffer.shape}."
            )
    return out
