import sys

import pytest

from edgepose.cli import doctor
from edgepose.cli.main import main


@pytest.fixture
def healthy(monkeypatch, puppet_bundle):
    """An installation in which nothing is wrong, whatever this one is like."""
    monkeypatch.setattr("edgepose.loading._BUNDLES", puppet_bundle.path.parent)
    monkeypatch.setattr(doctor, "kernel_cache", lambda: "/cache")
    installed = {"opencv-python-headless": None, "opencv-contrib-python": None}
    monkeypatch.setattr(doctor, "_installed", lambda package: installed.get(package, "1.0"))
    return installed


def report(capsys):
    code = main(["doctor"])
    return code, capsys.readouterr().out


def test_a_healthy_installation_is_described_and_ends_with_0(healthy, capsys):
    code, said = report(capsys)
    assert code == 0
    assert said.endswith("All is well.\n")
    for what in ("python", "instruction sets", "openvino", "devices: cpu", "kept in /cache"):
        assert what in said
    assert "model puppet" in said


def test_a_missing_package_comes_with_the_command(healthy, capsys):
    healthy["openvino"] = None
    code, said = report(capsys)
    assert code == 1
    assert "pip install openvino" in said


def test_a_package_that_cannot_be_imported_does_not_stop_the_report(healthy, capsys, monkeypatch):
    healthy["numba"] = None
    for module in ("numba", "llvmlite", "llvmlite.binding", "edgepose_runtime.kernels.crops"):
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


def test_two_opencvs_are_a_fault(healthy, capsys):
    healthy["opencv-python-headless"] = "1.0"
    code, said = report(capsys)
    assert code == 1
    assert "pip uninstall" in said


def test_no_opencv_is_a_fault(healthy, capsys):
    healthy["opencv-python"] = None
    assert "pip install opencv-python" in report(capsys)[1]


def test_an_unwritable_kernel_cache_is_a_fault(healthy, capsys, monkeypatch):
    monkeypatch.setattr(doctor, "kernel_cache", lambda: None)
    code, said = report(capsys)
    assert code == 1
    assert "NUMBA_CACHE_DIR" in said


def test_a_damaged_model_is_a_fault(healthy, capsys, monkeypatch, tmp_path, puppet_bundle):
    folder = tmp_path / "puppet"
    folder.mkdir()
    for file in puppet_bundle.path.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "head.onnx").write_bytes(b"cut off")
    monkeypatch.setattr("edgepose.loading._BUNDLES", tmp_path)
    code, said = report(capsys)
    assert code == 1
    assert "damaged" in said
    assert "head.onnx" in said


def test_no_model_at_all_is_a_fault(healthy, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("edgepose.loading._BUNDLES", tmp_path)
    code, said = report(capsys)
    assert code == 1
    assert "No model came" in said


def test_this_machines_kernel_cache_and_instruction_sets_are_found():
    assert doctor.kernel_cache() is None or isinstance(doctor.kernel_cache(), str)
    assert set(doctor.instruction_sets()) <= set(doctor._INSTRUCTION_SETS)
