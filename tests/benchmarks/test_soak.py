"""The short form of the soak, in a process of its own: memory must not be that of other tests."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import soak
from benchmarks.soak import Sample, broken_limits
from edgepose_runtime.errors import ConfigError

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the soak reads /proc"
)


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize("policy", ["every-frame", "latest"])
def test_a_few_thousand_frames_keep_memory_threads_handles_and_counts(
    tmp_path, project_root, policy
):
    command = [
        sys.executable, "-m", "benchmarks", "soak", "--frames", "3000", "--settle", "1500",
        "--every", "250", "--policy", policy, "--out", str(tmp_path),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=project_root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "soak.json").read_text())
    assert report["broken"] == []
    assert [one["frames"] for one in report["samples"]] == list(range(0, 3001, 250))
    assert (tmp_path / "soak.png").stat().st_size > 1000


def samples(*rows):
    return [Sample(*row) for row in rows]


def test_growth_counts_from_where_the_process_settled():
    growth, broken = broken_limits(samples((0, 50, 3, 9), (10, 90, 4, 8), (20, 91, 4, 8)), 10)
    assert growth == 1
    assert broken == []


def test_what_grows_is_named():
    _, broken = broken_limits(samples((0, 50, 3, 9), (10, 56, 4, 10)), 0)
    assert broken == [
        "threads between 3 and 4",
        "handles between 9 and 10",
        "memory grew by 6.0 MB",
    ]


@needs_proc
@pytest.mark.parametrize("wrong", [["--settle", "9", "--frames", "9"], ["--every", "0"]])
def test_options_that_leave_nothing_to_judge_are_refused(tmp_path, wrong):
    with pytest.raises(ConfigError, match="--settle must be below"):
        soak.main([*wrong, "--out", str(tmp_path)])
