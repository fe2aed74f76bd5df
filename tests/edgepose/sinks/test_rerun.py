import sys
from dataclasses import replace

import numpy as np
import pytest

from edgepose.sinks import RerunSink
from edgepose_runtime.errors import BackendUnavailableError, ClosedError, ConfigError, OutputError
from edgepose_runtime.poses.skeletons import PENN13


def test_without_rerun_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(BackendUnavailableError, match=r'pip install "edgepose\[rerun\]"'):
        RerunSink(tmp_path / "poses.rrd", skeleton=PENN13)


def test_a_width_that_is_not_positive_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="positive width"):
        RerunSink(tmp_path / "poses.rrd", skeleton=PENN13, image_width=0)


class TestFile:
    """What the real package writes and reads."""

    @pytest.fixture(autouse=True)
    def rerun(self):
        pytest.importorskip("rerun.chunk", reason='pip install "edgepose[rerun]" (170 MB)')

    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "poses.rrd"

    def test_joints_identities_scores_and_times_are_read_back(self, path, several):
        with RerunSink(path, skeleton=PENN13) as sink:
            sink.write(several(0, 3, 7))
            sink(replace(several(1, 7), timestamp_ms=40.0))
        person = rows(path, "/video/person/7")
        assert [row["frame"] for row in person] == [0, 1]
        assert [row["time"].total_seconds() for row in person] == [0.0, 0.04]
        expected = several(0, 3, 7).people[1].keypoints
        np.testing.assert_allclose(person[0]["Points2D:positions"], expected[:, :2] + 0.5)
        np.testing.assert_allclose(person[0]["score"], expected[:, 2])
        assert person[0]["Points2D:keypoint_ids"] == list(range(13))
        assert person[0]["origin"] == ["propagated"]
        assert [row["Scalars:scalars"] for row in rows(path, "/score/7")] == [[0.5], [0.5]]
        (skeleton,) = rows(path, "/video")
        ((entry,),) = skeleton["AnnotationContext:context"]
        bones = entry["class_description"]["keypoint_connections"]
        assert [(bone["keypoint0"], bone["keypoint1"]) for bone in bones] == list(PENN13.limbs)

    def test_who_is_gone_is_cleared_once(self, path, several):
        with RerunSink(path, skeleton=PENN13) as sink:
            for result in (several(0, 3), several(1), several(2), several(3, 3)):
                sink.write(result)
        assert [row["frame"] for row in rows(path, "/video/person/3", "Clear")] == [1]
        assert [row["frame"] for row in rows(path, "/video/person/3", "Points2D")] == [0, 3]

    def test_a_joint_that_was_not_seen_is_left_out(self, path, pose):
        result = pose()
        result.keypoints[4] = (np.nan, np.nan, 0)
        with RerunSink(path, skeleton=PENN13) as sink:
            sink.write(result)
        (row,) = rows(path, "/video/person/1")
        assert row["Points2D:keypoint_ids"] == [i for i in range(13) if i != 4]

    @pytest.mark.parametrize(("width", "scale"), [(32, 0.5), (640, 1.0)])
    def test_pictures_are_scaled_down_with_the_joints(self, path, pose, width, scale):
        import cv2

        frame = np.full((48, 64, 3), (250, 10, 20), np.uint8)
        with RerunSink(path, skeleton=PENN13, image_width=width) as sink:
            sink.write(pose(), frame)
        (row,) = rows(path, "/video", "EncodedImage")
        (blob,) = row["EncodedImage:blob"]
        shown = cv2.imdecode(np.array(blob, np.uint8), cv2.IMREAD_COLOR)
        assert shown.shape == (48 * scale, 64 * scale, 3)
        assert np.abs(shown.mean((0, 1)) - (250, 10, 20)).max() < 5
        (person,) = rows(path, "/video/person/1")
        expected = (pose().keypoints[:, :2] + 0.5) * scale
        np.testing.assert_allclose(person["Points2D:positions"], expected)

    def test_a_folder_that_is_not_there_is_an_output_error(self, tmp_path):
        with pytest.raises(OutputError, match="no"):
            RerunSink(tmp_path / "no" / "poses.rrd", skeleton=PENN13)

    def test_a_viewer_that_is_not_there_is_an_output_error(self, pose):
        sink = RerunSink("rerun+http://127.0.0.1:9/proxy", skeleton=PENN13)
        sink.write(pose())
        with pytest.raises(OutputError, match=r"127\.0\.0\.1:9"):
            sink.close()

    def test_writing_to_a_closed_sink_is_an_error_and_closing_twice_is_not(self, path, pose):
        sink = RerunSink(path, skeleton=PENN13)
        sink.close()
        sink.close()
        with pytest.raises(ClosedError):
            sink.write(pose())


def rows(path, entity, component=""):
    """Return what was logged for an entity, in the order of frames."""
    from rerun.chunk import RrdReader

    chunks = [each for each in RrdReader(path).stream().to_chunks() if each.entity_path == entity]
    tables = [chunk.to_record_batch() for chunk in chunks]
    found = [table for table in tables if any(component in name for name in table.schema.names)]
    # The times of logging have nanoseconds, for which Python has no type.
    wanted = [[name for name in table.schema.names if name != "log_time"] for table in found]
    pairs = zip(found, wanted, strict=True)
    logged = [row for table, names in pairs for row in table.select(names).to_pylist()]
    return sorted(logged, key=lambda row: row.get("frame", -1))
