"""Checks that options which people write in files are of the types that dataclasses declare."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from edgepose_runtime.errors import ConfigError

_UNIONS = (Union, UnionType)
_SCALARS = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "a text",
}


def require_types(kind: type, options: Mapping[str, Any], where: str) -> None:
    """Compare options with the fields of a dataclass.

    Whole numbers are taken for other numbers too, but not truth values for numbers.

    Args:
        kind: a dataclass whose fields are scalars, choices, lists, tables or other dataclasses.
        options: all of them names of its fields.
        where: what the options belong to, for the error.

    Raises:
        ConfigError: an option is of another type, or a number is not finite.
    """
    hints = get_type_hints(kind)
    for option, value in options.items():
        if not _fits(value, hints[option]):
            raise ConfigError(
                f"The option {option!r} of {where} must be {_expected(hints[option])}; "
                f"got {value!r}."
            )


def _fits(value: Any, hint: Any) -> bool:
    if hint is Any:
        return True
    if hint is float:
        return type(value) in (int, float) and math.isfinite(value)
    if hint in _SCALARS:
        return type(value) is hint
    inner = get_args(hint)
    return _fits_parts(value, get_origin(hint), inner) if inner else isinstance(value, hint)


def _fits_parts(value: Any, origin: Any, inner: tuple[Any, ...]) -> bool:
    if origin in _UNIONS:
        return any(_fits(value, each) for each in inner)
    if origin is Literal:
        return value in inner
    if origin is Mapping:
        return isinstance(value, Mapping) and all(_fits(each, inner[1]) for each in value.values())
    count = _length(origin, inner)
    is_list = isinstance(value, (list, tuple)) and len(value) == (count or len(value))
    return is_list and all(_fits(each, inner[0]) for each in value)


def _expected(hint: Any) -> str:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in _UNIONS:
        return " or ".join(_expected(each) for each in inner if each is not NoneType)
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin in (tuple, Sequence):
        count = _length(origin, inner)
        return f"a list{f' of {count}' if count else ''}, each {_expected(inner[0])}"
    if origin is Mapping and inner[1] is not Any:
        return f"a table, each value {_expected(inner[1])}"
    return _SCALARS.get(hint, "a table")


def _length(origin: Any, inner: tuple[Any, ...]) -> int | None:
    """How many items a list must have; None for any number. All are of one type."""
    return len(inner) if origin is tuple and inner[-1] is not Ellipsis else None
