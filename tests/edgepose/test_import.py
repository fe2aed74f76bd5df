import subprocess
import sys

import pytest

import edgepose


def test_import_loads_neither_opencv_nor_numba_nor_a_backend():
    program = (
        "import sys, edgepose\n"
        "sys.exit(bool({'cv2', 'numba', 'openvino', 'numpy', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_is_loaded_later_is_listed_like_the_rest():
    assert set(edgepose.__all__) <= set(dir(edgepose))
    assert edgepose.PoseTracker.__module__ == "edgepose.tracker"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'PoseTrackr'"):
        _ = edgepose.PoseTrackr
