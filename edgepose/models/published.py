"""Import of the dictionaries that K-FPN's authors published as MATLAB files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgepose.datasets.readers.tables import load_matlab
from edgepose_runtime.errors import ConfigError, DataError
from edgepose_runtime.interpolation.dictionary import MatrixDictionary


def load_published_dictionary(path: Path) -> MatrixDictionary:
    """Read a published dictionary, such as ``jhmdb_T40_N161.mat``.

    Their columns have unit norm over all rows; fewer frames take the first rows as they are.

    Args:
        path: the file, with a variable ``Dictionary`` (T, atoms).

    Raises:
        DataError: the file is missing or damaged, or its dictionary is no matrix of finite numbers.
    """
    matrix = load_matlab(path, "Dictionary")["Dictionary"]
    try:
        return MatrixDictionary(np.asarray(matrix, np.float64))
    except (ConfigError, TypeError, ValueError) as error:
        raise DataError(f"The dictionary in '{path}' cannot be used: {error}") from error
