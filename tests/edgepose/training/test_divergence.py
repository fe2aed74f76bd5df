import pytest

from edgepose.training.divergence import DivergenceMonitor


def first_fault(watch, steps, **measures):
    return next(((i, fault) for i in range(steps) if (fault := watch.update(measures))), None)


@pytest.mark.parametrize(
    ("measures", "words"),
    [({"against_empty": 1.0}, "collapsed"), ({"against_heatmaps": 9.0}, "run away")],
)
def test_a_collapse_is_named_once_it_lasts(measures, words):
    step, fault = first_fault(DivergenceMonitor(patience=20), 100, **measures)
    assert step == 19
    assert words in fault


def test_a_run_that_learns_is_left_alone():
    watch = DivergenceMonitor(patience=5)
    assert first_fault(watch, 300, against_empty=0.4, against_heatmaps=0.2) is None
    assert first_fault(DivergenceMonitor(patience=5), 300, loss=1.0) is None


def test_a_bad_step_is_no_collapse():
    watch = DivergenceMonitor(patience=5)
    first_fault(watch, 50, against_empty=0.4)
    assert watch.update({"against_empty": 20.0}) is None
    assert first_fault(watch, 100, against_empty=20.0) is not None


def test_it_is_said_again_only_after_another_while():
    watch = DivergenceMonitor(patience=10)
    assert first_fault(watch, 10, against_empty=1.0) is not None
    assert first_fault(watch, 9, against_empty=1.0) is None
    assert watch.update({"against_empty": 1.0}) is not None


def test_a_resumed_watch_goes_on_where_it_was():
    watch, other = DivergenceMonitor(patience=10), DivergenceMonitor(patience=10)
    first_fault(watch, 9, against_empty=1.0)
    other.load_state_dict(watch.state_dict())
    fault = watch.update({"against_empty": 1.0})
    assert fault is not None
    assert other.update({"against_empty": 1.0}) == fault
