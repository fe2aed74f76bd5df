import signal
import threading

import pytest

from edgepose.utils.signals import StopSignals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_the_second_interrupts(number, capsys):
    before = signal.getsignal(number)
    with StopSignals("Stopping.\n") as stop:
        assert not stop.stopped
        signal.raise_signal(number)
        assert stop.stopped
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert capsys.readouterr().err == "Stopping.\n"
    assert signal.getsignal(number) is before


def test_without_a_message_nothing_is_written(capsys):
    with StopSignals():
        signal.raise_signal(signal.SIGINT)
    assert capsys.readouterr().err == ""


def test_other_threads_leave_signals_as_they_are():
    handlers = []

    def work():
        with StopSignals():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGINT)]


@pytest.mark.parametrize(
    ("name", "is_live", "code"),
    [
        ("SIGINT", True, 130),
        ("SIGINT", False, 130),
        ("SIGTERM", True, 0),
        ("SIGTERM", False, 143),
        ("SIGHUP", True, 0),
        ("SIGHUP", False, 129),
    ],
)
def test_the_exit_code_says_whether_the_work_came_to_its_end(name, is_live, code):
    if not hasattr(signal, name):
        pytest.skip(f"this system has no {name}")
    with StopSignals() as stop:
        assert stop.exit_code(is_live=is_live) == 0
        signal.raise_signal(getattr(signal, name))
    assert stop.exit_code(is_live=is_live) == code


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_nohup_is_respected():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as stop:
            signal.raise_signal(signal.SIGHUP)
        assert not stop.stopped
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_function_is_called_at_the_first_signal_on_a_thread_of_its_own():
    called, done = [], threading.Event()

    def note():
        called.append(threading.current_thread() is threading.main_thread())
        done.set()

    with StopSignals() as stop:
        stop.call_when_stopped(note)
        assert not called
        signal.raise_signal(signal.SIGTERM)
        assert done.wait(20)
    assert called == [False]


def test_without_a_signal_the_function_is_not_called_and_its_thread_ends():
    called, before = [], threading.active_count()
    with StopSignals() as stop:
        stop.call_when_stopped(lambda: called.append(1))
    assert threading.active_count() == before
    assert not called
