"""What the start of a plain tracker loads, compiles and keeps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import startup
from edgepose_runtime.native.library import library

TRACK = """
import json, logging, sys
logging.basicConfig()
import edgepose
with edgepose.PoseTracker("ppn-swift", num_threads=1) as tracker:
    with edgepose.open_source(sys.argv[1]) as source:
        for number, result in zip(range(3), tracker.stream(source)):
            joints = [] if result.keypoints is None else result.keypoints.tolist()
            print(json.dumps(joints))
print(json.dumps([name for name in ("numba", "llvmlite") if name in sys.modules]))
"""
MEMORY = (
    TRACK
    + """
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
print(json.dumps(int(status["VmHWM"].split()[0]) / 1024))
"""
)
#: A plain tracker took 377 MB while it loaded numba and LLVM; it takes 280 without them.
MOST_MEMORY_MB = 330


def start(
    clip: Path, caches: Path, code: str = TRACK, **environment: str
) -> tuple[list[object], str]:
    """Track three frames in a fresh process: their joints, what was loaded, and what was said."""
    places = {"EDGEPOSE_CACHE": str(caches / "models"), "NUMBA_CACHE_DIR": str(caches / "kernels")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(clip)],
        env={**os.environ, **places, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.mark.skipif(library() is None, reason="the kernels for this machine are compiled by numba")
def test_a_plain_tracker_compiles_no_kernel_and_loads_no_compiler(sample_clip, tmp_path):
    (*poses, loaded), said = start(sample_clip, tmp_path)
    assert loaded == []
    assert "Compiling" not in said
    assert not list((tmp_path / "kernels").rglob("*.nbc"))
    assert len(poses) == 3 and poses[0]


@pytest.mark.skipif(library() is None, reason="the kernels for this machine are compiled by numba")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux tells it")
def test_a_plain_tracker_is_small(sample_clip, tmp_path):
    start(sample_clip, tmp_path)  # networks are compiled once
    (*_, used_mb), _ = start(sample_clip, tmp_path, code=MEMORY)
    assert used_mb < MOST_MEMORY_MB


@pytest.mark.skipif(library() is None, reason="the kernels for this machine are compiled by numba")
def test_without_numba_a_plain_tracker_works_and_the_rest_says_what_it_needs(sample_clip, tmp_path):
    without = "import sys\nsys.modules['numba'] = sys.modules['llvmlite'] = None\n"
    more = "try:\n    keys = edgepose.KeyFrames(motion='dynamics')\n"
    more += "    edgepose.PoseTracker('ppn-swift', key_frames=keys).warmup()\n"
    more += "except edgepose.EdgePoseError as error:\n    print(json.dumps(str(error)))\n"
    code = without + TRACK.split("print(json.dumps([name")[0] + more
    (*poses, error), _ = start(sample_clip, tmp_path, code=code)
    assert len(poses) == 3 and poses[0]
    assert "pip install numba" in str(error)


def test_poses_do_not_depend_on_what_is_kept_or_who_compiled(sample_clip, tmp_path):
    (*cold, _), _ = start(sample_clip, tmp_path)
    assert list((tmp_path / "models").rglob("*.blob"))
    (*warm, _), _ = start(sample_clip, tmp_path)
    kernels = os.environ.get("NUMBA_CACHE_DIR")  # compiled in earlier runs: it takes long
    environment = {"EDGEPOSE_PRECOMPILED": "0", "NUMBA_CACHE_DIR": kernels or ""}
    (*by_numba, loaded), _ = start(sample_clip, tmp_path, **environment)
    assert loaded == ["numba", "llvmlite"]
    assert cold == warm
    # Sums of optical flow are vectors, as long as the processor's.
    np.testing.assert_allclose(by_numba, cold, atol=0.1)


def test_the_benchmark_of_the_start_reports_every_step(capsys):
    startup.main(["--repeats", "1", "--frames", "2"])
    said = capsys.readouterr().out
    for step in ("cold: first pose", "warm: tracker made", "warm: 2 poses"):
        assert step in said
