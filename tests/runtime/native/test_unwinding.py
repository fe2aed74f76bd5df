import subprocess
import sys

import pytest

from edgepose_runtime.native.unwinding import _is_mixed, _libraries, _owner_for_all

NUMPY_FIRST = ["", "libc.so.6", "libstdc++.so.6", "libgcc_s.so.1", "libunwind.so.8"]
GSTREAMER_FIRST = ["", "libc.so.6", "libunwind.so.8", "libstdc++.so.6", "libgcc_s.so.1"]


@pytest.mark.parametrize(
    ("libraries", "owner", "mixed"),
    [
        (NUMPY_FIRST, "libunwind.so.8", True),
        (NUMPY_FIRST, "libgcc_s.so.1", False),
        (GSTREAMER_FIRST, "libunwind.so.8", False),
        (NUMPY_FIRST[:-1], "libgcc_s.so.1", False),
        ([], "", False),
    ],
    ids=["NumPy, GStreamer", "libgcc_s preloaded", "GStreamer, NumPy", "no GStreamer", "nothing"],
)
def test_what_is_loaded_in_which_order_decides(libraries, owner, mixed):
    assert _is_mixed(libraries, owner) is mixed


def test_libraries_are_seen_in_the_order_of_their_loading():
    import numpy.random  # noqa: F401 - it loads libraries

    libraries = _libraries()
    assert any(name.startswith("libc.so") for name in libraries)
    if any(name.startswith("libgcc_s") for name in libraries):
        assert _owner_for_all().startswith("libgcc_s")


LOADS_WHILE_LOOKING = """
import importlib.util, shutil, sys, threading
from pathlib import Path
import _json
from edgepose_runtime.native.unwinding import _libraries

started, stop = threading.Event(), threading.Event()

def load():
    for number in range(200):
        copy = shutil.copy(_json.__file__, Path(sys.argv[1]) / f"_json{number}.so")
        importlib.util.module_from_spec(importlib.util.spec_from_file_location("_json", copy))
        started.set()
    stop.set()

threading.Thread(target=load, daemon=True).start()
started.wait()
while not stop.is_set():
    _libraries()
"""


def test_libraries_are_seen_while_another_thread_imports_modules(tmp_path):
    """As graphs are that load side by side: one thread imports OpenVINO, another one looks."""
    subprocess.run([sys.executable, "-c", LOADS_WHILE_LOOKING, tmp_path], check=True, timeout=60)
