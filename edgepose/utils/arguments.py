"""How values on the command line are read."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def comma_separated(read: Callable[[str], Value]) -> Callable[[str], tuple[Value, ...]]:
    """Return a reader of values with commas between them; ``read`` raises ValueError for others."""

    def read_all(text: str) -> tuple[Value, ...]:
        try:
            return tuple(read(part.strip()) for part in text.split(","))
        except ValueError:
            raise ArgumentTypeError(f"cannot read {text!r}; give values with commas") from None

    return read_all


def whole_number(least: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from ``least`` up."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise ArgumentTypeError(f"must be a whole number from {least} up, not {text!r}")
        return number

    return read


def number_of_people(text: str) -> int | str:
    """Read a number of people, or ``all``."""
    if text == "all":
        return text
    try:
        return int(text)
    except ValueError:
        raise ArgumentTypeError(f"expected a whole number or all, got {text!r}") from None


def share(text: str) -> float:
    """Read a part of a whole, above 0 and at most 1."""
    try:
        part = float(text)
    except ValueError:
        part = -1.0
    if not 0 < part <= 1:
        raise ArgumentTypeError(f"must be a part above 0 and at most 1, not {text!r}")
    return part


def refinement_method(text: str) -> str:
    """Read the value of ``track --refine``; a source that follows the option is refused.

    Raises:
        ArgumentTypeError: it is no method of refinement.
    """
    if text != "thin-slicing":
        raise ArgumentTypeError(
            f"the only method is thin-slicing, not {text!r}; if that is the source, write it "
            "before --refine, or write --refine=thin-slicing"
        )
    return text
