from edgepose.benchmarking.accuracy import _one_each
from edgepose.benchmarking.candidates import HEAD, PEER, STEP, Engine, Entrant


def entrant(name="swift", part=STEP, digest="1", **engine):
    return Entrant(name, part, Engine(**engine), Engine(**engine), digest, "")


def test_accuracy_is_measured_once_whatever_the_threads_and_on_the_most_of_them():
    entrants = [entrant(threads=1), entrant(threads=2), entrant(part=HEAD, threads=4)]
    assert _one_each(entrants) == [entrants[1]]


def test_each_precision_model_and_peer_has_an_accuracy_of_its_own():
    entrants = [
        entrant(),
        entrant(precision="bfloat16"),
        entrant(digest="2"),
        entrant("MoveNet Lightning", PEER),
    ]
    assert _one_each(entrants) == entrants


def test_the_first_backend_is_the_one_that_is_evaluated():
    entrants = [entrant(), entrant(backend="onnxruntime", threads=8)]
    assert _one_each(entrants) == entrants[:1]
