import inspect

import pytest

from edgepose_runtime import errors

CLASSES = [
    cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, Exception)
]


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_is_an_edgepose_error_and_stands_in_the_drawn_tree(error):
    assert issubclass(error, errors.EdgePoseError)
    assert error.__name__ in errors.__doc__


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.ConfigError, ValueError),
        (errors.RoiError, ValueError),
        (errors.TimestampError, ValueError),
        (errors.SourceError, OSError),
        (errors.OutputError, OSError),
        (errors.ClosedError, RuntimeError),
    ],
)
def test_errors_are_also_the_builtin_that_says_the_same(error, builtin):
    assert issubclass(error, builtin)


def test_a_roi_error_is_caught_as_a_frame_error():
    assert issubclass(errors.RoiError, errors.FrameError)
