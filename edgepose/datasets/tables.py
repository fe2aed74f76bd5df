"""Tables of arrays in ``.npz`` files."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.errors import DataError

Table = dict[str, NDArray[Any]]


def load_table(path: Path) -> Table:
    """Read all arrays of a ``.npz`` file.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise DataError(f"The annotation file '{path}' is missing.") from None
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"The annotation file '{path}' cannot be read: {error}.") from error
