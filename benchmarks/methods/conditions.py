"""Whole clips under worse conditions, and after frames that show nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.recovery import interrupted
from benchmarks.robustness.conditions import Condition, conditions
from edgepose.datasets.clips import Clip
from edgepose.evaluation.boxes import box_corners, person_boxes
from edgepose_runtime.errors import ConfigError

#: Frames after the blank ones that are scored.
AFTER = 5
_LOST = "lost "


def named_conditions(names: Sequence[str]) -> list[Condition]:
    """Return conditions by name; ``lost N`` is after N blank frames.

    Raises:
        ConfigError: there is no such condition.
    """
    known = {condition.name: condition for condition in conditions()}
    return [known[name] if name in known else _lost(name, list(known)) for name in names]


def _lost(name: str, known: Sequence[str]) -> Condition:
    count = name.removeprefix(_LOST)
    if not name.startswith(_LOST) or not count.isdecimal():
        raise ConfigError(f"Conditions are {', '.join(known)} and 'lost N'; got {name!r}.")
    return Condition(name, "lost", lambda clip: after_blank_frames(clip, int(count)), 0.0)


def after_blank_frames(clip: Clip, count: int) -> Clip:
    """Return the clip with blank frames in its middle; only the first frames after them count."""
    case = interrupted(clip, count)
    boxes = box_corners(person_boxes(case.clip)).astype(np.float32)
    keypoints = case.clip.keypoints.copy()
    keypoints[: case.back, :, 2] = 0
    keypoints[case.back + AFTER :, :, 2] = 0
    return replace(case.clip, keypoints=keypoints, boxes=boxes)
