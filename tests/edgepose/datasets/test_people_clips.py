import cv2
import numpy as np
import pytest

from edgepose.datasets.people_clips import read_people_clips
from edgepose_runtime.errors import DataError

ROWS = np.array([[0, 7, 1, 2, 11, 22], [0, 3, 30, 2, 40, 22], [1, 7, 2, 2, 12, 22]], float)


@pytest.fixture
def folder(tmp_path):
    writer = cv2.VideoWriter(
        str(tmp_path / "walk.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48)
    )
    for level in (10, 200):
        writer.write(np.full((48, 64, 3), level, np.uint8))
    writer.release()
    return tmp_path


def write_rows(folder, rows):
    np.savez(folder / "walk_boxes.npz", rows=rows)


def test_a_video_is_read_with_everybody_in_each_frame(folder):
    write_rows(folder, ROWS)
    (clip,) = read_people_clips(folder)
    assert (clip.name, len(clip), clip.fps) == ("walk", 2, 10)
    first, second = clip.people()
    assert first[0].tolist() == [7, 3] and second[0].tolist() == [7]
    assert first[1].tolist() == [[1, 2, 11, 22], [30, 2, 40, 22]]
    assert [frame.mean() > 100 for frame in clip.frames()] == [False, True]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows * [1, 1, 1, 1, 0, 1], "box with an area"),
        (lambda rows: rows + np.array([0, 0.5, 0, 0, 0, 0]), "whole numbers"),
        (lambda rows: rows[[0, 0, 2]], "two boxes for the same person"),
        (lambda rows: rows[:0], "frame, person"),
    ],
)
def test_damaged_annotations_are_refused(folder, change, message):
    write_rows(folder, change(ROWS))
    with pytest.raises(DataError, match=message):
        read_people_clips(folder)


def test_a_missing_video_or_annotation_is_named(folder):
    with pytest.raises(DataError, match=r"no annotation"):
        read_people_clips(folder)
    write_rows(folder, ROWS)
    (folder / "walk.avi").unlink()
    with pytest.raises(DataError, match=r"walk' is missing"):
        read_people_clips(folder)
