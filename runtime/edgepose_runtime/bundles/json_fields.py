"""Strict reading of JSON objects: each value has the type it should have, and none is unknown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgepose_runtime.checks import is_finite_number
from edgepose_runtime.errors import EdgePoseError


class JsonFields:
    """Reads the members of one JSON object by name and type.

    Every reader raises the error class given, with a sentence that names the member by its path.
    Call :meth:`finish` at the end: it refuses members that nothing has read.

    Args:
        value: what the JSON text held in this place.
        where: the path of this place, such as ``"the manifest"`` or ``"heatmap"``.
        error: the error to raise.
    """

    def __init__(self, value: object, where: str, error: type[EdgePoseError]) -> None:
        if not isinstance(value, Mapping):
            raise error(f"{where} must be an object with members, but is {_described(value)}.")
        self._members: dict[str, Any] = dict(value)
        self._unread = set(self._members)
        self._where = where
        self._error = error

    def names(self) -> tuple[str, ...]:
        """Return the names of all members, as they stand."""
        return tuple(self._members)

    def text(self, name: str, choices: Sequence[str] = ()) -> str:
        """Return a text that is not empty, one of ``choices`` if there are any."""
        value = self._take(name)
        if not isinstance(value, str) or not value or (choices and value not in choices):
            wanted = f"one of {', '.join(choices)}" if choices else "a text"
            raise self._mismatch(name, wanted, value)
        return value

    def integer(self, name: str, minimum: int = 0) -> int:
        """Return a whole number that is not below ``minimum``."""
        value = self._take(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise self._mismatch(name, f"a whole number from {minimum} up", value)
        return value

    def optional_integer(self, name: str, minimum: int = 0) -> int | None:
        """Return a whole number, or None where the member is null."""
        return None if self._take(name) is None else self.integer(name, minimum)

    def number(self, name: str) -> float:
        """Return a finite number."""
        value = self._take(name)
        if not is_finite_number(value):
            raise self._mismatch(name, "a finite number", value)
        return float(value)

    def numbers(self, name: str, count: int) -> tuple[float, ...]:
        """Return exactly ``count`` finite numbers."""
        value = self._take(name)
        if (
            not isinstance(value, list)
            or len(value) != count
            or not all(map(is_finite_number, value))
        ):
            raise self._mismatch(name, f"a list of {count} finite numbers", value)
        return tuple(float(number) for number in value)

    def flag(self, name: str) -> bool:
        """Return true or false."""
        value = self._take(name)
        if not isinstance(value, bool):
            raise self._mismatch(name, "true or false", value)
        return value

    def items(self, name: str) -> list[Any]:
        """Return a list of whatever it holds."""
        value = self._take(name)
        if not isinstance(value, list):
            raise self._mismatch(name, "a list", value)
        return value

    def free(self, name: str) -> dict[str, Any]:
        """Return an object whose members are nobody's business here."""
        value = self._take(name)
        if not isinstance(value, Mapping):
            raise self._mismatch(name, "an object", value)
        return dict(value)

    def section(self, name: str) -> JsonFields:
        """Return a reader of an object inside this one."""
        return JsonFields(self._take(name), f"{name!r} in {self._where}", self._error)

    def finish(self) -> None:
        """Refuse members that were not read: they may mean what this release does not know."""
        if self._unread:
            names = ", ".join(repr(name) for name in sorted(self._unread))
            raise self._error(f"{self._where} has members that are not known here: {names}.")

    def _take(self, name: str) -> Any:
        if name not in self._members:
            raise self._error(f"{self._where} lacks the member {name!r}.")
        self._unread.discard(name)
        return self._members[name]

    def _mismatch(self, name: str, wanted: str, value: object) -> EdgePoseError:
        return self._error(
            f"{name!r} in {self._where} must be {wanted}, but is {_described(value)}."
        )


def _described(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
