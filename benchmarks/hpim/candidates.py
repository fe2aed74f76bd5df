"""The ways to interpolate that are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline, PchipInterpolator

from benchmarks.hpim.smoothers import (
    kalman_smoother,
    kalman_smoother_estimated,
    smoothing_spline,
)
from edgepose.datasets.readers.tables import load_matlab
from edgepose_runtime.interpolation.dictionary import Dictionary, MatrixDictionary, pole_atoms
from edgepose_runtime.interpolation.hpim import (
    equal_atoms,
    fista_numpy,
    in_pose_units,
    interpolate_numpy,
    prepare_numpy,
)
from edgepose_runtime.interpolation.interpolator import DEFAULT_NOISE, WINDOW, PoseInterpolator

Doubles = NDArray[np.floating]
Interpolate = Callable[[NDArray[np.int64], Doubles, float], Doubles]

#: Poles that nobody trained, slow, around the unit circle.
UNTRAINED_POLES, SLOWEST = 80, 0.4
#: λ of FISTA, for poses in sides of the person's box.
SPARSITY = 0.01


class Candidate(NamedTuple):
    """A way to interpolate.

    Attributes:
        name: of it.
        interpolate: takes key frames (B, r), key poses (B, r, K, 2) in sides of the person's box,
            with NaN for what is missing, and the noise; returns poses (B, T, K, 2).
    """

    name: str
    interpolate: Interpolate


def candidates(dictionary: Dictionary, published: Path) -> list[Candidate]:
    """Return all of them: splines, Eq. 17 with the published dictionaries, and ours."""
    found = [
        Candidate("linear", along_frames(_linear)),
        Candidate("cubic", along_frames(_spline(CubicSpline))),
        Candidate("PCHIP", along_frames(_spline(PchipInterpolator))),
        Candidate("smoothing spline, noise given", along_frames(smoothing_spline)),
        Candidate("Kalman/RTS, noise given", along_frames(kalman_smoother)),
        Candidate("Kalman/RTS, noise estimated", along_frames(kalman_smoother_estimated)),
        *_published(published),
        Candidate("untrained poles, ridge", _each(_ridge(untrained()))),
    ]
    ours = PoseInterpolator(dictionary)
    return [
        *found,
        Candidate("ours, noise given", _by(ours)),
        Candidate("ours, noise estimated", _by(ours, known=False)),
        Candidate("ours, default noise", _by_default(ours)),
    ]


def untrained() -> MatrixDictionary:
    """Return atoms of slow poles near the unit circle, without those of their opposites."""
    random, count = np.random.default_rng(0), UNTRAINED_POLES
    radius = random.uniform(0.95, 1.02, count)
    atoms = pole_atoms(radius, random.uniform(0.001, SLOWEST, count), WINDOW)
    cosines, sines = atoms[:, : 1 + count], atoms[:, 1 + 2 * count : 1 + 3 * count]
    return MatrixDictionary(np.concatenate([cosines, sines], axis=1))


def along_frames(one: Callable[[NDArray[np.int64], Doubles, float], Doubles]) -> Interpolate:
    """Turn a function of keys (n,), values (n, C) without gaps and the noise into a candidate's."""

    def interpolate(keys: NDArray[np.int64], poses: Doubles, noise: float) -> Doubles:
        out = np.full((len(poses), WINDOW, *poses.shape[2:]), np.nan)
        for frames, windows, joints in _tracks_by_keys(keys, np.isfinite(poses[..., 0])):
            rows = np.stack([np.searchsorted(keys[window], frames) for window in windows])
            values = poses[windows[:, None], rows, joints[:, None]].swapaxes(0, 1)
            path = one(frames, values.reshape(len(frames), -1), noise).reshape(WINDOW, -1, 2)
            out[windows, :, joints] = path.swapaxes(0, 1)
        return out

    return interpolate


