import os
import subprocess
import sys

import pytest

from edgepose_runtime import jit as compiling

KERNEL = """
from edgepose_runtime.geometry.crop_kernels import area_taps
print(area_taps(0.5, 2.0, 8, 2)[0].tolist())
"""
LIGHT = ["crop", "decoding", "errors", "following", "geometry", "skeletons", "smoothing"]
HEAVY = ["cv2", "numba", "onnx", "onnxruntime", "openvino", "torch", "edgepose"]


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_kernels_work_where_no_folder_can_hold_the_cache(tmp_path):
    # A folder inside a file can be made by nobody, not even by root.
    blocked = tmp_path / "file"
    blocked.touch()
    output = python(
        KERNEL,
        NUMBA_CACHE_DIR=str(blocked / "cache"),
        NUMBA_CACHE_LOCATOR_CLASSES="UserProvidedCacheLocator",
    )
    assert output == "[0, 2]"


def test_compiled_kernels_are_kept_where_a_folder_can_be_written(tmp_path):
    python(KERNEL, NUMBA_CACHE_DIR=str(tmp_path))
    assert list(tmp_path.rglob("*.nbc"))


@pytest.mark.parametrize(
    ("change", "hits"),
    [
        ("", 1),
        ("compiling._PACKAGE = compiling._PACKAGE / 'capture'", 0),
    ],
    ids=["the same sources", "others"],
)
def test_kept_kernels_count_only_for_the_sources_they_are_made_of(tmp_path, change, hits):
    python(KERNEL, NUMBA_CACHE_DIR=str(tmp_path))
    code = f"from edgepose_runtime.kernels import compiling\n{change}\n{KERNEL}"
    counted = f"{code}\nprint(sum(area_taps.stats.cache_hits.values()))"
    assert python(counted, NUMBA_CACHE_DIR=str(tmp_path)).split("\n")[-1] == str(hits)


@pytest.mark.parametrize("moved", ["renamed", "edited", "removed"])
def test_any_change_of_a_source_file_makes_kept_kernels_stale(tmp_path, monkeypatch, moved):
    source = tmp_path / "folder" / "constants.py"
    source.parent.mkdir()
    source.write_text("A = 1")
    monkeypatch.setattr(compiling, "_PACKAGE", tmp_path)
    before = compiling.sources_hash.__wrapped__()
    if moved == "renamed":
        source.rename(source.with_name("other.py"))
    elif moved == "edited":
        source.write_text("A = 2")
    else:
        source.unlink()
    assert compiling.sources_hash.__wrapped__() != before


def test_importing_the_runtime_loads_nothing_heavy():
    imports = "\n".join(f"import edgepose_runtime.{module}" for module in LIGHT)
    loaded = python(
        f"import sys\n{imports}\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    )
    assert loaded == ""
