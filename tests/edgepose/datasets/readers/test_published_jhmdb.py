import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepose.datasets.readers.published_jhmdb import (
    mask_boxes,
    read_full_jhmdb_clips,
    read_sub_jhmdb_clips,
)
from edgepose_runtime.errors import ConfigError, DataError
from edgepose_runtime.poses.skeletons import JHMDB15

BOX = [5, 10, 15, 30]


def test_a_clip_is_read_as_it_is_published(jhmdb):
    (clip,) = read_sub_jhmdb_clips(jhmdb("a_clip", "shoot_ball", flags="211"))
    assert (clip.name, clip.split, clip.skeleton) == ("shoot_ball/a_clip", "test1", JHMDB15)
    assert clip.keypoints.shape == (3, 15, 3)
    assert clip.keypoints[:, 7].tolist() == [[10 + t, 20 + t, 1] for t in range(3)], "0-based"
    assert clip.boxes.tolist() == [BOX] * 3
    assert [round(frame.mean(), -1) for frame in clip.frames()] == [0, 20, 40]


def test_each_split_has_its_training_and_its_test_part(jhmdb):
    jhmdb("a", "golf", flags="122")
    jhmdb("b", "golf", flags="211")
    root = jhmdb("c", "climb_stairs", flags="101")
    parts = {
        split: [clip.name[-1] for clip in read_sub_jhmdb_clips(root, split)]
        for split in ("train1", "test1", "train2", "test2", "train3", "test3")
    }
    assert parts == {
        "train1": ["c", "a"],
        "test1": ["b"],
        "train2": ["b"],
        "test2": ["a"],
        "train3": ["c", "b"],
        "test3": ["a"],
    }
    with pytest.raises(ConfigError, match="'test4'"):
        read_sub_jhmdb_clips(root, "test4")


def test_all_of_jhmdb_has_splits_of_its_own(jhmdb):
    root = jhmdb(flags="222")
    with pytest.raises(DataError, match=r"splits/ACTION_test_split1\.txt"):
        read_full_jhmdb_clips(root)
    (root / "sub_splits").rename(root / "splits")
    assert len(read_full_jhmdb_clips(root)) == 1


def test_a_clip_whose_masks_end_early_is_cut(jhmdb):
    masks = np.ones((48, 64, 2), np.uint8)
    (clip,) = read_sub_jhmdb_clips(jhmdb(masks=masks), "train1")
    assert len(clip) == len(clip.boxes) == len(list(clip.frames())) == 2


def test_a_clip_of_one_frame_is_read(jhmdb):
    root = jhmdb(num_frames=1, pos_img=np.ones((2, 15)), masks=np.ones((48, 64), np.uint8))
    (clip,) = read_sub_jhmdb_clips(root, "train1")
    assert clip.boxes.tolist() == [[0, 0, 63, 47]]


@given(
    left=st.integers(0, 9),
    top=st.integers(0, 7),
    width=st.integers(1, 10),
    height=st.integers(1, 8),
)
def test_a_box_is_the_masks_extent(left, top, width, height):
    mask = np.zeros((8, 10, 1), np.uint8)
    mask[top : top + height, left : left + width] = 3
    right, bottom = min(left + width, 10) - 1, min(top + height, 8) - 1
    assert mask_boxes(mask).tolist() == [[left, top, right, bottom]]


def test_an_empty_mask_has_the_box_before_it_or_else_the_first():
    masks = np.zeros((8, 10, 5), np.uint8)
    masks[2, 3, 1] = masks[4, 5, 3] = 1
    first, second = [3, 2, 3, 2], [5, 4, 5, 4]
    assert mask_boxes(masks).tolist() == [first, first, first, second, second]
    assert np.isnan(mask_boxes(masks[..., :1])).all()


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ({"pos_img": np.ones((2, 15, 2))}, "golf/b has 3 frames, but 2 are annotated"),
        ({"pos_img": np.full((2, 15, 3), np.nan)}, "golf/b has joints that are not finite"),
        ({"pos_img": np.ones((2, 13, 3))}, "'pos_img' in .* should hold 2 x 15 x any"),
        ({"masks": np.zeros((48, 64, 3), np.uint8)}, "Every mask in .*golf/b/.* is empty"),
    ],
)
def test_a_broken_clip_is_named_and_left_out(jhmdb, damage, problem):
    jhmdb("a")
    root = jhmdb("b", **damage)
    problems = []
    left = read_sub_jhmdb_clips(root, "train1", problems.append)
    assert [clip.name for clip in left] == ["golf/a"]
    with pytest.raises(DataError, match=problem):
        read_sub_jhmdb_clips(root, "train1")
    assert len(problems) == 1


@pytest.mark.parametrize("missing", ["joint_positions", "puppet_mask", "Rename_Images"])
def test_a_clip_with_a_missing_part_is_named_and_left_out(jhmdb, missing):
    jhmdb("a")
    root = jhmdb("b")
    (root / missing / "golf" / "b").rename(root / "elsewhere")
    problems = []
    assert len(read_sub_jhmdb_clips(root, "train1", problems.append)) == 1
    assert "golf/b" in str(problems)


def test_a_line_of_a_split_that_says_nothing_is_named(jhmdb):
    root = jhmdb()
    path = root / "sub_splits" / "golf_test_split1.txt"
    path.write_text(path.read_text() + "\nsome_clip.avi one\n")
    with pytest.raises(DataError, match=r"golf_test_split1\.txt.*'some_clip\.avi one'"):
        read_sub_jhmdb_clips(root)
