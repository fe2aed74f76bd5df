import json
import sys

import pytest

from edgepose.cli import diagnosis as health
from edgepose.cli.main import main
from edgepose.inference.model import PoseModel
from edgepose.offline.tracker import KeyFrameTracking
from edgepose.pool import TrackerPool
from edgepose.tracker import PoseTracker


@pytest.fixture
def healthy(monkeypatch, puppet_bundle):
    """An installation in which nothing is wrong, whatever this one is like."""
    monkeypatch.setattr("edgepose.inference.model._BUNDLES", puppet_bundle.path.parent)
    monkeypatch.setattr(health, "kernel_cache", lambda: "/cache")
    monkeypatch.setattr(health, "has_nvidia_gpu", lambda: False)
    alternatives = {*health._OPENCV[1:], *health._ONNXRUNTIME[1:]}
    installed = dict.fromkeys(alternatives)
    monkeypatch.setattr(health, "installed", lambda package: installed.get(package, "1.0"))
    return installed


def report(capsys):
    code = main(["doctor"])
    return code, capsys.readouterr().out


def test_a_healthy_installation_is_described_and_ends_with_0(healthy, capsys):
    code, said = report(capsys)
    assert code == 0
    assert said.endswith("All is well.\n")
    for what in (
        "python",
        "instruction sets",
        "openvino",
        "devices: cpu",
        "will be kept in /cache",
    ):
        assert what in said
    assert "model puppet" in said


def test_a_missing_package_comes_with_the_command(healthy, capsys):
    healthy["openvino"] = None
    code, said = report(capsys)
    assert code == 1
    assert "pip install openvino" in said


def test_a_package_that_cannot_be_imported_does_not_stop_the_report(healthy, capsys, monkeypatch):
    healthy["numba"] = None
    for module in (
        "numba",
        "llvmlite",
        "llvmlite.binding",
        "edgepose_runtime.geometry.crop_kernels",
    ):
        monkeypatch.setitem(sys.modules, module, None)
    code, said = report(capsys)
    assert code == 1
    assert "pip install numba" in said
    assert "model puppet" in said


def test_a_missing_extra_is_no_fault(healthy, capsys):
    healthy["torch"] = None
    code, said = report(capsys)
    assert code == 0
    assert 'pip install "edgepose[train]"' in said


@pytest.mark.parametrize("other", ["opencv-python-headless", "opencv-contrib-python-headless"])
def test_two_opencvs_are_a_fault(healthy, capsys, other):
    healthy[other] = "1.0"
    code, said = report(capsys)
    assert code == 1
    assert "pip uninstall" in said


def test_no_opencv_is_a_fault(healthy, capsys):
    healthy["opencv-python"] = None
    assert "pip install opencv-python" in report(capsys)[1]


def test_an_unwritable_kernel_cache_is_a_fault(healthy, capsys, monkeypatch):
    monkeypatch.setattr(health, "kernel_cache", lambda: None)
    code, said = report(capsys)
    assert code == 1
    assert "NUMBA_CACHE_DIR" in said


def test_a_damaged_model_is_a_fault(healthy, capsys, monkeypatch, tmp_path, puppet_bundle):
    folder = tmp_path / "puppet"
    folder.mkdir()
    for file in puppet_bundle.path.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "head.onnx").write_bytes(b"cut off")
    monkeypatch.setattr("edgepose.inference.model._BUNDLES", tmp_path)
    code, said = report(capsys)
    assert code == 1
    assert "damaged" in said
    assert "head.onnx" in said


def test_no_model_at_all_is_a_fault(healthy, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("edgepose.inference.model._BUNDLES", tmp_path)
    code, said = report(capsys)
    assert code == 1
    assert "No model came" in said


def test_two_onnxruntimes_are_a_fault(healthy, capsys):
    healthy["onnxruntime-gpu"] = "1.0"
    code, said = report(capsys)
    assert code == 1
    assert "share the module onnxruntime" in said


def test_an_opencv_that_cannot_be_imported_is_a_fault(healthy, capsys, monkeypatch):
    def fail(module):
        raise ImportError("libGL.so.1: cannot open shared object file")

    monkeypatch.setattr(health, "import_module", fail)
    code, said = report(capsys)
    assert code == 1
    assert "pip install opencv-python-headless" in said


def test_a_gpu_that_nobody_uses_is_advice_and_no_fault(healthy, capsys, monkeypatch):
    monkeypatch.setattr(health, "has_nvidia_gpu", lambda: True)
    code, said = report(capsys)
    assert code == 0
    assert "NVIDIA GPU: No backend uses it; run: pip uninstall onnxruntime" in said
    assert health._unused_gpu({"cpu", "cuda"}) is None


def test_models_say_what_they_compute_in(healthy, capsys):
    said = report(capsys)[1]
    line = next(line for line in said.splitlines() if line.startswith("model puppet"))
    assert "complete, computes on cpu in " in line


def test_fast_precisions_and_instruction_sets_are_told(healthy, capsys, monkeypatch):
    monkeypatch.setattr(health, "instruction_sets", lambda: ["avx2", "avx512vnni", "amx-bf16"])
    said = report(capsys)[1]
    assert "avx2 avx512vnni amx-bf16" in said
    assert "float32, int8 (avx512vnni), bfloat16 (amx-bf16)" in said


def test_kernels_that_were_compiled_are_counted(healthy, capsys, monkeypatch, tmp_path):
    for name in ("a.nbc", "b.nbc", "a.nbi"):
        (tmp_path / name).touch()
    monkeypatch.setattr(health, "kernel_cache", lambda: str(tmp_path))
    assert f"2 kept in {tmp_path}" in report(capsys)[1]


def test_programs_get_json(healthy, capsys):
    assert main(["doctor", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["format"], content["version"], content["healthy"]) == (
        "edgepose.doctor",
        1,
        True,
    )
    names = {finding["name"] for finding in content["results"]}
    assert {"python", "instruction sets", "backend openvino", "compiled kernels"} <= names
    healthy["numpy"] = None
    assert main(["doctor", "--json"]) == 1
    content = json.loads(capsys.readouterr().out)
    assert not content["healthy"]
    assert [each["name"] for each in content["results"] if each["problem"]] == ["numpy"]


def test_this_machines_kernel_cache_is_found():
    assert health.kernel_cache() is None or isinstance(health.kernel_cache(), str)


def test_warming_fills_the_caches_and_shows_progress(healthy, capsys, monkeypatch, puppet_bundle):
    warmed = []
    monkeypatch.setattr(PoseTracker, "warmup", lambda self: warmed.append(self.model.name))
    monkeypatch.setattr(TrackerPool, "warmup", lambda _: warmed.append("pool"))
    monkeypatch.setattr(KeyFrameTracking, "warmup", lambda _: warmed.append("files"))
    monkeypatch.setattr(PoseModel, "has_detector", True)
    for name in ("detector", "batch_method"):
        monkeypatch.setattr(PoseModel, name, lambda _, name=name: warmed.append(name))
    assert main(["doctor", "--warm", "puppet", "--num-threads", "1"]) == 0
    said = capsys.readouterr()
    # The tracker, the pool, several people, key frames live and of files.
    assert warmed == ["puppet", "pool", "detector", "batch_method", "puppet", "files"]
    assert "warm puppet" in said.err and "6" in said.err
    assert said.out.endswith("All is well.\n")


def test_a_model_that_is_not_there_cannot_be_warmed(healthy, capsys):
    assert main(["doctor", "--warm", "nothing"]) == 1
    assert "nothing" in capsys.readouterr().err
