"""Reading configurations out of plain mappings, with errors that name what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from edgepose.option_types import require_types
from edgepose_runtime.errors import ConfigError

Config = TypeVar("Config")


def from_mapping(kind: type[Config], name: str, options: Mapping[str, Any]) -> Config:
    """Return the dataclass ``kind`` filled from ``options``; ``name`` is its name in errors.

    Raises:
        ConfigError: an option that ``kind`` does not have or of another type, or a missing one
            without a default.
    """
    known = fields(kind)  # type: ignore[arg-type]  # always one of our dataclasses
    for option in options:
        require_known(f"{name} option", option, [field.name for field in known])
    for field in known:
        if field.name not in options and field.default is MISSING:
            raise ConfigError(f"A {name} configuration needs {field.name!r}; none was given.")
    require_types(kind, options, f"the {name}")
    return kind(**options)


def require_known(kind: str, name: str, known: Iterable[str]) -> None:
    """Raise ConfigError unless ``name`` is one of ``known``."""
    if name not in known:
        raise ConfigError(f"There is no {kind} {name!r}; choose one of {', '.join(known)}.")
