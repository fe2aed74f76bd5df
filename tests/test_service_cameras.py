"""``edgepose run`` with four real RTSP cameras, of which one is switched off and on again twice.

EDGEPOSE_SERVICE_SECONDS=600 runs it for ten minutes.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.test_rtsp import cameras_of, small_frames

TOKEN = "a-token-for-the-tests"
SECONDS = float(os.environ.get("EDGEPOSE_SERVICE_SECONDS", "0"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS + 150)]
NAMES = ("door", "yard", "hall", "roof")


@pytest.fixture
def cameras(sample_clip, tmp_path):
    folder = tmp_path / "clip"
    folder.mkdir()
    with cameras_of(small_frames(sample_clip), folder, len(NAMES)) as servers:
        yield dict(zip(NAMES, servers, strict=True))


@pytest.fixture
def service(cameras, tmp_path):
    """The service as a process; its standard error goes to a file."""
    tables = "".join(
        f"[[camera]]\nname = '{name}'\nread_timeout_s = 3\n"
        f"source = '{camera.address.replace('secret', '${PASSWORD}')}'\n"
        for name, camera in cameras.items()
    )
    config = tmp_path / "service.toml"
    config.write_text(
        f"num_threads = 1\n{tables}[jsonl]\nfolder = '{tmp_path}/poses'\nmax_minutes = 0.05\n"
        "[preview]\naddress = '127.0.0.1:0'\n"
    )
    log = tmp_path / "log"
    with log.open("w") as error:
        process = subprocess.Popen(
            [sys.executable, "-m", "edgepose", "run", str(config)],
            stderr=error,
            env={**os.environ, "PASSWORD": "secret", "EDGEPOSE_PREVIEW_TOKEN": TOKEN},
        )
    yield process, log
    process.kill()
    process.wait()


class Events:
    """The server-sent events of a service's preview."""

    def __init__(self, log: Path) -> None:
        deadline = time.monotonic() + 120
        while not (found := re.search(r"http://\S+", log.read_text())):
            assert time.monotonic() < deadline, log.read_text()
        request = urllib.request.Request(
            f"{found[0]}events?results=0", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        self._lines = urllib.request.urlopen(request, timeout=120)

    def wait_for(self, name: str, state: str) -> float:
        """Wait for the state of a source; return the monotonic time."""
        while line := self._lines.readline():
            if line == b"event: state\n":
                report = json.loads(self._lines.readline().removeprefix(b"data: "))
                if any(s["name"] == name and s["state"] == state for s in report["sources"]):
                    return time.monotonic()
        pytest.fail("the service ended")

    def run_for(self, seconds: float) -> None:
        """Read on for some time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._lines.readline():
            pass


def test_four_cameras_of_which_one_fails_twice(cameras, service, tmp_path):
    process, log = service
    events = Events(log)
    for name in NAMES:
        events.wait_for(name, "up")
    for _ in range(2):
        cameras["yard"].switch_off()
        events.wait_for("yard", "lost")
        events.wait_for("door", "up")
        cameras["yard"].switch_on()
        events.wait_for("yard", "up")
    events.run_for(SECONDS)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert time.monotonic() - began < 3
    said = log.read_text()
    assert "secret" not in said
    assert said.count("yard: lost") == said.count("yard: reconnected") == 2
    for name in NAMES:
        check_frames(name, said, tmp_path / "poses")


def check_frames(name: str, said: str, folder: Path) -> None:
    """Compare the summary of a camera with its files, which must be complete."""
    line = re.search(rf"^{name}: (\d+) frames: (\d+) poses, (\d+) without.*$", said, re.MULTILINE)
    frames, poses, without = map(int, line.groups())
    errors = int(re.search(r"(\d+) errors", line[0])[1])
    dropped = sum(map(int, re.findall(r"(\d+) (?:superseded|stale|slow_callback|closed)", line[0])))
    assert frames == poses + without + errors + dropped, line[0]
    assert (errors, line[0].endswith(", 0 pending")) == (0, True)
    files = sorted(folder.glob(f"{name}-*.jsonl"))
    lines = [each.read_bytes().splitlines(keepends=True) for each in files]
    assert all(each[-1].endswith(b"\n") for each in lines)
    numbers = [json.loads(record)["frame"] for each in lines for record in each[1:]]
    assert len(numbers) == poses + without
    assert numbers == sorted(numbers)
