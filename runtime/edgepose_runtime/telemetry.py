"""Nothing that edgepose starts sends usage data: not to us, and not to the makers of backends."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: OpenVINO and NNCF send through this package, and do without it where it is not installed.
_SENDER = "openvino_telemetry"


@contextmanager
def no_telemetry() -> Iterator[None]:
    """Import OpenVINO or NNCF in this block, and they send nothing.

    Otherwise their import looks up an analytics host, leaves a file with an id in the user's
    home, and forks a process that sends. Inside the block the sending package seems not to be
    installed, which both of them provide for; what they imported then stays silent afterwards. A
    program that has loaded the package itself keeps it.
    """
    if _SENDER in sys.modules:
        yield
        return
    # What Python's import system takes for "there is no such module".
    sys.modules[_SENDER] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.modules.pop(_SENDER, None)
