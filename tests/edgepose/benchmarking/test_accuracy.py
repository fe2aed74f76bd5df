from edgepose.benchmarking.accuracy import _one_each
from edgepose.benchmarking.candidates import HEAD, PEER, STEP, BenchmarkModel, Engine


def entry(name="swift", part=STEP, digest="1", **engine):
    return BenchmarkModel(name, part, Engine(**engine), Engine(**engine), digest, "")


def test_accuracy_is_measured_once_whatever_the_threads_and_on_the_most_of_them():
    entries = [
        entry(threads=1),
        entry(threads=2),
        entry(part=HEAD, threads=4),
    ]
    assert _one_each(entries) == [entries[1]]


def test_each_precision_model_and_peer_has_an_accuracy_of_its_own():
    entries = [
        entry(),
        entry(precision="bfloat16"),
        entry(digest="2"),
        entry("MoveNet Lightning", PEER),
    ]
    assert _one_each(entries) == entries


def test_the_first_backend_is_the_one_that_is_evaluated():
    entries = [entry(), entry(backend="onnxruntime", threads=8)]
    assert _one_each(entries) == entries[:1]
