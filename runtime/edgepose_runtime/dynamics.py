"""Dictionaries of dynamics atoms (DYAN): how joints move over time, as sums of poles.

An atom is a sequence ``p**t`` of a complex pole p = r exp(i theta): it turns by theta per frame,
and grows or fades by r. A movement of a joint is a sum of few of them.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgepose_runtime.errors import BundleFormatError, BundleNotFoundError, ConfigError

Doubles = NDArray[np.float64]

FORMAT, VERSION = "edgepose.dictionary", 1
#: The dictionary that is shipped, trained for interpolation on Penn Action's joint sequences.
DEFAULT_DICTIONARY = Path(__file__).parent / "dictionaries" / "motion.npz"


def pole_atoms(radius: ArrayLike, angle: ArrayLike, length: int) -> Doubles:
    """Build the real dictionary of N poles in the first quadrant (DYAN; SPEC section 5.1).

    Each pole p stands for p, -p and their conjugates.

    Args:
        radius: (N,) moduli of the poles.
        angle: (N,) their angles in radians per frame.
        length: number of frames T.

    Returns:
        (T, 1 + 4 N): a constant, then N columns each of ``r^t cos(t angle)``,
        ``(-r)^t cos(t angle)``, ``r^t sin(t angle)``, ``(-r)^t sin(t angle)``, every column divided
        by its own 2-norm over the T frames (by the root of T where that is zero). A dictionary for
        fewer frames is therefore not a slice of the rows of this one.
    """
    radius, angle = np.asarray(radius, np.float64), np.asarray(angle, np.float64)
    time = np.arange(length)[:, None]
    grown = radius**time
    flipped = np.where(time % 2, -grown, grown)
    cosine, sine = np.cos(angle * time), np.sin(angle * time)
    atoms = np.concatenate(
        [np.ones((length, 1)), grown * cosine, flipped * cosine, grown * sine, flipped * sine], 1
    )
    norms = np.linalg.norm(atoms, axis=0)
    norms[norms == 0] = np.sqrt(length)
    scaled: Doubles = atoms / norms
    return scaled


class Dictionary(Protocol):
    """What interpolation needs of a dictionary.

    Attributes:
        weights: (atoms,) how much of each atom to expect: the variance of its coefficient, in
            squared sides of the person's box. All ones where that is not known.
    """

    @property
    def weights(self) -> Doubles:
        """Return them."""

    def atoms(self, length: int) -> Doubles:
        """Return the atoms over so many frames, (length, atoms).

        Raises:
            ConfigError: the dictionary is not made for so many frames.
        """


@dataclass(frozen=True, eq=False)
class PoleDictionary:
    """A dictionary of poles, for windows of any length.

    Attributes:
        radius: (N,) moduli.
        angle: (N,) angles in radians per frame.
        weights: (1 + 4 N,) expected variance of each atom's coefficient; all ones by default.

    Raises:
        ConfigError: the shapes do not fit, or a value is not finite, or a weight negative.
    """

    radius: Doubles
    angle: Doubles
    weights: Doubles = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        radius, angle = np.array(self.radius, np.float64), np.array(self.angle, np.float64)
        if radius.ndim != 1 or radius.shape != angle.shape:
            raise ConfigError(
                "A dictionary needs as many angles as radii, each in one row; got shapes "
                f"{angle.shape} and {radius.shape}."
            )
        weights = np.ones(1 + 4 * len(radius)) if self.weights is None else self.weights
        object.__setattr__(self, "radius", radius)
        object.__setattr__(self, "angle", angle)
        object.__setattr__(self, "weights", _checked_weights(weights, 1 + 4 * len(radius)))
        if not (np.isfinite(radius).all() and np.isfinite(angle).all()):
            raise ConfigError("The poles of a dictionary must be finite numbers.")

    @property
    def poles(self) -> NDArray[np.complex128]:
        """(N,) the poles."""
        poles: NDArray[np.complex128] = self.radius * np.exp(1j * self.angle)
        return poles

    def atoms(self, length: int) -> Doubles:
        """Return the atoms over so many frames: see `pole_atoms`."""
        return pole_atoms(self.radius, self.angle, length)


@dataclass(frozen=True, eq=False)
class MatrixDictionary:
    """A dictionary given as a matrix, such as the published ones; for no longer windows.

    Attributes:
        matrix: (T, atoms).
        weights: (atoms,) expected variance of each atom's coefficient; all ones by default.

    Raises:
        ConfigError: the shapes do not fit, or a value is not finite, or a weight negative.
    """

    matrix: Doubles
    weights: Doubles = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, np.float64)
        if matrix.ndim != 2 or 0 in matrix.shape or not np.isfinite(matrix).all():
            raise ConfigError(
                "A dictionary must be a matrix of finite numbers, frames x atoms; "
                f"got shape {matrix.shape}."
            )
        weights = np.ones(matrix.shape[1]) if self.weights is None else self.weights
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "weights", _checked_weights(weights, matrix.shape[1]))

    def atoms(self, length: int) -> Doubles:
        """Return the first rows, as they are: the released code cuts longer dictionaries so."""
        if not 1 <= length <= len(self.matrix):
            raise ConfigError(
                f"This dictionary has atoms of {len(self.matrix)} frames and cannot be used for "
                f"{length}; take a dictionary of poles, which fits any length."
            )
        return self.matrix[:length]


def save_dictionary(dictionary: PoleDictionary, path: Path) -> None:
    """Write a dictionary of poles as ``.npz``, in single precision."""
    np.savez(
        path,
        format=np.array(FORMAT),
        version=np.array(VERSION),
        radius=dictionary.radius.astype(np.float32),
        angle=dictionary.angle.astype(np.float32),
        weights=dictionary.weights.astype(np.float32),
    )


def load_dictionary(path: str | Path = DEFAULT_DICTIONARY) -> PoleDictionary:
    """Read a dictionary of poles.

    Args:
        path: an ``.npz`` that `save_dictionary` wrote; the shipped one by default.

    Raises:
        BundleNotFoundError: there is no such file.
        BundleFormatError: it is damaged or holds something else.
    """
    content = _read(Path(path))
    if str(content.get("format")) != FORMAT or int(content.get("version", 0)) != VERSION:
        raise BundleFormatError(f"The file {path} is no dictionary of format version {VERSION}.")
    try:
        return PoleDictionary(content["radius"], content["angle"], content["weights"])
    except (KeyError, ConfigError) as error:
        raise BundleFormatError(f"The dictionary {path} is damaged: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise BundleNotFoundError(f"There is no dictionary at {path}.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BundleFormatError(f"The dictionary {path} cannot be read: {error}.") from error


def _checked_weights(weights: ArrayLike, count: int) -> Doubles:
    checked = np.array(weights, np.float64)
    if checked.shape != (count,) or not (np.isfinite(checked).all() and (checked >= 0).all()):
        raise ConfigError(
            f"A dictionary of {count} atoms needs as many finite weights from 0 on; "
            f"got shape {checked.shape}."
        )
    return checked
