"""A GStreamer pipeline in the process of a tracker, in both orders of their start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
SAMPLE = PROJECT / "samples" / "gstreamer_appsink.py"
#: Where Debian and its like keep GStreamer's Python bindings, for their own Python's version.
BINDINGS = Path("/usr/lib/python3/dist-packages/gi")
PIPELINE = (
    "multifilesrc location={folder}/%03d.jpg caps=image/jpeg,framerate=25/1 ! jpegdec ! videoscale"
)
OTHER_ORDER = f"""
import sys
sys.path.insert(0, {str(SAMPLE.parent)!r})
import gstreamer_appsink as sample
sample.Gst.init(None)
taken = sample.frames(sys.argv[1])
first = next(taken)  # GStreamer's threads run before anything of OpenVINO is loaded
assert "openvino" not in sys.modules
taken.close()
sample.main(sys.argv[1])
"""


#: The order in which OpenVINO's exceptions would end the process.
NUMPY_GSTREAMER_EDGEPOSE = """
import numpy, gi
gi.require_version("Gst", "1.0")
from gi.repository import Gst
Gst.init(None)
import edgepose
try:
    edgepose.load("ppn-swift")
except edgepose.EdgePoseError as error:
    print(error)
else:
    print("works")
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables with which this Python finds GStreamer's bindings, and nothing else."""
    folder = tmp_path_factory.mktemp("bindings")
    (folder / "gi").symlink_to(BINDINGS)
    paths = [str(folder), *(os.environ.get("PYTHONPATH") or str(PROJECT)).split(os.pathsep)]
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    code = "import gi; gi.require_version('Gst', '1.0'); from gi.repository import Gst"
    code += "; Gst.init(None); assert Gst.ElementFactory.find('jpegdec')"
    tried = subprocess.run([sys.executable, "-c", code], env=found, capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"GStreamer for Python is missing (apt-get install python3-gi): {tried.stderr}")
    return found


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory, sample_clip: Path) -> str:
    """Ten pictures of the sample clip; the width of 270 pixels makes padded rows."""
    import cv2

    folder = tmp_path_factory.mktemp("pictures")
    capture = cv2.VideoCapture(str(sample_clip))
    for number in range(10):
        _, frame = capture.read()
        cv2.imwrite(str(folder / f"{number:03d}.jpg"), cv2.resize(frame, (270, 480)))
    return PIPELINE.format(folder=folder)


@pytest.mark.parametrize(
    "program", [[str(SAMPLE)], ["-c", OTHER_ORDER]], ids=["the sample", "OpenVINO after frames"]
)
def test_frames_of_an_appsink_are_tracked(
    environment: dict[str, str], pipeline: str, program: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", *program, pipeline],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "10 poses in 10 frames"


@pytest.mark.parametrize("preload", ["", "libgcc_s.so.1"])
def test_the_order_that_would_crash_is_an_error_with_ways_around_it(
    environment: dict[str, str], preload: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NUMPY_GSTREAMER_EDGEPOSE],
        env={**environment, "LD_PRELOAD": preload},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    # Elsewhere GStreamer has no libunwind, and every order works.
    ways_around = ("Import edgepose before Gst", "LD_PRELOAD=libgcc_s.so.1")
    said = done.stdout.strip()
    assert said == "works" or (not preload and all(way in said for way in ways_around))
