"""Checkpoints: written atomically, read with care."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from edgepose_runtime.errors import CheckpointError, OutputError

FORMAT, VERSION = "edgepose.checkpoint", 1


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint beside its final place and move it there, so that none is ever half there.

    Raises:
        OutputError: the folder cannot be written.
    """
    temporary = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"format": FORMAT, "version": VERSION, **content}, temporary)
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        raise OutputError(f"The checkpoint {path} cannot be written: {error}.") from error


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint: ``config``, ``model``, ``ema`` and, from a running training, the rest.

    Raises:
        CheckpointError: missing, damaged, or not one of ours.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"The checkpoint {path} does not exist.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise CheckpointError(f"The checkpoint {path} is damaged or truncated: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"The file {path} is not a checkpoint of edgepose.")
    if content.get("version") != VERSION:
        raise CheckpointError(
            f"The checkpoint {path} has version {content.get('version')}; this release reads {VERSION}."
        )
    return content
