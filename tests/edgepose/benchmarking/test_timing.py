import itertools

import numpy as np
import pytest

from edgepose.benchmarking.timing import (
    LEAST_CALLS,
    WARMUP_CALLS,
    Plan,
    TimedNetwork,
    forward_and_backward,
    measure,
    shuffled_rounds,
)
from edgepose.stats import StageLatency
from edgepose_runtime.backends.base import BackendSettings
from edgepose_runtime.backends.fake import FakeBackend
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.tensors import TensorSpec

NAMES = ["a", "b", "c", "d"]


class Recorder:
    """Tasks that take as long as they are told, and the order in which they were called."""

    def __init__(self, *names):
        self.calls = []
        self.tasks = {name: self._task(name) for name in names}

    def _task(self, name):
        def call(step):
            self.calls.append((name, step))
            return {"total": float(step)}

        return call


def test_everybody_has_one_turn_in_each_round():
    order = list(shuffled_rounds(NAMES, Plan(rounds=7)))
    assert len(order) == 7
    assert all(sorted(each) == NAMES for each in order)


def test_the_order_is_random_but_repeatable():
    first, again = (list(shuffled_rounds(NAMES, Plan(rounds=9, seed=3))) for _ in range(2))
    assert first == again
    assert first != list(shuffled_rounds(NAMES, Plan(rounds=9, seed=4)))
    assert len({tuple(each) for each in first}) > 1


def test_all_tasks_are_given_the_same_steps():
    recorder = Recorder("a", "b")
    measure(recorder.tasks, Plan(rounds=2, calls=3, warmup_ms=0), clock=lambda: 0.0)
    steps = {name: [step for who, step in recorder.calls if who == name] for name in "ab"}
    assert steps["a"] == steps["b"] == list(range(2 * (WARMUP_CALLS + 3)))


def test_the_first_calls_of_a_turn_do_not_count():
    recorder = Recorder("a")
    plan = Plan(rounds=2, calls=3, warmup_ms=0)
    latency = measure(recorder.tasks, plan, clock=lambda: 0.0)["a"]["total"]
    assert latency == StageLatency.of([2, 3, 4, 7, 8, 9])


def test_warming_up_takes_its_time():
    recorder, seconds = Recorder("a"), itertools.count()
    plan = Plan(rounds=1, calls=1, warmup_ms=5500)
    latency = measure(recorder.tasks, plan, clock=lambda: float(next(seconds)))["a"]["total"]
    warmups = len(recorder.calls) - 1
    assert warmups > WARMUP_CALLS
    assert latency == StageLatency.of([warmups])


def test_a_slow_task_makes_fewer_calls_in_its_turn():
    recorder, seconds = Recorder("slow"), itertools.count()
    plan = Plan(rounds=1, calls=50, turn_ms=100)
    latency = measure(recorder.tasks, plan, clock=lambda: float(next(seconds)))["slow"]["total"]
    assert latency.count == LEAST_CALLS


def test_a_step_may_say_nothing():
    plan = Plan(rounds=1, calls=4, warmup_ms=0)
    latency = measure({"a": lambda step: {"x": 1.0} if step % 2 else {}}, plan)
    assert latency["a"]["x"].count == 2
    assert measure({"a": lambda _: {}}, Plan(rounds=1, warmup_ms=0))["a"] == {}


def test_each_turn_is_reported():
    reported = []
    measure(Recorder("a", "b").tasks, Plan(rounds=3, calls=1, warmup_ms=0), reported.append)
    assert sorted(reported) == ["a"] * 3 + ["b"] * 3


@pytest.mark.parametrize("options", [{"rounds": 0}, {"calls": 0}])
def test_a_plan_without_calls_is_refused(options):
    with pytest.raises(ConfigError, match="at least 1 round of 1 call"):
        Plan(**options)


def test_percentiles_lie_between_the_measurements():
    latency = StageLatency.of(range(101))
    assert latency == StageLatency(101, 50.0, 95.0, 99.0)
    assert StageLatency.of([1.0, 2.0]).p50 == 1.5


def test_frames_are_walked_to_and_fro():
    assert [forward_and_backward(step, 4) for step in range(9)] == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert [forward_and_backward(step, 1) for step in range(3)] == [0, 0, 0]
    assert [forward_and_backward(step, 2) for step in range(4)] == [0, 1, 0, 1]


def test_a_timed_network_is_the_network_and_a_sum():
    spec = TensorSpec("x", "float32", ("N", 2))
    backend = FakeBackend(lambda feeds: {"y": 2 * feeds["x"]}, [spec], [spec])
    timed = TimedNetwork(backend.load(b"", settings=BackendSettings()))
    assert (timed.device, timed.precision, timed.inputs) == ("cpu", "float32", {"x": spec})
    assert timed.infer({"x": np.ones((1, 2), np.float32)})["y"].tolist() == [[2, 2]]
    once = timed.milliseconds
    timed.infer({"x": np.ones((1, 2), np.float32)})
    assert timed.milliseconds > once > 0
