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
