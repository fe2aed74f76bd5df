"""Real connections to small servers on this machine, through OpenCV's FFmpeg."""

import http.server
import socket
import threading

import cv2
import numpy as np
import pytest

from edgepose_runtime.capture import EventKind, LiveSettings, open_source
from edgepose_runtime.errors import SourceError

QUICK = LiveSettings(first_delay_s=0.01, longest_delay_s=0.05)


def jpeg(value):
    _, encoded = cv2.imencode(".jpg", np.full((48, 64, 3), value, np.uint8))
    return encoded.tobytes()


class Server(http.server.BaseHTTPRequestHandler):
    """Shows ``/clip.avi``, and at ``/live`` a camera that sends parts and then hangs up."""

    clip = b""
    parts = ()

    def do_GET(self):
        self.send_response(200)
        if self.path == "/clip.avi":
            self.send_header("Content-Length", str(len(self.clip)))
            self.end_headers()
            self.wfile.write(self.clip)
            return
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=part")
        self.end_headers()
        for part in self.parts:
            head = f"--part\r\nContent-Type: image/jpeg\r\nContent-Length: {len(part)}\r\n\r\n"
            self.wfile.write(head.encode() + part + b"\r\n")

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def server():
    """Address of a server; what it shows is set on the class."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://user:secret@127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def test_a_file_on_a_web_server_is_read_to_its_end_and_not_again(server, tmp_path, monkeypatch):
    writer = cv2.VideoWriter(
        str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48)
    )
    for _ in range(20):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    monkeypatch.setattr(Server, "clip", (tmp_path / "clip.avi").read_bytes())
    events = []
    with open_source(f"{server}/clip.avi", on_event=events.append) as source:
        frames = list(source)
        assert len(frames) + source.num_skipped == 20
    assert [event.kind for event in events] == [EventKind.ENDED]


def test_damaged_pictures_are_passed_over_and_a_camera_that_hangs_up_is_found_again(
    server, monkeypatch
):
    noise = np.random.default_rng(0).bytes(500)
    good = [jpeg(value) for value in (40, 80, 120, 160)]
    parts = [*good, noise, good[0][:200], *good]
    monkeypatch.setattr(Server, "parts", parts)
    events, values = [], set()
    with open_source(f"{server}/live", live=QUICK, on_event=events.append) as source:
        for frame in source:
            values.add(round(float(frame.image.mean()) / 40) * 40)
            if len(events) >= 4:
                break
    kinds = [event.kind for event in events]
    assert kinds[:4] == [EventKind.LOST, EventKind.RECONNECTED] * 2
    assert 160 in values
    assert not any("secret" in event.detail for event in events)


def test_a_server_that_never_answers_is_given_up_in_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/live"
        with pytest.raises(SourceError, match="cannot be opened: nothing answers"):
            open_source(address, live=LiveSettings(open_timeout_s=0.5))
