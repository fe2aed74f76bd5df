"""Reading configurations out of plain mappings, with errors that name what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from edgepose.utils.config_types import require_types
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


def named_config(
    kind: type[Config],
    name: str,
    config: Config | str | Mapping[str, Any],
    known: Mapping[str, Config],
) -> Config:
    """Return the dataclass ``kind`` that ``config`` stands for.

    Args:
        kind: the dataclass.
        name: its name in errors.
        config: a configuration, a name of ``known``, or a mapping of the fields, whose optional
            ``base`` is a name whose other fields are taken over.
        known: configurations by name.

    Raises:
        ConfigError: an unknown name or option, or an option of another type.
    """
    if isinstance(config, kind):
        return config
    if isinstance(config, str):
        require_known(name, config, known)
        return known[config]
    options: dict[str, Any] = dict(config)  # type: ignore[arg-type]  # a mapping is left
    if "base" in options:
        base = named_config(kind, name, options.pop("base"), known)
        options = {**vars(base), **options}
    return from_mapping(kind, name, options)


def require_known(kind: str, name: str, known: Iterable[str]) -> None:
    """Raise ConfigError unless ``name`` is one of ``known``."""
    if name not in known:
        raise ConfigError(f"There is no {kind} {name!r}; choose one of {', '.join(known)}.")
