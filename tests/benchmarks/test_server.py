import pytest

from benchmarks.server.sweep import MEASURES, kept_share, least_gain
from benchmarks.server.triton import ask

WIDE = MEASURES[0]


def rows(*late):
    """Return rows of a sweep in which the body alone has 70 and an instant head 80."""
    found = [{"delay_ms": None, "lost": 0.0, "instant": False, WIDE.label: 70.0}]
    found.append({"delay_ms": 0.0, "lost": 0.0, "instant": True, WIDE.label: 80.0})
    for delay, value in late:
        found.append({"delay_ms": delay, "lost": 0.0, "instant": False, WIDE.label: value})
    return found


def test_what_is_kept_and_the_worst_setting_are_read_off_the_rows():
    found = rows((0.0, 79.0), (100.0, 77.5), (500.0, 69.8))
    assert kept_share(found, WIDE, 100.0) == 0.75
    assert least_gain(found, WIDE) == pytest.approx(-0.2)


def test_each_client_sends_requests_of_the_size_asked_for():
    sent = []

    class Network:
        def infer(self, feeds):
            sent.append(feeds["image"].shape)

    *took, total = ask(Network(), 8, clients=3, batch=2, seconds=0.02)
    assert set(sent) == {(2, 8, 8, 3)}
    assert len(sent) == len(took) + 1  # the first is not counted
    assert 0 <= max(took) <= total
