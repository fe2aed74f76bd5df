"""Exports, read by the tools that they are made for."""

import csv
import json

import numpy as np
import pytest

import edgepose
from edgepose.cli.main import main
from edgepose.export.coco import export_coco, export_coco_results
from edgepose.export.deeplabcut import export_deeplabcut
from edgepose.export.joints import BODY25, body25_keypoints, coco_keypoints
from edgepose.export.mot import export_mot
from edgepose.export.openpose import export_openpose
from edgepose.sinks import JsonlSink
from edgepose_runtime.errors import BackendUnavailableError, OutputError
from edgepose_runtime.poses.skeletons import COCO17, PENN13
from tests.edgepose.pose_files.conftest import result_of

FACE = [COCO17.index(name) for name in COCO17.joints[:5]]


class TestJoints:
    def test_the_face_is_never_invented(self, table):
        poses = coco_keypoints(table)
        assert not poses[:, FACE].any()
        wrist = poses[:, COCO17.index("right_wrist")]
        np.testing.assert_array_equal(wrist, table.keypoints[:, PENN13.index("right_wrist")])
        assert not poses[:, COCO17.index("left_ankle")].any()

    def test_neck_and_pelvis_are_in_the_middle(self, table):
        poses = body25_keypoints(table)
        shoulders = [PENN13.index(f"{side}_shoulder") for side in ("right", "left")]
        middle = table.keypoints[:, shoulders].mean(axis=1)
        np.testing.assert_allclose(poses[:, BODY25.index("neck")], middle, rtol=1e-6)
        assert not poses[:, BODY25.index("nose")].any()


