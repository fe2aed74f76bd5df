"""Where compiled models are kept for the next start."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

from edgepose_runtime.backends import BackendSettings

logger = logging.getLogger("edgepose")

ENVIRONMENT_VARIABLE = "EDGEPOSE_CACHE"


def with_cache(settings: BackendSettings) -> BackendSettings:
    """Return settings that keep compiled models, unless they say where.

    A CPU's models are compiled in a second. TensorRT builds for minutes, GPUs and NPUs for a
    while: where nothing can be written they do so at each start, and the log says so.
    """
    if settings.cache_folder is not None:
        return settings
    folder = cache_folder()
    if settings.device == "cpu":
        return replace(settings, cache_folder=folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        logger.warning(
            "Compiled models cannot be kept in '%s' (%s), so that each start compiles them again; "
            "set %s to a folder that can be written.",
            folder,
            error.strerror,
            ENVIRONMENT_VARIABLE,
        )
        return settings
    return replace(settings, cache_folder=folder)


def cache_folder() -> Path:
    """Return ``EDGEPOSE_CACHE``, else the folder ``edgepose`` in the user's cache."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        return Path(named).expanduser()
    root = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(root) if root else Path.home() / ".cache") / "edgepose"
