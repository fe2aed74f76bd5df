"""What people read off a pose: angles between limbs, and a table of joints."""

from __future__ import annotations

import math
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.poses.skeletons import Skeleton

Joints = NDArray[np.floating[Any]]


def joint_angle(joints: Joints, skeleton: Skeleton, names: tuple[str, str, str]) -> float | None:
    """Return the angle at the second of three joints, in degrees from 0 to 180.

    Args:
        joints: (K, 3) x, y and score.
        skeleton: names the joints.
        names: of the joints; 180 degrees is a straight limb.

    Returns:
        The angle; ``None`` where a joint is missing or two of them coincide.

    Raises:
        ConfigError: the skeleton has no such joint.
    """
    first, middle, last = (joints[skeleton.index(name), :2].astype(float) for name in names)
    a, b = first - middle, last - middle
    lengths = math.hypot(*a) * math.hypot(*b)
    if not (math.isfinite(lengths) and lengths > 0):
        return None
    cross, dot = a[0] * b[1] - a[1] * b[0], a[0] * b[0] + a[1] * b[1]
    return math.degrees(math.atan2(abs(cross), dot))


def joint_table(joints: Joints | None, skeleton: Skeleton, caption: str) -> str:
    """Return an HTML table of a pose's joints (K, 3), for notebooks."""
    rows = [] if joints is None else list(zip(skeleton.joints, joints.tolist(), strict=True))
    cells = "".join(
        f"<tr><td>{escape(name)}</td><td>{x:.1f}</td><td>{y:.1f}</td><td>{score:.2f}</td></tr>"
        for name, (x, y, score) in rows
    )
    head = "<tr><th>joint</th><th>x</th><th>y</th><th>score</th></tr>" if rows else ""
    return f"<table><caption>{escape(caption)}</caption>{head}{cells}</table>"
