"""What can be said of TensorRT on a machine without a GPU."""

from dataclasses import replace

import pytest

from edgepose_runtime.backends import BackendSettings, tensorrt
from edgepose_runtime.backends.tensorrt import (
    EngineKey,
    engine_folder,
    readable_version,
    tensorrt_options,
)

KEY = EngineKey("0123456789abcdef", "10.3.0", "1.22.0", "Orin", "float16", 1)
SETTINGS = BackendSettings(device="tensorrt", precision="float16", batch=1)


@pytest.fixture
def gpu(monkeypatch):
    """A machine with TensorRT."""
    monkeypatch.setattr(tensorrt, "tensorrt_version", lambda: "10.3.0")
    monkeypatch.setattr(tensorrt, "gpu_name", lambda: "NVIDIA H200, 9.0")


@pytest.mark.parametrize(
    "change",
    [
        {"model": "0123456789abcdee"},
        {"tensorrt": "10.4.0"},
        {"onnxruntime": "1.23.0"},
        {"gpu": "Thor"},
        {"precision": "float32"},
        {"batch": 4},
    ],
)
def test_whatever_an_engine_depends_on_gives_it_another_folder(change):
    assert replace(KEY, **change).folder_name != KEY.folder_name


def test_a_folder_says_what_is_in_it():
    assert KEY.folder_name.startswith("0123456789ab-trt10.3.0-float16-")
    assert replace(KEY, gpu="NVIDIA/Orin (nvgpu)\n").folder_name.isprintable()
    assert "/" not in replace(KEY, gpu="a/b").folder_name


@pytest.mark.parametrize(
    ("precision", "switched_on"),
    [
        ("auto", set()),
        ("float32", set()),
        ("float16", {"trt_fp16_enable"}),
        ("bfloat16", {"trt_bf16_enable"}),
        ("int8", set()),
    ],
)
def test_a_precision_switches_on_what_it_says(precision, switched_on):
    options = tensorrt_options(precision, None, quantised=False)
    assert {name for name, value in options.items() if value == "True"} == switched_on
    assert set(options.values()) <= {"True", "False"}


def test_quantised_models_are_built_in_int8_with_their_own_scales():
    options = tensorrt_options("float16", None, quantised=True)
    assert options == {"trt_fp16_enable": "True", "trt_int8_enable": "True"}


def test_engines_and_timings_are_kept_in_the_folder(tmp_path):
    options = tensorrt_options("auto", tmp_path, quantised=False)
    assert options["trt_engine_cache_enable"] == options["trt_timing_cache_enable"] == "True"
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == str(tmp_path)


def test_engines_lie_in_the_cache_folder_by_what_the_model_holds(gpu, tmp_path):
    settings = replace(SETTINGS, cache_folder=tmp_path)
    folder = engine_folder(b"model", settings, "1.22.0")
    assert folder.is_dir()
    assert folder.parent == tmp_path / "tensorrt"
    (tmp_path / "model.onnx").write_bytes(b"model")
    assert engine_folder(tmp_path / "model.onnx", settings, "1.22.0") == folder
    assert engine_folder(b"other", settings, "1.22.0") != folder


def test_nothing_is_kept_without_a_cache_folder(gpu):
    assert engine_folder(b"model", SETTINGS, "1.22.0") is None


@pytest.mark.parametrize("unknown", ["tensorrt_version", "gpu_name"])
def test_nothing_is_kept_where_nobody_knows_what_it_was_built_for(
    gpu, unknown, monkeypatch, tmp_path
):
    monkeypatch.setattr(tensorrt, unknown, lambda: None)
    assert engine_folder(b"model", replace(SETTINGS, cache_folder=tmp_path), "1.22.0") is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("number", "written"),
    [(8601, "8.6.1"), (8502, "8.5.2"), (100300, "10.3.0"), (100902, "10.9.2")],
)
def test_versions_are_read_as_tensorrt_counts_them(number, written):
    assert readable_version(number) == written


def test_a_board_is_known_by_its_name_where_there_is_no_nvidia_smi(monkeypatch, tmp_path):
    monkeypatch.setattr(tensorrt, "_GPU_QUERY", ("no-such-program",))
    board = tmp_path / "model"
    monkeypatch.setattr(tensorrt, "_BOARD", board)
    look = tensorrt.gpu_name.__wrapped__
    assert look() is None
    board.write_bytes(b"NVIDIA Jetson Orin Nano Developer Kit\0")
    assert look() == "NVIDIA Jetson Orin Nano Developer Kit"
    board.write_bytes(b"Raspberry Pi 5\0")
    assert look() is None