class TestCoco:
    def test_annotations_have_identities(self, table, tmp_path):
        path = tmp_path / "coco.json"
        assert export_coco(table, path) == 4
        content = json.loads(path.read_text())
        names = [image["file_name"] for image in content["images"]]
        assert names == [
            *("films-a/000000.jpg", "films-a/000001.jpg", "films-a/000002.jpg", "b/000000.jpg"),
        ]
        found = [(a["image_id"], a["track_id"]) for a in content["annotations"]]
        assert found == [(1, 1), (1, 2), (3, 2), (4, 1)]
        assert {a["num_keypoints"] for a in content["annotations"]} == {11}

    def test_the_training_reader_takes_it(self, table, tmp_path):
        """The box reaches from the first to the last joint."""
        from edgepose.datasets.readers.coco import read_coco

        export_coco(table, tmp_path / "annotations.json")
        for name in ("films-a/000000.jpg", "films-a/000002.jpg", "b/000000.jpg"):
            path = tmp_path / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        records = list(read_coco(tmp_path, PENN13))
        assert len(records) == 4
        joints = table.keypoints[0, 1:12, :2]  # the head is none of COCO's joints
        low, high = joints.min(axis=0), joints.max(axis=0)
        np.testing.assert_allclose(records[0].box, [*low, *high], atol=1e-2)

    def test_pycocotools_scores_the_results_as_perfect(self, table, tmp_path):
        coco = pytest.importorskip("pycocotools.coco", reason="needs pycocotools (Python 3.11)")
        from pycocotools.cocoeval import COCOeval

        export_coco(table, tmp_path / "coco.json")
        assert export_coco_results(table, tmp_path / "results.json") == 4
        truth = coco.COCO(str(tmp_path / "coco.json"))
        found = truth.loadRes(str(tmp_path / "results.json"))
        evaluation = COCOeval(truth, found, "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        assert evaluation.stats[0] == pytest.approx(1.0)


class TestOpenPose:
    def test_each_frame_has_a_file(self, table, tmp_path):
        assert export_openpose(table, tmp_path) == 4
        names = sorted(path.name for path in (tmp_path / "films-a_json").iterdir())
        assert names == [f"films-a_{frame:012d}_keypoints.json" for frame in range(3)]
        people = [
            json.loads((tmp_path / "films-a_json" / name).read_text())["people"] for name in names
        ]
        assert [[p["person_id"] for p in each] for each in people] == [[[1], [2]], [], [[2]]]
        assert len(people[0][0]["pose_keypoints_2d"]) == 75

    def test_pose2sim_reads_it(self, table, tmp_path):
        pytest.importorskip("Pose2Sim", reason="needs pose2sim: pip install pose2sim")
        try:
            from Pose2Sim.common import bounding_boxes
        except ImportError as error:
            pytest.skip(f"pose2sim is installed without what it needs: {error}")
        export_openpose(table, tmp_path)
        path = tmp_path / "films-a_json" / "films-a_000000000002_keypoints.json"
        ((left, _, right, _),) = bounding_boxes(path, margin_percent=0.0)
        assert (left, right) == (0.0, pytest.approx(table.keypoints[2, :12, 0].max(), abs=1e-3))


class TestDeepLabCut:
    def test_each_frame_has_a_row(self, table, tmp_path):
        assert export_deeplabcut(table, tmp_path) == 4
        rows = list(csv.reader((tmp_path / "films-a.csv").open()))
        assert [row[0] for row in rows] == [
            *("scorer", "individuals", "bodyparts", "coords", "0", "1", "2"),
        ]
        assert rows[1][1] == "person1"
        assert set(rows[5][1:]) == {""}
        alone = list(csv.reader((tmp_path / "b.csv").open()))
        assert [row[0] for row in alone[:3]] == ["scorer", "bodyparts", "coords"]

    def test_movement_reads_it(self, table, tmp_path):
        load_poses = pytest.importorskip(
            "movement.io.load_poses", reason="needs movement: pip install movement"
        )
        export_deeplabcut(table, tmp_path)
        several = load_poses.from_dlc_file(tmp_path / "films-a.csv", fps=25)
        assert list(several.individuals.values) == ["person1", "person2"]
        joint = several.position.sel(individuals="person2", keypoints="head").values
        np.testing.assert_allclose(joint[0], table.keypoints[1, 0, :2], atol=1e-3)
        assert np.isnan(joint[1]).all()
        alone = load_poses.from_dlc_file(tmp_path / "b.csv", fps=25)
        np.testing.assert_allclose(
            alone.confidence.values[0, :12, 0], table.keypoints[3, :12, 2], atol=1e-4
        )


def test_mot_counts_frames_and_pixels_from_one(table, tmp_path):
    assert export_mot(table, tmp_path) == 4
    rows = [line.split(",") for line in (tmp_path / "films-a.txt").read_text().splitlines()]
    assert [(row[0], row[1]) for row in rows] == [("1", "1"), ("1", "2"), ("3", "2")]
    assert all(row[7:] == ["-1", "-1", "-1"] for row in rows)
    joints = table.keypoints[0, :12, :2]
    left, top, width, height = map(float, rows[0][2:6])
    np.testing.assert_allclose([left - 1, top - 1], joints.min(axis=0), atol=1e-3)
    np.testing.assert_allclose([width, height], np.ptp(joints, axis=0), atol=1e-3)


class TestCommand:
    @pytest.fixture
    def results(self, tmp_path):
        path = tmp_path / "poses.jsonl"
        with JsonlSink(path, skeleton=PENN13, model="m", source="b.mp4") as sink:
            sink.write(result_of(0, ()))
        return path

    def test_it_says_what_it_wrote(self, results, tmp_path, capsys):
        out = tmp_path / "mot"
        assert main(["export", str(results), "--to", "mot", "--out", str(out)]) == 0
        assert capsys.readouterr().out == f"Wrote 0 poses of 1 frames to {out}.\n"
        assert (out / "b.txt").read_text() == ""

    def test_a_file_that_cannot_be_written_is_refused_first(self, results, tmp_path, capsys):
        out = tmp_path / "missing" / "coco.json"
        assert main(["export", str(results), "--to", "coco", "--out", str(out)]) == 1
        assert "there is no folder" in capsys.readouterr().err

    def test_a_folder_that_cannot_be_made(self, tmp_path, table):
        (tmp_path / "file").touch()
        with pytest.raises(OutputError, match="Cannot create the folder"):
            export_mot(table, tmp_path / "file" / "mot")


class TestSupervision:
    def test_identities_are_in_the_data(self, several_people):
        pytest.importorskip("supervision", reason="needs supervision: pip install supervision")
        points = several_people.to_supervision()
        assert points.xy.shape == (2, 13, 2)
        assert points.data["tracker_id"].tolist() == [1, 2]
        assert len(points[points.data["tracker_id"] == 2]) == 1
        nobody = result_of(0, ()).to_supervision()
        assert len(nobody) == 0

    def test_the_package_is_named_where_it_is_missing(self, several_people, monkeypatch):
        import sys

        monkeypatch.setitem(sys.modules, "supervision", None)
        with pytest.raises(BackendUnavailableError, match="pip install supervision"):
            several_people.to_supervision()

    @pytest.fixture
    def several_people(self):
        from tests.edgepose.pose_files.conftest import everybody

        return result_of(0, everybody(1, 2))


def test_polars_reads_parquet(table, tmp_path):
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow: edgepose[parquet]")
    polars = pytest.importorskip("polars", reason="needs polars: pip install polars")
    from tests.edgepose.pose_files.conftest import everybody, write

    path = write(tmp_path / "poses.parquet", [result_of(0, everybody(1, 2)), result_of(1, ())])
    frame = polars.read_parquet(path)
    assert frame.height == 3
    assert frame["keypoints"].dtype == polars.Array(polars.Float32, 39)
    assert frame.filter(polars.col("person_id") == 2)["keypoints"].to_numpy().shape == (1, 39)
    assert edgepose.read_poses(path).videos == ("walk.mp4",)
