"""A preview on a free port, and a client that says exactly what it is told to."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from edgepose.preview import Preview, PreviewSettings


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Stream:
    """What a stream sends, piece by piece."""

    def __init__(self, opened: socket.socket) -> None:
        self._opened = opened
        self.received = opened.makefile("rb")

    def event(self, kind: str):
        """Return the data of the next event of a kind."""
        while (line := self.received.readline()) != f"event: {kind}\n".encode():
            assert line, "the stream ended"
        return json.loads(self.received.readline().removeprefix(b"data: "))

    def picture(self) -> bytes:
        """Return the next JPEG of an MJPEG stream."""
        while not (line := self.received.readline()).startswith(b"Content-Length"):
            assert line, "the stream ended"
        self.received.readline()
        return self.received.read(int(line.split()[1]))

    def close(self) -> None:
        self.received.close()
        self._opened.close()

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()


class Client:
    """Speaks to a preview over plain sockets, with its token unless told otherwise."""

    def __init__(self, preview: Preview) -> None:
        address = urlsplit(preview.url)
        self.port = address.port
        self.token = parse_qs(address.query)["token"][0]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def head(self, path: str, *, method="GET", host=None, token=True, extra="") -> bytes:
        bearer = f"Authorization: Bearer {self.token}\r\n" if token else ""
        host = f"127.0.0.1:{self.port}" if host is None else host
        return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{bearer}{extra}\r\n".encode()

    def get(self, path: str, **options) -> Answer:
        return self.send(self.head(path, **options))

    def send(self, request: bytes) -> Answer:
        with self.connect() as opened:
            opened.sendall(request)
            with opened.makefile("rb") as received:
                return read_answer(received)

    def stream(self, path: str) -> Stream:
        """Open a stream, up to the end of its headers."""
        opened = self.connect()
        opened.sendall(self.head(path))
        stream = Stream(opened)
        answer = read_head(stream.received)
        assert answer.status == 200, answer
        return stream


def read_head(received) -> Answer:
    status = int(received.readline().split()[1])
    headers = {}
    while line := received.readline().decode().strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Answer(status, headers, b"")


def read_answer(received) -> Answer:
    answer = read_head(received)
    answer.body = received.read()
    return answer


@pytest.fixture
def preview() -> Iterator[Preview]:
    with Preview(PreviewSettings(port=0, max_fps=100, max_viewers=4)) as opened:
        yield opened


@pytest.fixture
def client(preview: Preview) -> Client:
    return Client(preview)


@pytest.fixture
def frame():
    return np.full((240, 320, 3), 90, np.uint8)
