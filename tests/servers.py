"""Inference servers in processes of their own, for tests: the small one, and a real Triton."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

SMALL = Path(__file__).with_name("oip_server.py")


class SmallServer:
    """The server of ``oip_server.py``; it may be killed, frozen and started again."""

    def __init__(self, **settings: Any) -> None:
        self.port = free_port()
        self._settings = settings
        self._process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"

    def start(self, **changes: Any) -> None:
        """Start, and wait until it listens."""
        self._settings.update(changes)
        command = [sys.executable, str(SMALL), str(self.port)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # what it forked ends with it, see kill()
        )
        self._tell(self._settings)

    def change(self, **changes: Any) -> None:
        """Make it behave otherwise from now on."""
        self._settings.update(changes)
        self._tell(changes)

    def send(self, what: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(what)

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()
            self._process = None

    def _tell(self, settings: dict[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(settings) + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "ok\n"


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
