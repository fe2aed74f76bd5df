import numpy as np
import pytest

from edgepose.evaluation.boxes import box_corners, person_boxes
from edgepose_runtime.errors import DataError


def test_the_box_is_the_extent_of_the_scored_joints_and_a_tenth_of_its_longer_side(make_clip):
    clip = make_clip(num_frames=1)
    clip.keypoints[0, :, :2] = 50
    clip.keypoints[0, 0, :2] = (10, 20)
    clip.keypoints[0, 1] = (300, 200, 0)  # not scored, so it does not count
    assert box_corners(person_boxes(clip)) == pytest.approx(np.array([[6, 16, 54, 54]]))


def test_annotated_boxes_are_taken_as_they_are(make_clip):
    boxes = np.array([[1, 2, 30, 40], [3, 4, 50, 60]], np.float32)
    clip = make_clip(num_frames=2, boxes=boxes)
    assert box_corners(person_boxes(clip)) == pytest.approx(boxes)


def test_a_frame_without_annotation_has_the_box_before_it_or_else_the_first(make_clip):
    clip = make_clip(num_frames=4)
    clip.keypoints[[0, 2], :, 2] = 0
    corners = box_corners(person_boxes(clip))
    assert corners[0] == pytest.approx(corners[1])
    assert corners[2] == pytest.approx(corners[1])
    assert corners[3, 0] > corners[2, 0]


def test_a_clip_without_any_annotation_is_refused_by_name(make_clip):
    clip = make_clip()
    clip.keypoints[..., 2] = 0
    with pytest.raises(DataError, match="walk"):
        person_boxes(clip)
