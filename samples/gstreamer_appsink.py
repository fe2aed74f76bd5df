"""Track what a GStreamer pipeline of your own delivers to an appsink.

python samples/gstreamer_appsink.py "filesrc location=walk.mp4 ! decodebin"

It needs GStreamer with its Python bindings (Debian: python3-gi, gstreamer1.0-plugins-good).
"""

import sys
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

import edgepose  # before Gst: docs/streaming.md says why

try:
    import gi  # type: ignore[import-not-found, import-untyped, unused-ignore]
except ImportError:
    sys.exit("This sample needs GStreamer's Python bindings (Debian: apt-get install python3-gi)")

gi.require_version("Gst", "1.0")
from gi.repository import (  # type: ignore[import-not-found, import-untyped, unused-ignore] # noqa: E402
    Gst,
)

# The newest frames only: a pipeline that plays in real time is never held up.
SINK = " ! videoconvert ! video/x-raw,format=BGR ! appsink name=sink max-buffers=2 sync=false"


def frames(pipeline: str) -> Iterator[tuple[NDArray[np.uint8], float]]:
    """Yield frames, uint8 BGR (H, W, 3), with their time in ms."""
    running = Gst.parse_launch(pipeline + SINK)
    sink = running.get_by_name("sink")
    running.set_state(Gst.State.PLAYING)
    try:
        while (sample := sink.emit("pull-sample")) is not None:
            buffer, shape = sample.get_buffer(), sample.get_caps().get_structure(0)
            width, height = shape.get_value("width"), shape.get_value("height")
            content = buffer.extract_dup(0, buffer.get_size())
            # Rows are padded to multiples of four bytes.
            rows = np.frombuffer(content, np.uint8).reshape(height, -1)[:, : 3 * width]
            yield rows.reshape(height, width, 3), buffer.pts / Gst.MSECOND
    finally:
        running.set_state(Gst.State.NULL)


def main(pipeline: str) -> None:
    """Track every frame."""
    Gst.init(None)
    with edgepose.PoseTracker("ppn-swift") as tracker:
        for frame, timestamp_ms in frames(pipeline):
            result = tracker.track(frame, timestamp_ms=timestamp_ms)
            print(result.frame_id, result.origin or result.reason)
        print(f"{tracker.stats.poses} poses in {tracker.stats.frames} frames")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python gstreamer_appsink.py PIPELINE")
    main(sys.argv[1])
