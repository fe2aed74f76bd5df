"""No start of edgepose tells anybody: no look-up, no process, no file outside its caches."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("openvino_telemetry")

# Python reports what a program does to the system; all of it that matters here goes to a file.
WATCH = """
import sys
def watch(event, details):
    writes = event == "open" and details[0] and isinstance(details[0], str) and (
        set(details[1] or "r") & set("wax+") or (details[2] or 0) & 3)
    if writes or event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect",
                           "os.fork", "os.mkdir", "subprocess.Popen"):
        sys.stdout.write(f"{event} {details[0] if details else ''}\\n")
sys.addaudithook(watch)
"""
TRACK = """
from edgepose import PoseTracker
PoseTracker("ppn-swift").close()
"""
QUANTISE = "import edgepose_converters.quantisation.post_training"


def events_of(code, home):
    # Nothing that says "this is a test machine", at which telemetry keeps silent by itself.
    kept = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "NUMBA_CACHE_DIR")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    found = subprocess.run(
        [sys.executable, "-c", WATCH + code],
        env={**environment, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.splitlines()


@pytest.mark.parametrize(
    "code", [TRACK, pytest.param(QUANTISE, marks=pytest.mark.slow)], ids=["a tracker", "quantising"]
)
def test_nobody_is_told_that_edgepose_was_started(code, tmp_path):
    if code is QUANTISE:
        pytest.importorskip("nncf")
    events = events_of(code, tmp_path)
    assert not [event for event in events if not event.startswith(("open ", "os.mkdir "))]
    caches = str(tmp_path / ".cache")
    assert not [event for event in events if str(tmp_path) in event and caches not in event]
    assert {path.name for path in tmp_path.iterdir()} <= {".cache"}
    assert {path.name for path in tmp_path.glob(".cache/*")} <= {"edgepose"}


def test_the_watch_sees_what_openvino_would_have_sent(tmp_path):
    events = events_of("import openvino", tmp_path)
    assert "os.fork " in events
    assert list(tmp_path.iterdir())


def test_a_program_keeps_what_it_uses_itself(tmp_path):
    code = (
        "import openvino_telemetry as before\n"
        "from edgepose_runtime.telemetry import no_telemetry\n"
        "with no_telemetry():\n    import openvino_telemetry as within\n"
        "assert within is before\n"
    )
    events_of(code, tmp_path)
