"""Archives of a real video: the same poses as ``PoseTracker``, whole and cut."""

import shutil

import numpy as np
import pytest
from archive_fakes import InlineEngine

import edgepose
from edgepose.archive.engines.local import LocalEngine
from edgepose.archive.run import ArchiveJob, run_archive
from edgepose.archive.settings import CutSettings, TrackSettings

#: Mean distance of joints between whole and cut files, in parts of a person's height.
TOLERANCE = 0.03


@pytest.fixture(scope="module")
def source(sample_clip, tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(sample_clip, folder / name)
    return folder


def archive(source, out, engine, cut):
    job = ArchiveJob(str(source), out, TrackSettings(), cut)
    report = run_archive(job, engine, workers=2)
    assert report.failed == 0
    return edgepose.read_poses(out)


@pytest.mark.slow
def test_rows_are_those_of_a_tracker_with_any_number_of_workers(source, tmp_path):
    whole = archive(source, tmp_path / "whole", InlineEngine, CutSettings())
    with edgepose.PoseTracker("ppn-swift", num_threads=1) as tracker:
        results = list(tracker.stream(source / "a.mp4"))
    first = whole.of_video("a.mp4")
    assert first.frame.tolist() == [result.frame_id for result in results]
    np.testing.assert_array_equal(first.keypoints, [result.keypoints for result in results])
    np.testing.assert_array_equal(first.keypoints, whole.of_video("b.mp4").keypoints)

    cut = archive(
        source, tmp_path / "cut", LocalEngine, CutSettings(frames_per_unit=40, overlap=30)
    )
    for name in ("frame", "timestamp_ms", "person_id", "video"):
        np.testing.assert_array_equal(getattr(cut, name), getattr(whole, name))
    apart = np.linalg.norm(cut.keypoints[..., :2] - whole.keypoints[..., :2], axis=-1)
    heights = np.ptp(whole.keypoints[..., 1], axis=1)
    assert (apart.mean(axis=1) / heights).max() < TOLERANCE
    before_the_cut = whole.frame < 40
    assert not apart[before_the_cut].any()
