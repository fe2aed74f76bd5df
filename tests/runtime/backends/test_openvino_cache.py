import os

import numpy as np
import pytest

from edgepose_runtime.backends import BackendSettings, get_backend
from edgepose_runtime.backends import openvino as backend
from edgepose_runtime.backends.openvino_cache import MOST_MODELS, _remove_oldest


@pytest.fixture
def settings(tmp_path):
    return BackendSettings(num_threads=1, batch=1, cache_folder=tmp_path / "cache")


@pytest.fixture(scope="module")
def model():
    from edgepose.inference.model import bundle_path

    return bundle_path("ppn-swift") / "body.onnx"


@pytest.fixture
def compiled(monkeypatch):
    """How many graphs were compiled."""
    found, compile_graph = [], backend._compile

    def count(*arguments):
        found.append(arguments)
        return compile_graph(*arguments)

    monkeypatch.setattr(backend, "_compile", count)
    return found


def answer(network):
    rng = np.random.default_rng(1)
    feeds = {
        name: (rng.random((1, *spec.shape[1:])) * 255).astype(spec.dtype)
        for name, spec in network.inputs.items()
    }
    return {name: array.tobytes() for name, array in network.infer(feeds).items()}


def load(model, settings):
    return get_backend("openvino").load(model, settings=settings)


def test_a_model_is_compiled_once_and_computes_the_same_bits(settings, model, compiled):
    with load(model, settings) as first, load(model, settings) as second:
        assert len(compiled) == 1
        assert answer(first) == answer(second)
        for what in ("inputs", "outputs", "device", "precision"):
            assert getattr(first, what) == getattr(second, what)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-100],
        lambda content: content[:50] + b"x" + content[51:],
        lambda _: b"",
    ],
    ids=["cut off", "changed", "empty"],
)
def test_a_damaged_file_is_compiled_again(settings, model, compiled, damage):
    load(model, settings).close()
    (file,) = (settings.cache_folder / "openvino").glob("*.blob")
    file.write_bytes(damage(file.read_bytes()))
    load(model, settings).close()
    assert len(compiled) == 2
    load(model, settings).close()
    assert len(compiled) == 2


def test_other_options_are_another_model(settings, model, compiled):
    load(model, settings).close()
    others = BackendSettings(
        num_threads=1, batch=1, precision="float32", cache_folder=settings.cache_folder
    )
    load(model, others).close()
    assert len(compiled) == 2


def test_a_folder_that_cannot_be_written_costs_only_time(model, compiled, tmp_path):
    (tmp_path / "file").touch()
    load(model, BackendSettings(batch=1, cache_folder=tmp_path / "file" / "cache")).close()
    assert len(compiled) == 1


def test_the_oldest_models_are_removed(tmp_path):
    for number in range(MOST_MODELS + 2):
        file = tmp_path / f"{number}.blob"
        file.touch()
        os.utime(file, (number, number))
    _remove_oldest(tmp_path)
    kept = {file.stem for file in tmp_path.iterdir()}
    assert len(kept) == MOST_MODELS and not kept & {"0", "1"}
