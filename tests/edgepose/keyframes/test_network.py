"""Which network processes key frames, with networks that count their calls."""

import numpy as np
import pytest

from edgepose import KeyFrames, PoseTracker
from edgepose.inference.model import PoseModel
from edgepose.keyframes.network import PEOPLE_RATE, for_one, for_several, with_network
from edgepose.results import Origin
from edgepose.testing import FakeMethod, standing_person


def model_of(interval, precision):
    method = FakeMethod(standing_person((100, 120), 160), reinitialise_every=interval)
    return PoseModel("fake", method, precision=precision)


@pytest.mark.parametrize(
    ("interval", "precision", "chosen"),
    [
        (10, "bfloat16", "head"),
        (10, "int8+float16", "head"),
        (10, "int8+float32", "light"),  # five times the time of the light network
        (None, "bfloat16", "light"),  # the bundle runs its head at the start of a track only
    ],
)
def test_the_head_is_chosen_where_it_is_strong_and_fast(interval, precision, chosen):
    assert with_network(KeyFrames(), model_of(interval, precision), None).network == chosen


@pytest.mark.parametrize("network", ["head", "light"])
def test_a_named_network_stays(network):
    for model in (model_of(10, "bfloat16"), model_of(None, "float32")):
        assert with_network(KeyFrames(network=network), model, None).network == network


def test_a_trackers_own_interval_and_a_remote_head_stand_above_the_settings():
    model, settings = model_of(10, "bfloat16"), KeyFrames(network="head")
    assert with_network(settings, model, 5).network == "light"
    assert with_network(settings, model, 0).network == "light"
    assert with_network(KeyFrames(network="light"), model, 1).network == "head"
    assert with_network(settings, model, None, is_remote=True).network == "light"


@pytest.mark.parametrize(("network", "interval"), [("head", None), ("light", 1), ("light", None)])
def test_the_head_processes_every_key_frame_or_as_often_as_the_bundle_says(network, interval):
    model = model_of(None, "float32")
    settings = KeyFrames(max_key_rate=1.0, tolerance=0.0, network=network)
    with PoseTracker(model, key_frames=settings, reinitialise_every=interval) as tracker:
        frame = np.full((240, 320, 3), 128, np.uint8)
        origins = [tracker.track(frame, timestamp_ms=33.0 * i).origin for i in range(5)]
    is_light = (network, interval) == ("light", None)
    later = Origin.KEY_FRAME if is_light else Origin.INITIALISED
    assert origins == [Origin.INITIALISED] + 4 * [later]
    assert model.method.count("initialise") == (1 if is_light else 5)


@pytest.mark.parametrize("precision", ["bfloat16", "int8+float32"])
def test_of_several_people_the_light_network_sees_more_frames_and_no_head_is_due(precision):
    model = model_of(10, precision)
    settings, interval = for_several(KeyFrames(), model, None)
    assert (settings.network, settings.max_key_rate, interval) == ("light", PEOPLE_RATE, None)
    assert for_several(KeyFrames(max_key_rate=0.2), model, None)[0].max_key_rate == 0.2
    assert for_several(KeyFrames(tolerance=0.01), model, None)[0].max_key_rate is None


@pytest.mark.parametrize("network", ["head", "light"])
@pytest.mark.parametrize("interval", [None, 0, 1, 5])
def test_what_is_named_holds_for_several_people_as_for_one(network, interval):
    model, settings = model_of(10, "bfloat16"), KeyFrames(network=network)
    assert for_several(settings, model, interval) == for_one(settings, model, interval)
    assert for_several(KeyFrames(), model, interval or 5) == for_one(
        KeyFrames(), model, interval or 5
    )


def test_the_head_is_due_in_every_frame_that_it_processes():
    model = model_of(10, "bfloat16")
    assert for_one(KeyFrames(), model, None)[1] == 1
    assert for_one(KeyFrames(network="light"), model, None)[1] == 10
    assert for_one(KeyFrames(network="head"), model, 5)[1] == 5
