"""The check of a bundle on a device that computes right, and on one that does not."""

import shutil
import time
from dataclasses import replace

import numpy as np
import pytest

import edgepose
from edgepose.inference import self_check
from edgepose.inference.model import available_models, bundle_path, load
from edgepose.inference.self_check import (
    measure_difference,
    require_right_results,
    with_self_check,
)
from edgepose_runtime.backends.openvino import OpenVinoBackend
from edgepose_runtime.bundles.bundle import load_bundle
from edgepose_runtime.bundles.manifest_json import dump_manifest, parse_manifest
from edgepose_runtime.bundles.self_check import (
    TOLERANCE,
    Peak,
    difference,
    find_peaks,
    reference_crop,
)
from edgepose_runtime.errors import BackendError, BundleFormatError, DeviceError


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEPOSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "self-check"


@pytest.fixture(scope="module")
def manifest():
    return load_bundle(bundle_path("ppn-swift")).manifest


class WrongMethod:
    """Networks whose heat-maps show nearly nobody, as those of a device that computes nonsense."""

    def __init__(self, method, factor=0.25):
        self._method, self._factor = method, factor
        self.spec = method.spec
        self.runs = 0

    def initialise(self, crop, roi):
        self.runs += 1
        estimate = self._method.initialise(crop, roi)
        return replace(estimate, heatmaps=estimate.heatmaps * self._factor)

    def advance(self, crop, roi, state):
        return self._method.advance(crop, roi, state)


@pytest.mark.parametrize("name", available_models())
@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_the_shipped_bundles_are_right_here(name, backend, cache):
    if backend == "onnxruntime":
        pytest.importorskip("onnxruntime")
    with load(name, backend=backend, num_threads=1) as model:
        reference = model.manifest.self_check
        assert measure_difference(reference, model.method) < TOLERANCE / 2
        assert min(peak.value for peak in reference.initialised) > 0.7
    (kept,) = cache.iterdir()
    assert kept.read_text().startswith("0.0")
    assert f" {name}: {backend}, cpu" in kept.read_text()


def test_nonsense_is_an_error_that_says_what_to_do(cache, manifest):
    with load("ppn-swift", num_threads=1) as model:
        wrong = WrongMethod(model.method)
        with pytest.raises(DeviceError, match=r"wrong results here \(test, cpu\).*ppn-swift-float"):
            require_right_results(manifest, wrong, "test, cpu")
        with pytest.raises(DeviceError, match="wrong results here"):
            require_right_results(manifest, wrong, "test, cpu")
        assert wrong.runs == 1
        invalid = WrongMethod(model.method, np.float32("nan"))
        for _ in range(2):
            with pytest.raises(DeviceError, match="inf"):
                require_right_results(manifest, invalid, "test, gpu")


def test_an_outcome_that_cannot_be_read_is_found_again(cache):
    load("ppn-swift", num_threads=1).close()
    (kept,) = cache.iterdir()
    before = kept.read_text()
    kept.write_text("")
    load("ppn-swift", num_threads=1).close()
    assert kept.read_text() == before


def test_the_check_can_be_left_out(cache, manifest, monkeypatch):
    monkeypatch.setenv("EDGEPOSE_SELF_CHECK", "off")
    require_right_results(manifest, None, "test, cpu")
    assert not cache.exists()


def test_a_device_is_checked_once_and_again_when_something_changed(cache, manifest):
    with load("ppn-swift", num_threads=1) as model:
        method = WrongMethod(model.method, 1.0)
        began = time.perf_counter()
        require_right_results(manifest, method, "test, cpu")
        assert time.perf_counter() - began < 1
        require_right_results(manifest, method, "test, cpu")
        assert method.runs == 1
        require_right_results(manifest, method, "test, gpu")
        assert method.runs == 2
        graphs = {**manifest.graphs, "head": replace(manifest.graphs["head"], sha256="0" * 64)}
        require_right_results(replace(manifest, graphs=graphs), method, "test, cpu")
        assert method.runs == 3


def test_a_cache_that_cannot_be_written_is_no_obstacle(tmp_path, monkeypatch, manifest):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGEPOSE_CACHE", str(tmp_path / "file"))
    with load("ppn-swift", num_threads=1) as model:
        require_right_results(manifest, model.method, "test, cpu")


