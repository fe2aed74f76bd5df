"""Viewers of a preview."""

from __future__ import annotations

import os
import selectors
import socket
from multiprocessing.synchronize import Event
from urllib.parse import urlsplit


def look(url: str, ready: Event) -> None:
    """Read pictures and events for ever, and leave a third stream alone."""
    os.nice(19)  # viewers are on other machines
    _stalled = connect(url, "/stream/camera.mjpg")
    streams = [connect(url, "/stream/camera.mjpg"), connect(url, "/events")]
    ready.set()
    with selectors.DefaultSelector() as selector:
        for opened in streams:
            selector.register(opened, selectors.EVENT_READ, opened)
        while True:
            for key, _ in selector.select():
                key.data.recv(1 << 16)


def connect(url: str, path: str) -> socket.socket:
    """Open a path of a preview, and return the connection."""
    address = urlsplit(url)
    opened = socket.create_connection((str(address.hostname), address.port or 80), timeout=30)
    opened.sendall(f"GET {path}?{address.query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return opened


def leave(opened: socket.socket) -> None:
    """Read a little, and go without a word."""
    opened.recv(1 << 16)
    opened.close()
