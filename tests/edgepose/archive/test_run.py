"""Runs with fake workers: what is done, what is refused, what failed."""

import pytest
from archive_fakes import InlineEngine, archive, expected_rows

import edgepose
from edgepose.archive.driver import Limits
from edgepose.archive.engines.base import Event, EventKind
from edgepose.archive.folder import ArchiveFolder
from edgepose.archive.report import read_status
from edgepose.archive.settings import TrackSettings
from edgepose_runtime.errors import ConfigError, SourceError


def test_each_frame_of_each_video_has_a_row(videos, tmp_path, rows_of):
    source, out = videos(a="walk 12", b="walk 5", c="walk 9"), tmp_path / "out"
    report = archive(source, out)
    assert (report.units, report.failed, report.frames, report.poses) == (3, 0, 26, 26)
    assert rows_of(out) == expected_rows(source)
    status = read_status(ArchiveFolder(out))
    assert (status.done, status.failed, status.left, status.running) == (3, (), 0, False)


def test_a_second_run_does_what_is_missing(videos, tmp_path, rows_of):
    source, out = videos(a="walk 12", b="walk 5"), tmp_path / "out"
    archive(source, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("part-*")}
    videos(c="walk 7")
    assert archive(source, out).units == 1
    assert rows_of(out) == expected_rows(source)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_changed_file_is_tracked_anew(videos, tmp_path, rows_of):
    source, out = videos(a="walk 12", b="walk 5"), tmp_path / "out"
    archive(source, out)
    videos(a="walk 3")
    assert archive(source, out).units == 1
    assert rows_of(out) == expected_rows(source)


def test_poses_of_a_file_that_is_gone_are_kept(videos, tmp_path, rows_of):
    source, out = videos(a="walk 12", b="walk 5"), tmp_path / "out"
    archive(source, out)
    wanted = expected_rows(source)
    (source / "a.mp4").unlink()
    for _ in range(2):
        assert archive(source, out).units == 0
        assert rows_of(out) == wanted


def test_other_options_are_refused(videos, tmp_path):
    source, out = videos(a="walk 2"), tmp_path / "out"
    archive(source, out)
    with pytest.raises(ConfigError, match="made with max_people 1, not 3"):
        archive(source, out, tracking=TrackSettings(max_people=3))
    with pytest.raises(ConfigError, match="model 'ppn-swift', not 'ppn-stable'"):
        archive(source, out, tracking=TrackSettings(model="ppn-stable"))


def test_an_archive_has_one_run_at_a_time(videos, tmp_path):
    source, out = videos(a="walk 2"), tmp_path / "out"
    archive(source, out)
    with ArchiveFolder(out).locked(), pytest.raises(ConfigError, match="Another run works on"):
        archive(source, out)


def test_a_folder_without_videos_is_refused(videos, tmp_path):
    source = videos()
    with pytest.raises(SourceError, match="There is no video in"):
        archive(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


class TestFailures:
    def test_a_broken_video_is_tried_once(self, videos, tmp_path, rows_of):
        source, out = videos(a="walk 4", b="broken", c="walk 4"), tmp_path / "out"
        assert archive(source, out).failed == 1
        assert rows_of(out) == expected_rows(source)
        (failure,) = read_status(ArchiveFolder(out)).failed
        assert (failure.video, failure.tries, failure.reason) == (
            "b.mp4",
            1,
            "The video is broken.",
        )

    @pytest.mark.slow
    def test_one_of_a_thousand_costs_nothing_but_itself(self, videos, tmp_path, rows_of):
        films = {f"v{number:03}": "walk 1" for number in range(1000)}
        source, out = videos(**{**films, "v500": "broken"}), tmp_path / "out"
        report = archive(source, out)
        assert (report.units, report.failed) == (999, 1)
        assert rows_of(out) == expected_rows(source)
        (failure,) = read_status(ArchiveFolder(out)).failed
        assert (failure.video, failure.reason) == ("v500.mp4", "The video is broken.")

    def test_it_is_tried_again_on_request_alone(self, videos, tmp_path):
        source, out = videos(b="broken"), tmp_path / "out"
        archive(source, out)
        assert archive(source, out).failed == 0
        assert archive(source, out, retry_failed=True).failed == 1


class Hanging(InlineEngine):
    """Workers that say again and again that they have read no frame."""

    def assign(self, worker, unit):  # noqa: ARG002 - the engine's signature
        self._worker = worker

    def poll(self, timeout_s):
        found = super().poll(timeout_s)
        return found or [Event(self._worker, EventKind.PROGRESS, frames=0)]


def test_who_reports_no_frames_hangs(videos, tmp_path):
    limits = Limits(tries=1, stall_timeout_s=0.05)
    report = archive(videos(a="walk 9"), tmp_path / "out", workers=1, engine=Hanging, limits=limits)
    assert (report.units, report.failed) == (0, 1)


def test_a_stopped_run_is_gone_on_with(videos, tmp_path, rows_of):
    source, out = videos(a="walk 10", b="walk 10", c="walk 10"), tmp_path / "out"
    done = []
    archive(
        source,
        out,
        workers=1,
        frame_s=0.02,
        should_stop=lambda: len(done) > 0,
        observe=lambda run: done.extend([1] * run.report.units),
    )
    status = read_status(ArchiveFolder(out))
    assert (status.done, status.left) == (1, 2)
    assert 0 < status.frames_per_second < 50
    # Two files of the same size are left, each of which takes as long as the first one.
    assert status.seconds_left == pytest.approx(2 * 10 / status.frames_per_second)
    archive(source, out)
    assert rows_of(out) == expected_rows(source)


def test_the_plan_is_the_same_with_other_workers(videos, tmp_path):
    source = videos(a="walk 10", b="walk 10", c="walk 10")
    outs = [tmp_path / "one", tmp_path / "two"]
    for workers, out in enumerate(outs, start=1):
        archive(source, out, workers=workers)
    plans = [(out / "plan.jsonl").read_text() for out in outs]
    assert plans[0] == plans[1]
    tables = [edgepose.read_poses(out) for out in outs]
    assert (tables[0].keypoints == tables[1].keypoints).all()
