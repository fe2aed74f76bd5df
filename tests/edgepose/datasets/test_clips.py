from dataclasses import replace

import numpy as np
import pytest

from edgepose.datasets.clips import Clip, checked_clip, person_clip
from edgepose.datasets.frames import PictureFiles
from edgepose.testing import standing_person
from edgepose_runtime.errors import DataError
from edgepose_runtime.poses.skeletons import JHMDB15, PENN13


@pytest.fixture
def clip(tmp_path, write_picture):
    """Three frames of a standing person, each in a file."""
    paths = tuple(write_picture(tmp_path / f"{t}.png", 10 * t) for t in range(3))
    return Clip(
        name="walk",
        film="film",
        frames=PictureFiles(paths),
        keypoints=np.stack([standing_person((30, 20), 30)] * 3),
        boxes=np.tile(np.float32([1, 2, 30, 40]), (3, 1)),
        skeleton=PENN13,
        fps=25.0,
        split="train",
    )


class TestTraining:
    def test_leaves_pictures_in_their_files(self, clip):
        person = person_clip(clip, PENN13)
        assert person.frames == clip.frames.paths
        assert person.frame(2).image().mean() == 20
        assert person.frame(2).name == "frame 2 of walk"
        np.testing.assert_array_equal(person.frame(1).keypoints, clip.keypoints[1])
        np.testing.assert_array_equal(person.frame(1).box, clip.boxes[1])

    def test_keeps_other_frames_encoded_in_memory(self, clip):
        frames = list(clip.frames())
        person = person_clip(replace(clip, frames=lambda: iter(frames), boxes=None), PENN13)
        assert all(isinstance(frame, bytes) for frame in person.frames)
        assert person.frame(2).image().mean() == 20
        assert person.frame(2).box is None

    def test_converts_joints_and_forgets_those_there_are_not(self, clip):
        person = person_clip(clip, JHMDB15)
        neck, face = JHMDB15.index("neck"), JHMDB15.index("face")
        assert person.keypoints[0, neck].tolist() == [0, 0, 0]
        assert person.keypoints[0, face].tolist() == clip.keypoints[0, 0].tolist()

    def test_weighs_an_unsure_annotation_less(self, clip):
        clip.keypoints[0, 5, 2] = 0
        weights = person_clip(replace(clip, grade="B"), PENN13).keypoints[..., 2]
        assert weights[0, 5] == 0
        assert weights[1:] == pytest.approx(0.7)


class TestACheckedClip:
    def test_is_the_clip_itself(self, clip):
        assert checked_clip(clip) is clip

    def test_has_as_many_frames_as_labels(self, clip):
        with pytest.raises(DataError, match="walk has 3 frames, but 2 are"):
            checked_clip(replace(clip, keypoints=clip.keypoints[:2]))

    def test_is_not_empty(self, clip):
        with pytest.raises(DataError, match="walk is empty"):
            checked_clip(replace(clip, frames=PictureFiles(()), keypoints=clip.keypoints[:0]))

    def test_has_finite_joints_where_they_are_scored(self, clip):
        clip.keypoints[1, 3] = (np.nan, 5, 0)
        checked_clip(clip)
        clip.keypoints[2, 3, 0] = np.inf
        with pytest.raises(DataError, match="not finite in 1 of its 3 frames, frame 2 first"):
            checked_clip(clip)
