import numpy as np
import pytest

from edgepose_runtime.backends.triton import ServerSettings
from edgepose_runtime.capture import LiveSettings
from edgepose_runtime.checks import is_finite_number
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
