"""What sinks write is what ``read_poses`` returns."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import edgepose
from edgepose.errors import PoseFileError
from edgepose_runtime.errors import ConfigError
from tests.edgepose.pose_files.conftest import streams, write

FEW = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


def assert_same(table, results, tolerance=1e-3, several=True):
    """Compare a table with the results that were written."""
    shown = [(r, r.people if several else r.people[:1]) for r in results]
    rows = [(result, person) for result, people in shown for person in people]
    assert len(table) == len(rows)
    assert table.frame.tolist() == [result.frame_id for result, _ in rows]
    assert table.timestamp_ms.tolist() == [result.timestamp_ms for result, _ in rows]
    ids = [person.person_id if several else 1 for _, person in rows]
    assert table.person_id.tolist() == ids
    assert table.origin.tolist() == [person.origin.value for _, person in rows]
    assert table.key_frame_age.tolist() == [person.key_frame_age for _, person in rows]
    poses = np.array([person.keypoints for _, person in rows]).reshape(-1, 13, 3)
    np.testing.assert_allclose(table.keypoints, poses, rtol=2e-7, atol=tolerance)
    rois = np.array([person.roi for _, person in rows]).reshape(-1, 4)
    np.testing.assert_allclose(table.roi, rois, rtol=2e-7, atol=tolerance)
    scores = [person.score for _, person in rows]
    np.testing.assert_allclose(table.score, scores, atol=tolerance)
    assert table.frames.frame.tolist() == [result.frame_id for result in results]
    assert table.frames.reason.tolist() == [result.reason or "" for result in results]


def assert_types(table):
    count = len(table)
    expected = {
        "video": ("int32", (count,)),
        "frame": ("int64", (count,)),
        "timestamp_ms": ("float64", (count,)),
        "person_id": ("int32", (count,)),
        "keypoints": ("float32", (count, 13, 3)),
        "score": ("float32", (count,)),
        "roi": ("float32", (count, 4)),
        "key_frame_age": ("int32", (count,)),
    }
    found = {
        name: (getattr(table, name).dtype.name, getattr(table, name).shape) for name in expected
    }
    assert found == expected
    assert {table.origin.dtype.kind, table.state.dtype.kind, table.frames.reason.dtype.kind} == {
        "U"
    }


@FEW
@given(results=streams())
def test_several_people_come_back(results, ending, tmp_path):
    table = edgepose.read_poses(write(tmp_path / f"poses.{ending}", results))
    assert_same(table, results)
    assert_types(table)
    assert table.state.tolist() == [p.state.value for r in results for p in r.people]
    assert table.skeleton.name == "penn13"
    assert table.videos == (("poses",) if ending == "csv" else ("walk.mp4",))


@FEW
@given(results=streams(most_people=1))
def test_one_person_comes_back_from_files_of_one(results, ending, tmp_path):
    path = write(tmp_path / f"poses.{ending}", results, several=False)
    table = edgepose.read_poses(path)
    assert_same(table, results, several=False)
    assert_types(table)


@FEW
@given(results=streams())
def test_parquet_loses_nothing(results, tmp_path):
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow: edgepose[parquet]")
    table = edgepose.read_poses(write(tmp_path / "poses.parquet", results))
    rows = [person for result in results for person in result.people]
    poses = np.array([person.keypoints for person in rows], np.float32).reshape(-1, 13, 3)
    np.testing.assert_array_equal(table.keypoints, poses)
    assert table.metadata["model"] == "ppn-swift"


def test_frames_group_their_people_in_the_order_of_the_identities(
    ending, tmp_path, several_results
):
    table = edgepose.read_poses(write(tmp_path / f"poses.{ending}", several_results))
    groups = [(frame, table.person_id[rows].tolist()) for _, frame, rows in table.groups()]
    assert groups == [(0, [1, 2]), (2, [2])]


def test_one_video_can_be_taken_out(tmp_path, several_results):
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow: edgepose[parquet]")
    for name, results in {"a.mp4": several_results, "b.mp4": several_results[:1]}.items():
        write(tmp_path / f"{name}.parquet", results, video=name)
    table = edgepose.read_poses(tmp_path)
    assert table.videos == ("a.mp4", "b.mp4")
    assert len(table) == 5
    only = table.of_video("b.mp4")
    assert (len(only), only.frames.frame.tolist(), set(only.video.tolist())) == (2, [0], {1})
    with pytest.raises(ConfigError, match=r"no poses of the video 'c.mp4'"):
        table.of_video("c.mp4")


class TestDamaged:
    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(PoseFileError, match="There is no file of poses"):
            edgepose.read_poses(tmp_path / "poses.jsonl")

    def test_an_empty_file(self, tmp_path):
        path = tmp_path / "poses.csv"
        path.touch()
        with pytest.raises(PoseFileError, match="is empty"):
            edgepose.read_poses(path)

    def test_an_empty_folder(self, tmp_path):
        with pytest.raises(PoseFileError, match="holds no Parquet file"):
            edgepose.read_poses(tmp_path)

    def test_a_file_that_is_no_text(self, tmp_path):
        (tmp_path / "walk.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
        with pytest.raises(PoseFileError, match=r"walk\.mp4' is no file of poses, but of another"):
            edgepose.read_poses(tmp_path / "walk.mp4")

    def test_a_file_of_something_else(self, tmp_path):
        for name, text in {
            "a.csv": "a,b\n1,2\n",
            "a.jsonl": '{"a": 1}\n',
            "b.bin": "PAR1xx",
        }.items():
            if name == "b.bin":
                pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
            path = tmp_path / name
            path.write_text(text)
            with pytest.raises(PoseFileError, match=name):
                edgepose.read_poses(path)

    def test_a_file_that_is_cut_off(self, ending, tmp_path, several_results):
        path = write(tmp_path / f"poses.{ending}", several_results)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) - 30])
        with pytest.raises(PoseFileError, match=r"cut off"):
            edgepose.read_poses(path)

    def test_the_line_is_named(self, tmp_path, several_results):
        path = write(tmp_path / "poses.jsonl", several_results)
        lines = path.read_text().splitlines()
        lines[2] = lines[2].replace('"frame": 1', '"frame": -1')
        path.write_text("\n".join(lines))
        with pytest.raises(PoseFileError, match=r"Line 3 of .*'frame' in the line must be a whole"):
            edgepose.read_poses(path)

    def test_a_joint_too_few(self, tmp_path, several_results):
        path = write(tmp_path / "poses.csv", several_results)
        path.write_text(
            "\n".join(line.rpartition(",")[0] for line in path.read_text().splitlines())
        )
        with pytest.raises(PoseFileError, match="three for each joint"):
            edgepose.read_poses(path)

    def test_text_of_parquet_that_is_not_utf8(self, tmp_path, several_results):
        pa = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        path = write(tmp_path / "poses.parquet", several_results)
        table = parquet.read_table(path)
        place = table.schema.get_field_index("video")
        field, text = table.schema.field(place), pa.array([b"\xff\xfe"]).view(pa.string())
        column = pa.DictionaryArray.from_arrays(
            pa.array([0] * len(table), field.type.index_type), text
        )
        parquet.write_table(table.set_column(place, field, column), path)
        with pytest.raises(PoseFileError, match="damaged or cut off; write it again"):
            edgepose.read_poses(path)

    def test_a_newer_version(self, tmp_path, several_results):
        path = write(tmp_path / "poses.jsonl", several_results)
        path.write_text(path.read_text().replace('"version": 2', '"version": 3', 1))
        with pytest.raises(PoseFileError, match="update edgepose"):
            edgepose.read_poses(path)

    @settings(FEW, max_examples=60)
    @given(results=streams(), edits=...)
    def test_any_damage_is_a_typed_error_or_none(
        self, results, edits: list[tuple[int, int]], ending, tmp_path
    ):
        path = write(tmp_path / f"poses.{ending}", results)
        content = bytearray(path.read_bytes())
        for place, value in edits:
            content[place % len(content)] = value % 256
        path.write_bytes(content)
        with suppress(PoseFileError):
            edgepose.read_poses(path)


def test_parquet_is_refused_with_the_extra_where_pyarrow_is_missing(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "poses.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(edgepose.errors.BackendUnavailableError, match=r"edgepose\[parquet\]"):
        edgepose.read_poses(path)
