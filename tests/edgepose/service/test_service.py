"""The service as a process: cameras in, files out, told to stop."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

TOKEN = "a-token-for-the-tests"


@pytest.fixture
def start(tmp_path, puppet_bundle):
    """Start ``edgepose run`` with a configuration, and a supervisor that listens."""
    processes = []
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(tmp_path / "notify"))
    notify.settimeout(60)

    def run(cameras, more="", **variables):
        config = tmp_path / "service.toml"
        tables = "".join(f"[[camera]]\nname = '{k}'\nsource = '{v}'\n" for k, v in cameras.items())
        config.write_text(
            f"model = '{puppet_bundle.path}'\nnum_threads = 1\n{tables}"
            f"[jsonl]\nfolder = '{tmp_path}/poses'\n{more}"
        )
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": "1500000",
            "EDGEPOSE_PREVIEW_TOKEN": TOKEN,
            **variables,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "edgepose", "run", str(config)],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        processes.append(process)
        return process, notify

    yield run
    for process in processes:
        process.kill()
        process.communicate()
    notify.close()


def lines_of(folder, camera):
    files = sorted(folder.glob(f"{camera}-*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()[1:]]


def counts(said, camera):
    """The numbers of the summary: frames, poses, without, errors, dropped, pending."""
    line = next(line for line in said.splitlines() if line.startswith(f"{camera}: "))
    dropped = sum(map(int, re.findall(r"(\d+) (?:superseded|stale|closed|slow|reset)", line)))
    frames, poses, without, errors = map(
        int,
        re.search(r"(\d+) frames: (\d+) poses, (\d+) without a person, (\d+) err", line).groups(),
    )
    pending = int(re.search(r"(\d+) pending", line)[1])
    return frames, poses, without, errors, dropped, pending


def test_files_are_tracked_to_their_end(start, puppet_video, tmp_path):
    process, notify = start({"door": puppet_video, "yard": puppet_video})
    assert notify.recv(100) == b"READY=1"
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    for camera in ("door", "yard"):
        frames, poses, without, errors, dropped, pending = counts(said, camera)
        assert (frames, errors, dropped, pending) == (12, 0, 0, 0)
        assert len(lines_of(tmp_path / "poses", camera)) == frames == poses + without


def test_a_service_is_watched_and_stops_within_three_seconds(start, tmp_path):
    # Nobody is at these addresses: the service keeps trying, and says so without the password.
    cameras = {"dead": "rtsp://admin:${PASSWORD}@127.0.0.1:9/1"}
    process, notify = start(cameras, "[preview]\naddress = '127.0.0.1:0'\n", PASSWORD="hunter2")
    assert notify.recv(100) == b"READY=1"
    assert notify.recv(1000).startswith(b"WATCHDOG=1\nSTATUS=1 cameras, 0 frames")
    url = re.search(r"http://\S+", process.stderr.readline())[0]
    assert TOKEN not in url
    with urllib.request.urlopen(f"{url}livez") as answer:
        assert answer.status == 200
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request) as answer:
        assert b"<title>edgepose preview</title>" in answer.read()
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert time.monotonic() - began < 3
    assert process.returncode == 0, said
    assert "hunter2" not in said
    while notify.recv(1000) != b"STOPPING=1":
        pass


def test_a_source_that_is_missing_is_an_error_that_names_the_camera(start, tmp_path):
    process, _ = start({"door": tmp_path / "none.mp4"})
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Camera door: There is no file" in said
