import pytest

from edgepose_runtime.backoff import Backoff
from edgepose_runtime.capture import LiveSettings
from edgepose_runtime.errors import ConfigError


def test_waits_double_up_to_the_longest_and_begin_again_after_a_success():
    backoff = Backoff(LiveSettings(first_delay_s=1, longest_delay_s=5), lambda: 0.0)
    assert [backoff.next_delay_s() for _ in range(5)] == [1, 2, 4, 5, 5]
    backoff.succeeded()
    assert backoff.next_delay_s() == 1


def test_a_random_part_of_up_to_one_half_is_taken_off():
    numbers = iter([0.0, 0.5, 1.0])
    settings = LiveSettings(first_delay_s=4, longest_delay_s=4)
    backoff = Backoff(settings, lambda: next(numbers))
    assert [backoff.next_delay_s() for _ in range(3)] == [4, 3, 2]


def test_weeks_of_failures_do_not_overflow():
    backoff = Backoff(LiveSettings(), lambda: 0.0)
    assert {backoff.next_delay_s() for _ in range(5000)} == {0.5, 1, 2, 4, 8, 16, 30}


def test_attempts_are_counted():
    backoff = Backoff(LiveSettings(attempts=2), lambda: 0.0)
    assert [backoff.next_delay_s() for _ in range(3)] == [0.5, 1.0, None]
    assert backoff.failures == 2


@pytest.mark.parametrize(
    "wrong", [{"open_timeout_s": -1}, {"read_timeout_s": float("nan")}, {"attempts": -1}]
)
def test_impossible_settings_are_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        LiveSettings(**wrong)
