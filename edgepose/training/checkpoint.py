"""Checkpoints: written atomically, read with care."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgepose_runtime.errors import CheckpointError, OutputError
from edgepose_runtime.files import DAMAGED_ARCHIVE
from edgepose_runtime.poses.skeletons import Skeleton, get_skeleton

FORMAT, VERSION = "edgepose.checkpoint", 1


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint beside its final place and move it there, so that none is ever half there.

    Raises:
        OutputError: the folder cannot be written.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"format": FORMAT, "version": VERSION, **content}, temporary)
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        raise OutputError(f"The checkpoint {path} cannot be written: {error}.") from error


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint: ``config``, ``model``, ``ema`` and what is needed to resume training.

    Raises:
        CheckpointError: missing, damaged, or not one of ours.
    """
    content = read_file(Path(path))
    if content.get("format") != FORMAT:
        raise CheckpointError(f"The file {path} is not a checkpoint of edgepose.")
    if content.get("version") != VERSION:
        raise CheckpointError(
            f"The checkpoint {path} has version {content.get('version')}; "
            f"this release reads version {VERSION}."
        )
    return content


#: What damaged files make torch raise: it trusts what it reads.
_DAMAGE = (*DAMAGED_ARCHIVE, pickle.UnpicklingError, AssertionError, AttributeError)


@dataclass(frozen=True)
class Weights:
    """Weights by name, and the skeleton they were trained for; None where the file does not say."""

    values: Mapping[str, Tensor]
    skeleton: Skeleton | None


def load_weights(path: str | Path) -> Weights:
    """Read weights out of a checkpoint (its averaged ones) or out of a plain state dictionary.

    Raises:
        CheckpointError: missing or damaged, or a checkpoint of another version.
    """
    content = read_file(Path(path))
    if content.get("format") == FORMAT:
        content = load_checkpoint(path)
        return Weights(content["ema"], get_skeleton(content["config"]["skeleton"]))
    nested = content.get("state_dict", content)
    if not isinstance(nested, Mapping) or not all(isinstance(v, Tensor) for v in nested.values()):
        raise CheckpointError(f"The file {path} holds no weights by name.")
    return Weights(nested, None)


def read_file(path: Path, form: str | None = None) -> dict[str, Any]:
    """Read what torch saved as a dictionary.

    Args:
        path: the file.
        form: what its ``format`` must be, or None for anything.

    Raises:
        CheckpointError: missing, damaged, or of another form.
    """
    if not path.is_file():
        raise CheckpointError(f"The file of weights {path} does not exist.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGE as error:
        # The rest of what torch says is advice to those who call it, in many lines.
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise CheckpointError(
            f"The file of weights {path} is damaged, cut off or of another kind: {reason}."
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"The file {path} holds no weights.")
    if form is not None and content.get("format") != form:
        raise CheckpointError(f"The file {path} holds {content.get('format')}, not {form}.")
    return content
