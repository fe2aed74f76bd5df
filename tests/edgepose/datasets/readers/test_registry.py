import logging
import zipfile

import numpy as np
import pytest

from edgepose.datasets.readers.registry import KINDS, load_source
from edgepose.evaluation.data_sets import Selection, select_clips
from edgepose_runtime.errors import ConfigError, DataError
from edgepose_runtime.poses.skeletons import JHMDB15, PENN13


def load(kind, root, skeleton=PENN13, **options):
    return load_source(kind, 0.5, root, skeleton, **options)


def test_every_set_has_a_kind():
    assert set(KINDS) == {
        *("lspet", "people", "backgrounds", "mpii", "coco", "jhmdb", "penn"),
        *("sub-jhmdb", "full-jhmdb", "pseudo-labels"),
    }


def test_penn_is_trained_on_its_training_part(penn):
    visible = np.ones((3, 13), np.uint8)
    visible[:, 6] = 0
    penn("0001", train=1, visibility=visible)
    source = load("penn", penn("0002", train=-1))
    assert (source.name, source.share) == ("penn", 0.5)
    (clip,) = source.clips
    assert clip.name == "0001"
    assert clip.keypoints[..., 2].all(), "occluded joints count"
    assert clip.boxes.tolist() == [[5, 6, 40, 41]] * 3
    assert all(frame.suffix == ".jpg" for frame in clip.frames), "frames stay on the disk"
    (clip,) = load("penn", penn("0002", train=-1), supervise_only_visible=True).clips
    assert np.flatnonzero(clip.keypoints[0, :, 2] == 0).tolist() == [6]


def test_sub_jhmdb_is_trained_on_the_training_part_of_one_split(jhmdb):
    jhmdb("a", flags="121")
    root = jhmdb("b", flags="211")
    assert [clip.name for clip in load("sub-jhmdb", root, JHMDB15).clips] == ["golf/a"]
    assert [clip.name for clip in load("sub-jhmdb", root, split="train2").clips] == ["golf/b"]
    with pytest.raises(ConfigError, match=r"no training split 'test1'; it has train1"):
        load("sub-jhmdb", root, split="test1")


@pytest.mark.parametrize(("kind", "split"), [("penn", "test"), ("jhmdb", "val")])
def test_what_is_tested_on_is_not_trained_on(kind, split, tmp_path):
    with pytest.raises(ConfigError, match=f"no training split '{split}'"):
        load(kind, tmp_path, split=split)


def test_an_unknown_kind_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match=r"'cats'; choose one of .*lspet, mpii"):
        load("cats", tmp_path)


def test_an_empty_set_is_named(penn):
    with pytest.raises(DataError, match=r"penn set in .* holds no usable sample"):
        load("penn", penn(train=-1))


class TestBroken:
    @pytest.fixture
    def root(self, penn):
        """A good clip, and one of which a frame is cut off."""
        penn("0001", train=1)
        root = penn("0002", train=1)
        path = root / "frames" / "0002" / "000002.jpg"
        path.write_bytes(path.read_bytes()[:-40])
        return root

    def test_pictures_are_looked_at_when_they_are_drawn(self, root):
        assert len(load("penn", root).clips) == 2

    def test_pictures_are_refused_before_training_if_that_is_asked_for(self, root):
        with pytest.raises(DataError, match=r"0002/000002\.jpg is cut off"):
            load("penn", root, skip_broken=False)

    def test_clips_are_named_in_the_log_and_left_out(self, root, caplog):
        (root / "frames" / "0002" / "000003.jpg").unlink()
        with caplog.at_level(logging.WARNING):
            assert len(load("penn", root).clips) == 1
        assert "0002 has 2 frames, but 3 are annotated" in caplog.text

    def test_people_of_whom_no_joint_is_known_are_named_and_left_out(self, penn, caplog):
        penn("0001", train=1)
        root = penn("0002", train=1, visibility=np.zeros((3, 13)))
        assert len(load("penn", root, supervise_only_visible=True).clips) == 1
        assert "No joint of 0002 is known" in caplog.text


@pytest.mark.parametrize(
    ("data", "splits"),
    [("penn", ("test", "train")), ("sub-jhmdb", ("test1", "train3"))],
)
def test_evaluation_reads_the_same_sets(data, splits, penn, jhmdb):
    penn("0001", train=-1)
    penn("0002", train=1)
    jhmdb("a", flags="211")
    root = jhmdb("b", flags="221")
    names = [[clip.name for clip in select_clips(Selection(data, root, split))] for split in splits]
    expected = {
        "penn": [["0001"], ["0002"]],
        "sub-jhmdb": [["golf/a", "golf/b"], ["golf/a", "golf/b"]],
    }
    assert names == expected[data]


@pytest.mark.parametrize(
    ("kind", "table", "unknown"), [("lspet", "joints.npz", 2), ("people", "labels.npz", 0)]
)
def test_the_real_stills_load(data_root, kind, table, unknown):
    source = load(kind, data_root / kind)
    with np.load(data_root / kind / table) as labels:
        count = len(labels["names"])
    assert len(source.images) == count - unknown  # those of which no joint is known
    weights = np.concatenate([still.keypoints[:, 2] for still in source.images])
    assert weights.min() >= 0
    assert weights.max() == 1
    with zipfile.ZipFile(data_root / kind / "images.zip") as archive:
        assert len(archive.namelist()) >= count
