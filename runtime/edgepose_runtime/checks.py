"""What is taken where users give a number."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from numbers import Integral, Real

from edgepose_runtime.errors import ConfigError


def is_finite_number(value: object) -> bool:
    """Whether a value is a number, Python's or NumPy's, and neither infinite nor NaN."""
    if type(value) is bool or not isinstance(value, Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def is_whole_number(value: object) -> bool:
    """Whether a value is a whole number, Python's or NumPy's; a truth value is none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def checked_timeout(timeout: object) -> float:
    """Return a timeout in seconds, as locks take it.

    Raises:
        ConfigError: it is no finite number, or below 0.
    """
    if not isinstance(timeout, Real) or not is_finite_number(timeout) or timeout < 0:
        raise ConfigError(
            f"timeout must be a finite number of seconds, 0 or more; got {timeout!r}."
        )
    return min(float(timeout), threading.TIMEOUT_MAX)


def require_whole(owner: object, names: Iterable[str], least: int) -> None:
    """Refuse attributes that are no whole numbers, or below the least one.

    Raises:
        ConfigError: one is.
    """
    for name in names:
        value = getattr(owner, name)
        if not is_whole_number(value) or value < least:
            raise ConfigError(f"{name} must be a whole number, {least} or more; got {value!r}.")
