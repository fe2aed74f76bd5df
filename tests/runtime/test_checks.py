import threading
from types import SimpleNamespace

import numpy as np
import pytest

from edgepose_runtime.backends.triton import ServerSettings
from edgepose_runtime.capture import LiveSettings
from edgepose_runtime.checks import checked_timeout, is_finite_number, require_whole
from edgepose_runtime.errors import ConfigError


@pytest.mark.parametrize("value", [0, -1.5, np.float32(2), np.int64(3)])
def test_numbers_of_python_and_numpy_count(value):
    assert is_finite_number(value)


@pytest.mark.parametrize("value", ["1", None, True, float("nan"), np.inf, 10**400, [1], 1j])
def test_nothing_else_does(value):
    assert not is_finite_number(value)


@pytest.mark.parametrize(
    ("settings", "name"), [(ServerSettings, "deadline_s"), (LiveSettings, "open_timeout_s")]
)
def test_a_text_for_a_time_is_refused_by_name(settings, name):
    with pytest.raises(ConfigError, match=name):
        settings(**{name: "soon"})


@pytest.mark.parametrize("timeout", [float("nan"), float("inf"), -1, None, "1", 10**400, True, [1]])
def test_a_timeout_that_is_no_time_is_refused(timeout):
    with pytest.raises(ConfigError, match="timeout must be a finite number of seconds"):
        checked_timeout(timeout)


def test_a_timeout_may_be_any_number_and_is_one_that_locks_take():
    assert checked_timeout(np.float32(0.5)) == 0.5
    assert checked_timeout(0) == 0
    assert threading.Lock().acquire(timeout=checked_timeout(1e300))


@pytest.mark.parametrize("value", [0, 1.5, "2", None, True, np.zeros(2)])
def test_what_must_be_a_whole_number_from_one_up_is_that(value):
    with pytest.raises(ConfigError, match="size must be a whole number, 1 or more"):
        require_whole(SimpleNamespace(size=value), ("size",), 1)
    require_whole(SimpleNamespace(size=np.int64(1)), ("size",), 1)
