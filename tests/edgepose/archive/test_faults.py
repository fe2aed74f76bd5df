"""Processes that die, hang, or find the disk full; the same rows as if nothing had happened."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import archive_fakes as fakes
import pytest
from archive_fakes import SmallFiles, archive, expected_rows

from edgepose.archive.driver import Limits
from edgepose.archive.engines.local import LocalEngine
from edgepose.archive.folder import ArchiveFolder
from edgepose.archive.report import read_status
from edgepose_runtime.errors import InferenceError, OutputError

#: How many times drivers and workers are killed, each time at other moments.
RUNS = int(os.environ.get("EDGEPOSE_FAULT_RUNS", "1"))


class TestProcesses:
    def test_a_dying_worker_costs_its_unit_only(self, videos, tmp_path, rows_of):
        """A worker that dies is replaced; the unit is tried again, but not for ever."""
        source, out = videos(a="crash 20", b="walk 30"), tmp_path / "out"
        report = archive(source, out, engine=LocalEngine)
        assert (report.units, report.failed) == (2, 0)
        assert rows_of(out) == expected_rows(source)
        (failure,) = ArchiveFolder(out).failures().values()
        assert (failure.video, failure.tries, failure.final) == ("a.mp4", 1, False)
        assert "signal 9" in failure.reason
        assert not list(out.rglob(".*.part"))

    def test_tries_are_limited(self, videos, tmp_path):
        source, out = videos(a="crash 20"), tmp_path / "out"
        report = archive(source, out, engine=LocalEngine, limits=Limits(tries=1))
        assert (report.units, report.failed) == (0, 1)

    def test_a_video_that_hangs_is_given_up(self, videos, tmp_path, rows_of):
        source, out = videos(a="hang", b="walk 10"), tmp_path / "out"
        limits = Limits(tries=1, stall_timeout_s=2.0)
        report = archive(source, out, workers=1, engine=LocalEngine, limits=limits)
        assert (report.units, report.failed) == (1, 1)
        (failure,) = read_status(ArchiveFolder(out)).failed
        assert "delivered no frame for 2 s" in failure.reason
        assert rows_of(out) == [row for row in expected_rows(source) if row[0] == "b.mp4"]

    def test_a_unit_has_a_time_limit(self, videos, tmp_path):
        source, out = videos(a="walk 100000"), tmp_path / "out"
        limits = Limits(tries=1, unit_timeout_s=0.6)
        archive(source, out, frame_s=0.02, engine=LocalEngine, limits=limits)
        (failure,) = read_status(ArchiveFolder(out)).failed
        assert "more than 0.6 s" in failure.reason

    def test_a_model_that_cannot_be_loaded_ends_the_run(self, videos, tmp_path, monkeypatch):
        source = videos(a="walk 2")
        monkeypatch.setattr(fakes, "FakeSettings", fakes.Unusable)
        with pytest.raises(InferenceError, match="no such device"):
            archive(source, tmp_path / "out", engine=LocalEngine, workers=1)

    def test_a_full_disk_ends_the_run_and_the_next_goes_on(
        self, videos, tmp_path, rows_of, monkeypatch
    ):
        source, out = videos(a="walk 5", b="walk 2000", c="walk 6"), tmp_path / "out"
        monkeypatch.setattr(fakes, "FakeSettings", SmallFiles)
        with pytest.raises(OutputError, match="What is done stays"):
            archive(source, out, workers=1, engine=LocalEngine)
        assert rows_of(out) == [row for row in expected_rows(source) if row[0] == "a.mp4"]
        monkeypatch.undo()
        archive(source, out)
        assert rows_of(out) == expected_rows(source)
        assert not list(out.rglob(".*.part"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(RUNS))
def test_drivers_and_workers_killed_at_random_times_leave_no_trace(seed, videos, tmp_path, rows_of):
    """Kill -9 of the driver, or of a worker of it, then the next run."""
    rng = random.Random(seed)
    source = videos(**{f"v{number}": f"walk {rng.randint(1, 40)}" for number in range(12)})
    out = tmp_path / "out"
    for victim in ("driver", "worker"):
        driver = start_driver(source, out)
        wait_for_parts(driver, out, least=rng.randint(1, 6))
        if victim == "driver":
            driver.kill()
        else:
            kill_a_worker(driver, rng)
        driver.wait(60)
    report = archive(source, out)
    assert report.failed == 0
    assert rows_of(out) == expected_rows(source)
    assert not list(out.rglob(".*.part"))


def start_driver(source, out):
    program = Path(fakes.__file__)
    command = [sys.executable, str(program), str(source), str(out), "0.005"]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def wait_for_parts(driver, out, least):
    while driver.poll() is None and len(ArchiveFolder(out).done()) < least:
        with_timeout(driver)


def with_timeout(driver):
    try:
        driver.wait(0.02)
    except subprocess.TimeoutExpired:
        return


def kill_a_worker(driver, rng):
    import psutil

    try:
        children = psutil.Process(driver.pid).children()
    except psutil.NoSuchProcess:
        return
    workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    if workers:
        rng.choice(workers).send_signal(signal.SIGKILL)
