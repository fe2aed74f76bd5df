import os
import shutil
import signal
import subprocess
import sys
import threading

import pytest
from numba.core.caching import NullCache

from edgepose_runtime import jit as compiling

KERNEL = """
from edgepose_runtime.geometry.crop_kernels import area_taps
print(area_taps(0.5, 2.0, 8, 2)[0].tolist())
"""
LIGHT = [
    "geometry.crop",
    "heatmaps.decoding",
    "errors",
    "poses.roi_tracker",
    "geometry.roi",
    "poses.skeletons",
    "poses.smoothing",
]
HEAVY = ["cv2", "numba", "onnx", "onnxruntime", "openvino", "torch", "edgepose"]


def python_says(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


def python(code, **environment):
    return python_says(code, **environment)[0]


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


TWO_KERNELS = """
from edgepose_runtime.jit import kernel
@kernel
def double(number):
    return number + number
@kernel
def treble(number):
    return double(number) + number
"""
TWO_CALLS = """
import logging, sys
logging.basicConfig()
sys.path.insert(0, {folder!r})
from two_kernels import double, treble
print(double(2), treble(2))
"""


@pytest.fixture(scope="module")
def two_calls(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kernels")
    (folder / "two_kernels.py").write_text(TWO_KERNELS)
    return TWO_CALLS.format(folder=str(folder))


def cut_off(content):
    return content[: len(content) // 2]


def lose_a_block(content):
    return content[: len(content) // 2].ljust(len(content), b"\0")


@pytest.fixture(scope="module")
def warm_cache(tmp_path_factory, two_calls):
    folder = tmp_path_factory.mktemp("cache")
    python(two_calls, NUMBA_CACHE_DIR=str(folder))
    return folder


@pytest.mark.parametrize(
    ("kind", "damage"), [("nbi", cut_off), ("nbc", lose_a_block), ("nbc", lambda _: b"")]
)
def test_a_damaged_cache_is_made_again_and_that_is_said_once(
    tmp_path, two_calls, warm_cache, kind, damage
):
    folder = shutil.copytree(warm_cache, tmp_path / "cache")
    for file in folder.rglob(f"*.{kind}"):
        file.write_bytes(damage(file.read_bytes()))
    output, said = python_says(two_calls, NUMBA_CACHE_DIR=str(folder))
    assert output == "4 6"
    assert said.count("damaged and are compiled again") == 1
    assert python_says(two_calls, NUMBA_CACHE_DIR=str(folder)) == (output, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot limit the size of files")
def test_kernels_work_where_the_disk_is_full_and_that_is_said_once(tmp_path, two_calls):
    # What a process may write to a file is a disk that is full for it alone.
    full = "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    full += "resource.setrlimit(resource.RLIMIT_FSIZE, (0, -1))\n"
    output, said = python_says(full + two_calls, NUMBA_CACHE_DIR=str(tmp_path))
    assert output == "4 6"
    assert said.count("cannot be kept") == 1


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
    code = f"from edgepose_runtime import jit as compiling\n{change}\n{KERNEL}"
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


def test_the_first_start_alone_says_that_kernels_are_compiled(two_calls, tmp_path):
    said = [python_says(two_calls, NUMBA_CACHE_DIR=str(tmp_path))[1] for _ in range(2)]
    assert said[0].count("Compiling kernels, once") == 1 and str(tmp_path) in said[0]
    assert "Compiling" not in said[1]


def test_ctrl_c_waits_until_a_kernel_is_compiled(monkeypatch):
    """Within LLVM it would leave a lock held, for which the next kernel waits for ever."""
    double = compiling.kernel(lambda x: 2 * x)
    double._cache = NullCache()  # it was compiled by the run before
    compiler, compiled = double._compiler, []
    compile_ = compiler.compile

    def interrupted(*signature):
        signal.raise_signal(signal.SIGINT)
        compiled.append(compile_(*signature))
        return compiled[0]

    monkeypatch.setattr(compiler, "compile", interrupted)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        double(3)
    assert compiled
    assert signal.getsignal(signal.SIGINT) is before
    assert double(3) == 6


def test_kernels_are_compiled_on_any_thread():
    double, found = compiling.kernel(lambda x: 2 * x), []
    thread = threading.Thread(target=lambda: found.append(double(3)))
    thread.start()
    thread.join(60)
    assert found == [6]
