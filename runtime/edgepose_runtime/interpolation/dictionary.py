"""Dictionaries of dynamics atoms (DYAN): how joints move over time, as sums of poles.

An atom is a sequence ``p**t`` of a complex pole p = r exp(i theta): it turns by theta per frame,
and grows or fades by r. A movement of a joint is a sum of few of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgepose_runtime.errors import BundleFormatError, BundleNotFoundError, ConfigError
from edgepose_runtime.files import DAMAGED_ARCHIVE, require_regular, require_small

Doubles = NDArray[np.float64]

FORMAT, VERSION = "edgepose.dictionary", 1
#: The dictionary that is shipped, trained for interpolation on Penn Action's joint sequences.
DEFAULT_DICTIONARY = Path(__file__).parents[1] / "dictionaries" / "motion.npz"


def pole_atoms(radius: ArrayLike, angle: ArrayLike, length: int) -> Doubles:
    """Build the real dictionary of N poles in the first quadrant (DYAN).

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


#: Bytes of a file of poles, at most.
LARGEST_DICTIONARY = 64 << 20


@dataclass(frozen=True, eq=False)
class Kinds:
    """The kinds of movement that a dictionary expects, such as a joint at rest or a swing.

    Attributes:
        weights: (M, atoms) the variance to expect of each atom's coefficient, for each kind, in
            squared sides of the person's box.
        log_odds: (M,) how common each kind is.
        trust: how much the likelihood of a joint's key poses tells of what kind its movement is,
            0 or more. 1 is right if all else is.
        frames: of the windows whose atoms the weights belong to.

    Raises:
        ConfigError: the shapes do not fit, a value is not finite, or a weight negative.
    """

    weights: Doubles
    log_odds: Doubles
    trust: float = 1.0
    frames: int = 40

    def __post_init__(self) -> None:
        weights, odds = np.array(self.weights, np.float64), np.array(self.log_odds, np.float64)
        if weights.ndim != 2 or odds.shape != weights.shape[:1] or len(odds) == 0:
            raise ConfigError(
                "Kinds of movement need a row of weights and a log-odds each; got the shapes "
                f"{weights.shape} and {odds.shape}."
            )
        if not (np.isfinite(weights).all() and np.isfinite(odds).all() and (weights >= 0).all()):
            raise ConfigError("Weights must be finite numbers from 0 on, and log-odds finite.")
        if not 0 <= self.trust < np.inf:
            raise ConfigError(f"The trust must be a finite number from 0 on; got {self.trust}.")
        if self.frames < 1:
            raise ConfigError(f"Windows have at least one frame; got {self.frames}.")
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "log_odds", odds)

    @classmethod
    def equal(cls, atoms: int) -> Kinds:
        """One kind, in which all atoms weigh 1."""
        return cls(np.ones((1, atoms)), np.zeros(1))

    def require_atoms(self, count: int) -> None:
        """Raise ConfigError unless there is a weight for each atom."""
        if self.weights.shape[1] != count:
            raise ConfigError(
                f"A dictionary of {count} atoms needs as many weights; got {self.weights.shape[1]}."
            )


class Dictionary(Protocol):
    """What interpolation needs of a dictionary."""

    @property
    def kinds(self) -> Kinds:
        """What movements to expect."""

    def atoms(self, length: int) -> Doubles:
        """Return the atoms over so many frames, (length, atoms).

        Raises:
            ConfigError: the dictionary is not made for so many frames.
        """

    def weights(self, length: int) -> Doubles:
        """Return the variance to expect of these atoms' coefficients, (M, atoms)."""


