from edgepose.benchmarking.accuracy import _one_each
from edgepose.benchmarking.candidates import HEAD, PEER, STEP, BenchmarkModel, Engine


def model_entry(name="swift", part=STEP, digest="1", **engine):
    return BenchmarkModel(name, part, Engine(**engine), Engine(**engine), digest, "")


def test_accuracy_is_measured_once_whatever_the_threads_and_on_the_most_of_them():
    model_entries = [
        model_entry(threads=1),
        model_entry(threads=2),
        model_entry(part=HEAD, threads=4),
    ]
    assert _one_each(model_entries) == [model_entries[1]]


def test_each_precision_model_and_peer_has_an_accuracy_of_its_own():
    model_entries = [
        model_entry(),
        model_entry(precision="bfloat16"),
        model_entry(digest="2"),
        model_entry("MoveNet Lightning", PEER),
    ]
    assert _one_each(model_entries) == model_entries


def test_the_first_backend_is_the_one_that_is_evaluated():
    model_entries = [model_entry(), model_entry(backend="onnxruntime", threads=8)]
    assert _one_each(model_entries) == model_entries[:1]
