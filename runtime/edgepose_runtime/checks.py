"""What is taken where users give a number."""

from __future__ import annotations

import math
from numbers import Real


def is_finite_number(value: object) -> bool:
    """Whether a value is a number, Python's or NumPy's, and neither infinite nor NaN."""
    return type(value) is not bool and isinstance(value, Real) and math.isfinite(value)