class PoleDictionary:
    """A dictionary of poles, for windows of any length.

    Args:
        radius: (N,) moduli.
        angle: (N,) angles in radians per frame.
        kinds: what to expect of the 1 + 4 N atoms; by default all weigh the same.

    Raises:
        ConfigError: the shapes do not fit, or a pole is not finite.
    """

    def __init__(self, radius: ArrayLike, angle: ArrayLike, kinds: Kinds | None = None) -> None:
        self.radius, self.angle = np.array(radius, np.float64), np.array(angle, np.float64)
        if self.radius.ndim != 1 or self.radius.shape != self.angle.shape:
            raise ConfigError(
                "A dictionary needs as many angles as radii, each in one row; got the shapes "
                f"{self.angle.shape} and {self.radius.shape}."
            )
        if not (np.isfinite(self.radius).all() and np.isfinite(self.angle).all()):
            raise ConfigError("The poles of a dictionary must be finite.")
        atoms = 1 + 4 * len(self.radius)
        self.kinds = kinds or Kinds.equal(atoms)
        self.kinds.require_atoms(atoms)

    @property
    def poles(self) -> NDArray[np.complex128]:
        """(N,) the poles."""
        poles: NDArray[np.complex128] = self.radius * np.exp(1j * self.angle)
        return poles

    def atoms(self, length: int) -> Doubles:
        """Return the atoms over so many frames: see `pole_atoms`."""
        return pole_atoms(self.radius, self.angle, length)

    def weights(self, length: int) -> Doubles:
        """Return what to expect of them: the longer an atom of norm 1 is, the less it swings."""
        return self.kinds.weights * (length / self.kinds.frames)


class MatrixDictionary:
    """A dictionary given as a matrix, such as the published ones; for no longer windows.

    Args:
        matrix: (T, atoms).
        kinds: what to expect of the atoms; by default all weigh the same.

    Raises:
        ConfigError: the shapes do not fit, or a value is not finite.
    """

    def __init__(self, matrix: ArrayLike, kinds: Kinds | None = None) -> None:
        self.matrix = np.array(matrix, np.float64)
        if self.matrix.ndim != 2 or 0 in self.matrix.shape or not np.isfinite(self.matrix).all():
            raise ConfigError(
                "A dictionary must be a matrix of finite numbers, frames x atoms; got the shape "
                f"{self.matrix.shape}."
            )
        self.kinds = kinds or Kinds.equal(self.matrix.shape[1])
        self.kinds.require_atoms(self.matrix.shape[1])

    def atoms(self, length: int) -> Doubles:
        """Return the first rows, as they are: the released code cuts longer dictionaries so.

        Raises:
            ConfigError: the matrix has fewer rows.
        """
        if not 1 <= length <= len(self.matrix):
            raise ConfigError(
                f"This dictionary has atoms of {len(self.matrix)} frames and cannot be used for "
                f"{length}; take a dictionary of poles, which fits any length."
            )
        return self.matrix[:length]

    def weights(self, length: int) -> Doubles:  # noqa: ARG002 - rows that are cut change no norm
        """Return what to expect of the atoms, however many rows are used."""
        return self.kinds.weights


def save_dictionary(dictionary: PoleDictionary, path: Path) -> None:
    """Write a dictionary of poles as ``.npz``, in single precision."""
    np.savez(
        path,
        format=np.array(FORMAT),
        version=np.array(VERSION),
        radius=dictionary.radius.astype(np.float32),
        angle=dictionary.angle.astype(np.float32),
        weights=dictionary.kinds.weights.astype(np.float32),
        log_odds=dictionary.kinds.log_odds.astype(np.float32),
        trust=np.array(dictionary.kinds.trust, np.float32),
        frames=np.array(dictionary.kinds.frames),
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
        trust, frames = float(content["trust"]), int(content["frames"])
        kinds = Kinds(content["weights"], content["log_odds"], trust, frames)
        return PoleDictionary(content["radius"], content["angle"], kinds)
    except (KeyError, TypeError, ValueError) as error:  # ConfigError is a ValueError
        raise BundleFormatError(f"The dictionary {path} is damaged: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise BundleNotFoundError(f"There is no dictionary at {path}.")
    try:
        require_regular(path, LARGEST_DICTIONARY)
        with np.load(path, allow_pickle=False) as archive:
            require_small(archive, LARGEST_DICTIONARY)
            return {name: archive[name] for name in archive.files}
    except DAMAGED_ARCHIVE as error:
        raise BundleFormatError(f"The dictionary {path} cannot be read: {error}.") from error
