"""Hostile clients: refused or bounded, and the tracker does not notice."""

import time

import numpy as np
import pytest

from edgepose.preview.web import server


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/page/../preview.py",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/stream/../../../etc/passwd",
        "/stream/..%2f..%2fetc%2fpasswd.jpg",
        "/stream/camera.mjpg/../../x",
        "/page.js%00.css",
        "//etc/passwd",
        "/\\..\\..\\etc",
    ],
)
def test_paths_lead_nowhere_else(preview, client, frame, make_result, path):
    preview.write(frame, make_result())
    answer = client.get(path)
    assert answer.status == 404
    assert b"root:" not in answer.body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "CONNECT"])
def test_only_get_is_answered(client, method):
    answer = client.get("/", method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/9\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: \xff\r\n\r\n",
    ],
)
def test_damaged_requests_are_refused(client, request_bytes):
    assert client.send(request_bytes).status in (400, 421)


def test_huge_headers_are_refused(client):
    assert client.get("/", extra=f"X: {'a' * 10_000}\r\n").status == 431
    assert client.get("/", extra="X: a\r\n" * 100).status == 431
    assert client.get("/" + "a" * 10_000).status == 431


def test_a_damaged_cookie_is_no_token(client):
    assert client.get("/", token=False, extra='Cookie: a="\\; [;=;;\r\n').status == 401


def test_slow_requests_end(preview, client, monkeypatch):
    monkeypatch.setattr(server, "REQUEST_S", 0.2)
    with client.connect() as slow:
        slow.sendall(b"GET / HTTP/1.1\r\n")
        began = time.monotonic()
        assert slow.recv(1) == b""
    assert time.monotonic() - began < 5
    assert client.get("/livez").status == 200


def test_two_hundred_connections_are_bounded_and_harm_no_tracker(
    preview, client, frame, make_result, monkeypatch
):
    monkeypatch.setattr(server, "REQUEST_S", 3.0)
    idle = [client.connect() for _ in range(200)]
    took = []
    for number in range(200):
        began = time.perf_counter()
        preview.write(frame, make_result(number))
        took.append(time.perf_counter() - began)
    for connection in idle:
        try:
            while connection.recv(4096):
                pass
        except ConnectionError:
            pass
        connection.close()
    # Connecting takes time, too: some of the first may have ended before the last ones came.
    assert preview.viewers.refused >= 100
    assert sorted(took)[100] < 0.005
    assert client.get("/livez").status == 200


def test_viewers_are_bounded(preview, client):
    streams = [client.stream("/events") for _ in range(4)]
    assert client.get("/events").status == 503
    for stream in streams:
        stream.close()
    assert preview.viewers.refused == 1


def test_a_viewer_that_takes_nothing_is_dropped_and_counted(
    preview, client, make_result, monkeypatch
):
    monkeypatch.setattr(server, "TAKING_S", 0.3)
    noise = np.random.default_rng(0).integers(0, 256, (720, 960, 3), np.uint8)
    preview.write(noise, make_result())
    stalled = client.stream("/stream/camera.mjpg")
    deadline = time.monotonic() + 20
    number = 1
    while not preview.viewers.dropped and time.monotonic() < deadline:
        preview.write(noise, make_result(number))
        number += 1
    assert preview.viewers.dropped == 1
    assert preview.viewers.open == 0
    stalled.close()
