"""Keeps a server running: starts it again after a crash, with growing waits."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edgepose_runtime.backoff import Backoff
from edgepose_runtime.errors import BackendError

#: A server that ran so long, in seconds, did not fail at once: waits begin anew.
STEADY_S = 60.0


@dataclass(frozen=True, slots=True)
class RestartSettings:
    """When to start again.

    Attributes:
        first_delay_s: the first wait in seconds; each crash soon after the last one doubles it.
        longest_delay_s: the longest wait.
        attempts: crashes in a row, none of them after a minute or more, to give up after.
    """

    first_delay_s: float = 1.0
    longest_delay_s: float = 60.0
    attempts: int | None = 10


class Server(Protocol):
    """What is kept running."""

    def start(self) -> None:
        """Start, and wait until it is ready."""

    def wait(self) -> int:
        """Wait until it ends, and return its exit code."""

    def kill(self) -> None:
        """End it, and remove what it left."""


def keep_running(
    server: Server,
    stopped: threading.Event,
    settings: RestartSettings = RestartSettings(),
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Wait for a server that runs, and start it again whenever it ends by itself.

    Args:
        server: the server.
        stopped: set when it is to end.
        settings: when to start again.
        clock: seconds.

    Returns:
        Whether it was stopped; else it was given up.
    """
    backoff = Backoff(settings)
    while True:
        begun = clock()
        code = server.wait()
        if stopped.is_set():
            return True
        if clock() - begun >= STEADY_S:
            backoff.succeeded()
        if not _start_again(server, stopped, backoff, f"ended with the exit code {code}"):
            return stopped.is_set()


def _start_again(server: Server, stopped: threading.Event, backoff: Backoff, what: str) -> bool:
    """Start until that succeeds; return whether it did."""
    while True:
        server.kill()  # its helpers and its shared memory outlive it
        delay = backoff.next_delay_s()
        if delay is None:
            sys.stderr.write(f"edgepose: Triton {what}, again and again; it is given up.\n")
            return False
        sys.stderr.write(f"edgepose: Triton {what}; it is started again in {delay:.1f} s.\n")
        if stopped.wait(delay):
            return False
        try:
            server.start()
        except BackendError as error:
            what = f"could not be started ({error})"
            continue
        return True
