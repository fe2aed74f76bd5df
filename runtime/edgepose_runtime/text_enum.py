"""Enumerations whose members are texts."""

from __future__ import annotations

from enum import Enum


class TextEnum(str, Enum):
    """An enumeration whose members are, and print as, their values.

    Python 3.11 has it as ``enum.StrEnum``.
    """

    def __str__(self) -> str:
        return str(self.value)
