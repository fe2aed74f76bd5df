"""What viewers see, and what it costs when nobody looks."""

import threading
from dataclasses import replace

import cv2
import numpy as np
import pytest

from edgepose.pool import TrackerPool
from edgepose.preview import Preview, PreviewSettings
from edgepose.preview.pictures import PictureEncoder, scaled_result, shrink
from edgepose.results import DropReason, FrameDrop, TrackingFailure
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose_runtime.errors import InferenceError
from edgepose_runtime.events import EventKind, StreamEvent


def decoded(jpeg):
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


class Writer:
    """A thread that hands over frames until the end of its block."""

    def __init__(self, preview, frame, make_result, source="camera"):
        self._done = threading.Event()
        self._hand_over = lambda number: preview.write(frame, make_result(number), source)
        self._hand_over(0)  # the source is known from here on
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        number = 0
        while not self._done.wait(0.005):
            number += 1
            self._hand_over(number)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()


def test_the_stream_shows_frames_with_poses(preview, client, frame, make_result):
    with Writer(preview, frame, make_result), client.stream("/stream/camera.mjpg") as stream:
        pictures = [decoded(stream.picture()) for _ in range(3)]
    for picture in pictures:
        assert picture.shape == frame.shape
        assert np.abs(picture[:5].astype(int) - 90).max() < 12  # the frame's own grey
        assert np.ptp(picture.astype(int), axis=2).max() > 100  # and coloured limbs


def test_a_single_picture_can_be_asked_for(preview, client, frame, make_result):
    with Writer(preview, frame, make_result, "front door"):
        answer = client.get("/stream/front%20door.jpg")
    assert answer.headers["content-type"] == "image/jpeg"
    assert decoded(answer.body).shape == frame.shape


def test_a_frame_may_be_reused_by_the_caller(preview, client, frame, make_result):
    reused = frame.copy()
    with Writer(preview, reused, make_result), client.stream("/stream/camera.mjpg") as stream:
        first = stream.picture()
        reused[:] = 250
        later = [stream.picture() for _ in range(4)][-1]
    assert decoded(first)[:5].mean() < 100
    assert decoded(later)[:5].mean() > 230


def test_all_viewers_get_the_same_bytes(preview, client, frame, make_result):
    def walking(number):  # no two pictures are the same
        return replace(
            make_result(number), keypoints=standing_person((90 + number % 140, 120), 160)
        )

    with (
        Writer(preview, frame, walking),
        client.stream("/stream/camera.mjpg") as one,
        client.stream("/stream/camera.mjpg") as other,
    ):
        ones = [one.picture() for _ in range(6)]
        others = [other.picture() for _ in range(6)]
    assert len(set(ones)) == len(set(others)) == 6
    assert set(ones) & set(others)


def test_nothing_is_encoded_while_nobody_looks(preview, client, frame, make_result):
    with Writer(preview, frame, make_result):
        with client.stream("/stream/camera.mjpg") as stream:
            stream.picture()
        with client.stream("/events?results=0") as events:
            while events.event("state")["viewers"]["open"] > 1:
                pass
            before = preview._encoder.num_encoded
            for _ in range(2):
                events.event("state")
        assert preview._encoder.num_encoded <= before + 1


def test_events_carry_each_result_as_json(preview, client, frame, make_result):
    with client.stream("/events") as events:
        events.event("history")
        for number in range(5):
            preview.write(frame, make_result(number), "door")
        records = [events.event("result") for _ in range(5)]
    assert [record["frame"] for record in records] == list(range(5))
    assert records[0]["source"] == "door"
    assert {**make_result(0).to_dict(several=True), "source": "door"} == records[0]


def test_the_state_tells_counts_times_and_people(preview, client, frame, make_result):
    with client.stream("/events?results=0") as events:
        preview.write(frame, make_result(0, network=2.0, head=8.0, total=10.0))
        preview.write(frame, make_result(1, network=2.0, total=2.0))
        preview.write(frame, make_result(2, person=False, network=2.0, total=2.0))
        preview.on_drop("camera", FrameDrop(3, 0.0, DropReason.SUPERSEDED))
        preview.on_error("camera", TrackingFailure(InferenceError("it broke"), 4))
        state = events.event("state")
    (source,) = state["sources"]
    assert source["state"] == "up"
    assert source["people"] == []
    assert (source["frames"], source["poses"]) == (5, 2)
    assert source["dropped"] == {"superseded": 1, "error": 1}


def test_events_are_told_at_once_and_kept_for_those_who_come_later(preview, client):
    with client.stream("/events?results=0") as events:
        events.event("history")
        preview.on_event("door", StreamEvent(EventKind.LOST, 0.0, "rtsp://u:secret@cam/1 is gone"))
        told = events.event("event")
    assert (told["source"], told["kind"]) == ("door", "lost")
    with client.stream("/events?results=0") as events:
        history = events.event("history")
        state = events.event("state")
    assert [event["kind"] for event in history["events"]] == ["lost"]
    assert state["sources"][0]["state"] == "lost"
    assert "secret" not in str((told, history, state))


