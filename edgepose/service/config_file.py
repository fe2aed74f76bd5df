"""Reading a service's TOML file; every error says in which line."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from edgepose.service.config import (
    CameraConfig,
    JsonlConfig,
    MqttConfig,
    PreviewConfig,
    ServiceConfig,
)
from edgepose.utils.config_types import require_types
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.files import read_regular, shown

#: Bytes of a configuration, at most.
LARGEST_CONFIG = 1 << 20
_TABLES = {"jsonl": JsonlConfig, "mqtt": MqttConfig, "preview": PreviewConfig}
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_HEADER = re.compile(r"\s*\[\[?\s*([\w-]+)\s*\]\]?")
Settings = TypeVar("Settings")


def read_config(path: str | Path, environment: Mapping[str, str] = os.environ) -> ServiceConfig:
    """Read a configuration file.

    ``${NAME}`` within a text stands for a variable of the environment, so that passwords need not
    be in the file.

    Args:
        path: a TOML file.
        environment: the variables.

    Raises:
        ConfigError: the file is missing or damaged, or has an unknown or unfitting option.
    """
    try:
        text = read_regular(path, LARGEST_CONFIG).decode()
    except (OSError, ValueError) as error:
        raise ConfigError(f"The configuration {shown(path)} cannot be read: {error}.") from error
    return _Reader(str(path), text, environment).read()


class _Reader:
    """Reads one file, and knows where in it things are."""

    def __init__(self, name: str, text: str, environment: Mapping[str, str]) -> None:
        self._name, self._text, self._environment = name, text, environment
        self._lines = _lines_of_options(text)

    def read(self) -> ServiceConfig:
        values = self._parse()
        cameras = values.pop("camera", [])
        if not isinstance(cameras, list):
            raise self._error(
                ("camera", 0, None), "A camera is a table [[camera]], in double brackets."
            )
        values["camera"] = tuple(
            self._settings(CameraConfig, camera, ("camera", number, None))
            for number, camera in enumerate(cameras)
        )
        for name, kind in _TABLES.items():
            if name in values:
                values[name] = self._settings(kind, values[name], (name, 0, None))
        return self._settings(ServiceConfig, values, ("", 0, None))

    def _parse(self) -> dict[str, Any]:
        try:
            return _toml_loads(self._text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{shown(self._name)} is not valid TOML: {error}.") from error

    def _settings(self, kind: type[Settings], values: Any, table: _Place) -> Settings:
        where = f"[{table[0]}]" if table[0] else "the file"
        if not isinstance(values, Mapping):
            raise self._error(table, f"{where} must be a table; got {values!r}.")
        fields = dataclasses.fields(kind)  # type: ignore[arg-type]
        known = [field.name for field in fields]
        plain: dict[str, Any] = {}
        for option, value in values.items():
            place = (table[0], table[1], option)
            if option not in known:
                names = ", ".join(sorted(known))
                raise self._error(
                    place, f"Unknown option {option!r} in {where}; known are {names}."
                )
            plain[option] = self._resolved(value, place)
            self._require_type(kind, option, plain[option], where, place)
        required = [field.name for field in fields if field.default is dataclasses.MISSING]
        if missing := [name for name in required if name not in plain]:
            raise self._error(table, f"{where} lacks {' and '.join(missing)}.")
        return self._make(kind, plain, table)

    def _require_type(self, kind: type, option: str, value: Any, where: str, place: _Place) -> None:
        try:
            require_types(kind, {option: value}, where)
        except ConfigError as error:
            raise self._error(place, str(error)) from error

    def _make(self, kind: type[Settings], plain: dict[str, Any], table: _Place) -> Settings:
        try:
            return kind(**plain)
        except ConfigError as error:
            # Sentences name the option in quotes, where it is one.
            named = next((each for each in plain if f"'{each}'" in str(error)), None)
            raise self._error((table[0], table[1], named), str(error)) from error

    def _resolved(self, value: Any, place: _Place) -> Any:
        """Return a value with its variables replaced; lists become tuples."""
        if isinstance(value, list):
            return tuple(self._resolved(each, place) for each in value)
        if not isinstance(value, str):
            return value

        def variable(match: re.Match[str]) -> str:
            found = self._environment.get(match[1])
            if found is None:
                raise self._error(place, f"The variable {match[1]} is not set.")
            return found

        return _VARIABLE.sub(variable, value)

    def _error(self, place: _Place, sentence: str) -> ConfigError:
        line = self._lines.get(place) or self._lines.get((place[0], place[1], None))
        where = f", line {line}" if line else ""
        return ConfigError(f"{shown(self._name)}{where}: {sentence}")


#: Table, its number among those of that name, and an option in it or ``None`` for the table.
_Place = tuple[str, int, str | None]


def _lines_of_options(text: str) -> dict[_Place, int]:
    """Return where tables and options begin; numbered from 1."""
    lines: dict[_Place, int] = {}
    table, number = "", 0
    seen: dict[str, int] = {}
    for count, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        if header:
            table = header[1]
            number = seen[table] = seen.get(table, -1) + 1
            lines[table, number, None] = count
            continue
        option, equals, _ = line.partition("=")
        if equals:
            lines.setdefault((table, number, option.strip().strip("\"'")), count)
    return lines


def _toml_loads(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib
        except ImportError:
            raise ConfigError(
                "Python 3.10 reads TOML files with the package tomli: pip install "
                '"edgepose[service]"'
            ) from None
    return tomllib.loads(text)
