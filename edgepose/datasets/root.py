"""Where the data for training and evaluation lies."""

from __future__ import annotations

import os
from pathlib import Path

from edgepose_runtime.errors import DataError

ENVIRONMENT_VARIABLE = "EDGEPOSE_DATA"
DEFAULT_ROOT = Path("..") / "shared" / "data"


def data_root() -> Path:
    """Return the data folder: the environment's ``EDGEPOSE_DATA``, else ``../shared/data``.

    The default is relative to the working directory.

    Raises:
        DataError: the folder does not exist.
    """
    root = Path(os.environ.get(ENVIRONMENT_VARIABLE) or DEFAULT_ROOT).expanduser()
    if not root.is_dir():
        raise DataError(
            f"There is no data folder at '{root}'. "
            f"Set {ENVIRONMENT_VARIABLE} to the folder that holds jhmdb/, lspet/ and people/."
        )
    return root
