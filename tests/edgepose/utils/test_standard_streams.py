import sys

import pytest

from edgepose.utils.standard_streams import reliable_streams


class Gone:
    """A terminal that was closed."""

    def write(self, text):
        raise OSError(5, f"Input/output error: {text}")

    flush = None

    def isatty(self):
        return True


def test_a_lost_terminal_takes_everything(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Gone())
    with reliable_streams():
        assert sys.stderr.write("progress") == len("progress")
        assert sys.stderr.isatty()
    assert isinstance(sys.stderr, Gone)


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_closed_stream_is_replaced_for_a_while(monkeypatch, name):
    monkeypatch.setattr(sys, name, None)
    with reliable_streams():
        getattr(sys, name).write("nobody reads this")
        getattr(sys, name).flush()
    assert getattr(sys, name) is None
