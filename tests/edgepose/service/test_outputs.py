"""Files in a series, and signs of life."""

import json
import logging
import os
import socket

import pytest

from edgepose.service.config import JsonlConfig
from edgepose.service.outputs import QUIET_S, QuietLog
from edgepose.service.rotation import RotatingJsonl
from edgepose.service.supervisor import Supervisor
from edgepose.sinks import JsonlSink
from edgepose_runtime.errors import OutputError
from edgepose_runtime.poses.skeletons import PENN13


class Clock:
    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def rotating(tmp_path, clock):
    def make(camera="door", **limits):
        def open_sink(path):
            return JsonlSink(path, skeleton=PENN13, model="fake", source=camera)

        return RotatingJsonl(JsonlConfig(str(tmp_path / "out"), **limits), camera, open_sink, clock)

    return make


def frames_of(path):
    header, *records = map(json.loads, path.read_text().splitlines())
    assert header["format"] == "edgepose.poses"
    return [record["frame"] for record in records]


def test_a_file_that_is_old_is_followed_by_the_next(rotating, tmp_path, clock, make_result):
    with rotating(max_minutes=10) as files:
        for number in range(6):
            files.write(make_result(number))
            clock.now += 250
    found = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in found] == [
        "door-20270115T080000.000Z.jsonl",
        "door-20270115T081230.000Z.jsonl",
    ]
    assert [frames_of(path) for path in found] == [[0, 1, 2], [3, 4, 5]]


def test_a_file_that_is_large_is_followed_by_the_next(rotating, tmp_path, clock, make_result):
    with rotating(max_megabytes=0.002) as files:
        for number in range(12):
            files.write(make_result(number))
            clock.now += 1
    found = sorted((tmp_path / "out").iterdir())
    assert len(found) > 2
    assert [number for path in found for number in frames_of(path)] == list(range(12))
    assert all(path.stat().st_size < 4000 for path in found)


def test_a_clock_that_is_set_back_begins_a_new_file(rotating, tmp_path, clock, make_result):
    with rotating() as files:
        files.write(make_result(0))
        clock.now -= 100_000
        files.write(make_result(1))
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_old_files_of_the_same_camera_are_deleted(rotating, tmp_path, clock, make_result):
    other = rotating("door-2")
    other.write(make_result())
    other.close()
    foreign = tmp_path / "out" / "door-notes.jsonl"
    foreign.write_text("mine")
    with rotating(max_minutes=1, keep_files=2) as files:
        for number in range(5):
            files.write(make_result(number))
            clock.now += 61
    own = sorted((tmp_path / "out").glob("door-2027*"))
    assert [frames_of(path) for path in own] == [[3], [4]]
    assert len(list((tmp_path / "out").glob("door-2-*"))) == 1
    assert foreign.exists()


def test_a_folder_that_cannot_be_made_is_named(rotating, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="Cannot create the folder"):
        rotating()


def test_the_same_error_is_logged_once_in_a_while(caplog):
    clock = Clock()
    log = QuietLog(clock)
    for _ in range(100):
        log.error("door", "rtsp://u:secret@cam/1: disk full")
    assert len(caplog.records) == 1
    log.error("yard", "disk full")
    log.error("yard", "something else")
    assert len(caplog.records) == 3
    clock.now += QUIET_S
    log.error("door", "rtsp://u:secret@cam/1: disk full")
    assert "(99 more times)" in caplog.text
    assert "secret" not in caplog.text


@pytest.fixture
def listening(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
        opened.bind(str(tmp_path / "notify"))
        opened.settimeout(5)
        yield opened


def test_systemd_is_told(listening):
    supervisor = Supervisor({"NOTIFY_SOCKET": listening.getsockname(), "WATCHDOG_USEC": "30000000"})
    assert supervisor.watchdog_s == 30
    supervisor.ready()
    supervisor.alive("4 cameras")
    supervisor.stopping()
    told = [listening.recv(1000).decode() for _ in range(3)]
    assert told == ["READY=1", "WATCHDOG=1\nSTATUS=4 cameras", "STOPPING=1"]


def test_a_name_without_a_file_is_understood():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
        name = f"edgepose-test-{os.getpid()}"
        opened.bind(f"\0{name}")
        opened.settimeout(5)
        Supervisor({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert opened.recv(100) == b"READY=1"


def test_without_a_supervisor_nothing_happens(caplog):
    caplog.set_level(logging.WARNING)
    Supervisor({}).ready()
    assert caplog.text == ""
    Supervisor({"NOTIFY_SOCKET": "/nowhere/at/all"}).ready()
    assert "cannot be told" in caplog.text
    assert Supervisor({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}).watchdog_s is None
