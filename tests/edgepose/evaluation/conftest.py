"""Clips without files: black frames and a person who walks to the right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgepose.datasets.clips import Clip
from edgepose.testing import standing_person
from edgepose_runtime.poses.skeletons import PENN13

WIDTH, HEIGHT = 320, 240
STEP = 2


@pytest.fixture
def make_clip():
    """A function that makes a clip of T frames; other fields of `Clip` may be given."""

    def make(num_frames=6, **fields):
        poses = [standing_person((120 + STEP * t, 120), height=120) for t in range(num_frames)]
        clip = Clip(
            name="walk",
            film="film",
            frames=lambda: iter(np.zeros((num_frames, HEIGHT, WIDTH, 3), np.uint8)),
            keypoints=np.stack(poses),
            boxes=None,
            skeleton=PENN13,
            fps=25.0,
            split="val",
        )
        return replace(clip, **fields)

    return make
