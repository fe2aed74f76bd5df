"""Numbers of any type where users give numbers: taken, or refused with a typed error."""

import threading

import numpy as np
import pytest

import edgepose
from edgepose.errors import ConfigError
from edgepose.testing import FakeMethod, fake_model, standing_person

FRAME = np.zeros((48, 64, 3), np.uint8)


class StuckMethod(FakeMethod):
    """A network that does not return until it is let go."""

    def __init__(self):
        super().__init__(standing_person((32, 24), 30))
        self.entered, self.free = threading.Event(), threading.Event()

    def _look(self, kind, crop, roi):
        self.entered.set()
        assert self.free.wait(20)
        return super()._look(kind, crop, roi)


@pytest.mark.parametrize("timeout", [float("nan"), float("inf"), -1, None, "1"])
def test_close_refuses_a_timeout_that_is_none_even_if_a_network_is_stuck(timeout):
    method = StuckMethod()
    tracker = edgepose.PoseTracker(fake_model(method), on_result=lambda _: None)
    try:
        tracker.submit(FRAME)
        assert method.entered.wait(20)
        with pytest.raises(ConfigError, match="timeout must be a finite number of seconds"):
            tracker.close(timeout)
    finally:
        method.free.set()
        tracker.close()


@pytest.mark.parametrize("timeout", [float("nan"), -1, "1"])
def test_flush_refuses_a_timeout_that_is_none(timeout):
    model = fake_model(FakeMethod(standing_person((32, 24), 30)))
    with (
        edgepose.PoseTracker(model, on_result=lambda _: None) as tracker,
        pytest.raises(ConfigError, match="timeout must be"),
    ):
        tracker.flush(timeout)


@pytest.mark.parametrize(
    "options",
    [
        {"reinitialise_every": np.int64(5)},
        {"deadline_ms": np.float32(20)},
        {"search_budget": np.float64(2)},
        {"max_people": np.int64(1)},
        {"key_frames": edgepose.KeyFrames(max_key_rate=np.float32(0.5), lag_frames=np.int64(0))},
    ],
)
def test_numbers_of_numpy_are_numbers(options):
    model = fake_model(FakeMethod(standing_person((32, 24), 30)))
    with edgepose.PoseTracker(model, **options) as tracker:
        assert tracker.track(FRAME).keypoints is not None


@pytest.mark.parametrize(
    "options",
    [
        {"reinitialise_every": 2.5},
        {"reinitialise_every": True},
        {"deadline_ms": float("inf")},
        {"deadline_ms": 10**400},
        {"search_budget": float("nan")},
        {"max_people": 1.5},
        {"smoothing": "yes"},
        {"policy": ["latest"]},
        {"model": "a\0b"},
        {"model": "x" * 5000},
    ],
)
def test_other_values_are_refused_with_a_typed_error(options):
    model = fake_model(FakeMethod(standing_person((32, 24), 30)))
    with pytest.raises(edgepose.EdgePoseError):
        edgepose.PoseTracker(**{"model": model, **options})
