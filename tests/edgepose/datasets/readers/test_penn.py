import numpy as np
import pytest

from edgepose.datasets.readers.penn import read_penn_clips
from edgepose.datasets.sequences import read_penn_sequences
from edgepose.evaluation.boxes import box_corners, person_boxes
from edgepose_runtime.errors import ConfigError, DataError
from edgepose_runtime.poses.skeletons import PENN13

BOX = [5, 6, 40, 41]


def test_a_clip_is_read_as_it_is_published(penn):
    visible = np.ones((3, 13), np.uint8)
    visible[1, 4] = 0
    (clip,) = read_penn_clips(penn("0017", visibility=visible))
    assert (clip.name, clip.split, clip.skeleton) == ("0017", "test", PENN13)
    assert clip.keypoints[:, 4].tolist() == [[14, 20, 1], [14, 20, 0], [14, 20, 1]]
    assert clip.boxes.tolist() == [BOX] * 3
    assert [frame.shape for frame in clip.frames()] == [(48, 64, 3)] * 3, "not as 'dimensions' say"
    assert [round(frame.mean(), -1) for frame in clip.frames()] == [0, 20, 40]


def test_boxes_are_those_of_the_evaluation(penn):
    (clip,) = read_penn_clips(penn())
    assert box_corners(person_boxes(clip)).tolist() == [BOX] * 3


def test_occluded_joints_are_scored_if_asked_for(penn):
    root = penn(visibility=np.zeros((3, 13), np.uint8))
    assert not read_penn_clips(root)[0].keypoints[..., 2].any()
    assert read_penn_clips(root, occluded=True)[0].keypoints[..., 2].all()


def test_the_split_is_the_files_own(penn):
    penn("0001", train=1)
    penn("0002", train=-1)
    root = penn("0003", train=1)
    assert [clip.name for clip in read_penn_clips(root, "train")] == ["0001", "0003"]
    assert [clip.name for clip in read_penn_clips(root)] == ["0002"]
    with pytest.raises(ConfigError, match="'val'"):
        read_penn_clips(root, "val")


@pytest.mark.parametrize("name", ["1154", "1865"])
def test_the_last_box_that_two_clips_lack_is_that_before_it(penn, name):
    (clip,) = read_penn_clips(penn(name, bbox=np.array([[1.0, 2, 3, 4], BOX])))
    assert clip.boxes.tolist() == [[1, 2, 3, 4], BOX, BOX]


def test_a_clip_of_one_frame_is_read(penn):
    (clip,) = read_penn_clips(penn(num_frames=1))
    assert len(clip) == len(list(clip.frames())) == 1


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ({"pictures": 2}, "0002 has 2 frames, but 3 are annotated"),
        ({"pictures": 0}, "0002 has 0 frames"),
        ({"num_frames": 0, "pictures": 1}, "0002"),
        ({"x": np.full((3, 13), np.nan)}, "not finite in 3 of its 3"),
        ({"y": np.zeros((2, 13))}, "'y' in .*0002.mat' should hold 3 x 13"),
        ({"visibility": "all"}, "'visibility' in .*0002.mat'"),
        ({"bbox": np.zeros((1, 4))}, "has 1 boxes, but 3"),
        ({"train": [1, -1]}, "'train'"),
    ],
)
def test_a_broken_clip_is_named_and_left_out(penn, damage, problem):
    penn("0001")
    root = penn("0002", **damage)
    problems = []
    assert [clip.name for clip in read_penn_clips(root, on_broken=problems.append)] == ["0001"]
    with pytest.raises(DataError, match=problem):
        read_penn_clips(root)
    assert len(problems) == 1


def test_a_label_file_that_is_cut_off_is_named_and_left_out(penn):
    penn("0001")
    root = penn("0002")
    path = root / "labels" / "0002.mat"
    path.write_bytes(path.read_bytes()[:300])
    problems = []
    assert len(read_penn_clips(root, on_broken=problems.append)) == 1
    assert "0002.mat" in str(problems[0])


def test_a_folder_without_labels_is_named(tmp_path):
    with pytest.raises(DataError, match=r"not Penn Action: there are no labels/0001\.mat"):
        read_penn_clips(tmp_path)


@pytest.fixture(scope="module")
def sequences(data_root):
    return {sequence.name: sequence for sequence in read_penn_sequences(data_root / "penn")}


class TestSequences:
    def test_are_all_of_the_training_part(self, sequences):
        assert len(sequences) == 1258
        assert sum(map(len, sequences.values())) == 87543
        first = sequences["0002"]
        assert first.action == "baseball_pitch"
        assert first.joints.shape == (len(first), 13, 2)
        assert first.visible.shape == (len(first), 13)
        assert first.boxes.shape == (len(first), 4)

    @pytest.mark.parametrize(
        ("action", "right_on_the_left", "why"),
        [
            ("strum_guitar", True, "players face the camera"),
            ("jumping_jacks", True, "people face the camera"),
            ("bowl", False, "bowlers are filmed from behind"),
        ],
    )
    def test_have_the_right_side_first(self, sequences, action, right_on_the_left, why):
        right, left = PENN13.index("right_shoulder"), PENN13.index("left_shoulder")
        ordered = [
            (sequence.joints[:, right, 0] < sequence.joints[:, left, 0])[seen]
            for sequence in sequences.values()
            if sequence.action == action
            for seen in [sequence.visible[:, [right, left]].all(axis=1)]
        ]
        share = np.concatenate(ordered).mean()
        assert (share if right_on_the_left else 1 - share) > 0.9, why

    def test_strum_with_the_right_hand(self, sequences):
        def speed(sequence, joint):
            place = sequence.joints[:, PENN13.index(joint)]
            return np.percentile(np.linalg.norm(np.diff(place, axis=0), axis=1), 90)

        faster = [
            speed(sequence, "right_wrist") > speed(sequence, "left_wrist")
            for sequence in sequences.values()
            if sequence.action == "strum_guitar"
        ]
        assert np.mean(faster) > 0.9


def test_a_missing_table_of_sequences_is_named(tmp_path):
    with pytest.raises(DataError, match=r"train_joints\.npz' is missing"):
        read_penn_sequences(tmp_path)
