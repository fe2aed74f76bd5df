import re

import pytest

from edgepose.inference.model import bundle_path
from edgepose_converters.triton.config import ServingOptions, config_text, facts
from edgepose_converters.triton.environment import TritonEnvironment
from edgepose_converters.triton.repository import BUILD, write_repository
from edgepose_converters.triton.server import Endpoints, parse_metrics
from edgepose_runtime.bundles.bundle import load_bundle
from edgepose_runtime.errors import BackendUnavailableError, ConfigError, OutputError


@pytest.fixture(scope="module")
def bundle():
    return load_bundle(bundle_path("ppn-swift"))


def config(bundle, **options):
    return config_text(bundle.manifest, "head", ServingOptions(**options))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, 'platform: "onnxruntime_onnx"'),
        ({"platform": "tensorrt"}, 'platform: "tensorrt_plan"'),
        ({"platform": "python", "device": "cpu"}, 'backend: "python"'),
        ({"max_batch": 4}, "max_batch_size: 4"),
        ({"queue_delay_us": 700}, "dynamic_batching { max_queue_delay_microseconds: 700 }"),
        ({"instances": 3}, "instance_group [ { count: 3 kind: KIND_GPU } ]"),
        ({"device": "cpu"}, "instance_group [ { count: 1 kind: KIND_CPU } ]"),
        ({"versions": 2}, "version_policy { latest { num_versions: 2 } }"),
        ({}, 'input [ { name: "image" data_type: TYPE_UINT8 dims: [192, 192, 3] } ]'),
        ({}, 'output [ { name: "heatmaps" data_type: TYPE_FP32 dims: [13, 48, 48] } ]'),
        ({}, 'parameters [ { key: "edgepose.skeleton" value { string_value: "penn13" } } ]'),
    ],
)
def test_the_configuration_says_what_was_chosen(bundle, options, line):
    assert line in config(bundle, **options).splitlines()


def test_the_hash_of_the_graph_stands_in_the_configuration(bundle):
    assert bundle.manifest.graphs["head"].sha256 in config(bundle)
    assert facts(bundle.manifest, "head")["edgepose.bundle"] == "ppn-swift"


def test_one_at_a_time_means_no_batching(bundle):
    assert "dynamic_batching" not in config(bundle, max_batch=1)
    assert config(bundle, max_batch=1).count("model_warmup") == 1


def test_single_requests_and_full_batches_are_warmed_up(bundle):
    assert re.findall(r"batch_size: (\d+) inputs", config(bundle, max_batch=8)) == ["1", "8"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"platform": "magic"}, "no platform 'magic'; choose one of onnxruntime, tensorrt"),
        ({"platform": "tensorrt", "device": "cpu"}, "tensorrt cannot run on the device 'cpu'"),
        ({"device": "tpu"}, "cannot run on the device 'tpu'"),
        ({"max_batch": 0}, "max_batch must be at least 1; got 0"),
        ({"queue_delay_us": -1}, "queue_delay_us must be 0 or more; got -1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        ServingOptions(**options)


def test_a_repository_has_what_triton_wants(bundle, tmp_path):
    models = write_repository(bundle, tmp_path / "models", ServingOptions())
    assert models == ["ppn-swift-head"]
    folder = tmp_path / "models" / "ppn-swift-head"
    assert (folder / "config.pbtxt").is_file()
    content = (folder / "1" / "model.onnx").read_bytes()
    assert content == bundle.graph_path("head").read_bytes()
    assert not (folder / "1" / "model.py").exists()


def test_any_graph_can_be_served(bundle, tmp_path):
    options = ServingOptions(platform="python", device="cpu")
    models = write_repository(bundle, tmp_path / "models", options, ["body", "detector"])
    assert models == ["ppn-swift-body", "ppn-swift-detector"]
    assert (tmp_path / "models" / "ppn-swift-body" / "1" / "model.py").is_file()


def test_plans_are_built_where_they_run(bundle, tmp_path):
    write_repository(bundle, tmp_path / "m", ServingOptions(platform="tensorrt", max_batch=8))
    script = (tmp_path / "m" / BUILD).read_text()
    assert "--minShapes=image:1x192x192x3 --optShapes=image:4x192x192x3" in script
    assert "--maxShapes=image:8x192x192x3" in script


def test_a_repository_is_written_as_a_whole_or_not_at_all(bundle, tmp_path):
    with pytest.raises(ConfigError, match="has no graph 'soul'"):
        write_repository(bundle, tmp_path / "m", ServingOptions(), ["head", "soul"])
    assert not list(tmp_path.iterdir())
    (tmp_path / "m").mkdir()
    with pytest.raises(OutputError, match="exists already"):
        write_repository(bundle, tmp_path / "m", ServingOptions())
    assert not list((tmp_path / "m").iterdir())


def test_an_environment_without_triton_says_how_to_make_one(tmp_path):
    with pytest.raises(BackendUnavailableError, match="edgepose serve --install"):
        _ = TritonEnvironment(tmp_path).packages


def test_metrics_are_summed_over_models():
    page = '# HELP a\nnv_inference_count{model="a"} 3\nnv_inference_count{model="b"} 4\nup 1\n'
    assert parse_metrics(page) == {"nv_inference_count": 7.0, "up": 1.0}


def test_http_is_for_this_machine_whatever_the_host():
    endpoints = Endpoints(host="10.1.2.3", http=8000)
    assert endpoints.url("v2/health/ready") == "http://127.0.0.1:8000/v2/health/ready"
    assert endpoints.url("metrics", metrics=True) == "http://10.1.2.3:8002/metrics"
