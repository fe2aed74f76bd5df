"""The first use of networks and kernels, before there is a frame to wait for it."""

from __future__ import annotations

import numpy as np

from edgepose.inference.estimator import Looker
from edgepose.stats import StageClock
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.roi_tracker import FollowingSettings, RoiFollower
from edgepose_runtime.poses.smoothing import OneEuroFilter


def warm_up_looking(looker: Looker) -> int:
    """Use each network once, on an empty picture; return how many joints there are."""
    image = np.full((240, 320, 3), 128, np.uint8)
    here, there = Roi(0, 0, 200, 200), Roi(8, 8, 180, 180)
    clock = StageClock()
    looker.locate(image, here, clock)
    look = looker.initialise(image, here, clock)
    looker.advance(image, there, look, clock)
    return len(look.keypoints)


def warm_up_following(settings: FollowingSettings, joints: int) -> None:
    """Use the kernels for joints on a line of them, in no stream's state."""
    line = np.repeat(np.linspace(1, 100, joints, dtype=np.float32)[:, None], 3, axis=1)
    follower, smoother = RoiFollower(settings), OneEuroFilter()
    for timestamp_ms in (0.0, 33.0):
        follower.update(line, 320, 240, timestamp_ms)
        smoother.apply(line[:, :2], timestamp_ms, 100.0)
