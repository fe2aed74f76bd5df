import numpy as np
import pytest

from edgepose.benchmarking.frames import person_box, read_benchmark_frames
from edgepose.inference.model import load
from edgepose_runtime.errors import DataError, SourceError
from edgepose_runtime.geometry.roi import Roi


@pytest.fixture
def model(puppet_bundle):
    with load(puppet_bundle.path, num_threads=1) as model:
        yield model


def test_each_frame_has_the_box_around_its_person(model, puppet_video):
    benchmark_frames = read_benchmark_frames(puppet_video, 8, model)
    assert len(benchmark_frames.frames) == len(benchmark_frames.boxes) == 8
    assert benchmark_frames.interval_ms == pytest.approx(40)
    first, last = (benchmark_frames.boxes[place].center for place in (0, -1))
    assert last[0] - first[0] == pytest.approx(4 * 7, abs=8)  # it walks to the right


def test_a_frame_without_a_pose_has_its_neighbours_box(model, puppet, save_video, tmp_path):
    empty = np.full((240, 320, 3), 116, np.uint8)
    frames = [empty, puppet(), puppet()]
    boxes = read_benchmark_frames(save_video(tmp_path / "flash.avi", frames), 9, model).boxes
    assert len(boxes) == 3
    assert boxes[0] == boxes[1]


def test_a_clip_of_nobody_is_refused(model, save_video, tmp_path):
    empty = [np.full((240, 320, 3), 116, np.uint8)] * 2
    with pytest.raises(DataError, match=r"puppet finds nobody in .*give another video with --clip"):
        read_benchmark_frames(save_video(tmp_path / "empty.avi", empty), 9, model)


def test_a_clip_must_be_there(model, tmp_path):
    with pytest.raises(SourceError):
        read_benchmark_frames(tmp_path / "gone.avi", 9, model)


def test_the_square_around_a_box_is_the_region_it_was_made_of():
    roi = Roi(10, 20, 100, 100)
    assert person_box(roi).squared().as_tuple() == pytest.approx(roi.as_tuple())
