import subprocess
import sys

import pytest

from edgepose_runtime.backends import BackendSettings, available_backends, get_backend
from edgepose_runtime.backends.openvino import _new_core
from edgepose_runtime.errors import BackendUnavailableError, ConfigError


def test_an_unknown_backend_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match="no backend 'abacus'; choose one of openvino, onnxr"):
        get_backend("abacus")


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    _new_core.cache_clear()
    with pytest.raises(BackendUnavailableError, match=f"pip install .*{name}"):
        get_backend(name).load(b"", settings=BackendSettings())


def test_installed_backends_are_listed():
    assert "openvino" in available_backends()
    assert all(get_backend(name).name == name for name in available_backends())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"device": 5}, "device must be a name"),
        ({"precision": "int3"}, "no precision 'int3'; choose one of auto, float32"),
        ({"num_threads": 0}, "num_threads must be a whole number of at least 1, or None; got 0"),
        ({"num_threads": 2.5}, "num_threads must be a whole number.*; got 2.5"),
        ({"num_threads": "5"}, "num_threads must be a whole number.*; got '5'"),
        ({"num_threads": True}, "num_threads must be a whole number.*; got True"),
        ({"batch": -1}, "batch must be a whole number of at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        BackendSettings(**options)


def test_importing_the_backends_imports_none_of_their_packages():
    code = (
        "import sys, edgepose_runtime.backends.openvino, edgepose_runtime.backends.onnxruntime\n"
        "sys.exit(bool({'openvino', 'onnxruntime', 'onnx', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# OpenVINO fills a table of types at its first use. Two threads that do so at once hang the process.
USE_TYPES_IN_TWO_THREADS = """
import sys
from threading import Barrier, Thread
from edgepose_runtime.backends.openvino import _core
_core()
import openvino
sys.setswitchinterval(1e-6)
both = Barrier(2)
def use():
    both.wait()
    openvino.Type.f32.to_dtype()
threads = [Thread(target=use) for _ in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def test_two_threads_that_load_their_first_models_with_openvino_do_not_hang():
    program = [sys.executable, "-c", USE_TYPES_IN_TWO_THREADS]
    for _ in range(4):  # without the fix each of them hangs in about four of ten cases
        subprocess.run(program, check=True, timeout=60)