@pytest.fixture
def int8_is_wrong(monkeypatch):
    """A device whose int8 layers compute nonsense; the runs of the check are counted."""
    runs = []

    def measure(reference, method):
        runs.append(method._body.precision)
        return 0.6 if "int8" in runs[-1] else measure_difference(reference, method)

    monkeypatch.setattr(self_check, "measure_difference", measure)
    return runs


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_wrong_int8_layers_run_in_floating_point(backend, cache, int8_is_wrong, caplog):
    if backend == "onnxruntime":
        pytest.importorskip("onnxruntime")
    options = {"backend": backend, "precision": "float32", "num_threads": 1}
    for _ in range(2):
        with load("ppn-swift", **options) as model:
            assert model.precision == "float32"
            assert measure_difference(model.manifest.self_check, model.method) < TOLERANCE / 2
    assert int8_is_wrong == ["int8+float32", "float32"], "the outcomes are kept"
    (said, _) = (record.getMessage() for record in caplog.records if record.name == "edgepose")
    assert said.startswith(
        f"The int8 layers of 'ppn-swift' compute wrong results here ({backend}, cpu, "
        f"float32, int8+float32), so they run in floating point ({backend}, cpu, float32)"
    )


@pytest.fixture
def int8_does_not_run(monkeypatch):
    """A device for which int8 layers cannot be compiled."""
    load_graph = OpenVinoBackend.load

    def load(self, model, *, settings):
        if settings.quantised and model.name == "body.onnx":
            raise BackendError("OpenVINO cannot run the model: object is not initialized")
        return load_graph(self, model, settings=settings)

    monkeypatch.setattr(OpenVinoBackend, "load", load)


def test_int8_layers_that_cannot_run_compute_in_floating_point(cache, int8_does_not_run, caplog):
    with load("ppn-swift", backend="openvino", precision="float32", num_threads=1) as model:
        assert model.precision == "float32"
    (said,) = (record.getMessage() for record in caplog.records if record.name == "edgepose")
    assert "cannot run here (OpenVINO cannot run the model: object is not initialized)" in said


@pytest.mark.parametrize(
    ("bundle", "precision"), [("ppn-swift", "int8"), ("ppn-swift-float", "auto")]
)
def test_an_error_that_floating_point_does_not_mend_is_raised(
    cache, int8_does_not_run, bundle, precision
):
    with pytest.raises(BackendError, match="object is not initialized"):
        edgepose.load(bundle, backend="openvino", precision=precision, num_threads=1)


def test_int8_that_was_asked_for_is_an_error(cache, int8_is_wrong):
    with pytest.raises(DeviceError, match=r"differ by 0\.60"):
        edgepose.load("ppn-swift", precision="int8", num_threads=1)


def test_wrong_results_in_floating_point_are_an_error(cache, monkeypatch):
    monkeypatch.setattr(self_check, "measure_difference", lambda *_: 0.6)
    for model in ("ppn-swift", "ppn-swift-float"):
        with pytest.raises(DeviceError, match=r"differ by 0\.60"):
            edgepose.load(model, num_threads=1)


def test_a_reference_is_written_into_a_bundle(puppet_bundle, tmp_path, cache):
    folder = tmp_path / "copy"
    shutil.copytree(puppet_bundle.path, folder)
    with load(folder, num_threads=1) as model:
        assert model.manifest.self_check is None
        written = with_self_check(load_bundle(folder), model.method)
        reference = written.manifest.self_check
        assert measure_difference(reference, model.method) == pytest.approx(0, abs=1e-3)
    assert len(reference.advanced) == written.manifest.num_joints
    assert parse_manifest(dump_manifest(written.manifest)) == written.manifest


@pytest.mark.parametrize(
    "change",
    [
        lambda check: replace(check, initialised=check.initialised[1:]),
        lambda check: replace(check, advanced=(Peak(48, 0, 0.9), *check.advanced[1:])),
    ],
)
def test_a_reference_that_does_not_fit_is_refused(manifest, change):
    wrong = replace(manifest, self_check=change(manifest.self_check))
    with pytest.raises(BundleFormatError, match="self-check"):
        parse_manifest(dump_manifest(wrong))


def test_the_picture_fits_every_input():
    square, high = reference_crop((192, 192, 3)), reference_crop((256, 192, 3))
    assert square.shape == (192, 192, 3)
    assert np.array_equal(square[::2, ::2], reference_crop((96, 96, 3)))
    assert np.array_equal(high[0], square[0])


def test_joints_of_which_the_reference_is_not_sure_do_not_count():
    maps = np.zeros((2, 4, 4), np.float32)
    maps[0, 1, 2] = 0.9
    peaks = find_peaks(maps)
    assert peaks == (Peak(1, 2, 0.9), Peak(0, 0, 0.0))
    assert difference(maps, peaks) == pytest.approx(0, abs=1e-6)
    assert difference(np.zeros_like(maps), peaks) == pytest.approx(0.9)
    assert difference(maps, (Peak(0, 0, 0.2),) * 2) == 0
