"""Reading recipes: TOML files, by path or by the name of one that is shipped.

A recipe may say ``extends = "other.toml"``, a file beside it, and list only what differs.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from edgepose.datasets.sampling.augmentation import Augmentation
from edgepose.datasets.sampling.targets import TargetSettings
from edgepose.models.keyframes.kfpn import KfpnConfig
from edgepose.training.config.adversary import AdversarySettings
from edgepose.training.config.dynamics import DynamicsConfig
from edgepose.training.config.optimiser import OptimiserSettings
from edgepose.training.config.selectors import SelectionTraining, SelectorConfig
from edgepose.training.config.sequences import SequenceSettings, SliceSettings
from edgepose.training.config.settings import Phase, SourceSettings, TrainConfig
from edgepose.utils.config_types import require_types
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.files import exists, read_regular, shown

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RECIPES = Path(__file__).parents[1] / "recipes"
#: The folders of recipes for dictionaries of dynamics and for key-frame selectors.
_NOT_NETWORKS = "dynamics", "kfpn"
Recipe = TrainConfig | DynamicsConfig | SelectorConfig
_LISTS = {"phases": Phase, "sources": SourceSettings}
_TABLES = {
    "sequence": SequenceSettings,
    "adversary": AdversarySettings,
    "slices": SliceSettings,
    "optimiser": OptimiserSettings,
    "augmentation": Augmentation,
    "targets": TargetSettings,
}
_SELECTOR_TABLES = {
    "selector": SelectionTraining,
    "online": SelectionTraining,
    "network": KfpnConfig,
}
Settings = TypeVar("Settings")

#: Bytes of a recipe, and recipes that one extends, at most.
LARGEST_RECIPE, MOST_BASES = 1 << 20, 20


def load_config(path: str | Path, changes: Sequence[str] = ()) -> TrainConfig:
    """Read a recipe.

    Args:
        path: a TOML file, or the name of a shipped recipe.
        changes: options that replace the file's, as ``optimiser.learning_rate=1e-4``; the values
            are written as in TOML, text also without quotes.

    Raises:
        ConfigError: the file is missing or broken, or has an unknown or unfitting option.
    """
    return parse_config(read_recipe(path, changes))


def load_recipe(path: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe of a network, or one with a ``kind``: of a dictionary or a selector.

    Args:
        path: as for `load_config`.
        changes: as for `load_config`.

    Raises:
        ConfigError: the file is missing or broken, or has an unknown or unfitting option.
    """
    values = read_recipe(path, changes)
    if "kind" not in values:
        return parse_config(values)
    if str(values["kind"]).startswith("kfpn"):
        return _settings(SelectorConfig, _with_tables(values, _SELECTOR_TABLES), "the recipe")
    return _settings(DynamicsConfig, values, "the recipe")


def read_recipe(path: str | Path, changes: Sequence[str] = ()) -> dict[str, Any]:
    """Read a recipe's plain values, its name among them; see `load_config`.

    Raises:
        ConfigError: the file is missing or broken.
    """
    file = _find(path)
    values = _read(file)
    for change in changes:
        _change(values, change)
    return {"name": _name(file), **values}


def recipe_names() -> list[str]:
    """Names of the shipped recipes of networks, such as ``ppn-swift`` and ``penn/ppn-stable``."""
    return [name for name in _all_names() if name.split("/")[0] not in _NOT_NETWORKS]


def _all_names() -> list[str]:
    files = (path.relative_to(RECIPES) for path in RECIPES.rglob("*.toml"))
    return sorted(path.with_suffix("").as_posix() for path in files if path.name[0] != "_")


def parse_config(values: Mapping[str, Any]) -> TrainConfig:
    """Build a recipe from plain values.

    Raises:
        ConfigError: an option is unknown, missing, of another type or out of its range.
    """
    out = dict(values)
    for name, kind in _LISTS.items():
        items = out.get(name, ())
        if not isinstance(items, (list, tuple)):
            raise ConfigError(f"The option {name!r} must be a list of tables; got {items!r}.")
        out[name] = tuple(_settings(kind, item, name) for item in items)
    return _settings(TrainConfig, _with_tables(out, _TABLES), "the recipe")


def _with_tables(values: Mapping[str, Any], tables: Mapping[str, type]) -> dict[str, Any]:
    out = dict(values)
    for name, kind in tables.items():
        if out.get(name) is not None:
            out[name] = _settings(kind, out[name], name)
    return out


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
    require_types(kind, plain, where)
    try:
        return kind(**plain)
    except TypeError as error:
        raise ConfigError(f"The options of {where} do not fit: {error}.") from error


def _read(file: Path, depth: int = 0) -> dict[str, Any]:
    try:
        values = tomllib.loads(read_regular(file, LARGEST_RECIPE).decode())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"The recipe {file} is not valid TOML: {error}.") from error
    base = values.pop("extends", None)
    if base is None:
        return values
    extended = file.parent / str(base)
    if not exists(extended) or not extended.is_file():
        raise ConfigError(f"The recipe {file} extends {base!r}, which is not beside it.")
    if depth >= MOST_BASES:
        raise ConfigError(f"The recipe {file} extends itself, or more than {MOST_BASES} others.")
    return _merged(_read(file.parent / base, depth + 1), values)


def _merged(base: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """`base` with `values` put over it, option by option in tables."""
    out = dict(base)
    for name, value in values.items():
        both = isinstance(value, dict) and isinstance(out.get(name), dict)
        out[name] = _merged(out[name], value) if both else value
    return out


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


def _name(file: Path) -> str:
    """A shipped recipe's folder names its data set, so it is a part of the name."""
    inside = file.parent.parent == RECIPES
    return f"{file.parent.name}-{file.stem}" if inside else file.stem


def _find(path: str | Path) -> Path:
    for candidate in (Path(path), RECIPES / f"{path}.toml"):
        if exists(candidate) and candidate.is_file():
            return candidate
    raise ConfigError(
        f"There is no recipe '{shown(path)}': give a TOML file or one of {', '.join(_all_names())}."
    )
