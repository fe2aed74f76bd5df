"""Pictures of dictionaries of dynamics: poles on the complex plane, and atoms over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgepose_runtime.errors import OutputError
from edgepose_runtime.interpolation.dictionary import PoleDictionary

ATOM_COUNT = 12


def plot_poles(dictionary: PoleDictionary, path: Path) -> None:
    """Draw the poles p, -p and their conjugates around the unit circle, larger by their weight.

    Raises:
        OutputError: the picture cannot be written.
    """
    figure, axis = _figure(5.5, 5.5)
    circle = np.exp(1j * np.linspace(0, 2 * np.pi, 361))
    axis.plot(circle.real, circle.imag, color="0.8", linewidth=1)
    poles, weights = dictionary.poles, dictionary.kinds.weights.max(axis=0)
    count = len(poles)
    for sign, first in ((1, 1), (-1, 1 + count)):
        size = _sizes(weights[first : first + count])
        axis.scatter((sign * poles).real, poles.imag * sign, size, color="C0")
        axis.scatter((sign * poles).real, -poles.imag * sign, size, color="C1")
    axis.set_aspect("equal")
    axis.set_xlabel("real part")
    axis.set_ylabel("imaginary part")
    _save(figure, path)


def plot_atoms(dictionary: PoleDictionary, path: Path, length: int = 40) -> None:
    """Draw the atoms that weigh most.

    Raises:
        OutputError: the picture cannot be written.
    """
    figure, axis = _figure(7, 6)
    atoms, weights = dictionary.atoms(length), dictionary.kinds.weights.max(axis=0)
    chosen = np.sort(np.argsort(-weights, kind="stable")[:ATOM_COUNT])
    for row, atom in enumerate(chosen):
        axis.plot(2 * atoms[:, atom] - row, linewidth=1)
    axis.set_yticks([-row for row in range(len(chosen))], [f"atom {atom}" for atom in chosen])
    axis.set_xlabel("frame")
    _save(figure, path)


def _sizes(weights: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
    """Marker areas for weights over many powers of ten."""
    logs = np.log10(np.maximum(weights, 1e-9))
    return 6 + 6 * (logs - logs.min())


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout="tight")
    return figure, figure.subplots()


def _save(figure: Any, path: Path) -> None:
    try:
        figure.savefig(path)
    except OSError as error:
        raise OutputError(f"The picture {path} cannot be written: {error}.") from error
