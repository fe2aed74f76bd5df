from dataclasses import replace

import pytest

from edgepose.evaluation import data_sets as data
from edgepose.evaluation.data_sets import Selection, select_clips
from edgepose_runtime.errors import ConfigError, DataError


@pytest.fixture
def ten_clips(make_clip, monkeypatch, tmp_path):
    """A data set of ten clips, the even ones of grade A, the first five with the whole body."""

    def read(root, split, on_broken):
        return [
            make_clip(name=str(i), grade="AB"[i % 2], full_body=i < 5, split=split)
            for i in range(10)
        ]

    monkeypatch.setitem(data.DATA_SETS, "ten", data.DataSet(read, ("val", "train"), "micro"))
    return lambda **fields: [
        clip.name for clip in select_clips(Selection("ten", tmp_path, **fields))
    ]


def test_the_first_split_is_the_one_that_is_reported(ten_clips, tmp_path):
    assert {clip.split for clip in select_clips(Selection("ten", tmp_path))} == {"val"}


def test_clips_are_chosen_by_grade_and_by_how_much_they_show(ten_clips):
    assert ten_clips(grade="A") == ["0", "2", "4", "6", "8"]
    assert ten_clips(grade="A", full_body=True) == ["0", "2", "4"]


def test_a_limit_spreads_over_the_set(ten_clips):
    assert ten_clips(limit=3) == ["0", "3", "6"]
    assert len(ten_clips(limit=50)) == 10


@pytest.mark.parametrize("fields", [{"split": "test"}, {"limit": 0}])
def test_what_does_not_exist_is_refused_by_name(ten_clips, fields):
    with pytest.raises(ConfigError, match=str(*fields.values())):
        ten_clips(**fields)


@pytest.fixture
def broken_clips(make_clip, monkeypatch, tmp_path):
    """A data set of two clips, of which the second cannot be decoded whole."""

    def frames():
        yield from make_clip().frames()
        raise DataError("The picture 7.png is cut off.")

    def read(root, split, on_broken):
        return [make_clip(name="fine"), replace(make_clip(name="broken"), frames=frames)]

    monkeypatch.setitem(data.DATA_SETS, "two", data.DataSet(read, ("val",), "micro"))
    return lambda **fields: select_clips(Selection("two", tmp_path, **fields))


def test_a_broken_picture_is_found_before_anything_is_evaluated(broken_clips):
    with pytest.raises(DataError, match=r"7\.png"):
        broken_clips()


def test_broken_clips_can_be_left_out_by_name(broken_clips, caplog):
    assert [clip.name for clip in broken_clips(skip_broken=True)] == ["fine"]
    assert "7.png" in caplog.text


def test_an_unknown_data_set_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match="jhmdb"):
        select_clips(Selection("coco", tmp_path))


def test_a_choice_without_clips_is_an_error(ten_clips):
    with pytest.raises(DataError, match="No clip"):
        ten_clips(grade="C")


def test_a_missing_folder_is_an_error_that_names_it(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        select_clips(Selection("jhmdb", tmp_path / "nowhere"))
