"""Threads that give way to those that track."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

#: As of ``nice``: about a tenth of the time of a thread that competes for the same core.
_NICENESS = 10


def give_way() -> None:
    """Lower the priority of the calling thread; does nothing but on Linux, which can."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a container may forbid it
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