def _tracks_by_keys(
    keys: NDArray[np.int64], seen: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """Yield key frames, and windows and joints that are seen in these: done at once."""
    tracks: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for window, (frames, flags) in enumerate(zip(keys, seen, strict=True)):
        for joint in np.flatnonzero(flags.any(axis=0)):
            found = tuple(frames[flags[:, joint]].tolist())
            tracks.setdefault(found, []).append((window, int(joint)))
    for found, members in tracks.items():
        windows, joints = np.array(members).T
        yield np.array(found), windows, joints


def _linear(keys: NDArray[np.int64], values: Doubles, _noise: float) -> Doubles:
    frames = np.arange(WINDOW)
    return np.stack([np.interp(frames, keys, column) for column in values.T], axis=1)


def _spline(kind: type) -> Callable[[NDArray[np.int64], Doubles, float], Doubles]:
    def interpolate(keys: NDArray[np.int64], values: Doubles, noise: float) -> Doubles:
        if len(keys) < 2:
            return _linear(keys, values, noise)
        # Before the first key and after the last a spline runs away: it is held there instead.
        frames = np.clip(np.arange(WINDOW), keys[0], keys[-1])
        path: Doubles = kind(keys, values)(frames)
        return path

    return interpolate


def _by(interpolator: PoseInterpolator, known: bool = True) -> Interpolate:
    def interpolate(keys: NDArray[np.int64], poses: Doubles, noise: float) -> Doubles:
        interpolated = partial(
            interpolator.interpolate, noise=noise if known else None, scale=1.0, uncertain=False
        )
        return np.stack(
            [interpolated(frames, given).poses for frames, given in zip(keys, poses, strict=True)]
        )

    return interpolate


def _by_default(interpolator: PoseInterpolator) -> Interpolate:
    given = _by(interpolator)
    return lambda keys, poses, _noise: given(keys, poses, DEFAULT_NOISE)


def _each(one: Callable[[NDArray[np.int64], Doubles], Doubles]) -> Interpolate:
    """Turn a function of the key frames (r,) and key poses (r, K, 3) of a window into a way."""

    def interpolate(keys: NDArray[np.int64], poses: Doubles, _noise: float) -> Doubles:
        scored = np.concatenate([poses, np.ones_like(poses[..., :1])], axis=-1)
        return np.stack([one(*given) for given in zip(keys, scored, strict=True)])

    return interpolate


def _ridge(dictionary: Dictionary) -> Callable[[NDArray[np.int64], Doubles], Doubles]:
    """Interpolate with a ridge of 0.01, as slow poles make a system that is nearly singular."""
    prior = equal_atoms(dictionary, WINDOW)
    return lambda keys, poses: interpolate_numpy(prior, keys, poses, scale=1.0, fixed=0.01)[0]


def _fista(dictionary: Dictionary) -> Callable[[NDArray[np.int64], Doubles], Doubles]:
    """Interpolate by sparse codes, as the released code does."""
    atoms = dictionary.atoms(WINDOW)

    def interpolate(keys: NDArray[np.int64], poses: Doubles) -> Doubles:
        given = prepare_numpy(poses, scale=1.0)
        values = given.values.transpose(0, 2, 1).reshape(len(keys), -1)
        seen = np.repeat(given.scores > 0, 2, axis=1)
        paths = atoms @ fista_numpy(atoms[keys], values, SPARSITY, seen=seen)
        mean = paths.reshape(WINDOW, -1, 2).transpose(1, 2, 0)
        return in_pose_units(mean, np.zeros(mean[:, 0].shape), given)[0]

    return interpolate


def published_dictionaries(folder: Path) -> Iterator[tuple[str, MatrixDictionary]]:
    """Yield the name of the data set and the dictionary of each published one in a folder."""
    for name, file in (("JHMDB", "jhmdb_T40_N161.mat"), ("Penn", "penn_T60_N161.mat")):
        if (folder / file).is_file():
            yield name, MatrixDictionary(load_matlab(folder / file, "Dictionary")["Dictionary"])


def _published(folder: Path) -> Iterator[Candidate]:
    for name, dictionary in published_dictionaries(folder):
        plain = PoseInterpolator(dictionary, method="least-squares")
        yield Candidate(f"Eq. 17, {name}", _by(plain))
        yield Candidate(f"FISTA, {name}", _each(_fista(dictionary)))
