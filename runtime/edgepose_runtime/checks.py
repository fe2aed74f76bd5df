"""What is taken where users give a number."""

from __future__ import annotations

import math
from numbers import Integral, Real


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
