"""The Python environment that Triton runs in, beside that of edgepose.

The package ``nvidia-pytriton`` brings Triton's own binary, built for the Python of the system: it
wants NumPy below 2, and a ``libpython`` that is shared, as Debian's is.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from edgepose_runtime.errors import BackendUnavailableError

#: What is installed there.
PACKAGES = ("nvidia-pytriton>=0.5,<1", "numpy<2", "openvino>=2024.4")
#: Names the folder of an environment.
VARIABLE = "EDGEPOSE_TRITON"
SYSTEM_PYTHON = Path("/usr/bin/python3")
INSTALL_TIMEOUT_S = 900.0


class TritonEnvironment:
    """A virtual environment with Triton in it.

    Args:
        folder: where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def packages(self) -> Path:
        """The folder of its packages.

        Raises:
            BackendUnavailableError: Triton is not installed there.
        """
        for folder in sorted(self.folder.glob("lib/python3.*/site-packages")):
            if (folder / "pytriton" / "tritonserver" / "bin" / "tritonserver").is_file():
                return folder
        raise BackendUnavailableError(
            f"There is no Triton in the environment '{self.folder}'; make one with "
            "'edgepose serve --install', or name another with --environment or the variable "
            f"{VARIABLE}."
        )

    @property
    def version(self) -> str:
        """The version of its Python, such as ``3.11``."""
        return self.packages.parent.name.removeprefix("python")

    def install(self, timeout_s: float = INSTALL_TIMEOUT_S) -> None:
        """Create it: about 550 MB, downloaded from PyPI.

        Raises:
            BackendUnavailableError: something is missing, or it took too long.
        """
        steps = (
            [str(SYSTEM_PYTHON), "-m", "venv", str(self.folder)],
            [str(self.python), "-m", "pip", "install", "--quiet", *PACKAGES],
        )
        for step in steps:
            _run(step, timeout_s)


def default_folder() -> Path:
    """Return the folder of the environment unless a user names one."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "edgepose" / "triton"


def _run(command: list[str], timeout_s: float) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendUnavailableError(f"Triton cannot be installed: {error}.") from error
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise BackendUnavailableError(
            f"Triton cannot be installed: '{' '.join(command[:4])} …' failed ({' '.join(last)}). "
            "On Debian it needs the packages python3-venv and libpython3-dev."
        )
