"""Files of ``edgepose track`` that need packages beyond the base install."""

import numpy as np
import pytest

import edgepose
from edgepose.cli import extras
from edgepose.cli.main import main
from edgepose.cli.tracking import outputs
from edgepose_runtime.poses.skeletons import PENN13


@pytest.fixture
def words(puppet_bundle, puppet_video):
    """``edgepose track`` with the puppet's networks."""
    return ["track", str(puppet_video), "--model", str(puppet_bundle.path), "--num-threads", "1"]


def test_parquet_has_what_json_lines_have_with_the_schema_of_archives(words, tmp_path):
    pytest.importorskip("pyarrow")
    lines, parquet = tmp_path / "poses.jsonl", tmp_path / "poses.parquet"
    assert main([*words, "--jsonl", str(lines), "--parquet", str(parquet)]) == 0
    expected, found = edgepose.read_poses(lines), edgepose.read_poses(parquet)
    assert found.frame.tolist() == expected.frame.tolist() == list(range(12))
    np.testing.assert_allclose(found.keypoints[..., :2], expected.keypoints[..., :2], atol=1e-3)
    assert found.origin.tolist() == expected.origin.tolist()
    assert found.videos == expected.videos
    for fact in ("model", "engine"):
        assert found.metadata[fact] == expected.metadata[fact]


def test_parquet_is_no_stream(words, capsys):
    assert main([*words, "--parquet", "-"]) == 2
    assert "--parquet writes a file, not stdout" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--parquet", "--rerun"])
def test_what_is_missing_is_said_before_files_are_emptied(
    words, option, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    kept = tmp_path / "poses.jsonl"
    kept.write_text("kept")
    assert main([*words, "--jsonl", str(kept), option, str(tmp_path / "poses")]) == 1
    assert f'pip install "edgepose[{option[2:]}]"' in capsys.readouterr().err
    assert kept.read_text() == "kept"


@pytest.mark.parametrize("option", ["--parquet", "--rerun"])
def test_the_source_is_not_replaced(words, option, capsys, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda _: object())
    assert main([*words, option, words[1]]) == 2
    assert "is the source; give another file" in capsys.readouterr().err


class FakeSink:
    """Keeps what is written."""

    made: list["FakeSink"]

    def __init__(self, target, **options):
        self.target, self.options, self.written = target, options, []
        self.made.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True

    def write(self, result, image):
        self.written.append((result.frame_id, image.shape))


@pytest.mark.parametrize(
    ("target", "options", "width"),
    [("connect", [], 640), ("rerun+http://host:9876/proxy", ["--rerun-width", "0"], None)],
)
def test_rerun_gets_frames_with_results(words, monkeypatch, target, options, width):
    FakeSink.made = []
    monkeypatch.setattr(extras, "find_spec", lambda _: object())
    monkeypatch.setattr(outputs, "RerunSink", FakeSink)
    assert main([*words, "--rerun", target, *options]) == 0
    (sink,) = FakeSink.made
    assert sink.target == target
    assert sink.options == {"skeleton": PENN13, "name": "puppet", "image_width": width}
    assert [frame for frame, _ in sink.written] == list(range(12))
    assert all(len(shape) == 3 for _, shape in sink.written)
    assert sink.closed


def test_a_recording_for_rerun_is_written(words, tmp_path):
    reader = pytest.importorskip("rerun.chunk", reason='pip install "edgepose[rerun]" (170 MB)')
    path = tmp_path / "poses.rrd"
    assert main([*words, "--rerun", str(path)]) == 0
    entities = {chunk.entity_path for chunk in reader.RrdReader(path).stream().to_chunks()}
    assert {"/video", "/video/person/1", "/score/1"} <= entities
