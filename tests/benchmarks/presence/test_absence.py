import numpy as np

from benchmarks.presence.absence import CLEARANCE, NARROWEST, parts_beside
from edgepose.datasets.clips import Clip
from edgepose_runtime.poses.skeletons import JHMDB15


def clip_with_person(left, right, width=320):
    """A clip of one frame whose pixels tell their column."""
    frame = np.broadcast_to(np.arange(width) % 256, (240, width)).astype(np.uint8)
    keypoints = np.ones((1, 15, 3), np.float32)
    keypoints[0, :, 0] = np.linspace(left, right, 15)
    image = np.stack([frame] * 3, axis=-1)
    return Clip("a", "film", lambda: iter([image]), keypoints, None, JHMDB15, 25.0, "val")


def test_the_wider_side_is_looked_at_and_keeps_clear_of_the_person():
    (part,) = parts_beside([clip_with_person(40, 120)])
    assert part.shape[1] == 320 - 120 - CLEARANCE
    assert part[0, 0, 0] == 120 + CLEARANCE


def test_frames_without_room_beside_the_person_are_left_out():
    edge = NARROWEST + CLEARANCE
    assert not list(parts_beside([clip_with_person(edge - 1, 300), clip_with_person(-20, 330)]))
    assert len(list(parts_beside([clip_with_person(edge, 300)]))) == 1
