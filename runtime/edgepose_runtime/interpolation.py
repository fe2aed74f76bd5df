"""Human pose interpolation (HPIM): all poses of a window from those of a few key frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgepose_runtime.dynamics import Dictionary, Doubles, load_dictionary
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.hpim import UNSEEN, fista_numpy, posterior_numpy, prior_covariance

Method = Literal["weighted", "ridge", "least-squares", "fista"]

#: Frames of a window, as in the paper.
WINDOW = 40
#: Noise of a key pose with score 1, in sides of the person's box, where none is given.
DEFAULT_NOISE = 0.02
#: A score below this counts as this: noise grows no further.
LOWEST_SCORE = 0.1


@dataclass(frozen=True, slots=True)
class Interpolation:
    """Poses over a window.

    Attributes:
        poses: float32 (T, K, 2) x, y in the unit of the key poses. NaN for a joint that no key pose
            has.
        uncertainty: float32 (T, K) standard deviation of each coordinate, in the same unit; NaN
            with the methods that know none (all but ``"weighted"``), infinite for a joint that no
            key pose has.
    """

    poses: NDArray[np.float32]
    uncertainty: NDArray[np.float32]

    @classmethod
    def empty(cls, frames: int, joints: int) -> Interpolation:
        """Make buffers that `PoseInterpolator` can write into."""
        return cls(
            np.empty((frames, joints, 2), np.float32), np.empty((frames, joints), np.float32)
        )


class PoseInterpolator:
    """Interpolates key poses by a dictionary of dynamics. Not for several threads at once.

    Args:
        dictionary: how people move; the shipped one by default.
        length: frames T of a window; shorter sequences are fine, see `interpolate`.
        method: ``"weighted"`` takes the dictionary's weights as what to expect of a movement and
            each key pose as a measurement with noise, and says how uncertain it is. The others are
            the paper's: ``"least-squares"`` is Eq. 17, with key poses kept exactly; ``"ridge"``
            adds `ridge` to its diagonal; ``"fista"`` is the sparse form of the released code.
        ridge: for ``"ridge"``, relative to the mean of the diagonal.
        sparsity: λ of ``"fista"``, for poses in sides of the person's box.
        iterations: the most steps of ``"fista"``.

    Raises:
        ConfigError: an option is out of its range, or the dictionary is too short for the window.
    """

    def __init__(
        self,
        dictionary: Dictionary | None = None,
        length: int = WINDOW,
        *,
        method: Method = "weighted",
        ridge: float = 1e-2,
        sparsity: float = 0.01,
        iterations: int = 100,
    ) -> None:
        if method not in get_args(Method):
            raise ConfigError(
                f"The interpolation method {method!r} is not known; choose one of "
                f"{', '.join(get_args(Method))}."
            )
        if length < 1 or iterations < 1 or not (ridge >= 0 and sparsity >= 0):
            raise ConfigError(
                "Interpolation needs a window and iterations of at least 1, and a ridge and "
                f"sparsity of at least 0; got {length}, {iterations}, {ridge} and {sparsity}."
            )
        self.dictionary = dictionary if dictionary is not None else load_dictionary()
        self.length, self.method = length, method
        self._ridge, self._sparsity, self._iterations = ridge, sparsity, iterations
        self._atoms = self.dictionary.atoms(length)
        self._prior = self._covariance()

    def _covariance(self) -> Doubles:
        if self.method == "weighted":
            return prior_covariance(self.dictionary, self.length)
        return self._atoms @ self._atoms.T

    def interpolate(
        self,
        key_frames: Sequence[int] | NDArray[np.int64],
        key_poses: ArrayLike,
        *,
        frames: int | None = None,
        noise: float | None = DEFAULT_NOISE,
        scale: float | None = None,
        out: Interpolation | None = None,
    ) -> Interpolation:
        """Return the poses of all frames of a window.

        Keys may lie anywhere: one alone gives a pose that stays, keys at one end alone give a
        movement that runs on and comes to rest, with an uncertainty that grows.

        Args:
            key_frames: (r,) frame numbers in the window, rising; at least one.
            key_poses: (r, K, 3) x, y, score, or (r, K, 2). A joint that is not finite, or has the
                score 0, counts as not seen.
            frames: number of frames of a sequence that is shorter than the window.
            noise: standard deviation of a coordinate of a key pose with score 1, in sides of the
                person's box; with another score, it is divided by that. None finds out by the key
                poses themselves. Only ``"weighted"`` uses it.
            scale: longer side of the person's box, in the unit of the poses; by default it is taken
                from the joints of the key poses.
            out: buffers to write into instead of new ones: (frames, K, 2) and (frames, K).

        Raises:
            ConfigError: no key frame, key frames that do not rise or lie outside the window, poses
                of another shape, or a noise or scale out of range, or buffers that do not fit.
        """
        count = self._checked_frames(frames)
        keys, poses = _checked_keys(key_frames, key_poses, count)
        return self._solve(keys, poses, 0, count, noise, scale, out)

    def predict(
        self,
        key_frames: Sequence[int] | NDArray[np.int64],
        key_poses: ArrayLike,
        ahead: int = 1,
        *,
        noise: float | None = DEFAULT_NOISE,
        scale: float | None = None,
        out: Interpolation | None = None,
    ) -> Interpolation:
        """Return the poses of the frames after the last key frame, from the past alone.

        Args:
            key_frames: (r,) frame numbers of a stream of any length, rising. Those too old for a
                window that ends with the last predicted frame are left out.
            key_poses: as in `interpolate`.
            ahead: how many frames to predict, less than the window has.
            noise: as in `interpolate`.
            scale: as in `interpolate`.
            out: buffers to write into: (ahead, K, 2) and (ahead, K).

        Raises:
            ConfigError: as in `interpolate`, or `ahead` is out of its range.
        """
        if not 1 <= ahead < self.length:
            raise ConfigError(
                f"A window of {self.length} frames can predict 1 to {self.length - 1}; got {ahead}."
            )
        keys, poses = _checked_keys(key_frames, key_poses, None)
        keys = keys - keys[-1] + self.length - 1 - ahead
        recent = keys >= 0
        keys, poses = keys[recent], poses[recent]
        return self._solve(keys, poses, self.length - ahead, self.length, noise, scale, out)

    def _checked_frames(self, frames: int | None) -> int:
        count = self.length if frames is None else frames
        if not 1 <= count <= self.length:
            raise ConfigError(
                f"This interpolator has a window of {self.length} frames; got a sequence of "
                f"{count}. Cut longer ones into windows."
            )
        return count

    def _solve(
        self,
        keys: NDArray[np.int64],
        poses: Doubles,
        first: int,
        end: int,
        noise: float | None,
        scale: float | None,
        out: Interpolation | None,
    ) -> Interpolation:
        result = _checked_buffers(out, end - first, poses.shape[1])
        size = _checked_scale(poses, scale)
        values, scores = poses[:, :, :2], poses[:, :, 2]
        centre = _centres(values, scores)
        normal = np.where(scores[..., None] > 0, (values - centre) / size, 0.0)
        if self.method == "fista":
            expected = self._sparse(keys, normal, scores)
            variance = np.full(expected.shape[:2], np.nan)
        else:
            variances = np.where(scores > 0, self._variances(scores, noise, keys), UNSEEN)
            expected, variance = posterior_numpy(self._prior, keys, normal, variances)
            if self.method != "weighted":
                variance[:] = np.nan
        unseen = ~(scores > 0).any(axis=0)
        result.poses[:] = expected[first:end] * size + centre
        result.uncertainty[:] = np.sqrt(variance[first:end]) * size
        result.poses[:, unseen], result.uncertainty[:, unseen] = np.nan, np.inf
        return result

    def _variances(self, scores: Doubles, noise: float | None, keys: NDArray[np.int64]) -> Doubles:
        if self.method == "ridge":
            return np.full(scores.shape, self._ridge * self._prior[keys, keys].mean())
        if self.method == "least-squares":
            return np.zeros(scores.shape)
        level = DEFAULT_NOISE if noise is None else noise
        return (level / np.maximum(scores, LOWEST_SCORE)) ** 2

    def _sparse(self, keys: NDArray[np.int64], values: Doubles, scores: Doubles) -> Doubles:
        seen = np.repeat(scores > 0, 2, axis=1)
        flat = values.reshape(len(keys), -1)
        codes = fista_numpy(self._atoms[keys], flat, self._sparsity, self._iterations, seen)
        expected: Doubles = (self._atoms @ codes).reshape(self.length, -1, 2)
        return expected


def _centres(values: Doubles, scores: Doubles) -> Doubles:
    """The mean place of each joint over the key poses, (K, 2); 0 for one that none has."""
    seen = (scores > 0)[..., None]
    total = np.where(seen, values, 0).sum(axis=0)
    return np.asarray(total / np.maximum(seen.sum(axis=0), 1), np.float64)


def _checked_keys(
    key_frames: Sequence[int] | NDArray[np.int64], key_poses: ArrayLike, count: int | None
) -> tuple[NDArray[np.int64], Doubles]:
    """Return key frames as integers, and poses (r, K, 3) with score 0 where a joint is not seen."""
    keys = np.asarray(key_frames)
    if keys.ndim != 1 or len(keys) == 0 or keys.dtype.kind not in "iu":
        raise ConfigError(
            "Interpolation needs the whole numbers of one or more key frames in one row; got "
            f"{keys.dtype} of shape {keys.shape}."
        )
    if (np.diff(keys) <= 0).any() or (count is not None and not 0 <= keys[0] <= keys[-1] < count):
        place = "" if count is None else f", from 0 to {count - 1}"
        raise ConfigError(f"Key frames must rise{place}; got {keys.tolist()}.")
    given = np.asarray(key_poses, np.float64)
    if given.ndim != 3 or given.shape[0] != len(keys) or given.shape[2] not in (2, 3):
        raise ConfigError(
            f"Key poses must have the shape ({len(keys)}, joints, 3) or ({len(keys)}, joints, 2); "
            f"got {given.shape}."
        )
    poses = np.ones((*given.shape[:2], 3))
    poses[..., : given.shape[2]] = given
    poses[~np.isfinite(poses).all(axis=2), 2] = 0
    return keys.astype(np.int64), poses


def _checked_scale(poses: Doubles, scale: float | None) -> float:
    if scale is None:
        return _person_size(poses)
    if not (np.isfinite(scale) and scale > 0):
        raise ConfigError(f"The person's size must be a finite number above 0; got {scale}.")
    return scale


def _person_size(poses: Doubles) -> float:
    """The longest side over all key poses of the box around the joints; 1 where there is none."""
    seen = poses[:, :, 2:] > 0
    low = np.where(seen, poses[:, :, :2], np.inf).min(axis=1)
    high = np.where(seen, poses[:, :, :2], -np.inf).max(axis=1)
    side = float((high - low).max())
    return side if np.isfinite(side) and side > 0 else 1.0


def _checked_buffers(out: Interpolation | None, frames: int, joints: int) -> Interpolation:
    if out is None:
        return Interpolation.empty(frames, joints)
    for buffer, shape in ((out.poses, (frames, joints, 2)), (out.uncertainty, (frames, joints))):
        if buffer.shape != shape or buffer.dtype != np.float32:
            raise ConfigError(
                f"The buffer must be a float32 array of shape {shape}; "
                f"got {buffer.dtype} of shape {buffer.shape}."
            )
    return out
