import os
import subprocess
import sys

KERNEL = """
from edgepose_runtime.kernels.crops import area_taps
print(area_taps(0.5, 2.0, 4, 2)[0].tolist())
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


def test_importing_the_runtime_loads_nothing_heavy():
    imports = "\n".join(f"import edgepose_runtime.{module}" for module in LIGHT)
    loaded = python(
        f"import sys\n{imports}\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    )
    assert loaded == ""
