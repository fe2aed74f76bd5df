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
