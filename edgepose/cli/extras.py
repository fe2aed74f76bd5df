"""Commands that need more than the base install."""

from __future__ import annotations

from importlib.util import find_spec

from edgepose_runtime.errors import BackendUnavailableError


def require_packages(command: str, extra: str, *packages: str) -> None:
    """Say what to install before a command fails on an import.

    Raises:
        BackendUnavailableError: one of the packages is missing; ``extra`` brings all of them.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise BackendUnavailableError(
            f"edgepose {command} needs {', '.join(missing)}; install what is missing: "
            f'pip install "edgepose[{extra}]"'
        )
