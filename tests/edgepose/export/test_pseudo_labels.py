"""Poses on which two models agree become training data."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from edgepose.cli.main import main
from edgepose.datasets.readers.registry import load_source
from edgepose.export.pseudo_labels import Agreement, agreeing, export_pseudo_labels
from edgepose.pose_files.builder import PersonRow, TableBuilder
from edgepose.results import Origin
from edgepose.testing import standing_person
from edgepose_runtime.errors import ConfigError, DataError
from edgepose_runtime.poses.skeletons import PENN13

EVERY = Agreement(every=1)
FRAMES = 4


def poses(*places, video="walk.avi"):
    """A person at each place, in each frame."""
    builder = TableBuilder(PENN13, video)
    for frame in range(FRAMES):
        people = [
            PersonRow(identity, standing_person((x, 60), 80, score=0.9), Origin.PROPAGATED)
            for identity, x in enumerate(places, start=1)
        ]
        builder.add(frame, 40.0 * frame, people)
    return builder.table()


class TestAgreement:
    def test_people_are_matched_wherever_they_stand_in_the_lists(self):
        kept = agreeing(poses(50, 120), poses(120, 51), EVERY)
        assert len(kept) == 2 * FRAMES
        np.testing.assert_array_equal(kept.keypoints, poses(50, 120).keypoints)

    def test_who_is_elsewhere_is_left_out(self):
        kept = agreeing(poses(50, 120), poses(50, 150), EVERY)
        assert set(kept.person_id.tolist()) == {1}

    def test_joints_that_disagree_are_missing(self):
        other = poses(50)
        other.keypoints[:, 5, 0] += 20
        kept = agreeing(poses(50), other, EVERY)
        assert np.isnan(kept.keypoints[:, 5, :2]).all() and not kept.keypoints[:, 5, 2].any()
        assert np.isfinite(np.delete(kept.keypoints, 5, axis=1)).all()

    def test_a_pose_with_few_joints_in_agreement_is_left_out(self):
        other = poses(50)
        other.keypoints[:, :3, 0] += 20
        assert len(agreeing(poses(50), other, EVERY)) == 0

    def test_doubtful_joints_do_not_agree(self):
        other = poses(50)
        other = replace(other, keypoints=other.keypoints * np.array([1, 1, 0.2], np.float32))
        assert len(agreeing(poses(50), other, EVERY)) == 0

    def test_some_frames_are_used(self):
        kept = agreeing(poses(50), poses(50), Agreement(every=3))
        assert kept.frame.tolist() == kept.frames.frame.tolist() == [0, 3]

    def test_numbers_outside_their_range_are_refused(self):
        with pytest.raises(ConfigError, match="tolerance must be above 0"):
            Agreement(tolerance=0)


@pytest.fixture
def films(tmp_path):
    folder = tmp_path / "films"
    folder.mkdir()
    fourcc = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(folder / "walk.avi"), fourcc, 25, (160, 128))
    for frame in range(FRAMES):
        writer.write(np.full((128, 160, 3), 40 * frame, np.uint8))
    writer.release()
    return folder


class TestTraining:
    @pytest.fixture(autouse=True)
    def pyarrow(self):
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow: edgepose[parquet]")

    def test_training_reads_what_was_written(self, films, tmp_path):
        out = tmp_path / "pseudo"
        other = poses(50)
        other.keypoints[:, 5, 0] += 20
        written = export_pseudo_labels(poses(50), other, films, out, Agreement(every=2))
        assert (written.poses, written.pictures) == (2, 2)
        source = load_source("pseudo-labels", 1.0, out, PENN13)
        assert len(source.images) == 2
        first, second = source.images
        assert first.keypoints[5, 2] == 0 and first.keypoints[0, 2] > 0
        np.testing.assert_allclose(first.keypoints[0, :2], poses(50).keypoints[0, 0, :2], atol=1e-3)
        assert abs(float(second.image().mean()) - 80) < 3  # the picture of frame 2

    def test_a_missing_picture_is_named(self, films, tmp_path):
        out = tmp_path / "pseudo"
        export_pseudo_labels(poses(50), poses(50), films, out, EVERY)
        (out / "walk" / "000001.jpg").unlink()
        with pytest.raises(DataError, match=r"000001.jpg' is missing"):
            load_source("pseudo-labels", 1.0, out, PENN13, skip_broken=False)

    def test_other_videos_have_nothing_to_agree_on(self, films, tmp_path):
        with pytest.raises(ConfigError, match="no video in common"):
            export_pseudo_labels(poses(50), poses(50, video="b"), films, tmp_path / "o", EVERY)


def test_the_command_needs_a_second_model(tmp_path, capsys):
    words = ["export", "poses.jsonl", "--to", "pseudo-labels", "--out", str(tmp_path)]
    assert main(words) == 2
    assert "--agree-with" in capsys.readouterr().err
