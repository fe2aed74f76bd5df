"""DYAN's dictionaries on joint sequences that they were not trained on: error, and atoms in use.

``python -m benchmarks dyan --help`` lists the options. Windows of 40 frames of Penn Action's videos
that are set apart and of JHMDB's validation clips. Each coordinate is reconstructed by a sparse
code (FISTA, λ = 0.01, coordinates divided by their deviation, as in training), and interpolated
from 10 even key frames: by sparse codes, and by Eq. 17. Mean error in percent of the person's box,
with intervals by bootstrap over sequences.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.hpim.candidates import published_dictionaries
from edgepose.datasets.clips import Clip
from edgepose.datasets.motion_windows import MotionWindows, cut_windows, set_apart
from edgepose.datasets.readers.jhmdb import read_jhmdb_clips
from edgepose.datasets.root import data_root
from edgepose.datasets.sequences import JointSequence, read_penn_sequences
from edgepose.evaluation.metrics.bootstrap import Resampled
from edgepose.evaluation.report import Table, markdown
from edgepose.models.keyframes.dyan import DYAN
from edgepose_runtime.errors import DataError
from edgepose_runtime.interpolation.dictionary import Dictionary, load_dictionary
from edgepose_runtime.interpolation.hpim import fista_numpy
from edgepose_runtime.interpolation.interpolator import WINDOW

Doubles = NDArray[np.float64]

SPARSITY, KEYS = 0.01, 10
#: Atoms that a code uses: those above this part of a deviation.
USED = 1e-3
#: A little on the diagonal of Eq. 17, so that the matrix can be inverted: of its mean.
LEAST = 1e-6
FIGURES = ("reconstruction, %", "atoms of a code", "10 keys, sparse, %", "10 keys, Eq. 17, %")


@dataclass(frozen=True)
class HeldOut:
    """Windows with the sequence that each was cut from."""

    windows: MotionWindows
    sequences: tuple[str, ...]


def held_out(sequences: Sequence[JointSequence]) -> HeldOut:
    """Return the windows of sequences; those that are too short have none.

    Raises:
        DataError: all are.
    """
    names, parts = list[str](), list[MotionWindows]()
    for sequence in sequences:
        try:
            found = cut_windows([sequence], WINDOW, WINDOW)
        except DataError:
            continue
        parts.append(found)
        names += [sequence.name] * len(found)
    if not parts:
        raise DataError(f"None of {len(sequences)} sequences has {WINDOW} frames, as a window has.")
    together = (
        np.concatenate(each) for each in zip(*((w.paths, w.visible) for w in parts), strict=True)
    )
    return HeldOut(MotionWindows(*together), tuple(names))


def sequence_of(clip: Clip) -> JointSequence:
    """Return the annotated joints of a clip, named after its film."""
    joints = clip.keypoints[..., :2].astype(np.float32)
    ends = np.concatenate([joints.min(axis=1), joints.max(axis=1)], axis=1)
    return JointSequence(clip.film, "", joints, clip.keypoints[..., 2] > 0, ends, clip.skeleton)


def resampled(dictionary: Dictionary, data: HeldOut) -> Resampled:
    """Return the figures of a dictionary, resampled over the sequences."""
    each = window_figures(dictionary.atoms(WINDOW), data.windows)
    joints = data.windows.visible.sum(axis=1)

    def figures(weights: NDArray[np.int64]) -> Doubles:
        counted = weights * joints
        return np.asarray(counted @ each / counted.sum(axis=1, keepdims=True), np.float64)

    return Resampled.of(data.sequences, figures)


def window_figures(atoms: NDArray[np.floating], windows: MotionWindows) -> Doubles:
    """Return the mean over the visible joints of each window (W, 4), in the order of `FIGURES`."""
    paths, visible = windows.paths, windows.visible
    unit = paths.transpose(0, 2, 1, 3)[visible].std()
    values = (paths / unit).transpose(1, 0, 2, 3).reshape(WINDOW, -1)
    keys = np.round(np.linspace(0, WINDOW - 1, KEYS)).astype(np.int64)
    codes = fista_numpy(atoms, values, SPARSITY)
    used = (np.abs(codes) > USED).sum(axis=0).reshape(*visible.shape, 2).mean(axis=-1)
    sparse = atoms @ fista_numpy(atoms[keys], values[keys], SPARSITY)
    found = [_errors(atoms @ codes, values, visible.shape) * unit * 100, used]
    found += [
        _errors(path, values, visible.shape) * unit * 100
        for path in (sparse, _least_squares(atoms, keys, values[keys]))
    ]
    counted = visible / visible.sum(axis=1, keepdims=True)
    return np.stack([(each * counted).sum(axis=1) for each in found], axis=1)


def _errors(paths: Doubles, values: Doubles, shape: tuple[int, ...]) -> Doubles:
    """Return the mean distance of each joint of each window (W, K)."""
    apart = (paths - values).reshape(WINDOW, *shape, 2)
    return np.asarray(np.hypot(apart[..., 0], apart[..., 1]).mean(axis=0), np.float64)


def _least_squares(
    atoms: NDArray[np.floating], keys: NDArray[np.int64], values: Doubles
) -> Doubles:
    gram = (atoms @ atoms.T).astype(np.float64)
    inner = gram[np.ix_(keys, keys)]
    inner = inner + LEAST * np.trace(inner) / len(keys) * np.eye(len(keys))
    return np.asarray(gram[:, keys] @ np.linalg.solve(inner, values), np.float64)


def dictionaries(files: Sequence[Path], published: Path) -> Iterator[tuple[str, Dictionary]]:
    """Yield the untrained poles that training starts with, those of files, and the published."""
    yield "untrained", DYAN(40, SPARSITY).to_dictionary()
    for path in files:
        yield f"{path.parent.name}/{path.name}", load_dictionary(path)
    for name, dictionary in published_dictionaries(published):
        yield f"published, {name}", dictionary


def rows(named: dict[str, Dictionary], data: HeldOut, reference: str) -> Iterator[tuple[str, ...]]:
    """Yield the figures of each dictionary, with their differences to one of them."""
    found = {name: resampled(each, data) for name, each in named.items()}
    for name, row in found.items():
        cells = [f"{v:.2f} ({low:.2f} to {high:.2f})" for v, (low, high) in _with_intervals(row)]
        if name != reference:
            compared = _with_intervals(row - found[reference])
            cells = [
                f"{cell}; {v:+.2f} ({low:+.2f} to {high:+.2f})"
                for cell, (v, (low, high)) in zip(cells, compared, strict=True)
            ]
        yield (name, *cells)


def _with_intervals(row: Resampled) -> list[tuple[float, tuple[float, float]]]:
    return list(zip(row.values.tolist(), row.intervals(), strict=True))


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks dyan", description=__doc__)
    parser.add_argument("--root", type=Path, metavar="DIR", help="the data folder")
    parser.add_argument(
        "--dictionary",
        type=Path,
        nargs="+",
        default=(),
        metavar="FILE",
        help="dictionary.npz of 'edgepose train dynamics/...'",
    )
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print the tables."""
    args = parse_arguments(words)
    root = args.root or data_root()
    named = dict(dictionaries(args.dictionary, root / "dyan"))
    sets = {
        "Penn Action, set apart": set_apart(read_penn_sequences(root / "penn"))[1],
        "JHMDB, val": [sequence_of(c) for c in read_jhmdb_clips(root / "jhmdb", "val", "A")],
    }
    for title, sequences in sets.items():
        data = held_out(sequences)
        of = f"{len(data.sequences)} windows of {len(set(data.sequences))} sequences"
        header = ("dictionary", *FIGURES)
        print(f"{title}: {of}\n")
        print(markdown(Table(title, header, tuple(rows(named, data, "untrained")))))


if __name__ == "__main__":
    main()
