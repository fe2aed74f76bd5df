import cv2
import numpy as np
import pytest

from edgepose.datasets.frames import decode_frames
from edgepose.datasets.jhmdb import read_jhmdb_clips
from edgepose_runtime.errors import ConfigError, DataError

CLIP = "wave/someone.avi"


@pytest.fixture
def jhmdb(tmp_path):
    """A set of one validation clip of 4 frames; its third frame is not to be scored."""
    joints = np.full((4, 15, 2), 100, np.float32)
    joints[0, 0] = (-0.6, 50)
    joints[0, 1] = (-0.5, 50)
    joints[0, 2] = (50, 239.6)
    np.savez(
        tmp_path / "joints.npz",
        clips=[CLIP],
        offsets=[0, 4],
        joints=joints,
        frame_ok=[True, True, False, True],
        grade=["A"],
        film=["film"],
        val=[True],
        full_body=[False],
    )
    write_video(tmp_path / "clips" / CLIP, num_frames=4)
    return tmp_path


def write_video(path, num_frames):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 12, (320, 240))
    for level in range(num_frames):
        writer.write(np.full((240, 320, 3), 40 * level, np.uint8))
    writer.release()


def test_a_clip_has_its_frames_in_order_and_its_facts(jhmdb):
    (clip,) = read_jhmdb_clips(jhmdb)
    assert (clip.name, clip.film, clip.grade, clip.full_body) == (CLIP, "film", "A", False)
    assert (len(clip), clip.fps, clip.skeleton.name) == (4, 12, "jhmdb15")
    frames = list(clip.frames())
    assert [frame.shape for frame in frames] == [(240, 320, 3)] * 4
    assert [frame.mean() for frame in frames] == pytest.approx([0, 40, 80, 120], abs=2)


def test_frames_can_be_read_more_than_once(jhmdb):
    (clip,) = read_jhmdb_clips(jhmdb)
    assert len(list(clip.frames())) == len(list(clip.frames())) == 4


def test_joints_outside_the_image_and_frames_that_are_not_right_are_not_scored(jhmdb):
    (clip,) = read_jhmdb_clips(jhmdb)
    assert clip.keypoints[0, :4, 2].tolist() == [0, 1, 0, 1]
    assert clip.keypoints[2, :, 2].tolist() == [0] * 15
    assert clip.keypoints[0, 0, :2] == pytest.approx((-0.6, 50)), "coordinates are kept"


def test_splits_and_grades_choose(jhmdb):
    assert not read_jhmdb_clips(jhmdb, "train")
    assert not read_jhmdb_clips(jhmdb, "val", grade="B")
    assert read_jhmdb_clips(jhmdb, "val", grade="A")
    with pytest.raises(ConfigError, match="'test'"):
        read_jhmdb_clips(jhmdb, "test")


def test_a_clip_that_is_shorter_than_its_annotation_is_an_error(jhmdb):
    write_video(jhmdb / "clips" / CLIP, num_frames=3)
    (clip,) = read_jhmdb_clips(jhmdb)
    with pytest.raises(DataError, match="after 3 of its 4"):
        list(clip.frames())


def test_a_file_that_is_no_video_is_an_error(tmp_path):
    (tmp_path / "no.avi").write_bytes(b"no video at all")
    with pytest.raises(DataError, match=r"no\.avi"):
        next(decode_frames(tmp_path / "no.avi", 1))


@pytest.mark.parametrize("content", [b"", b"PK no archive"])
def test_a_damaged_annotation_file_is_an_error(tmp_path, content):
    (tmp_path / "joints.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"joints\.npz"):
        read_jhmdb_clips(tmp_path)


def test_the_real_validation_clips_are_those_that_are_reported(data_root):
    clips = read_jhmdb_clips(data_root / "jhmdb", "val", grade="A")
    assert (len(clips), sum(map(len, clips))) == (30, 1186)
    assert next(clips[0].frames()).shape == (240, 320, 3)


def test_no_film_is_in_both_splits(data_root):
    films = [
        {clip.film for clip in read_jhmdb_clips(data_root / "jhmdb", split)}
        for split in ("train", "val")
    ]
    assert films[0].isdisjoint(films[1])
