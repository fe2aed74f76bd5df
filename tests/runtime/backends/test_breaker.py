import pytest

from edgepose_runtime.backends.triton import BreakerState, ServerSettings
from edgepose_runtime.backends.triton.breaker import CircuitBreaker

SETTINGS = ServerSettings(failures=3, first_rest_s=1.0, longest_rest_s=4.0)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return CircuitBreaker(SETTINGS, clock, randomness=lambda: 0.0)


def fail(breaker, times):
    return [breaker.admit() and breaker.failed() for _ in range(times)]


def test_a_few_failures_in_a_row_leave_the_server_alone(breaker):
    assert fail(breaker, 3) == [False, False, True]
    assert breaker.state is BreakerState.OPEN
    assert not breaker.admit()


def test_a_success_between_failures_counts_afresh(breaker):
    fail(breaker, 2)
    assert not breaker.succeeded()
    assert fail(breaker, 2) == [False, False]
    assert breaker.state is BreakerState.CLOSED


def test_after_the_rest_one_request_finds_out(breaker, clock):
    fail(breaker, 3)
    clock.now = 0.9
    assert not breaker.wants_probe
    clock.now = 1.0
    assert breaker.wants_probe
    assert breaker.admit()
    assert breaker.state is BreakerState.HALF_OPEN
    assert not breaker.admit()  # only one
    assert breaker.succeeded()
    assert breaker.state is BreakerState.CLOSED
    assert breaker.admit()


def test_rests_double_up_to_the_longest(breaker, clock):
    fail(breaker, 3)
    for rest in (1, 2, 4, 4):
        clock.now += rest - 0.01
        assert not breaker.admit()
        clock.now += 0.01
        assert breaker.admit()
        assert not breaker.failed()  # it was away already


def test_after_a_success_the_rests_begin_with_the_first(breaker, clock):
    fail(breaker, 3)
    clock.now = 1.0
    assert breaker.admit()
    breaker.failed()
    clock.now = 3.0
    assert breaker.admit()
    breaker.succeeded()
    fail(breaker, 3)
    clock.now += 1.0
    assert breaker.wants_probe


def test_a_probe_that_says_nothing_leaves_room_for_the_next(breaker, clock):
    fail(breaker, 3)
    clock.now = 1.0
    assert breaker.admit()
    breaker.withdrawn()
    assert breaker.wants_probe


def test_a_late_failure_while_the_server_rests_prolongs_nothing(breaker, clock):
    fail(breaker, 3)
    breaker.failed()
    clock.now = 1.0
    assert breaker.wants_probe
