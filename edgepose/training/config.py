"""Reading recipes: TOML files, by path or by the name of one that is shipped."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from edgepose.datasets.augmentation import Augmentation
from edgepose.datasets.targets import TargetSettings
from edgepose.training.settings import (
    OptimiserSettings,
    Phase,
    SequenceSettings,
    SourceSettings,
    TrainConfig,
)
from edgepose_runtime.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RECIPES = Path(__file__).parent / "recipes"
_LISTS = {"phases": Phase, "sources": SourceSettings}
_TABLES = {
    "sequence": SequenceSettings,
    "optimiser": OptimiserSettings,
    "augmentation": Augmentation,
    "targets": TargetSettings,
}
Settings = TypeVar("Settings")


def load_config(path: str | Path, changes: Sequence[str] = ()) -> TrainConfig:
    """Read a recipe.

    Args:
        path: a TOML file, or the name of a shipped recipe.
        changes: options that replace the file's, as ``optimiser.learning_rate=1e-4``; the values
            are written as in TOML, text also without quotes.

    Raises:
        ConfigError: the file is missing or broken, or has an unknown or unfitting option.
    """
    path = _find(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"The recipe {path} is not valid TOML: {error}.") from error
    for change in changes:
        _change(values, change)
    return parse_config({"name": path.stem, **values})


def recipe_names() -> list[str]:
    """Names of the shipped recipes."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def parse_config(values: Mapping[str, Any]) -> TrainConfig:
    """Build a recipe from plain values.

    Raises:
        ConfigError: an option is unknown, missing or does not fit.
    """
    out = dict(values)
    for name, kind in _LISTS.items():
        items = out.get(name, ())
        if not isinstance(items, (list, tuple)):
            raise ConfigError(f"The option {name!r} must be a list of tables; got {items!r}.")
        out[name] = tuple(_settings(kind, item, name) for item in items)
    for name, kind in _TABLES.items():
        if out.get(name) is not None:
            out[name] = _settings(kind, out[name], name)
    return _settings(TrainConfig, out, "the recipe")


def _settings(kind: type[Settings], values: Any, where: str) -> Settings:
    if not isinstance(values, Mapping):
        raise ConfigError(f"The options of {where} must be a table; got {values!r}.")
    known = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise ConfigError(
            f"Unknown option {unknown[0]!r} in {where}; known ones are {', '.join(sorted(known))}."
        )
    plain = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    try:
        return kind(**plain)
    except TypeError as error:
        raise ConfigError(f"The options of {where} do not fit: {error}.") from error


def _change(values: dict[str, Any], change: str) -> None:
    """Apply ``table.option=value`` to the nested tables."""
    path, equals, text = change.partition("=")
    if not equals or not path.strip():
        raise ConfigError(f"A change is written option=value; got {change!r}.")
    *tables, option = (name.strip() for name in path.split("."))
    for name in tables:
        values = values.setdefault(name, {})
        if not isinstance(values, dict):
            raise ConfigError(f"The change {change!r} goes into {name!r}, which is not a table.")
    values[option] = _value(text.strip())


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _find(path: str | Path) -> Path:
    for candidate in (Path(path), RECIPES / f"{path}.toml"):
        if candidate.is_file():
            return candidate
    raise ConfigError(
        f"There is no recipe {str(path)!r}: give a TOML file or one of {', '.join(recipe_names())}."
    )
