import numpy as np
import pytest

from edgepose.datasets.people_clips import PeopleClip
from edgepose.evaluation.protocols.several import (
    PeopleCandidate,
    matched_frame,
    pose_box,
    track_people,
)


def pose(left, top, right, bottom, score=0.9):
    corners = [(left, top, score), (right, bottom, score)]
    return np.array(corners, np.float32)


def test_the_box_of_a_pose_is_its_extent_enlarged_by_parts_of_its_height():
    assert pose_box(pose(10, 100, 50, 200)) == pytest.approx([4, 88, 56, 210])


def test_joints_that_score_a_fifth_or_less_do_not_count():
    keypoints = np.concatenate([pose(10, 100, 50, 200), pose(0, 0, 500, 500, 0.19)])
    assert pose_box(keypoints) == pytest.approx([4, 88, 56, 210])
    assert pose_box(pose(10, 100, 50, 200, 0.1)) is None
    assert pose_box(np.full((2, 3), np.nan)) is None


def test_a_person_without_a_box_is_no_prediction():
    frame = matched_frame(
        np.array([5]),
        np.array([[4.0, 88, 56, 210]]),
        [(1, pose(10, 100, 50, 200)), (2, pose(0, 0, 9, 9, 0.0))],
    )
    assert frame.predicted_ids.tolist() == [1]
    assert frame.similarity == pytest.approx(np.ones((1, 1)))


class Recorded:
    """Follows the brightness of the frames; notes when it is closed."""

    closed = False

    def track(self, frame, timestamp_ms):
        assert frame.shape == (9, 9, 3)
        self.timestamps = [*getattr(self, "timestamps", []), timestamp_ms]
        return [(3, pose(10, 100, 50, 200))]

    def close(self):
        self.closed = True


def test_a_clip_is_tracked_at_its_own_rate_by_a_tracker_that_is_closed():
    tracker = Recorded()
    rows = np.array([[0, 1, 4, 88, 56, 210], [2, 1, 4, 88, 56, 210]], np.float32)
    clip = PeopleClip("clip", lambda: iter(np.zeros((3, 9, 9, 3), np.uint8)), 3, 10.0, rows)
    done = track_people(PeopleCandidate("recorded", lambda: tracker), clip)
    assert tracker.timestamps == [0, 100, 200] and tracker.closed
    assert [frame.similarity.shape for frame in done.frames] == [(1, 1), (0, 1), (1, 1)]
    assert len(done.step_ms) == 3
