from pathlib import Path

import numpy as np
import pytest

from edgepose.datasets.readers import jhmdb
from edgepose.datasets.readers.jhmdb import (
    final_films,
    read_jhmdb_clips,
    read_jhmdb_people,
    read_jhmdb_videos,
)
from edgepose.datasets.readers.tables import load_table
from edgepose.datasets.records import PersonClip
from edgepose_runtime.errors import ConfigError, DataError
from edgepose_runtime.poses.skeletons import PENN13

CLIP, SEEN, UNKNOWN, FORBIDDEN = (
    f"wave/{name}_wave_u_cm_0.avi" for name in ("held_out", "seen", "unknown", "held_out_too")
)
SIZE = (320, 240)


@pytest.fixture
def root(tmp_path, write_video):
    """A validation clip whose third frame is not to be scored, a training clip, and two without
    annotation: one is from the film of the validation clip."""
    joints = np.full((8, 15, 2), 100, np.float32)
    joints[0, 0] = (-0.6, 50)
    joints[0, 1] = (-0.5, 50)
    joints[0, 2] = (50, 239.6)
    np.savez(
        tmp_path / "joints.npz",
        clips=[CLIP, SEEN],
        offsets=[0, 4, 8],
        joints=joints,
        frame_ok=[True, True, False, True] * 2,
        grade=["A", "B"],
        film=["held_out", "seen"],
        val=[True, False],
        full_body=[False, True],
    )
    teacher = np.full((16, 26, 3), 50, np.float16)
    teacher[..., 2] = 0.45
    np.savez(
        tmp_path / "rtmpose_s.npz",
        clips=[CLIP, SEEN, UNKNOWN, FORBIDDEN],
        offsets=np.arange(5) * 4,
        keypoints=teacher,
    )
    for name in (CLIP, SEEN, UNKNOWN, FORBIDDEN):
        write_video(tmp_path / "clips" / name, 4, SIZE)
    return tmp_path


def test_a_clip_has_its_frames_and_its_facts(root):
    (clip,) = read_jhmdb_clips(root)
    assert (clip.name, clip.film, clip.grade, clip.full_body) == (CLIP, "held_out", "A", False)
    assert (len(clip), clip.fps, clip.skeleton.name) == (4, 12, "jhmdb15")
    assert [frame.shape for frame in clip.frames()] == [(240, 320, 3)] * 4


def test_joints_outside_the_image_and_frames_that_are_not_right_are_not_scored(root):
    (clip,) = read_jhmdb_clips(root)
    assert clip.keypoints[0, :4, 2].tolist() == [0, 1, 0, 1]
    assert clip.keypoints[2, :, 2].tolist() == [0] * 15
    assert clip.keypoints[0, 0, :2] == pytest.approx((-0.6, 50)), "coordinates are kept"


def test_splits_and_grades_choose(root):
    assert [clip.name for clip in read_jhmdb_clips(root, "train")] == [SEEN]
    assert not read_jhmdb_clips(root, "val", grade="B")
    assert read_jhmdb_clips(root, "val", grade="A")
    with pytest.raises(ConfigError, match="'test'"):
        read_jhmdb_clips(root, "test")


def test_training_reads_annotated_and_labelled_clips_but_no_validation_film(root):
    annotated, labelled = read_jhmdb_people(root, PENN13)
    assert (annotated.name, labelled.name) == (SEEN, UNKNOWN)
    assert annotated.keypoints[:, 5, 2] == pytest.approx([0.7, 0.7, 0, 0.7])
    assert labelled.keypoints.shape == (4, 13, 3)
    assert labelled.keypoints[:, 5, 2] == pytest.approx(0.5, abs=0.01), "a score of 0.45"
    assert labelled.frame(3).image().shape == (240, 320, 3)


def test_videos_to_train_on_are_annotated_or_not_but_of_no_validation_film(root):
    videos = read_jhmdb_videos(root)
    assert list(videos) == [SEEN, UNKNOWN]
    assert [len(list(frames())) for frames in videos.values()] == [4, 4]


@pytest.mark.parametrize("broken", [SEEN, UNKNOWN])
@pytest.mark.parametrize("damage", ["missing", "short", "no video"])
def test_a_broken_clip_is_named_and_left_out(root, write_video, broken, damage):
    path = root / "clips" / broken
    path.unlink()
    if damage == "short":
        write_video(path, 3, SIZE)
    elif damage == "no video":
        path.write_bytes(b"no video")
    problems = []
    left = list(read_jhmdb_people(root, PENN13, problems.append))
    assert [clip.name for clip in left] == [name for name in (SEEN, UNKNOWN) if name != broken]
    assert broken in str(problems)
    with pytest.raises(DataError, match=Path(broken).name):
        list(read_jhmdb_people(root, PENN13))


def test_a_clip_with_joints_that_are_no_numbers_is_named(root):
    with np.load(root / "joints.npz") as file:
        table = dict(file)
    table["joints"][1, 4] = np.nan
    np.savez(root / "joints.npz", **table)
    with pytest.raises(DataError, match=r"not finite in 1 of its 4 frames, frame 1"):
        read_jhmdb_clips(root)
    assert read_jhmdb_clips(root, on_broken=[].append) == []


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere/joints\.npz"):
        read_jhmdb_clips(tmp_path / "nowhere")


def test_the_real_validation_clips_are_those_that_are_reported(data_root):
    clips = read_jhmdb_clips(data_root / "jhmdb", "val", grade="A")
    assert (len(clips), sum(map(len, clips))) == (30, 1186)
    assert next(clips[0].frames()).shape == (240, 320, 3)


def test_nothing_of_a_real_validation_film_is_trained_on(data_root, monkeypatch):
    root = data_root / "jhmdb"
    films = tuple({clip.film for clip in read_jhmdb_clips(root, "val")})
    assert len(films) == 15
    assert {clip.film for clip in read_jhmdb_clips(root, "train")}.isdisjoint(films)
    # No frame is needed to see which clips there are.
    monkeypatch.setattr(jhmdb, "person_clip", lambda clip, _: PersonClip(clip.name, (), None))
    monkeypatch.setattr(jhmdb, "decode_frames", lambda *_: iter(()))
    names = [Path(clip.name).name for clip in read_jhmdb_people(root, PENN13)]
    assert len(names) == 419
    assert [name for name in names if name.startswith(films)] == []


def test_a_validation_film_is_for_choosing_unless_it_is_listed_as_final(root, monkeypatch):
    assert [clip.name for clip in read_jhmdb_clips(root, "selection")] == [CLIP]
    assert read_jhmdb_clips(root, "final") == []
    monkeypatch.setattr(jhmdb, "final_films", lambda: ("held_out", "seen"))
    assert read_jhmdb_clips(root, "selection") == []
    (final,) = read_jhmdb_clips(root, "final")
    assert (final.name, final.split) == (CLIP, "final"), "training films are never final"


def test_every_third_validation_film_is_final(data_root):
    table = load_table(data_root / "jhmdb" / "joints.npz", "film", "val")
    films = sorted(set(table["film"][table["val"]].tolist()))
    assert final_films() == tuple(films[2::3])


def test_selection_and_final_are_all_of_validation(data_root):
    names = {
        split: [clip.name for clip in read_jhmdb_clips(data_root / "jhmdb", split)]
        for split in ("val", "selection", "final")
    }
    assert sorted(names["selection"] + names["final"]) == sorted(names["val"])
    assert (len(names["selection"]), len(names["final"])) == (24, 11)
