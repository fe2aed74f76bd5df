"""Tables of arrays in ``.npz`` and ``.mat`` files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.errors import DataError
from edgepose_runtime.files import DAMAGED_ARCHIVE, require_regular, require_small

Table = dict[str, NDArray[Any]]

#: Files of annotation are far smaller, in bytes; so is all that one declares to hold.
LARGEST_TABLE = 1 << 30


def load_table(path: Path, *needed: str) -> Table:
    """Read all arrays of a ``.npz`` file.

    Args:
        path: the file.
        needed: arrays that it must hold.

    Raises:
        DataError: the file is missing or damaged, or lacks an array.
    """
    try:
        require_regular(path, LARGEST_TABLE)
        with np.load(path, allow_pickle=False) as archive:
            require_small(archive, LARGEST_TABLE)
            table = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise _missing(path) from None
    except DAMAGED_ARCHIVE as error:
        raise _damaged(path, error) from error
    return _holding(table, path, needed)


def load_matlab(path: Path, *needed: str, squeeze: bool = False) -> Table:
    """Read the variables of a MATLAB file (version 7 or older).

    Structures come as objects with attributes.

    Args:
        path: the file.
        needed: variables that it must hold.
        squeeze: leave out axes of length 1, so that what has one element comes as that element;
            without it, every array has at least two axes.

    Raises:
        DataError: the file is missing or damaged, lacks a variable, or SciPy is not installed.
    """
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ImportError as error:
        raise DataError(
            f"Reading '{path}' takes SciPy: python -m pip install 'edgepose[train]'."
        ) from error
    try:
        require_regular(path, LARGEST_TABLE)
        table = loadmat(str(path), appendmat=False, squeeze_me=squeeze, struct_as_record=False)
    except FileNotFoundError:
        raise _missing(path) from None
    except (MatReadError, *DAMAGED_ARCHIVE) as error:
        raise _damaged(path, error) from error
    return _holding(table, path, needed)


def numbers(
    table: Table, key: str, shape: tuple[int | None, ...], path: Path
) -> NDArray[np.float32]:
    """Return an array of a table as float32.

    Args:
        table: the table.
        key: the array in it.
        shape: what shape it must have; None for any length.
        path: the table's file, for the message.

    Raises:
        DataError: it does not hold numbers, or has another shape.
    """
    array = table[key]
    fits = len(array.shape) == len(shape) and all(
        wanted in (None, length) for length, wanted in zip(array.shape, shape, strict=True)
    )
    if not fits or array.dtype.kind not in "biuf":
        wished = " x ".join("any" if length is None else str(length) for length in shape)
        raise DataError(
            f"'{key}' in '{path}' should hold {wished} numbers; it is {array.dtype} of shape "
            f"{array.shape}."
        )
    return array.astype(np.float32)


def _missing(path: Path) -> DataError:
    return DataError(f"The annotation file '{path}' is missing.")


def _damaged(path: Path, error: BaseException) -> DataError:
    return DataError(f"The annotation file '{path}' cannot be read: {error}.")


def _holding(table: Table, path: Path, needed: tuple[str, ...]) -> Table:
    lacking = [name for name in needed if name not in table]
    if lacking:
        raise DataError(
            f"The annotation file '{path}' lacks {', '.join(lacking)}; is it another file?"
        )
    return table