def test_passwords_of_cameras_are_nowhere(preview, client, frame, make_result, caplog):
    name = "rtsp://admin:hunter2@10.0.0.7/live?token=abc"
    preview.on_error(name, TrackingFailure(InferenceError(f"{name} broke")))
    with Writer(preview, frame, make_result, name), client.stream("/events") as events:
        seen = [events.event("history"), events.event("result"), events.event("state")]
        shown = seen[2]["sources"][0]["name"]
        path = f"/stream/{shown.replace('/', '%2F').replace('?', '%3F')}.jpg"
        assert client.get(path).status == 200
    seen.append(client.get("/metrics").body)
    for secret in ("admin", "hunter2", "abc"):
        assert secret not in str(seen) + caplog.text


def test_a_pool_shows_its_sources(client, preview, frame):
    method = FakeMethod(standing_person((160, 120), 160))
    results = []
    with TrackerPool(
        fake_model(method),
        on_frame=preview.on_frame,
        on_result=lambda name, _: results.append(name),
        on_drop=preview.on_drop,
        on_error=preview.on_error,
        on_event=preview.on_event,
    ) as pool:
        preview.watch(pool)
        pool.add([frame] * 7, "left")
        pool.add([frame] * 5, "right")
        assert pool.wait(30)
        with client.stream("/events?results=0") as events:
            state = events.event("state")
    counted = {source["name"]: source["poses"] for source in state["sources"]}
    assert counted == {"left": 7, "right": 5}
    assert (results.count("left"), results.count("right")) == (7, 5)
    assert {source["state"] for source in state["sources"]} == {"ended"}


def test_a_result_wakes_no_thread_but_the_encoder(frame, make_result, client, preview, monkeypatch):
    """The loop would take the interpreter's lock from a tracker that has just handed over."""
    loop, woken = preview._server._loop, []

    def wake(function, call_soon=loop.call_soon_threadsafe):
        woken.append(function)
        return call_soon(function)

    monkeypatch.setattr(loop, "call_soon_threadsafe", wake)
    with client.stream("/events") as events:
        events.event("history")
        preview.write(frame, make_result())
        assert events.event("result")["frame"] == 0
    assert not woken


def test_the_encoder_takes_the_newest_frame_and_waits_for_nobody(frame, make_result):
    encoded, may_go_on, busy = [], threading.Event(), threading.Event()

    def publish(source, jpeg):
        encoded.append(decoded(jpeg)[0, 0, 0])
        busy.set()
        may_go_on.wait(10)

    ticks = iter(range(1000))
    encoder = PictureEncoder(PreviewSettings(max_fps=10), publish, lambda: float(next(ticks)))
    encoder.offer("camera", frame, make_result())  # nobody looks
    encoder.watch("camera")
    encoder.offer("camera", np.full_like(frame, 20), make_result())
    assert busy.wait(10)
    for grey in (60, 120, 200):
        busy.clear()
        encoder.offer("camera", np.full_like(frame, grey), make_result())
    may_go_on.set()
    assert busy.wait(10)
    encoder.close()
    assert np.allclose(encoded, [20, 200], atol=4)


def test_the_rate_is_bounded(frame, make_result):
    clock = [0.0]
    encoder = PictureEncoder(PreviewSettings(max_fps=10), lambda *_: None, lambda: clock[0])
    encoder.close()
    encoder.watch("camera")
    taken = 0
    for tick in range(100):  # one second
        clock[0] = tick / 100
        encoder.offer("camera", frame, make_result())
        taken += encoder._mailbox.pop("camera", None) is not None
    assert taken == 10


def test_large_frames_are_made_small_with_their_poses(make_result):
    large = np.zeros((1080, 1920, 3), np.uint8)
    small, scale = shrink(large, 960)
    assert small.shape == (540, 960, 3)
    result = make_result()
    two = replace(result, several=result.people)
    scaled = scaled_result(two, scale)
    assert np.allclose(scaled.keypoints[:, :2], (result.keypoints[:, :2] + 0.5) / 2 - 0.5)
    assert np.array_equal(scaled.several[0].keypoints, scaled.keypoints)
    assert scaled.roi == pytest.approx((39.75, 19.75, 80, 80))
    assert scaled_result(result, 1.0) is result


def test_closing_ends_streams_and_threads(frame, make_result, client, preview):
    preview.write(frame, make_result())
    streams = [client.stream("/events"), client.stream("/stream/camera.mjpg")]
    before = {thread.name for thread in threading.enumerate()}
    preview.close()
    preview.close()
    for stream in streams:
        stream.received.read()
        stream.close()
    names = before - {thread.name for thread in threading.enumerate()}
    assert {"edgepose-preview", "edgepose-preview-jpeg"} <= names
    preview.write(frame, make_result())  # a tracker that still runs is not disturbed


def test_a_preview_that_nobody_starts_to_look_at_can_be_closed():
    Preview(PreviewSettings(port=0)).close()
