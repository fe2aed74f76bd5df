"""What a service tells systemd: that it is ready, and that it makes progress."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

logger = logging.getLogger("edgepose")


class Supervisor:
    """Sends the datagrams of ``sd_notify(3)``; does nothing where no supervisor listens.

    Args:
        environment: variables, of which ``NOTIFY_SOCKET`` and ``WATCHDOG_USEC`` are read.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        microseconds = environment.get("WATCHDOG_USEC", "")
        own = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watched = own and microseconds.isdecimal()
        #: Seconds within which :meth:`alive` has to be called; ``None`` where nobody watches.
        self.watchdog_s: float | None = int(microseconds) / 1e6 if watched else None

    def ready(self) -> None:
        """Tell that the start is over."""
        self._send("READY=1")

    def alive(self, status: str) -> None:
        """Tell that the work goes on, and how."""
        self._send(f"WATCHDOG=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        """Tell how it goes, without a sign of life."""
        self._send(f"STATUS={status}")

    def stopping(self) -> None:
        """Tell that the end was begun."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # A name that begins with @ is one without a file.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
                opened.connect(address)
                opened.sendall(message.encode())
        except OSError as error:
            logger.warning("The supervisor at %s cannot be told: %s.", self._address, error)
