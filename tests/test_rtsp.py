"""A real RTSP camera on this machine, that is switched off and on again."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgepose.results import Origin
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose.tracker import PoseTracker
from edgepose_runtime.capture import CapturedFrame, EventKind, LiveSettings, open_source
from edgepose_runtime.errors import SourceError

SERVER = Path(__file__).with_name("rtsp_server.py")
PYTHON = "/usr/bin/python3"
NEEDED = "import gi; gi.require_version('GstRtspServer', '1.0')"
# RTP describes a JPEG in units of 8 pixels.
SIZE = (272, 480)
IMPATIENT = LiveSettings(
    open_timeout_s=30, read_timeout_s=3, first_delay_s=0.05, longest_delay_s=0.2
)


class Camera:
    """GStreamer's RTSP server with the sample clip, over and over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"rtsp://admin:secret@127.0.0.1:{self._port}/clip"

    def switch_on(self) -> None:
        command = [PYTHON, str(SERVER), str(self._folder), str(self._port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            self.switch_off()
            raise OSError("GStreamer's RTSP server does not start")

    def send(self, what: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(what)

    def switch_off(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def small_frames(video: Path) -> list[NDArray[np.uint8]]:
    with open_source(video) as source:
        return [cv2.resize(f.image, SIZE, interpolation=cv2.INTER_AREA) for f in source]


@pytest.fixture(scope="module")
def clip(sample_clip: Path) -> list[NDArray[np.uint8]]:
    return small_frames(sample_clip)


@contextlib.contextmanager
def cameras_of(clip: list[NDArray[np.uint8]], folder: Path, count: int) -> Iterator[list[Camera]]:
    """Cameras that are on; the test is skipped where there is no RTSP server."""
    if (
        not shutil.which(PYTHON)
        or subprocess.run([PYTHON, "-c", NEEDED], capture_output=True).returncode
    ):
        pytest.skip("needs gir1.2-gst-rtsp-server-1.0, python3-gi and gstreamer1.0-plugins-good")
    for index, frame in enumerate(clip):
        assert cv2.imwrite(str(folder / f"{index:05d}.jpg"), frame)
    servers = [Camera(folder) for _ in range(count)]
    with contextlib.ExitStack() as opened:
        for server in servers:
            opened.callback(server.switch_off)
            try:
                server.switch_on()
            except OSError as error:
                pytest.skip(f"{error} here")
        yield servers


@pytest.fixture
def camera(clip: list[NDArray[np.uint8]], tmp_path: Path) -> Iterator[Camera]:
    with cameras_of(clip, tmp_path, 1) as (server,):
        yield server


def test_a_camera_that_is_switched_off_and_on_is_lost_and_found(camera, clip, caplog, capfd):
    log: list[EventKind | CapturedFrame] = []

    def on_event(event):
        log.append(event.kind)
        assert "secret" not in event.detail
        if event.kind is EventKind.LOST:
            camera.switch_on()

    with open_source(camera.address, live=IMPATIENT, on_event=on_event) as source:
        assert source.is_live
        for frame in source:
            log.append(frame)
            if len(log) == 10:
                camera.switch_off()
            if EventKind.RECONNECTED in log and len(log) > log.index(EventKind.RECONNECTED) + 10:
                break
    kinds = [entry for entry in log if isinstance(entry, EventKind)]
    assert kinds == [EventKind.LOST, EventKind.RECONNECTED]
    frames = [entry for entry in log if isinstance(entry, CapturedFrame)]
    assert [frame.frame_id for frame in frames] == list(range(len(frames)))
    assert all(a.timestamp_ms < b.timestamp_ms for a, b in pairwise(frames))
    for frame in (*frames[:3], *frames[-3:]):
        assert distance(frame.image, clip) < 6
    assert source.num_hung == 0
    said = caplog.text + "".join(capfd.readouterr()) + repr(source)
    assert "secret" not in said
    assert "admin" not in said


def test_tracking_resumes_when_the_camera_is_back(camera):
    method = FakeMethod(standing_person((136, 240), 200))
    log = []

    def on_event(event):
        log.append(event.kind)
        if event.kind is EventKind.LOST:
            camera.switch_on()

    with PoseTracker(fake_model(method), on_event=on_event) as tracker:
        results = tracker.stream(open_source(camera.address, live=IMPATIENT))
        assert next(results).keypoints is not None
        camera.switch_off()
        while EventKind.RECONNECTED not in log:
            next(results)
        assert next(results).keypoints is not None
        results.close()
        stats = tracker.stats
    assert log == [EventKind.LOST, EventKind.RECONNECTED]
    assert stats.frames == stats.poses + sum(stats.drops.values())
    assert stats.origins["initialised"] > 1  # afresh after the gap


@pytest.mark.slow
def test_the_shipped_model_tracks_a_camera_through_a_gap(camera):
    events = []

    def on_event(event):
        events.append(event)
        if event.kind is EventKind.LOST:
            camera.switch_on()

    with PoseTracker("ppn-swift", on_event=on_event) as tracker:
        tracker.warmup()
        results = tracker.stream(camera.address)
        before = list(itertools.islice(results, 10))
        camera.switch_off()
        afterwards = (r for r in results if len(events) > 1 and is_after(r, events[1]))
        after = list(itertools.islice(afterwards, 10))
        results.close()
    assert [event.kind for event in events] == [EventKind.LOST, EventKind.RECONNECTED]
    assert sum(result.keypoints is not None for result in before) >= 8
    assert sum(result.keypoints is not None for result in after) >= 8
    found = [result.origin for result in after if result.keypoints is not None]
    assert found[0] is Origin.INITIALISED
    assert Origin.PROPAGATED in found


def is_after(result, event):
    return result.timestamp_ms >= event.timestamp_ms


def test_a_camera_that_falls_silent_is_lost_after_the_deadline(camera):
    log = []

    def on_event(event):
        log.append(event.kind)
        if event.kind is EventKind.LOST:
            camera.send(signal.SIGCONT)

    impatient = LiveSettings(read_timeout_s=1, first_delay_s=0.05, longest_delay_s=0.2)
    with open_source(camera.address, live=impatient, on_event=on_event) as source:
        frames = iter(source)
        next(frames)
        camera.send(signal.SIGSTOP)
        while EventKind.RECONNECTED not in log:
            next(frames)
    assert log == [EventKind.LOST, EventKind.RECONNECTED]


def test_a_camera_that_is_off_is_refused_at_once_or_waited_for(camera):
    camera.switch_off()
    with pytest.raises(SourceError, match=r"rtsp://\*\*\*@127\.0\.0\.1:\d+/clip cannot be opened"):
        open_source(camera.address)
    patient = LiveSettings(first_delay_s=0.05, longest_delay_s=0.2, retry_first=True)
    with open_source(camera.address, live=patient) as source:
        source.subscribe(lambda event: event.kind is EventKind.LOST and camera.switch_on())
        assert next(iter(source)).image.shape == (SIZE[1], SIZE[0], 3)


def distance(image, clip):
    """Mean difference to the frame of the clip that is most alike, in grey levels."""
    return min(float(cv2.absdiff(image, frame).mean()) for frame in clip)
